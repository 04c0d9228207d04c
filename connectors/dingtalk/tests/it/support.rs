//! A connector, its simulator, and rows to change.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use jinke_dingtalk::{
    DingtalkConfig, DingtalkConnector,
    simulator::{
        AGENT_ID, APP_KEY, APP_SECRET, CALLBACK_KEY, CALLBACK_TOKEN, NOW, OPERATOR, ROBOT_SECRET,
        ROBOT_TOKEN, Simulator,
    },
};
use jinke_sdk::{
    Connector,
    conformance::{HttpSubject, Subject},
    envelope::Envelope,
    http::{BudgetPolicy, ClientConfig, RetryPolicy},
    testing::FakeServer,
};
use jinke_types::Timestamp;
use serde_json::json;

/// Rows of each stream in the simulator at the start.
pub const ROWS: usize = 40;

pub struct Dingtalk {
    pub simulator: Simulator,
    pub config: DingtalkConfig,
    added: AtomicUsize,
}

impl Dingtalk {
    /// With short waits and small pages.
    pub async fn start(rows: usize) -> Self {
        let simulator = Simulator::start().await.expect("a port");
        simulator.seed_team();
        if rows > 0 {
            simulator.seed(rows);
        }
        let config = Self::config(simulator.server().url());
        Self {
            simulator,
            config,
            added: AtomicUsize::new(70_000),
        }
    }

    /// The connector alone, to a simulator of another process.
    pub fn at(url: &str) -> DingtalkConnector {
        DingtalkConnector::new(Self::config(url)).expect("settings that can be used")
    }

    fn config(url: &str) -> DingtalkConfig {
        let envelope = Envelope::new(CALLBACK_TOKEN, CALLBACK_KEY, APP_KEY);
        DingtalkConfig {
            agent_id: Some(AGENT_ID),
            robot: Some((ROBOT_TOKEN.to_owned(), ROBOT_SECRET.to_owned())),
            operator: OPERATOR.to_owned(),
            callback: Some(envelope.expect("keys")),
            stream_mode: true,
            page_rows: 15,
            overlap: Duration::from_secs(10),
            private_network: true,
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
            ..DingtalkConfig::new("dingtalk", url, url, APP_KEY, APP_SECRET)
        }
    }

    pub fn dingtalk(&self) -> DingtalkConnector {
        DingtalkConnector::new(self.config.clone()).expect("settings that can be used")
    }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp(NOW.0 + second * 1_000_000)
}

impl Subject for Dingtalk {
    fn connector(&self) -> Box<dyn Connector> {
        Box::new(self.dingtalk())
    }

    fn streams(&self) -> Vec<(String, usize)> {
        let streams = ["customers", "personal_customers", "contacts"];
        streams.map(|s| (s.to_owned(), ROWS)).into()
    }
}

impl HttpSubject for Dingtalk {
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
        let add = |_| {
            let n = self.added.fetch_add(1, Ordering::SeqCst);
            self.simulator.seed_row(stream, n, at(second))
        };
        (0..count).map(add).collect()
    }

    fn change(&self, stream: &str, external_id: &str, second: i64) {
        let (object, field) = match stream {
            "customers" => ("crm_customer", "customer_remark"),
            "personal_customers" => ("crm_customer_personal", "customer_remark"),
            _ => ("crm_contact", "contact_position"),
        };
        let data = json!({field: format!("改{second}")});
        self.simulator.row(object, external_id, data, at(second));
    }

    fn delete(&self, _: &str, external_id: &str) {
        self.simulator.delete(external_id);
    }

    fn drift(&self, on: bool) {
        self.simulator.drift(on);
    }
}
