//! Input nobody should send. Nothing panics, nothing is stored, every bad field is named.

use jinke_pipeline::convert::pb;
use jinke_proto::google::r#type as gt;
use tonic::Code;

use crate::house::{House, lead, money, on_each_engine, reason, time};

pub fn long(n: usize) -> String {
    "长".repeat(n)
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_leads_are_refused_field_by_field() {
    on_each_engine(async |house: House| {
        let base = || lead("丙公司");
        let bad = [
            (
                "lead.company",
                pb::Lead {
                    company: long(201),
                    ..base()
                },
            ),
            (
                "lead.company",
                pb::Lead {
                    company: "a\0b".into(),
                    ..base()
                },
            ),
            (
                "lead.company",
                pb::Lead {
                    company: String::new(),
                    person_name: " ".into(),
                    ..base()
                },
            ),
            (
                "lead.phones",
                pb::Lead {
                    phones: vec!["1".into(); 6],
                    ..base()
                },
            ),
            (
                "lead.phones[0]",
                pb::Lead {
                    phones: vec![String::new()],
                    ..base()
                },
            ),
            (
                "lead.remark",
                pb::Lead {
                    remark: long(4_001),
                    ..base()
                },
            ),
            (
                "lead.estimate",
                pb::Lead {
                    estimate: money("CNY", -1, 0),
                    ..base()
                },
            ),
            (
                "lead.estimate.units",
                pb::Lead {
                    estimate: money("CNY", i64::MAX, 0),
                    ..base()
                },
            ),
            (
                "lead.estimate.currency_code",
                pb::Lead {
                    estimate: money("元", 1, 0),
                    ..base()
                },
            ),
            (
                "lead.owner",
                pb::Lead {
                    owner: "users/../x".into(),
                    ..base()
                },
            ),
            (
                "lead.org_unit",
                pb::Lead {
                    org_unit: "east".into(),
                    ..base()
                },
            ),
            (
                "lead.customer",
                pb::Lead {
                    customer: "customers/-1".into(),
                    ..base()
                },
            ),
            (
                "lead.external_id",
                pb::Lead {
                    source: "sources/web".into(),
                    ..base()
                },
            ),
            (
                "lead.source",
                pb::Lead {
                    external_id: "1".into(),
                    ..base()
                },
            ),
            (
                "lead.first_touch.touch_time",
                pb::Lead {
                    first_touch: Some(pb::FirstTouch {
                        touch_time: time(i64::MAX),
                        ..Default::default()
                    }),
                    ..base()
                },
            ),
        ];
        for (field, lead) in bad {
            let request = pb::CreateLeadRequest {
                lead: Some(lead),
                ..Default::default()
            };
            let refused = house.leads("admin").create_lead(request).await.unwrap_err();
            let failure = jinke_kit::failure(&refused);
            assert_eq!(failure.reason, "INVALID_FIELD", "{field}: {refused}");
            assert!(
                failure.violations.iter().any(|v| v.field == field),
                "{field}: {failure:?}"
            );
        }
        let none = house
            .leads("admin")
            .create_lead(pb::CreateLeadRequest::default())
            .await;
        assert_eq!(none.unwrap_err().code(), Code::InvalidArgument);
        let batch = pb::BatchCreateLeadsRequest {
            leads: vec![base(); 201],
            ..Default::default()
        };
        assert!(
            house
                .leads("admin")
                .batch_create_leads(batch)
                .await
                .is_err()
        );
        let list = house
            .leads("admin")
            .list_leads(pb::ListLeadsRequest::default())
            .await
            .unwrap();
        assert!(list.into_inner().leads.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_opportunities_and_moves_are_refused() {
    on_each_engine(async |house: House| {
        let base = || pb::Opportunity {
            display_name: "好".into(),
            customer: "customers/7".into(),
            ..Default::default()
        };
        let item = |quantity: &str, currency: &str| pb::opportunity::LineItem {
            product: "p".into(),
            quantity: Some(gt::Decimal {
                value: quantity.into(),
            }),
            unit_price: money(currency, 999_999_999_999, 0),
            ..Default::default()
        };
        let person = |name: &str, role: &str| pb::opportunity::Contact {
            person: name.into(),
            role: role.into(),
            ..Default::default()
        };
        let bad = [
            pb::Opportunity {
                display_name: String::new(),
                ..base()
            },
            pb::Opportunity {
                display_name: "a\nb".into(),
                ..base()
            },
            pb::Opportunity {
                customer: String::new(),
                ..base()
            },
            pb::Opportunity {
                pipeline: "pipelines/../default".into(),
                ..base()
            },
            pb::Opportunity {
                close_date: Some(gt::Date {
                    year: 2026,
                    month: 2,
                    day: 30,
                }),
                ..base()
            },
            pb::Opportunity {
                line_items: vec![item("0", "CNY")],
                ..base()
            },
            pb::Opportunity {
                line_items: vec![item("1e9", "CNY")],
                ..base()
            },
            pb::Opportunity {
                line_items: vec![item("999999999999", "CNY")],
                ..base()
            },
            pb::Opportunity {
                line_items: vec![item("1", "CNY"), item("1", "USD")],
                ..base()
            },
            pb::Opportunity {
                line_items: vec![item("1", "USD")],
                amount: money("CNY", 1, 0),
                ..base()
            },
            pb::Opportunity {
                line_items: vec![item("1", "CNY"); 201],
                ..base()
            },
            pb::Opportunity {
                contacts: vec![person("customers/9", "boss")],
                ..base()
            },
            pb::Opportunity {
                contacts: vec![person("customers/7", "user")],
                ..base()
            },
            pb::Opportunity {
                contacts: vec![person("customers/9", "user"); 51],
                ..base()
            },
            pb::Opportunity {
                description: long(4_001),
                ..base()
            },
        ];
        for (i, opportunity) in bad.into_iter().enumerate() {
            let refused = house.create("admin", opportunity).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{i}: {refused}");
        }
        let missing = pb::Opportunity {
            customer: "customers/404".into(),
            ..base()
        };
        assert_eq!(
            house.create("admin", missing).await.unwrap_err().code(),
            Code::NotFound
        );
        let missing = pb::Opportunity {
            pipeline: "pipelines/none".into(),
            ..base()
        };
        assert_eq!(
            house.create("admin", missing).await.unwrap_err().code(),
            Code::NotFound
        );
        let o = house.create("admin", base()).await.unwrap();
        for (stage, why) in [
            ("nowhere", "STAGE_UNKNOWN"),
            ("service", "STAGE_AFTER_WIN"),
            ("discovery", "STAGE_SAME"),
            ("a b", "INVALID_FIELD"),
            (&long(100), "INVALID_FIELD"),
        ] {
            let refused = house.advance(&o.name, stage).await.unwrap_err();
            assert_eq!(reason(&refused), why, "{stage}");
        }
        let stale = pb::AdvanceOpportunityRequest {
            name: o.name.clone(),
            stage: "contact".into(),
            etag: "\"77\"".into(),
            ..Default::default()
        };
        let refused = house
            .opportunities("admin")
            .advance_opportunity(stale)
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "ETAG_MISMATCH");
        for list in [
            pb::ListOpportunitiesRequest {
                filter: "amount > 5".into(),
                ..Default::default()
            },
            pb::ListOpportunitiesRequest {
                filter: "stage = 'x'".into(),
                ..Default::default()
            },
            pb::ListOpportunitiesRequest {
                filter: long(3_000),
                ..Default::default()
            },
            pb::ListOpportunitiesRequest {
                order_by: "sealed".into(),
                ..Default::default()
            },
            pb::ListOpportunitiesRequest {
                page_size: -1,
                ..Default::default()
            },
            pb::ListOpportunitiesRequest {
                page_size: i32::MAX,
                ..Default::default()
            },
            pb::ListOpportunitiesRequest {
                page_token: long(10),
                ..Default::default()
            },
        ] {
            let refused = house
                .opportunities("admin")
                .list_opportunities(list)
                .await
                .unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_belongs_to_one_request() {
    on_each_engine(async |house: House| {
        let request = |title: &str| pb::CreateOpportunityRequest {
            opportunity: Some(pb::Opportunity {
                display_name: title.into(),
                customer: "customers/7".into(),
                ..Default::default()
            }),
            request_id: "once".into(),
            ..Default::default()
        };
        let mut client = house.opportunities("admin");
        let first = client
            .create_opportunity(request("甲"))
            .await
            .unwrap()
            .into_inner();
        let again = client
            .create_opportunity(request("甲"))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(first, again);
        let refused = client.create_opportunity(request("乙")).await.unwrap_err();
        assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
        let bad = pb::CreateOpportunityRequest {
            request_id: "有空格 的".into(),
            ..request("甲")
        };
        assert_eq!(
            client.create_opportunity(bad).await.unwrap_err().code(),
            Code::InvalidArgument
        );
        // Another caller's id is another id.
        let other = house
            .opportunities("desk")
            .create_opportunity(request("乙"))
            .await;
        assert_ne!(other.unwrap().into_inner().name, first.name);
    })
    .await;
}
