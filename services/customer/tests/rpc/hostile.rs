//! What a hostile or broken client sends, and the clear error it gets. After each case the service
//! still answers.

use jinke_customer::convert::pb;
use tonic::{Code, Status};

use crate::house::{House, key, on_each_engine, organization, reason, text};

async fn ingest(
    house: &House,
    records: Vec<pb::SourceRecord>,
) -> Result<Vec<pb::IngestResult>, Status> {
    let request = pb::IngestSourceRecordsRequest {
        records,
        ..Default::default()
    };
    let answer = house
        .sources("admin")
        .ingest_source_records(request)
        .await?;
    Ok(answer.into_inner().results)
}

fn good(id: usize) -> pb::SourceRecord {
    organization(
        "erp",
        &format!("G-{id}"),
        vec![text("name", &format!("示例{id}号贸易有限公司"))],
    )
}

/// The violations of a rejected record.
fn fields(result: &pb::IngestResult) -> Vec<String> {
    assert_eq!(
        result.outcome(),
        pb::ingest_result::Outcome::Rejected,
        "{result:?}"
    );
    let error = result.error.clone().expect("a rejection says why");
    let details = prost::Message::encode_to_vec(&error);
    let status = Status::with_details(Code::from(error.code), error.message, details.into());
    jinke_kit::failure(&status)
        .violations
        .into_iter()
        .map(|v| v.field)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_record_is_rejected_by_name_and_the_others_are_stored() {
    on_each_engine(async |house| {
        let body = |record: &mut pb::SourceRecord, value| {
            if let Some(pb::source_record::Body::Party(p)) = &mut record.body {
                p.values.push(value);
            }
        };
        let wrong = |change: &dyn Fn(&mut pb::SourceRecord)| {
            let mut record = good(0);
            change(&mut record);
            record
        };
        let value = "records[1].party.values[1]";
        let cases = [
            (wrong(&|r| r.key = None), "records[1].key".to_owned()),
            (
                wrong(&|r| r.key = Some(key("erp", ""))),
                "records[1].key.external_id".to_owned(),
            ),
            (
                wrong(&|r| r.key = Some(key("erp", &"长".repeat(257)))),
                "records[1].key.external_id".to_owned(),
            ),
            (
                wrong(&|r| r.key = Some(key("ERP", "1"))),
                "records[1].key.source".to_owned(),
            ),
            (wrong(&|r| r.body = None), "records[1]".to_owned()),
            (
                wrong(&|r| r.completeness = 77),
                "records[1].completeness".to_owned(),
            ),
            (
                wrong(&|r| {
                    r.source_update_time = Some(prost_types::Timestamp {
                        seconds: i64::MAX,
                        nanos: 0,
                    });
                }),
                "records[1].source_update_time".to_owned(),
            ),
            (
                wrong(&|r| body(r, text("nome", "x"))),
                format!("{value}.attribute"),
            ),
            (
                wrong(&|r| body(r, text("remark", "a\0b"))),
                format!("{value}.text"),
            ),
            (
                wrong(&|r| body(r, text("identifier", "91310000"))),
                format!("{value}.scheme"),
            ),
            (
                wrong(&|r| {
                    body(
                        r,
                        pb::Value {
                            country: "C\0".to_owned(),
                            ..text("name", "x")
                        },
                    );
                }),
                format!("{value}.country"),
            ),
            // 10 MB is refused by the size of the record, before anything looks at it.
            (
                wrong(&|r| body(r, text("name", &"名".repeat(3_500_000)))),
                "records[1]".to_owned(),
            ),
        ];
        for (n, (record, field)) in cases.into_iter().enumerate() {
            let results = ingest(&house, vec![good(2 * n + 1), record, good(2 * n + 2)])
                .await
                .unwrap();
            assert_eq!(fields(&results[1]), [field]);
            for good in [&results[0], &results[2]] {
                assert_eq!(
                    good.outcome(),
                    pb::ingest_result::Outcome::Created,
                    "{good:?}"
                );
            }
        }
        let unknown = organization("nowhere", "1", vec![text("name", "示例")]);
        let results = ingest(&house, vec![unknown]).await.unwrap();
        assert_eq!(results[0].outcome(), pb::ingest_result::Outcome::Rejected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_request_is_refused_as_a_whole() {
    on_each_engine(async |house| {
        house.ingest(vec![good(1), good(2)]).await;
        let mut refused: Vec<(&str, Status)> = Vec::new();
        refused.push(("records", ingest(&house, Vec::new()).await.unwrap_err()));
        let many = (0..1_001).map(good).collect();
        refused.push(("records", ingest(&house, many).await.unwrap_err()));
        let mut customers = house.customers("admin");
        for name in [
            "",
            "customers/",
            "customers/0",
            "customers/x",
            "sources/erp",
            "customers/1\0",
        ] {
            refused.push(("name", house.get("admin", name).await.unwrap_err()));
        }
        let get = pb::GetCustomerRequest {
            name: "customers/1".to_owned(),
            view: 9,
        };
        refused.push(("view", customers.get_customer(get).await.unwrap_err()));
        for (size, field) in [
            (-1, "page_size"),
            (1_001, "page_size"),
            (i32::MIN, "page_size"),
        ] {
            let list = pb::ListCustomersRequest {
                page_size: size,
                ..Default::default()
            };
            refused.push((field, customers.list_customers(list).await.unwrap_err()));
        }
        for filter in [
            "kind =",
            "phone = \"1\"",
            "1 = 1; DROP TABLE customers",
            "tag = \"a\0b\"",
        ] {
            let list = pb::ListCustomersRequest {
                filter: filter.to_owned(),
                ..Default::default()
            };
            refused.push(("filter", customers.list_customers(list).await.unwrap_err()));
        }
        for query in ["", " ", "杭", &"杭".repeat(101), "a\0b"] {
            let search = pb::SearchCustomersRequest {
                query: query.to_owned(),
                ..Default::default()
            };
            refused.push((
                "query",
                customers.search_customers(search).await.unwrap_err(),
            ));
        }
        let none = pb::LookupCustomersRequest::default();
        refused.push(("by", customers.lookup_customers(none).await.unwrap_err()));
        let names = (1..=101).map(|n| format!("customers/{n}")).collect();
        let batch = pb::BatchGetCustomersRequest { names, view: 0 };
        refused.push((
            "names",
            customers.batch_get_customers(batch).await.unwrap_err(),
        ));
        let tag = pb::AddCustomerTagRequest {
            name: "customers/1".to_owned(),
            tag: "长".repeat(51),
            request_id: String::new(),
        };
        refused.push(("tag", customers.add_customer_tag(tag).await.unwrap_err()));
        let merge = pb::MergeCustomersRequest {
            customer: "customers/1".to_owned(),
            other_customer: "customers/1".to_owned(),
            ..Default::default()
        };
        refused.push((
            "other_customer",
            customers.merge_customers(merge).await.unwrap_err(),
        ));
        let merge = pb::MergeCustomersRequest {
            customer: "customers/1".to_owned(),
            other_customer: "customers/2".to_owned(),
            request_id: "\u{7}".to_owned(),
            ..Default::default()
        };
        refused.push((
            "request_id",
            customers.merge_customers(merge).await.unwrap_err(),
        ));
        let judgement = pb::Judgement {
            decision: 9,
            left: vec![key("erp", "G-1")],
            right: vec![key("erp", "G-2")],
            ..Default::default()
        };
        let create = pb::CreateJudgementRequest {
            judgement: Some(judgement),
            ..Default::default()
        };
        refused.push((
            "judgement.decision",
            house
                .stewards("admin")
                .create_judgement(create)
                .await
                .unwrap_err(),
        ));
        for (field, status) in refused {
            assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
            let failure = jinke_kit::failure(&status);
            assert_eq!(failure.violations[0].field, field, "{status:?}");
        }
        assert_eq!(
            house.get("admin", "customers/1").await.unwrap().name,
            "customers/1"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_fields_cannot_be_sorted_by() {
    on_each_engine(async |house| {
        for (filter, order_by) in [
            ("", "display_name"),
            ("kind = PERSON", "display_name desc"),
            ("", "phone"),
        ] {
            let list = pb::ListCustomersRequest {
                filter: filter.to_owned(),
                order_by: order_by.to_owned(),
                ..Default::default()
            };
            let status = house
                .customers("admin")
                .list_customers(list)
                .await
                .unwrap_err();
            assert_eq!(
                (status.code(), reason(&status).as_str()),
                (Code::InvalidArgument, "SEALED_FIELD")
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_have_no_order_for_those_who_do_not_see_every_source() {
    on_each_engine(async |house| {
        let list = pb::ListCustomersRequest {
            filter: "kind = ORGANIZATION".to_owned(),
            order_by: "display_name".to_owned(),
            ..Default::default()
        };
        // The stored name may come from a walled source, and the order would tell it.
        let refused = house
            .customers("reader")
            .list_customers(list.clone())
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "SEALED_FIELD");
        assert!(
            house
                .customers("finance")
                .list_customers(list)
                .await
                .is_ok()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_tokens_serve_their_own_request_only() {
    on_each_engine(async |house| {
        house.ingest((0..5).map(good).collect()).await;
        let list = |filter: &str, order_by: &str, page_token: &str| pb::ListCustomersRequest {
            page_size: 2,
            filter: filter.to_owned(),
            order_by: order_by.to_owned(),
            page_token: page_token.to_owned(),
            ..Default::default()
        };
        let mut admin = house.customers("admin");
        let first = admin
            .list_customers(list("", "", ""))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(first.customers.len(), 2);
        let token = first.next_page_token;
        let second = admin
            .list_customers(list("", "", &token))
            .await
            .unwrap()
            .into_inner();
        assert_ne!(first.customers[1].name, second.customers[0].name);

        let mut other = house.customers("other");
        let mut refused = vec![
            admin
                .list_customers(list("kind = PERSON", "", &token))
                .await
                .unwrap_err(),
            admin
                .list_customers(list("", "update_time", &token))
                .await
                .unwrap_err(),
            admin
                .list_customers(list("", "", &token[1..]))
                .await
                .unwrap_err(),
            admin.list_customers(list("", "", "x")).await.unwrap_err(),
            admin
                .list_customers(list("", "", &"A".repeat(1_000_000)))
                .await
                .unwrap_err(),
            other
                .list_customers(list("", "", &token))
                .await
                .unwrap_err(),
        ];
        let search = pb::SearchCustomersRequest {
            query: "示例".to_owned(),
            page_token: token.clone(),
            ..Default::default()
        };
        refused.push(admin.search_customers(search).await.unwrap_err());
        let changes = pb::ListCustomerChangesRequest {
            page_token: token.clone(),
            ..Default::default()
        };
        refused.push(admin.list_customer_changes(changes).await.unwrap_err());
        for status in refused {
            assert_eq!(reason(&status), "PAGE_TOKEN_INVALID", "{status:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_every_customer_once_in_every_order() {
    on_each_engine(async |house| {
        house.ingest((0..7).map(good).collect()).await;
        for order_by in [
            "",
            "name desc",
            "create_time",
            "update_time desc",
            "display_name",
        ] {
            let mut seen = Vec::new();
            let mut token = String::new();
            loop {
                let list = pb::ListCustomersRequest {
                    page_size: 2,
                    page_token: token,
                    filter: "kind = ORGANIZATION".to_owned(),
                    order_by: order_by.to_owned(),
                    view: 0,
                };
                let page = house
                    .customers("admin")
                    .list_customers(list)
                    .await
                    .unwrap()
                    .into_inner();
                seen.extend(page.customers.into_iter().map(|c| (c.display_name, c.name)));
                token = page.next_page_token;
                if token.is_empty() {
                    break;
                }
            }
            let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
            assert_eq!((seen.len(), distinct.len()), (7, 7), "{order_by}");
            if order_by == "display_name" {
                assert!(seen.is_sorted(), "{seen:?}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_large_records_ends_early_and_none_is_lost() {
    on_each_engine(async |house| {
        let long = "长".repeat(20_000);
        let large = |n: usize| {
            let name = text("name", &format!("示例大档{n:02}有限公司"));
            let remarks = (0..4).map(|i| text(&format!("x_note_{i}"), &long));
            let values = std::iter::once(name).chain(remarks).collect();
            organization("crm", &format!("L-{n:02}"), values)
        };
        for batch in 0..2 {
            house
                .ingest((batch * 20..batch * 20 + 20).map(large).collect())
                .await;
        }
        // Whoever does not see the remarks sees pages that do not depend on them.
        for (role, pages) in [("admin", 4), ("reader", 1)] {
            let (mut seen, mut token, mut turned) = (Vec::new(), String::new(), 0);
            loop {
                let request = pb::ListSourceRecordsRequest {
                    parent: "sources/crm".to_owned(),
                    page_size: 1_000,
                    page_token: token,
                };
                // The client takes messages of 4 MiB, as clients do by default.
                let page = house.sources(role).list_source_records(request).await;
                let page = page.unwrap().into_inner();
                turned += 1;
                let keys = page.records.into_iter().filter_map(|r| r.key);
                seen.extend(keys.map(|k| k.external_id));
                token = page.next_page_token;
                if token.is_empty() {
                    break;
                }
            }
            let all: Vec<String> = (0..40).map(|n| format!("L-{n:02}")).collect();
            assert_eq!(seen, all, "{role}");
            assert_eq!(turned, pages, "{role}");
        }
    })
    .await;
}
