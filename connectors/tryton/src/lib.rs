//! Tryton: parties, orders, invoices, payments and open receivables over its JSON-RPC.
//!
//! | module | what it holds |
//! |---|---|
//! | `config` | the keys of a connection and its limits |
//! | `rpc` | calls, sessions, the user's context |
//! | `wire` | Tryton's JSON types: Decimal, date, datetime |
//! | `cells` | reading the cells of a row, with an error for each that cannot be read |
//! | `streams` | which models and columns each stream reads, and its domains |
//! | `party`, `documents` | rows to source records |
//! | `pull` | the connector: rounds over changed rows, sweeps over all ids |
//! | [`simulator`] | a small Tryton in memory, for tests and benches |
//!
//! `README.md` beside this crate tells what each stream yields and what Tryton does not tell.

mod cells;
mod config;
mod documents;
mod party;
mod pull;
mod rpc;
pub mod simulator;
mod streams;
mod wire;

pub use config::{PaymentsFrom, TrytonConfig};
pub use pull::TrytonConnector;
