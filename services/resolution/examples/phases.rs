//! Resolves CSV files by a spec of `column=type` pairs and prints where the time went.
//!
//! `cargo run --release -p jinke-resolution --example phases -- FILE[,FILE…] KEY MODE OUT
//! column=type…`: wall and CPU-seconds by phase, with THREADS threads (2); OUT gets
//! `source,source_id,cluster_id`, so that two builds can be compared byte by byte.
#![expect(
    clippy::print_stdout,
    reason = "the result of this program is its output"
)]

use std::{
    error::Error,
    io::{BufWriter, Write},
    sync::Mutex,
    time::Instant,
};

use jinke_resolution::batch::{
    Column, Expert, Mode, Options, Phase, Semantic, Table, parallel::mix, resolve_table,
};

/// CPU-seconds of this process so far, where the system tells.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(") ").map_or("", |x| x.1);
    let ticks = after.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [files, key, mode, out, columns @ ..] = args.as_slice() else {
        return Err("usage: phases FILES KEY MODE OUT column=type…".into());
    };
    let start = Instant::now();
    let columns = columns.iter().map(|c| {
        let (name, ty) = c.split_once('=').ok_or("column=type")?;
        Ok(Column {
            name: name.to_owned(),
            semantic: Semantic::parse(ty).ok_or(format!("unknown type {ty}"))?,
        })
    });
    let mut table = Table::new(columns.collect::<Result<_, Box<dyn Error>>>()?);
    for file in files.split(',') {
        let mut reader = csv::Reader::from_path(file)?;
        let header = reader.headers()?.clone();
        let at = |name: &str| {
            let found = header.iter().position(|h| h == name);
            found.ok_or(format!("no column {name}"))
        };
        let (source, key) = (at("source").ok(), at(key)?);
        let each = table.columns.iter().map(|c| at(&c.name));
        let places: Vec<usize> = each.collect::<Result<_, _>>()?;
        let mut row = csv::StringRecord::new();
        while reader.read_record(&mut row)? {
            let get = |i: usize| row.get(i).unwrap_or("");
            let source = table.source(source.map_or("records", get));
            table.push(source, get(key), places.iter().map(|p| get(*p)));
        }
    }
    let threads = std::env::var("THREADS").map_or(Ok(2), |t| t.parse())?;
    let options = Options {
        mode: Some(Mode::parse(mode).ok_or("mode")?),
        threads,
        ..Options::default()
    };
    let laps = Mutex::new(vec![("read", start.elapsed().as_secs_f64(), cpu())]);
    let lap = |name: &'static str| {
        if let Ok(mut laps) = laps.lock() {
            laps.push((name, start.elapsed().as_secs_f64(), cpu()));
        }
    };
    let begun = Mutex::new("check");
    let progress = |phase: Phase, done: u64, _: u64| {
        if done > 0 {
            return;
        }
        let name = match phase {
            Phase::Standardize => "standardize",
            Phase::Block => "block",
            Phase::Train => "train",
            Phase::Compare => "compare",
            Phase::Cluster => "cluster",
        };
        if let Ok(mut b) = begun.lock() {
            lap(std::mem::replace(&mut b, name));
        }
    };
    let found = resolve_table(&table, None, &Expert::default(), &options, &progress)?;
    lap(*begun.lock().map_err(|e| e.to_string())?);
    let laps = laps.into_inner()?;
    let mut last = (0.0, 0.0);
    for (name, wall, cpu) in &laps {
        println!(
            "{name:12} {:7.2} s {:7.2} CPU-s",
            wall - last.0,
            cpu - last.1
        );
        last = (*wall, *cpu);
    }
    let mixed = found.scored.iter().fold(0, |h, s| {
        mix(h ^ u64::from(s.a) << 32 ^ u64::from(s.b) ^ (s.score as u64) << 16)
    });
    println!(
        "{:12} {:7.2} s {:7.2} CPU-s; {} pairs, {} kept ({mixed:x}), {} reviews; {:?}",
        "total",
        last.0,
        last.1,
        found.candidates,
        found.scored.len(),
        found.reviews.len(),
        found.blocking
    );
    let mut out = BufWriter::new(std::fs::File::create(out)?);
    writeln!(out, "source,source_id,cluster_id")?;
    let source = |row: usize| table.sources[table.source_of(row) as usize].as_str();
    for (row, head) in found.heads.iter().enumerate() {
        let h = *head as usize;
        let (mine, its) = (source(row), source(h));
        writeln!(out, "{mine},{},{its}/{}", table.key(row), table.key(h))?;
    }
    out.flush()?;
    Ok(())
}
