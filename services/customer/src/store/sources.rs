//! Sources.

use std::collections::BTreeMap;

use jinke_store::{Conn, Row, Tx, args};
use jinke_types::{Failure, Timestamp};

use crate::domain::Source;

fn source(row: &Row) -> Result<Source, Failure> {
    Ok(Source {
        id: row.text("id")?,
        uid: row.i64("uid")?,
        display_name: row.text("display_name")?,
        trust: i32::try_from(row.i64("trust")?).unwrap_or(0),
        org_unit: row.text("org_unit")?,
        shared: row.bool("shared")?,
        revision: row.i64("revision")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

/// All sources, by id. There are few.
pub async fn all(conn: &mut Conn) -> Result<BTreeMap<String, Source>, Failure> {
    conn.fetch_all("SELECT * FROM sources ORDER BY id", args![])
        .await?
        .iter()
        .map(|r| source(r).map(|s| (s.id.clone(), s)))
        .collect()
}

/// One source.
pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Source>, Failure> {
    conn.fetch_optional("SELECT * FROM sources WHERE id = $1", args![id])
        .await?
        .map(|r| source(&r))
        .transpose()
}

/// Sources after `after`, by id.
pub async fn list(conn: &mut Conn, after: &str, limit: u32) -> Result<Vec<Source>, Failure> {
    conn.fetch_all(
        "SELECT * FROM sources WHERE id > $1 ORDER BY id LIMIT $2",
        args![after, limit],
    )
    .await?
    .iter()
    .map(source)
    .collect()
}

/// Inserts or replaces a source and notes its trust.
pub async fn put(tx: &mut Tx, s: &Source) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO sources (id, uid, display_name, trust, org_unit, shared, revision, \
         create_time, update_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (id) DO UPDATE SET display_name = excluded.display_name, \
         trust = excluded.trust, org_unit = excluded.org_unit, shared = excluded.shared, \
         revision = excluded.revision, update_time = excluded.update_time",
        args![
            &s.id,
            s.uid,
            &s.display_name,
            s.trust,
            &s.org_unit,
            s.shared,
            s.revision,
            s.create_time,
            s.update_time
        ],
    )
    .await?;
    tx.execute(
        "INSERT INTO source_trust (source, revision, trust, time) VALUES ($1, $2, $3, $4)",
        args![&s.id, s.revision, s.trust, s.update_time],
    )
    .await?;
    Ok(())
}

/// The trust each source had at `at`; its first one before it existed.
pub async fn trust_at(conn: &mut Conn, at: Timestamp) -> Result<BTreeMap<String, i32>, Failure> {
    let rows = conn
        .fetch_all(
            "SELECT source, trust, time FROM source_trust ORDER BY source, revision",
            args![],
        )
        .await?;
    let mut out = BTreeMap::new();
    for row in rows {
        let source = row.text("source")?;
        if row.time("time")? <= at || !out.contains_key(&source) {
            out.insert(source, i32::try_from(row.i64("trust")?).unwrap_or(0));
        }
    }
    Ok(out)
}
