//! Leads.

use std::collections::BTreeMap;

use jinke_store::{Conn, Row, Rows, Tx, args, keys::KeyRing};
use jinke_types::Failure;

use super::Query;
use crate::{
    access::Sight,
    domain::{FirstTouch, Lead, damaged, join, lead_state, outcome, split},
    engine::open,
};

const COLUMNS: &[&str] = &[
    "id",
    "company",
    "uscc",
    "region",
    "channel",
    "campaign",
    "touch_time",
    "source",
    "external_id",
    "state",
    "owner",
    "org_unit",
    "assign_cause",
    "assign_rule",
    "assign_time",
    "assign_actor",
    "match_result",
    "customer",
    "candidates",
    "opportunity",
    "reason",
    "currency",
    "units",
    "nanos",
    "data_key",
    "sealed",
    "revision",
    "creator",
    "create_time",
    "update_time",
    "state_time",
    "erase_time",
];

const SAVE: &str = "ON CONFLICT (id) DO UPDATE SET company = excluded.company, uscc = excluded.uscc, region = excluded.region, \
     channel = excluded.channel, campaign = excluded.campaign, \
     source = excluded.source, external_id = excluded.external_id, \
     touch_time = excluded.touch_time, state = excluded.state, \
     owner = excluded.owner, org_unit = excluded.org_unit, \
     assign_cause = excluded.assign_cause, assign_rule = excluded.assign_rule, \
     assign_time = excluded.assign_time, assign_actor = excluded.assign_actor, \
     match_result = excluded.match_result, customer = excluded.customer, \
     candidates = excluded.candidates, opportunity = excluded.opportunity, \
     reason = excluded.reason, currency = excluded.currency, units = excluded.units, \
     nanos = excluded.nanos, data_key = excluded.data_key, sealed = excluded.sealed, \
     revision = excluded.revision, update_time = excluded.update_time, \
     state_time = excluded.state_time, erase_time = excluded.erase_time";

/// Begins a list of leads.
pub const SELECT: &str = "SELECT t.*, COALESCE(x.current, t.customer) AS current_customer \
     FROM leads t LEFT JOIN crosswalk x ON x.address = t.customer WHERE 1 = 1";

/// Where a lead's values are sealed.
pub fn place(id: i64) -> String {
    format!("leads/{id}")
}

/// A lead out of its row.
///
/// # Errors
/// `DATA_LOSS` when it is damaged.
pub fn lead(row: &Row, ring: &KeyRing) -> Result<Lead, Failure> {
    let id = row.i64("id")?;
    let private = match (row.opt_bytes("data_key")?, row.opt_bytes("sealed")?) {
        (Some(key), Some(sealed)) => Some(open(ring, &key, &place(id), &sealed)?),
        _ => None,
    };
    let foreign = row.opt_text("source")?.zip(row.opt_text("external_id")?);
    Ok(Lead {
        id,
        company: row.text("company")?,
        uscc: row.text("uscc")?,
        region: row.text("region")?,
        touch: FirstTouch {
            channel: row.text("channel")?,
            campaign: row.text("campaign")?,
            time: row.opt_time("touch_time")?,
        },
        foreign,
        state: row.i64("state")?,
        owner: row.text("owner")?,
        org_unit: row.text("org_unit")?,
        assign_cause: row.i64("assign_cause")?,
        assign_rule: row.text("assign_rule")?,
        assign_time: row.time("assign_time")?,
        assign_actor: row.text("assign_actor")?,
        match_result: row.i64("match_result")?,
        customer: row.opt_i64("customer")?,
        current: row.opt_i64("current_customer")?,
        candidates: serde_json::from_str(&row.text("candidates")?).map_err(|_| damaged("lead"))?,
        opportunity: row.opt_i64("opportunity")?,
        reason: row.text("reason")?,
        estimate: join(row.text("currency")?, row.i64("units")?, row.i64("nanos")?),
        private,
        revision: row.i64("revision")?,
        creator: row.text("creator")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
        state_time: row.time("state_time")?,
        erase_time: row.opt_time("erase_time")?,
    })
}

/// Leads by number, as far as they are seen.
///
/// # Errors
/// Those of the store.
pub async fn get(
    conn: &mut Conn,
    ring: &KeyRing,
    sight: &Sight,
    ids: &[i64],
) -> Result<Vec<Lead>, Failure> {
    let mut q = Query::new(SELECT);
    q.seen(sight).add(" AND t.id IN LIST(?)", args![ids]);
    q.add(" ORDER BY t.id", []);
    let rows = q.fetch(conn).await?;
    rows.iter().map(|row| lead(row, ring)).collect()
}

