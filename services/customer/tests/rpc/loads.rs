//! First loads, erasures and large pages over gRPC.

use jinke_customer::convert::pb;
use tonic::Code;

use crate::house::{House, key, message, on_each_engine, order, organization, reason, text};

async fn stats(house: &House) -> pb::GetCustomerStatsResponse {
    house
        .customers("admin")
        .get_customer_stats(pb::GetCustomerStatsRequest {})
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_resolved_later_has_no_customer_until_then() {
    on_each_engine(async |house| {
        let request = pb::IngestSourceRecordsRequest {
            records: (0..120)
                .map(|n| {
                    let name = format!("宁波第{}示例贸易有限公司", n / 2);
                    organization("erp", &format!("L-{n}"), vec![text("name", &name)])
                })
                .collect(),
            request_id: "load-1".to_owned(),
            resolve_later: true,
            ..Default::default()
        };
        for outcome in [
            pb::ingest_result::Outcome::Created,
            pb::ingest_result::Outcome::Unchanged,
        ] {
            let results = house
                .sources("admin")
                .ingest_source_records(request.clone())
                .await
                .unwrap()
                .into_inner()
                .results;
            assert_eq!(results.len(), 120);
            assert!(
                results.iter().all(|r| r.outcome() == outcome),
                "{results:?}"
            );
            if outcome == pb::ingest_result::Outcome::Created {
                assert!(results.iter().all(|r| r.customer.is_empty()));
            }
        }
        // The records are there at once, whether they are resolved or not.
        let record = pb::GetSourceRecordRequest {
            key: Some(key("erp", "L-0")),
            ..Default::default()
        };
        assert!(
            house
                .sources("admin")
                .get_source_record(record)
                .await
                .is_ok()
        );
        let now = stats(&house).await;
        let of_erp = |s: &pb::GetCustomerStatsResponse| {
            let erp = s.sources.iter().find(|s| s.source == "sources/erp");
            erp.map_or(0, |s| s.parties)
        };
        assert_eq!(of_erp(&now), 120);
        assert!(now.organizations + now.merged_records <= 120);
        let mut waited = 0;
        while stats(&house).await.pending_records > 0 {
            waited += 1;
            assert!(waited < 600, "the background does not end");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let done = stats(&house).await;
        assert_eq!((done.organizations, done.merged_records), (60, 60));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_customer_is_gone_for_good() {
    on_each_engine(async |house| {
        let names = house
            .ingest(vec![
                organization("erp", "E-1", vec![text("name", "宁波示例销毁有限公司")]),
                order("erp", "O-1", key("erp", "E-1"), 300, ""),
                message("erp", "M-1", key("erp", "E-1"), "您好"),
            ])
            .await;
        let erase = |validate_only, request_id: &str| pb::EraseCustomerRequest {
            name: names[0].clone(),
            validate_only,
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        let hidden = house
            .customers("nobody")
            .erase_customer(erase(false, ""))
            .await;
        assert_eq!(hidden.unwrap_err().code(), Code::NotFound);
        let stale = pb::EraseCustomerRequest {
            etag: "\"99\"".to_owned(),
            ..erase(false, "")
        };
        let stale = house.customers("admin").erase_customer(stale).await;
        assert_eq!(reason(&stale.unwrap_err()), "ETAG_MISMATCH");
        for (dry, id, records, activities) in [
            (true, "", 1, 2),
            (false, "erase-1", 1, 2),
            // A repeated request is answered, and erases nothing more.
            (false, "erase-1", 0, 0),
        ] {
            let done = house
                .customers("admin")
                .erase_customer(erase(dry, id))
                .await
                .unwrap()
                .into_inner();
            assert_eq!((done.records, done.activities), (records, activities));
        }
        let gone = house.get("admin", &names[0]).await.unwrap_err();
        assert_eq!(
            (gone.code(), reason(&gone).as_str()),
            (Code::NotFound, "CUSTOMER_ERASED")
        );
        let gone = house.get("sales", &names[0]).await.unwrap_err();
        assert_eq!(reason(&gone), "NOT_FOUND");
        let feed = house
            .customers("admin")
            .list_customer_changes(pb::ListCustomerChangesRequest {
                include_snapshots: true,
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner();
        let last = feed.changes.last().unwrap();
        assert_eq!(last.kind(), pb::ChangeKind::Erased);
        assert!(last.snapshot.is_none());
        let facts = house
            .customers("admin")
            .list_timeline_changes(pb::ListTimelineChangesRequest::default())
            .await
            .unwrap()
            .into_inner();
        assert!(facts.changes.iter().all(|c| c.deleted && c.entry.is_none()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_large_customers_end_early_and_nothing_is_missing() {
    on_each_engine(async |house| {
        // 30 customers of about 250 KB each.
        let large = "介".repeat(19_900);
        for n in 0..30 {
            let mut values = vec![text("name", &format!("宁波第{n}示例大户有限公司"))];
            values.extend((0..4).map(|i| text(&format!("x_note_{i}"), &large)));
            house
                .ingest(vec![organization("erp", &format!("G-{n}"), values)])
                .await;
        }
        let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = house
                .customers("admin")
                .list_customers(pb::ListCustomersRequest {
                    page_size: 1_000,
                    page_token: token,
                    view: pb::CustomerView::Full.into(),
                    ..Default::default()
                })
                .await
                .unwrap()
                .into_inner();
            assert!(prost::Message::encoded_len(&page) < 4 * 1024 * 1024);
            seen.extend(page.customers.into_iter().map(|c| c.name));
            pages += 1;
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), distinct.len()), (30, 30));
        assert!(pages > 1, "{pages}");
        let (mut changes, mut token) = (0, String::new());
        loop {
            let page = house
                .customers("admin")
                .list_customer_changes(pb::ListCustomerChangesRequest {
                    page_size: 100,
                    page_token: token.clone(),
                    include_snapshots: true,
                })
                .await
                .unwrap()
                .into_inner();
            assert!(prost::Message::encoded_len(&page) < 4 * 1024 * 1024);
            changes += page.changes.len();
            if page.next_page_token == token {
                break;
            }
            token = page.next_page_token;
        }
        assert_eq!(changes, 30);
    })
    .await;
}
