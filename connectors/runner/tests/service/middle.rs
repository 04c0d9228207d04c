//! What happens in the middle of a run: a stop between the batches of one page, a reset of its cursor,
//! the end of its connection, a refused version behind a later one.

use std::time::Duration;

use jinke_proto::jinke::connector::v1::{self as pb, run::State};
use jinke_runner::{
    rpc::{connections as api, errors, runs},
    store::connections,
};
use jinke_store::lease;
use jinke_types::{Clock as _, SystemClock};

use crate::world::{World, on_each, until, viewer};

async fn begin(world: &World) -> pb::Run {
    let request = pb::RunConnectionRequest {
        name: "connections/demo".to_owned(),
        ..pb::RunConnectionRequest::default()
    };
    runs::start(world.api.clone(), viewer(), request)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pulled_again_is_counted_once() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 1_200);
        // One page of three batches, whose cursor comes with the last one.
        world.state().page = 1_200;
        world.door.lock().away_behind = Some(1);
        world.connect().await;
        world.start();
        let run = begin(&world).await;
        until(async || {
            let run = world.get(&run.name).await;
            (run.state() == State::Waiting).then_some(())
        })
        .await;
        assert_eq!(world.door.lock().records.len(), 500);
        world.door.lock().away_behind = None;
        let ended = world.ended(&run.name).await;
        assert_eq!(ended.state(), State::Succeeded);
        let people = &ended.streams[0];
        assert_eq!(people.created + people.unchanged, 1_200, "{people:?}");
        assert_eq!(people.done_units, 1_200);
        let done = world.door.lock();
        assert_eq!(done.records.len(), 1_200);
        assert!(done.records.values().all(|versions| versions.len() == 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_under_a_run_is_not_lost() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 200);
        world.state().slow = Duration::from_millis(150);
        world.connect().await;
        world.start();
        let run = begin(&world).await;
        until(async || (world.door.lock().records.len() >= 50).then_some(())).await;
        let reset = pb::ResetCursorRequest {
            name: "connections/demo".to_owned(),
            ..pb::ResetCursorRequest::default()
        };
        let reset = errors::reset_cursor(world.api.clone(), viewer(), reset).await;
        assert_eq!(reset.unwrap().cursor_count, 1);
        world.state().slow = Duration::ZERO;
        let run = world.ended(&run.name).await;
        assert_eq!(run.state(), State::Succeeded);
        let people = &run.streams[0];
        let taken = people.created + people.unchanged;
        assert!(taken >= 250, "it began anew: {people:?}");
        assert!(
            people.notes.iter().any(|n| n.contains("reset")),
            "{people:?}"
        );
        let parent = "connections/demo".to_owned();
        let cursors = pb::ListCursorsRequest { parent };
        let cursors = errors::list_cursors(world.api.clone(), viewer(), cursors).await;
        assert_eq!(cursors.unwrap().cursors[0].cursor, "200");
        assert_eq!(world.door.lock().records.len(), 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_of_a_deleted_connection_leaves_nothing_to_the_next_of_its_name() {
    on_each(async |db| {
        let world = World::over(&db);
        world.connect().await;
        let (term, now) = (Duration::from_secs(60), SystemClock.now());
        let led = db
            .write(async |mut tx| lease::acquire(&mut tx, "connection/demo", "a", term, now).await)
            .await
            .unwrap()
            .unwrap();
        let move_to = async |to: &str| {
            db.write(async |mut tx| {
                lease::guard(&mut tx, &led).await?;
                connections::move_cursor(&mut tx, "demo", "people", (None, to), now).await
            })
            .await
        };
        assert!(move_to("10").await.unwrap());
        let request = pb::DeleteConnectionRequest {
            name: "connections/demo".to_owned(),
            ..pb::DeleteConnectionRequest::default()
        };
        api::delete(world.api.clone(), viewer(), request)
            .await
            .unwrap();
        world.connect().await;
        assert_eq!(move_to("20").await.unwrap_err().reason, "LEASE_LOST");
        let mut reader = db.read().await.unwrap();
        let cursor = connections::cursor(&mut reader, "demo", "people").await;
        assert_eq!(cursor.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_version_is_never_sent_behind_a_later_one() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 10);
        world.door.lock().refused = vec!["p-0003".to_owned()];
        world.connect().await;
        world.start();
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.state(), State::SucceededWithErrors);
        // It is sent again and will be taken, slowly; a pull brings a later version meanwhile.
        {
            let mut door = world.door.lock();
            door.refused.clear();
            door.slow_single = Duration::from_millis(500);
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
        let changed = ("p-0003".to_owned(), "新名".to_owned(), 2_000);
        world.state().rows.push(changed);
        world.rows(10, 15);
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.state(), State::Succeeded, "{run:?}");
        tokio::time::sleep(Duration::from_millis(700)).await;
        let door = world.door.lock();
        let versions = door.arrived.iter().filter(|(id, _)| id == "p-0003");
        let texts: Vec<_> = versions.map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts.last(), Some(&"新名"), "{texts:?}");
    })
    .await;
}
