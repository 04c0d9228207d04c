//! A connector, its simulator, and rows to change.

use std::time::Duration;

use jinke_kingdee::{
    KingdeeConfig, KingdeeConnector, Proof,
    simulator::{ACCOUNT, APP_ID, APP_SECRET, NOW, PASSWORD, PATH, Simulator, USER},
};
use jinke_sdk::{
    Connector,
    conformance::{HttpSubject, Subject},
    http::{BudgetPolicy, ClientConfig, RetryPolicy},
    testing::FakeServer,
};
use jinke_types::Timestamp;
use serde_json::json;

/// Customers in the simulator at the start.
pub const CUSTOMERS: usize = 40;

pub struct Kingdee {
    pub simulator: Simulator,
    pub config: KingdeeConfig,
}

impl Kingdee {
    /// With short waits and small pages, by sessions.
    pub async fn start(customers: usize) -> Self {
        let simulator = Simulator::start().await.expect("a port");
        simulator.seed(customers);
        let config = Self::config(simulator.server().url());
        Self { simulator, config }
    }

    /// The connector alone, to a simulator of another process.
    pub fn at(url: &str) -> KingdeeConnector {
        KingdeeConnector::new(Self::config(url)).expect("settings that can be used")
    }

    fn config(url: &str) -> KingdeeConfig {
        KingdeeConfig {
            proof: Proof::Session,
            password: PASSWORD.to_owned(),
            page_rows: 12,
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
            ..KingdeeConfig::new(
                "k3",
                &format!("{url}{PATH}"),
                ACCOUNT,
                USER,
                APP_ID,
                APP_SECRET,
            )
        }
    }

    pub async fn signed(customers: usize) -> Self {
        let mut this = Self::start(customers).await;
        this.config.proof = Proof::Signed;
        this
    }

    pub fn kingdee(&self) -> KingdeeConnector {
        KingdeeConnector::new(self.config.clone()).expect("settings that can be used")
    }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp(NOW.0 + second * 1_000_000)
}

fn id(external_id: &str) -> i64 {
    let (_, id) = external_id.split_once(',').expect("form,id");
    id.parse().expect("an id")
}

fn form(stream: &str) -> &'static str {
    match stream {
        "customers" => "BD_Customer",
        "contacts" => "BD_CommonContact",
        "orders" => "SAL_SaleOrder",
        "receivables" => "AR_receivable",
        _ => "AR_RECEIVEBILL",
    }
}

impl Subject for Kingdee {
    fn connector(&self) -> Box<dyn Connector> {
        Box::new(self.kingdee())
    }

    fn streams(&self) -> Vec<(String, usize)> {
        let streams = [
            ("customers", CUSTOMERS),
            // Each with its link to the customer.
            ("contacts", 2 * CUSTOMERS),
            ("orders", CUSTOMERS),
            ("receivables", CUSTOMERS),
            ("receipts", CUSTOMERS / 3),
        ];
        streams.map(|(s, n)| (s.to_owned(), n)).into()
    }
}

impl HttpSubject for Kingdee {
    fn server(&self) -> &FakeServer {
        self.simulator.server()
    }

    fn end_sessions(&self) {
        self.simulator.end_sessions();
    }

    fn logins(&self) -> u64 {
        self.simulator.logins()
    }

    /// New contacts belong to nobody, so that a row is one record.
    fn add(&self, stream: &str, count: usize, second: i64) -> Vec<String> {
        let (sim, at) = (&self.simulator, at(second));
        let add = |n: usize| {
            let n = 70_000 + n;
            let id = match stream {
                "customers" => sim.seed_customer(n, at),
                "contacts" => sim.seed_contact(n, None, at),
                "orders" => sim.seed_order(n, 100_001, at),
                "receivables" => sim.seed_receivable(n, 100_001, at),
                _ => sim.seed_receipt(n, 100_001, at),
            };
            format!("{},{id}", form(stream))
        };
        (0..count).map(add).collect()
    }

    fn change(&self, stream: &str, external_id: &str, second: i64) {
        let (sim, at, id) = (&self.simulator, at(second), id(external_id));
        let changes = match stream {
            "customers" => json!({"FADDRESS": format!("新地址{second}号")}),
            "contacts" => json!({"FBizAddress": format!("新地址{second}号")}),
            "orders" => json!({"FNote": format!("改{second}")}),
            "receivables" => json!({"FBillNo": format!("改{second}-{id}")}),
            _ => json!({"FREMARK": format!("改{second}")}),
        };
        sim.write(form(stream), id, changes, at);
    }

    fn delete(&self, stream: &str, external_id: &str) {
        self.simulator.delete(form(stream), id(external_id));
    }

    fn drift(&self, on: bool) {
        self.simulator.drift(on);
    }
}
