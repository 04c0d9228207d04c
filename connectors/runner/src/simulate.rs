//! Simulated foreign systems for people who try a connection out: `jinke simulate <kind>`.
//!
//! They are the simulators that the connectors are tested with, seeded with Chinese rows, on an
//! address of the machine. What they know is invented, and their credentials are public.

mod clients;

use std::{any::Any, io};

use jinke_types::{Code, Failure};
use serde_json::json;

pub use clients::{Client, ClientContact};

/// Kinds that have a simulator.
pub const KINDS: [&str; 4] = ["wecom", "dingtalk", "kingdee", "tryton"];
/// At most this many rows are seeded.
pub const MAX_ROWS: usize = 100_000;

/// A simulator that runs until it is dropped.
pub struct Simulation {
    /// Where it answers.
    pub url: String,
    /// The settings of a connection to it, in their order: key and value.
    pub settings: Vec<(&'static str, toml::Value)>,
    /// How many companies and persons its rows really are, where some are there twice.
    pub distinct: Option<usize>,
    system: System,
    turns: u64,
}

enum System {
    Wecom(jinke_wecom::simulator::Simulator),
    Dingtalk(jinke_dingtalk::simulator::Simulator),
    Kingdee(jinke_kingdee::simulator::Simulator),
    Other(#[expect(dead_code, reason = "it runs until dropped")] Box<dyn Any + Send + Sync>),
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Simulation").field(&self.url).finish()
    }
}

impl Simulation {
    /// Starts one of a kind at an address such as `127.0.0.1:9100`; port 0 takes a free one.
    ///
    /// # Errors
    /// `CONNECTOR_UNKNOWN` for a kind without a simulator; `LISTEN` when the address cannot be
    /// listened at.
    pub async fn start(kind: &str, listen: &str, rows: usize) -> Result<Self, Failure> {
        let rows = rows.min(MAX_ROWS);
        let text = |value: &str| toml::Value::String(value.to_owned());
        let private = ("private_network", toml::Value::Boolean(true));
        let (url, settings, system) = match kind {
            "wecom" => {
                use jinke_wecom::simulator as s;
                let sim = s::Simulator::start_at(listen).await.map_err(refused)?;
                sim.seed(rows);
                let url = sim.server().url().to_owned();
                let settings = vec![
                    ("url", text(&url)),
                    ("corp_id", text(s::CORP_ID)),
                    ("secret", text(s::SECRET)),
                    ("agent_id", toml::Value::Integer(s::AGENT_ID)),
                    ("callback_token", text(s::CALLBACK_TOKEN)),
                    ("callback_key", text(s::CALLBACK_KEY)),
                    private,
                ];
                (url, settings, System::Wecom(sim))
            }
            "dingtalk" => {
                use jinke_dingtalk::simulator as s;
                let sim = s::Simulator::start_at(listen).await.map_err(refused)?;
                sim.seed(rows.max(1));
                let url = sim.server().url().to_owned();
                let settings = vec![
                    ("url", text(&url)),
                    ("old_url", text(&url)),
                    ("app_key", text(s::APP_KEY)),
                    ("app_secret", text(s::APP_SECRET)),
                    ("agent_id", toml::Value::Integer(s::AGENT_ID)),
                    ("operator_user_id", text(s::OPERATOR)),
                    ("robot_token", text(s::ROBOT_TOKEN)),
                    ("robot_secret", text(s::ROBOT_SECRET)),
                    ("callback_token", text(s::CALLBACK_TOKEN)),
                    ("callback_key", text(s::CALLBACK_KEY)),
                    ("stream_mode", toml::Value::Boolean(true)),
                    private,
                ];
                (url, settings, System::Dingtalk(sim))
            }
            "kingdee" => {
                use jinke_kingdee::simulator as s;
                let sim = s::Simulator::start_at(listen).await.map_err(refused)?;
                sim.seed(rows);
                let url = sim.url();
                let settings = vec![
                    ("url", text(&url)),
                    ("account", text(s::ACCOUNT)),
                    ("user", text(s::USER)),
                    ("app_id", text(s::APP_ID)),
                    ("app_secret", text(s::APP_SECRET)),
                    private,
                ];
                (url, settings, System::Kingdee(sim))
            }
            "tryton" => {
                use jinke_tryton::simulator as s;
                let sim = s::Simulator::start_at(listen).await.map_err(refused)?;
                sim.seed(rows);
                let url = sim.server().url().to_owned();
                let settings = vec![
                    ("url", text(&url)),
                    ("database", text(s::DATABASE)),
                    ("user", text(s::USER)),
                    ("password", text(s::PASSWORD)),
                    private,
                ];
                (url, settings, System::Other(Box::new(sim)))
            }
            _ => {
                return Err(Failure::new(
                    Code::NotFound,
                    "CONNECTOR_UNKNOWN",
                    format!(
                        "there is no simulator of this kind; there are {}",
                        KINDS.join(", ")
                    ),
                )
                .with("connector", kind));
            }
        };
        let distinct = (kind == "tryton").then(|| {
            use jinke_tryton::simulator::population as p;
            p::distinct(p::SEED, rows)
        });
        Ok(Self {
            url,
            settings,
            distinct,
            system,
            turns: 0,
        })
    }

