//! A customer is erased in the running house: its money leaves reporting's numbers, what was open of
//! it leaves the board, and nobody can read of it any more.

use std::time::Duration;

use jinke_proto::{
    google::r#type::{Date, Money},
    jinke::{
        customer::v1::{EraseCustomerRequest, PartyKind},
        pipeline::v1 as pb,
        reporting::v1::{QueryMetricsRequest, analytics_service_client::AnalyticsServiceClient},
    },
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::suite::{Authed, Clients, Suite};

use crate::{
    records::{ingest, key, order, party, text, uscc},
    sides::Sales,
};

const MEASURES: [&str; 5] = [
    "customer_count",
    "order_count",
    "net_revenue",
    "win_rate",
    "forecast_amount",
];

fn date(year: i32) -> Option<Date> {
    Some(Date {
        year,
        month: 1,
        day: 1,
    })
}

/// Each measure as text; win rates by what was won and what ended.
async fn numbers(analytics: &mut AnalyticsServiceClient<Authed>) -> Vec<String> {
    let request = QueryMetricsRequest {
        measures: MEASURES.map(str::to_owned).to_vec(),
        start_date: date(2000),
        end_date: date(2100),
        ..QueryMetricsRequest::default()
    };
    let answer = analytics.query_metrics(request).await.expect("measures");
    let totals = answer.into_inner().totals.remove(0).values;
    let value = |d: &Option<jinke_proto::google::r#type::Decimal>| {
        d.as_ref()
            .map_or_else(|| "-".to_owned(), |d| d.value.clone())
    };
    totals
        .iter()
        .enumerate()
        .map(|(n, v)| match MEASURES[n] {
            "win_rate" => format!("{} of {}", value(&v.numerator), value(&v.denominator)),
            _ => value(&v.value),
        })
        .collect()
}

/// Waits until reporting shows these.
async fn become_these(analytics: &mut AnalyticsServiceClient<Authed>, expected: [&str; 5]) {
    let mut found = Vec::new();
    for _ in 0..1_200 {
        found = numbers(analytics).await;
        if found == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{found:?} and not {expected:?}");
}

/// How many opportunities the board shows open.
async fn open(sales: &mut Sales) -> i64 {
    let request = pb::GetBoardRequest {
        pipeline: "pipelines/default".to_owned(),
        ..pb::GetBoardRequest::default()
    };
    let answer = sales.opportunities.get_board(request).await;
    let columns = answer.expect("a board").into_inner().columns;
    columns.iter().map(|c| c.count).sum()
}

async fn opportunity(sales: &mut Sales, customer: &str, yuan: i64) -> String {
    let request = pb::CreateOpportunityRequest {
        opportunity: Some(pb::Opportunity {
            display_name: "远山数智的设备".to_owned(),
            customer: customer.to_owned(),
            amount: Some(Money {
                currency_code: "CNY".to_owned(),
                units: yuan,
                nanos: 0,
            }),
            close_date: Some(Date {
                year: 2026,
                month: 12,
                day: 31,
            }),
            description: "欧阳修远要三台".to_owned(),
            ..pb::Opportunity::default()
        }),
        ..pb::CreateOpportunityRequest::default()
    };
    let made = sales.opportunities.create_opportunity(request).await;
    made.expect("made").into_inner().name
}

async fn story(engine: Engine) {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(engine).await;
    let server = (engine == Engine::Postgres).then(|| place.config().url);
    let suite = Suite::start(&dir.path().join("data"), server.as_deref())
        .await
        .expect("the suite starts");
    let channel = suite.login().await.expect("logged in");
    let mut api = Clients::new(&channel);
    let mut sales = Sales::new(&channel);
    let mut analytics = AnalyticsServiceClient::new(channel.clone());
    for source in ["erp", "crm"] {
        api.ensure_source(source).await.expect("a source");
    }
    let company = |source: &str, id: &str, name: &str, code: &str| {
        let values = vec![text("name", name), uscc(code)];
        party(source, id, PartyKind::Organization, values)
    };
    let (name, code) = ("杭州远山数智科技有限公司", "91330106MA2ABCDE1G");
    let customers = ingest(
        &mut api,
        vec![
            company("erp", "C1", name, code),
            // The same company: both records are of one customer.
            company("crm", "K1", name, code),
            party(
                "erp",
                "C2",
                PartyKind::Organization,
                vec![text("name", "南昌清泉餐饮管理有限公司")],
            ),
            order("erp", "T1", key("erp", "C1"), 700),
            order("erp", "T2", key("crm", "K1"), 50),
            order("erp", "T3", key("erp", "C2"), 9),
        ],
    )
    .await;
    let (gone, stays) = (customers[0].clone(), customers[2].clone());
    assert_eq!(customers[1], gone, "one customer");
    let running = opportunity(&mut sales, &gone, 1_000).await;
    let won = opportunity(&mut sales, &gone, 2_000).await;
    sales.win(&won).await;
    opportunity(&mut sales, &stays, 500).await;
    // 10 percent of 1,000 and of 500.
    let before = ["2", "3", "759", "1 of 1", "150"];
    become_these(&mut analytics, before).await;
    assert_eq!(open(&mut sales).await, 2);

    let erase = EraseCustomerRequest {
        name: gone.clone(),
        request_id: "forget".to_owned(),
        ..EraseCustomerRequest::default()
    };
    let dry = EraseCustomerRequest {
        validate_only: true,
        request_id: String::new(),
        ..erase.clone()
    };
    let would = api.customers.erase_customer(dry).await.expect("a look");
    let done = api.customers.erase_customer(erase).await.expect("erased");
    let done = done.into_inner();
    assert_eq!(would.into_inner(), done);
    assert_eq!((done.records, done.activities), (2, 2));
    // Reporting counts what customers have: the orders, the win and what was hoped for are gone.
    become_these(&mut analytics, ["1", "1", "9", "- of -", "50"]).await;
    // Pipeline keeps its past: the won one stays won, the open one is lost and says why.
    for (name, outcome) in [
        (&running, pb::opportunity::Outcome::Lost),
        (&won, pb::opportunity::Outcome::Won),
    ] {
        let request = pb::GetOpportunityRequest { name: name.clone() };
        let o = sales.opportunities.get_opportunity(request).await;
        let o = o.expect("it stays").into_inner();
        assert_eq!(o.outcome(), outcome, "{name}");
        assert!(o.erase_time.is_some() && o.description.is_empty(), "{o:?}");
        assert!(!o.display_name.contains("远山"), "{}", o.display_name);
        assert!(o.amount.is_some());
    }
    assert_eq!(open(&mut sales).await, 1);
    suite.kill().await.expect("it ends");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_moves_the_numbers_on_sqlite() {
    story(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_moves_the_numbers_on_postgres() {
    story(Engine::Postgres).await;
}
