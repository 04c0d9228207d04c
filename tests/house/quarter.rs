//! One customer's year: records arrive, a lead goes to the owner of the customer it is, becomes an
//! opportunity, is won after ten days; orders come from the ERP; value, tier and funnel change. A
//! quarter passes without an order: one warning, one task, one owner. The customer orders again and
//! leaves once more: one more of each, which a merge made by mistake ends and its unmerge brings back.
//! In one process on both engines and in a process for each
//! service, all of which go by a clock that the test moves.

use std::{path::Path, time::Duration};

use jinke_kit::client::Credential;
use jinke_proto::{
    google::r#type::{Date, Money},
    jinke::{
        customer::v1::{
            MergeCustomersRequest, PartyKind, SourceRecord, Transaction, UnmergeCustomerRequest,
            source_record::Body, transaction,
        },
        pipeline::v1 as pb,
        reporting::v1::{
            ChurnEpisode, EvaluateChurnRequest, EvaluateChurnResponse, GetCustomerInsightRequest,
            Grade, LifecycleStage, ListChurnEpisodesRequest, MeasureValue, QueryMetricsRequest,
            analytics_service_client::AnalyticsServiceClient, churn_episode,
            insight_service_client::InsightServiceClient,
        },
    },
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    apart::{House, Plan},
    clock::TestClock,
    suite::{Authed, Clients, Options, Suite},
};
use jinke_types::Clock as _;

use crate::{
    records::{ingest, key, party, text, uscc},
    sides::Sales,
};

const COMPANY: &str = "杭州远山数智科技有限公司";
const OWNER: &str = "users/li.lei";
/// Nobody hears of identity while the clock jumps; it is asked again soon.
const STALENESS: &str = "access.max_staleness_seconds=15";
const FOLLOW: &str = "pipeline.follow.poll_milliseconds=50";
const FEEDS: &str = "reporting.feeds.poll_milliseconds=50";

/// The services, in one process or in many.
enum Doors {
    One(Box<Suite>),
    Many(Box<House>),
}

/// The services as a logged-in administrator reaches them.
struct Hands {
    api: Clients,
    sales: Sales,
    analytics: AnalyticsServiceClient<Authed>,
    insights: InsightServiceClient<Authed>,
}

impl Doors {
    async fn hands(&self) -> anyhow::Result<Hands> {
        let (customer, pipeline, reporting) = match self {
            Self::One(suite) => {
                let channel = suite.login().await?;
                (channel.clone(), channel.clone(), channel)
            }
            Self::Many(house) => {
                let token = house.token().await?;
                let to = |service| house.connect(service, Credential::Token(token.clone()));
                (to("customer")?, to("pipeline")?, to("reporting")?)
            }
        };
        Ok(Hands {
            api: Clients::new(&customer),
            sales: Sales::new(&pipeline),
            analytics: AnalyticsServiceClient::new(reporting.clone()),
            insights: InsightServiceClient::new(reporting),
        })
    }

