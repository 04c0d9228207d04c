//! Events of callbacks.

use jinke_store::{Conn, Row, Tx, args, counter};
use jinke_types::{Failure, Timestamp};

use super::{json, opt_json};
use crate::{
    domain::{EventState, StoredEvent},
    problem::Problem,
};

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed {
    /// All but what it holds.
    pub event: StoredEvent,
    /// Sealed JSON of a [`jinke_sdk::CallbackEvent`].
    pub payload: Option<Vec<u8>>,
}

fn sealed(row: &Row) -> Result<Sealed, Failure> {
    Ok(Sealed {
        event: StoredEvent {
            connection: row.text("connection")?,
            number: row.i64("number")?,
            key: row.text("key")?,
            topic: row.text("topic")?,
            state: row.i64("state")?,
            attempts: row.i64("attempts")?,
            error: opt_json(row, "error")?,
            event: None,
            create_time: row.time("create_time")?,
            end_time: row.opt_time("end_time")?,
        },
        payload: row.opt_bytes("payload")?,
    })
}

/// The number of the next event of a connection.
pub async fn number(tx: &mut Tx, connection: &str) -> Result<i64, Failure> {
    counter::take(tx, &format!("events/{connection}"), 1).await
}

/// Stores an event, due now; whether it is new.
pub async fn insert(
    tx: &mut Tx,
    connection: &str,
    number: i64,
    key: &str,
    topic: &str,
    payload: Vec<u8>,
    now: Timestamp,
) -> Result<bool, Failure> {
    let done = tx
        .execute(
            "INSERT INTO callback_events (connection, number, key, topic, state, attempts, payload, \
             retry_time, create_time) VALUES ($1, $2, $3, $4, 1, 0, $5, $6, $6) \
             ON CONFLICT (connection, key) DO NOTHING",
            args![connection, number, key, topic, payload, now],
        )
        .await?;
    Ok(done == 1)
}

/// The event to work off now: the oldest, so that events keep their order as far as none fails.
pub async fn due(
    conn: &mut Conn,
    connection: &str,
    now: Timestamp,
) -> Result<Option<Sealed>, Failure> {
    conn.fetch_optional(
        "SELECT * FROM callback_events WHERE connection = $1 AND retry_time <= $2 \
         ORDER BY number LIMIT 1",
        args![connection, now],
    )
    .await?
    .map(|row| sealed(&row))
    .transpose()
}

/// Events before `before`, the newest first.
pub async fn list(
    conn: &mut Conn,
    connection: &str,
    before: i64,
    limit: u32,
) -> Result<Vec<StoredEvent>, Failure> {
    conn.fetch_all(
        "SELECT * FROM callback_events WHERE connection = $1 AND number < $2 \
         ORDER BY number DESC LIMIT $3",
        args![connection, before, limit],
    )
    .await?
    .iter()
    .map(|row| Ok(sealed(row)?.event))
    .collect()
}

/// Ends an event; what it held goes when it is done.
pub async fn end(
    tx: &mut Tx,
    e: &StoredEvent,
    state: EventState,
    error: Option<&Problem>,
    now: Timestamp,
) -> Result<(), Failure> {
    tx.execute(
        "UPDATE callback_events SET state = $1, attempts = attempts + 1, retry_time = NULL, \
         error = $2, end_time = $3, payload = CASE WHEN $1 = 2 THEN NULL ELSE payload END \
         WHERE connection = $4 AND number = $5",
        args![
            state as i64,
            error.map(json).transpose()?,
            now,
            &e.connection,
            e.number
        ],
    )
    .await?;
    Ok(())
}

/// Notes a failed attempt at an event, which is tried again at `retry`.
pub async fn again(
    tx: &mut Tx,
    e: &StoredEvent,
    error: &Problem,
    retry: Timestamp,
) -> Result<(), Failure> {
    tx.execute(
        "UPDATE callback_events SET attempts = attempts + 1, error = $1, retry_time = $2 \
         WHERE connection = $3 AND number = $4",
        args![json(error)?, retry, &e.connection, e.number],
    )
    .await?;
    Ok(())
}

/// An event that was given up gets all its attempts, or is discarded for good.
pub async fn decide(
    tx: &mut Tx,
    connection: &str,
    number: i64,
    again: bool,
    now: Timestamp,
) -> Result<(), Failure> {
    if again {
        tx.execute(
            "UPDATE callback_events SET state = 1, attempts = 0, retry_time = $1, end_time = NULL \
             WHERE connection = $2 AND number = $3 AND state = 3",
            args![now, connection, number],
        )
        .await?;
    } else {
        tx.execute(
            "UPDATE callback_events SET payload = NULL WHERE connection = $1 AND number = $2 \
             AND state = 3",
            args![connection, number],
        )
        .await?;
    }
    Ok(())
}

/// Forgets events that ended before `before`: from then on a repeated one would be taken as new,
/// which its records survive, being versions that are known.
pub async fn prune(tx: &mut Tx, connection: &str, before: Timestamp) -> Result<u64, Failure> {
    tx.execute(
        "DELETE FROM callback_events WHERE connection = $1 AND state = 2 AND end_time < $2",
        args![connection, before],
    )
    .await
}
