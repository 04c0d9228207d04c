//! What the house shows, compared with the model.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jinke_proto::{
    google::r#type::{Date, Decimal},
    jinke::{
        customer::v1::{BatchGetCustomersRequest, CustomerView, GetCustomerTotalsRequest},
        pipeline::v1 as pb,
        reporting::v1::{
            Basis, CustomerInsight, ListCustomerInsightsRequest, MeasureValue, MetricRow,
            QueryMetricsRequest,
        },
    },
};

use super::{
    model::{Attached, Rfm},
    world::{World, name_of},
};

/// Billionths.
fn exact(value: Option<&Decimal>) -> Option<i128> {
    let text = &value?.value;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.as_str()),
    };
    let (units, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let all: i128 = format!("{units}{rest:0<9}").parse().expect("a decimal");
    Some(sign * all)
}

/// Cents as billionths.
fn of_cents(cents: i64) -> i128 {
    i128::from(cents) * 10_000_000
}

fn customers(numbers: &BTreeSet<i64>) -> Vec<String> {
    numbers.iter().map(|n| format!("customers/{n}")).collect()
}

impl World {
    /// Everything stands where the model says.
    pub async fn look(&mut self) {
        self.settle().await;
        self.sound().await;
        self.clusters().await;
        self.attached().await;
        self.erased().await;
        self.of_one().await;
        self.numbers().await;
        self.values().await;
    }

    /// Each record's address answers with the customer that holds it.
    async fn clusters(&mut self) {
        let numbers: BTreeSet<i64> = self.model.records.iter().map(|r| r.number).collect();
        let request = BatchGetCustomersRequest {
            names: customers(&numbers),
            view: CustomerView::Full.into(),
        };
        let answer = self.api.customers.batch_get_customers(request).await;
        let found = answer.expect("customers").into_inner().customers;
        let story = self.story();
        for (number, customer) in numbers.iter().zip(found) {
            let held = customer.records.iter().map(|r| name_of(&r.address));
            let held: BTreeSet<i64> = held.collect();
            let together = self.model.together(*number);
            assert_eq!(held, together, "customers/{number}; {story}");
            assert_eq!(
                name_of(&customer.name),
                self.model.holder(*number),
                "{story}"
            );
            let deleted = together.iter().all(|n| self.model.record(*n).deleted);
            assert_eq!(customer.delete_time.is_some(), deleted, "{number}; {story}");
        }
    }

    /// Every opportunity, lead, task and activity is shown at the customer that holds its address.
    async fn attached(&mut self) {
        let expected = |model: &super::model::Model, name: &str, address: i64| {
            let shown = (
                format!("customers/{address}"),
                format!("customers/{}", model.holder(address)),
            );
            (name.to_owned(), shown)
        };
        let all = |model: &super::model::Model, list: &[Attached]| -> BTreeMap<_, _> {
            let one = |a: &Attached| expected(model, &a.name, a.address);
            list.iter().map(one).collect()
        };
        let story = self.story();

        let request = pb::ListOpportunitiesRequest {
            page_size: 1_000,
            ..pb::ListOpportunitiesRequest::default()
        };
        let answer = self.sales.opportunities.list_opportunities(request).await;
        let list = answer.expect("opportunities").into_inner().opportunities;
        let found: BTreeMap<_, _> = list
            .into_iter()
            .filter(|o| o.name != self.buoy())
            .map(|o| (o.name, (o.customer, o.current_customer)))
            .collect();
        let sales = self.model.sales.iter();
        let right = sales.map(|s| expected(&self.model, &s.name, s.address));
        let right: BTreeMap<_, _> = right.collect();
        assert_eq!(found, right, "opportunities; {story}");

        let request = pb::ListLeadsRequest {
            page_size: 1_000,
            ..pb::ListLeadsRequest::default()
        };
        let answer = self.sales.leads.list_leads(request).await;
        let list = answer.expect("leads").into_inner().leads;
        let shown = list
            .into_iter()
            .map(|l| (l.name, (l.customer, l.current_customer)));
        let found: BTreeMap<_, _> = shown.collect();
        assert_eq!(found, all(&self.model, &self.model.leads), "leads; {story}");

        let request = pb::ListTasksRequest {
            page_size: 1_000,
            ..pb::ListTasksRequest::default()
        };
        let answer = self.sales.tasks.list_tasks(request).await;
        let list = answer.expect("tasks").into_inner().tasks;
        let shown = list
            .into_iter()
            .map(|t| (t.name, (t.customer, t.current_customer)));
        let found: BTreeMap<_, _> = shown.collect();
        assert_eq!(found, all(&self.model, &self.model.tasks), "tasks; {story}");

        let request = pb::ListActivitiesRequest {
            page_size: 200,
            ..pb::ListActivitiesRequest::default()
        };
        let answer = self.sales.activities.list_activities(request).await;
        let list = answer.expect("activities").into_inner().activities;
        let shown = list
            .into_iter()
            .map(|a| (a.name, (a.customer, a.current_customer)));
        let found: BTreeMap<_, _> = shown.collect();
        assert_eq!(
            found,
            all(&self.model, &self.model.visits),
            "activities; {story}"
        );
    }

