//! Questions over the RPC: time cut by a grain, periods compared, and what the lists of measures and
//! variables promise.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, NaiveDate, Weekday};
use jinke_proto::google::r#type::{Date, Decimal};
use jinke_reporting::{convert::pb, measures::registry::MEASURES, number};
use tonic::Code;

use crate::house::{House, date, on_each_engine, value};

/// Revenue and orders of a group.
type Sums = (i128, i128);

/// The day of an order in China, where no clock is changed.
fn day(time: jinke_types::Timestamp) -> NaiveDate {
    let shifted = time.0 + 8 * 3_600_000_000;
    chrono::DateTime::from_timestamp_micros(shifted)
        .unwrap()
        .date_naive()
}

fn read(date: &Option<Date>) -> NaiveDate {
    let d = date.as_ref().unwrap();
    NaiveDate::from_ymd_opt(d.year, d.month as u32, d.day as u32).unwrap()
}

/// By customer, from the records of the world.
fn sums(house: &House, from: NaiveDate, to: NaiveDate) -> BTreeMap<String, Sums> {
    let mut out = BTreeMap::<String, Sums>::new();
    for (customer, time, amount) in house.world.orders() {
        if (from..=to).contains(&day(time)) {
            let sums = out.entry(format!("customers/{customer}")).or_default();
            sums.0 += amount;
            sums.1 += number::ONE;
        }
    }
    out
}

fn total(by: &BTreeMap<String, Sums>) -> Option<Sums> {
    let sum = by.values().copied().reduce(|a, b| (a.0 + b.0, a.1 + b.1));
    sum.filter(|s| s.1 > 0)
}

fn parsed(decimal: &Option<Decimal>) -> Option<i128> {
    number::parse(&decimal.as_ref()?.value)
}

fn question(from: Date, to: Date) -> pb::QueryMetricsRequest {
    pb::QueryMetricsRequest {
        measures: ["net_revenue", "order_count"].map(str::to_owned).to_vec(),
        dimensions: vec!["customer".to_owned()],
        start_date: Some(from),
        end_date: Some(to),
        ..pb::QueryMetricsRequest::default()
    }
}

