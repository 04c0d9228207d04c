//! Org units.

use std::collections::BTreeMap;

use jinke_store::{Arg, Conn, Row, Sql, Tx, args};
use jinke_types::{Failure, RowScope};

use super::taken;
use crate::{access, domain::OrgUnit};

const COLUMNS: &str = "id, uid, display_name, parent, revision, create_time, update_time";

/// Narrows a statement to the rows of a scope by their column `org_unit`: the text to append to
/// its conditions, and the arguments with those the text needs.
pub(super) fn narrow(scope: &RowScope, args: Vec<Arg>) -> (String, Vec<Arg>) {
    narrow_by("org_unit", scope, args)
}

fn narrow_by(column: &str, scope: &RowScope, mut args: Vec<Arg>) -> (String, Vec<Arg>) {
    let Some(units) = access::units(scope) else {
        return (String::new(), args);
    };
    args.push(units.into());
    (format!(" AND {column} IN LIST(${})", args.len()), args)
}

fn org_unit(row: &Row) -> Result<OrgUnit, Failure> {
    Ok(OrgUnit {
        id: row.text("id")?,
        uid: row.text("uid")?,
        display_name: row.text("display_name")?,
        parent: row.text("parent")?,
        revision: row.i64("revision")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

/// The unit with this id, if the scope holds it.
pub(crate) async fn get(
    conn: &mut Conn,
    scope: &RowScope,
    id: &str,
) -> Result<Option<OrgUnit>, Failure> {
    if !access::sees(scope, id) {
        return Ok(None);
    }
    let sql = Sql::assembled(format!("SELECT {COLUMNS} FROM org_units WHERE id = $1"));
    conn.fetch_optional(sql, args![id])
        .await?
        .map(|row| org_unit(&row))
        .transpose()
}

/// Up to `limit` units of the scope after `after`, by id.
pub(crate) async fn list(
    conn: &mut Conn,
    scope: &RowScope,
    after: &str,
    limit: usize,
) -> Result<Vec<OrgUnit>, Failure> {
    let (narrow, args) = narrow_by("id", scope, args![after, limit as i64]);
    let sql = Sql::assembled(format!(
        "SELECT {COLUMNS} FROM org_units WHERE id > $1{narrow} ORDER BY id LIMIT $2"
    ));
    conn.fetch_all(sql, args)
        .await?
        .iter()
        .map(org_unit)
        .collect()
}

/// Every unit, by id; at most [`crate::domain::MAX_ORG_UNITS`].
pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<OrgUnit>, Failure> {
    list(conn, &RowScope::All, "", crate::domain::MAX_ORG_UNITS).await
}

/// The tree: every unit's parent, empty at the top.
pub(crate) async fn parents(conn: &mut Conn) -> Result<BTreeMap<String, String>, Failure> {
    let rows = conn
        .fetch_all("SELECT id, parent FROM org_units", args![])
        .await?;
    rows.iter()
        .map(|row| Ok((row.text("id")?, row.text("parent")?)))
        .collect()
}

/// Whether there is a unit with this id.
pub(crate) async fn exists(conn: &mut Conn, id: &str) -> Result<bool, Failure> {
    let row = conn
        .fetch_optional("SELECT id FROM org_units WHERE id = $1", args![id])
        .await?;
    Ok(row.is_some())
}

/// Adds a unit.
pub(crate) async fn insert(tx: &mut Tx, unit: &OrgUnit) -> Result<(), Failure> {
    let inserted = tx
        .execute(
            "INSERT INTO org_units (id, uid, display_name, parent, revision, create_time, \
             update_time) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            args![
                &unit.id,
                &unit.uid,
                &unit.display_name,
                &unit.parent,
                unit.revision,
                unit.create_time,
                unit.update_time
            ],
        )
        .await;
    taken(inserted, &format!("orgUnits/{}", unit.id)).map(drop)
}

/// Writes a unit that still has the revision `was`; whether it had.
pub(crate) async fn update(tx: &mut Tx, unit: &OrgUnit, was: i64) -> Result<bool, Failure> {
    let touched = tx
        .execute(
            "UPDATE org_units SET display_name = $1, parent = $2, revision = $3, \
             update_time = $4 WHERE id = $5 AND revision = $6",
            args![
                &unit.display_name,
                &unit.parent,
                unit.revision,
                unit.update_time,
                &unit.id,
                was
            ],
        )
        .await?;
    Ok(touched == 1)
}
