//! Walled sources: what is behind the wall does not exist for those outside.

use jinke_customer::{convert::pb, store::MIGRATIONS};
use jinke_store::testing;
use tonic::Code;

use crate::house::{
    House, identifier, key, message, on_each_engine, order, organization, reason, text,
};
use crate::masks::{Answer, everything};

/// Two records of one company: one shared, one walled to the org unit west. They share a number
/// that only one party can have, and a name.
async fn half_walled(house: &House) -> String {
    let duns = || identifier("duns", "544832117");
    let names = house
        .ingest(vec![
            organization(
                "west",
                "W-1",
                vec![
                    text("name", "成都示例精密仪器有限公司"),
                    duns(),
                    text("website", "west.example.cn"),
                    text("x_secret", "west"),
                ],
            ),
            organization(
                "erp",
                "C-1",
                vec![
                    text("name", "成都示例精密仪器公司"),
                    duns(),
                    text("industry", "仪器"),
                ],
            ),
            order("west", "O-1", key("erp", "C-1"), 700, "墙内订单"),
            order("erp", "O-2", key("erp", "C-1"), 300, "共享订单"),
            message("erp", "M-1", key("west", "W-1"), "墙内的客户"),
        ])
        .await;
    let [walled, shared] = [&names[0], &names[1]];
    if walled != shared {
        house
            .customers("admin")
            .merge_customers(pb::MergeCustomersRequest {
                customer: walled.clone(),
                other_customer: shared.clone(),
                ..Default::default()
            })
            .await
            .expect("the two merge");
    }
    walled.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_of_walled_records_only_is_not_found() {
    on_each_engine(async |house| {
        let walled = house
            .ingest(vec![organization(
                "west",
                "W-9",
                vec![text("name", "墙内示例有限公司")],
            )])
            .await
            .remove(0);
        assert!(house.get("west", &walled).await.is_ok());
        for role in ["sales", "reader", "nobody"] {
            let hidden = house.get(role, &walled).await.unwrap_err();
            let absent = house.get(role, "customers/987654321").await.unwrap_err();
            assert_eq!(hidden.code(), Code::NotFound);
            // In the same words, so that nobody learns which of the two it is.
            let words = |s: &tonic::Status, id: &str| s.message().replace(id, "X");
            assert_eq!(
                words(&hidden, &walled),
                words(&absent, "customers/987654321")
            );
            assert_eq!(reason(&hidden), reason(&absent));
            let record = pb::GetSourceRecordRequest {
                key: Some(key("west", "W-9")),
                version: 0,
            };
            let hidden = house
                .sources(role)
                .get_source_record(record)
                .await
                .unwrap_err();
            assert_eq!(reason(&hidden), "RECORD_NOT_FOUND");
            let source = pb::GetSourceRequest {
                name: "sources/west".to_owned(),
            };
            let hidden = house.sources(role).get_source(source).await.unwrap_err();
            assert_eq!(reason(&hidden), "SOURCE_NOT_FOUND");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_walled_customer_is_what_survives_of_the_visible_half() {
    on_each_engine(async |house| {
        let name = half_walled(&house).await;
        let inside = house.get("west", &name).await.unwrap();
        let outside = house.get("reader", &name).await.unwrap();
        assert_eq!((inside.record_count, outside.record_count), (2, 1));
        assert_eq!(outside.display_name, "成都示例精密仪器公司");
        let shown = format!("{outside:?}");
        for secret in ["sources/west", "W-1", "west.example.cn", "x_secret"] {
            assert!(!shown.contains(secret), "{secret} shows in {shown}");
        }
        assert!(
            outside
                .values
                .iter()
                .all(|v| v.provenance.as_ref().unwrap().losing_count == 0)
        );

        let list = async |role: &'static str| {
            let request = pb::ListTimelineEntriesRequest {
                parent: name.clone(),
                ..Default::default()
            };
            let answer = house
                .customers(role)
                .list_timeline_entries(request)
                .await
                .unwrap();
            answer.into_inner().entries.len()
        };
        assert_eq!((list("west").await, list("reader").await), (3, 1));
        let totals = async |role: &'static str| {
            let request = pb::GetCustomerTotalsRequest { name: name.clone() };
            let answer = house
                .customers(role)
                .get_customer_totals(request)
                .await
                .unwrap();
            answer
                .into_inner()
                .totals
                .iter()
                .map(|t| t.count)
                .sum::<i64>()
        };
        assert_eq!((totals("west").await, totals("reader").await), (2, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_behind_the_wall_does_not_show() {
    on_each_engine(async |house| {
        let name = half_walled(&house).await;
        let revisions = async |role: &'static str| {
            let request = pb::ListCustomerRevisionsRequest {
                parent: name.clone(),
                ..Default::default()
            };
            let answer = house
                .customers(role)
                .list_customer_revisions(request)
                .await
                .unwrap();
            answer.into_inner().revisions
        };
        let inside = revisions("west").await;
        let outside = revisions("reader").await;
        assert!(!inside.is_empty() && !outside.is_empty());
        for revision in &outside {
            assert!(!revision.records.is_empty(), "{revision:?}");
            assert!(
                !format!("{revision:?}").contains("sources/west"),
                "{revision:?}"
            );
        }
        let stats = async |role: &'static str| {
            let request = pb::GetCustomerStatsRequest {};
            house
                .customers(role)
                .get_customer_stats(request)
                .await
                .unwrap()
                .into_inner()
        };
        let outside = stats("reader").await;
        let counts = (
            outside.organizations,
            outside.merged_records,
            outside.sources.len(),
        );
        assert_eq!(counts, (1, 0, 2));
        let inside = stats("west").await;
        assert_eq!(
            (
                inside.organizations,
                inside.merged_records,
                inside.sources.len()
            ),
            (1, 1, 3)
        );
        let shown = format!("{:?}", stats("nobody").await);
        assert!(!shown.contains("sources/"), "{shown}");
    })
    .await;
}

/// Every answer to a reader outside, when the walled record says this.
async fn told_outside(said: &str, units: i64) -> Vec<Answer> {
    let taken = std::sync::Mutex::new(Vec::new());
    testing::on_engine(jinke_store::Engine::Sqlite, &MIGRATIONS, async |db| {
        let house = House::over(db, 1).await.with_sources().await;
        let company = |source: &str, id: &str, more: Vec<pb::Value>| {
            let mut values = vec![
                text("name", "成都示例精密仪器有限公司"),
                identifier("duns", "544832117"),
            ];
            values.extend(more);
            organization(source, id, values)
        };
        // The walled source is trusted most, so its values win for those who see it.
        let walled = vec![
            text("industry", said),
            text("remark", said),
            text("x_secret", said),
            text("legal_representative", said),
            text("former_name", &format!("{said}示例厂")),
        ];
        let names = house
            .ingest(vec![
                company("west", "W-1", walled),
                company(
                    "erp",
                    "C-1",
                    vec![text("industry", "仪器"), text("remark", "共享")],
                ),
                order("west", "O-1", key("erp", "C-1"), units, said),
                message("west", "M-1", key("erp", "C-1"), said),
                organization(
                    "west",
                    "W-2",
                    vec![text("name", &format!("{said}独立公司"))],
                ),
            ])
            .await;
        assert_eq!(names[0], names[1], "the two records are one company");
        let inside = house.get("west", &names[0]).await.unwrap();
        assert!(
            format!("{inside:?}").contains(said),
            "those inside see what is said"
        );
        let told = everything(&house, "reader").await;
        taken.lock().unwrap().extend(told);
    })
    .await;
    taken.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_behind_the_wall_changes_no_byte_outside() {
    let first = told_outside("甲乙", 700).await;
    for (said, units) in [("丙丁", 1), ("戊己庚辛", 999_999)] {
        for (a, b) in first.iter().zip(told_outside(said, units).await) {
            assert_eq!(*a, b, "{} tells what is behind the wall", a.0);
        }
    }
    let shown = first
        .iter()
        .filter(|(.., result)| result.as_ref().is_ok_and(|b| !b.is_empty()));
    assert!(
        shown.count() > 10,
        "the reader sees too little for the test to mean anything"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_needs_the_org_unit_of_the_source() {
    on_each_engine(async |house| {
        let attempt = async |role: &'static str, source: &str| {
            let records = vec![organization(
                source,
                "T-1",
                vec![text("name", "示例有限公司")],
            )];
            let request = pb::IngestSourceRecordsRequest {
                records,
                ..Default::default()
            };
            let answer = house
                .sources(role)
                .ingest_source_records(request)
                .await
                .unwrap();
            let result = answer.into_inner().results.remove(0);
            result.error.map(|error| error.message)
        };
        assert_eq!(attempt("west", "west").await, None);
        let shared = attempt("west", "erp")
            .await
            .expect("the enterprise's source is refused");
        assert!(shared.contains("org unit"), "{shared}");
        // A walled source and one that does not exist are refused alike.
        let walled = attempt("west", "east")
            .await
            .expect("a walled source is refused");
        let absent = attempt("west", "nowhere")
            .await
            .expect("no source is refused");
        assert_eq!(walled.replace("east", "X"), absent.replace("nowhere", "X"));

        let create = pb::CreateSourceRequest {
            source_id: "mine".to_owned(),
            source: Some(pb::Source {
                org_unit: "orgUnits/east".to_owned(),
                ..Default::default()
            }),
            request_id: String::new(),
        };
        let refused = house
            .sources("west")
            .create_source(create)
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "ORG_UNIT_DENIED");
        let update = pb::UpdateSourceRequest {
            source: Some(pb::Source {
                name: "sources/erp".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let refused = house
            .sources("west")
            .update_source(update)
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "ORG_UNIT_DENIED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn judgements_on_walled_records_are_not_seen_or_made_from_outside() {
    on_each_engine(async |house| {
        house
            .ingest(vec![
                organization("west", "W-1", vec![text("name", "示例甲有限公司")]),
                organization("west", "W-2", vec![text("name", "示例乙股份公司")]),
            ])
            .await;
        let create = |left, right| pb::CreateJudgementRequest {
            judgement: Some(pb::Judgement {
                decision: pb::judgement::Decision::Negative.into(),
                left: vec![left],
                right: vec![right],
                comment: "两家不同".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let walled = create(key("west", "W-1"), key("west", "W-2"));
        let refused = house
            .stewards("sales")
            .create_judgement(walled.clone())
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "SOURCE_NOT_FOUND");
        let made = house
            .stewards("west")
            .create_judgement(walled)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(made.comment, "两家不同");
        let list = async |role: &'static str| {
            let request = pb::ListJudgementsRequest::default();
            house
                .stewards(role)
                .list_judgements(request)
                .await
                .unwrap()
                .into_inner()
                .judgements
        };
        assert_eq!(
            (list("west").await.len(), list("sales").await.len()),
            (1, 0)
        );
        let retract = pb::RetractJudgementRequest {
            name: made.name,
            ..Default::default()
        };
        let refused = house
            .stewards("sales")
            .retract_judgement(retract.clone())
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        let taken_back = house
            .stewards("west")
            .retract_judgement(retract)
            .await
            .unwrap();
        assert!(taken_back.into_inner().retract_time.is_some());
        assert_eq!(list("west").await.len(), 0);
    })
    .await;
}
