//! Labelled tables made by rule, of kinds that no development set has, and the traps in them
//! class by class.
//!
//! `cargo run --release -p jinke-resolution --example traps -- [--count N] [--seed N] [--only NAME]
//! [--write DIR [--rows N]] [--show CLASS]`: resolves every table with nothing but its column types and
//! prints pairwise quality at the balance point and at the merge threshold, reviews per 1,000
//! records, and for every class of trap how many pairs of two things were joined and how many
//! pairs of one thing were missed. `--write` writes each table as CSV with its truth instead; with
//! `--rows` one table of about so many Chinese business customers, piece by piece, so that memory
//! does not grow with it.
#![expect(
    clippy::print_stdout,
    reason = "the result of this program is its output"
)]

mod chinese;
mod dice;
mod firms;
mod measure;
mod persons;
mod things;
mod world;

use std::{error::Error, path::Path};

use measure::{report, worlds};
use world::World;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| {
        let at = args.iter().position(|a| a == name);
        at.and_then(|i| args.get(i + 1)).map(String::as_str)
    };
    let count = option("--count").map_or(Ok(2000), str::parse)?;
    let seed = option("--seed").map_or(Ok(1), str::parse)?;
    if let (Some(rows), Some(folder)) = (option("--rows"), option("--write")) {
        return write_many(rows.parse()?, seed, Path::new(folder));
    }
    for w in worlds(count, seed) {
        if option("--only").is_some_and(|n| n != w.name) {
            continue;
        }
        match option("--write") {
            Some(folder) => write(&w, Path::new(folder))?,
            None => print!("{}", report(&w, option("--show"))?),
        }
    }
    Ok(())
}

fn write(w: &World, folder: &Path) -> Result<(), Box<dyn Error>> {
    let folder = folder.join(w.name);
    let mut files = Files::new(&folder, w)?;
    files.add(w)?;
    files.done()
}

/// Companies of one piece of a large table.
const PIECE: usize = 20_000;

fn write_many(rows: usize, seed: u64, folder: &Path) -> Result<(), Box<dyn Error>> {
    let piece = |k: u64| chinese::world("customers-cn", PIECE, 50, seed + 1_000 * k);
    let mut w = piece(1);
    let mut files = Files::new(&folder.join(format!("customers-cn-{rows}")), &w)?;
    let mut k = 1;
    loop {
        w.records.truncate(rows - files.rows);
        files.add(&w)?;
        if files.rows >= rows {
            return files.done();
        }
        k += 1;
        w = piece(k);
    }
}

/// A table being written, with its truth.
struct Files {
    records: csv::Writer<std::fs::File>,
    truth: csv::Writer<std::fs::File>,
    rows: usize,
    entities: usize,
}

impl Files {
    fn new(folder: &Path, w: &World) -> Result<Self, Box<dyn Error>> {
        std::fs::create_dir_all(folder)?;
        let mut records = csv::Writer::from_path(folder.join("records.csv"))?;
        let mut truth = csv::Writer::from_path(folder.join("truth.csv"))?;
        let names = w.columns.iter().map(|c| c.0);
        records.write_record(["source", "source_id"].into_iter().chain(names))?;
        truth.write_record(["source", "source_id", "entity_id"])?;
        let mut spec = format!(
            "inputs = [\"records.csv\"]\nsource = \"source\"\nkey = \"source_id\"\nmode = \"{}\"\n[columns]\n",
            w.mode.name()
        );
        for (name, semantic) in w.columns {
            spec.push_str(&format!("{name} = \"{}\"\n", semantic.name()));
        }
        std::fs::write(folder.join("spec.toml"), spec)?;
        Ok(Self {
            records,
            truth,
            rows: 0,
            entities: 0,
        })
    }

    fn add(&mut self, w: &World) -> Result<(), Box<dyn Error>> {
        let mut most = 0;
        for r in &w.records {
            let key = w.key(self.rows);
            let cells = r.cells.iter().map(String::as_str);
            self.records
                .write_record([r.source, key.as_str()].into_iter().chain(cells))?;
            let entity = (self.entities + r.entity).to_string();
            self.truth.write_record([r.source, key.as_str(), &entity])?;
            self.rows += 1;
            most = most.max(r.entity);
        }
        self.entities += most;
        Ok(())
    }

    fn done(mut self) -> Result<(), Box<dyn Error>> {
        self.records.flush()?;
        self.truth.flush()?;
        Ok(())
    }
}
