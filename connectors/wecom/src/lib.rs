//! WeCom 企业微信: departments and members, external contacts, callbacks, messages.
//!
//! | module | what it holds |
//! |---|---|
//! | `config` | the keys of a connection and its limits |
//! | `api` | calls with an access token, and what error codes mean |
//! | `contacts` | external contacts to records |
//! | `round` | gathering all contacts, or one |
//! | `directory` | departments and members |
//! | `callback`, `xml` | the calls that WeCom makes to us |
//! | `message` | text and markdown out |
//! | `pull` | the connector |
//! | [`simulator`] | a small WeCom in memory, for tests and for `jinke simulate` |
//!
//! `README.md` beside this crate tells what each stream yields and what WeCom does not tell.

mod api;
mod callback;
mod config;
mod contacts;
mod directory;
mod message;
mod pull;
mod round;
pub mod simulator;
mod xml;

pub use config::WecomConfig;
pub use pull::WecomConnector;
