//! Reports as computed.

use jinke_store::{Conn, Row, Tx, args};
use jinke_types::{Failure, Timestamp};

/// A report as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    /// Its number.
    pub id: i64,
    /// Days since 1970.
    pub day: i64,
    /// Who made it.
    pub creator: String,
    /// Over which rows and classes it was computed.
    pub scope: String,
    /// SHA-256 of the content in hex.
    pub hash: String,
    /// JSON.
    pub content: Vec<u8>,
    /// When it was made.
    pub create_time: Timestamp,
}

fn read(row: &Row) -> Result<ReportRow, Failure> {
    Ok(ReportRow {
        id: row.i64("id")?,
        day: row.i64("day")?,
        creator: row.text("creator")?,
        scope: row.text("scope")?,
        hash: row.text("hash")?,
        content: row.bytes("content")?,
        create_time: row.time("create_time")?,
    })
}

/// One by number.
pub async fn get(conn: &mut Conn, id: i64) -> Result<Option<ReportRow>, Failure> {
    let row = conn
        .fetch_optional(
            "SELECT id, day, creator, scope, hash, content, create_time FROM reports \
             WHERE id = $1",
            args![id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Those with a smaller number than `before`, newest first; of one creator unless it is empty.
pub async fn list(
    conn: &mut Conn,
    before: i64,
    creator: &str,
    limit: usize,
) -> Result<Vec<ReportRow>, Failure> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = conn
        .fetch_all(
            "SELECT id, day, creator, scope, hash, content, create_time FROM reports \
             WHERE id < $1 AND ($2 = '' OR creator = $2) ORDER BY id DESC LIMIT $3",
            args![before, creator, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Inserts one.
pub async fn put(tx: &mut Tx, r: &ReportRow) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO reports (id, day, creator, scope, hash, content, create_time) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            r.id,
            r.day,
            &r.creator,
            &r.scope,
            &r.hash,
            &r.content,
            r.create_time
        ],
    )
    .await?;
    Ok(())
}

/// Removes one.
pub async fn remove(tx: &mut Tx, id: i64) -> Result<(), Failure> {
    tx.execute("DELETE FROM reports WHERE id = $1", args![id])
        .await?;
    Ok(())
}
