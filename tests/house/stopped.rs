//! Whoever leads a connection, or holds the resolver's lock, may fall asleep: the others say what
//! is, go on when the lease or the transaction ends, and what the sleeper does when it wakes up
//! harms nothing.

use std::time::Duration;

use jinke_kit::client::Credential;
use jinke_proto::jinke::{
    connector::v1::run::State,
    customer::v1::{GetCustomerStatsRequest, ListCustomersRequest},
};
use jinke_runner::{simulate::Simulation, store::MIGRATIONS};
use jinke_store::{Database, Engine, args, testing::Place};
use jinke_tests::{
    apart::{House, Plan, Proxy, http, proxy},
    suite::{Authed, Clients},
};
use tonic::Code;

use crate::{
    load::{Load, nothing_happened, send, sources},
    runs::{Connector, calmly, left, taken},
};

/// Within this everything must be well again.
const HEALS: Duration = Duration::from_secs(120);
/// How long a connection is led without word of its leader. Long enough that a look at the other
/// replica comes before its end also on a busy machine.
const LEASE: Duration = Duration::from_secs(8);
/// How long a transaction of the customer service may sleep.
const IDLE: Duration = Duration::from_secs(4);

async fn two_of_each(dir: &std::path::Path, place: &Place) -> House {
    let mut plan = Plan::new(dir, &place.config().url);
    plan.replicas = 2;
    let set = |of: &'static str, text: String| (of, text);
    let idle = IDLE.as_secs();
    plan.settings = vec![
        set("customer", format!("customer.database.idle_seconds={idle}")),
        set("customer", "customer.database.lock_seconds=1".to_owned()),
        set(
            "connector",
            "connector.runs.poll_milliseconds=100".to_owned(),
        ),
        set(
            "connector",
            format!("connector.runs.lease_seconds={}", LEASE.as_secs()),
        ),
        set(
            "connector",
            "connector.runs.first_wait_seconds=1".to_owned(),
        ),
    ];
    House::start(plan).await.expect("the house starts")
}

async fn to(house: &House, name: &str) -> Authed {
    let url = format!("https://127.0.0.1:{}", house.processes[name].grpc);
    let token = Credential::Token(house.token().await.expect("a token"));
    house.connect_to(&url, token).expect("a channel")
}

