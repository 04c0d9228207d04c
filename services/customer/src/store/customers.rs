//! Customers and their revisions.

use std::collections::BTreeMap;

use jinke_store::{Conn, Row, Rows, Tx, args};
use jinke_types::{Failure, PartyKind, Timestamp};

use super::erasures;
use crate::domain::{ChangeKind, damaged, kind_code, kind_from_code};

/// A customer id that is or was live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerRow {
    /// The id.
    pub id: i64,
    /// Organization or person.
    pub kind: PartyKind,
    /// The id is the smallest record number of a cluster now.
    pub live: bool,
    /// Revision of the last change.
    pub revision: i64,
    /// Best name of an organization over its shared records.
    pub display_name: Option<String>,
    /// How many records it holds.
    pub record_count: i64,
    /// When the id first appeared.
    pub create_time: Timestamp,
    /// When it last changed.
    pub update_time: Timestamp,
    /// When its last record was deleted.
    pub delete_time: Option<Timestamp>,
}

fn customer(row: &Row) -> Result<CustomerRow, Failure> {
    Ok(CustomerRow {
        id: row.i64("id")?,
        kind: kind_from_code(row.i64("kind")?).ok_or_else(|| damaged("customer"))?,
        live: row.bool("live")?,
        revision: row.i64("revision")?,
        display_name: row.opt_text("display_name")?,
        record_count: row.i64("record_count")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
        delete_time: row.opt_time("delete_time")?,
    })
}

const COLUMNS: &[&str] = &[
    "id",
    "kind",
    "live",
    "revision",
    "display_name",
    "record_count",
    "create_time",
    "update_time",
    "delete_time",
];

/// The rows of these ids; unknown ones are left out.
pub async fn by_ids(conn: &mut Conn, ids: &[i64]) -> Result<BTreeMap<i64, CustomerRow>, Failure> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    conn.fetch_all(
        "SELECT id, kind, live, revision, display_name, record_count, create_time, update_time, \
         delete_time FROM customers WHERE id IN LIST($1)",
        args![ids],
    )
    .await?
    .iter()
    .map(|r| customer(r).map(|c| (c.id, c)))
    .collect()
}

/// Every row, for checking.
pub async fn all(conn: &mut Conn) -> Result<BTreeMap<i64, CustomerRow>, Failure> {
    conn.fetch_all(
        "SELECT id, kind, live, revision, display_name, record_count, create_time, update_time, \
         delete_time FROM customers",
        args![],
    )
    .await?
    .iter()
    .map(|r| customer(r).map(|c| (c.id, c)))
    .collect()
}

/// The live id that `id` addresses: the customer that holds the record of this number, or the one
/// its id passed to.
pub async fn resolve(conn: &mut Conn, id: i64) -> Result<Option<i64>, Failure> {
    let found = holder(conn, id).await?;
    if found.is_some() {
        return Ok(found);
    }
    match erasures::successor(conn, id).await?.flatten() {
        Some(successor) => holder(conn, successor).await,
        None => Ok(None),
    }
}

async fn holder(conn: &mut Conn, id: i64) -> Result<Option<i64>, Failure> {
    Ok(conn
        .fetch_optional(
            "SELECT customer FROM records WHERE record_no = $1",
            args![id],
        )
        .await?
        .map(|r| r.opt_i64("customer"))
        .transpose()?
        .flatten())
}

/// Inserts or replaces customers.
pub async fn put(tx: &mut Tx, customers: &[CustomerRow]) -> Result<(), Failure> {
    if customers.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(COLUMNS);
    for c in customers {
        rows.push(args![
            c.id,
            kind_code(c.kind),
            c.live,
            c.revision,
            c.display_name.as_deref(),
            c.record_count,
            c.create_time,
            c.update_time,
            c.delete_time,
        ]);
    }
    tx.insert_many(
        "customers",
        rows,
        "ON CONFLICT (id) DO UPDATE SET live = excluded.live, revision = excluded.revision, \
         display_name = excluded.display_name, record_count = excluded.record_count, \
         update_time = excluded.update_time, delete_time = excluded.delete_time",
    )
    .await?;
    Ok(())
}

/// What made up a customer at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionRow {
    /// The id.
    pub customer: i64,
    /// Which revision.
    pub revision: i64,
    /// What happened.
    pub kind: ChangeKind,
    /// When.
    pub time: Timestamp,
    /// Other customers concerned.
    pub related: Vec<i64>,
    /// Records with the number of versions known then.
    pub members: Vec<(i64, i64)>,
}

/// Adds revisions.
pub async fn put_revisions(tx: &mut Tx, revisions: &[RevisionRow]) -> Result<(), Failure> {
    if revisions.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&["customer", "revision", "kind", "time", "related", "members"]);
    for r in revisions {
        let kind = ChangeKind::ALL
            .iter()
            .position(|k| *k == r.kind)
            .unwrap_or(0)
            + 1;
        rows.push(args![
            r.customer,
            r.revision,
            i64::try_from(kind).map_err(Failure::internal)?,
            r.time,
            join(r.related.iter().map(i64::to_string)),
            join(r.members.iter().map(|(n, v)| format!("{n}:{v}"))),
        ]);
    }
    tx.insert_many("revisions", rows, "").await?;
    Ok(())
}

fn join(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

fn numbers(text: &str) -> Result<Vec<i64>, Failure> {
    text.split(',')
        .filter(|s| !s.is_empty())
        .map(|s| s.parse().map_err(|_| damaged("revision")))
        .collect()
}

fn revision(row: &Row) -> Result<RevisionRow, Failure> {
    let kind = usize::try_from(row.i64("kind")?)
        .ok()
        .and_then(|k| ChangeKind::ALL.get(k.wrapping_sub(1)).copied())
        .ok_or_else(|| damaged("revision"))?;
    let members = row
        .text("members")?
        .split(',')
        .filter(|s| !s.is_empty())
        .map(|pair| {
            let (no, versions) = pair.split_once(':')?;
            Some((no.parse().ok()?, versions.parse().ok()?))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| damaged("revision"))?;
    Ok(RevisionRow {
        customer: row.i64("customer")?,
        revision: row.i64("revision")?,
        kind,
        time: row.time("time")?,
        related: numbers(&row.text("related")?)?,
        members,
    })
}

/// Revisions of a customer below `before`, newest first.
pub async fn revisions(
    conn: &mut Conn,
    id: i64,
    before: i64,
    limit: i64,
) -> Result<Vec<RevisionRow>, Failure> {
    conn.fetch_all(
        "SELECT customer, revision, kind, time, related, members FROM revisions \
         WHERE customer = $1 AND revision < $2 ORDER BY revision DESC LIMIT $3",
        args![id, before, limit],
    )
    .await?
    .iter()
    .map(revision)
    .collect()
}
