//! A connector, its simulator, and rows to change.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use jinke_sdk::{
    Connector,
    conformance::{HttpSubject, Subject},
    envelope::Envelope,
    http::{BudgetPolicy, ClientConfig, RetryPolicy},
    testing::FakeServer,
};
use jinke_wecom::{
    WecomConfig, WecomConnector,
    simulator::{AGENT_ID, CALLBACK_KEY, CALLBACK_TOKEN, CORP_ID, SECRET, Simulator},
};
use serde_json::json;

/// Contacts in the simulator at the start.
pub const CONTACTS: usize = 60;

pub struct Wecom {
    pub simulator: Simulator,
    pub config: WecomConfig,
    added: AtomicUsize,
}

impl Wecom {
    /// With short waits and small pages.
    pub async fn start(contacts: usize) -> Self {
        let simulator = Simulator::start().await.expect("a port");
        simulator.seed(contacts);
        let config = Self::config(simulator.server().url());
        Self {
            simulator,
            config,
            // Beyond every third: contacts without an organization.
            added: AtomicUsize::new(70_000),
        }
    }

    /// The connector alone, to a simulator of another process.
    pub fn at(url: &str) -> WecomConnector {
        WecomConnector::new(Self::config(url)).expect("settings that can be used")
    }

    fn config(url: &str) -> WecomConfig {
        let envelope = Envelope::new(CALLBACK_TOKEN, CALLBACK_KEY, CORP_ID);
        WecomConfig {
            agent_id: Some(AGENT_ID),
            callback: Some(envelope.expect("keys")),
            page_rows: 15,
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
            ..WecomConfig::new("wecom", url, CORP_ID, SECRET)
        }
    }

    pub fn wecom(&self) -> WecomConnector {
        WecomConnector::new(self.config.clone()).expect("settings that can be used")
    }
}

impl Subject for Wecom {
    fn connector(&self) -> Box<dyn Connector> {
        Box::new(self.wecom())
    }

    fn streams(&self) -> Vec<(String, usize)> {
        vec![("contacts".to_owned(), CONTACTS)]
    }
}

impl HttpSubject for Wecom {
    fn server(&self) -> &FakeServer {
        self.simulator.server()
    }

    fn end_sessions(&self) {
        self.simulator.end_sessions();
    }

    fn logins(&self) -> u64 {
        self.simulator.logins()
    }

    fn add(&self, _: &str, count: usize, _: i64) -> Vec<String> {
        let add = |_| loop {
            let n = self.added.fetch_add(1, Ordering::SeqCst);
            if !n.is_multiple_of(3) {
                return self.simulator.seed_contact(n);
            }
        };
        (0..count).map(add).collect()
    }

    fn change(&self, _: &str, external_id: &str, second: i64) {
        let user = &self.simulator.followers(external_id)[0];
        let notes = json!({"remark": format!("改{second}")});
        self.simulator.follow(user, external_id, json!({}), notes);
    }

    fn delete(&self, _: &str, external_id: &str) {
        self.simulator.forget(external_id);
    }

    fn drift(&self, on: bool) {
        self.simulator.drift(on);
    }

    fn tells_changes(&self) -> bool {
        false
    }
}
