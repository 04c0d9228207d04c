//! Long-running operations that survive a restart.
//!
//! A handler [`create`]s an operation in its transaction and answers with its name. A worker
//! [`claim`]s one that nobody works on, for a term; it reports [`progress`] (which prolongs the
//! term and saves a checkpoint to go on from) and ends with [`finish`] or [`fail`]. When its
//! process dies, the term runs out and the next worker claims it, with the last checkpoint.
//! Each claim has its own fence: a worker that was thought dead gets `OPERATION_LOST`.
//!
//! Names are `operations/<service>-<number>`, so that a host of several services can route.
//! Request, checkpoint and result hold no personal data in the clear: ids, or sealed.

use std::time::Duration;

use jinke_types::{Code, Failure, Timestamp};

use crate::{
    args, counter,
    database::Database,
    sql::{Conn, Row},
    tx::Tx,
};

/// Most operations that one [`list`] returns.
pub const MAX_PAGE: u32 = 1_000;

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waiting for a worker, or at work.
    Running,
    /// Ended well; there is a result.
    Succeeded,
    /// Ended with a failure.
    Failed,
    /// Taken back before it ended.
    Cancelled,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
    fn parse(text: &str) -> Result<Self, Failure> {
        [
            Self::Running,
            Self::Succeeded,
            Self::Failed,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|s| s.as_str() == text)
        .ok_or_else(|| Failure::internal("an operation has an unknown state"))
    }
}

/// A long-running operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number; the name is [`name`] of it.
    pub id: i64,
    /// What it does, a short word the service gave.
    pub kind: String,
    /// How far it is.
    pub state: State,
    /// Who started it (resource name), for access checks.
    pub caller: String,
    /// What was asked for, as the service encoded it.
    pub request: Vec<u8>,
    /// What came out, when it succeeded.
    pub result: Option<Vec<u8>>,
    /// Why it failed: reason and message.
    pub failure: Option<String>,
    /// Steps done.
    pub done: i64,
    /// Steps in all; 0 while unknown.
    pub total: i64,
    /// Where the next worker goes on, when this one dies.
    pub checkpoint: Option<Vec<u8>>,
    /// Whether somebody asked to cancel it: the worker should stop.
    pub cancel_requested: bool,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it last changed.
    pub update_time: Timestamp,
}

/// An operation this worker works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// As it was when claimed.
    pub operation: Operation,
    holder: String,
    fence: i64,
}

const COLUMNS: &str = "id, kind, state, caller, request, result, failure, done, total, \
                       checkpoint, cancel_requested, fence, create_time, update_time";

/// The resource name of an operation.
pub fn name(db: &Database, id: i64) -> String {
    format!("operations/{}-{id}", db.service())
}

/// The number in a resource name; `NOT_FOUND` when it is not an operation of this service.
pub fn parse_name(db: &Database, name: &str) -> Result<i64, Failure> {
    name.strip_prefix("operations/")
        .and_then(|rest| rest.strip_prefix(db.service()))
        .and_then(|rest| rest.strip_prefix('-'))
        .filter(|id| id.starts_with(|c: char| ('1'..='9').contains(&c)))
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| {
            Failure::new(
                Code::NotFound,
                "NOT_FOUND",
                "there is no such operation here",
            )
        })
}

/// Creates an operation that waits for a worker.
pub async fn create(
    tx: &mut Tx,
    kind: &str,
    caller: &str,
    request: &[u8],
    now: Timestamp,
) -> Result<Operation, Failure> {
    let id = counter::take(tx, "operations", 1).await?;
    tx.execute(
        "INSERT INTO jinke_operations (id, kind, state, caller, request, done, total, \
         cancel_requested, holder, fence, lease_end, create_time, update_time) \
         VALUES ($1, $2, $3, $4, $5, 0, 0, 0, '', 0, $6, $7, $7)",
        args![
            id,
            kind,
            State::Running.as_str(),
            caller,
            request,
            i64::MIN,
            now
        ],
    )
    .await?;
    get(tx, id).await
}

/// The operation with this number, or `NOT_FOUND`.
pub async fn get(conn: &mut Conn, id: i64) -> Result<Operation, Failure> {
    const TEXT: &str = "SELECT id, kind, state, caller, request, result, failure, done, total, \
        checkpoint, cancel_requested, fence, create_time, update_time \
        FROM jinke_operations WHERE id = $1";
    let row = conn.fetch_optional(TEXT, args![id]).await?;
    row.map_or_else(
        || {
            Err(Failure::new(
                Code::NotFound,
                "NOT_FOUND",
                "there is no such operation here",
            ))
        },
        |row| operation(&row),
    )
}

