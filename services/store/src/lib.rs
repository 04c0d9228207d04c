//! The storage kit.

pub mod changelog;
mod config;
pub mod counter;
pub mod cursor;
mod database;
pub mod error;
mod holder;
pub mod keys;
pub mod lease;
mod migrate;
pub mod operation;
pub mod request;
mod sql;
pub mod testing;
mod tx;

pub use config::DatabaseConfig;
pub use database::{CLOSE_WAIT, Database, PoolState, WRITE_ATTEMPTS};
pub use migrate::{Migrations, same_numbers};
pub use sql::{Arg, Conn, Engine, Row, Rows, Sql};
pub use tx::{Reader, Tx};
