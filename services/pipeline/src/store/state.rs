//! Small facts about this database.

use jinke_store::{Database, args};
use jinke_types::{Entropy, Failure};

/// The id of this database: what page tokens are bound to. Made at the first start.
///
/// # Errors
/// Those of the store.
pub async fn database_id(db: &Database, entropy: &dyn Entropy) -> Result<String, Failure> {
    let mut fresh = [0_u8; 16];
    entropy.fill(&mut fresh);
    let fresh = hex::encode(fresh);
    db.write(async |mut tx| {
        tx.execute(
            "INSERT INTO service_state (name, value) VALUES ('database_id', $1) \
             ON CONFLICT (name) DO NOTHING",
            args![fresh.as_str()],
        )
        .await?;
        tx.fetch_one(
            "SELECT value FROM service_state WHERE name = 'database_id'",
            args![],
        )
        .await?
        .text("value")
    })
    .await
}
