//! Long-running operations that survive a restart.
//!
//! A handler [`create`]s an operation in its transaction and answers with its name. A worker
//! [`claim`]s one that nobody works on, for a term; it reports [`progress`] (which prolongs the
//! term and saves a checkpoint to go on from) and ends with [`finish`] or [`fail`]. When its
//! process dies, the term runs out and the next worker claims it, with the last checkpoint.
//! Each claim has its own fence: a worker that was thought dead gets `OPERATION_LOST`.
//!
//! Most services need no more than [`Worker`], which does all of this around a function, and
//! [`Operations`], which the kit serves as `google.longrunning.Operations`.
//!
//! Names are `<service>/operations/<number>`, so that a host of several services can route.
//! Request, checkpoint and result hold no personal data in the clear: ids, or sealed.

mod log;
mod worker;

use std::time::Duration;

use jinke_types::{
    Code, Failure, Operation, OperationFailure, OperationQuery, OperationState as State, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    args, counter,
    database::Database,
    sql::{Conn, Row},
    tx::Tx,
};
pub use log::Operations;
pub use worker::{Ended, Job, Outcome, Worker};

/// Most operations that one [`list`] returns.
pub const MAX_PAGE: u32 = 1_000;

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

/// The resource name of an operation: `customer/operations/12`.
pub fn name(db: &Database, id: i64) -> String {
    format!("{}/operations/{id}", db.service())
}

/// The number in a resource name; `NOT_FOUND` when it is not an operation of this service.
pub fn parse_name(db: &Database, name: &str) -> Result<i64, Failure> {
    name.strip_prefix(db.service())
        .and_then(|rest| rest.strip_prefix("/operations/"))
        .filter(|id| id.starts_with(|c: char| ('1'..='9').contains(&c)))
        .and_then(|id| id.parse().ok())
        .ok_or_else(unknown)
}

fn unknown() -> Failure {
    Failure::new(
        Code::NotFound,
        "NOT_FOUND",
        "there is no such operation here",
    )
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
    let text = format!("SELECT {COLUMNS} FROM jinke_operations WHERE id = $1");
    let row = conn
        .fetch_optional(crate::Sql::assembled(text), args![id])
        .await?;
    row.map_or_else(|| Err(unknown()), |row| operation(&row))
}

/// Operations that the query means, newest first; its limit is 1 to [`MAX_PAGE`].
pub async fn list(conn: &mut Conn, query: &OperationQuery) -> Result<Vec<Operation>, Failure> {
    if query.limit == 0 || query.limit > MAX_PAGE {
        return Err(Failure::field(
            "page_size",
            format!("must be between 1 and {MAX_PAGE}"),
        ));
    }
    let state = match query.done {
        None => "",
        Some(true) => " AND state <> 'running'",
        Some(false) => " AND state = 'running'",
    };
    let text = format!(
        "SELECT {COLUMNS} FROM jinke_operations WHERE id < $1 \
         AND caller = COALESCE($2, caller) AND kind = COALESCE($3, kind){state} \
         ORDER BY id DESC LIMIT $4"
    );
    let args = args![
        query.before.unwrap_or(i64::MAX),
        query.caller.as_deref(),
        query.kind.as_deref(),
        i64::from(query.limit)
    ];
    let rows = conn.fetch_all(crate::Sql::assembled(text), args).await?;
    rows.iter().map(operation).collect()
}

/// Whether an operation of these kinds waits for a worker at `now`.
pub async fn waiting(conn: &mut Conn, kinds: &[&str], now: Timestamp) -> Result<bool, Failure> {
    let row = conn
        .fetch_one(
            "SELECT COUNT(*) AS n FROM jinke_operations \
             WHERE state = 'running' AND lease_end <= $1 AND kind IN LIST($2)",
            args![now, kinds.to_vec()],
        )
        .await?;
    Ok(row.i64("n")? > 0)
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
        if !waiting(tx, kinds, now).await? {
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

/// Prolongs the term without other news. It tells whether somebody asked to cancel.
pub async fn renew(
    tx: &mut Tx,
    work: &Work,
    term: Duration,
    now: Timestamp,
) -> Result<bool, Failure> {
    let row = tx
        .fetch_optional(
            "UPDATE jinke_operations SET lease_end = $1 \
             WHERE id = $2 AND holder = $3 AND fence = $4 AND state = 'running' \
             RETURNING cancel_requested",
            args![now.plus(term), work.operation.id, &work.holder, work.fence],
        )
        .await?;
    row.ok_or_else(lost)?.bool("cancel_requested")
}

/// Gives work back, so that another worker goes on from the checkpoint at once.
pub async fn release(tx: &mut Tx, work: &Work, now: Timestamp) -> Result<(), Failure> {
    let released = tx
        .execute(
            "UPDATE jinke_operations SET lease_end = $1, holder = '' \
             WHERE id = $2 AND holder = $3 AND fence = $4 AND state = 'running'",
            args![now, work.operation.id, &work.holder, work.fence],
        )
        .await?;
    if released == 1 { Ok(()) } else { Err(lost()) }
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
    end(tx, work, State::Failed, None, Some(kept(failure)?), now).await
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

/// Deletes an operation that has ended; `FAILED_PRECONDITION` for one that has not.
pub async fn delete(tx: &mut Tx, id: i64) -> Result<(), Failure> {
    let deleted = tx
        .execute(
            "DELETE FROM jinke_operations WHERE id = $1 AND state <> 'running'",
            args![id],
        )
        .await?;
    if deleted == 1 {
        return Ok(());
    }
    get(tx, id).await?;
    Err(Failure::new(
        Code::FailedPrecondition,
        "OPERATION_RUNNING",
        "the operation has not ended; cancel it first",
    ))
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
        state: State::parse(&row.text("state")?)
            .ok_or_else(|| Failure::internal("an operation has an unknown state"))?,
        caller: row.text("caller")?,
        request: row.bytes("request")?,
        result: row.opt_bytes("result")?,
        failure: row.opt_text("failure")?.map(|text| read(&text)),
        done: row.i64("done")?,
        total: row.i64("total")?,
        checkpoint: row.opt_bytes("checkpoint")?,
        cancel_requested: row.bool("cancel_requested")?,
        attempts: row.i64("fence")?,
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

/// A failure as it is stored.
#[derive(Serialize, Deserialize)]
struct Kept {
    code: String,
    reason: String,
    message: String,
}

fn kept(failure: &Failure) -> Result<String, Failure> {
    serde_json::to_string(&Kept {
        code: failure.code.as_str().to_owned(),
        reason: failure.reason.to_owned(),
        message: failure.message.clone(),
    })
    .map_err(Failure::internal)
}

fn read(text: &str) -> OperationFailure {
    // Older programs stored `REASON: message`.
    let kept: Kept = serde_json::from_str(text).unwrap_or_else(|_| {
        let (reason, message) = text.split_once(": ").unwrap_or(("INTERNAL", text));
        Kept {
            code: String::new(),
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    });
    OperationFailure {
        code: Code::parse(&kept.code).unwrap_or(Code::Internal),
        reason: kept.reason,
        message: kept.message,
    }
}
