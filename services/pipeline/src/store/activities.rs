//! Activities: the head with what it belongs to, and versions that are only ever added.

use jinke_store::{Conn, Row, Rows, Tx, args, keys::KeyRing};
use jinke_types::{Failure, Timestamp};

use super::Query;
use crate::{
    access::Sight,
    domain::{Activity, ActivityPrivate},
    engine::open,
};

/// Begins a list of activities as their newest versions are.
pub const SELECT: &str = "SELECT t.id, t.kind, t.customer, t.opportunity, t.lead, t.owner, \
     t.org_unit, t.source, t.external_id, t.version AS newest, t.data_key, v.version, v.time, \
     v.duration, v.channel, v.inbound, v.retracted, v.sealed, v.creator, v.create_time, \
     t.erase_time, COALESCE(x.current, t.customer) AS current_customer FROM activities t \
     JOIN activity_versions v ON v.activity = t.id AND v.version = t.version \
     LEFT JOIN crosswalk x ON x.address = t.customer WHERE 1 = 1";

/// The same for all versions.
const SELECT_VERSIONS: &str = "SELECT t.id, t.kind, t.customer, t.opportunity, t.lead, t.owner, \
     t.org_unit, t.source, t.external_id, t.version AS newest, t.data_key, v.version, v.time, \
     v.duration, v.channel, v.inbound, v.retracted, v.sealed, v.creator, v.create_time, \
     t.erase_time, COALESCE(x.current, t.customer) AS current_customer FROM activities t \
     JOIN activity_versions v ON v.activity = t.id \
     LEFT JOIN crosswalk x ON x.address = t.customer WHERE 1 = 1";

/// Where a version's values are sealed.
pub fn place(id: i64, version: i64) -> String {
    format!("activities/{id}/versions/{version}")
}

/// An activity out of its row.
///
/// # Errors
/// `DATA_LOSS` when it is damaged.
pub fn activity(row: &Row, ring: &KeyRing) -> Result<Activity, Failure> {
    let (id, version) = (row.i64("id")?, row.i64("version")?);
    let data_key = row.bytes("data_key")?;
    let sealed = row.bytes("sealed")?;
    let private = if sealed.is_empty() {
        // It was destroyed.
        ActivityPrivate::default()
    } else {
        open(ring, &data_key, &place(id, version), &sealed)?
    };
    Ok(Activity {
        id,
        kind: row.i64("kind")?,
        customer: row.opt_i64("customer")?,
        current: row.opt_i64("current_customer")?,
        opportunity: row.opt_i64("opportunity")?,
        lead: row.opt_i64("lead")?,
        time: row.time("time")?,
        duration: row.i64("duration")?,
        channel: row.text("channel")?,
        inbound: row.bool("inbound")?,
        owner: row.text("owner")?,
        org_unit: row.text("org_unit")?,
        foreign: row.opt_text("source")?.zip(row.opt_text("external_id")?),
        version,
        newest: row.i64("newest")?,
        retracted: row.bool("retracted")?,
        data_key,
        private,
        creator: row.text("creator")?,
        create_time: row.time("create_time")?,
        erase_time: row.opt_time("erase_time")?,
    })
}

/// Activities by number, as far as they are seen.
///
/// # Errors
/// Those of the store.
pub async fn get(
    conn: &mut Conn,
    ring: &KeyRing,
    sight: &Sight,
    ids: &[i64],
) -> Result<Vec<Activity>, Failure> {
    let mut q = Query::new(SELECT);
    q.seen(sight).add(" AND t.id IN LIST(?)", args![ids]);
    q.add(" ORDER BY t.id", []);
    let rows = q.fetch(conn).await?;
    rows.iter().map(|row| activity(row, ring)).collect()
}

