//! SAP S/4HANA over OData V2: business partners and sales orders, in and out.
//!
//! | module | what it holds |
//! |---|---|
//! | `config` | the keys of a connection and its limits |
//! | `api` | the calls: lists, descriptions, writes with their token |
//! | `metadata` | what a service describes about a set |
//! | `wire` | OData V2 as SAP writes it: dates, decimals, numbers with zeros, links |
//! | `streams` | which sets and properties each stream reads |
//! | `records` | rows to source records |
//! | `pull` | the connector: rounds over changed rows, sweeps over all numbers |
//! | `push` | writing |
//! | [`simulator`] | a small SAP in memory, for tests |
//!
//! `README.md` beside this crate tells what each stream yields and what SAP does not tell.

mod api;
mod config;
mod gone;
mod metadata;
mod pull;
mod push;
mod records;
pub mod simulator;
mod streams;
mod wire;

pub use config::{Proof, SapConfig};
pub use pull::SapConnector;
pub use push::number_of;
