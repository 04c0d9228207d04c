//! `bench pipeline [opportunities] [requests/s] [seconds]`: board, list and inbox through gRPC at a
//! steady rate, beside a bare indexed query on the same database.
//!
//! Requests are sent when their time comes, whether or not earlier ones were answered, and are
//! timed from that moment: a server that falls behind shows it. A call that fails, or a p99 of ours
//! above fifty milliseconds, fails the benchmark, after it has printed everything.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use jinke_kit::Bearer;
use jinke_pipeline::{
    access::Viewer,
    config::{DeliverySection, FollowSection, TimersSection},
    domain::{Lead, Money, Opportunity, Task, TaskPrivate},
    engine::{By, Core, pipelines::Processes},
    outside::{Customers, Found, Known, Message, Messenger, Moves},
    store::MIGRATIONS,
};
use jinke_proto::jinke::pipeline::v1::{
    GetBoardRequest, ListOpportunitiesRequest, ListTasksRequest,
    opportunity_service_client::OpportunityServiceClient, task_service_client::TaskServiceClient,
};
use jinke_store::{
    Database, DatabaseConfig, Engine, args,
    keys::{KeyFiles, KeyRing},
    testing::Place,
};
use jinke_tests::suite::Suite;
use jinke_types::{Code, Failure, OsEntropy, SystemClock, Timestamp};

const STAGES: [&str; 6] = [
    "discovery",
    "contact",
    "analysis",
    "proposal",
    "negotiation",
    "signing",
];
/// Owners share the opportunities.
const OWNERS: usize = 100;
const BATCH: usize = 1_000;
/// Milliseconds that 99 of 100 answers may take.
const P99: f64 = 50.0;

/// Nobody is asked while the data is made.
struct Nobody;

fn nobody<T>() -> Result<T, Failure> {
    Err(Failure::new(Code::Unavailable, "PEER_UNKNOWN", "nobody"))
}

#[tonic::async_trait]
impl Customers for Nobody {
    async fn get(&self, _: Option<&Bearer>, _: i64) -> Result<Known, Failure> {
        nobody()
    }
    async fn find(&self, _: &Lead) -> Result<Found, Failure> {
        nobody()
    }
    async fn register(&self, _: &Lead) -> Result<Known, Failure> {
        nobody()
    }
    async fn changes(&self, _: &str, _: i32) -> Result<Moves, Failure> {
        nobody()
    }
}

#[tonic::async_trait]
impl Messenger for Nobody {
    async fn send(&self, _: &str, _: &Message) -> Result<(), Failure> {
        nobody()
    }
}

/// Runs it on both engines.
pub async fn run(mut numbers: impl Iterator<Item = u64>) -> Result<()> {
    let total = usize::try_from(numbers.next().unwrap_or(100_000))?;
    let rate = numbers.next().unwrap_or(200).max(1);
    let seconds = numbers.next().unwrap_or(20).max(1);
    println!("{total} opportunities, {OWNERS} owners, {rate} requests/s for {seconds} s each");
    let mut wrong = Vec::new();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        wrong.extend(one(engine, total, rate, seconds).await?);
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// What was not as promised.
async fn one(engine: Engine, total: usize, rate: u64, seconds: u64) -> Result<Vec<String>> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    std::fs::create_dir_all(&data)?;
    let place = Place::new(engine).await;
    let server = (engine == Engine::Postgres).then(|| place.config().url);
    let began = Instant::now();
    let bare = prepare(&data, server.as_deref(), total, rate, seconds).await?;
    let made = began.elapsed().as_secs_f64();
    println!("{engine:?}: made in {made:.0} s");
    let mut wrong = Vec::new();
    // How fast a bare query is tells of the machine: nothing is promised of it.
    wrong.extend(report(
        engine,
        "bare indexed query (calibration)",
        bare,
        f64::MAX,
    ));

    let suite = Suite::start(&data, server.as_deref()).await?;
    let channel = suite.login().await?;
    let board = OpportunityServiceClient::new(channel.clone());
    let list = board.clone();
    let inbox = TaskServiceClient::new(channel);
    let times = steady(rate, seconds, |n| {
        let (mut board, owner) = (board.clone(), owner(n));
        async move {
            let request = GetBoardRequest {
                pipeline: "pipelines/default".to_owned(),
                owner: if n % 2 == 0 { owner } else { String::new() },
                cards_per_stage: 0,
            };
            board.get_board(request).await.map(drop).is_ok()
        }
    })
    .await;
    wrong.extend(report(engine, "board", times, P99));
    let times = steady(rate, seconds, |n| {
        let (mut list, owner) = (list.clone(), owner(n));
        async move {
            let request = ListOpportunitiesRequest {
                page_size: 50,
                filter: format!("owner = \"{owner}\" AND outcome = OPEN"),
                ..Default::default()
            };
            list.list_opportunities(request).await.map(drop).is_ok()
        }
    })
    .await;
    wrong.extend(report(engine, "list of 50", times, P99));
    let times = steady(rate, seconds, |n| {
        let (mut inbox, owner) = (inbox.clone(), owner(n));
        async move {
            let request = ListTasksRequest {
                page_size: 50,
                filter: format!("owner = \"{owner}\" AND state = OPEN"),
                ..Default::default()
            };
            inbox.list_tasks(request).await.map(drop).is_ok()
        }
    })
    .await;
    wrong.extend(report(engine, "inbox of 50", times, P99));
    suite.kill().await?;
    place.remove().await;
    Ok(wrong)
}

fn owner(n: usize) -> String {
    format!("users/o{}", n * 7 % OWNERS)
}