    /// What is asked of one customer, by any of its ids.
    async fn of_one(&mut self) {
        let count = self.model.records.len();
        if count == 0 {
            return;
        }
        let one = self.model.records[self.below(count)].number;
        let together = self.model.together(one);
        let story = self.story();
        let filter = format!("customer = \"customers/{one}\"");

        let request = pb::ListOpportunitiesRequest {
            filter: filter.clone(),
            page_size: 1_000,
            ..pb::ListOpportunitiesRequest::default()
        };
        let answer = self.sales.opportunities.list_opportunities(request).await;
        let list = answer.expect("opportunities").into_inner().opportunities;
        let found: BTreeSet<String> = list.into_iter().map(|o| o.name).collect();
        let sales = self.model.sales.iter();
        let right = sales.filter(|s| together.contains(&s.address));
        let right: BTreeSet<String> = right.map(|s| s.name.clone()).collect();
        assert_eq!(found, right, "opportunities of {one}; {story}");

        let request = pb::ListTasksRequest {
            filter,
            page_size: 1_000,
            ..pb::ListTasksRequest::default()
        };
        let answer = self.sales.tasks.list_tasks(request).await;
        let list = answer.expect("tasks").into_inner().tasks;
        let found: BTreeSet<(String, String)> =
            list.into_iter().map(|t| (t.name, t.owner)).collect();
        let tasks = self.model.tasks.iter();
        let right = tasks.filter(|t| together.contains(&t.address));
        let right: BTreeSet<(String, String)> =
            right.map(|t| (t.name.clone(), t.owner.clone())).collect();
        assert_eq!(found, right, "tasks of {one}; {story}");

        let request = GetCustomerTotalsRequest {
            name: format!("customers/{one}"),
        };
        let answer = self.api.customers.get_customer_totals(request).await;
        let totals = answer.expect("totals").into_inner().totals;
        let sum = |kind: i32| {
            let of_kind = totals.iter().filter(|t| t.kind == kind);
            of_kind.fold((0, 0), |sum, t| {
                let amount = t.amount.clone().unwrap_or_default();
                let cents = amount.units * 100 + i64::from(amount.nanos / 10_000_000);
                (sum.0 + t.count, sum.1 + cents)
            })
        };
        let found = [sum(1), sum(4)];
        assert_eq!(found, self.model.totals(one), "totals of {one}; {story}");
    }

    fn known(&self, basis: Option<&Basis>) -> bool {
        let basis = basis.expect("a basis");
        let at = [
            basis.customer_position,
            basis.timeline_position,
            basis.pipeline_position,
        ];
        at.iter()
            .zip(self.heads.positions)
            .all(|(at, head)| *at >= head)
    }

