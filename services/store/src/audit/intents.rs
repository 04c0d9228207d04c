//! What is left of calls that changed something and were never answered.
//!
//! A transaction writes the intent of its call beside the change ([`write()`]); the transaction that
//! records how the call ended takes it away. A process says every [`LOOK`] that its intents live.
//! Those that no process has spoken for since [`GONE`] are of one that is gone: whoever delivers
//! makes events of them; on SQLite, where there is one process at a time, those of any other. A
//! process that stood still for longer than that and then goes on has its
//! call twice in the trail, as one of which nobody knew the end, and as it ended.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use jinke_types::{AuditIntent, Failure};

use super::AuditOutbox;
use crate::{Engine, Rows, Tx, args};

/// How often a process says that its intents live, and looks for those of others.
const LOOK: Duration = Duration::from_secs(5);
/// How long an intent is left alone when its process says nothing.
const GONE: Duration = Duration::from_secs(30);
/// Most intents made events at a time.
const MAX_LEFT: i64 = 1_000;

/// Writes the intents of the calls whose changes are in the transaction; those it wrote.
pub(crate) async fn write(tx: &mut Tx) -> Result<Vec<Arc<AuditIntent>>, Failure> {
    let mut written = Vec::new();
    let mut rows = Rows::new(&["process", "number", "seen", "body"]);
    for call in tx.take_calls() {
        if let Some((body, now)) = call.to_write() {
            rows.push(args![call.process(), call.number(), now, body]);
            written.push(call);
        }
    }
    if !written.is_empty() {
        // A transaction whose commit was not answered may have been committed.
        tx.insert_many(
            "jinke_audit_intents",
            rows,
            "ON CONFLICT (process, number) DO NOTHING",
        )
        .await?;
    }
    Ok(written)
}

/// Takes intents of a process away.
pub(super) async fn delete(tx: &mut Tx, process: &str, numbers: &[i64]) -> Result<(), Failure> {
    if numbers.is_empty() {
        return Ok(());
    }
    tx.execute(
        "DELETE FROM jinke_audit_intents WHERE process = $1 AND number IN LIST($2)",
        args![process, numbers.to_vec()],
    )
    .await
    .map(drop)
}

impl AuditOutbox {
    /// From time to time says that the intents of this process live, and makes events of those
    /// that nobody speaks for.
    pub(super) async fn look_after_intents(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        {
            let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|at| at <= now && now < at.plus(LOOK)) {
                return Ok(());
            }
        }
        let any = self
            .db
            .read()
            .await?
            .fetch_optional("SELECT 1 FROM jinke_audit_intents LIMIT 1", args![])
            .await?
            .is_some();
        if any {
            self.db
                .write(async |mut tx| {
                    tx.execute(
                        "UPDATE jinke_audit_intents SET seen = $1 WHERE process = $2",
                        args![now, self.process.as_ref()],
                    )
                    .await
                    .map(drop)
                })
                .await?;
            if self.leads().await? {
                match self.take_what_is_left().await {
                    // They wait where they are: what waits before them must be delivered.
                    Err(failure) if failure.reason == "AUDIT_BACKLOG_FULL" => {}
                    other => other?,
                }
            }
        }
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }

    async fn take_what_is_left(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let before = match self.db.engine() {
            // Not a moment too late when the clock was set back.
            Engine::Sqlite => now.plus(Duration::from_hours(24 * 365)),
            Engine::Postgres => now.minus(GONE),
        };
        let taken = self
            .db
            .write(async |mut tx| {
                let rows = tx
                    .fetch_all(
                        "DELETE FROM jinke_audit_intents WHERE (process, number) IN (\
                         SELECT process, number FROM jinke_audit_intents \
                         WHERE seen <= $1 AND process <> $2 \
                         ORDER BY seen, process, number LIMIT $3) RETURNING body",
                        args![before, self.process.as_ref(), MAX_LEFT],
                    )
                    .await?;
                let bodies = rows
                    .iter()
                    .map(|row| row.bytes("body"))
                    .collect::<Result<Vec<_>, Failure>>()?;
                self.append(&mut tx, &bodies.iter().collect::<Vec<_>>())
                    .await?;
                Ok(bodies.len())
            })
            .await?;
        if taken > 0 {
            self.written.send_replace(());
            tracing::warn!(
                taken,
                "calls of a process that is gone are recorded with an unknown end"
            );
        }
        Ok(())
    }
}
