//! Random histories through customer, pipeline and reporting in the running house, in one process on
//! both engines and in a process for each service: records, new versions, deletions, orders,
//! corrections, leads, opportunities, tasks, visits, merges, unmerges and erasures. Every few steps each
//! opportunity, lead, task and number must stand at the customer where a slow model of everything that
//! was said puts it.
//!
//! `JINKE_SEED` repeats a history; `make soak` runs many.

mod gone;
mod look;
mod model;
mod selling;
mod steps;
mod world;

use std::io::Write as _;

use jinke_kit::client::Credential;
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    apart::{House, Plan},
    suite::{Options, Suite},
};

pub use world::Sales;
use world::World;

/// Steps of one history.
const STEPS: usize = 48;
/// Steps between two looks.
const EVERY: usize = 6;

/// Followers look often here, so that a history does not wait for them.
const SETTINGS: [&str; 2] = [
    "pipeline.follow.poll_milliseconds=20",
    "reporting.feeds.poll_milliseconds=20",
];

async fn history(engine: Engine, seed: u64, steps: usize) {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(engine).await;
    let server = (engine == Engine::Postgres).then(|| place.config().url);
    let options = Options {
        settings: &SETTINGS,
        ..Options::default()
    };
    let data = dir.path().join("data");
    let suite = Suite::start_as(&data, server.as_deref(), &options).await;
    let suite = suite.expect("the suite starts");
    let channel = suite.login().await.expect("logged in");
    happens(World::new(|_| channel.clone(), seed).await, steps).await;
    suite.kill().await.expect("it ends");
    place.remove().await;
}

async fn happens(mut world: World, steps: usize) {
    for step in 1..=steps {
        world.step().await;
        if step % EVERY == 0 || step == steps {
            world.look().await;
        }
    }
}

/// The same with a process for each service, on PostgreSQL.
async fn through_processes(seed: u64, steps: usize) {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(Engine::Postgres).await;
    let mut plan = Plan::new(dir.path(), &place.config().url);
    plan.settings = SETTINGS
        .iter()
        .map(|setting| (setting.split('.').next().unwrap_or_default(), *setting))
        // A long history outlives a usual token.
        .chain([("identity", "identity.tokens.access_seconds=7200")])
        .map(|(of, setting)| (of, setting.to_owned()))
        .collect();
    let house = House::start(plan).await.expect("the house starts");
    let token = house.token().await.expect("a token");
    let to = |service: &str| {
        let credential = Credential::Token(token.clone());
        house.connect(service, credential).expect("a channel")
    };
    happens(World::new(to, seed).await, steps).await;
    house.stop().await.expect("clean ends");
    place.remove().await;
}

fn seed() -> Option<u64> {
    std::env::var("JINKE_SEED").ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_on_the_right_side_on_sqlite() {
    history(Engine::Sqlite, seed().unwrap_or(20_261_122), STEPS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_on_the_right_side_on_postgres() {
    history(Engine::Postgres, seed().unwrap_or(1), STEPS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_on_the_right_side_through_processes() {
    through_processes(seed().unwrap_or(7), STEPS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_everything_is_on_the_right_side() {
    let cases: Option<u64> = std::env::var("JINKE_SOAK")
        .ok()
        .and_then(|n| n.parse().ok());
    let Some(cases) = cases else { return };
    let first = seed().unwrap_or(1);
    // A history is worth about 25 of the cases that other soaks count.
    for case in 0..u64::max(cases / 25, 1) {
        let seed = first + case;
        let _ = writeln!(std::io::stderr(), "sides: JINKE_SEED={seed}");
        match case % 3 {
            0 => history(Engine::Sqlite, seed, 4 * STEPS).await,
            1 => history(Engine::Postgres, seed, 4 * STEPS).await,
            _ => through_processes(seed, 4 * STEPS).await,
        }
    }
}
