//! Connections and the cursors of their streams.

use jinke_store::{Conn, Row, Tx, args};
use jinke_types::{Failure, Timestamp};

use super::{from_json, json, opt_json};
use crate::{domain::Connection, problem::Problem};

fn connection(row: &Row) -> Result<Connection, Failure> {
    Ok(Connection {
        id: row.text("id")?,
        uid: row.i64("uid")?,
        display_name: row.text("display_name")?,
        connector: row.text("connector")?,
        settings: from_json(row, "settings")?,
        source: from_json(row, "source")?,
        org_unit: row.text("org_unit")?,
        schedule: opt_json(row, "schedule")?,
        sweep: from_json(row, "sweep")?,
        streams: from_json(row, "streams")?,
        paused: row.bool("paused")?,
        data_key: row.bytes("data_key")?,
        secrets: row.bytes("secrets")?,
        secret_keys: from_json(row, "secret_keys")?,
        next_run: row.opt_time("next_run")?,
        next_sweep: row.opt_time("next_sweep")?,
        last_run: row.opt_i64("last_run")?,
        problem: opt_json(row, "problem")?,
        revision: row.i64("revision")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

/// One connection.
pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Connection>, Failure> {
    conn.fetch_optional("SELECT * FROM connections WHERE id = $1", args![id])
        .await?
        .map(|row| connection(&row))
        .transpose()
}

/// Connections behind `after`, by id.
pub async fn list(conn: &mut Conn, after: &str, limit: u32) -> Result<Vec<Connection>, Failure> {
    conn.fetch_all(
        "SELECT * FROM connections WHERE id > $1 ORDER BY id LIMIT $2",
        args![after, limit],
    )
    .await?
    .iter()
    .map(connection)
    .collect()
}

/// Inserts a connection; whether there was none with its id.
pub async fn insert(tx: &mut Tx, c: &Connection) -> Result<bool, Failure> {
    let done = tx
        .execute(
            "INSERT INTO connections (id, uid, display_name, connector, settings, source, \
             org_unit, schedule, sweep, streams, paused, data_key, secrets, secret_keys, \
             next_run, next_sweep, last_run, problem, revision, create_time, update_time) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
             $18, $19, $20, $21) ON CONFLICT (id) DO NOTHING",
            args![
                &c.id,
                c.uid,
                &c.display_name,
                &c.connector,
                json(&c.settings)?,
                json(&c.source)?,
                &c.org_unit,
                c.schedule.as_ref().map(json).transpose()?,
                json(&c.sweep)?,
                json(&c.streams)?,
                c.paused,
                c.data_key.clone(),
                c.secrets.clone(),
                json(&c.secret_keys)?,
                c.next_run,
                c.next_sweep,
                c.last_run,
                c.problem.as_ref().map(json).transpose()?,
                c.revision,
                c.create_time,
                c.update_time
            ],
        )
        .await?;
    Ok(done == 1)
}

/// Writes what people configure, if the connection still has `revision`; its new one is one
/// more. Whether it had.
pub async fn update(tx: &mut Tx, c: &Connection, revision: i64) -> Result<bool, Failure> {
    let done = tx
        .execute(
            "UPDATE connections SET display_name = $1, settings = $2, source = $3, org_unit = $4, \
             schedule = $5, sweep = $6, streams = $7, paused = $8, secrets = $9, \
             secret_keys = $10, next_run = $11, next_sweep = $12, problem = $13, \
             revision = revision + 1, update_time = $14 WHERE id = $15 AND revision = $16",
            args![
                &c.display_name,
                json(&c.settings)?,
                json(&c.source)?,
                &c.org_unit,
                c.schedule.as_ref().map(json).transpose()?,
                json(&c.sweep)?,
                json(&c.streams)?,
                c.paused,
                c.secrets.clone(),
                json(&c.secret_keys)?,
                c.next_run,
                c.next_sweep,
                c.problem.as_ref().map(json).transpose()?,
                c.update_time,
                &c.id,
                revision
            ],
        )
        .await?;
    Ok(done == 1)
}

/// Notes when it runs next by itself, unless its configuration is another one by now. These times
/// are no change of the configuration.
pub async fn set_next(
    tx: &mut Tx,
    (id, revision): (&str, i64),
    next_run: Option<Timestamp>,
    next_sweep: Option<Timestamp>,
) -> Result<(), Failure> {
    tx.execute(
        "UPDATE connections SET next_run = $1, next_sweep = $2 WHERE id = $3 AND revision = $4",
        args![next_run, next_sweep, id, revision],
    )
    .await?;
    Ok(())
}

/// Notes why somebody has to act, or that nobody has to, unless somebody has acted meanwhile.
pub async fn set_problem(
    tx: &mut Tx,
    (id, revision): (&str, i64),
    problem: Option<&Problem>,
) -> Result<(), Failure> {
    tx.execute(
        "UPDATE connections SET problem = $1 WHERE id = $2 AND revision = $3",
        args![problem.map(json).transpose()?, id, revision],
    )
    .await?;
    Ok(())
}

/// Forgets the connection with all that is kept of it. Whoever leads it loses the lease first, so
/// that nothing it still writes is found by a later connection of the same id.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO jinke_leases (name, holder, fence, lease_end) VALUES ($1, '', 1, $2) \
         ON CONFLICT (name) DO UPDATE SET holder = '', fence = jinke_leases.fence + 1, \
         lease_end = excluded.lease_end",
        args![format!("connection/{id}"), i64::MIN],
    )
    .await?;
    for statement in [
        "DELETE FROM runs WHERE connection = $1",
        "DELETE FROM stream_cursors WHERE connection = $1",
        "DELETE FROM known_records WHERE connection = $1",
        "DELETE FROM record_errors WHERE connection = $1",
        "DELETE FROM dead_letters WHERE connection = $1",
        "DELETE FROM deliveries WHERE connection = $1",
        "DELETE FROM callback_events WHERE connection = $1",
        "DELETE FROM connections WHERE id = $1",
    ] {
        tx.execute(statement, args![id]).await?;
    }
    Ok(())
}

