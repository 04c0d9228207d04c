//! Sweeps: what vanished, too much that vanished, and what came back.

use jinke_proto::jinke::connector::v1::{self as pb, run::State};
use jinke_runner::rpc::runs;

use crate::world::{World, on_each, until, viewer};

#[tokio::test(flavor = "multi_thread")]
async fn vanished_records_are_deleted_and_one_that_returns_unchanged_comes_back() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 50);
        world.connect().await;
        world.start();
        world.run(pb::run::Kind::Pull).await;
        let returned = world.state().rows.remove(4);
        world.state().rows.remove(20);
        let run = world.run(pb::run::Kind::Sweep).await;
        assert_eq!((run.state(), run.streams[0].deleted), (State::Succeeded, 2));
        assert_eq!(world.door.lock().alive(), 48);
        assert!(world.door.lock().newest("p-0004").unwrap().deleted);
        // Again: nothing more goes.
        let run = world.run(pb::run::Kind::Sweep).await;
        assert_eq!(run.streams[0].deleted, 0);
        // The row is there again as it was. No pull would tell of it, and as it is its version is
        // older than its deletion.
        world.state().rows.insert(4, returned);
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.streams[0].updated, 0);
        assert!(world.door.lock().newest("p-0004").unwrap().deleted);
        // The next sweep sees that it is there, and has the stream pulled anew.
        world.run(pb::run::Kind::Sweep).await;
        until(async || (!world.door.lock().newest("p-0004")?.deleted).then_some(())).await;
        assert_eq!(world.door.lock().alive(), 49);
        // And when it vanishes once more it is deleted once more.
        world.state().rows.remove(4);
        let run = world.run(pb::run::Kind::Sweep).await;
        assert_eq!(run.streams[0].deleted, 1);
        assert!(world.door.lock().newest("p-0004").unwrap().deleted);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_too_many_vanish_a_person_is_asked() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 100);
        world.connect().await;
        world.start();
        world.run(pb::run::Kind::Pull).await;
        // A right was taken away: most rows cannot be seen any more.
        world.state().rows.truncate(20);
        let run = world.run(pb::run::Kind::Sweep).await;
        assert_eq!(run.state(), State::NeedsApproval);
        let finding = &run.findings[0];
        assert_eq!((finding.known, finding.may_vanish), (100, 10));
        assert!(finding.gone_at_least > 10);
        assert_eq!(world.door.lock().alive(), 100, "nothing was deleted");
        let approve = |name: &str, etag: &str| {
            let request = pb::ApproveSweepRequest {
                name: name.to_owned(),
                etag: etag.to_owned(),
                request_id: String::new(),
            };
            runs::approve(world.api.clone(), viewer(), request)
        };
        let stale = approve(&run.name, "\"1\"").await.unwrap_err();
        assert_eq!(stale.reason, "ETAG_MISMATCH");
        approve(&run.name, &run.etag).await.unwrap();
        let run = until(async || {
            let run = world.get(&run.name).await;
            run.end_time.is_some().then_some(run)
        })
        .await;
        assert_eq!(
            (run.state(), run.streams[0].deleted),
            (State::Succeeded, 80)
        );
        assert_eq!(world.door.lock().alive(), 20);
        let late = approve(&run.name, "").await.unwrap_err();
        assert_eq!(late.reason, "NO_APPROVAL_NEEDED");
    })
    .await;
}
