//! Tags at the record whose number was addressed.

use jinke_store::{Conn, Tx, args};
use jinke_types::{Failure, Timestamp};

use crate::domain::Tag;

/// Tags at these records, by tag and record.
pub async fn at(conn: &mut Conn, nos: &[i64]) -> Result<Vec<Tag>, Failure> {
    if nos.is_empty() {
        return Ok(Vec::new());
    }
    conn.fetch_all(
        "SELECT record_no, tag, creator, create_time FROM tags WHERE record_no IN LIST($1) \
         ORDER BY tag, record_no",
        args![nos],
    )
    .await?
    .iter()
    .map(|r| {
        Ok(Tag {
            record_no: r.i64("record_no")?,
            tag: r.text("tag")?,
            creator: r.text("creator")?,
            create_time: r.time("create_time")?,
        })
    })
    .collect()
}

/// Sets a tag; whether it was not there.
pub async fn add(
    tx: &mut Tx,
    no: i64,
    tag: &str,
    creator: &str,
    now: Timestamp,
) -> Result<bool, Failure> {
    let added = tx
        .execute(
            "INSERT INTO tags (record_no, tag, creator, create_time) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (record_no, tag) DO NOTHING",
            args![no, tag, creator, now],
        )
        .await?;
    Ok(added > 0)
}

/// Takes a tag away at these records; whether it was there.
pub async fn remove(tx: &mut Tx, nos: &[i64], tag: &str) -> Result<bool, Failure> {
    let gone = tx
        .execute(
            "DELETE FROM tags WHERE record_no IN LIST($1) AND tag = $2",
            args![nos, tag],
        )
        .await?;
    Ok(gone > 0)
}
