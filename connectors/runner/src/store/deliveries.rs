//! What goes out.

use jinke_sdk::PushState;
use jinke_store::{Conn, Row, Tx, args, counter};
use jinke_types::{Failure, Timestamp};

use super::{from_json, json, opt_json};
use crate::{
    domain::{DeliveryState, Payload},
    problem::Problem,
};

/// A delivery as it is stored, sealed.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as `Delivery` of the contract")]
pub struct Stored {
    pub connection: String,
    pub number: i64,
    pub kind: i64,
    pub state: DeliveryState,
    pub key: String,
    pub record_kind: String,
    /// Sealed JSON of a [`Payload`].
    pub payload: Vec<u8>,
    /// Sealed JSON of what a push remembers.
    pub memory: Option<Vec<u8>>,
    pub done_steps: Vec<String>,
    pub foreign_id: String,
    pub attempts: i64,
    pub error: Option<Problem>,
    pub creator: String,
    pub retry_time: Option<Timestamp>,
    pub create_time: Timestamp,
    pub end_time: Option<Timestamp>,
}

fn stored(row: &Row) -> Result<Stored, Failure> {
    Ok(Stored {
        connection: row.text("connection")?,
        number: row.i64("number")?,
        kind: row.i64("kind")?,
        state: DeliveryState::of(row.i64("state")?),
        key: row.text("key")?,
        record_kind: row.text("record_kind")?,
        payload: row.bytes("payload")?,
        memory: row.opt_bytes("memory")?,
        done_steps: from_json(row, "done_steps")?,
        foreign_id: row.text("foreign_id")?,
        attempts: row.i64("attempts")?,
        error: opt_json(row, "error")?,
        creator: row.text("creator")?,
        retry_time: row.opt_time("retry_time")?,
        create_time: row.time("create_time")?,
        end_time: row.opt_time("end_time")?,
    })
}

/// The number of the next delivery of a connection.
pub async fn number(tx: &mut Tx, connection: &str) -> Result<i64, Failure> {
    counter::take(tx, &format!("deliveries/{connection}"), 1).await
}

/// A new delivery, due now.
pub async fn insert(
    tx: &mut Tx,
    connection: &str,
    number: i64,
    payload: &Payload,
    sealed: Vec<u8>,
    creator: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let (kind, key, record_kind) = match payload {
        Payload::Message(message) => (1_i64, &message.key, ""),
        Payload::Push(push) => (2, &push.key, push.kind.as_str()),
    };
    tx.execute(
        "INSERT INTO deliveries (connection, number, kind, state, key, record_kind, payload, \
         done_steps, foreign_id, attempts, creator, retry_time, create_time) \
         VALUES ($1, $2, $3, 1, $4, $5, $6, '[]', '', 0, $7, $8, $8)",
        args![
            connection,
            number,
            kind,
            key,
            record_kind,
            sealed,
            creator,
            now
        ],
    )
    .await?;
    Ok(())
}

/// One delivery.
pub async fn get(
    conn: &mut Conn,
    connection: &str,
    number: i64,
) -> Result<Option<Stored>, Failure> {
    conn.fetch_optional(
        "SELECT * FROM deliveries WHERE connection = $1 AND number = $2",
        args![connection, number],
    )
    .await?
    .map(|row| stored(&row))
    .transpose()
}

/// Deliveries before `before`, the newest first.
pub async fn list(
    conn: &mut Conn,
    connection: &str,
    before: i64,
    limit: u32,
) -> Result<Vec<Stored>, Failure> {
    conn.fetch_all(
        "SELECT * FROM deliveries WHERE connection = $1 AND number < $2 \
         ORDER BY number DESC LIMIT $3",
        args![connection, before, limit],
    )
    .await?
    .iter()
    .map(stored)
    .collect()
}

/// The delivery to make now, the oldest first.
pub async fn due(
    conn: &mut Conn,
    connection: &str,
    now: Timestamp,
) -> Result<Option<Stored>, Failure> {
    conn.fetch_optional(
        "SELECT * FROM deliveries WHERE connection = $1 AND retry_time <= $2 \
         ORDER BY retry_time, number LIMIT 1",
        args![connection, now],
    )
    .await?
    .map(|row| stored(&row))
    .transpose()
}

/// Writes what became of an attempt.
pub async fn save(tx: &mut Tx, d: &Stored) -> Result<(), Failure> {
    tx.execute(
        "UPDATE deliveries SET state = $1, memory = $2, done_steps = $3, foreign_id = $4, \
         attempts = $5, error = $6, retry_time = $7, end_time = $8 \
         WHERE connection = $9 AND number = $10",
        args![
            d.state as i64,
            d.memory.clone(),
            json(&d.done_steps)?,
            &d.foreign_id,
            d.attempts,
            d.error.as_ref().map(json).transpose()?,
            d.retry_time,
            d.end_time,
            &d.connection,
            d.number
        ],
    )
    .await?;
    Ok(())
}

/// Notes a push's step, in the middle of an attempt.
pub async fn save_step(
    tx: &mut Tx,
    d: &Stored,
    state: &PushState,
    memory: Vec<u8>,
) -> Result<(), Failure> {
    tx.execute(
        "UPDATE deliveries SET memory = $1, done_steps = $2 WHERE connection = $3 AND number = $4",
        args![memory, json(&state.done)?, &d.connection, d.number],
    )
    .await?;
    Ok(())
}

/// What `send_again` leaves behind: a delivery that was given up gets all its attempts, or is
/// discarded.
pub async fn decide(
    tx: &mut Tx,
    connection: &str,
    number: i64,
    again: bool,
    now: Timestamp,
) -> Result<(), Failure> {
    let state = if again {
        DeliveryState::Pending
    } else {
        DeliveryState::Discarded
    };
    tx.execute(
        "UPDATE deliveries SET state = $1, attempts = 0, retry_time = $2, end_time = $3 \
         WHERE connection = $4 AND number = $5 AND state = 3",
        args![
            state as i64,
            again.then_some(now),
            (!again).then_some(now),
            connection,
            number
        ],
    )
    .await?;
    Ok(())
}

/// Forgets deliveries that ended before `before`.
pub async fn prune(tx: &mut Tx, connection: &str, before: Timestamp) -> Result<u64, Failure> {
    tx.execute(
        "DELETE FROM deliveries WHERE connection = $1 AND state IN (2, 4) AND end_time < $2",
        args![connection, before],
    )
    .await
}