    /// Whether it can call back.
    pub const fn calls_back(&self) -> bool {
        matches!(self.system, System::Wecom(_) | System::Dingtalk(_))
    }

    /// Lets something happen there, and calls `callback` with it, when one is given: a contact is
    /// noted anew, a member joins, and leaves again. How many calls were accepted, and how many
    /// were made.
    ///
    /// # Errors
    /// `HTTP_CONNECT` when nobody answers at the address.
    pub async fn turn(&mut self, callback: Option<&str>) -> Result<(usize, usize), Failure> {
        let turn = self.turns;
        self.turns += 1;
        let member = format!("newcomer{}", turn / 3);
        match &self.system {
            System::Wecom(sim) => {
                match turn % 3 {
                    0 => {
                        let id = sim.seed_contact(usize::try_from(turn).unwrap_or(0));
                        let user = sim.followers(&id).into_iter().next().unwrap_or_default();
                        let notes = json!({"remark": format!("第{turn}次回访")});
                        sim.follow(&user, &id, json!({}), notes);
                    }
                    1 => sim.member(&member, "新同事", &[2], json!({})),
                    _ => sim.leave(&member),
                }
                let Some(url) = callback else {
                    return Ok((0, 0));
                };
                let how = jinke_wecom::simulator::Delivery::default();
                let answers = sim.deliver(url, how).await.map_err(silent)?;
                let good = answers.iter().filter(|a| a.status == 200).count();
                Ok((good, answers.len()))
            }
            System::Dingtalk(sim) => {
                match turn % 3 {
                    0 => sim.department(100 + i64::try_from(turn).unwrap_or(0), 1, "新部门"),
                    1 => sim.member(&member, "新同事", &[20], json!({})),
                    _ => sim.leave(&member),
                }
                // Without an address the events wait for a channel of Stream mode.
                let Some(url) = callback else {
                    return Ok((0, 0));
                };
                let how = jinke_dingtalk::simulator::Delivery::default();
                let answers = sim.deliver(url, how).await.map_err(silent)?;
                let success = jinke_dingtalk::simulator::Answered::Success;
                let good = answers.iter().filter(|a| **a == success).count();
                Ok((good, answers.len()))
            }
            System::Kingdee(_) | System::Other(_) => Ok((0, 0)),
        }
    }
}

fn refused(error: io::Error) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "LISTEN",
        format!("the address cannot be listened at: {error}"),
    )
}

fn silent(error: io::Error) -> Failure {
    Failure::new(
        Code::Unavailable,
        "HTTP_CONNECT",
        format!("nobody answers at the callback's address: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use jinke_sdk::testing::pull;

    use super::*;
    use crate::registry::{Registry, kinds};

    #[tokio::test]
    async fn a_connection_with_the_printed_settings_reads_it() {
        let registry = Registry::new(kinds(), Vec::new());
        for kind in KINDS {
            let mut sim = Simulation::start(kind, "127.0.0.1:0", 12).await.unwrap();
            let table: toml::Table = sim
                .settings
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect();
            let connector = registry.open(kind, "demo", table).unwrap();
            connector.check().await.unwrap();
            let stream = connector.discover().await.unwrap().pop().unwrap().stream;
            let pulled = pull(&*connector, &stream, None).await;
            assert!(pulled.error.is_none(), "{kind}: {:?}", pulled.error);
            assert!(!pulled.records().is_empty(), "{kind}/{stream}");
            assert_eq!(sim.turn(None).await.unwrap(), (0, 0));
        }
        let unknown = Simulation::start("sap-r2", "127.0.0.1:0", 1).await;
        assert_eq!(unknown.unwrap_err().reason, "CONNECTOR_UNKNOWN");
    }
}
