//! `bench ingest [records] [batch] [clients]`: sustained ingest through gRPC on both engines, beside
//! a bare batched upsert in the same run.

use std::{sync::Arc, time::Instant};

use anyhow::Result;
use jinke_proto::jinke::customer::v1::{
    GetCustomerStatsRequest, IngestSourceRecordsRequest, ingest_result::Outcome,
};
use jinke_store::{Database, Engine, Rows, args, testing::Place};
use jinke_tests::{
    companies::{SOURCES, record},
    suite::{Clients, Suite},
};
use tokio::sync::Mutex;

use super::SEED;

/// Takes records in on both engines, each beside a bare upsert.
pub async fn run(mut numbers: impl Iterator<Item = u64>) -> Result<()> {
    let total = numbers.next().unwrap_or(100_000);
    let batch = numbers.next().unwrap_or(500).clamp(1, 1000);
    let clients = numbers.next().unwrap_or(2).max(1);
    println!("{total} records, batches of {batch}, {clients} clients, 5 records make 2 companies");
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let bare = bare_upsert(engine, total.min(100_000), batch).await?;
        println!("{engine:?}: bare batched upsert, durable    {bare:>9.0} rows/s   (calibration)");
        ingest(engine, total, batch, clients, bare).await?;
    }
    Ok(())
}

/// Rows/s of an upsert of 12 columns in batches, one commit a batch, into an empty table.
pub async fn bare_upsert(engine: Engine, total: u64, batch: u64) -> Result<f64> {
    const COLUMNS: &[&str] = &["id", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    let place = Place::new(engine).await;
    let db = Database::open(place.config(), &jinke_customer::store::MIGRATIONS).await?;
    db.write(async |mut tx| {
        tx.execute(
            "CREATE TABLE bare (id BIGINT PRIMARY KEY, a TEXT, b TEXT, c TEXT, d TEXT, e TEXT, \
             f TEXT, g TEXT, h TEXT, i TEXT, j BIGINT, k BIGINT)",
            args![],
        )
        .await?;
        Ok(())
    })
    .await?;
    let start = Instant::now();
    let mut id = 0;
    while id < total {
        let until = (id + batch).min(total);
        db.write(async |mut tx| {
            let mut rows = Rows::new(COLUMNS);
            for n in id..until {
                rows.push(args![
                    n as i64,
                    format!("深圳市第{n}科技有限公司"),
                    format!("9144030{n:011}"),
                    format!("138{n:08}"),
                    format!("office{n}@example.cn"),
                    "广东省",
                    "深圳市",
                    "南山区",
                    format!("科苑路{n}号"),
                    "source",
                    n as i64,
                    1_i64
                ]);
            }
            tx.insert_many(
                "bare",
                rows,
                "ON CONFLICT (id) DO UPDATE SET a = excluded.a, b = excluded.b, k = excluded.k",
            )
            .await?;
            Ok(())
        })
        .await?;
        id = until;
    }
    let rate = total as f64 / start.elapsed().as_secs_f64();
    db.close().await;
    place.remove().await;
    Ok(rate)
}

async fn ingest(engine: Engine, total: u64, batch: u64, clients: u64, bare: f64) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let place = Place::new(engine).await;
    let postgres = (engine == Engine::Postgres).then(|| place.config().url);
    let suite = Suite::start(&dir.path().join("data"), postgres.as_deref()).await?;
    let channel = suite.login().await?;
    for source in SOURCES {
        Clients::new(&channel).ensure_source(source).await?;
    }
    let next = Arc::new(Mutex::new(0_u64));
    let done = Arc::new(Mutex::new(Vec::<(f64, u64)>::new()));
    let start = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..clients {
        let (next, done, channel) = (next.clone(), done.clone(), suite.login().await?);
        workers.push(tokio::spawn(async move {
            let mut api = Clients::new(&channel);
            loop {
                let from = {
                    let mut next = next.lock().await;
                    let from = *next;
                    *next = (from + batch).min(total);
                    from
                };
                if from >= total {
                    return anyhow::Ok(());
                }
                let until = (from + batch).min(total);
                let records: Vec<_> = (from..until).map(|n| record(SEED, n)).collect();
                let request = IngestSourceRecordsRequest {
                    records,
                    ..IngestSourceRecordsRequest::default()
                };
                let answer = api
                    .sources
                    .ingest_source_records(request)
                    .await?
                    .into_inner();
                for result in &answer.results {
                    anyhow::ensure!(
                        result.outcome() == Outcome::Created,
                        "a record was not created: {:?}",
                        result.outcome()
                    );
                }
                done.lock()
                    .await
                    .push((start.elapsed().as_secs_f64(), until - from));
            }
        }));
    }
    for worker in workers {
        worker.await??;
    }
    let seconds = start.elapsed().as_secs_f64();
    let mut done = Arc::into_inner(done).expect("workers ended").into_inner();
    done.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rate = total as f64 / seconds;
    println!(
        "{engine:?}: ingest, durable and resolved       {rate:>9.0} records/s   ratio to bare upsert 1:{:.1}",
        bare / rate
    );
    let fifth = (total / 5).max(1);
    let window = |from: u64, to: u64| -> f64 {
        let (mut count, mut begin, mut end) = (0, 0.0, 0.0);
        for (at, n) in &done {
            if count <= from {
                begin = *at;
            }
            count += n;
            end = *at;
            if count >= to {
                break;
            }
        }
        (to - from) as f64 / (end - begin).max(1e-9)
    };
    let (first, last) = (window(0, fifth), window(total - fifth, total));
    println!(
        "{engine:?}: first {fifth} at {first:.0}/s, last {fifth} at {last:.0}/s ({:+.0} %)",
        (last / first - 1.0) * 100.0
    );
    let mut api = Clients::new(&channel);
    let stats = api
        .customers
        .get_customer_stats(GetCustomerStatsRequest {})
        .await?
        .into_inner();
    println!(
        "{engine:?}: {} customers, {} records merged, {} reviews; memory now and peak {:?} MiB",
        stats.organizations,
        stats.merged_records,
        stats.open_reviews,
        suite.memory().map(|(now, peak)| (now / 1024, peak / 1024))
    );
    suite.kill().await?;
    place.remove().await;
    Ok(())
}
