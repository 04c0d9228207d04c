//! All SQL of this service. Both engines run the same texts; `tests/conformance` holds the cases
//! both must pass.
//!
//! Reads that answer a caller take a [`crate::access::Sight`]; reads within a transaction that
//! decides something take none and are followed by a check of the row.

pub mod activities;
pub mod attached;
pub mod crosswalk;
pub mod feed;
pub mod funnel;
pub mod lead_rows;
pub mod leads;
pub mod list;
pub mod opportunities;
pub mod pipelines;
pub mod rules;
pub mod state;
pub mod tasks;
pub mod timers;

use jinke_store::{Arg, Conn, Migrations, Row, Sql};
use jinke_types::Failure;

use crate::access::Sight;

/// The migrations of both engines.
pub static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};

/// A statement put together from literals, with its arguments numbered as they come.
#[derive(Debug, Default)]
pub struct Query {
    text: String,
    args: Vec<Arg>,
}

impl Query {
    /// Begins with a literal.
    pub fn new(text: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            args: Vec::new(),
        }
    }
    /// Adds text; every `?` takes the next of `args`.
    pub fn add(&mut self, text: &str, args: impl IntoIterator<Item = Arg>) -> &mut Self {
        let mut args = args.into_iter();
        for (i, part) in text.split('?').enumerate() {
            if i > 0 {
                self.args.extend(args.next());
                self.text.push_str(&format!("${}", self.args.len()));
            }
            self.text.push_str(part);
        }
        self
    }
    /// Only rows of table `t` that are seen.
    pub fn seen(&mut self, sight: &Sight) -> &mut Self {
        match sight {
            Sight::All => self,
            Sight::Nothing => self.add(" AND 1 = 0", []),
            Sight::Some { units, owner } => self.add(
                " AND (t.owner = ? OR t.org_unit IN LIST(?))",
                [Arg::from(owner), Arg::from(units.clone())],
            ),
        }
    }
    /// Its rows.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn fetch(self, conn: &mut Conn) -> Result<Vec<Row>, Failure> {
        conn.fetch_all(Sql::assembled(self.text), self.args).await
    }
    /// Its first row.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn fetch_first(self, conn: &mut Conn) -> Result<Option<Row>, Failure> {
        conn.fetch_optional(Sql::assembled(self.text), self.args)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_match() {
        assert_eq!(jinke_store::same_numbers(&MIGRATIONS), Ok(()));
    }
}
