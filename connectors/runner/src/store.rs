//! All SQL of this service. Functions that read take `&mut Conn`, those that write `&mut Tx`.

pub mod connections;
pub mod deliveries;
pub mod errors;
pub mod events;
pub mod known;
pub mod letters;
pub mod runs;

use jinke_store::{Migrations, Row};
use jinke_types::Failure;
use serde::{Serialize, de::DeserializeOwned};

/// The service's migrations, for [`jinke_store::Database::open`].
pub static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};

/// As JSON text.
fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(Failure::internal)
}

/// A JSON column back.
fn from_json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T, Failure> {
    serde_json::from_str(&row.text(column)?).map_err(|_| damaged(column))
}

/// A JSON column that may be NULL.
fn opt_json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>, Failure> {
    row.opt_text(column)?
        .map(|text| serde_json::from_str(&text).map_err(|_| damaged(column)))
        .transpose()
}

fn damaged(column: &str) -> Failure {
    Failure::new(
        jinke_types::Code::DataLoss,
        "STORED_DAMAGED",
        format!("the stored {column} cannot be read"),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn migrations_match() {
        assert_eq!(jinke_store::same_numbers(&super::MIGRATIONS), Ok(()));
    }
}
