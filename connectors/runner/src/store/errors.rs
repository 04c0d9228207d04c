//! Rows that could not be read and records that were refused.

use jinke_store::{Conn, Row, Tx, args, counter};
use jinke_types::{Failure, Timestamp};

use crate::domain::{NewError, RecordError};

fn error(row: &Row) -> Result<RecordError, Failure> {
    Ok(RecordError {
        connection: row.text("connection")?,
        number: row.i64("number")?,
        stream: row.text("stream")?,
        effect: row.i64("effect")?,
        external_id: row.text("external_id")?,
        file: row.text("file")?,
        sheet: row.text("sheet")?,
        row: row.i64("row_number")?,
        column: row.text("column_name")?,
        reason: row.text("reason")?,
        message: row.text("message")?,
        run: row.i64("run")?,
        attempts: row.i64("attempts")?,
        payload: row.opt_bytes("payload")?,
        retry_time: row.opt_time("retry_time")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

/// Where and when an error was seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The connection.
    pub connection: &'a str,
    /// The stream.
    pub stream: &'a str,
    /// Number of the run; 0 outside of runs.
    pub run: i64,
    /// Now.
    pub now: Timestamp,
}

/// How many errors a connection has.
pub async fn count(conn: &mut Conn, connection: &str) -> Result<i64, Failure> {
    conn.fetch_one(
        "SELECT COUNT(*) AS n FROM record_errors WHERE connection = $1",
        args![connection],
    )
    .await?
    .i64("n")
}

/// Notes an error; one that is known counts as seen again. A new record that was refused is sent
/// again at `retry`, with `payload`.
pub async fn note(
    tx: &mut Tx,
    seen: Seen<'_>,
    error: &NewError,
    payload: Option<Vec<u8>>,
    retry: Option<Timestamp>,
) -> Result<(), Failure> {
    let number = counter::take(tx, &format!("errors/{}", seen.connection), 1).await?;
    let cut = |text: &str| text.chars().take(500).collect::<String>();
    tx.execute(
        "INSERT INTO record_errors (connection, number, stream, key, effect, external_id, file, \
         sheet, row_number, column_name, reason, message, run, attempts, payload, retry_time, \
         create_time, update_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
         $13, 1, $14, $15, $16, $16) ON CONFLICT (connection, stream, key) DO UPDATE SET \
         effect = excluded.effect, reason = excluded.reason, message = excluded.message, \
         run = excluded.run, attempts = record_errors.attempts + 1, \
         payload = excluded.payload, retry_time = excluded.retry_time, \
         update_time = excluded.update_time",
        args![
            seen.connection,
            number,
            seen.stream,
            error.key(),
            error.effect as i64,
            &error.external_id,
            cut(&error.location.file),
            cut(error.location.sheet.as_deref().unwrap_or_default()),
            i64::try_from(error.location.row).unwrap_or(i64::MAX),
            cut(&error.column),
            &error.reason,
            cut(&error.message),
            seen.run,
            payload,
            retry,
            seen.now
        ],
    )
    .await?;
    Ok(())
}

/// As [`note`], while there is room for new ones; one that is known is kept as it is now, room or
/// not.
pub async fn note_within(
    tx: &mut Tx,
    room: &mut i64,
    seen: Seen<'_>,
    error: &NewError,
    payload: Option<Vec<u8>>,
    retry: Option<Timestamp>,
) -> Result<(), Failure> {
    let known = tx
        .fetch_optional(
            "SELECT number FROM record_errors WHERE connection = $1 AND stream = $2 AND key = $3",
            args![seen.connection, seen.stream, error.key()],
        )
        .await?;
    if known.is_none() {
        if *room <= 0 {
            return Ok(());
        }
        *room -= 1;
    }
    note(tx, seen, error, payload, retry).await
}

/// Forgets the errors of records that were taken now, and dead letters of the same.
pub async fn resolve(
    tx: &mut Tx,
    connection: &str,
    stream: &str,
    external_ids: &[String],
) -> Result<(), Failure> {
    if external_ids.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = external_ids
        .iter()
        .map(|id| format!("record\n{id}"))
        .collect();
    tx.execute(
        "DELETE FROM record_errors WHERE connection = $1 AND stream = $2 AND key IN LIST($3)",
        args![connection, stream, keys],
    )
    .await?;
    tx.execute(
        "DELETE FROM dead_letters WHERE connection = $1 AND kind = 1 AND stream = $2 \
         AND external_id IN LIST($3)",
        args![connection, stream, external_ids],
    )
    .await?;
    Ok(())
}

/// Forgets rows that a full pull of the stream did not find wrong again.
pub async fn resolve_rows(
    tx: &mut Tx,
    connection: &str,
    stream: &str,
    run: i64,
) -> Result<(), Failure> {
    tx.execute(
        "DELETE FROM record_errors WHERE connection = $1 AND stream = $2 AND effect IN (1, 2) \
         AND run < $3",
        args![connection, stream, run],
    )
    .await?;
    Ok(())
}

/// Errors behind `after`, of one stream or of all.
pub async fn list(
    conn: &mut Conn,
    connection: &str,
    stream: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<RecordError>, Failure> {
    conn.fetch_all(
        "SELECT * FROM record_errors WHERE connection = $1 AND ($2 = '' OR stream = $2) \
         AND number > $3 ORDER BY number LIMIT $4",
        args![connection, stream, after, limit],
    )
    .await?
    .iter()
    .map(error)
    .collect()
}

/// Refused records whose time has come, the oldest first.
pub async fn due(
    conn: &mut Conn,
    connection: &str,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<RecordError>, Failure> {
    conn.fetch_all(
        "SELECT * FROM record_errors WHERE connection = $1 AND retry_time <= $2 \
         ORDER BY retry_time, number LIMIT $3",
        args![connection, now, limit],
    )
    .await?
    .iter()
    .map(error)
    .collect()
}

/// Sends refused records again now; how many there are.
pub async fn retry(
    tx: &mut Tx,
    connection: &str,
    stream: &str,
    now: Timestamp,
) -> Result<u64, Failure> {
    tx.execute(
        "UPDATE record_errors SET retry_time = $1 WHERE connection = $2 \
         AND ($3 = '' OR stream = $3) AND payload IS NOT NULL",
        args![now, connection, stream],
    )
    .await
}

/// Notes that a record was refused once more; it is sent again at `retry`, or never when none.
pub async fn refused(
    tx: &mut Tx,
    e: &RecordError,
    reason: &str,
    message: &str,
    retry: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Failure> {
    tx.execute(
        "UPDATE record_errors SET reason = $1, message = $2, attempts = attempts + 1, \
         retry_time = $3, update_time = $4 WHERE connection = $5 AND number = $6",
        args![reason, message, retry, now, &e.connection, e.number],
    )
    .await?;
    Ok(())
}

/// Forgets one error.
pub async fn remove(tx: &mut Tx, connection: &str, number: i64) -> Result<(), Failure> {
    tx.execute(
        "DELETE FROM record_errors WHERE connection = $1 AND number = $2",
        args![connection, number],
    )
    .await?;
    Ok(())
}

/// Takes a refused record up again, with all its attempts before it.
pub async fn revive(
    tx: &mut Tx,
    letter: &crate::domain::DeadLetter,
    now: Timestamp,
) -> Result<(), Failure> {
    let number = counter::take(tx, &format!("errors/{}", letter.connection), 1).await?;
    tx.execute(
        "INSERT INTO record_errors (connection, number, stream, key, effect, external_id, file, \
         sheet, row_number, column_name, reason, message, run, attempts, payload, retry_time, \
         create_time, update_time) VALUES ($1, $2, $3, $4, 3, $5, '', '', 0, '', $6, $7, 0, 0, \
         $8, $9, $10, $9) ON CONFLICT (connection, stream, key) DO UPDATE SET attempts = 0, \
         payload = excluded.payload, retry_time = excluded.retry_time",
        args![
            &letter.connection,
            number,
            &letter.stream,
            format!("record\n{}", letter.external_id),
            &letter.external_id,
            &letter.reason,
            &letter.message,
            letter.payload.clone(),
            now,
            letter.create_time
        ],
    )
    .await?;
    Ok(())
}

/// Puts off sending a refused record, without counting an attempt.
pub async fn later(tx: &mut Tx, e: &RecordError, retry: Timestamp) -> Result<(), Failure> {
    tx.execute(
        "UPDATE record_errors SET retry_time = $1 WHERE connection = $2 AND number = $3",
        args![retry, &e.connection, e.number],
    )
    .await?;
    Ok(())
}
