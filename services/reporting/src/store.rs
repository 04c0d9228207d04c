//! All SQL of this service.
//!
//! | module | what it holds |
//! |---|---|
//! | [`projection`] | generations, cursors, the switch |
//! | [`project`], [`dimensions`] | the effect of a page of changes on the star; products and persons |
//! | [`directory`] | users and org units as identity has them |
//! | [`load`] | a frame for one caller |
//! | [`segments`], [`episodes`], [`reports`], [`rounds`] | what people and the service keep beside the star |

pub mod dimensions;
pub mod directory;
pub mod episodes;
pub mod load;
pub mod project;
pub mod projection;
pub mod reports;
pub mod rounds;
pub mod segments;

use jinke_store::{Database, Migrations, args};
use jinke_types::{Entropy, Failure};

/// The service's migrations, for [`jinke_store::Database::open`].
pub static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};

/// The id of this database, made at the first start.
pub async fn database_id(db: &Database, entropy: &dyn Entropy) -> Result<String, Failure> {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    let made = hex::encode(random);
    let made = &made;
    db.write(async |mut tx| {
        tx.execute(
            "INSERT INTO reporting_state (name, value) VALUES ('database_id', $1) \
             ON CONFLICT (name) DO NOTHING",
            args![made],
        )
        .await?;
        tx.fetch_one(
            "SELECT value FROM reporting_state WHERE name = 'database_id'",
            args![],
        )
        .await?
        .text("value")
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_match() {
        assert_eq!(jinke_store::same_numbers(&MIGRATIONS), Ok(()));
    }
}
