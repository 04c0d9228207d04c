//! Directories, and which org unit or user each of their entries is.

use jinke_store::{Conn, Row, Tx, args};
use jinke_types::Failure;

use super::taken;
use crate::domain::{Gone, Link, LinkKind};

const COLUMNS: &str = "kind, external_id, resource, round, gone";

fn link(row: &Row) -> Result<Link, Failure> {
    let damaged = || Failure::internal("a damaged link of a directory");
    Ok(Link {
        kind: LinkKind::of(row.i64("kind")?).ok_or_else(damaged)?,
        external_id: row.text("external_id")?,
        resource: row.text("resource")?,
        round: row.i64("round")?,
        gone: Gone::of(row.i64("gone")?).ok_or_else(damaged)?,
    })
}

/// The round of a directory that began last, and whether it is under way; none before the first
/// sync.
pub(crate) async fn round(conn: &mut Conn, id: &str) -> Result<Option<(i64, bool)>, Failure> {
    conn.fetch_optional(
        "SELECT round, under_way FROM directories WHERE id = $1",
        args![id],
    )
    .await?
    .map(|row| Ok((row.i64("round")?, row.i64("under_way")? != 0)))
    .transpose()
}

/// Writes the round of a directory, which is made when it is new.
pub(crate) async fn set_round(
    tx: &mut Tx,
    id: &str,
    round: i64,
    under_way: bool,
) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO directories (id, round, under_way) VALUES ($1, $2, $3) \
         ON CONFLICT (id) DO UPDATE SET round = excluded.round, under_way = excluded.under_way",
        args![id, round, i64::from(under_way)],
    )
    .await
    .map(drop)
}

/// One link.
pub(crate) async fn get(
    conn: &mut Conn,
    directory: &str,
    kind: LinkKind,
    external_id: &str,
) -> Result<Option<Link>, Failure> {
    conn.fetch_optional(
        "SELECT kind, external_id, resource, round, gone FROM directory_links \
         WHERE directory = $1 AND kind = $2 AND external_id = $3",
        args![directory, kind.number(), external_id],
    )
    .await?
    .map(|row| link(&row))
    .transpose()
}

/// The link of an org unit or user in a directory.
pub(crate) async fn of_resource(
    conn: &mut Conn,
    directory: &str,
    kind: LinkKind,
    resource: &str,
) -> Result<Option<Link>, Failure> {
    conn.fetch_optional(
        "SELECT kind, external_id, resource, round, gone FROM directory_links \
         WHERE directory = $1 AND kind = $2 AND resource = $3",
        args![directory, kind.number(), resource],
    )
    .await?
    .map(|row| link(&row))
    .transpose()
}

/// Adds a link. A resource is linked once.
pub(crate) async fn insert(tx: &mut Tx, directory: &str, link: &Link) -> Result<(), Failure> {
    let inserted = tx
        .execute(
            "INSERT INTO directory_links (directory, kind, external_id, resource, round, gone) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            args![
                directory,
                link.kind.number(),
                &link.external_id,
                &link.resource,
                link.round,
                link.gone.number()
            ],
        )
        .await;
    taken(inserted, "a link of this member or user").map(drop)
}

/// Writes round and gone of a link.
pub(crate) async fn update(tx: &mut Tx, directory: &str, link: &Link) -> Result<(), Failure> {
    tx.execute(
        "UPDATE directory_links SET round = $1, gone = $2 \
         WHERE directory = $3 AND kind = $4 AND external_id = $5",
        args![
            link.round,
            link.gone.number(),
            directory,
            link.kind.number(),
            &link.external_id
        ],
    )
    .await
    .map(drop)
}

/// Links of a kind that are there and were not told since a round began, by external id.
pub(crate) async fn unseen(
    conn: &mut Conn,
    directory: &str,
    kind: LinkKind,
    round: i64,
) -> Result<Vec<Link>, Failure> {
    let rows = conn
        .fetch_all(
            "SELECT kind, external_id, resource, round, gone FROM directory_links \
             WHERE directory = $1 AND kind = $2 AND gone = 0 AND round < $3 ORDER BY external_id",
            args![directory, kind.number(), round],
        )
        .await?;
    rows.iter().map(link).collect()
}

/// How many links of a kind are there.
pub(crate) async fn count(
    conn: &mut Conn,
    directory: &str,
    kind: LinkKind,
) -> Result<i64, Failure> {
    conn.fetch_one(
        "SELECT COUNT(*) AS n FROM directory_links WHERE directory = $1 AND kind = $2 AND gone = 0",
        args![directory, kind.number()],
    )
    .await?
    .i64("n")
}

/// Up to `limit` links of a directory after (kind, external id), in that order.
pub(crate) async fn list(
    conn: &mut Conn,
    directory: &str,
    after: (i64, &str),
    limit: usize,
) -> Result<Vec<Link>, Failure> {
    let sql = jinke_store::Sql::assembled(format!(
        "SELECT {COLUMNS} FROM directory_links WHERE directory = $1 \
         AND (kind > $2 OR kind = $2 AND external_id > $3) ORDER BY kind, external_id LIMIT $4"
    ));
    let rows = conn
        .fetch_all(sql, args![directory, after.0, after.1, limit as i64])
        .await?;
    rows.iter().map(link).collect()
}
