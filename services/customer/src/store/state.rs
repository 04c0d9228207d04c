//! What the derived tables were made with, and which keys are generic now.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jinke_store::{Conn, Rows, Tx, args};
use jinke_types::Failure;

/// A named value.
pub async fn get(conn: &mut Conn, name: &str) -> Result<Option<String>, Failure> {
    conn.fetch_optional(
        "SELECT value FROM engine_state WHERE name = $1",
        args![name],
    )
    .await?
    .map(|r| r.text("value"))
    .transpose()
}

/// Sets a named value.
pub async fn set(tx: &mut Tx, name: &str, value: &str) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO engine_state (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        args![name, value],
    )
    .await?;
    Ok(())
}

/// How often the set of generic keys changed.
pub async fn generic_revision(conn: &mut Conn) -> Result<i64, Failure> {
    Ok(get(conn, "generic")
        .await?
        .and_then(|v| v.parse().ok())
        .unwrap_or(0))
}

/// All generic keys.
pub async fn generic(conn: &mut Conn) -> Result<HashSet<i64>, Failure> {
    conn.fetch_all("SELECT token FROM generic_keys", args![])
        .await?
        .iter()
        .map(|r| r.i64("token"))
        .collect()
}

/// Changes the set of generic keys.
pub async fn change_generic(
    tx: &mut Tx,
    changed: &BTreeMap<i64, bool>,
    revision: i64,
) -> Result<(), Failure> {
    if changed.is_empty() {
        return Ok(());
    }
    let gone: Vec<i64> = changed
        .iter()
        .filter(|(_, g)| !**g)
        .map(|(t, _)| *t)
        .collect();
    let come: BTreeSet<i64> = changed
        .iter()
        .filter(|(_, g)| **g)
        .map(|(t, _)| *t)
        .collect();
    if !gone.is_empty() {
        tx.execute(
            "DELETE FROM generic_keys WHERE token IN LIST($1)",
            args![gone],
        )
        .await?;
    }
    if !come.is_empty() {
        let mut rows = Rows::new(&["token"]);
        for token in come {
            rows.push(args![token]);
        }
        tx.insert_many("generic_keys", rows, "ON CONFLICT (token) DO NOTHING")
            .await?;
    }
    set(tx, "generic", &revision.to_string()).await
}

/// Forgets all generic keys.
pub async fn clear_generic(tx: &mut Tx, revision: i64) -> Result<(), Failure> {
    tx.execute("DELETE FROM generic_keys", args![]).await?;
    set(tx, "generic", &revision.to_string()).await
}
