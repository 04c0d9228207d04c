//! Runs.

use jinke_store::{Conn, Row, Tx, args, counter};
use jinke_types::{Failure, Timestamp};

use super::{from_json, json, opt_json};
use crate::domain::{Run, RunKind, RunState, Trigger};

fn run(row: &Row) -> Result<Run, Failure> {
    Ok(Run {
        connection: row.text("connection")?,
        number: row.i64("number")?,
        kind: if row.i64("kind")? == 2 {
            RunKind::Sweep
        } else {
            RunKind::Pull
        },
        trigger: match row.i64("trigger_kind")? {
            1 => Trigger::Schedule,
            3 => Trigger::Callback,
            _ => Trigger::Request,
        },
        state: RunState::of(row.i64("state")?),
        streams: from_json(row, "streams")?,
        progress: from_json(row, "progress")?,
        findings: from_json(row, "findings")?,
        error: opt_json(row, "error")?,
        attempts: row.i64("attempts")?,
        failures: row.i64("failures")?,
        retries: row.i64("retries")?,
        approved: row.bool("approved")?,
        cancel: row.bool("cancel")?,
        creator: row.text("creator")?,
        retry_time: row.opt_time("retry_time")?,
        create_time: row.time("create_time")?,
        start_time: row.opt_time("start_time")?,
        update_time: row.time("update_time")?,
        end_time: row.opt_time("end_time")?,
        revision: row.i64("revision")?,
    })
}

/// One run.
pub async fn get(conn: &mut Conn, connection: &str, number: i64) -> Result<Option<Run>, Failure> {
    conn.fetch_optional(
        "SELECT * FROM runs WHERE connection = $1 AND number = $2",
        args![connection, number],
    )
    .await?
    .map(|row| run(&row))
    .transpose()
}

/// Runs before `before`, the newest first.
pub async fn list(
    conn: &mut Conn,
    connection: &str,
    before: i64,
    limit: u32,
) -> Result<Vec<Run>, Failure> {
    conn.fetch_all(
        "SELECT * FROM runs WHERE connection = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
        args![connection, before, limit],
    )
    .await?
    .iter()
    .map(run)
    .collect()
}

/// The run to work at now: one that was begun before one that waits, the oldest first; also one
/// that is only to be cancelled.
pub async fn next(
    conn: &mut Conn,
    connection: &str,
    now: Timestamp,
) -> Result<Option<Run>, Failure> {
    conn.fetch_optional(
        "SELECT * FROM runs WHERE connection = $1 AND end_time IS NULL AND (cancel = 1 \
         OR state IN (1, 2) OR (state = 3 AND retry_time <= $2)) \
         ORDER BY CASE state WHEN 2 THEN 0 ELSE 1 END, number LIMIT 1",
        args![connection, now],
    )
    .await?
    .map(|row| run(&row))
    .transpose()
}