async fn ask(house: &House, request: pb::QueryMetricsRequest) -> pb::QueryMetricsResponse {
    let answer = house.analytics("admin").query_metrics(request).await;
    answer.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grain_cuts_the_window_and_every_period_has_its_own_numbers() {
    use pb::TimeGrain::{Day, Month, Quarter, Unspecified, Week, Year};
    on_each_engine(41, async |house| {
        let (short, long) = (date(2025, 12, 10), date(2025, 8, 15));
        let end = date(2026, 3, 17);
        for (grain, from, count) in [
            (Unspecified, long, 1),
            (Day, short, 98),
            // 10 December 2025 is a Wednesday: a part of a week at either end.
            (Week, short, 15),
            (Month, long, 8),
            (Quarter, long, 3),
            (Year, long, 2),
        ] {
            let request = pb::QueryMetricsRequest {
                grain: grain.into(),
                ..question(from, end)
            };
            let answer = ask(&house, request).await;
            let periods: Vec<_> = answer
                .totals
                .iter()
                .map(|t| (read(&t.start_date), read(&t.end_date)))
                .collect();
            assert_eq!(periods.len(), count, "{grain:?}");
            assert_eq!(periods[0].0, read(&Some(from)));
            assert_eq!(periods[count - 1].1, read(&Some(end)));
            for pair in periods.windows(2) {
                let (ended, begun) = (pair[0].1, pair[1].0);
                assert_eq!(ended + Days::new(1), begun, "without gap: {periods:?}");
                let edge = match grain {
                    Week => begun.weekday() == Weekday::Mon,
                    Month => begun.day() == 1,
                    Quarter => begun.day() == 1 && begun.month0() % 3 == 0,
                    Year => begun.ordinal() == 1,
                    _ => true,
                };
                assert!(edge, "{grain:?} begins on {begun}");
            }
            let mut rows = BTreeMap::<NaiveDate, BTreeMap<String, Sums>>::new();
            for row in &answer.rows {
                let one = (
                    value(&row.values[0]).unwrap(),
                    value(&row.values[1]).unwrap(),
                );
                let of = rows.entry(read(&row.start_date)).or_default();
                assert_eq!(of.insert(row.dimension_values[0].clone(), one), None);
            }
            for ((from, to), all) in periods.into_iter().zip(&answer.totals) {
                let right = sums(&house, from, to);
                assert_eq!(
                    rows.remove(&from).unwrap_or_default(),
                    right,
                    "{grain:?} {from}"
                );
                let got = value(&all.values[0]).zip(value(&all.values[1]));
                assert_eq!(got, total(&right), "{grain:?} {from}");
                if right.is_empty() {
                    assert_eq!(all.values[0].null_reason, "NO_DATA");
                    assert_eq!(value(&all.values[1]), Some(0), "of nothing there are none");
                }
            }
            assert!(rows.is_empty(), "rows of no period: {rows:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_shows_who_came_and_who_went() {
    use pb::Comparison::{PreviousPeriod, PreviousYear};
    on_each_engine(42, async |house| {
        let parse = |text: &str| text.parse::<NaiveDate>().unwrap();
        let mut went = 0;
        for (comparison, from, to, was, eve) in [
            // Two whole months against the two before, of which one is February.
            (
                PreviousPeriod,
                date(2026, 3, 1),
                date(2026, 4, 30),
                "2026-01-01",
                "2026-02-28",
            ),
            // As many days when it is no whole month.
            (
                PreviousPeriod,
                date(2026, 2, 10),
                date(2026, 3, 1),
                "2026-01-21",
                "2026-02-09",
            ),
            // The world ends in May 2026: here all went.
            (
                PreviousYear,
                date(2026, 6, 20),
                date(2026, 12, 31),
                "2025-06-20",
                "2025-12-31",
            ),
            // And here all came.
            (
                PreviousPeriod,
                date(2025, 6, 1),
                date(2025, 12, 31),
                "2024-11-01",
                "2025-05-31",
            ),
        ] {
            let now = sums(&house, read(&Some(from)), read(&Some(to)));
            let before = sums(&house, parse(was), parse(eve));
            let request = pb::QueryMetricsRequest {
                comparison: comparison.into(),
                ..question(from, to)
            };
            let answer = ask(&house, request.clone()).await;
            let names: Vec<&String> = answer.rows.iter().map(|r| &r.dimension_values[0]).collect();
            let right: BTreeSet<&String> = now.keys().chain(before.keys()).collect();
            assert_eq!(names.len(), right.len(), "each once");
            assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), right);
            for row in &answer.rows {
                let name = &row.dimension_values[0];
                let (a, b) = (now.get(name), before.get(name));
                let [revenue, orders] = row.values.as_slice() else {
                    panic!("{row:?}")
                };
                // A sum of no amounts is not known, a count of nothing is nothing.
                assert_eq!(value(revenue), a.map(|s| s.0), "{name}");
                assert_eq!(parsed(&revenue.compared), b.map(|s| s.0), "{name}");
                assert_eq!(value(orders), Some(a.map_or(0, |s| s.1)), "{name}");
                let compared = parsed(&orders.compared);
                assert_eq!(compared, Some(b.map_or(0, |s| s.1)), "{name}");
                if a.is_none() {
                    assert_eq!(revenue.null_reason, "NO_DATA");
                    assert_eq!(revenue.change, None);
                    assert_eq!(parsed(&orders.change), Some(-number::ONE));
                    went += 1;
                }
                if b.is_none() {
                    assert_eq!((&revenue.change, &orders.change), (&None, &None));
                }
                if let (Some(a), Some(b)) = (a, b) {
                    let right = number::ratio(a.0, b.0).map(|r| r - number::ONE);
                    assert_eq!(parsed(&revenue.change), right, "{name}");
                }
            }
            let all = &answer.totals[0].values;
            assert_eq!(value(&all[0]), total(&now).map(|s| s.0));
            assert_eq!(parsed(&all[0].compared), total(&before).map(|s| s.0));
            // Sorted by value, who has none now comes last; and pages show the same rows.
            let sorted = pb::QueryMetricsRequest {
                order_by: "value desc".to_owned(),
                page_size: 2,
                ..request
            };
            let (mut values, mut next) = (Vec::new(), sorted);
            loop {
                let page = ask(&house, next.clone()).await;
                values.extend(page.rows.iter().map(|r| value(&r.values[0])));
                if page.next_page_token.is_empty() {
                    break;
                }
                next.page_token = page.next_page_token;
            }
            assert_eq!(values.len(), answer.rows.len());
            assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
        }
        assert!(went > 3, "only {went} customers went");
        // Whose amounts are not shown, their past is not shown either.
        let request = pb::QueryMetricsRequest {
            comparison: PreviousPeriod.into(),
            ..question(date(2026, 3, 1), date(2026, 4, 30))
        };
        let answer = house.analytics("sales").query_metrics(request).await;
        for row in answer.unwrap().into_inner().rows {
            let hidden = &row.values[0];
            assert_eq!(hidden.null_reason, "HIDDEN");
            assert_eq!((&hidden.compared, &hidden.change), (&None, &None));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_measures_says_what_can_be_asked() {
    on_each_engine(43, async |house| {
        let request = pb::ListMeasuresRequest::default();
        let listed = house.analytics("nobody").list_measures(request).await;
        let listed = listed.unwrap().into_inner();
        let names: BTreeSet<&str> = listed.measures.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names.len(), MEASURES.len(), "each once");
        let p = listed.default_parameters.as_ref().unwrap();
        assert_eq!(
            (p.currency.as_str(), p.time_zone.as_str()),
            ("CNY", "Asia/Shanghai")
        );
        let mut asked = BTreeMap::<String, [Vec<String>; 2]>::new();
        for m in &listed.measures {
            let id = m.name.strip_prefix("measures/").unwrap();
            for text in [
                &m.display_name,
                &m.display_name_zh,
                &m.formula,
                &m.formula_zh,
            ] {
                assert!(!text.is_empty(), "{id} is not explained: {m:?}");
            }
            assert!(
                m.version >= 1 && !m.unit.is_empty() && m.aggregation != 0,
                "{m:?}"
            );
            for d in &listed.dimensions {
                let split = usize::from(!m.dimensions.contains(&d.name));
                let dimension = d.name.strip_prefix("dimensions/").unwrap();
                asked.entry(dimension.to_owned()).or_default()[split].push(id.to_owned());
            }
        }
        // A measure can be split by what its entry names, and by nothing else.
        for (dimension, [splits, refused]) in asked {
            assert!(
                !splits.is_empty() || dimension == "tag",
                "no measure by {dimension}"
            );
            for measures in splits.chunks(10) {
                let measures: Vec<&str> = measures.iter().map(String::as_str).collect();
                let answer = house.query("admin", &measures, &[&dimension], "").await;
                assert!(answer.is_ok(), "{measures:?} by {dimension}: {answer:?}");
            }
            for measure in refused {
                let answer = house.query("admin", &[&measure], &[&dimension], "").await;
                let code = answer.map(drop).unwrap_err().code();
                assert_eq!(code, Code::InvalidArgument, "{measure} by {dimension}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_variables_says_what_conditions_may_name() {
    on_each_engine(44, async |house| {
        let request = pb::ListSegmentVariablesRequest::default();
        let listed = house
            .segments("nobody")
            .list_segment_variables(request)
            .await;
        let variables = listed.unwrap().into_inner().variables;
        let names: BTreeSet<&String> = variables.iter().map(|v| &v.name).collect();
        assert!(
            names.len() == variables.len() && names.len() > 20,
            "{names:?}"
        );
        for v in &variables {
            assert!(
                !v.description.is_empty() && !v.description_zh.is_empty(),
                "{v:?}"
            );
            let condition = match v.r#type.as_str() {
                "string" => format!("{} == \"x\"", v.name),
                "int" => format!("{} >= 0", v.name),
                "list(string)" => format!("\"x\" in {}", v.name),
                other => panic!("{other} is no type of a condition"),
            };
            let preview = async |role| {
                let request = pb::PreviewSegmentRequest {
                    conditions: vec![condition.clone()],
                    ..pb::PreviewSegmentRequest::default()
                };
                let answer = house.segments(role).preview_segment(request).await;
                answer.map(drop).map_err(|s| s.code())
            };
            assert_eq!(preview("admin").await, Ok(()), "{condition}");
            // What tells of amounts is marked, and only that is refused.
            let right = if v.financial {
                Err(Code::PermissionDenied)
            } else {
                Ok(())
            };
            assert_eq!(preview("sales").await, right, "{condition}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_member_is_told_which_condition_fails() {
    on_each_engine(45, async |house| {
        let create = pb::CreateSegmentRequest {
            segment_id: "rich".to_owned(),
            segment: Some(pb::Segment {
                display_name: "大客户".to_owned(),
                conditions: ["order_count >= 1", "net_revenue > amount(\"300\")"]
                    .map(str::to_owned)
                    .to_vec(),
                ..pb::Segment::default()
            }),
            ..pb::CreateSegmentRequest::default()
        };
        let made = house.segments("admin").create_segment(create).await;
        let name = made.unwrap().into_inner().name;
        let explain = async |role, customer: &str, as_of: Option<Date>| {
            let request = pb::ExplainSegmentMembershipRequest {
                name: name.clone(),
                customer: customer.to_owned(),
                as_of,
            };
            let answer = house
                .segments(role)
                .explain_segment_membership(request)
                .await;
            answer.map(tonic::Response::into_inner)
        };
        let revenue = house.world.revenue();
        let limit = 300 * number::ONE;
        let mut outcomes = BTreeSet::new();
        for customer in house.world.tags().into_keys() {
            let why = explain("admin", &format!("customers/{customer}"), None).await;
            let why = why.unwrap();
            let sum = revenue.get(&customer);
            let right = [sum.is_some(), sum.is_some_and(|s| *s > limit)];
            let got: Vec<bool> = why.conditions.iter().map(|c| c.holds).collect();
            assert_eq!(got, right, "customers/{customer}: {why:?}");
            assert_eq!(why.member, right == [true, true]);
            outcomes.insert(right);
            // The number behind the answer is shown; of who never ordered there is none.
            let shown = &why.conditions[1].values;
            assert_eq!(shown[0].variable, "net_revenue");
            let right = sum.map_or(String::new(), |s| number::text(*s));
            assert_eq!(shown[0].value, right, "customers/{customer}");
        }
        assert_eq!(outcomes.len(), 3, "all sorts were met: {outcomes:?}");
        let rich = revenue.iter().find(|(_, sum)| **sum > limit).unwrap().0;
        let rich = format!("customers/{rich}");
        // Before the first order of the world he was none.
        let early = explain("admin", &rich, Some(date(2025, 1, 1)))
            .await
            .unwrap();
        assert!(!early.member && early.conditions.iter().all(|c| !c.holds));
        let missing = explain("admin", "customers/999999", None).await;
        assert_eq!(missing.unwrap_err().code(), Code::NotFound);
        // Who sees no customers learns of none, and who sees no amounts not by a condition.
        let unseen = explain("nobody", &rich, None).await.unwrap_err().code();
        assert!(matches!(unseen, Code::NotFound | Code::PermissionDenied));
        let refused = explain("sales", &rich, None).await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_ahead_is_asked_about_the_time_to_come() {
    on_each_engine(46, async |house| {
        let today = {
            let now = jinke_types::Clock::now(&*house.clock);
            day(now)
        };
        let window = async |measures: &[&str], start, end| {
            let request = pb::QueryMetricsRequest {
                measures: measures.iter().map(|m| (*m).to_owned()).collect(),
                start_date: start,
                end_date: end,
                ..pb::QueryMetricsRequest::default()
            };
            let answer = ask(&house, request).await;
            let total = &answer.totals[0];
            (read(&total.start_date), read(&total.end_date))
        };
        let year = |from: NaiveDate| from.with_year(from.year() + 1).unwrap() - Days::new(1);
        let past = today.with_year(today.year() - 1).unwrap() + Days::new(1);
        assert_eq!(
            window(&["forecast_amount"], None, None).await,
            (today, year(today))
        );
        for measures in [&["net_revenue"][..], &["forecast_amount", "win_rate"]] {
            assert_eq!(
                window(measures, None, None).await,
                (past, today),
                "{measures:?}"
            );
        }
        // What is given holds.
        let (from, to) = (date(2026, 9, 1), date(2026, 12, 31));
        let given = (read(&Some(from)), read(&Some(to)));
        assert_eq!(
            window(&["forecast_amount"], Some(from), Some(to)).await,
            given
        );
        assert_eq!(
            window(&["forecast_amount"], None, Some(to)).await,
            (today, given.1)
        );
        let open_end = window(&["forecast_amount"], Some(from), None).await;
        assert_eq!(open_end, (given.0, year(given.0)));
        // The rows behind it are of the same time.
        let request = pb::ListMetricRowsRequest {
            measure: "forecast_amount".to_owned(),
            ..pb::ListMetricRowsRequest::default()
        };
        let rows = house.analytics("admin").list_metric_rows(request).await;
        assert_eq!(rows.unwrap().into_inner().basis.unwrap().as_of, {
            let end = year(today);
            Some(date(end.year(), end.month() as i32, end.day() as i32))
        });
    })
    .await;
}
