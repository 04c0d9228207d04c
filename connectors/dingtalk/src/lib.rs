//! DingTalk 钉钉: departments and members, CRM customers and contacts, callbacks, Stream mode,
//! messages.
//!
//! | module | what it holds |
//! |---|---|
//! | `config` | the keys of a connection and its limits |
//! | `api` | calls of the new and the old interfaces, and what their errors mean |
//! | `fields` | which CRM field is what |
//! | `crm` | CRM rows to records |
//! | `directory` | departments and members |
//! | `event`, `callback`, `channel` | events: what they mean, over HTTP, over Stream mode |
//! | `message` | work notices and robot messages out |
//! | `pull` | the connector |
//! | [`simulator`] | a small DingTalk in memory, for tests and for `jinke simulate` |
//!
//! `README.md` beside this crate tells what each stream yields and what DingTalk does not tell.

mod api;
mod callback;
mod channel;
mod config;
mod crm;
mod directory;
mod event;
mod fields;
mod message;
mod pull;
pub mod simulator;

pub use config::DingtalkConfig;
pub use pull::DingtalkConnector;
