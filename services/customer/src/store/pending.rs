//! What is still to be resolved in the background.
//!
//! The column `pairs` says how much is left to do: 0 the component of the record, 1 its pairs too, 2
//! everything, because nothing was derived from the record yet.

use std::collections::BTreeSet;

use jinke_store::{Conn, Rows, Tx, args};
use jinke_types::Failure;

/// Notes records: with `pairs`, their pairs are to be compared anew, else only their components
/// are to be clustered anew.
pub async fn put(
    tx: &mut Tx,
    nos: impl IntoIterator<Item = i64>,
    pairs: bool,
) -> Result<(), Failure> {
    let nos: BTreeSet<i64> = nos.into_iter().collect();
    if nos.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&["record_no", "pairs"]);
    for no in nos {
        rows.push(args![no, pairs]);
    }
    let conflict = if pairs {
        "ON CONFLICT (record_no) DO UPDATE SET pairs = 1"
    } else {
        "ON CONFLICT (record_no) DO NOTHING"
    };
    tx.insert_many("pending", rows, conflict).await?;
    Ok(())
}

/// Notes that the pairs of all records of a block are to be compared anew.
pub async fn put_block(tx: &mut Tx, token: i64) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO pending (record_no, pairs) \
         SELECT DISTINCT record_no, 1 FROM blocks WHERE token = $1 \
         ON CONFLICT (record_no) DO UPDATE SET pairs = 1",
        args![token],
    )
    .await?;
    Ok(())
}

/// Notes records of which nothing is derived yet.
pub async fn put_unresolved(
    tx: &mut Tx,
    nos: impl IntoIterator<Item = i64>,
) -> Result<(), Failure> {
    let nos: BTreeSet<i64> = nos.into_iter().collect();
    if nos.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&["record_no", "pairs"]);
    for no in nos {
        rows.push(args![no, 2_i64]);
    }
    tx.insert_many("pending", rows, "").await?;
    Ok(())
}

/// Those of these records of which nothing is derived yet.
pub async fn unresolved(conn: &mut Conn, nos: &[i64]) -> Result<BTreeSet<i64>, Failure> {
    if nos.is_empty() {
        return Ok(BTreeSet::new());
    }
    conn.fetch_all(
        "SELECT record_no FROM pending WHERE pairs = 2 AND record_no IN LIST($1)",
        args![nos],
    )
    .await?
    .iter()
    .map(|r| r.i64("record_no"))
    .collect()
}

/// The first records of which nothing is derived yet, after `after`, at most `limit`.
pub async fn first_unresolved(
    conn: &mut Conn,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, Failure> {
    conn.fetch_all(
        "SELECT record_no FROM pending WHERE pairs = 2 AND record_no > $1 \
         ORDER BY record_no LIMIT $2",
        args![after, limit],
    )
    .await?
    .iter()
    .map(|r| r.i64("record_no"))
    .collect()
}

/// Takes records off, whatever was left to do.
pub async fn take_off(tx: &mut Tx, nos: &[i64]) -> Result<(), Failure> {
    for chunk in nos.chunks(5_000) {
        tx.execute(
            "DELETE FROM pending WHERE record_no IN LIST($1)",
            args![chunk],
        )
        .await?;
    }
    Ok(())
}

/// Whether a record waits.
pub async fn any(conn: &mut Conn) -> Result<bool, Failure> {
    let first = conn
        .fetch_optional("SELECT record_no FROM pending LIMIT 1", args![])
        .await?;
    Ok(first.is_some())
}

/// How many records wait.
pub async fn count(conn: &mut Conn) -> Result<i64, Failure> {
    conn.fetch_one("SELECT COUNT(*) AS n FROM pending", args![])
        .await?
        .i64("n")
}

/// The first records that wait with these `pairs`, at most `limit`.
pub async fn first(conn: &mut Conn, pairs: bool, limit: i64) -> Result<Vec<i64>, Failure> {
    conn.fetch_all(
        "SELECT record_no FROM pending WHERE pairs = $1 ORDER BY record_no LIMIT $2",
        args![pairs, limit],
    )
    .await?
    .iter()
    .map(|r| r.i64("record_no"))
    .collect()
}

/// Takes records off; with `pairs` false only those whose pairs are not to be compared.
pub async fn remove(tx: &mut Tx, nos: &[i64], pairs: bool) -> Result<(), Failure> {
    for chunk in nos.chunks(5_000) {
        tx.execute(
            "DELETE FROM pending WHERE record_no IN LIST($1) AND pairs <= $2",
            args![chunk, pairs],
        )
        .await?;
    }
    Ok(())
}

/// Forgets all of it.
pub async fn clear(tx: &mut Tx) -> Result<(), Failure> {
    tx.execute("DELETE FROM pending", args![]).await?;
    Ok(())
}
