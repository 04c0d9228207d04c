//! The change feed: list, watch, resume.

use std::time::Duration;

use jinke_customer::{convert::pb, rpc::page::Binding, store::MIGRATIONS};
use jinke_store::testing;
use tokio::time::timeout;

use crate::house::{House, on_each_engine, organization, reason, text};

const PATIENCE: Duration = Duration::from_secs(20);

fn some(from: usize, count: usize) -> Vec<pb::SourceRecord> {
    (from..from + count)
        .map(|n| {
            organization(
                "erp",
                &format!("F-{n}"),
                vec![text("name", &format!("示例饲料{n}厂"))],
            )
        })
        .collect()
}

async fn list(
    house: &House,
    role: &'static str,
    token: &str,
    size: i32,
) -> pb::ListCustomerChangesResponse {
    let request = pb::ListCustomerChangesRequest {
        page_size: size,
        page_token: token.to_owned(),
        include_snapshots: false,
    };
    house
        .customers(role)
        .list_customer_changes(request)
        .await
        .unwrap()
        .into_inner()
}

/// The whole feed and the token at its end.
async fn all(house: &House, role: &'static str) -> (Vec<pb::CustomerChange>, String) {
    let (mut changes, mut token) = (Vec::new(), String::new());
    loop {
        let page = list(house, role, &token, 3).await;
        changes.extend(page.changes);
        if page.next_page_token == token {
            return (changes, token);
        }
        token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_new_gives_the_same_token() {
    on_each_engine(async |house| {
        house.ingest(some(0, 5)).await;
        let (changes, token) = all(&house, "admin").await;
        assert_eq!(changes.len(), 5);
        assert!(changes.is_sorted_by_key(|change| change.position));
        let again = list(&house, "admin", &token, 0).await;
        assert_eq!(
            (again.changes.len(), again.next_page_token),
            (0, token.clone())
        );
        house.ingest(some(5, 1)).await;
        let more = list(&house, "admin", &token, 0).await;
        assert_eq!(more.changes.len(), 1);
        assert_ne!(more.next_page_token, token);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_cut_goes_on_where_it_was() {
    on_each_engine(async |house| {
        let (mut seen, mut token) = (Vec::new(), String::new());
        // Each round is cut after its first message with changes; writes go on meanwhile.
        for round in 0..4 {
            let request = pb::WatchCustomerChangesRequest {
                page_token: token.clone(),
                ..Default::default()
            };
            let mut watch = house
                .customers("admin")
                .watch_customer_changes(request)
                .await
                .unwrap()
                .into_inner();
            house.ingest(some(round * 3, 3)).await;
            loop {
                let message = timeout(PATIENCE, watch.message())
                    .await
                    .unwrap()
                    .unwrap()
                    .unwrap();
                token = message.next_page_token;
                if !message.changes.is_empty() {
                    seen.extend(message.changes);
                    break;
                }
            }
        }
        let rest = list(&house, "admin", &token, 0).await;
        seen.extend(rest.changes);
        assert_eq!(seen, all(&house, "admin").await.0);
        assert_eq!(seen.len(), 12);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_watch_sends_checkpoints_and_a_commit_wakes_it() {
    on_each_engine(async |house| {
        house.ingest(some(0, 1)).await;
        let (_, token) = all(&house, "admin").await;
        let request = pb::WatchCustomerChangesRequest {
            page_token: token.clone(),
            include_snapshots: true,
        };
        let mut watch = house
            .customers("admin")
            .watch_customer_changes(request)
            .await
            .unwrap()
            .into_inner();
        let idle = timeout(PATIENCE, watch.message())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!((idle.changes.len(), idle.next_page_token), (0, token));
        house.ingest(some(1, 1)).await;
        let change = loop {
            let mut message = timeout(PATIENCE, watch.message())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            if let Some(change) = message.changes.pop() {
                break change;
            }
        };
        let snapshot = change.snapshot.expect("snapshots were asked for");
        assert_eq!(snapshot.name, change.customer);
        assert_eq!(snapshot.display_name, "示例饲料1厂");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_a_watch_with_a_word_to_come_back() {
    on_each_engine(async |house| {
        let request = pb::WatchCustomerChangesRequest::default();
        let mut watch = house
            .customers("admin")
            .watch_customer_changes(request)
            .await
            .unwrap()
            .into_inner();
        house.api.shutdown.trigger();
        let end = loop {
            match timeout(PATIENCE, watch.message()).await.expect("it ends") {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a word"),
                Err(end) => break end,
            }
        };
        assert_eq!(reason(&end), "DRAINING");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_database_or_of_the_future_is_refused() {
    on_each_engine(async |house| {
        house.ingest(some(0, 2)).await;
        let (_, token) = all(&house, "admin").await;
        testing::on_engine(jinke_store::Engine::Sqlite, &MIGRATIONS, async |db| {
            let stranger = House::over(db, 2).await.with_sources().await;
            stranger.ingest(some(0, 2)).await;
            let request = pb::WatchCustomerChangesRequest {
                page_token: token.clone(),
                ..Default::default()
            };
            let refused = stranger
                .customers("admin")
                .watch_customer_changes(request)
                .await;
            assert_eq!(reason(&refused.unwrap_err()), "PAGE_TOKEN_INVALID");
        })
        .await;
        let future = house
            .api
            .pages
            .token(&Binding::feed("customers"), &1_000_000_i64)
            .unwrap();
        let request = pb::ListCustomerChangesRequest {
            page_token: future,
            ..Default::default()
        };
        let refused = house
            .customers("admin")
            .list_customer_changes(request)
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "POSITION_AHEAD");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_walled_records_do_not_show() {
    on_each_engine(async |house| {
        house.ingest(some(0, 1)).await;
        let walled = organization("west", "W-1", vec![text("name", "墙内示例有限公司")]);
        house.ingest(vec![walled]).await;
        house.ingest(some(1, 1)).await;
        let counts = [
            ("admin", 3),
            ("west", 3),
            ("reader", 2),
            ("sales", 2),
            ("nobody", 0),
        ];
        for (role, count) in counts {
            let (changes, _) = all(&house, role).await;
            assert_eq!(changes.len(), count, "{role}");
        }
    })
    .await;
}
