//! The whole state of access, the counts of failed logins, and notes of the service itself.

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::{Conn, Row, Tx, args, changelog};
use jinke_types::{Failure, Timestamp};

use super::{grants, org_units, sessions, signing_keys};
use crate::{
    domain::{AccessState, Member},
    throttle::Count,
};

/// Reads the state of access. `conn` must see one moment (`Database::snapshot`, or a write
/// transaction), so that the version and the rows belong together.
///
/// What has expired is left out: two states of one version may differ by that, and by nothing
/// that matters.
pub(crate) async fn access(conn: &mut Conn, now: Timestamp) -> Result<AccessState, Failure> {
    // A verifier accepts a token a little longer than it lives, so revocations stay as long.
    let leeway = std::time::Duration::from_secs(jinke_kit::token::LEEWAY_SECS.unsigned_abs());
    let mut state = AccessState {
        version: changelog::head(conn).await?,
        bindings: grants::bindings(conn).await?,
        policies: grants::policies(conn).await?,
        org_units: org_units::all(conn).await?,
        signing_keys: signing_keys::valid(conn, now).await?,
        revoked_sessions: sessions::revoked(conn, now.minus(leeway))
            .await?
            .into_iter()
            .collect(),
        ..AccessState::default()
    };
    let users = conn
        .fetch_all(
            "SELECT id, disabled, org_unit FROM users WHERE disabled <> 0 OR org_unit <> ''",
            args![],
        )
        .await?;
    members(
        &users,
        Member::User,
        &mut state.disabled,
        &mut state.member_org_units,
    )?;
    let accounts = conn
        .fetch_all(
            "SELECT id, disabled, org_unit FROM service_accounts \
             WHERE disabled <> 0 OR org_unit <> ''",
            args![],
        )
        .await?;
    members(
        &accounts,
        Member::ServiceAccount,
        &mut state.disabled,
        &mut state.member_org_units,
    )?;
    Ok(state)
}

fn members(
    rows: &[Row],
    make: fn(String) -> Member,
    disabled: &mut BTreeSet<Member>,
    org_units: &mut BTreeMap<Member, String>,
) -> Result<(), Failure> {
    for row in rows {
        let member = make(row.text("id")?);
        let org_unit = row.text("org_unit")?;
        if row.bool("disabled")? {
            disabled.insert(member.clone());
        }
        if !org_unit.is_empty() {
            org_units.insert(member, org_unit);
        }
    }
    Ok(())
}

/// The failures counted for a subject. Holds its row until the transaction ends; a subject that
/// has none yet gets one without failures.
pub(crate) async fn count(
    tx: &mut Tx,
    subject: i64,
    now: Timestamp,
) -> Result<Option<Count>, Failure> {
    let row = tx
        .fetch_one(
            "INSERT INTO login_throttle (subject, failures, count_time, blocked_until) \
             VALUES ($1, 0, $2, 0) \
             ON CONFLICT (subject) DO UPDATE SET failures = login_throttle.failures \
             RETURNING failures, count_time, blocked_until",
            args![subject, now],
        )
        .await?;
    let count = Count {
        failures: row.i64("failures")?,
        count_time: row.time("count_time")?,
        blocked_until: row.time("blocked_until")?,
    };
    Ok((count.failures > 0).then_some(count))
}

/// Writes the failures counted for a subject.
pub(crate) async fn set_count(tx: &mut Tx, subject: i64, count: Count) -> Result<(), Failure> {
    tx.execute(
        "UPDATE login_throttle SET failures = $1, count_time = $2, blocked_until = $3 \
         WHERE subject = $4",
        args![
            count.failures,
            count.count_time,
            count.blocked_until,
            subject
        ],
    )
    .await
    .map(drop)
}

/// Forgets the failures of a subject.
pub(crate) async fn clear_count(tx: &mut Tx, subject: i64) -> Result<(), Failure> {
    tx.execute(
        "DELETE FROM login_throttle WHERE subject = $1",
        args![subject],
    )
    .await
    .map(drop)
}

/// Gives one failure of a subject back.
pub(crate) async fn give_back(tx: &mut Tx, subject: i64) -> Result<(), Failure> {
    tx.execute(
        "UPDATE login_throttle SET failures = failures - 1 WHERE subject = $1 AND failures > 0",
        args![subject],
    )
    .await
    .map(drop)
}

/// Forgets subjects whose pause is over and whose failures were last counted before `before`;
/// how many.
pub(crate) async fn purge_counts(
    tx: &mut Tx,
    before: Timestamp,
    now: Timestamp,
) -> Result<u64, Failure> {
    tx.execute(
        "DELETE FROM login_throttle WHERE count_time < $1 AND blocked_until < $2",
        args![before, now],
    )
    .await
}

/// A note of the service itself.
pub(crate) async fn note(conn: &mut Conn, name: &'static str) -> Result<Option<String>, Failure> {
    conn.fetch_optional(
        "SELECT value FROM identity_state WHERE name = $1",
        args![name],
    )
    .await?
    .map(|row| row.text("value"))
    .transpose()
}

/// Writes a note of the service itself.
pub(crate) async fn set_note(tx: &mut Tx, name: &'static str, value: &str) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO identity_state (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        args![name, value],
    )
    .await
    .map(drop)
}
