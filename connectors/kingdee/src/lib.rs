//! Kingdee K3Cloud (金蝶云星空): customers, contacts, sales orders, receivables and receipts in,
//! customers and sales orders out, over its WebAPI.
//!
//! | module | what it holds |
//! |---|---|
//! | `config` | the keys of a connection and its limits |
//! | `sign` | signatures and sessions |
//! | `api` | the calls and their errors |
//! | `cells` | reading the cells of a row, with an error for each that cannot be read |
//! | `forms` | which forms and fields each stream reads |
//! | `shape` | what of a stream can be read, spelled as the tenant spells it |
//! | `records` | rows to source records |
//! | `pull` | the connector: rounds over changed rows, sweeps over all ids |
//! | `model`, `push` | writing: what is sent, and Save, Submit, Audit as steps |
//! | [`simulator`] | a small Kingdee in memory, for tests and trials |
//!
//! `README.md` beside this crate tells what each stream yields and what Kingdee does not tell.

mod api;
mod cells;
mod config;
mod forms;
mod model;
mod pull;
mod push;
mod records;
mod shape;
mod sign;
pub mod simulator;

pub use config::{KingdeeConfig, Proof, Until};
pub use pull::KingdeeConnector;
pub use push::number_of;
