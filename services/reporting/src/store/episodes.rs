//! Churn episodes.

use jinke_store::{Conn, Row, Tx, args};
use jinke_types::{Failure, Timestamp};

/// Open.
pub const OPEN: i64 = 1;
/// The customer ordered again.
pub const RECOVERED: i64 = 2;
/// Closed by a person.
pub const CLOSED: i64 = 3;

/// An episode as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpisodeRow {
    /// Its number.
    pub id: i64,
    /// Customer as addressed.
    pub address: i64,
    /// [`OPEN`], [`RECOVERED`] or [`CLOSED`].
    pub state: i64,
    /// Reasons when it opened, JSON.
    pub reasons: String,
    /// Task in pipeline; empty until it was made.
    pub task: String,
    /// As in the contract.
    pub cause: i64,
    /// Wrapped data key and sealed comment.
    pub comment: Option<(Vec<u8>, Vec<u8>)>,
    /// Grows with every change.
    pub revision: i64,
    /// When it opened.
    pub create_time: Timestamp,
    /// When it ended.
    pub end_time: Option<Timestamp>,
    /// Signs it has answered for: these open no further one.
    pub seen: String,
    /// The last order it knew when it opened, by record number; 0 when that was not noted.
    pub last_order: Option<i64>,
    /// The order that ended it, by record number.
    pub end_order: Option<i64>,
}

const COLUMNS: &str = "id, address, state, reasons, task, cause, data_key, comment, revision, \
                       create_time, end_time, seen, last_order, end_order";

fn read(row: &Row) -> Result<EpisodeRow, Failure> {
    let sealed = row.opt_bytes("data_key")?.zip(row.opt_bytes("comment")?);
    Ok(EpisodeRow {
        id: row.i64("id")?,
        address: row.i64("address")?,
        state: row.i64("state")?,
        reasons: row.text("reasons")?,
        task: row.text("task")?,
        cause: row.i64("cause")?,
        comment: sealed,
        revision: row.i64("revision")?,
        create_time: row.time("create_time")?,
        end_time: row.opt_time("end_time")?,
        seen: row.text("seen")?,
        last_order: row.opt_i64("last_order")?,
        end_order: row.opt_i64("end_order")?,
    })
}

/// One by number.
pub async fn get(conn: &mut Conn, id: i64) -> Result<Option<EpisodeRow>, Failure> {
    let text = format!("SELECT {COLUMNS} FROM churn_episodes WHERE id = $1");
    let row = conn
        .fetch_optional(jinke_store::Sql::assembled(text), args![id])
        .await?;
    row.as_ref().map(read).transpose()
}

/// Those with a smaller number than `before`, greatest first; of one state when it is not 0.
pub async fn before(
    conn: &mut Conn,
    before: i64,
    state: i64,
    limit: usize,
) -> Result<Vec<EpisodeRow>, Failure> {
    let text = format!(
        "SELECT {COLUMNS} FROM churn_episodes WHERE id < $1 AND ($2 = 0 OR state = $2) \
         ORDER BY id DESC LIMIT $3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = conn
        .fetch_all(
            jinke_store::Sql::assembled(text),
            args![before, state, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// All, oldest first, in pages of `limit` after a number.
pub async fn after(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<EpisodeRow>, Failure> {
    let text = format!("SELECT {COLUMNS} FROM churn_episodes WHERE id > $1 ORDER BY id LIMIT $2");
    let rows = conn
        .fetch_all(jinke_store::Sql::assembled(text), args![after, limit])
        .await?;
    rows.iter().map(read).collect()
}

/// Open ones without a task, oldest first.
pub async fn without_task(conn: &mut Conn, limit: i64) -> Result<Vec<EpisodeRow>, Failure> {
    let text = format!(
        "SELECT {COLUMNS} FROM churn_episodes WHERE state = 1 AND task = '' ORDER BY id LIMIT $1"
    );
    let rows = conn
        .fetch_all(jinke_store::Sql::assembled(text), args![limit])
        .await?;
    rows.iter().map(read).collect()
}

/// Inserts or replaces one.
pub async fn put(tx: &mut Tx, e: &EpisodeRow) -> Result<(), Failure> {
    let (key, comment) = match &e.comment {
        Some((key, comment)) => (Some(key.clone()), Some(comment.clone())),
        None => (None, None),
    };
    tx.execute(
        "INSERT INTO churn_episodes (id, address, state, reasons, task, cause, data_key, comment, \
         revision, create_time, end_time, seen, last_order, end_order) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, task = excluded.task, \
         cause = excluded.cause, data_key = excluded.data_key, comment = excluded.comment, \
         revision = excluded.revision, end_time = excluded.end_time, seen = excluded.seen, \
         end_order = excluded.end_order",
        args![
            e.id,
            e.address,
            e.state,
            &e.reasons,
            &e.task,
            e.cause,
            key,
            comment,
            e.revision,
            e.create_time,
            e.end_time,
            &e.seen,
            e.last_order,
            e.end_order
        ],
    )
    .await?;
    Ok(())
}

/// Numbers and addresses of all open ones.
pub async fn open(conn: &mut Conn) -> Result<Vec<(i64, i64)>, Failure> {
    conn.fetch_all(
        "SELECT id, address FROM churn_episodes WHERE state = 1 ORDER BY id",
        args![],
    )
    .await?
    .iter()
    .map(|row| Ok((row.i64("id")?, row.i64("address")?)))
    .collect()
}

/// Whether an episode is open at this address.
pub async fn is_open_at(conn: &mut Conn, address: i64) -> Result<bool, Failure> {
    let row = conn
        .fetch_optional(
            "SELECT id FROM churn_episodes WHERE address = $1 AND state = 1",
            args![address],
        )
        .await?;
    Ok(row.is_some())
}

/// Notes the task that was made for one.
pub async fn note_task(tx: &mut Tx, id: i64, task: &str) -> Result<(), Failure> {
    tx.execute(
        "UPDATE churn_episodes SET task = $2, revision = revision + 1 WHERE id = $1 AND task = ''",
        args![id, task],
    )
    .await?;
    Ok(())
}
