//! Match rule sets: every version kept, and which are in force.

use jinke_store::{Conn, Row, Tx, args, counter};
use jinke_types::{Failure, PartyKind, Timestamp};

use super::state;
use crate::domain::damaged;

/// A version of a rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSetRow {
    /// Its number; 0 while it is not stored.
    pub id: i64,
    /// Which parties it is for.
    pub kind: PartyKind,
    /// The version its file states.
    pub version: String,
    /// That and the hash of its text.
    pub full_version: String,
    /// Its file.
    pub text: String,
    /// `configured`, `trained` or `written`.
    pub origin: String,
    /// Who made it.
    pub creator: String,
    /// When.
    pub create_time: Timestamp,
    /// When it was last put in force.
    pub activate_time: Option<Timestamp>,
}

const COLUMNS: &str =
    "id, kind, version, full_version, text, origin, creator, create_time, activate_time";

fn code(kind: PartyKind) -> i64 {
    match kind {
        PartyKind::Organization => 1,
        PartyKind::Person => 2,
    }
}

fn row(r: &Row) -> Result<RuleSetRow, Failure> {
    Ok(RuleSetRow {
        id: r.i64("id")?,
        kind: match r.i64("kind")? {
            1 => PartyKind::Organization,
            2 => PartyKind::Person,
            _ => return Err(damaged("rule set")),
        },
        version: r.text("version")?,
        full_version: r.text("full_version")?,
        text: r.text("text")?,
        origin: r.text("origin")?,
        creator: r.text("creator")?,
        create_time: r.time("create_time")?,
        activate_time: r.opt_time("activate_time")?,
    })
}

/// One version.
pub async fn get(conn: &mut Conn, id: i64) -> Result<Option<RuleSetRow>, Failure> {
    let text = format!("SELECT {COLUMNS} FROM rule_sets WHERE id = $1");
    conn.fetch_optional(jinke_store::Sql::assembled(text), args![id])
        .await?
        .map(|r| row(&r))
        .transpose()
}

/// The version with this text.
pub async fn by_full_version(
    conn: &mut Conn,
    kind: PartyKind,
    full_version: &str,
) -> Result<Option<RuleSetRow>, Failure> {
    let text = format!("SELECT {COLUMNS} FROM rule_sets WHERE kind = $1 AND full_version = $2");
    conn.fetch_optional(
        jinke_store::Sql::assembled(text),
        args![code(kind), full_version],
    )
    .await?
    .map(|r| row(&r))
    .transpose()
}

/// All versions, newest first. People make them one by one, so they are few.
pub async fn all(conn: &mut Conn) -> Result<Vec<RuleSetRow>, Failure> {
    let text = format!("SELECT {COLUMNS} FROM rule_sets ORDER BY id DESC LIMIT 1000");
    conn.fetch_all(jinke_store::Sql::assembled(text), args![])
        .await?
        .iter()
        .map(row)
        .collect()
}

/// Keeps a version; the one that is kept already when the text is known.
pub async fn insert(tx: &mut Tx, set: &RuleSetRow) -> Result<RuleSetRow, Failure> {
    if let Some(known) = by_full_version(tx, set.kind, &set.full_version).await? {
        return Ok(known);
    }
    let id = counter::take(tx, "rule_sets", 1).await?;
    tx.execute(
        "INSERT INTO rule_sets (id, kind, version, full_version, text, origin, creator, \
         create_time, activate_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            id,
            code(set.kind),
            &set.version,
            &set.full_version,
            &set.text,
            &set.origin,
            &set.creator,
            set.create_time,
            set.activate_time
        ],
    )
    .await?;
    Ok(RuleSetRow { id, ..set.clone() })
}

const fn active_name(kind: PartyKind) -> &'static str {
    match kind {
        PartyKind::Organization => "active_organization",
        PartyKind::Person => "active_person",
    }
}

/// The versions in force for organizations and persons; 0 where it is the configured one.
pub async fn active(conn: &mut Conn) -> Result<(i64, i64), Failure> {
    let rows = conn
        .fetch_all(
            "SELECT name, value FROM engine_state \
             WHERE name IN ('active_organization', 'active_person')",
            args![],
        )
        .await?;
    let mut out = (0, 0);
    for r in rows {
        let id = r.text("value")?.parse().map_err(|_| damaged("rule set"))?;
        if r.text("name")? == active_name(PartyKind::Organization) {
            out.0 = id;
        } else {
            out.1 = id;
        }
    }
    Ok(out)
}

/// Puts a version in force.
pub async fn activate(tx: &mut Tx, set: &RuleSetRow, now: Timestamp) -> Result<(), Failure> {
    state::set(tx, active_name(set.kind), &set.id.to_string()).await?;
    tx.execute(
        "UPDATE rule_sets SET activate_time = $1 WHERE id = $2",
        args![now, set.id],
    )
    .await?;
    Ok(())
}

/// The configured versions are in force.
pub async fn reset(tx: &mut Tx) -> Result<(), Failure> {
    tx.execute(
        "DELETE FROM engine_state WHERE name IN ('active_organization', 'active_person')",
        args![],
    )
    .await?;
    Ok(())
}
