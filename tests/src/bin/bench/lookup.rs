//! `bench lookup [records] [more records …]`: how long one record takes to be resolved, and one
//! party to be matched, at growing sizes of the database (10,000 and 1,000,000), on both engines.
//! The ratio of the last size to the first is what should stay below two.

use std::time::Instant;

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

/// Fills both engines step by step and prints the latencies.
pub async fn run(sizes: impl Iterator<Item = u64>) -> Result<()> {
    let mut sizes: Vec<u64> = sizes.collect();
    if sizes.is_empty() {
        sizes = vec![10_000, 1_000_000];
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
    for source in SOURCES {
        api.ensure_source(source).await?;
    }
    let mut filled = 0;
    let mut first: Option<[f64; 2]> = None;
    for size in sizes {
        while filled < *size {
            let until = (filled + BATCH).min(*size);
            super::load::store(&mut api, filled..until).await?;
            filled = until;
        }
        super::load::drained(&mut api).await?;
        let mut resolved = Vec::new();
        let mut matched = Vec::new();
        for n in 0..SAMPLE {
            // A record that belongs to some company that is there, and is new itself.
            let start = Instant::now();
            ingest(&mut api, filled..filled + 1).await?;
            resolved.push(start.elapsed().as_secs_f64() * 1_000.0);
            filled += 1;
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
        let found = [median(&mut resolved), median(&mut matched)];
        println!(
            "{engine:?} at {size:>9}: one record resolved {:>7.2} ms (95 % within {:.2}), one party \
             matched {:>7.2} ms (95 % within {:.2})",
            found[0],
            most(&resolved),
            found[1],
            most(&matched),
        );
        match &first {
            None => first = Some(found),
            Some(base) => println!(
                "{engine:?} ratio to the first size: resolved {:.2}, matched {:.2}",
                found[0] / base[0],
                found[1] / base[1]
            ),
        }
    }
    suite.kill().await?;
    place.remove().await;
    Ok(())
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

/// Sorts and gives the middle.
fn median(list: &mut [f64]) -> f64 {
    list.sort_by(f64::total_cmp);
    list.get(list.len() / 2).copied().unwrap_or(0.0)
}

fn most(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() * 95 / 100).copied().unwrap_or(0.0)
}
