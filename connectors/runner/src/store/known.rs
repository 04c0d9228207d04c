//! The records that a connection has delivered: what a sweep compares with.

use jinke_store::{Arg, Conn, Rows, Tx, args};
use jinke_types::{Failure, Timestamp};

/// A row; the skeleton is sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownRow {
    /// The external id.
    pub external_id: String,
    /// Revision of the last version.
    pub source_revision: Option<i64>,
    /// Time of the last version.
    pub source_time: Option<Timestamp>,
    /// Sealed.
    pub skeleton: Vec<u8>,
    /// A sweep found it gone.
    pub gone: bool,
}

fn row(row: &jinke_store::Row) -> Result<KnownRow, Failure> {
    Ok(KnownRow {
        external_id: row.text("external_id")?,
        source_revision: row.opt_i64("source_revision")?,
        source_time: row.opt_time("source_time")?,
        skeleton: row.bytes("skeleton")?,
        gone: row.bool("gone")?,
    })
}

/// How many records of a stream are known and not gone.
pub async fn count(conn: &mut Conn, connection: &str, stream: &str) -> Result<u64, Failure> {
    let row = conn
        .fetch_one(
            "SELECT COUNT(*) AS n FROM known_records WHERE connection = $1 AND stream = $2 \
             AND gone = 0",
            args![connection, stream],
        )
        .await?;
    Ok(u64::try_from(row.i64("n")?).unwrap_or(0))
}

/// Known records behind `after` in the order of their external ids, gone ones or the others.
pub async fn page(
    conn: &mut Conn,
    connection: &str,
    stream: &str,
    gone: bool,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<KnownRow>, Failure> {
    conn.fetch_all(
        "SELECT * FROM known_records WHERE connection = $1 AND stream = $2 AND gone = $3 \
         AND external_id > $4 ORDER BY external_id LIMIT $5",
        args![
            connection,
            stream,
            gone,
            after.unwrap_or_default(),
            i64::try_from(limit).unwrap_or(i64::MAX)
        ],
    )
    .await?
    .iter()
    .map(row)
    .collect()
}

/// Those of some records that are known as gone.
pub async fn gone_among(
    conn: &mut Conn,
    connection: &str,
    stream: &str,
    ids: &[String],
) -> Result<Vec<KnownRow>, Failure> {
    conn.fetch_all(
        "SELECT * FROM known_records WHERE connection = $1 AND stream = $2 AND gone = 1 \
         AND external_id IN LIST($3)",
        args![connection, stream, ids],
    )
    .await?
    .iter()
    .map(row)
    .collect()
}

/// Notes records; each external id is there once. One that was known takes the new state, unless
/// what is known is a later version: deletions must be ordered behind the latest.
pub async fn put(
    tx: &mut Tx,
    connection: &str,
    stream: &str,
    records: Vec<KnownRow>,
) -> Result<(), Failure> {
    if records.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&[
        "connection",
        "stream",
        "external_id",
        "source_revision",
        "source_time",
        "skeleton",
        "gone",
    ]);
    for record in records {
        rows.push([
            Arg::from(connection),
            Arg::from(stream),
            Arg::from(record.external_id),
            Arg::from(record.source_revision),
            Arg::from(record.source_time),
            Arg::from(record.skeleton),
            Arg::from(record.gone),
        ]);
    }
    tx.insert_many(
        "known_records",
        rows,
        "ON CONFLICT (connection, stream, external_id) DO UPDATE SET \
         source_revision = excluded.source_revision, source_time = excluded.source_time, \
         skeleton = excluded.skeleton, gone = excluded.gone \
         WHERE COALESCE(excluded.source_revision, -9223372036854775807) \
         > COALESCE(known_records.source_revision, -9223372036854775807) \
         OR (COALESCE(excluded.source_revision, -9223372036854775807) \
         = COALESCE(known_records.source_revision, -9223372036854775807) \
         AND COALESCE(excluded.source_time, -9223372036854775807) \
         >= COALESCE(known_records.source_time, -9223372036854775807))",
    )
    .await?;
    Ok(())
}

/// Forgets records that their system deleted itself.
pub async fn forget(
    tx: &mut Tx,
    connection: &str,
    stream: &str,
    ids: &[String],
) -> Result<(), Failure> {
    if ids.is_empty() {
        return Ok(());
    }
    tx.execute(
        "DELETE FROM known_records WHERE connection = $1 AND stream = $2 \
         AND external_id IN LIST($3)",
        args![connection, stream, ids],
    )
    .await?;
    Ok(())
}
