//! All SQL of this service. Functions that read take `&mut Conn`, those that write `&mut Tx`.

use jinke_store::Migrations;

/// The service's migrations, for [`jinke_store::Database::open`].
pub static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};
