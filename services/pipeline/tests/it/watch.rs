//! The change feed as a stream: from a position on, with checkpoints, cut and taken up again, refused
//! where the position is none of this database.

use std::{sync::atomic::Ordering, time::Duration};

use jinke_pipeline::{convert::pb, domain::FEED, rpc::page::Binding, store::MIGRATIONS};
use jinke_store::{Engine, testing};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::house::{House, lead, on_each_engine, reason};

/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

type Watch = Streaming<pb::WatchPipelineChangesResponse>;

async fn open(
    house: &House,
    role: &'static str,
    token: &str,
    include_snapshots: bool,
) -> Result<Watch, Status> {
    let request = pb::WatchPipelineChangesRequest {
        page_token: token.to_owned(),
        include_snapshots,
    };
    let answer = house.pipelines(role).watch_pipeline_changes(request).await;
    answer.map(tonic::Response::into_inner)
}

async fn message(watch: &mut Watch) -> Option<Result<pb::WatchPipelineChangesResponse, Status>> {
    let next = timeout(PATIENCE, watch.message()).await;
    next.expect("a message comes").transpose()
}

async fn next(watch: &mut Watch) -> pb::WatchPipelineChangesResponse {
    let message = message(watch).await.expect("the stream goes on");
    message.expect("a message")
}

/// Changes up to `count`, and the token behind the last message.
async fn take(watch: &mut Watch, count: usize) -> (Vec<pb::PipelineChange>, String) {
    let mut all = Vec::new();
    loop {
        let message = next(watch).await;
        all.extend(message.changes);
        if all.len() >= count {
            return (all, message.next_page_token);
        }
    }
}