/// Operations with smaller numbers than `before` (none: from the newest), newest first, at
/// most `limit` (1 to [`MAX_PAGE`]); those of one caller, if given.
pub async fn list(
    conn: &mut Conn,
    caller: Option<&str>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Operation>, Failure> {
    if limit == 0 || limit > MAX_PAGE {
        return Err(Failure::field(
            "page_size",
            format!("must be between 1 and {MAX_PAGE}"),
        ));
    }
    let text = format!(
        "SELECT {COLUMNS} FROM jinke_operations WHERE id < $1 \
         AND caller = COALESCE($2, caller) ORDER BY id DESC LIMIT $3"
    );
    let args = args![before.unwrap_or(i64::MAX), caller, i64::from(limit)];
    let rows = conn.fetch_all(crate::Sql::assembled(text), args).await?;
    rows.iter().map(operation).collect()
}

/// Claims the oldest running operation of these kinds that nobody holds at `now`, for `term`.
pub async fn claim(
    tx: &mut Tx,
    kinds: &[&str],
    holder: &str,
    term: Duration,
    now: Timestamp,
) -> Result<Option<Work>, Failure> {
    let text = format!(
        "UPDATE jinke_operations SET holder = $1, fence = fence + 1, lease_end = $2, \
         update_time = $3 WHERE id = (SELECT MIN(id) FROM jinke_operations \
         WHERE state = 'running' AND lease_end <= $3 AND kind IN LIST($4)) \
         AND state = 'running' AND lease_end <= $3 RETURNING {COLUMNS}"
    );
    // On PostgreSQL another worker may take the oldest one just before; the update then waits
    // for it, finds it taken and touches nothing, although others may be waiting.
    let row = loop {
        let args = args![holder, now.plus(term), now, kinds.to_vec()];
        if let Some(row) = tx
            .fetch_optional(crate::Sql::assembled(text.clone()), args)
            .await?
        {
            break row;
        }
        let waiting = tx
            .fetch_one(
                "SELECT COUNT(*) AS n FROM jinke_operations \
                 WHERE state = 'running' AND lease_end <= $1 AND kind IN LIST($2)",
                args![now, kinds.to_vec()],
            )
            .await?;
        if waiting.i64("n")? == 0 {
            return Ok(None);
        }
    };
    let fence = row.i64("fence")?;
    Ok(Some(Work {
        operation: operation(&row)?,
        holder: holder.to_owned(),
        fence,
    }))
}

/// Saves how far the work is and a checkpoint, and prolongs the term. It tells whether
/// somebody asked to cancel: the worker then stops and calls [`stopped`].
pub async fn progress(
    tx: &mut Tx,
    work: &Work,
    done: i64,
    total: i64,
    checkpoint: &[u8],
    term: Duration,
    now: Timestamp,
) -> Result<bool, Failure> {
    let row = tx
        .fetch_optional(
            "UPDATE jinke_operations SET done = $1, total = $2, checkpoint = $3, \
             lease_end = $4, update_time = $5 \
             WHERE id = $6 AND holder = $7 AND fence = $8 AND state = 'running' \
             RETURNING cancel_requested",
            args![
                done,
                total,
                checkpoint,
                now.plus(term),
                now,
                work.operation.id,
                &work.holder,
                work.fence
            ],
        )
        .await?;
    row.ok_or_else(lost)?.bool("cancel_requested")
}

/// Ends the work well, with a result.
pub async fn finish(
    tx: &mut Tx,
    work: &Work,
    result: &[u8],
    now: Timestamp,
) -> Result<(), Failure> {
    end(tx, work, State::Succeeded, Some(result), None, now).await
}

/// Ends the work with a failure. Its message holds no personal data, as always.
pub async fn fail(
    tx: &mut Tx,
    work: &Work,
    failure: &Failure,
    now: Timestamp,
) -> Result<(), Failure> {
    end(
        tx,
        work,
        State::Failed,
        None,
        Some(failure.to_string()),
        now,
    )
    .await
}

/// Ends work that was asked to cancel.
pub async fn stopped(tx: &mut Tx, work: &Work, now: Timestamp) -> Result<(), Failure> {
    end(tx, work, State::Cancelled, None, None, now).await
}

async fn end(
    tx: &mut Tx,
    work: &Work,
    state: State,
    result: Option<&[u8]>,
    failure: Option<String>,
    now: Timestamp,
) -> Result<(), Failure> {
    let ended = tx
        .execute(
            "UPDATE jinke_operations SET state = $1, result = $2, failure = $3, \
             update_time = $4, lease_end = $4, holder = '' \
             WHERE id = $5 AND holder = $6 AND fence = $7 AND state = 'running'",
            args![
                state.as_str(),
                result,
                failure,
                now,
                work.operation.id,
                &work.holder,
                work.fence
            ],
        )
        .await?;
    if ended == 1 { Ok(()) } else { Err(lost()) }
}

/// Asks for an operation to stop. One that no worker has ever claimed is cancelled at once;
/// one that ended stays as it is.
pub async fn cancel(tx: &mut Tx, id: i64, now: Timestamp) -> Result<Operation, Failure> {
    tx.execute(
        "UPDATE jinke_operations SET cancel_requested = 1, update_time = $1, \
         state = CASE WHEN fence = 0 THEN 'cancelled' ELSE state END \
         WHERE id = $2 AND state = 'running'",
        args![now, id],
    )
    .await?;
    get(tx, id).await
}

/// Deletes operations that ended before `before`; how many.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, Failure> {
    tx.execute(
        "DELETE FROM jinke_operations WHERE state <> 'running' AND update_time < $1",
        args![before],
    )
    .await
}

fn operation(row: &Row) -> Result<Operation, Failure> {
    Ok(Operation {
        id: row.i64("id")?,
        kind: row.text("kind")?,
        state: State::parse(&row.text("state")?)?,
        caller: row.text("caller")?,
        request: row.bytes("request")?,
        result: row.opt_bytes("result")?,
        failure: row.opt_text("failure")?,
        done: row.i64("done")?,
        total: row.i64("total")?,
        checkpoint: row.opt_bytes("checkpoint")?,
        cancel_requested: row.bool("cancel_requested")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

fn lost() -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "OPERATION_LOST",
        "another worker has this operation, or it has ended",
    )
}