/// Whether a replica of the connector service leads a connection.
async fn leads(house: &House, name: &str) -> bool {
    let (_, text) = http::get_plain(house.processes[name].admin, "/metrics")
        .await
        .expect("metrics");
    text.contains("jinke_connector_leading 1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_sleeps_is_followed_and_saves_nothing_when_it_wakes_up() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(Engine::Postgres).await;
    let mut house = two_of_each(dir.path(), &place).await;
    let simulation = Simulation::start("tryton", "127.0.0.1:0", 500).await;
    let simulation = simulation.expect("a foreign system");
    let host = proxy::host_of(&simulation.url).expect("a URL");
    let foreign = Proxy::start(&host).await.expect("a proxy");
    foreign.pace(Duration::from_millis(60));
    let url = simulation
        .url
        .replacen(&host, &foreign.address().to_string(), 1);
    let mut any = Connector::new(&to(&house, "connector-0").await);
    any.create(&simulation, &url, 20).await;
    let name = any.begin().await;
    let under_way = async |of: &mut Connector, more: i64| {
        let began = tokio::time::Instant::now();
        loop {
            let run = of.get(&name).await.expect("a run");
            assert_eq!(run.end_time, None, "{run:?}");
            if taken(&run) >= more {
                return run;
            }
            assert!(began.elapsed() < HEALS, "it does not go on: {run:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    under_way(&mut any, 60).await;
    let (leader, other) = if leads(&house, "connector-0").await {
        ("connector-0", "connector-1")
    } else {
        ("connector-1", "connector-0")
    };
    let mut watcher = Connector::new(&to(&house, other).await);
    let process = house.at(leader);
    let stopped = tokio::time::Instant::now();
    process.signal("STOP").await.expect("stop");
    // Until the lease ends the run is as the leader left it, and the other says so. The lease may
    // have been renewed up to a third of it ago.
    let run = watcher.get(&name).await.expect("a run");
    assert_eq!(run.state(), State::Running, "{run:?}");
    if stopped.elapsed() < LEASE / 2 {
        assert_eq!(run.attempts, 1, "{run:?}");
    }
    let left_at = taken(&run);
    assert!(house.at(leader).is_silent().await);
    let process = house.at(other);
    process
        .until_ready(HEALS)
        .await
        .expect("it has no part in it");
    let run = under_way(&mut watcher, left_at + 60).await;
    assert_eq!((run.state(), run.attempts), (State::Running, 2), "{run:?}");
    assert!(leads(&house, other).await);
    // The sleeper wakes up in the middle of what it did, and finds that it does not lead any more.
    house.at(leader).signal("CONT").await.expect("continue");
    let process = house.at(leader);
    process.until_ready(HEALS).await.expect("well again");
    let waited = tokio::time::timeout(HEALS, async {
        while leads(&house, leader).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.expect("it notices");
    foreign.pace(Duration::ZERO);
    let run = watcher.ended(&name).await;
    assert_eq!(
        (run.state(), run.attempts),
        (State::Succeeded, 2),
        "{run:?}"
    );
    let mut api = house.clients().await.expect("login");
    let found = left(&mut watcher, &mut api, &run).await;
    house.stop().await.expect("clean ends");
    place.remove().await;
    found.is(&calmly(dir.path(), &simulation).await);
}

/// Whether calls wait for the resolver's lock behind a transaction that does nothing.
async fn held_by_a_sleeper(probe: &Database) -> bool {
    let mut reader = probe.read().await.expect("a connection");
    let row = reader
        .fetch_one(
            "SELECT COUNT(*) AS n FROM pg_stat_activity waiting \
             WHERE waiting.query LIKE '%jinke_locks%' AND EXISTS (\
             SELECT 1 FROM pg_stat_activity holder \
             WHERE holder.pid = ANY(pg_blocking_pids(waiting.pid)) \
             AND holder.state = 'idle in transaction' \
             AND holder.state_change < clock_timestamp() - INTERVAL '400 milliseconds')",
            args![],
        )
        .await;
    row.expect("a count").i64("n").expect("a number") > 0
}

/// Stops a replica until it is one that holds the lock, and others wait for it.
async fn stop_the_holder(house: &mut House, name: &str, probe: &Database) {
    for attempt in 1..=100 {
        house.at(name).signal("STOP").await.expect("stop");
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if held_by_a_sleeper(probe).await {
                return;
            }
        }
        house.at(name).signal("CONT").await.expect("continue");
        // Another moment of its work each time.
        tokio::time::sleep(Duration::from_millis(30 + attempt % 7 * 11)).await;
    }
    panic!("it never slept with the lock");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_of_the_resolver_lock_that_sleeps_holds_nobody_up_for_long() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(Engine::Postgres).await;
    let mut house = two_of_each(dir.path(), &place).await;
    let mut config = place.config();
    config.schema = Some("probe".to_owned());
    let probe = Database::open(config, &MIGRATIONS).await.expect("a probe");
    let mut other = Clients::new(&to(&house, "customer-1").await);
    sources(&mut other).await;
    let over = [
        Clients::new(&to(&house, "customer-0").await),
        Clients::new(&to(&house, "customer-1").await),
    ];
    let load = Load::start(over.into());
    load.goes_on(4, HEALS, "the start").await;
    // One that wakes up in time goes on as if it had not slept; one that does not loses its
    // transaction, and the other goes on while it still sleeps.
    for wakes_in_time in [true, false] {
        stop_the_holder(&mut house, "customer-0", &probe).await;
        assert!(house.at("customer-0").is_silent().await);
        // Who waits says that it waits; whoever only reads does not.
        let stats = other
            .customers
            .get_customer_stats(GetCustomerStatsRequest {});
        stats.await.expect("reads need no lock");
        let list = other
            .customers
            .list_customers(ListCustomersRequest::default());
        let list = list.await.expect("reads need no lock").into_inner();
        assert!(!list.customers.is_empty());
        let process = house.at("customer-1");
        process.until_ready(HEALS).await.expect("it only waits");
        if !wakes_in_time {
            // A call waits for the lock no longer than it may, and hears that it may come again.
            if let Err(status) = send(&mut other, 0, 5).await {
                let passing = [Code::Unavailable, Code::Aborted, Code::DeadlineExceeded];
                assert!(passing.contains(&status.code()), "{status:?}");
            }
            load.goes_on(3, HEALS, "the sleeper lost the lock").await;
            assert!(!held_by_a_sleeper(&probe).await);
            assert!(house.at("customer-0").is_silent().await, "it sleeps on");
        }
        house
            .at("customer-0")
            .signal("CONT")
            .await
            .expect("continue");
        let process = house.at("customer-0");
        process.until_ready(HEALS).await.expect("well again");
        load.goes_on(6, HEALS, "it woke up").await;
    }
    let count = load.end().await;
    nothing_happened(&mut other, dir.path(), count).await;
    probe.close().await;
    house.stop().await.expect("clean ends");
    place.remove().await;
}
