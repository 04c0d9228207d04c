//! All SQL of this service. Functions that read take `&mut Conn`, those that write `&mut Tx`.
//!
//! Everything is set-based: one statement serves a whole batch, whatever its size.

pub mod activities;
pub mod blocks;
pub mod customers;
pub mod erasures;
pub mod judgements;
pub mod pairs;
pub mod pending;
pub mod query;
pub mod rebuild;
pub mod records;
pub mod rule_sets;
pub mod shadow;
pub mod sources;
pub mod state;
pub mod tags;
pub mod tokens;

use jinke_store::Migrations;

/// The service's migrations, for [`jinke_store::Database::open`].
pub static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};
