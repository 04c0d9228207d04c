//! The storage kit.

pub mod changelog;
mod config;
mod database;
pub mod error;
mod holder;
mod migrate;
mod sql;
mod tx;

pub use config::DatabaseConfig;
pub use database::{Database, PoolState, WRITE_ATTEMPTS};
pub use migrate::{Migrations, same_numbers};
pub use sql::{Arg, Conn, Engine, Row, Rows, Sql};
pub use tx::{Reader, Tx};
