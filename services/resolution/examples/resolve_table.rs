//! Resolves labelled CSV files by a spec of `column=type` pairs and prints how well it went.
//!
//! `cargo run --release -p jinke-resolution --example resolve_table -- FILE[,FILE…] TRUTH.csv
//! KEY MODE column=type…`: the last column of TRUTH is the entity, the others are `[source,]key`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the result of this program is its output"
)]

use std::{collections::HashMap, error::Error, time::Instant};

use jinke_resolution::{
    batch::{At, Column, Expert, Mode, Options, Semantic, Table, resolve_table},
    evaluate::{b_cubed, pairwise},
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [files, truth, key, mode, columns @ ..] = args.as_slice() else {
        return Err("usage: resolve_table FILES TRUTH KEY MODE column=type…".into());
    };
    let columns: Vec<Column> = columns
        .iter()
        .map(|c| {
            let (name, ty) = c.split_once('=').ok_or("column=type")?;
            Ok(Column {
                name: name.to_owned(),
                semantic: Semantic::parse(ty).ok_or(format!("unknown type {ty}"))?,
            })
        })
        .collect::<Result<_, Box<dyn Error>>>()?;
    let start = Instant::now();
    let mut table = Table::new(columns);
    for file in files.split(',') {
        let mut reader = csv::Reader::from_path(file)?;
        let header = reader.headers()?.clone();
        let at = |n: &str| {
            header
                .iter()
                .position(|h| h == n)
                .ok_or(format!("no column {n}"))
        };
        let (s, k) = (at("source")?, at(key)?);
        let places: Vec<usize> = table
            .columns
            .iter()
            .map(|c| at(&c.name))
            .collect::<Result<_, _>>()?;
        let mut row = csv::StringRecord::new();
        while reader.read_record(&mut row)? {
            let source = table.source(row.get(s).unwrap_or(""));
            let cells: Vec<&str> = places.iter().map(|p| row.get(*p).unwrap_or("")).collect();
            table.push(source, row.get(k).unwrap_or(""), cells.into_iter());
        }
    }
    eprintln!(
        "read {:.2}s {} rows",
        start.elapsed().as_secs_f64(),
        table.len()
    );
    let threads = std::env::var("THREADS")
        .ok()
        .and_then(|t| t.parse().ok())
        .unwrap_or(2);
    let options = Options {
        mode: Some(Mode::parse(mode).ok_or("mode")?),
        at: if std::env::var("AT").is_ok_and(|a| a == "merge") {
            At::Merge
        } else {
            At::Balance
        },
        threads,
        merge: std::env::var("MERGE").ok().and_then(|t| t.parse().ok()),
        ..Options::default()
    };
    let found = resolve_table(
        &table,
        None,
        &Expert::default(),
        &options,
        &|phase, done, n| {
            if done > 0 {
                return;
            }
            eprintln!("{:.2}s {phase:?} {n}", start.elapsed().as_secs_f64());
        },
    )?;
    let seconds = start.elapsed().as_secs_f64();
    let mut entity: HashMap<String, String> = HashMap::new();
    let mut reader = csv::Reader::from_path(truth)?;
    for row in reader.records() {
        let row = row?;
        let n = row.len();
        let key: Vec<&str> = row.iter().take(n - 1).collect();
        entity.insert(key.join("\u{1f}"), row[n - 1].to_owned());
    }
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let truth: Vec<usize> = (0..table.len())
        .map(|r| {
            let source = &table.sources[table.source_of(r) as usize];
            let name = entity
                .get(table.key(r))
                .or_else(|| entity.get(&format!("{source}\u{1f}{}", table.key(r))))
                .cloned()
                .unwrap_or_else(|| format!("?{r}"));
            let next = numbers.len();
            *numbers.entry(name).or_insert(next)
        })
        .collect();
    let labels: Vec<usize> = found.heads.iter().map(|h| *h as usize).collect();
    let (p, b) = (pairwise(&labels, &truth), b_cubed(&labels, &truth));
    let merged: Vec<usize> = found.merged.iter().map(|h| *h as usize).collect();
    let alone = pairwise(&merged, &truth);
    // After a steward who is always right: clusters of one thing by their reviews join.
    let mut judged = merged.clone();
    for r in &found.reviews {
        let (a, b) = (r.a as usize, r.b as usize);
        if truth[a] == truth[b] {
            let (x, y) = (judged[a], judged[b]);
            judged.iter_mut().filter(|l| **l == y).for_each(|l| *l = x);
        }
    }
    eprintln!(
        "merge P {:.4} R {:.4}; reviews/1000 {:.1}; after them F {:.4}",
        alone.precision,
        alone.recall,
        1000.0 * found.reviews.len() as f64 / labels.len().max(1) as f64,
        if labels.len() < 200_000 {
            pairwise(&judged, &truth).f1
        } else {
            0.0
        }
    );
    if std::env::var("SWEEP").is_ok() {
        for balance in (-8..16).map(|b| b * 1000) {
            let options = Options {
                balance: Some(balance),
                ..options
            };
            let again = resolve_table(
                &table,
                found.model.as_ref(),
                &Expert::default(),
                &options,
                &|_, _, _| {},
            )?;
            let labels: Vec<usize> = again.heads.iter().map(|h| *h as usize).collect();
            let p = pairwise(&labels, &truth);
            eprintln!(
                "balance {balance:6} P {:.4} R {:.4} F {:.4}",
                p.precision, p.recall, p.f1
            );
        }
    }
    if std::env::var("SHOW").is_ok() {
        if let Some(m) = &found.model {
            eprintln!("priors {:?}", m.priors);
            for k in &m.kin {
                eprintln!("kin {} {:?} {:?}", k.name, k.priors, k.weights);
            }
            for c in &m.columns {
                eprintln!("{} rare {}", c.column.name, c.rare);
                for (l, n) in c.column.semantic.levels().iter().enumerate() {
                    eprintln!("   {n:12} {:6} m {:7} u {:7}", c.weights[l], c.m[l], c.u[l]);
                }
            }
        }
        let mut pairs: Vec<_> = found.scored.iter().collect();
        pairs.sort_by_key(|p| p.score.abs());
        for p in pairs
            .iter()
            .filter(|p| (truth[p.a as usize] == truth[p.b as usize]) != (p.score >= 0))
            .take(25)
        {
            eprintln!(
                "{} true={}",
                p.score,
                truth[p.a as usize] == truth[p.b as usize]
            );
            for r in [p.a, p.b] {
                let cells: Vec<&str> = (0..table.columns.len())
                    .map(|c| table.cell(r as usize, c))
                    .collect();
                eprintln!("     {}", cells.join(" | "));
            }
        }
        let mut sizes: HashMap<usize, Vec<u32>> = HashMap::new();
        for (i, t) in truth.iter().enumerate() {
            sizes.entry(*t).or_default().push(i as u32);
        }
        let all: usize = sizes.values().map(|v| v.len() * (v.len() - 1) / 2).sum();
        let known: std::collections::HashSet<(u32, u32)> = found
            .scored
            .iter()
            .map(|p| (p.a.min(p.b), p.a.max(p.b)))
            .collect();
        let mut shown = 0;
        for v in sizes.values() {
            for (i, a) in v.iter().enumerate() {
                for b in &v[i + 1..] {
                    if !known.contains(&(*a, *b))
                        && table.source_of(*a as usize) != table.source_of(*b as usize)
                        && shown < 12
                    {
                        shown += 1;
                        let steps = jinke_resolution::batch::explain_rows(&table, &found, *a, *b);
                        eprintln!(
                            "missed {} {:?}",
                            steps.last().map_or(0, |s| s.sum),
                            steps
                                .iter()
                                .map(|s| (s.level.to_string(), s.weight))
                                .collect::<Vec<_>>()
                        );
                        for r in [*a, *b] {
                            let cells: Vec<&str> = (0..table.columns.len())
                                .map(|c| table.cell(r as usize, c))
                                .collect();
                            eprintln!("     {}", cells.join(" | "));
                        }
                    }
                }
            }
        }
        let hit = found
            .scored
            .iter()
            .filter(|p| truth[p.a as usize] == truth[p.b as usize])
            .count();
        let best = found.scored.iter().filter(|p| p.score >= 0);
        let said = best.clone().count();
        let right = best
            .filter(|p| truth[p.a as usize] == truth[p.b as usize])
            .count();
        eprintln!("pairs true {all} kept {hit}; said {said} right {right}");
    }
    println!(
        "P {:.4} R {:.4} F {:.4}  B3 {:.4}  candidates {} {:?}  {seconds:.2}s",
        p.precision, p.recall, p.f1, b.f1, found.candidates, found.blocking
    );
    Ok(())
}