/// Fills the database the suite will open, and times a bare query on it.
async fn prepare(
    data: &Path,
    server: Option<&str>,
    total: usize,
    rate: u64,
    seconds: u64,
) -> Result<Times> {
    let url = server.map_or_else(
        || format!("sqlite:{}", data.join("pipeline.db").display()),
        str::to_owned,
    );
    let mut config = DatabaseConfig::new("pipeline", url);
    config.schema = server.map(|_| "pipeline".to_owned());
    let db = Database::open(config, &MIGRATIONS).await?;
    let folder = data.join("keys").join("pipeline");
    let ring = Arc::new(KeyRing::open_or_create(
        &KeyFiles::in_folder(&folder),
        &OsEntropy,
    )?);
    db.write(async |mut tx| ring.check(&mut tx).await).await?;
    let core = Core {
        db: db.clone(),
        ring,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        customers: Arc::new(Nobody),
        messenger: Arc::new(Nobody),
        timers: TimersSection {
            poll_milliseconds: 1_000,
            batch: 200,
            late_hours: 168,
        },
        delivery: DeliverySection {
            connection: String::new(),
            attempts: 1,
            pause_seconds: 1,
        },
        follow: FollowSection {
            poll_milliseconds: 500,
            page: 100,
        },
        processes: Processes::default(),
    };
    core.ensure_default().await?;
    let viewer = Viewer::service();
    let by = By {
        viewer: &viewer,
        request: None,
    };
    let mut at = 0;
    while at < total {
        let until = (at + BATCH).min(total);
        let batch = (at..until).map(opportunity).collect();
        core.create_opportunities(&by, batch).await?;
        let tasks = (at..until).filter(|n| n % 2 == 0).map(task).collect();
        core.create_tasks(&by, tasks).await?;
        at = until;
    }
    let times = steady(rate, seconds, |n| {
        let (db, owner) = (db.clone(), owner(n));
        async move {
            let Ok(mut reader) = db.read().await else {
                return false;
            };
            let sql = "SELECT id, display_name FROM opportunities WHERE owner = $1 \
                       AND outcome = 1 ORDER BY id LIMIT 50";
            reader.fetch_all(sql, args![owner]).await.is_ok()
        }
    })
    .await;
    db.close().await;
    Ok(times)
}

fn opportunity(n: usize) -> (Opportunity, String) {
    let customer = i64::try_from(n / 3 + 1).unwrap_or(1);
    let o = Opportunity {
        display_name: format!("第 {n} 号商机"),
        customer,
        current: customer,
        pipeline: "default".to_owned(),
        amount: Some(Money {
            currency: "CNY".to_owned(),
            amount: i64::try_from(1_000 + n % 90_000).unwrap_or_default().into(),
        }),
        close_date: Some(format!("2026-{:02}-{:02}", 1 + n % 12, 1 + n % 28)),
        owner: owner(n),
        org_unit: format!("orgUnits/u{}", n % 10),
        ..Opportunity::default()
    };
    (o, STAGES[n % STAGES.len()].to_owned())
}

fn task(n: usize) -> Task {
    let due = 1_790_000_000 + i64::try_from(n).unwrap_or_default() * 60;
    Task {
        kind: 1,
        priority: 2,
        owner: owner(n),
        org_unit: format!("orgUnits/u{}", n % 10),
        due_time: Timestamp::from_secs(due),
        private: TaskPrivate {
            subject: format!("回访第 {n} 号客户"),
            ..TaskPrivate::default()
        },
        ..Task::default()
    }
}

/// Milliseconds of each answer, and how many failed.
struct Times {
    millis: Vec<f64>,
    failed: usize,
}

/// Sends `rate` requests a second for `seconds`.
async fn steady<F>(rate: u64, seconds: u64, send: impl Fn(usize) -> F) -> Times
where
    F: Future<Output = bool> + Send + 'static,
{
    let times = Arc::new(Mutex::new(Times {
        millis: Vec::new(),
        failed: 0,
    }));
    let began = Instant::now();
    let mut running = Vec::new();
    let count = rate * seconds;
    for n in 0..count {
        let due = Duration::from_secs_f64(n as f64 / rate as f64);
        tokio::time::sleep_until((began + due).into()).await;
        let (work, times) = (send(usize::try_from(n).unwrap_or_default()), times.clone());
        running.push(tokio::spawn(async move {
            let ok = work.await;
            let took = began.elapsed().saturating_sub(due).as_secs_f64() * 1_000.0;
            let mut times = times.lock().expect("nobody panics with it");
            times.millis.push(took);
            times.failed += usize::from(!ok);
        }));
    }
    for work in running {
        let _ = work.await;
    }
    let mut times = times.lock().expect("nobody panics with it");
    times.millis.sort_by(f64::total_cmp);
    Times {
        millis: std::mem::take(&mut times.millis),
        failed: times.failed,
    }
}

/// Prints the times; says what was not as promised.
fn report(engine: Engine, what: &str, times: Times, most: f64) -> Option<String> {
    let at = |part: f64| {
        let last = times.millis.len().saturating_sub(1);
        let index = (last as f64 * part) as usize;
        times.millis.get(index).copied().unwrap_or_default()
    };
    println!(
        "{engine:?}: {what:<34} p50 {:>7.2} ms   p99 {:>7.2} ms   max {:>7.2} ms   failed {}",
        at(0.5),
        at(0.99),
        at(1.0),
        times.failed
    );
    let late = at(0.99) > most;
    let failed = times.failed > 0 || times.millis.is_empty();
    (late || failed).then(|| {
        format!(
            "{engine:?}: {what}: p99 {:.2} ms, {} calls failed",
            at(0.99),
            times.failed
        )
    })
}
