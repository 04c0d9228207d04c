//! Runs: everything once, errors kept, pauses, schedules.

use std::{sync::Arc, time::Duration};

use jinke_proto::jinke::connector::v1::{self as pb, run::State};
use jinke_runner::rpc::{connections, errors, runs};
use jinke_types::{FieldMask, ManualClock, Timestamp};

use crate::world::{World, on_each, until, viewer};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_delivers_everything_once_and_the_next_one_only_what_is_new() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 95);
        world.connect().await;
        world.start();
        // The customer service is away for the first two calls, the foreign system in the middle.
        world.door.lock().away = 2;
        world.state().away = 1;
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.state(), State::Succeeded, "{run:?}");
        let people = &run.streams[0];
        assert_eq!(
            (people.created, people.done_units, people.total_units),
            (95, 95, 95)
        );
        assert!(run.retries >= 2 && run.attempts >= 2, "{run:?}");
        assert_eq!(world.door.lock().records.len(), 95);
        assert!(world.door.lock().records.values().all(|v| v.len() == 1));
        let pages = world.state().pages;
        world.rows(95, 100);
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.streams[0].created, 5);
        assert_eq!(world.state().pages, pages + 1, "only what is new is pulled");
        // A reset pulls everything again, and everything is known.
        let reset = pb::ResetCursorRequest {
            name: "connections/demo".to_owned(),
            ..pb::ResetCursorRequest::default()
        };
        let reset = errors::reset_cursor(world.api.clone(), viewer(), reset).await;
        assert_eq!(reset.unwrap().cursor_count, 1);
        // The stream is shown without a cursor, with what is known of it.
        let parent = "connections/demo".to_owned();
        let cursors = pb::ListCursorsRequest { parent };
        let list = || errors::list_cursors(world.api.clone(), viewer(), cursors.clone());
        let found = list().await.unwrap().cursors;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].stream.as_str(), found[0].cursor.as_str()),
            ("people", "")
        );
        assert_eq!(
            (found[0].known_records, &found[0].update_time),
            (100, &None)
        );
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!((run.streams[0].created, run.streams[0].unchanged), (0, 100));
        let found = list().await.unwrap().cursors;
        assert_eq!(
            (found[0].cursor.as_str(), found[0].known_records),
            ("100", 100)
        );
        assert!(found[0].update_time.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_is_kept_sent_again_and_in_the_end_a_dead_letter() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 30);
        // One is accepted when it is sent again, the other never.
        world.door.lock().refused_once = vec!["p-0003".to_owned()];
        world.door.lock().refused = vec!["p-0007".to_owned()];
        world.connect().await;
        world.start();
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.state(), State::SucceededWithErrors);
        assert_eq!((run.streams[0].created, run.streams[0].rejected), (28, 2));
        let api = &world.api;
        let letters = || async {
            let request = pb::ListDeadLettersRequest {
                parent: "connections/demo".to_owned(),
                ..pb::ListDeadLettersRequest::default()
            };
            let found = errors::list_letters(api.clone(), viewer(), request).await;
            found.unwrap().dead_letters
        };
        let dead = until(async || letters().await.into_iter().next()).await;
        assert_eq!((dead.external_id.as_str(), dead.attempts), ("p-0007", 3));
        assert_eq!(dead.reason, "INVALID_FIELD");
        assert!(world.door.lock().records.contains_key("p-0003"));
        let request = pb::ListRecordErrorsRequest {
            parent: "connections/demo".to_owned(),
            ..pb::ListRecordErrorsRequest::default()
        };
        let left = errors::list(api.clone(), viewer(), request).await.unwrap();
        assert_eq!(left.record_errors, vec![]);
        // It can be looked at, as far as the viewer may.
        let name = dead.name.clone();
        let look = async |mask| {
            let mut viewer = viewer();
            viewer.mask = mask;
            let request = pb::GetDeadLetterRequest { name: name.clone() };
            let found = errors::get_letter(api.clone(), viewer, request).await;
            found.unwrap().record.unwrap().values.remove(0)
        };
        assert_eq!(look(FieldMask::all()).await.text, "张7");
        let hidden = look(FieldMask::of([])).await;
        assert!(hidden.text.is_empty() && hidden.hidden);
        // And sent again.
        world.door.lock().refused.clear();
        let request = pb::RetryDeadLetterRequest {
            name: dead.name.clone(),
            request_id: "again".to_owned(),
        };
        for _ in 0..2 {
            errors::retry_letter(api.clone(), viewer(), request.clone())
                .await
                .unwrap();
        }
        until(async || {
            world
                .door
                .lock()
                .records
                .contains_key("p-0007")
                .then_some(())
        })
        .await;
        assert_eq!(letters().await, vec![]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_end_in_a_clear_state_until_they_are_right() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 5);
        let made = world.connect().await;
        world.start();
        world.state().unauthorized = true;
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(
            (run.state(), run.attempts),
            (State::Failed, 1),
            "one login, no more"
        );
        let get = || {
            connections::get(
                world.api.clone(),
                viewer(),
                pb::GetConnectionRequest {
                    name: made.name.clone(),
                },
            )
        };
        let problem = get().await.unwrap().problem.expect("somebody has to act");
        assert_eq!(problem.code, 16);
        world.state().unauthorized = false;
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.state(), State::Succeeded);
        assert_eq!(get().await.unwrap().problem, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_a_run_and_resuming_goes_on_where_it_stood() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 300);
        world.state().slow = Duration::from_millis(150);
        let made = world.connect().await;
        world.start();
        let run = start(&world, "").await;
        until(async || (world.get(&run.name).await.streams.first()?.created > 20).then_some(()))
            .await;
        let pause = pb::PauseConnectionRequest {
            name: made.name.clone(),
            ..pb::PauseConnectionRequest::default()
        };
        connections::pause(world.api.clone(), viewer(), pause)
            .await
            .unwrap();
        until(async || (world.get(&run.name).await.state() == State::Queued).then_some(())).await;
        let delivered = world.door.lock().records.len();
        assert!(delivered < 300, "it stopped in the middle");
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(world.door.lock().records.len(), delivered, "and stays so");
        let refused = runs::start(world.api.clone(), viewer(), asked(""))
            .await
            .unwrap_err();
        assert_eq!(refused.reason, "CONNECTION_PAUSED");
        world.state().slow = Duration::ZERO;
        let resume = pb::ResumeConnectionRequest {
            name: made.name,
            ..pb::ResumeConnectionRequest::default()
        };
        connections::resume(world.api.clone(), viewer(), resume)
            .await
            .unwrap();
        let run = world.ended(&run.name).await;
        assert_eq!(run.state(), State::Succeeded);
        let done = world.door.lock();
        assert_eq!(done.records.len(), 300);
        assert!(done.records.values().all(|versions| versions.len() == 1));
    })
    .await;
}