/// Ids of connections that have something to do now, by id.
pub async fn due(conn: &mut Conn, now: Timestamp) -> Result<Vec<String>, Failure> {
    conn.fetch_all(
        "SELECT id FROM connections WHERE paused = 0 AND (next_run <= $1 OR next_sweep <= $1) \
         UNION SELECT r.connection AS id FROM runs r JOIN connections c ON c.id = r.connection \
         WHERE r.end_time IS NULL AND (r.cancel = 1 OR (c.paused = 0 AND (r.state IN (1, 2) \
         OR (r.state = 3 AND r.retry_time <= $1)))) \
         UNION SELECT d.connection AS id FROM deliveries d JOIN connections c \
         ON c.id = d.connection WHERE c.paused = 0 AND d.retry_time <= $1 \
         UNION SELECT e.connection AS id FROM callback_events e JOIN connections c \
         ON c.id = e.connection WHERE c.paused = 0 AND e.retry_time <= $1 \
         UNION SELECT x.connection AS id FROM record_errors x JOIN connections c \
         ON c.id = x.connection WHERE c.paused = 0 AND x.retry_time <= $1 ORDER BY id LIMIT 1000",
        args![now],
    )
    .await?
    .iter()
    .map(|row| row.text("id"))
    .collect()
}

/// What a connection has to do now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// A run waits for its turn, or its time has come.
    pub run: bool,
    /// Something goes out.
    pub delivery: bool,
    /// An event is to be worked off.
    pub event: bool,
    /// A refused record is to be sent again.
    pub error: bool,
}

