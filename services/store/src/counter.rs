//! Numbers given out inside the transaction that uses them: no gaps after a rollback, and on
//! PostgreSQL whoever takes from a counter holds it until the transaction ends. So numbers
//! become visible in order; take them late in a busy transaction.

use jinke_types::Failure;

use crate::{args, tx::Tx};

/// Takes `count` (at least 1) numbers from the counter `name`; the first of them. The first
/// number of a new counter is 1.
pub async fn take(tx: &mut Tx, name: &str, count: u32) -> Result<i64, Failure> {
    if count == 0 {
        return Err(Failure::internal("no number was asked for"));
    }
    let count = i64::from(count);
    let last = tx
        .fetch_one(
            "INSERT INTO jinke_counters (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = jinke_counters.value + excluded.value \
             RETURNING value",
            args![name, count],
        )
        .await?
        .i64("value")?;
    Ok(last - count + 1)
}
