//! The version rules, as a table and by example.

use jinke_customer::domain::{ChangeKind, IngestResult, Outcome};
use jinke_types::{Code, RowScope, SourceRecord};

use crate::support::*;

const A: &str = "erp/A";

fn a(revision: i64, name: &str, phone: &str) -> SourceRecord {
    org(A, revision, &[(NAME, name), (PHONE, phone)])
}

/// Feeds versions one by one; outcomes, and name and phone in the end.
async fn feed(
    engine: &jinke_customer::engine::Engine,
    versions: Vec<SourceRecord>,
) -> (Vec<Outcome>, Vec<String>, Vec<String>) {
    let mut outcomes = Vec::new();
    for v in versions {
        outcomes.push(one(engine, v).await.0);
    }
    let id = holder(engine, A).await;
    (
        outcomes,
        golden(engine, id, NAME).await,
        golden(engine, id, PHONE).await,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_version_rules() {
    use Outcome::{Created, Superseded, Unchanged, Updated};
    type Row = (
        &'static str,
        fn() -> Vec<SourceRecord>,
        &'static [Outcome],
        &'static str,
        &'static str,
    );
    let table: &[Row] = &[
        (
            "a newer one wins",
            || vec![a(1, "甲公司", "13800000001"), a(2, "乙公司", "13800000002")],
            &[Created, Updated],
            "乙公司",
            "13800000002",
        ),
        (
            "an older one is kept and never wins",
            || vec![a(2, "乙公司", "13800000002"), a(1, "甲公司", "13800000001")],
            &[Created, Superseded],
            "乙公司",
            "13800000002",
        ),
        (
            "the same one is nothing new",
            || vec![a(1, "甲公司", "13800000001"), a(1, "甲公司", "13800000001")],
            &[Created, Unchanged],
            "甲公司",
            "13800000001",
        ),
        (
            "an older one again is nothing new",
            || {
                vec![
                    a(1, "甲公司", "13800000001"),
                    a(2, "乙公司", "13800000002"),
                    a(1, "甲公司", "13800000001"),
                ]
            },
            &[Created, Updated, Unchanged],
            "乙公司",
            "13800000002",
        ),
        (
            "partial replaces what it names",
            || {
                vec![
                    a(1, "甲公司", "13800000001"),
                    partial(org(A, 2, &[(PHONE, "13800000002")])),
                ]
            },
            &[Created, Updated],
            "甲公司",
            "13800000002",
        ),
        (
            "partial null takes away",
            || {
                vec![
                    a(1, "甲公司", "13800000001"),
                    partial(org(A, 2, &[(PHONE, "∅")])),
                ]
            },
            &[Created, Updated],
            "甲公司",
            "",
        ),
        (
            "a late full version comes under the partial one",
            || {
                vec![
                    partial(org(A, 2, &[(PHONE, "13800000002")])),
                    a(1, "甲公司", "13800000001"),
                ]
            },
            &[Created, Updated],
            "甲公司",
            "13800000002",
        ),
        (
            "full without a value takes it away",
            || {
                vec![
                    a(1, "甲公司", "13800000001"),
                    org(A, 2, &[(NAME, "甲公司")]),
                ]
            },
            &[Created, Updated],
            "甲公司",
            "",
        ),
        (
            "without revision arrival decides",
            || {
                vec![
                    a(0, "甲公司", "13800000001"),
                    a(0, "乙公司", "13800000002"),
                    a(0, "甲公司", "13800000001"),
                ]
            },
            &[Created, Updated, Updated],
            "甲公司",
            "13800000001",
        ),
        (
            "without revision the last one again is nothing new",
            || vec![a(0, "甲公司", "13800000001"), a(0, "甲公司", "13800000001")],
            &[Created, Unchanged],
            "甲公司",
            "13800000001",
        ),
        (
            "without revision never wins over one with",
            || vec![a(1, "甲公司", "13800000001"), a(0, "乙公司", "13800000002")],
            &[Created, Superseded],
            "甲公司",
            "13800000001",
        ),
        (
            "a deletion keeps the values and is undone by a newer version",
            || {
                vec![
                    a(1, "甲公司", "13800000001"),
                    deleted(org(A, 2, &[])),
                    partial(org(A, 3, &[(PHONE, "13800000003")])),
                ]
            },
            &[Created, Updated, Updated],
            "甲公司",
            "13800000003",
        ),
    ];
    for (title, versions, outcomes, name, phone) in table {
        on_both(async |house| {
            let engine = house.engine().await;
            let (o, n, p) = feed(&engine, versions()).await;
            assert_eq!(
                (&o[..], n.concat().as_str(), p.concat().as_str()),
                (*outcomes, *name, *phone),
                "{title}"
            );
            assert_sound(&engine).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_batch_equals_many_and_equal_revisions_fall_to_the_content() {
    on_both(async |house| {
        let engine = house.engine().await;
        let versions = vec![
            a(3, "甲公司", "13800000001"),
            partial(org(A, 5, &[(PHONE, "13800000005")])),
            a(3, "乙公司", "13800000002"),
            deleted(org(A, 4, &[])),
        ];
        let mut other = versions.clone();
        other.reverse();
        for r in &mut other {
            r.key = key("crm/A");
        }
        ingest(&engine, versions).await;
        for r in other {
            one(&engine, r).await;
        }
        let read = async |at: &str| {
            engine
                .source_record(&key(at), None, &RowScope::All)
                .await
                .unwrap()
                .record
                .body
        };
        assert_eq!(read(A).await, read("crm/A").await);
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_refused_alone() {
    on_both(async |house| {
        let engine = house.engine().await;
        one(&engine, a(1, "甲公司", "13800000001")).await;
        let mut unknown = a(1, "丙公司", "13800000009");
        unknown.key = key("nowhere/1");
        let mut odd = a(1, "丁公司", "13800000008");
        odd.key = key("erp/odd");
        if let jinke_types::Body::Party { values, .. } = &mut odd.body {
            values[0].attribute = "no such".to_owned();
        }
        let results = ingest(
            &engine,
            vec![
                person(A, 2, &[(NAME, "张伟")]),
                unknown,
                odd,
                org("erp/B", 1, &[(NAME, "好公司")]),
            ],
        )
        .await;
        let reasons: Vec<_> = results
            .iter()
            .map(|r| r.error.as_ref().map(|e| e.reason))
            .collect();
        assert_eq!(
            reasons,
            [
                Some("KIND_CHANGED"),
                Some("SOURCE_UNKNOWN"),
                Some("INVALID_FIELD"),
                None
            ]
        );
        assert_eq!(results[3].outcome, Outcome::Created);
        // A refused record takes no number: the next one follows.
        assert_eq!(results[3].customer, Some(2));
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_every_record_deletes_the_customer_and_look_ups_go_on() {
    on_both(async |house| {
        let engine = house.engine().await;
        let (_, id) = one(&engine, a(1, "甲公司", "13800000001")).await;
        one(&engine, deleted(org(A, 2, &[]))).await;
        let view = engine.golden(id, &RowScope::All).await.unwrap();
        assert!(view.delete_time.is_some());
        assert_eq!(view.display_name, "甲公司");
        let revisions = engine
            .revisions(id, None, 10, &RowScope::All)
            .await
            .unwrap();
        let kinds: Vec<_> = revisions.iter().map(|r| r.kind).collect();
        assert_eq!(kinds, [ChangeKind::Deleted, ChangeKind::Created]);
        one(&engine, a(3, "甲公司", "13800000001")).await;
        assert_eq!(
            engine.golden(id, &RowScope::All).await.unwrap().delete_time,
            None
        );
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_can_be_read() {
    on_both(async |house| {
        let engine = house.engine().await;
        let (_, id) = one(&engine, a(2, "乙公司", "13800000002")).await;
        one(&engine, a(3, "丙公司", "13800000003")).await;
        // Came late: part of the present, not of the past.
        one(&engine, partial(org(A, 1, &[(EMAIL, "old@example.com")]))).await;
        let names = async |revision| {
            let view = engine
                .golden_at(id, revision, &RowScope::All)
                .await
                .unwrap();
            view.values
                .iter()
                .find(|v| v.value.attribute == NAME)
                .unwrap()
                .value
                .datum
                .clone()
        };
        assert_eq!(names(1).await.text(), Some("乙公司"));
        assert_eq!(names(2).await.text(), Some("丙公司"));
        let none = engine.golden_at(id, 9, &RowScope::All).await.unwrap_err();
        assert_eq!(none.code, Code::NotFound);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_makes_one_of_two() {
    on_both(async |house| {
        let engine = house.engine().await;
        let request = |body: &[u8]| jinke_customer::domain::RequestId {
            caller: "users/u1".to_owned(),
            method: "test/Ingest",
            id: "r1".to_owned(),
            body: body.to_vec(),
        };
        let batch = vec![a(0, "甲公司", "13800000001"), a(0, "乙公司", "13800000002")];
        let first = engine
            .ingest(batch.clone(), Some(request(b"x")))
            .await
            .unwrap();
        assert_eq!(first[1].version, 2);
        // Without the id these arrivals would be two more versions.
        let again = engine
            .ingest(batch.clone(), Some(request(b"x")))
            .await
            .unwrap();
        assert!(
            again
                .iter()
                .all(|r| r.outcome == Outcome::Unchanged && r.version == 2)
        );
        assert_eq!(again[0].customer, first[0].customer);
        let other = engine.ingest(batch, Some(request(b"y"))).await.unwrap_err();
        assert_eq!(other.reason, "REQUEST_ID_REUSED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_refused_is_refused_again_when_it_is_sent_twice() {
    on_both(async |house| {
        let engine = house.engine().await;
        let request = || {
            Some(jinke_customer::domain::RequestId {
                caller: "users/u1".to_owned(),
                method: "test/Ingest",
                id: "r1".to_owned(),
                body: b"x".to_vec(),
            })
        };
        one(&engine, org("erp/1", 1, &[(NAME, "甲公司")])).await;
        let batch = vec![
            person("erp/1", 2, &[(NAME, "张三")]),
            org("erp/2", 1, &[(NAME, "乙公司")]),
        ];
        let first = engine.ingest(batch.clone(), request()).await.unwrap();
        let again = engine.ingest(batch, request()).await.unwrap();
        let outcomes = |list: &[IngestResult]| list.iter().map(|r| r.outcome).collect::<Vec<_>>();
        assert_eq!(outcomes(&first), [Outcome::Rejected, Outcome::Created]);
        // `Unchanged` would tell the caller that the person is stored.
        assert_eq!(outcomes(&again), [Outcome::Rejected, Outcome::Unchanged]);
        assert_eq!(again[0].error.as_ref().unwrap().reason, "KIND_CHANGED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checking_only_stores_nothing() {
    on_both(async |house| {
        let engine = house.engine().await;
        let results = engine
            .check_ingest(vec![a(1, "甲公司", "13800000001")])
            .await
            .unwrap();
        assert_eq!(results[0].outcome, Outcome::Created);
        let missing = engine
            .source_record(&key(A), None, &RowScope::All)
            .await
            .unwrap_err();
        assert_eq!(missing.code, Code::NotFound);
    })
    .await;
}
