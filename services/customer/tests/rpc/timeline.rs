//! The feed of transactions and interactions.

use jinke_customer::convert::pb;

use crate::house::{House, key, message, on_each_engine, order, organization, text};

async fn list(
    house: &House,
    role: &'static str,
    token: &str,
    size: i32,
) -> pb::ListTimelineChangesResponse {
    let request = pb::ListTimelineChangesRequest {
        page_size: size,
        page_token: token.to_owned(),
    };
    house
        .customers(role)
        .list_timeline_changes(request)
        .await
        .unwrap()
        .into_inner()
}

async fn all(house: &House, role: &'static str) -> (Vec<pb::TimelineChange>, String) {
    let (mut changes, mut token) = (Vec::new(), String::new());
    loop {
        let page = list(house, role, &token, 2).await;
        changes.extend(page.changes);
        if page.next_page_token == token {
            return (changes, token);
        }
        token = page.next_page_token;
    }
}

fn keys(changes: &[pb::TimelineChange]) -> Vec<String> {
    changes
        .iter()
        .map(|c| {
            let key = c.entry.as_ref().and_then(|e| e.key.as_ref()).unwrap();
            format!("{}/{}", key.source, key.external_id)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fact_comes_once_per_change_and_walled_ones_only_to_those_inside() {
    on_each_engine(async |house| {
        // Facts come before their party, parties are no facts, and a party changes nothing here.
        house
            .ingest(vec![
                order("erp", "O-1", key("erp", "C-1"), 300, ""),
                order("west", "O-2", key("erp", "C-1"), 700, ""),
                message("erp", "M-1", key("erp", "C-1"), "您好"),
                organization("erp", "C-1", vec![text("name", "示例泵业有限公司")]),
            ])
            .await;
        let (first, token) = all(&house, "admin").await;
        assert_eq!(
            keys(&first),
            ["sources/erp/O-1", "sources/west/O-2", "sources/erp/M-1"]
        );
        assert!(first.is_sorted_by_key(|c| c.position));
        let (east, _) = all(&house, "sales").await;
        assert_eq!(keys(&east), ["sources/erp/O-1", "sources/erp/M-1"]);
        // The same again is no change; a new amount and a deletion are.
        let mut gone = order("erp", "O-1", key("erp", "C-1"), 300, "");
        house.ingest(vec![gone.clone()]).await;
        assert_eq!(
            list(&house, "admin", &token, 0).await.next_page_token,
            token
        );
        gone.deleted = true;
        house.ingest(vec![gone]).await;
        let changed = list(&house, "admin", &token, 0).await;
        assert_eq!(keys(&changed.changes), ["sources/erp/O-1"]);
        assert!(changed.changes[0].deleted);
        assert_eq!(changed.changes[0].uid, first[0].uid);
        assert_ne!(changed.next_page_token, token);
    })
    .await;
}
