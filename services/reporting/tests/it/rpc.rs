//! The RPCs through tonic, with grants made up by the test: rows, masks, rows that add up, request
//! ids, reports that stay the same.

use jinke_reporting::{convert::pb, number};
use tonic::Code;

use crate::house::{date, on_each_engine, value};

#[tokio::test(flavor = "multi_thread")]
async fn amounts_are_for_those_who_may_read_them_and_rows_for_those_who_see_them() {
    on_each_engine(21, async |house| {
        let both = ["net_revenue", "order_count"];
        let all = house.query("admin", &both, &[], "").await.unwrap();
        let right: i128 = house.world.revenue().values().sum();
        assert_eq!(value(&all.totals[0].values[0]), Some(right));
        let some = house.query("finance", &both, &[], "").await.unwrap();
        let (part, whole) = (
            value(&some.totals[0].values[0]).unwrap(),
            value(&all.totals[0].values[0]).unwrap(),
        );
        assert!(
            part > 0 && part < whole,
            "east sees a part: {part} of {whole}"
        );
        let sales = house
            .query("sales", &both, &["customer"], "")
            .await
            .unwrap();
        for row in sales.rows.iter().chain(&sales.totals) {
            assert_eq!(row.values[0].null_reason, "HIDDEN");
            assert!(row.values[0].value.is_none() && row.values[0].numerator.is_none());
        }
        assert_eq!(sales.totals[0].values[1], some.totals[0].values[1]);
        let none = house
            .query("nobody", &both, &["customer"], "")
            .await
            .unwrap();
        assert!(none.rows.is_empty());
        // What tells of amounts cannot be asked for either.
        for refused in [
            house.query("sales", &["order_count"], &["m"], "").await,
            house
                .query("sales", &["order_count"], &[], "rfm_segment = \"重要价值\"")
                .await,
        ] {
            assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        }
        let request = pb::CreateReportRequest::default();
        let refused = house.reports("sales").create_report(request).await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        let listed = pb::ListCustomerInsightsRequest::default();
        let seen = house.insights("sales").list_customer_insights(listed).await;
        for insight in seen.unwrap().into_inner().insights {
            assert_eq!(insight.grade_points, 0);
            assert!(insight.rfm.is_none_or(|x| x.monetary.is_none() && x.m == 0));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_reads_what_sales_may_bring_and_not_what_was_paid() {
    on_each_engine(22, async |house| {
        let both = ["forecast_amount", "net_revenue"];
        let hidden = async |role| {
            let answer = house.query(role, &both, &[], "").await.unwrap();
            let values = answer.totals[0].values.iter();
            values
                .map(|v| v.null_reason == "HIDDEN")
                .collect::<Vec<_>>()
        };
        assert_eq!(hidden("sales").await, [true, true]);
        assert_eq!(hidden("seller").await, [false, true]);
        assert_eq!(hidden("finance").await, [false, false]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_add_up_to_their_value_over_all_pages() {
    on_each_engine(22, async |house| {
        for (measure, filter) in [
            ("net_revenue", ""),
            ("average_order_value", "lifecycle_stage = \"dormant\""),
            ("retention_rate", ""),
        ] {
            let mut request = pb::ListMetricRowsRequest {
                measure: measure.to_owned(),
                filter: filter.to_owned(),
                start_date: Some(date(2025, 1, 1)),
                end_date: Some(date(2026, 12, 31)),
                page_size: 7,
                ..pb::ListMetricRowsRequest::default()
            };
            let (mut sum, mut rows) = ((0, 0), 0);
            let whole = loop {
                let page = house
                    .analytics("admin")
                    .list_metric_rows(request.clone())
                    .await;
                let page = page.unwrap().into_inner();
                let add = |d: &Option<jinke_proto::google::r#type::Decimal>| {
                    d.as_ref()
                        .and_then(|d| number::parse(&d.value))
                        .unwrap_or_default()
                };
                for row in &page.rows {
                    sum.0 += add(&row.numerator);
                    sum.1 += add(&row.denominator);
                    rows += 1;
                }
                if page.next_page_token.is_empty() {
                    break page;
                }
                request.page_token = page.next_page_token;
            };
            let value = whole.value.unwrap();
            assert_eq!(rows, whole.total_size);
            let parsed = |d: &Option<jinke_proto::google::r#type::Decimal>| {
                d.as_ref()
                    .and_then(|d| number::parse(&d.value))
                    .unwrap_or_default()
            };
            assert_eq!(sum.0, parsed(&value.numerator), "{measure}");
            assert_eq!(sum.1, parsed(&value.denominator), "{measure}");
        }
        // A token of another question is refused.
        let request = |measure: &str, token: &str| pb::ListMetricRowsRequest {
            measure: measure.to_owned(),
            page_size: 1,
            page_token: token.to_owned(),
            start_date: Some(date(2025, 1, 1)),
            ..pb::ListMetricRowsRequest::default()
        };
        let first = house
            .analytics("admin")
            .list_metric_rows(request("order_count", ""))
            .await;
        let token = first.unwrap().into_inner().next_page_token;
        let refused = house
            .analytics("admin")
            .list_metric_rows(request("net_revenue", &token))
            .await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_kept_explained_and_guarded() {
    on_each_engine(24, async |house| {
        let segment = |conditions: &[&str]| pb::Segment {
            display_name: "沉睡客户".to_owned(),
            conditions: conditions.iter().map(|c| (*c).to_owned()).collect(),
            ..pb::Segment::default()
        };
        let create = |id: &str, conditions: &[&str]| pb::CreateSegmentRequest {
            segment_id: id.to_owned(),
            segment: Some(segment(conditions)),
            request_id: format!("request-{id}"),
            validate_only: false,
        };
        let rich = ["net_revenue > amount(\"100\")", "order_count >= 1"];
        let made = house
            .segments("admin")
            .create_segment(create("rich", &rich))
            .await;
        let made = made.unwrap().into_inner();
        let replay = house
            .segments("admin")
            .create_segment(create("rich", &rich))
            .await;
        assert_eq!(replay.unwrap().into_inner(), made);
        let mut taken = create("rich", &rich);
        taken.request_id.clear();
        let refused = house.segments("admin").create_segment(taken).await;
        assert_eq!(refused.unwrap_err().code(), Code::AlreadyExists);
        let refused = house
            .segments("sales")
            .create_segment(create("x", &rich))
            .await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        let wrong = house
            .segments("admin")
            .create_segment(create("y", &["1 +"]))
            .await;
        assert_eq!(wrong.unwrap_err().code(), Code::InvalidArgument);
        let list = pb::ListSegmentMembersRequest {
            parent: made.name.clone(),
            page_size: 1_000,
            ..pb::ListSegmentMembersRequest::default()
        };
        let members = house
            .segments("admin")
            .list_segment_members(list.clone())
            .await;
        let members = members.unwrap().into_inner();
        let right = house
            .world
            .revenue()
            .values()
            .filter(|v| **v > 100 * number::ONE)
            .count();
        assert_eq!(members.total_size as usize, right);
        let refused = house.segments("sales").list_segment_members(list).await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        let explain = pb::ExplainSegmentMembershipRequest {
            name: made.name.clone(),
            customer: members.members[0].customer.clone(),
            as_of: None,
        };
        let why = house
            .segments("admin")
            .explain_segment_membership(explain)
            .await;
        let why = why.unwrap().into_inner();
        assert!(
            why.member
                && why
                    .conditions
                    .iter()
                    .all(|c| c.holds && !c.values.is_empty())
        );
        let preview = pb::PreviewSegmentRequest {
            conditions: vec!["order_count >= 1".to_owned()],
            segment: made.name.clone(),
            ..pb::PreviewSegmentRequest::default()
        };
        let preview = house.segments("admin").preview_segment(preview).await;
        let preview = preview.unwrap().into_inner();
        assert_eq!(preview.leaving_size, 0);
        assert_eq!(
            preview.total_size,
            members.total_size + preview.joining_size
        );
        let update = |etag: &str| pb::UpdateSegmentRequest {
            segment: Some(pb::Segment {
                name: made.name.clone(),
                display_name: "富".to_owned(),
                etag: etag.to_owned(),
                ..pb::Segment::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["display_name".to_owned()],
            }),
            request_id: String::new(),
        };
        let changed = house
            .segments("admin")
            .update_segment(update(&made.etag))
            .await;
        assert_eq!(changed.unwrap().into_inner().revision, 2);
        let stale = house
            .segments("admin")
            .update_segment(update(&made.etag))
            .await;
        assert_eq!(stale.unwrap_err().code(), Code::Aborted);
        let delete = pb::DeleteSegmentRequest {
            name: made.name.clone(),
            ..pb::DeleteSegmentRequest::default()
        };
        house
            .segments("admin")
            .delete_segment(delete)
            .await
            .unwrap();
        let get = pb::GetSegmentRequest { name: made.name };
        let gone = house.segments("admin").get_segment(get).await;
        assert_eq!(gone.unwrap_err().code(), Code::NotFound);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_stay_the_same_and_belong_to_their_makers() {
    on_each_engine(25, async |house| {
        let create = async |role| {
            let request = pb::CreateReportRequest {
                date: Some(date(2026, 6, 30)),
                ..pb::CreateReportRequest::default()
            };
            let made = house.reports(role).create_report(request).await;
            made.unwrap().into_inner()
        };
        let (one, two) = (create("admin").await, create("admin").await);
        assert_eq!(one.content_hash, two.content_hash);
        assert_ne!(one.name, two.name);
        let download = async |role, name: &str, format: pb::ReportFormat| {
            let request = pb::DownloadReportRequest {
                name: name.to_owned(),
                format: format.into(),
                language: pb::ReportLanguage::Zh.into(),
            };
            let file = house.reports(role).download_report(request).await;
            file.map(tonic::Response::into_inner)
        };
        for format in [pb::ReportFormat::Html, pb::ReportFormat::Xlsx] {
            let first = download("admin", &one.name, format).await.unwrap();
            let second = download("admin", &two.name, format).await.unwrap();
            assert!(first.content.len() > 1_000 && first == second);
        }
        // What arrives later for that day is in the next report, and never in the one that was made.
        let kept = download("admin", &one.name, pb::ReportFormat::Html)
            .await
            .unwrap();
        house.world.happen(60);
        house.settle().await;
        let later = create("admin").await;
        assert_ne!(later.content_hash, one.content_hash);
        let at = |r: &pb::Report| r.basis.as_ref().map(|b| b.timeline_position);
        assert!(at(&later) > at(&one));
        let again = download("admin", &one.name, pb::ReportFormat::Html)
            .await
            .unwrap();
        assert_eq!(again, kept);
        let part = create("finance").await;
        assert_ne!(part.content_hash, one.content_hash);
        let refused = download("finance", &one.name, pb::ReportFormat::Html).await;
        assert_eq!(refused.unwrap_err().code(), Code::NotFound);
        assert!(
            download("finance", &part.name, pb::ReportFormat::Html)
                .await
                .is_ok()
        );
        assert!(
            download("admin", &part.name, pb::ReportFormat::Html)
                .await
                .is_ok()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_is_asked_for_once_and_takes_over() {
    on_each_engine(26, async |house| {
        let before = house
            .query("admin", &["net_revenue"], &["customer"], "")
            .await
            .unwrap();
        let rebuild = pb::RebuildProjectionsRequest::default();
        let one = house
            .projections("admin")
            .rebuild_projections(rebuild.clone())
            .await;
        let two = house
            .projections("admin")
            .rebuild_projections(rebuild)
            .await;
        assert_eq!(
            one.unwrap().into_inner().name,
            two.unwrap().into_inner().name
        );
        house.world.happen(30);
        house.settle().await;
        let listed = house
            .projections("admin")
            .list_projections(pb::ListProjectionsRequest {})
            .await;
        let listed = listed.unwrap().into_inner().projections;
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!(listed[0].name, "projections/2");
        assert_eq!(listed[0].lag_seconds, 0);
        let after = house
            .query("admin", &["net_revenue"], &["customer"], "")
            .await
            .unwrap();
        assert_ne!(before, after);
        let right: i128 = house.world.revenue().values().sum();
        assert_eq!(value(&after.totals[0].values[0]), Some(right));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_refused_with_their_field() {
    on_each_engine(27, async |house| {
        for (measures, dimensions, filter) in [
            (&["x"][..], &[][..], ""),
            (&[], &[], ""),
            (&["net_revenue"; 11], &[], ""),
            (&["net_revenue"], &["stage"], ""),
            (&["net_revenue"], &["tag"], ""),
            (&["net_revenue"], &["grade", "grade"], ""),
            (&["net_revenue"], &[], "grade >"),
        ] {
            let refused = house.query("admin", measures, dimensions, filter).await;
            assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
        }
        let daily = pb::QueryMetricsRequest {
            measures: vec!["net_revenue".to_owned()],
            grain: pb::TimeGrain::Day.into(),
            ..pb::QueryMetricsRequest::default()
        };
        let refused = house.analytics("admin").query_metrics(daily).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
        for name in [
            "",
            "customers/x/insight",
            "customers/-1/insight",
            "customers/1",
        ] {
            let request = pb::GetCustomerInsightRequest {
                name: name.to_owned(),
                ..pb::GetCustomerInsightRequest::default()
            };
            let refused = house.insights("admin").get_customer_insight(request).await;
            assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument, "{name}");
        }
        let request = pb::GetCustomerInsightRequest {
            name: "customers/999999999/insight".to_owned(),
            ..pb::GetCustomerInsightRequest::default()
        };
        let missing = house.insights("admin").get_customer_insight(request).await;
        assert_eq!(missing.unwrap_err().code(), Code::NotFound);
    })
    .await;
}
