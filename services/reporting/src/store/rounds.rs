//! When work that comes round was done last.

use jinke_store::{Tx, args};
use jinke_types::{Failure, Timestamp};

/// When a round was done last: `now`, which is noted, when it never was.
///
/// # Errors
/// Those of the store.
pub async fn begun(tx: &mut Tx, name: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    tx.execute(
        "INSERT INTO reporting_state (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        args![name, now.0.to_string()],
    )
    .await?;
    let row = tx
        .fetch_one(
            "SELECT value FROM reporting_state WHERE name = $1",
            args![name],
        )
        .await?;
    row.text("value")?
        .parse()
        .map(Timestamp)
        .map_err(Failure::internal)
}

/// Notes that it was done.
///
/// # Errors
/// Those of the store.
pub async fn done(tx: &mut Tx, name: &str, now: Timestamp) -> Result<(), Failure> {
    tx.execute(
        "UPDATE reporting_state SET value = $2 WHERE name = $1",
        args![name, now.0.to_string()],
    )
    .await?;
    Ok(())
}
