//! A connector, its simulator, and rows to change.

use std::time::Duration;

use jinke_sap::{
    Proof, SapConfig, SapConnector,
    simulator::{CLIENT, NOW, PATH, SECRET, Simulator},
};
use jinke_sdk::{
    Connector,
    conformance::{HttpSubject, Subject},
    http::{BudgetPolicy, ClientConfig, RetryPolicy},
    testing::FakeServer,
};
use jinke_types::Timestamp;
use serde_json::json;

/// Partners in the simulator at the start.
pub const PARTNERS: usize = 50;

pub struct Sap {
    pub simulator: Simulator,
    pub config: SapConfig,
}

impl Sap {
    /// With short waits and small pages, by tokens.
    pub async fn start(partners: usize) -> Self {
        let simulator = Simulator::start().await.expect("a port");
        simulator.seed(partners);
        let config = Self::config(simulator.server().url());
        Self { simulator, config }
    }

    /// The connector alone, to a simulator of another process.
    pub fn at(url: &str) -> SapConnector {
        SapConnector::new(Self::config(url)).expect("settings that can be used")
    }

    fn config(url: &str) -> SapConfig {
        let proof = Proof::Client {
            token_url: format!("{url}/oauth/token"),
            id: CLIENT.to_owned(),
            secret: SECRET.to_owned(),
        };
        SapConfig {
            page_rows: 30,
            private_network: true,
            overlap: Duration::from_secs(10),
            client: ClientConfig {
                timeout: Duration::from_millis(1_500),
                max_body: 8 << 20,
                ..ClientConfig::default()
            },
            retry: RetryPolicy {
                tries: 4,
                base: Duration::from_millis(2),
                cap: Duration::from_millis(5),
                longest_asked: Duration::from_secs(2),
            },
            budget: BudgetPolicy {
                per_minute: 1_000_000,
                burst: 10_000,
                concurrency: 8,
            },
            ..SapConfig::new("s4", &format!("{url}{PATH}"), proof)
        }
    }

    pub fn sap(&self) -> SapConnector {
        SapConnector::new(self.config.clone()).expect("settings that can be used")
    }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp(NOW.0 + second * 1_000_000)
}

/// The number of a row by its external id; an order's has no zeros there.
fn number(stream: &str, external_id: &str) -> String {
    let (_, number) = external_id.split_once(',').expect("set,number");
    if stream == "orders" {
        number.trim_start_matches('0').to_owned()
    } else {
        number.to_owned()
    }
}

fn set(stream: &str) -> &'static str {
    if stream == "orders" {
        "A_SalesOrder"
    } else {
        "A_BusinessPartner"
    }
}

impl Subject for Sap {
    fn connector(&self) -> Box<dyn Connector> {
        Box::new(self.sap())
    }

    fn streams(&self) -> Vec<(String, usize)> {
        // Every tenth partner is the contact of another one.
        let streams = [("partners", PARTNERS + PARTNERS / 10), ("orders", PARTNERS)];
        streams.map(|(s, n)| (s.to_owned(), n)).into()
    }
}

impl HttpSubject for Sap {
    fn server(&self) -> &FakeServer {
        self.simulator.server()
    }

    fn end_sessions(&self) {
        self.simulator.end_sessions();
    }

    fn logins(&self) -> u64 {
        self.simulator.logins()
    }

    /// New partners are nobody's contact, so that a row is one record.
    fn add(&self, stream: &str, count: usize, second: i64) -> Vec<String> {
        let (sim, at) = (&self.simulator, at(second));
        let from = 1_000 + 3 * sim.count(set(stream));
        let fresh = (from..).filter(|n| n % 10 != 9).take(count);
        let add = |n: usize| {
            if stream == "orders" {
                let number = sim.seed_order(n, 1, at);
                format!("A_SalesOrder,{number:0>10}")
            } else {
                format!("A_BusinessPartner,{}", sim.seed_partner(n, at))
            }
        };
        fresh.map(add).collect()
    }

    fn change(&self, stream: &str, external_id: &str, second: i64) {
        let changes = if stream == "orders" {
            json!({"OverallSDProcessStatus": format!("{second}")})
        } else {
            json!({"BusinessPartnerFullName": format!("改名第{second}有限公司")})
        };
        let number = number(stream, external_id);
        self.simulator
            .write(set(stream), &number, changes, at(second));
    }

    fn delete(&self, stream: &str, external_id: &str) {
        self.simulator
            .delete(set(stream), &number(stream, external_id));
    }

    fn drift(&self, on: bool) {
        self.simulator.drift(on);
    }
}
