//! Segments.

use jinke_store::{Conn, Row, Tx, args};
use jinke_types::{Failure, Timestamp};

/// A segment as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRow {
    /// Its id.
    pub id: String,
    /// Its number, never used again.
    pub uid: i64,
    /// Its name.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Its conditions.
    pub conditions: Vec<String>,
    /// Its parameters, an encoded message.
    pub parameters: Vec<u8>,
    /// Grows with every change.
    pub revision: i64,
    /// Who made it.
    pub creator: String,
    /// When.
    pub create_time: Timestamp,
    /// Last change.
    pub update_time: Timestamp,
}

const COLUMNS: &str = "id, uid, display_name, description, conditions, parameters, revision, \
                       creator, create_time, update_time";

fn read(row: &Row) -> Result<SegmentRow, Failure> {
    Ok(SegmentRow {
        id: row.text("id")?,
        uid: row.i64("uid")?,
        display_name: row.text("display_name")?,
        description: row.text("description")?,
        conditions: serde_json::from_str(&row.text("conditions")?).map_err(Failure::internal)?,
        parameters: row.bytes("parameters")?,
        revision: row.i64("revision")?,
        creator: row.text("creator")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

/// One by id.
pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<SegmentRow>, Failure> {
    let text = format!("SELECT {COLUMNS} FROM segments WHERE id = $1");
    let row = conn
        .fetch_optional(jinke_store::Sql::assembled(text), args![id])
        .await?;
    row.as_ref().map(read).transpose()
}

/// Those with an id after `after`, by id.
pub async fn list(conn: &mut Conn, after: &str, limit: usize) -> Result<Vec<SegmentRow>, Failure> {
    let text = format!("SELECT {COLUMNS} FROM segments WHERE id > $1 ORDER BY id LIMIT $2");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = conn
        .fetch_all(jinke_store::Sql::assembled(text), args![after, limit])
        .await?;
    rows.iter().map(read).collect()
}

/// Inserts or replaces one.
pub async fn put(tx: &mut Tx, s: &SegmentRow) -> Result<(), Failure> {
    let conditions = serde_json::to_string(&s.conditions).map_err(Failure::internal)?;
    tx.execute(
        "INSERT INTO segments (id, uid, display_name, description, conditions, parameters, \
         revision, creator, create_time, update_time) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (id) DO UPDATE SET display_name = excluded.display_name, \
         description = excluded.description, conditions = excluded.conditions, \
         parameters = excluded.parameters, revision = excluded.revision, \
         update_time = excluded.update_time",
        args![
            &s.id,
            s.uid,
            &s.display_name,
            &s.description,
            conditions,
            &s.parameters,
            s.revision,
            &s.creator,
            s.create_time,
            s.update_time
        ],
    )
    .await?;
    Ok(())
}

/// Removes one.
pub async fn remove(tx: &mut Tx, id: &str) -> Result<(), Failure> {
    tx.execute("DELETE FROM segments WHERE id = $1", args![id])
        .await?;
    Ok(())
}
