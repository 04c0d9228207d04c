//! Etags, request ids, `validate_only`.

use jinke_customer::convert::pb;
use tonic::Code;

use crate::house::{House, key, on_each_engine, organization, person, reason, text};

async fn pair(house: &House) -> (String, String) {
    let mut names = house
        .ingest(vec![
            organization(
                "erp",
                "A-1",
                vec![
                    text("name", "宁波甲示例贸易有限公司"),
                    text("phone", "0574-87001111"),
                ],
            ),
            organization("crm", "B-1", vec![text("name", "温州乙样本制造股份公司")]),
        ])
        .await;
    let second = names.remove(1);
    (names.remove(0), second)
}

fn merge(customer: &str, other: &str) -> pb::MergeCustomersRequest {
    pb::MergeCustomersRequest {
        customer: customer.to_owned(),
        other_customer: other.to_owned(),
        comment: "同一家".to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_etag_is_aborted() {
    on_each_engine(async |house| {
        let (a, b) = pair(&house).await;
        let seen = house.get("admin", &a).await.unwrap().etag;
        let tag = pb::AddCustomerTagRequest {
            name: a.clone(),
            tag: "大客户".to_owned(),
            request_id: String::new(),
        };
        let tagged = house
            .customers("admin")
            .add_customer_tag(tag)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(tagged.tags[0].tag, "大客户");
        assert_ne!(tagged.etag, seen);
        for etag in [seen.as_str(), "x", "\"999\""] {
            let stale = pb::MergeCustomersRequest {
                etag: etag.to_owned(),
                ..merge(&a, &b)
            };
            let refused = house
                .customers("admin")
                .merge_customers(stale)
                .await
                .unwrap_err();
            assert_eq!(
                (refused.code(), reason(&refused).as_str()),
                (Code::Aborted, "ETAG_MISMATCH")
            );
            let stale = pb::MergeCustomersRequest {
                other_etag: etag.to_owned(),
                ..merge(&b, &a)
            };
            let refused = house
                .customers("admin")
                .merge_customers(stale)
                .await
                .unwrap_err();
            assert_eq!(refused.code(), Code::Aborted);
        }
        let fresh = pb::MergeCustomersRequest {
            etag: tagged.etag,
            ..merge(&a, &b)
        };
        house
            .customers("admin")
            .merge_customers(fresh)
            .await
            .unwrap();
        let source = pb::Source {
            name: "sources/erp".to_owned(),
            etag: "\"999\"".to_owned(),
            ..Default::default()
        };
        let update = pb::UpdateSourceRequest {
            source: Some(source),
            ..Default::default()
        };
        let refused = house
            .sources("admin")
            .update_source(update)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::Aborted);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_happens_once_and_its_unmerge_puts_everything_back() {
    on_each_engine(async |house| {
        let (a, b) = pair(&house).await;
        let before = [
            house.get("admin", &a).await.unwrap(),
            house.get("admin", &b).await.unwrap(),
        ];
        let dry = pb::MergeCustomersRequest {
            validate_only: true,
            ..merge(&a, &b)
        };
        house.customers("admin").merge_customers(dry).await.unwrap();
        assert_eq!(house.get("admin", &b).await.unwrap(), before[1]);

        let request = pb::MergeCustomersRequest {
            request_id: "r-1".to_owned(),
            ..merge(&a, &b)
        };
        let first = house
            .customers("admin")
            .merge_customers(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(first.record_count, 2);
        let again = house
            .customers("admin")
            .merge_customers(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(first, again);
        assert_eq!(house.get("admin", &b).await.unwrap().name, a);
        // Another body under the id is refused; another caller has ids of his own.
        let other = pb::MergeCustomersRequest {
            comment: "不同".to_owned(),
            ..request
        };
        let reused = house
            .customers("admin")
            .merge_customers(other.clone())
            .await
            .unwrap_err();
        assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
        let other = house
            .customers("other")
            .merge_customers(other)
            .await
            .unwrap_err();
        assert_ne!(reason(&other), "REQUEST_ID_REUSED");

        let unmerge = pb::UnmergeCustomerRequest {
            name: a.clone(),
            records: vec![key("crm", "B-1")],
            request_id: "r-2".to_owned(),
            ..Default::default()
        };
        let parts = house
            .customers("admin")
            .unmerge_customer(unmerge.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(parts.customers.len(), 2);
        let again = house
            .customers("admin")
            .unmerge_customer(unmerge)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(parts, again);
        for (name, before) in [&a, &b].into_iter().zip(&before) {
            let after = house.get("admin", name).await.unwrap();
            assert_eq!(
                (&after.values, &after.records),
                (&before.values, &before.records)
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_read_under_the_rights_of_its_time() {
    on_each_engine(async |house| {
        let (a, b) = pair(&house).await;
        let request = pb::MergeCustomersRequest {
            request_id: "r-1".to_owned(),
            ..merge(&a, &b)
        };
        let before = house
            .customers("admin")
            .merge_customers(request.clone())
            .await
            .unwrap()
            .into_inner();
        let after = house
            .customers("demoted")
            .merge_customers(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(before.name, after.name);
        let phones = |c: &pb::Customer| {
            let values = c.values.iter().filter_map(|v| v.value.as_ref());
            values.filter(|v| v.attribute == "phone").count()
        };
        assert_eq!((phones(&before), phones(&after)), (1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_sent_twice_is_stored_once() {
    on_each_engine(async |house| {
        let request = pb::IngestSourceRecordsRequest {
            records: vec![organization(
                "erp",
                "R-1",
                vec![text("name", "示例一有限公司")],
            )],
            request_id: "batch-1".to_owned(),
            validate_only: false,
            ..Default::default()
        };
        let check = pb::IngestSourceRecordsRequest {
            validate_only: true,
            request_id: String::new(),
            ..request.clone()
        };
        let mut sources = house.sources("admin");
        let checked = sources
            .ingest_source_records(check)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            checked.results[0].outcome(),
            pb::ingest_result::Outcome::Created
        );
        let record = pb::GetSourceRecordRequest {
            key: Some(key("erp", "R-1")),
            version: 0,
        };
        assert!(sources.get_source_record(record.clone()).await.is_err());
        let first = sources
            .ingest_source_records(request.clone())
            .await
            .unwrap()
            .into_inner();
        let again = sources
            .ingest_source_records(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(first.results[0].customer, again.results[0].customer);
        assert_eq!(
            sources
                .get_source_record(record)
                .await
                .unwrap()
                .into_inner()
                .version,
            1
        );
        let other = pb::IngestSourceRecordsRequest {
            records: vec![organization(
                "erp",
                "R-2",
                vec![text("name", "示例二有限公司")],
            )],
            ..request
        };
        let reused = sources.ingest_source_records(other).await.unwrap_err();
        assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn impossible_merges_are_refused() {
    on_each_engine(async |house| {
        let (a, _) = pair(&house).await;
        let man = house
            .ingest(vec![person("crm", "P-1", vec![text("name", "李四示")])])
            .await
            .remove(0);
        let refused = house
            .customers("admin")
            .merge_customers(merge(&a, &man))
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "KIND_MISMATCH");
        let refused = house
            .customers("admin")
            .merge_customers(merge(&a, "customers/99999"))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        let unmerge = pb::UnmergeCustomerRequest {
            name: a.clone(),
            records: vec![key("erp", "A-1")],
            ..Default::default()
        };
        let refused = house
            .customers("admin")
            .unmerge_customer(unmerge)
            .await
            .unwrap_err();
        assert!(
            matches!(
                refused.code(),
                Code::InvalidArgument | Code::FailedPrecondition
            ),
            "{refused:?}"
        );
    })
    .await;
}