fn asked(request_id: &str) -> pb::RunConnectionRequest {
    pb::RunConnectionRequest {
        name: "connections/demo".to_owned(),
        request_id: request_id.to_owned(),
        ..pb::RunConnectionRequest::default()
    }
}

async fn start(world: &World, request_id: &str) -> pb::Run {
    runs::start(world.api.clone(), viewer(), asked(request_id))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_started_once_watched_and_cancelled() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 300);
        world.state().slow = Duration::from_millis(150);
        world.connect().await;
        world.start();
        let run = start(&world, "r1").await;
        assert_eq!(start(&world, "r1").await.name, run.name, "the same request");
        assert_eq!(start(&world, "r2").await.name, run.name, "one is open");
        use futures::StreamExt as _;
        let watch = pb::WatchRunRequest {
            name: run.name.clone(),
        };
        let mut watched = runs::watch(world.api.clone(), viewer(), watch)
            .await
            .unwrap();
        // Progress is live: it is told twice before the run ends.
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 3 {
            let run = watched.next().await.unwrap().unwrap().run.unwrap();
            assert_eq!(run.end_time, None, "{seen:?}");
            seen.insert(run.streams.first().map_or(0, |s| s.created));
        }
        let cancel = pb::CancelRunRequest {
            name: run.name.clone(),
            ..pb::CancelRunRequest::default()
        };
        runs::cancel(world.api.clone(), viewer(), cancel)
            .await
            .unwrap();
        let ended = world.ended(&run.name).await;
        assert_eq!(ended.state(), State::Cancelled);
        let mut last = None;
        while let Some(message) = watched.next().await {
            last = message.unwrap().run;
        }
        assert_eq!(
            last.unwrap().state(),
            State::Cancelled,
            "the watch ends with the run"
        );
        // What was delivered stays, and the next run goes on behind it.
        let delivered = world.door.lock().records.len();
        world.state().slow = Duration::ZERO;
        let next = world.run(pb::run::Kind::Pull).await;
        assert_eq!(next.state(), State::Succeeded);
        assert!(next.streams[0].created as usize <= 300 - delivered + 10);
        assert_eq!(world.door.lock().records.len(), 300);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_runs_by_the_clock_it_is_given() {
    on_each(async |db| {
        let clock = Arc::new(ManualClock::new(
            Timestamp::parse("2026-11-22T05:59:30Z").unwrap(),
        ));
        let mut world = World::with_clock(&db, clock.clone());
        world.rows(0, 3);
        let mut request = world.request("demo");
        let cron = pb::schedule::When::Cron("0 14 * * *".to_owned());
        request.connection.as_mut().unwrap().schedule = Some(pb::Schedule {
            when: Some(cron),
            time_zone: String::new(),
        });
        let made = connections::create(world.api.clone(), viewer(), request)
            .await
            .unwrap();
        // 14:00 in Shanghai is half a minute away.
        assert_eq!(made.next_run_time.unwrap().seconds, 1_795_327_200);
        world.start();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(world.door.lock().records.len(), 0);
        clock.advance(Duration::from_secs(31));
        until(async || (world.door.lock().records.len() == 3).then_some(())).await;
        let list = pb::ListRunsRequest {
            parent: "connections/demo".to_owned(),
            ..pb::ListRunsRequest::default()
        };
        let listed = runs::list(world.api.clone(), viewer(), list)
            .await
            .unwrap()
            .runs;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].trigger(), pb::run::Trigger::Schedule);
        let get = pb::GetConnectionRequest { name: made.name };
        let next = connections::get(world.api.clone(), viewer(), get)
            .await
            .unwrap();
        assert_eq!(next.next_run_time.unwrap().seconds, 1_795_327_200 + 86_400);
    })
    .await;
}