/// A run of this kind that has not ended and covers at least the asked streams (all when empty).
pub async fn open(
    conn: &mut Conn,
    connection: &str,
    kind: RunKind,
    streams: &[String],
) -> Result<Option<Run>, Failure> {
    let rows = conn
        .fetch_all(
            "SELECT * FROM runs WHERE connection = $1 AND kind = $2 AND end_time IS NULL \
             AND cancel = 0 ORDER BY number LIMIT 100",
            args![connection, kind as i64],
        )
        .await?;
    for row in rows {
        let run = run(&row)?;
        let covers = run.streams.is_empty()
            || (!streams.is_empty() && streams.iter().all(|s| run.streams.contains(s)));
        if covers {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

/// A new run in the queue.
pub async fn create(
    tx: &mut Tx,
    connection: &str,
    kind: RunKind,
    trigger: Trigger,
    streams: &[String],
    creator: &str,
    now: Timestamp,
) -> Result<Run, Failure> {
    let number = counter::take(tx, &format!("runs/{connection}"), 1).await?;
    let run = Run {
        connection: connection.to_owned(),
        number,
        kind,
        trigger,
        state: RunState::Queued,
        streams: streams.to_vec(),
        progress: Vec::new(),
        findings: Vec::new(),
        error: None,
        attempts: 0,
        failures: 0,
        retries: 0,
        approved: false,
        cancel: false,
        creator: creator.to_owned(),
        retry_time: None,
        create_time: now,
        start_time: None,
        update_time: now,
        end_time: None,
        revision: 1,
    };
    tx.execute(
        "INSERT INTO runs (connection, number, kind, trigger_kind, state, streams, progress, \
         findings, attempts, failures, retries, approved, cancel, creator, create_time, \
         update_time, revision) VALUES ($1, $2, $3, $4, $5, $6, '[]', '[]', 0, 0, 0, 0, 0, $7, \
         $8, $8, 1)",
        args![
            connection,
            number,
            kind as i64,
            trigger as i64,
            RunState::Queued as i64,
            json(&run.streams)?,
            creator,
            now
        ],
    )
    .await?;
    tx.execute(
        "UPDATE connections SET last_run = $1 WHERE id = $2",
        args![number, connection],
    )
    .await?;
    Ok(run)
}

/// What the wishes of people are, which a keeper reads and never writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The run is to stop for ever.
    pub cancel: bool,
    /// The connection is to stop.
    pub paused: bool,
    /// The connection was deleted.
    pub deleted: bool,
}

/// See [`Wishes`].
pub async fn wishes(conn: &mut Conn, connection: &str, number: i64) -> Result<Wishes, Failure> {
    let row = conn
        .fetch_optional(
            "SELECT c.paused, r.cancel FROM connections c LEFT JOIN runs r \
             ON r.connection = c.id AND r.number = $2 WHERE c.id = $1",
            args![connection, number],
        )
        .await?;
    Ok(match row {
        None => Wishes {
            deleted: true,
            ..Wishes::default()
        },
        Some(row) => Wishes {
            cancel: row.opt_i64("cancel")? == Some(1),
            paused: row.bool("paused")?,
            deleted: false,
        },
    })
}

/// Writes how far a run is: all but what people ask of it.
pub async fn save(tx: &mut Tx, run: &Run) -> Result<(), Failure> {
    tx.execute(
        "UPDATE runs SET state = $1, progress = $2, findings = $3, error = $4, attempts = $5, \
         failures = $6, retries = $7, retry_time = $8, start_time = $9, update_time = $10, \
         end_time = $11, revision = revision + 1 WHERE connection = $12 AND number = $13",
        args![
            run.state as i64,
            json(&run.progress)?,
            json(&run.findings)?,
            run.error.as_ref().map(json).transpose()?,
            run.attempts,
            run.failures,
            run.retries,
            run.retry_time,
            run.start_time,
            run.update_time,
            run.end_time,
            &run.connection,
            run.number
        ],
    )
    .await?;
    Ok(())
}

/// Asks a run to stop.
pub async fn cancel(tx: &mut Tx, connection: &str, number: i64) -> Result<(), Failure> {
    tx.execute(
        "UPDATE runs SET cancel = 1, revision = revision + 1 \
         WHERE connection = $1 AND number = $2 AND end_time IS NULL",
        args![connection, number],
    )
    .await?;
    Ok(())
}

/// Lets a sweep that waits for approval go on; whether it waited.
pub async fn approve(tx: &mut Tx, connection: &str, number: i64) -> Result<bool, Failure> {
    let done = tx
        .execute(
            "UPDATE runs SET approved = 1, state = 1, revision = revision + 1 \
             WHERE connection = $1 AND number = $2 AND state = 4",
            args![connection, number],
        )
        .await?;
    Ok(done == 1)
}

/// Forgets all but the newest `kept` ended runs.
pub async fn prune(tx: &mut Tx, connection: &str, kept: u32) -> Result<u64, Failure> {
    tx.execute(
        "DELETE FROM runs WHERE connection = $1 AND end_time IS NOT NULL AND number <= \
         (SELECT MAX(number) FROM runs WHERE connection = $1) - $2",
        args![connection, kept],
    )
    .await
}
