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
mod persons;
mod things;
mod world;

use std::{collections::BTreeMap, error::Error, path::Path};

use jinke_resolution::{
    batch::{Expert, Options, resolve_table},
    evaluate::{b_cubed, pairwise},
};
use world::World;

fn worlds(count: usize, seed: u64) -> Vec<World> {
    vec![
        chinese::world("customers-cn", count, 50, seed),
        chinese::world("customers-cn-hard", count, 75, seed + 1),
        persons::world(count, seed + 2),
        things::products(count, seed + 3),
        things::restaurants(count / 2, seed + 4),
        things::papers(count, seed + 5),
        firms::german(count, seed + 6),
        firms::spanish(count / 2, seed + 7),
        firms::japanese(count / 2, seed + 8),
        firms::unknown(count / 2, seed + 9),
    ]
}

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
            None => report(&w, option("--show"))?,
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

fn report(w: &World, show: Option<&str>) -> Result<(), Box<dyn Error>> {
    let (table, truth) = (w.table(), w.truth());
    let options = Options {
        mode: Some(w.mode),
        threads: 2,
        ..Options::default()
    };
    let found = resolve_table(&table, None, &Expert::default(), &options, &|_, _, _| {})?;
    let labels = |heads: &[u32]| -> Vec<usize> { heads.iter().map(|h| *h as usize).collect() };
    let (balance, merge) = (labels(&found.heads), labels(&found.merged));
    let reviews = found.reviews.len();
    let (p, b, m) = (
        pairwise(&balance, &truth),
        b_cubed(&balance, &truth),
        pairwise(&merge, &truth),
    );
    println!(
        "{:18} {:6} records  P {:.4} R {:.4} F1 {:.4} B3 {:.4}   merge P {:.4} R {:.4}  reviews/1000 {:.1}",
        w.name,
        table.len(),
        p.precision,
        p.recall,
        p.f1,
        b.f1,
        m.precision,
        m.recall,
        1000.0 * reviews as f64 / table.len().max(1) as f64
    );
    let mut members: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
    for (i, r) in w.records.iter().enumerate() {
        if let Some(trap) = r.trap {
            members.entry(trap).or_default().push(i);
        }
    }
    // Per class: pairs of two things and how many were joined, pairs of one and how many missed.
    let mut classes: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
    for ((class, _), list) in &members {
        let sums = classes.entry(class).or_default();
        sums[0] += 1;
        for (k, &i) in list.iter().enumerate() {
            for &j in &list[k + 1..] {
                let (same, joined) = (truth[i] == truth[j], balance[i] == balance[j]);
                sums[if same { 3 } else { 1 }] += 1;
                sums[if same { 4 } else { 2 }] += usize::from(same != joined);
                if same != joined && show == Some(*class) {
                    println!("    {}", if same { "missed" } else { "joined" });
                    for r in [i, j] {
                        println!("      {}", w.records[r].cells.join(" | "));
                    }
                }
            }
        }
    }
    for (class, [n, apart, joined, together, missed]) in classes {
        println!(
            "    {class:52} {n:5} cases   wrongly joined {joined:5} of {apart:5}   missed {missed:5} of {together:5}"
        );
    }
    Ok(())
}