/// What one connection has to do now.
pub async fn due_of(conn: &mut Conn, id: &str, now: Timestamp) -> Result<Due, Failure> {
    let row = conn
        .fetch_one(
            "SELECT \
             (SELECT COUNT(*) FROM runs WHERE connection = $1 AND end_time IS NULL \
              AND (cancel = 1 OR state IN (1, 2) OR (state = 3 AND retry_time <= $2))) AS runs, \
             (SELECT COUNT(*) FROM connections WHERE id = $1 AND (next_run <= $2 \
              OR next_sweep <= $2)) AS scheduled, \
             (SELECT COUNT(*) FROM deliveries WHERE connection = $1 AND retry_time <= $2) AS sends, \
             (SELECT COUNT(*) FROM callback_events WHERE connection = $1 AND retry_time <= $2) \
              AS events, \
             (SELECT COUNT(*) FROM record_errors WHERE connection = $1 AND retry_time <= $2) \
              AS errors",
            args![id, now],
        )
        .await?;
    Ok(Due {
        run: row.i64("runs")? + row.i64("scheduled")? > 0,
        delivery: row.i64("sends")? > 0,
        event: row.i64("events")? > 0,
        error: row.i64("errors")? > 0,
    })
}

/// Where a stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCursor {
    /// The stream.
    pub stream: String,
    /// Its cursor; empty when there is none but known records.
    pub cursor: String,
    /// Records that are known and not gone.
    pub known: i64,
    /// When the cursor was saved.
    pub time: Option<Timestamp>,
}

/// The cursor of a stream.
pub async fn cursor(conn: &mut Conn, id: &str, stream: &str) -> Result<Option<String>, Failure> {
    conn.fetch_optional(
        "SELECT cursor FROM stream_cursors WHERE connection = $1 AND stream = $2",
        args![id, stream],
    )
    .await?
    .map(|row| row.text("cursor"))
    .transpose()
}

/// The cursors of a connection, by stream; also the streams of which only records are known, because
/// the cursor was reset or none has been saved yet.
pub async fn cursors(conn: &mut Conn, id: &str) -> Result<Vec<StreamCursor>, Failure> {
    conn.fetch_all(
        "SELECT s.stream, COALESCE(c.cursor, '') AS cursor, c.update_time, \
         (SELECT COUNT(*) FROM known_records k \
         WHERE k.connection = $1 AND k.stream = s.stream AND k.gone = 0) AS known \
         FROM (SELECT stream FROM stream_cursors WHERE connection = $1 \
         UNION SELECT stream FROM known_records WHERE connection = $1) s \
         LEFT JOIN stream_cursors c ON c.connection = $1 AND c.stream = s.stream \
         ORDER BY s.stream LIMIT 1000",
        args![id],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(StreamCursor {
            stream: row.text("stream")?,
            cursor: row.text("cursor")?,
            known: row.i64("known")?,
            time: row.opt_time("update_time")?,
        })
    })
    .collect()
}

/// Moves the cursor of a stream from where it stood when the pull read it; whether it still stood
/// there. When it does not, somebody has reset it, and what was pulled behind it counts for nothing.
pub async fn move_cursor(
    tx: &mut Tx,
    id: &str,
    stream: &str,
    (from, to): (Option<&str>, &str),
    now: Timestamp,
) -> Result<bool, Failure> {
    let done = match from {
        None => {
            tx.execute(
                "INSERT INTO stream_cursors (connection, stream, cursor, update_time) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (connection, stream) DO NOTHING",
                args![id, stream, to, now],
            )
            .await?
        }
        Some(from) => {
            tx.execute(
                "UPDATE stream_cursors SET cursor = $1, update_time = $2 \
                 WHERE connection = $3 AND stream = $4 AND cursor = $5",
                args![to, now, id, stream, from],
            )
            .await?
        }
    };
    Ok(done == 1)
}

/// Forgets the cursor of a stream, of all streams when it is empty; how many there were.
pub async fn reset_cursor(tx: &mut Tx, id: &str, stream: &str) -> Result<u64, Failure> {
    tx.execute(
        "DELETE FROM stream_cursors WHERE connection = $1 AND ($2 = '' OR stream = $2)",
        args![id, stream],
    )
    .await
}