/// Versions of an activity before a number (0: all), newest first.
///
/// # Errors
/// Those of the store.
pub async fn versions(
    conn: &mut Conn,
    ring: &KeyRing,
    sight: &Sight,
    id: i64,
    before: i64,
    limit: u32,
) -> Result<Vec<Activity>, Failure> {
    let before = if before == 0 { i64::MAX } else { before };
    let mut q = Query::new(SELECT_VERSIONS);
    q.seen(sight)
        .add(" AND t.id = ? AND v.version < ?", args![id, before]);
    q.add(" ORDER BY v.version DESC LIMIT ?", args![limit]);
    let rows = q.fetch(conn).await?;
    rows.iter().map(|row| activity(row, ring)).collect()
}

/// Takes hold of an activity until the transaction ends.
///
/// # Errors
/// Those of the store.
pub async fn lock(tx: &mut Tx, ring: &KeyRing, id: i64) -> Result<Option<Activity>, Failure> {
    tx.execute(
        "UPDATE activities SET version = version WHERE id = $1",
        args![id],
    )
    .await?;
    Ok(get(tx, ring, &Sight::All, &[id]).await?.pop())
}

/// The activity of a foreign key.
///
/// # Errors
/// Those of the store.
pub async fn of_foreign(
    conn: &mut Conn,
    source: &str,
    external_id: &str,
) -> Result<Option<i64>, Failure> {
    conn.fetch_optional(
        "SELECT id FROM activities WHERE source = $1 AND external_id = $2",
        args![source, external_id],
    )
    .await?
    .map(|row| row.i64("id"))
    .transpose()
}

/// Adds a version, and the activity with its first one.
///
/// # Errors
/// Those of the store.
pub async fn add(tx: &mut Tx, a: &Activity, sealed: Vec<u8>) -> Result<(), Failure> {
    let (source, external_id) = a.foreign.clone().unzip();
    let mut rows = Rows::new(&[
        "id",
        "kind",
        "customer",
        "opportunity",
        "lead",
        "time",
        "owner",
        "org_unit",
        "source",
        "external_id",
        "version",
        "retracted",
        "data_key",
    ]);
    rows.push(args![
        a.id,
        a.kind,
        a.customer,
        a.opportunity,
        a.lead,
        a.time,
        &a.owner,
        &a.org_unit,
        source,
        external_id,
        a.version,
        a.retracted,
        &a.data_key,
    ]);
    tx.insert_many(
        "activities",
        rows,
        "ON CONFLICT (id) DO UPDATE SET time = excluded.time, version = excluded.version, \
         retracted = excluded.retracted",
    )
    .await?;
    let mut rows = Rows::new(&[
        "activity",
        "version",
        "time",
        "duration",
        "channel",
        "inbound",
        "retracted",
        "sealed",
        "creator",
        "create_time",
    ]);
    rows.push(args![
        a.id,
        a.version,
        a.time,
        a.duration,
        &a.channel,
        a.inbound,
        a.retracted,
        sealed,
        &a.creator,
        a.create_time,
    ]);
    tx.insert_many("activity_versions", rows, "").await?;
    Ok(())
}

/// Destroys what all versions of an activity say, and its key; `data_key` is for later versions.
/// Without `keep_foreign` its foreign key goes too.
///
/// # Errors
/// Those of the store.
pub async fn erase(
    tx: &mut Tx,
    id: i64,
    data_key: &[u8],
    keep_foreign: bool,
    now: Timestamp,
) -> Result<(), Failure> {
    tx.execute(
        "UPDATE activities SET data_key = $2, erase_time = $3 WHERE id = $1",
        args![id, data_key, now],
    )
    .await?;
    if !keep_foreign {
        tx.execute(
            "UPDATE activities SET source = NULL, external_id = NULL WHERE id = $1",
            args![id],
        )
        .await?;
    }
    tx.execute(
        "UPDATE activity_versions SET sealed = $2 WHERE activity = $1",
        args![id, Vec::<u8>::new()],
    )
    .await?;
    Ok(())
}