    /// Logged in anew, once all services answer: tokens and what services know of rights are too
    /// old after a jump of the clock.
    async fn again(&self) -> Hands {
        let mut last = String::new();
        for _ in 0..300 {
            match self.hands().await {
                Ok(mut hands) => match hands.answers().await {
                    Ok(()) => return hands,
                    Err(status) => last = format!("{status:?}"),
                },
                Err(error) => last = format!("{error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("the services do not answer after a jump: {last}");
    }

    async fn end(self) {
        match self {
            Self::One(suite) => suite.kill().await.expect("it ends"),
            Self::Many(house) => house.stop().await.expect("clean ends"),
        }
    }
}

/// Year, month, day.
fn date((year, month, day): (i32, i32, i32)) -> Option<Date> {
    Some(Date { year, month, day })
}

fn yuan(units: i64) -> Option<Money> {
    Some(Money {
        currency_code: "CNY".to_owned(),
        units,
        nanos: 0,
    })
}

impl Hands {
    async fn answers(&mut self) -> Result<(), tonic::Status> {
        let stats = jinke_proto::jinke::customer::v1::GetCustomerStatsRequest {};
        self.api.customers.get_customer_stats(stats).await?;
        let tasks = pb::ListTasksRequest::default();
        self.sales.tasks.list_tasks(tasks).await?;
        let request = ListChurnEpisodesRequest::default();
        self.insights.list_churn_episodes(request).await.map(drop)
    }

    /// A measure of everything.
    async fn measure(&mut self, name: &str, filter: &str) -> MeasureValue {
        let day = |year| date((year, 1, 1));
        let request = QueryMetricsRequest {
            measures: vec![name.to_owned()],
            filter: filter.to_owned(),
            start_date: day(2000),
            end_date: day(2100),
            ..QueryMetricsRequest::default()
        };
        let answer = self.analytics.query_metrics(request).await;
        let mut totals = answer.expect("a measure").into_inner().totals;
        totals.remove(0).values.remove(0)
    }

    /// Waits until a measure is so much.
    async fn becomes(&mut self, name: &str, filter: &str, value: &str) {
        let mut found = MeasureValue::default();
        for _ in 0..600 {
            found = self.measure(name, filter).await;
            if found.value.as_ref().is_some_and(|v| v.value == value) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} is not {value}: {found:?}");
    }

    /// How many open opportunities are in each stage.
    async fn funnel(&mut self) -> Vec<i64> {
        let request = pb::GetBoardRequest {
            pipeline: "pipelines/default".to_owned(),
            ..pb::GetBoardRequest::default()
        };
        let answer = self.sales.opportunities.get_board(request).await;
        let columns = answer.expect("a board").into_inner().columns;
        columns.iter().map(|c| c.count).collect()
    }

    async fn evaluate(&mut self) -> EvaluateChurnResponse {
        let request = EvaluateChurnRequest::default();
        let answer = self.insights.evaluate_churn(request).await;
        answer.expect("an evaluation").into_inner()
    }

    async fn episodes(&mut self) -> Vec<ChurnEpisode> {
        let request = ListChurnEpisodesRequest::default();
        let answer = self.insights.list_churn_episodes(request).await;
        answer.expect("episodes").into_inner().episodes
    }

    async fn retention_tasks(&mut self) -> Vec<pb::Task> {
        let request = pb::ListTasksRequest {
            filter: "kind = RETENTION".to_owned(),
            ..pb::ListTasksRequest::default()
        };
        let answer = self.sales.tasks.list_tasks(request).await;
        answer.expect("tasks").into_inner().tasks
    }
}

/// An order of the ERP at this time.
fn order(id: &str, units: i64, clock: &TestClock) -> SourceRecord {
    let time = prost_types::Timestamp {
        seconds: clock.now().secs(),
        nanos: 0,
    };
    SourceRecord {
        key: Some(key("erp", id)),
        body: Some(Body::Transaction(Transaction {
            kind: transaction::Kind::Order.into(),
            party: Some(key("erp", "C1")),
            number: id.to_owned(),
            time: Some(time),
            amount: yuan(units),
            ..Transaction::default()
        })),
        ..SourceRecord::default()
    }
}

/// From a record to a won opportunity; the customer.
async fn sell(doors: &Doors, clock: &mut TestClock) -> String {
    let mut hands = doors.again().await;
    for source in ["erp", "web"] {
        hands.api.ensure_source(source).await.expect("a source");
    }
    let values = vec![
        text("name", COMPANY),
        uscc("91330106MA2ABCDE1G"),
        text("owner", OWNER),
    ];
    let record = party("erp", "C1", PartyKind::Organization, values);
    let customer = ingest(&mut hands.api, vec![record]).await.remove(0);

    // The website's lead is of a customer we know, whose owner gets it.
    let request = pb::CreateLeadRequest {
        lead: Some(pb::Lead {
            company: COMPANY.to_owned(),
            source: "sources/web".to_owned(),
            external_id: "form-1".to_owned(),
            estimate: yuan(120_000),
            ..pb::Lead::default()
        }),
        ..pb::CreateLeadRequest::default()
    };
    let lead = hands.sales.leads.create_lead(request).await;
    let lead = lead.expect("a lead").into_inner();
    assert_eq!(
        (&lead.current_customer, lead.owner.as_str()),
        (&customer, OWNER)
    );
    let request = pb::QualifyLeadRequest {
        name: lead.name.clone(),
        ..pb::QualifyLeadRequest::default()
    };
    hands
        .sales
        .leads
        .qualify_lead(request)
        .await
        .expect("it is worth it");
    let request = pb::ConvertLeadRequest {
        name: lead.name,
        close_date: date((2099, 12, 31)),
        ..pb::ConvertLeadRequest::default()
    };
    let made = hands.sales.leads.convert_lead(request).await;
    let made = made
        .expect("converted")
        .into_inner()
        .opportunity
        .expect("it");
    assert_eq!((&made.customer, made.owner.as_str()), (&customer, OWNER));

    assert_eq!(hands.funnel().await, [1, 0, 0, 0, 0, 0, 0, 0]);
    hands.becomes("forecast_amount", "", "12000").await;
    let conversion = "stage = \"discovery\"";
    hands
        .becomes("stage_conversion_rate", conversion, "0")
        .await;
    let name = format!("{customer}/insight");
    let before = insight(&mut hands, &name).await;
    assert_eq!(before.lifecycle_stage(), LifecycleStage::Potential);
    assert!(before.rfm.is_none() && before.grade() == Grade::Unspecified);

    clock.pass_days(10).expect("ten days pass");
    let mut hands = doors.again().await;
    hands.sales.advance(&made.name, "contact").await;
    assert_eq!(hands.funnel().await, [0, 1, 0, 0, 0, 0, 0, 0]);
    let won = hands.sales.win(&made.name).await;
    assert_eq!(won.outcome(), pb::opportunity::Outcome::Won);
    assert_eq!(hands.funnel().await, [0; 8]);
    hands.becomes("win_rate", "", "1").await;
    hands
        .becomes("stage_conversion_rate", conversion, "1")
        .await;
    let cycle = hands.measure("sales_cycle_days_median", "").await;
    let days: f64 = cycle.value.expect("a cycle").value.parse().expect("days");
    assert!((10.0..10.1).contains(&days), "{days}");
    assert_eq!(hands.measure("forecast_amount", "").await.value, None);
    customer
}

async fn insight(
    hands: &mut Hands,
    name: &str,
) -> jinke_proto::jinke::reporting::v1::CustomerInsight {
    let request = GetCustomerInsightRequest {
        name: name.to_owned(),
        ..GetCustomerInsightRequest::default()
    };
    let answer = hands.insights.get_customer_insight(request).await;
    answer.expect("an insight").into_inner()
}

/// Orders come, and what the customer is worth with them.
async fn supply(doors: &Doors, clock: &TestClock, customer: &str) {
    let mut hands = doors.again().await;
    let orders = vec![order("SO-1", 70_000, clock), order("SO-2", 50_000, clock)];
    ingest(&mut hands.api, orders).await;
    hands.becomes("net_revenue", "", "120000").await;
    let after = insight(&mut hands, &format!("{customer}/insight")).await;
    assert_eq!(after.lifecycle_stage(), LifecycleStage::New);
    assert_eq!(
        after.grade(),
        Grade::C,
        "the only buyer is in the lowest fifth of all"
    );
    let rfm = after.rfm.clone().expect("scores");
    // Midnight may have passed.
    assert!(rfm.recency_days <= 1 && rfm.frequency == 2, "{rfm:?}");
    assert_eq!(rfm.monetary.expect("a sum").value, "120000");
    let value = |measure: &str| {
        let mut of_it = after.values.iter().filter(|v| v.measure.ends_with(measure));
        let value = of_it.next().and_then(|v| v.value.clone());
        value.map(|v| v.value)
    };
    assert_eq!(value("clv_simple").as_deref(), Some("360000"));
    assert_eq!(value("clv_discounted").as_deref(), Some("120000"));
    assert_eq!(value("average_order_value").as_deref(), Some("60000"));
    assert!(after.churn_reasons.is_empty());
}

/// A quarter without an order: nothing, and then one warning with one task.
async fn leave(doors: &Doors, clock: &mut TestClock, customer: &str, before: usize) {
    // Three months have 89 to 92 days.
    clock.pass_days(80).expect("eighty days pass");
    let mut hands = doors.again().await;
    let done = hands.evaluate().await;
    assert_eq!((done.customers, done.opened, done.tasks), (1, 0, 0));
    assert_eq!(hands.retention_tasks().await.len(), before);

    clock.pass_days(15).expect("fifteen days pass");
    let mut hands = doors.again().await;
    let mut other = doors.again().await;
    // Two look at once, and one again: there is one episode, and one task for it.
    let (one, two) = tokio::join!(hands.evaluate(), other.evaluate());
    assert_eq!(one.opened + two.opened, 1, "{one:?} {two:?}");
    // Pipeline may not be within reach so soon after the jump; then a later look makes the task.
    let mut made = one.tasks + two.tasks;
    for _ in 0..300 {
        if made > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let next = hands.evaluate().await;
        assert_eq!((next.opened, next.open), (0, 1));
        made = next.tasks;
    }
    assert!(made > 0, "no task was made");
    let again = hands.evaluate().await;
    assert_eq!((again.opened, again.open, again.tasks), (0, 1, 0));
    let episodes = hands.episodes().await;
    assert_eq!(episodes.len(), before + 1);
    let newest = &episodes[0];
    assert_eq!(newest.state(), churn_episode::State::Open);
    assert_eq!(newest.customer, customer);
    assert!(
        newest
            .reasons
            .iter()
            .any(|r| r.text_zh.contains("没有下单")),
        "{newest:?}"
    );
    let tasks = hands.retention_tasks().await;
    assert_eq!(tasks.len(), before + 1);
    let mut of_it = tasks.iter().filter(|t| t.origin == newest.name);
    let (task, second) = (of_it.next().expect("a task"), of_it.next());
    assert!(second.is_none());
    assert_eq!(
        (&task.name, &task.current_customer),
        (&newest.task, &newest.customer)
    );
    assert_eq!(task.owner, OWNER);
}

/// The customer orders again, which ends the warning.
async fn come_back(doors: &Doors, clock: &mut TestClock) {
    clock.pass_days(1).expect("a day passes");
    let mut hands = doors.again().await;
    ingest(&mut hands.api, vec![order("SO-3", 30_000, clock)]).await;
    hands.becomes("order_count", "", "3").await;
    let done = hands.evaluate().await;
    assert_eq!((done.opened, done.recovered, done.open), (0, 1, 0));
    let episodes = hands.episodes().await;
    assert_eq!(episodes[0].state(), churn_episode::State::Recovered);
}

/// A steward takes a customer that has just ordered for it, and puts that right: the warning ends and
/// goes on, with the task it has.
async fn mistake(doors: &Doors, clock: &mut TestClock, customer: &str) {
    clock.pass_days(1).expect("a day passes");
    let mut hands = doors.again().await;
    let before = (hands.episodes().await, hands.retention_tasks().await);
    let values = vec![text("name", "成都锦江茶业有限公司")];
    let other = party("erp", "C2", PartyKind::Organization, values);
    let other = ingest(&mut hands.api, vec![other]).await.remove(0);
    let mut order = order("SO-4", 9_000, clock);
    if let Some(Body::Transaction(t)) = &mut order.body {
        t.party = Some(key("erp", "C2"));
    }
    ingest(&mut hands.api, vec![order]).await;
    let mine = format!("customer = \"{customer}\"");
    let merge = MergeCustomersRequest {
        customer: customer.to_owned(),
        other_customer: other,
        ..MergeCustomersRequest::default()
    };
    let merged = hands.api.customers.merge_customers(merge).await;
    merged.expect("merged");
    hands.becomes("order_count", &mine, "4").await;
    let done = hands.evaluate().await;
    assert_eq!((done.opened, done.recovered, done.open), (0, 1, 0));
    let part = UnmergeCustomerRequest {
        name: customer.to_owned(),
        records: vec![key("erp", "C2")],
        ..UnmergeCustomerRequest::default()
    };
    let parted = hands.api.customers.unmerge_customer(part).await;
    parted.expect("parted");
    hands.becomes("order_count", &mine, "3").await;
    let done = hands.evaluate().await;
    assert_eq!((done.opened, done.reopened, done.open), (0, 1, 1));
    assert_eq!(done.tasks, 0);
    let after = (hands.episodes().await, hands.retention_tasks().await);
    assert_eq!(after.0[0].state(), churn_episode::State::Open);
    assert_eq!(after.0[0].name, before.0[0].name);
    assert_eq!(after.1.len(), before.1.len());
}

async fn year(doors: Doors, mut clock: TestClock) {
    let customer = sell(&doors, &mut clock).await;
    supply(&doors, &clock, &customer).await;
    leave(&doors, &mut clock, &customer, 0).await;
    come_back(&doors, &mut clock).await;
    leave(&doors, &mut clock, &customer, 1).await;
    mistake(&doors, &mut clock, &customer).await;
    doors.end().await;
}

async fn in_one_process(engine: Engine) {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = TestClock::new(dir.path()).expect("a clock");
    let place = Place::new(engine).await;
    let server = (engine == Engine::Postgres).then(|| place.config().url);
    let options = Options {
        settings: &[STALENESS, FOLLOW, FEEDS],
        clock: Some(clock.file()),
        ..Options::default()
    };
    let data: &Path = &dir.path().join("data");
    let suite = Suite::start_as(data, server.as_deref(), &options).await;
    year(
        Doors::One(Box::new(suite.expect("the suite starts"))),
        clock,
    )
    .await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_quarter_is_one_task_in_one_process_on_sqlite() {
    in_one_process(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_quarter_is_one_task_in_one_process_on_postgres() {
    in_one_process(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_quarter_is_one_task_in_separate_processes() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = TestClock::new(dir.path()).expect("a clock");
    let place = Place::new(Engine::Postgres).await;
    let mut plan = Plan::new(dir.path(), &place.config().url);
    plan.clock = Some(clock.file().to_owned());
    for service in ["customer", "connector", "pipeline", "reporting"] {
        plan.settings.push((service, STALENESS.to_owned()));
    }
    plan.settings.push(("pipeline", FOLLOW.to_owned()));
    plan.settings.push(("reporting", FEEDS.to_owned()));
    let house = House::start(plan).await.expect("the house starts");
    year(Doors::Many(Box::new(house)), clock).await;
    place.remove().await;
}