    /// Asks until reporting has followed everything.
    async fn query(&mut self, measures: &[&str], by_customer: bool) -> Vec<MetricRow> {
        let day = |year| Date {
            year,
            month: 1,
            day: 1,
        };
        let request = QueryMetricsRequest {
            measures: measures.iter().map(|m| (*m).to_owned()).collect(),
            dimensions: if by_customer {
                vec!["customer".to_owned()]
            } else {
                Vec::new()
            },
            start_date: Some(day(2000)),
            end_date: Some(day(2100)),
            page_size: 10_000,
            ..QueryMetricsRequest::default()
        };
        for _ in 0..1_500 {
            let answer = self.analytics.query_metrics(request.clone()).await;
            let answer = answer.expect("measures").into_inner();
            if self.known(answer.basis.as_ref()) {
                return if by_customer {
                    answer.rows
                } else {
                    answer.totals
                };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("reporting does not follow; {}", self.story());
    }

    /// Measures by customer, those that are nothing left out.
    async fn numbers(&mut self) {
        let story = self.story();
        let names = [
            "order_count",
            "net_revenue",
            "win_rate",
            "forecast_amount",
            "interaction_count",
        ];
        let rows = self.query(&names, true).await;
        let of = |which: usize, read: fn(&MeasureValue) -> Option<i128>| -> BTreeMap<i64, i128> {
            let one = |row: &MetricRow| {
                let customer = name_of(&row.dimension_values[0]);
                Some((customer, read(&row.values[which]).filter(|n| *n != 0)?))
            };
            rows.iter().filter_map(one).collect()
        };
        let value = |v: &MeasureValue| exact(v.value.as_ref());
        let rest = |all: BTreeMap<i64, i128>| -> BTreeMap<i64, i128> {
            all.into_iter().filter(|(_, n)| *n != 0).collect()
        };
        let whole = |n: i64| i128::from(n) * 1_000_000_000;

        let revenue = self.model.revenue();
        let orders = revenue.iter().map(|(c, r)| (*c, whole(r.0))).collect();
        assert_eq!(of(0, value), rest(orders), "orders; {story}");
        let sums = revenue.iter().map(|(c, r)| (*c, of_cents(r.1))).collect();
        assert_eq!(of(1, value), rest(sums), "revenue; {story}");
        let wins = self.model.wins();
        let won = wins.iter().map(|(c, w)| (*c, whole(w.0))).collect();
        let found = of(2, |v| exact(v.numerator.as_ref()));
        assert_eq!(found, rest(won), "won; {story}");
        let ended = wins.iter().map(|(c, w)| (*c, whole(w.1))).collect();
        let found = of(2, |v| exact(v.denominator.as_ref()));
        assert_eq!(found, rest(ended), "won or lost; {story}");
        let forecast = self.model.forecast().into_iter();
        let forecast = forecast.map(|(c, n)| (c, of_cents(n) / 100)).collect();
        assert_eq!(of(3, value), rest(forecast), "forecast; {story}");
        let visits = self.model.counts(&self.model.visits).into_iter();
        let visits = visits.map(|(c, n)| (c, whole(n))).collect();
        assert_eq!(of(4, value), rest(visits), "interactions; {story}");

        let totals = self.query(&["customer_count"], false).await;
        let found = exact(totals[0].values[0].value.as_ref());
        let population = i64::try_from(self.model.population().len()).expect("few");
        assert_eq!(found, Some(whole(population)), "customers; {story}");
    }

    /// RFM, grade and CLV of every customer.
    async fn values(&mut self) {
        let request = ListCustomerInsightsRequest {
            page_size: 1_000,
            as_of: Some(Date {
                year: 2026,
                month: 3,
                day: 31,
            }),
            ..ListCustomerInsightsRequest::default()
        };
        // The questions before have seen that everything was followed, and it never goes back.
        let answer = self.insights.list_customer_insights(request).await;
        let insights = answer.expect("insights").into_inner().insights;
        let found: BTreeMap<i64, CustomerInsight> = insights
            .into_iter()
            .map(|i| (name_of(&i.customer), i))
            .collect();
        let story = self.story();
        let population = self.model.population();
        let right = self.model.rfm();
        for (customer, insight) in &found {
            assert!(
                population.contains(customer),
                "{customer} is known; {story}"
            );
            let rfm = insight.rfm.as_ref().map(|rfm| Rfm {
                recency: i64::from(rfm.recency_days),
                frequency: i64::from(rfm.frequency),
                cents: i64::try_from(exact(rfm.monetary.as_ref()).expect("a sum") / 10_000_000)
                    .expect("cents"),
                scores: (rfm.r, rfm.f, rfm.m),
            });
            let expected = right.get(customer);
            assert_eq!(rfm.as_ref(), expected, "RFM of {customer}; {story}");
            let Some(rfm) = expected else { continue };
            let points = 20 * rfm.scores.0 + 30 * rfm.scores.1 + 50 * rfm.scores.2;
            assert_eq!(insight.grade_points, points, "{customer}; {story}");
            let grade = match points {
                400.. => 1,
                250.. => 2,
                _ => 3,
            };
            assert_eq!(insight.grade, grade, "{customer}; {story}");
            let clv = insight
                .values
                .iter()
                .find(|v| v.measure.ends_with("clv_simple"));
            let clv = clv.and_then(|v| exact(v.value.as_ref()));
            assert_eq!(clv, Some(of_cents(rfm.cents) * 3), "{customer}; {story}");
        }
        let missing: Vec<_> = right
            .keys()
            .filter(|c| population.contains(c) && !found.contains_key(c))
            .collect();
        assert!(missing.is_empty(), "{missing:?} have no insight; {story}");
    }
}
