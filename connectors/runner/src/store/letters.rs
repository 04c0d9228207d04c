//! Dead letters: what was given up.

use jinke_store::{Conn, Row, Tx, args, counter};
use jinke_types::Failure;

use crate::domain::{DeadLetter, LetterKind};

fn letter(row: &Row) -> Result<DeadLetter, Failure> {
    Ok(DeadLetter {
        connection: row.text("connection")?,
        number: row.i64("number")?,
        kind: LetterKind::of(row.i64("kind")?),
        stream: row.text("stream")?,
        external_id: row.text("external_id")?,
        subject: row.i64("subject")?,
        reason: row.text("reason")?,
        message: row.text("message")?,
        attempts: row.i64("attempts")?,
        payload: row.opt_bytes("payload")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

/// Keeps a dead letter; its `number` is given here. One of the same thing is replaced.
pub async fn put(tx: &mut Tx, letter: &DeadLetter) -> Result<(), Failure> {
    let number = counter::take(tx, &format!("letters/{}", letter.connection), 1).await?;
    tx.execute(
        "INSERT INTO dead_letters (connection, number, kind, stream, external_id, subject, reason, \
         message, attempts, payload, create_time, update_time) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (connection, kind, stream, external_id, subject) DO UPDATE SET \
         reason = excluded.reason, message = excluded.message, attempts = excluded.attempts, \
         payload = excluded.payload, update_time = excluded.update_time",
        args![
            &letter.connection,
            number,
            letter.kind as i64,
            &letter.stream,
            &letter.external_id,
            letter.subject,
            &letter.reason,
            &letter.message,
            letter.attempts,
            letter.payload.clone(),
            letter.create_time,
            letter.update_time
        ],
    )
    .await?;
    Ok(())
}

/// How many dead letters a connection has.
pub async fn count(conn: &mut Conn, connection: &str) -> Result<i64, Failure> {
    conn.fetch_one(
        "SELECT COUNT(*) AS n FROM dead_letters WHERE connection = $1",
        args![connection],
    )
    .await?
    .i64("n")
}

/// One dead letter.
pub async fn get(
    conn: &mut Conn,
    connection: &str,
    number: i64,
) -> Result<Option<DeadLetter>, Failure> {
    conn.fetch_optional(
        "SELECT * FROM dead_letters WHERE connection = $1 AND number = $2",
        args![connection, number],
    )
    .await?
    .map(|row| letter(&row))
    .transpose()
}

/// Dead letters behind `after`.
pub async fn list(
    conn: &mut Conn,
    connection: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<DeadLetter>, Failure> {
    conn.fetch_all(
        "SELECT * FROM dead_letters WHERE connection = $1 AND number > $2 \
         ORDER BY number LIMIT $3",
        args![connection, after, limit],
    )
    .await?
    .iter()
    .map(letter)
    .collect()
}

/// Forgets a dead letter; whether it was there.
pub async fn remove(tx: &mut Tx, connection: &str, number: i64) -> Result<bool, Failure> {
    let done = tx
        .execute(
            "DELETE FROM dead_letters WHERE connection = $1 AND number = $2",
            args![connection, number],
        )
        .await?;
    Ok(done == 1)
}
