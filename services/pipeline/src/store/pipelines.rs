//! Pipelines and their versions.

use jinke_store::{Conn, Row, Tx, args};
use jinke_types::{Failure, Timestamp};

use crate::{
    access::Sight,
    domain::{Process, damaged},
};

use super::Query;

/// A pipeline without its stages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineRow {
    /// Id.
    pub id: String,
    /// Number for the uid.
    pub uid: i64,
    /// Name.
    pub display_name: String,
    /// Newest version.
    pub version: i64,
    /// Takes no new opportunities.
    pub archived: bool,
    /// Rest before an opportunity is stale, in microseconds; 0: never.
    pub stale_after: i64,
    /// Grows with every change.
    pub revision: i64,
    /// When made.
    pub create_time: Timestamp,
    /// Last change.
    pub update_time: Timestamp,
}

/// A version of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// Number, from 1.
    pub version: i64,
    /// Stages.
    pub process: Process,
    /// Who made it.
    pub creator: String,
    /// When.
    pub create_time: Timestamp,
}

fn pipeline(row: &Row) -> Result<PipelineRow, Failure> {
    Ok(PipelineRow {
        id: row.text("id")?,
        uid: row.i64("uid")?,
        display_name: row.text("display_name")?,
        version: row.i64("version")?,
        archived: row.bool("archived")?,
        stale_after: row.i64("stale_after")?,
        revision: row.i64("revision")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

fn version(row: &Row) -> Result<VersionRow, Failure> {
    Ok(VersionRow {
        version: row.i64("version")?,
        process: serde_json::from_str(&row.text("stages")?).map_err(|_| damaged("pipeline"))?,
        creator: row.text("creator")?,
        create_time: row.time("create_time")?,
    })
}

/// A pipeline.
///
/// # Errors
/// Those of the store.
pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<PipelineRow>, Failure> {
    conn.fetch_optional("SELECT * FROM pipelines WHERE id = $1", args![id])
        .await?
        .map(|row| pipeline(&row))
        .transpose()
}

/// Takes hold of a pipeline until the transaction ends.
///
/// # Errors
/// Those of the store.
pub async fn lock(tx: &mut Tx, id: &str) -> Result<Option<PipelineRow>, Failure> {
    tx.execute(
        "UPDATE pipelines SET revision = revision WHERE id = $1",
        args![id],
    )
    .await?;
    get(tx, id).await
}

/// Pipelines in order of id, after one.
///
/// # Errors
/// Those of the store.
pub async fn list(
    conn: &mut Conn,
    archived: bool,
    after: &str,
    limit: u32,
) -> Result<Vec<PipelineRow>, Failure> {
    conn.fetch_all(
        "SELECT * FROM pipelines WHERE id > $1 AND (archived = 0 OR CAST($2 AS BIGINT) = 1) ORDER BY id LIMIT $3",
        args![after, archived, limit],
    )
    .await?
    .iter()
    .map(pipeline)
    .collect()
}

/// One version's stages.
///
/// # Errors
/// Those of the store.
pub async fn process(conn: &mut Conn, id: &str, number: i64) -> Result<Option<Process>, Failure> {
    Ok(conn
        .fetch_optional(
            "SELECT * FROM pipeline_versions WHERE pipeline = $1 AND version = $2",
            args![id, number],
        )
        .await?
        .map(|row| version(&row))
        .transpose()?
        .map(|v| v.process))
}

/// Versions before a number (0: all), newest first.
///
/// # Errors
/// Those of the store.
pub async fn versions(
    conn: &mut Conn,
    id: &str,
    before: i64,
    limit: u32,
) -> Result<Vec<VersionRow>, Failure> {
    let before = if before == 0 { i64::MAX } else { before };
    conn.fetch_all(
        "SELECT * FROM pipeline_versions WHERE pipeline = $1 AND version < $2 \
         ORDER BY version DESC LIMIT $3",
        args![id, before, limit],
    )
    .await?
    .iter()
    .map(version)
    .collect()
}

/// How many opportunities that are seen run on each version.
///
/// # Errors
/// Those of the store.
pub async fn running(
    conn: &mut Conn,
    id: &str,
    sight: &Sight,
) -> Result<std::collections::BTreeMap<i64, i64>, Failure> {
    let mut q = Query::new(
        "SELECT t.version, CAST(SUM(t.count) AS BIGINT) AS n FROM funnel t WHERE t.part = 1",
    );
    q.add(" AND t.pipeline = ?", args![id]).seen(sight);
    q.add(" GROUP BY t.version ORDER BY t.version", []);
    q.fetch(conn)
        .await?
        .iter()
        .map(|row| Ok((row.i64("version")?, row.i64("n")?)))
        .collect()
}

/// Writes a pipeline.
///
/// # Errors
/// Those of the store.
pub async fn save(tx: &mut Tx, p: &PipelineRow) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO pipelines (id, uid, display_name, version, archived, stale_after, revision, \
         create_time, update_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (id) DO UPDATE SET display_name = excluded.display_name, \
         version = excluded.version, archived = excluded.archived, \
         stale_after = excluded.stale_after, revision = excluded.revision, \
         update_time = excluded.update_time",
        args![
            &p.id,
            p.uid,
            &p.display_name,
            p.version,
            p.archived,
            p.stale_after,
            p.revision,
            p.create_time,
            p.update_time
        ],
    )
    .await?;
    Ok(())
}

/// Adds a version.
///
/// # Errors
/// Those of the store.
pub async fn add_version(tx: &mut Tx, id: &str, v: &VersionRow) -> Result<(), Failure> {
    let stages = serde_json::to_string(&v.process).map_err(Failure::internal)?;
    tx.execute(
        "INSERT INTO pipeline_versions (pipeline, version, stages, creator, create_time) \
         VALUES ($1, $2, $3, $4, $5)",
        args![id, v.version, stages, &v.creator, v.create_time],
    )
    .await?;
    Ok(())
}
