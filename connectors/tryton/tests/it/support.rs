//! A connector, its simulator, and rows to change.

use std::time::Duration;

use jinke_sdk::{
    Connector,
    conformance::{HttpSubject, Subject},
    http::{BudgetPolicy, ClientConfig, RetryPolicy},
    testing::FakeServer,
};
use jinke_tryton::{
    TrytonConfig, TrytonConnector,
    simulator::{DATABASE, NOW, PASSWORD, Simulator, USER},
};
use jinke_types::Timestamp;
use serde_json::json;

/// Customers in the simulator at the start.
pub const CUSTOMERS: usize = 60;

pub struct Tryton {
    pub simulator: Simulator,
    pub config: TrytonConfig,
}

impl Tryton {
    /// With short waits and small pages.
    pub async fn start(customers: usize) -> Self {
        let simulator = Simulator::start().await.expect("a port");
        simulator.seed(customers);
        let config = Self::config(simulator.server().url());
        Self { simulator, config }
    }

    /// The connector alone, to a simulator of another process.
    pub fn at(url: &str) -> TrytonConnector {
        TrytonConnector::new(Self::config(url)).expect("settings that can be used")
    }

    fn config(url: &str) -> TrytonConfig {
        TrytonConfig {
            page_rows: 15,
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
            ..TrytonConfig::new("erp", url, DATABASE, USER, PASSWORD)
        }
    }

    pub fn tryton(&self) -> TrytonConnector {
        TrytonConnector::new(self.config.clone()).expect("settings that can be used")
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp(NOW.0 + second * 1_000_000)
}

fn id(external_id: &str) -> i64 {
    let (_, id) = external_id.split_once(',').expect("model,id");
    id.parse().expect("an id")
}

impl Subject for Tryton {
    fn connector(&self) -> Box<dyn Connector> {
        Box::new(self.tryton())
    }

    fn streams(&self) -> Vec<(String, usize)> {
        let streams = [
            ("parties", CUSTOMERS),
            ("orders", CUSTOMERS),
            ("invoices", CUSTOMERS),
            ("payments", CUSTOMERS / 3),
            ("receivables", CUSTOMERS + CUSTOMERS / 3),
        ];
        streams.map(|(s, n)| (s.to_owned(), n)).into()
    }
}

impl HttpSubject for Tryton {
    fn server(&self) -> &FakeServer {
        self.simulator.server()
    }

    fn end_sessions(&self) {
        self.simulator.end_sessions();
    }

    fn logins(&self) -> u64 {
        self.simulator.logins()
    }

    fn add(&self, stream: &str, count: usize, second: i64) -> Vec<String> {
        let (sim, at) = (&self.simulator, at(second));
        let add = |n: usize| match stream {
            "parties" => format!("party.party,{}", sim.seed_party(70_000 + n, at)),
            "orders" => format!("sale.sale,{}", sim.seed_sale(70_000 + n, 1, at)),
            "invoices" => format!(
                "account.invoice,{}",
                sim.seed_invoice(70_000 + n, 1, "out", at)
            ),
            "payments" => format!(
                "account.move.line,{}",
                sim.seed_payment(70_000 + n, 1, 1, at)
            ),
            _ => format!(
                "account.move.line,{}",
                sim.seed_receivable(70_000 + n, 1, at)
            ),
        };
        (0..count).map(add).collect()
    }

    /// Only a part of the row changes where it has parts: that is how Tryton's own forms do it.
    fn change(&self, stream: &str, external_id: &str, second: i64) {
        let (sim, at, id) = (&self.simulator, at(second), id(external_id));
        let part = |model: &str, column: &str| sim.owned(model, column, id)[0];
        match stream {
            "parties" => {
                let address = part("party.address", "party");
                let street = json!({"street": format!("新地址{second}号")});
                sim.write("party.address", address, street, at);
            }
            "orders" => {
                let line = part("sale.line", "sale");
                sim.write("sale.line", line, json!({"quantity": second + 100}), at);
            }
            "invoices" => sim.write(
                "account.invoice",
                id,
                json!({"state": format!("s{second}")}),
                at,
            ),
            _ => {
                let text = json!({"description": format!("改{second}")});
                sim.write("account.move.line", id, text, at);
            }
        }
    }

    fn delete(&self, stream: &str, external_id: &str) {
        let model = match stream {
            "parties" => "party.party",
            "orders" => "sale.sale",
            "invoices" => "account.invoice",
            _ => "account.move.line",
        };
        self.simulator.delete(model, id(external_id));
    }

    fn drift(&self, on: bool) {
        self.simulator.drift(on);
    }
}
