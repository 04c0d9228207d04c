//! `bench lookup [records] [more records …]`: how long one record takes to be resolved, and one
//! party to be matched, at growing sizes of the database (10,000 and 1,000,000), on both engines.
//! The ratio of the last size to the first is what should stay below two.
//!
//! Filling takes far longer than measuring. With `JINKE_BENCH_DATA=FOLDER` every size is filled once
//! into a folder of its own below it, on SQLite alone, and measured again at every later run.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Result;
use jinke_proto::jinke::customer::v1::{
    IngestSourceRecordsRequest, MatchPartyRequest, Party, source_record::Body,
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    companies::{SOURCES, record},
    suite::{Clients, Suite},
};

use super::SEED;

/// Records of one call while filling.
const BATCH: u64 = 1_000;
/// Calls that are measured.
const SAMPLE: u64 = 300;
/// Calls before those, for a suite that was started on data that is there.
const WARM: u64 = 50;

/// Fills both engines step by step and prints the latencies.
pub async fn run(sizes: impl Iterator<Item = u64>) -> Result<()> {
    let mut sizes: Vec<u64> = sizes.collect();
    if sizes.is_empty() {
        sizes = vec![10_000, 1_000_000];
    }
    if let Some(folder) = std::env::var_os("JINKE_BENCH_DATA") {
        return kept(&PathBuf::from(folder), &sizes).await;
    }
    for engine in [Engine::Sqlite, Engine::Postgres] {
        one(engine, &sizes).await?;
    }
    Ok(())
}

async fn one(engine: Engine, sizes: &[u64]) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let place = Place::new(engine).await;
    let postgres = (engine == Engine::Postgres).then(|| place.config().url);
    let suite = Suite::start(&dir.path().join("data"), postgres.as_deref()).await?;
    let mut api = Clients::new(&suite.login().await?);
    let mut filled = 0;
    let mut first = None;
    for size in sizes {
        fill(&mut api, filled, *size).await?;
        filled = size + SAMPLE;
        let found = measure(&mut api, *size, *size).await?;
        tell(engine, *size, found, &mut first);
    }
    suite.kill().await?;
    place.remove().await;
    Ok(())
}

/// Measures SQLite in folders that stay.
async fn kept(folder: &Path, sizes: &[u64]) -> Result<()> {
    let mut first = None;
    for size in sizes {
        let data = folder.join(size.to_string());
        // How many records are in it; written before each run, so that none is ingested twice.
        let mark = folder.join(format!("{size}.records"));
        std::fs::create_dir_all(&data)?;
        let suite = Suite::start(&data, None).await?;
        let mut api = Clients::new(&suite.login().await?);
        let from = match std::fs::read_to_string(&mark) {
            Ok(text) => text.trim().parse()?,
            Err(_) => {
                fill(&mut api, 0, *size).await?;
                *size
            }
        };
        std::fs::write(&mark, (from + WARM + SAMPLE).to_string())?;
        for n in from..from + WARM {
            ingest(&mut api, n..n + 1).await?;
        }
        let found = measure(&mut api, *size, from + WARM).await?;
        tell(Engine::Sqlite, *size, found, &mut first);
        suite.kill().await?;
    }
    Ok(())
}

/// Stores records up to `size`, of which `filled` are there, and waits until all are resolved.
async fn fill(api: &mut Clients, mut filled: u64, size: u64) -> Result<()> {
    if filled == 0 {
        for source in SOURCES {
            api.ensure_source(source).await?;
        }
    }
    while filled < size {
        let until = (filled + BATCH).min(size);
        super::load::store(api, filled..until).await?;
        filled = until;
    }
    super::load::drained(api).await
}

/// Milliseconds of each call, sorted.
struct Found {
    resolved: Vec<f64>,
    matched: Vec<f64>,
}

/// Measures a database of `size` records, of which `next` is the first that is not there.
async fn measure(api: &mut Clients, size: u64, next: u64) -> Result<Found> {
    let (mut resolved, mut matched) = (Vec::new(), Vec::new());
    for n in 0..SAMPLE {
        // A record that belongs to some company that is there, and is new itself.
        let start = Instant::now();
        ingest(api, next + n..next + n + 1).await?;
        resolved.push(start.elapsed().as_secs_f64() * 1_000.0);
        let party = party(n * (size / SAMPLE).max(1));
        let start = Instant::now();
        api.matches
            .match_party(MatchPartyRequest {
                party: Some(party),
                page_size: 5,
            })
            .await?;
        matched.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    resolved.sort_by(f64::total_cmp);
    matched.sort_by(f64::total_cmp);
    Ok(Found { resolved, matched })
}

/// Prints what was found, and its ratio to the first size.
fn tell(engine: Engine, size: u64, found: Found, first: &mut Option<[f64; 2]>) {
    let medians = [quantile(&found.resolved, 50), quantile(&found.matched, 50)];
    println!(
        "{engine:?} at {size:>9}: one record resolved {:>7.2} ms (95 % within {:.2}), one party \
         matched {:>7.2} ms (95 % within {:.2})",
        medians[0],
        quantile(&found.resolved, 95),
        medians[1],
        quantile(&found.matched, 95),
    );
    match first {
        None => *first = Some(medians),
        Some(base) => println!(
            "{engine:?} ratio to the first size: resolved {:.2}, matched {:.2}",
            medians[0] / base[0],
            medians[1] / base[1]
        ),
    }
}

async fn ingest(api: &mut Clients, numbers: std::ops::Range<u64>) -> Result<()> {
    let request = IngestSourceRecordsRequest {
        records: numbers.map(|n| record(SEED, n)).collect(),
        ..Default::default()
    };
    api.sources.ingest_source_records(request).await?;
    Ok(())
}

fn party(n: u64) -> Party {
    match record(SEED, n).body {
        Some(Body::Party(party)) => party,
        _ => Party::default(),
    }
}

fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let at = sorted.len() * percent / 100;
    sorted.get(at).copied().unwrap_or(0.0)
}