/// Takes hold of a lead until the transaction ends.
///
/// # Errors
/// Those of the store.
pub async fn lock(tx: &mut Tx, ring: &KeyRing, id: i64) -> Result<Option<Lead>, Failure> {
    tx.execute(
        "UPDATE leads SET revision = revision WHERE id = $1",
        args![id],
    )
    .await?;
    Ok(get(tx, ring, &Sight::All, &[id]).await?.pop())
}

/// The lead of a foreign key.
///
/// # Errors
/// Those of the store.
pub async fn of_foreign(
    conn: &mut Conn,
    source: &str,
    external_id: &str,
) -> Result<Option<i64>, Failure> {
    conn.fetch_optional(
        "SELECT id FROM leads WHERE source = $1 AND external_id = $2",
        args![source, external_id],
    )
    .await?
    .map(|row| row.i64("id"))
    .transpose()
}

/// Writes a lead. `sealed` is its wrapped key and sealed values.
///
/// # Errors
/// Those of the store.
pub async fn save(
    tx: &mut Tx,
    l: &Lead,
    sealed: Option<(Vec<u8>, Vec<u8>)>,
) -> Result<(), Failure> {
    let (currency, units, nanos) = split(l.estimate.as_ref());
    let (source, external_id) = l.foreign.clone().unzip();
    let (data_key, sealed) = sealed.unzip();
    let candidates = serde_json::to_string(&l.candidates).map_err(Failure::internal)?;
    let mut rows = Rows::new(COLUMNS);
    rows.push(args![
        l.id,
        &l.company,
        &l.uscc,
        &l.region,
        &l.touch.channel,
        &l.touch.campaign,
        l.touch.time.unwrap_or(l.create_time),
        source,
        external_id,
        l.state,
        &l.owner,
        &l.org_unit,
        l.assign_cause,
        &l.assign_rule,
        l.assign_time,
        &l.assign_actor,
        l.match_result,
        l.customer,
        candidates,
        l.opportunity,
        &l.reason,
        currency,
        units,
        nanos,
        data_key,
        sealed,
        l.revision,
        &l.creator,
        l.create_time,
        l.update_time,
        l.state_time,
        l.erase_time,
    ]);
    tx.insert_many("leads", rows, SAVE).await?;
    Ok(())
}

/// The wrapped key of a lead that is not erased.
///
/// # Errors
/// Those of the store.
pub async fn data_key(conn: &mut Conn, id: i64) -> Result<Option<Vec<u8>>, Failure> {
    match conn
        .fetch_optional("SELECT data_key FROM leads WHERE id = $1", args![id])
        .await?
    {
        Some(row) => row.opt_bytes("data_key"),
        None => Ok(None),
    }
}

/// Open leads by owner.
///
/// # Errors
/// Those of the store.
pub async fn loads(conn: &mut Conn, owners: &[String]) -> Result<BTreeMap<String, i64>, Failure> {
    conn.fetch_all(
        "SELECT owner, COUNT(*) AS n FROM leads WHERE owner IN LIST($1) AND state IN LIST($2) \
         GROUP BY owner ORDER BY owner",
        args![owners, vec![lead_state::NEW, lead_state::QUALIFIED]],
    )
    .await?
    .iter()
    .map(|row| Ok((row.text("owner")?, row.i64("n")?)))
    .collect()
}

/// Who owns what a customer has here, by all its addresses: `(owner, org unit)` of his newest open
/// opportunity, else of his newest opportunity, else of his newest lead.
///
/// # Errors
/// Those of the store.
pub async fn owner_of_customer(
    conn: &mut Conn,
    all: &[i64],
) -> Result<Option<(String, String)>, Failure> {
    let open = conn
        .fetch_optional(
            "SELECT owner, org_unit FROM opportunities WHERE customer IN LIST($1) \
             AND owner <> '' ORDER BY CASE WHEN outcome = $2 THEN 0 ELSE 1 END, id DESC LIMIT 1",
            args![all, outcome::OPEN],
        )
        .await?;
    let row = match open {
        Some(row) => Some(row),
        None => {
            conn.fetch_optional(
                "SELECT owner, org_unit FROM leads WHERE customer IN LIST($1) AND owner <> '' \
                 ORDER BY id DESC LIMIT 1",
                args![all],
            )
            .await?
        }
    };
    row.map(|row| Ok((row.text("owner")?, row.text("org_unit")?)))
        .transpose()
}

/// The lead with the earliest first touch among those at these addresses, as far as they are seen.
///
/// # Errors
/// Those of the store.
pub async fn first_touch(
    conn: &mut Conn,
    ring: &KeyRing,
    sight: &Sight,
    addresses: &[i64],
) -> Result<Option<Lead>, Failure> {
    let mut q = Query::new(SELECT);
    q.seen(sight)
        .add(" AND t.customer IN LIST(?)", args![addresses])
        .add(" ORDER BY t.touch_time, t.id LIMIT 1", []);
    let row = q.fetch_first(conn).await?;
    row.map(|row| lead(&row, ring)).transpose()
}
