//! The cases that both engines must pass, and what happens when a process dies.

mod audit;
mod backup;
mod changelog;
mod faults;
mod keys;
mod kit;
mod migrations;
mod requests;
mod sql;
mod transactions;
mod worker;

use jinke_store::Migrations;
use jinke_types::Timestamp;

static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("tests/store/migrations/sqlite"),
    postgres: sqlx::migrate!("tests/store/migrations/postgres"),
};

const fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}
