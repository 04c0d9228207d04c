//! One leader at a time, and what a lost lease and a killed process leave.

use std::{sync::Arc, time::Duration};

use jinke_proto::jinke::connector::v1::{self as pb, run::State};
use jinke_runner::{
    rpc::runs,
    store::{MIGRATIONS, connections},
    work,
};
use jinke_store::{Database, Engine, keys::KeyRing, lease, testing::Place};
use jinke_types::{Clock as _, OsEntropy, SystemClock};

use crate::world::{FakeDoor, World, on_each, replica, system, until, viewer};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_one_leads_and_a_killed_one_is_followed() {
    let place = Place::new(Engine::Postgres).await;
    let open = async || Database::open(place.config(), &MIGRATIONS).await.unwrap();
    let (one, two) = (open().await, open().await);
    let ring = Arc::new(KeyRing::in_memory(&OsEntropy));
    let door = FakeDoor::default();
    let clock: Arc<dyn jinke_types::Clock> = Arc::new(SystemClock);
    let mut world = World::over(&one);
    world.api = replica(&one, &ring, &door, clock.clone());
    world.door = door.clone();
    let other = replica(&two, &ring, &door, clock);
    world.rows(0, 400);
    world.state().slow = Duration::from_millis(120);
    world.connect().await;
    let first = tokio::spawn(work::supervise(world.api.core.clone()));
    let second = tokio::spawn(work::supervise(other.core.clone()));
    let request = pb::RunConnectionRequest {
        name: "connections/demo".to_owned(),
        ..pb::RunConnectionRequest::default()
    };
    let run = runs::start(world.api.clone(), viewer(), request)
        .await
        .unwrap();
    until(async || (door.lock().records.len() > 60).then_some(())).await;
    // Whichever leads is killed: it gives nothing back.
    let leader = {
        let mut reader = one.read().await.unwrap();
        let row = reader
            .fetch_one(
                "SELECT holder FROM jinke_leases WHERE name = 'connection/demo'",
                jinke_store::args![],
            )
            .await
            .unwrap();
        row.text("holder").unwrap()
    };
    let before = door.lock().records.len();
    if leader == world.api.core.holder() {
        first.abort();
    } else {
        assert_eq!(leader, other.core.holder());
        second.abort();
    }
    world.state().slow = Duration::ZERO;
    let ended = world.ended(&run.name).await;
    assert_eq!((ended.state(), ended.attempts), (State::Succeeded, 2));
    assert!(before < 400, "it was killed in the middle");
    {
        let all = door.lock();
        assert_eq!(all.records.len(), 400);
        assert!(
            all.records.values().all(|versions| versions.len() == 1),
            "once in effect"
        );
    }
    assert_eq!(
        system(&world.name).lock().unwrap().most_pulling,
        1,
        "one leader at a time"
    );
    world.api.core.shutdown.trigger();
    other.core.shutdown.trigger();
    let _ = (first.await, second.await);
    one.close().await;
    two.close().await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_lost_its_lease_saves_no_cursor() {
    on_each(async |db| {
        let world = World::over(&db);
        world.connect().await;
        let term = Duration::from_secs(5);
        let at = SystemClock.now();
        let take = async |holder: &str, now| {
            db.write(async |mut tx| {
                lease::acquire(&mut tx, "connection/demo", holder, term, now).await
            })
            .await
            .unwrap()
        };
        let old = take("a", at).await.unwrap();
        assert_eq!(take("b", at).await, None);
        let new = take("b", at.plus(term)).await.unwrap();
        let save = async |held: &lease::Lease, cursor: &str| {
            db.write(async |mut tx| {
                lease::guard(&mut tx, held).await?;
                let way = (None, cursor);
                connections::move_cursor(&mut tx, "demo", "people", way, at).await
            })
            .await
        };
        assert!(save(&new, "20").await.unwrap());
        assert_eq!(save(&old, "10").await.unwrap_err().reason, "LEASE_LOST");
        let mut reader = db.read().await.unwrap();
        let cursor = connections::cursor(&mut reader, "demo", "people").await;
        assert_eq!(cursor.unwrap().as_deref(), Some("20"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_gives_its_work_back_at_once() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 200);
        world.state().slow = Duration::from_millis(250);
        world.connect().await;
        let supervising = tokio::spawn(work::supervise(world.api.core.clone()));
        let request = pb::RunConnectionRequest {
            name: "connections/demo".to_owned(),
            ..pb::RunConnectionRequest::default()
        };
        let run = runs::start(world.api.clone(), viewer(), request)
            .await
            .unwrap();
        until(async || (world.door.lock().records.len() > 20).then_some(())).await;
        world.api.core.shutdown.trigger();
        supervising.await.unwrap();
        let delivered = world.door.lock().records.len();
        assert!(delivered < 200, "it did not wait for the end of the run");
        let free = db
            .write(async |mut tx| {
                let (term, now) = (Duration::from_secs(1), SystemClock.now());
                lease::acquire(&mut tx, "connection/demo", "next", term, now).await
            })
            .await
            .unwrap();
        assert!(free.is_some(), "the lease was given back");
        assert_eq!(
            world.get(&run.name).await.end_time,
            None,
            "the run goes on elsewhere"
        );
        let _ = &mut world;
    })
    .await;
}
