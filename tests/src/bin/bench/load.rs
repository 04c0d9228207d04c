//! `bench load [records] [batch] [clients]`: the first load of a big source on both engines:
//! records stored with `resolve_later`, and resolved in the background while they come and after.

use std::time::{Duration, Instant};

use anyhow::Result;
use jinke_proto::jinke::customer::v1::{
    GetCustomerStatsRequest, IngestSourceRecordsRequest, ingest_result::Outcome,
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    companies::{SOURCES, record},
    suite::{Clients, Suite},
};

use super::SEED;

/// Loads both engines, each beside a bare upsert.
pub async fn run(mut numbers: impl Iterator<Item = u64>) -> Result<()> {
    let total = numbers.next().unwrap_or(100_000);
    let batch = numbers.next().unwrap_or(500).clamp(1, 1000);
    let clients = numbers.next().unwrap_or(2).max(1);
    println!("first load of {total} records, batches of {batch}, {clients} clients");
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let bare = super::ingest::bare_upsert(engine, total.min(100_000), batch).await?;
        println!("{engine:?}: bare batched upsert, durable    {bare:>9.0} rows/s   (calibration)");
        one(engine, total, batch, clients, bare).await?;
    }
    Ok(())
}

async fn one(engine: Engine, total: u64, batch: u64, clients: u64, bare: f64) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let place = Place::new(engine).await;
    let postgres = (engine == Engine::Postgres).then(|| place.config().url);
    let suite = Suite::start(&dir.path().join("data"), postgres.as_deref()).await?;
    let mut api = Clients::new(&suite.login().await?);
    for source in SOURCES {
        api.ensure_source(source).await?;
    }
    let start = Instant::now();
    let mut workers = Vec::new();
    for client in 0..clients {
        let channel = suite.login().await?;
        workers.push(tokio::spawn(async move {
            let mut api = Clients::new(&channel);
            let mut from = client * batch;
            while from < total {
                store(&mut api, from..(from + batch).min(total)).await?;
                from += clients * batch;
            }
            anyhow::Ok(())
        }));
    }
    for worker in workers {
        worker.await??;
    }
    let stored = start.elapsed().as_secs_f64();
    println!(
        "{engine:?}: stored, durable                  {:>9.0} records/s",
        total as f64 / stored
    );
    drained(&mut api).await?;
    let seconds = start.elapsed().as_secs_f64();
    let rate = total as f64 / seconds;
    println!(
        "{engine:?}: stored and resolved              {rate:>9.0} records/s   ratio to bare upsert 1:{:.1}; \
         memory now and peak {:?} MiB",
        bare / rate,
        suite.memory().map(|(now, peak)| (now / 1024, peak / 1024))
    );
    suite.kill().await?;
    place.remove().await;
    Ok(())
}

/// Stores records to be resolved later; none may be there already.
pub async fn store(api: &mut Clients, numbers: std::ops::Range<u64>) -> Result<()> {
    let request = IngestSourceRecordsRequest {
        records: numbers.map(|n| record(SEED, n)).collect(),
        resolve_later: true,
        ..Default::default()
    };
    let answer = api.sources.ingest_source_records(request).await?;
    for result in answer.into_inner().results {
        anyhow::ensure!(
            result.outcome() == Outcome::Created,
            "a record was not created: {:?}",
            result.outcome()
        );
    }
    Ok(())
}

/// Waits until the background has resolved everything.
pub async fn drained(api: &mut Clients) -> Result<()> {
    loop {
        let stats = api
            .customers
            .get_customer_stats(GetCustomerStatsRequest {})
            .await?
            .into_inner();
        if stats.pending_records == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