/// Waits for the end of a stream, and says why it ended.
async fn end(watch: &mut Watch) -> Status {
    loop {
        match message(watch).await {
            Some(Ok(_)) => {}
            Some(Err(status)) => return status,
            None => panic!("it ended without a word"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_begins_where_it_is_told_to_and_says_what_the_list_says() {
    on_each_engine(async |house: House| {
        let one = house.opportunity("一").await;
        let (before, token) = house.feed("admin", String::new()).await;
        let two = house.opportunity("二").await;
        house.advance(&one.name, "contact").await.unwrap();
        let request = pb::CreateLeadRequest {
            lead: Some(lead("新公司")),
            ..Default::default()
        };
        house.leads("admin").create_lead(request).await.unwrap();
        let (after, end) = house.feed("admin", token.clone()).await;
        assert!(!before.is_empty() && after.len() >= 3, "{after:?}");

        let mut watch = open(&house, "admin", &token, true).await.unwrap();
        let (seen, stands) = take(&mut watch, after.len()).await;
        assert_eq!(seen, after);
        assert_eq!(stands, end, "both calls give the same tokens");
        assert!(seen.is_sorted_by(|a, b| a.position < b.position));
        let of = |name: &str, kind: pb::PipelineChangeKind| {
            seen.iter().any(|c| c.resource == name && c.kind() == kind)
        };
        assert!(of(&two.name, pb::PipelineChangeKind::Created));
        assert!(of(&one.name, pb::PipelineChangeKind::Transition));
        // From the beginning it is everything, and without snapshots there is none.
        let mut whole = open(&house, "admin", "", false).await.unwrap();
        let (all, _) = take(&mut whole, before.len() + after.len()).await;
        let positions =
            |list: &[pb::PipelineChange]| -> Vec<i64> { list.iter().map(|c| c.position).collect() };
        assert_eq!(positions(&all), positions(&[before, after].concat()));
        assert!(all.iter().all(|c| c.snapshot.is_none()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_cut_misses_nothing_and_repeats_nothing() {
    on_each_engine(async |house: House| {
        let (mut seen, mut token) = (Vec::new(), String::new());
        for round in 0..4 {
            let mut watch = open(&house, "admin", &token, true).await.unwrap();
            for n in 0..3 {
                house.opportunity(&format!("商机{round}-{n}")).await;
            }
            let some = take(&mut watch, 1).await;
            seen.extend(some.0);
            token = some.1;
        }
        let (rest, _) = house.feed("admin", token).await;
        seen.extend(rest);
        let (all, _) = house.feed("admin", String::new()).await;
        let positions =
            |list: &[pb::PipelineChange]| -> Vec<i64> { list.iter().map(|c| c.position).collect() };
        assert_eq!(positions(&seen), positions(&all));
        assert!(seen.len() >= 12);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_watch_sends_checkpoints_and_a_change_wakes_it() {
    on_each_engine(async |house: House| {
        house.opportunity("一").await;
        let (_, token) = house.feed("admin", String::new()).await;
        let mut watch = open(&house, "admin", &token, true).await.unwrap();
        for _ in 0..2 {
            let idle = next(&mut watch).await;
            assert_eq!((idle.changes.len(), &idle.next_page_token), (0, &token));
        }
        let made = house.opportunity("二").await;
        let (changes, _) = take(&mut watch, 1).await;
        assert_eq!(changes[0].resource, made.name);
        let Some(pb::pipeline_change::Snapshot::Opportunity(o)) = &changes[0].snapshot else {
            panic!("a snapshot was asked for: {changes:?}")
        };
        assert_eq!(o.display_name, "二");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_passes_over_what_its_caller_does_not_see() {
    on_each_engine(async |house: House| {
        let (_, token) = house.feed("west", String::new()).await;
        let made = house.create(
            "east",
            pb::Opportunity {
                display_name: "东区的".to_owned(),
                customer: "customers/7".to_owned(),
                org_unit: "orgUnits/east".to_owned(),
                ..Default::default()
            },
        );
        let made = made.await.unwrap();
        let mut west = open(&house, "west", &token, true).await.unwrap();
        // What is not seen is no change, and the position moves past it all the same.
        let moved = loop {
            let message = next(&mut west).await;
            assert!(message.changes.iter().all(|c| c.resource != made.name));
            if message.next_page_token != token {
                break message.next_page_token;
            }
        };
        let (_, head) = house.feed("west", String::new()).await;
        assert_eq!(moved, head);
        let mut east = open(&house, "east", &token, true).await.unwrap();
        let (changes, _) = take(&mut east, 1).await;
        assert_eq!(changes[0].resource, made.name);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_of_elsewhere_and_of_later_are_refused() {
    on_each_engine(async |house: House| {
        house.opportunity("一").await;
        let ahead = house.api.pages.token(&Binding::feed(FEED), &1_000_000_i64);
        let ahead = ahead.unwrap();
        let refused = open(&house, "admin", &ahead, false).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(reason(&refused), "POSITION_AHEAD");
        let request = pb::ListPipelineChangesRequest {
            page_token: ahead,
            ..Default::default()
        };
        let refused = house
            .pipelines("admin")
            .list_pipeline_changes(request)
            .await;
        assert_eq!(reason(&refused.unwrap_err()), "POSITION_AHEAD");
        let (_, token) = house.feed("admin", String::new()).await;
        testing::on_engine(Engine::Sqlite, &MIGRATIONS, async |db| {
            let stranger = House::seeded(db, 3).await;
            let refused = open(&stranger, "admin", &token, false).await;
            assert_eq!(reason(&refused.unwrap_err()), "PAGE_TOKEN_INVALID");
        })
        .await;
        for wrong in ["x", "1000", &token[1..]] {
            let refused = open(&house, "admin", wrong, false).await;
            assert_eq!(
                reason(&refused.unwrap_err()),
                "PAGE_TOKEN_INVALID",
                "{wrong}"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_its_rights_and_with_the_process() {
    on_each_engine(async |house: House| {
        let mut watch = open(&house, "admin", "", false).await.unwrap();
        next(&mut watch).await;
        house.revoked.store(true, Ordering::SeqCst);
        let told = end(&mut watch).await;
        assert_eq!(told.code(), Code::PermissionDenied);
        house.revoked.store(false, Ordering::SeqCst);
        let mut watch = open(&house, "admin", "", false).await.unwrap();
        house.api.shutdown.trigger();
        assert_eq!(reason(&end(&mut watch).await), "DRAINING");
    })
    .await;
}
