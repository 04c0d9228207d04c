//! Opportunities and their transitions.

use jinke_store::{
    Conn, Row, Rows, Tx, args,
    keys::{DataKey, KeyRing},
};
use jinke_types::{Failure, Timestamp};

use super::Query;
use crate::{
    access::Sight,
    domain::{
        Contact, FirstTouch, Opportunity, OpportunityPrivate, Transition, damaged, join, outcome,
        split,
    },
    engine::open,
};

const COLUMNS: &[&str] = &[
    "id",
    "display_name",
    "customer",
    "pipeline",
    "version",
    "stage",
    "reached",
    "outcome",
    "currency",
    "units",
    "nanos",
    "close_date",
    "line_items",
    "contacts",
    "checked",
    "owner",
    "org_unit",
    "lead",
    "channel",
    "campaign",
    "first_touch_time",
    "reason",
    "outcome_time",
    "stage_time",
    "touch_time",
    "stale_time",
    "overdue_time",
    "transitions",
    "data_key",
    "sealed",
    "revision",
    "creator",
    "create_time",
    "update_time",
    "erase_time",
];

const SAVE: &str = "ON CONFLICT (id) DO UPDATE SET display_name = excluded.display_name, customer = excluded.customer, \
     pipeline = excluded.pipeline, version = excluded.version, \
     stage = excluded.stage, reached = excluded.reached, outcome = excluded.outcome, \
     currency = excluded.currency, units = excluded.units, nanos = excluded.nanos, \
     close_date = excluded.close_date, line_items = excluded.line_items, \
     contacts = excluded.contacts, checked = excluded.checked, \
     owner = excluded.owner, org_unit = excluded.org_unit, \
     channel = excluded.channel, campaign = excluded.campaign, \
     first_touch_time = excluded.first_touch_time, reason = excluded.reason, \
     outcome_time = excluded.outcome_time, stage_time = excluded.stage_time, \
     touch_time = excluded.touch_time, stale_time = excluded.stale_time, \
     overdue_time = excluded.overdue_time, transitions = excluded.transitions, \
     data_key = excluded.data_key, sealed = excluded.sealed, revision = excluded.revision, \
     update_time = excluded.update_time, erase_time = excluded.erase_time";

/// Begins a list of opportunities.
pub const SELECT: &str = "SELECT t.*, COALESCE(x.current, t.customer) AS current_customer \
     FROM opportunities t LEFT JOIN crosswalk x ON x.address = t.customer WHERE 1 = 1";

/// Where an opportunity's values are sealed.
pub fn place(id: i64) -> String {
    format!("opportunities/{id}")
}

fn json<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T, Failure> {
    serde_json::from_str(&row.text(column)?).map_err(|_| damaged("opportunity"))
}

/// An opportunity out of its row.
///
/// # Errors
/// `DATA_LOSS` when it is damaged.
pub fn opportunity(row: &Row, ring: &KeyRing) -> Result<Opportunity, Failure> {
    let id = row.i64("id")?;
    let data_key = row.bytes("data_key")?;
    let private: OpportunityPrivate = open(ring, &data_key, &place(id), &row.bytes("sealed")?)?;
    Ok(Opportunity {
        id,
        display_name: row.text("display_name")?,
        customer: row.i64("customer")?,
        current: row.i64("current_customer")?,
        pipeline: row.text("pipeline")?,
        version: row.i64("version")?,
        stage: row.text("stage")?,
        reached: row.text("reached")?,
        outcome: row.i64("outcome")?,
        amount: join(row.text("currency")?, row.i64("units")?, row.i64("nanos")?),
        close_date: Some(row.text("close_date")?).filter(|d| !d.is_empty()),
        line_items: json(row, "line_items")?,
        contacts: json(row, "contacts")?,
        checked: json(row, "checked")?,
        owner: row.text("owner")?,
        org_unit: row.text("org_unit")?,
        lead: row.opt_i64("lead")?,
        touch: FirstTouch {
            channel: row.text("channel")?,
            campaign: row.text("campaign")?,
            time: row.opt_time("first_touch_time")?,
        },
        reason: row.text("reason")?,
        outcome_time: row.opt_time("outcome_time")?,
        stage_time: row.time("stage_time")?,
        touch_time: row.time("touch_time")?,
        stale_time: row.time("stale_time")?,
        overdue_time: row.time("overdue_time")?,
        transitions: row.i64("transitions")?,
        data_key,
        private,
        revision: row.i64("revision")?,
        creator: row.text("creator")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
        erase_time: row.opt_time("erase_time")?,
    })
}

/// Opportunities by number, as far as they are seen.
///
/// # Errors
/// Those of the store.
pub async fn get(
    conn: &mut Conn,
    ring: &KeyRing,
    sight: &Sight,
    ids: &[i64],
) -> Result<Vec<Opportunity>, Failure> {
    let mut q = Query::new(SELECT);
    q.seen(sight).add(" AND t.id IN LIST(?)", args![ids]);
    q.add(" ORDER BY t.id", []);
    let rows = q.fetch(conn).await?;
    rows.iter().map(|row| opportunity(row, ring)).collect()
}

/// Takes hold of an opportunity until the transaction ends.
///
/// # Errors
/// Those of the store.
pub async fn lock(tx: &mut Tx, ring: &KeyRing, id: i64) -> Result<Option<Opportunity>, Failure> {
    tx.execute(
        "UPDATE opportunities SET revision = revision WHERE id = $1",
        args![id],
    )
    .await?;
    Ok(get(tx, ring, &Sight::All, &[id]).await?.pop())
}

/// Writes an opportunity with its sealed values.
///
/// # Errors
/// Those of the store.
pub async fn save(tx: &mut Tx, o: &Opportunity, sealed: Vec<u8>) -> Result<(), Failure> {
    let (currency, units, nanos) = split(o.amount.as_ref());
    let text = |v: Result<String, serde_json::Error>| v.map_err(Failure::internal);
    let mut rows = Rows::new(COLUMNS);
    rows.push(args![
        o.id,
        &o.display_name,
        o.customer,
        &o.pipeline,
        o.version,
        &o.stage,
        &o.reached,
        o.outcome,
        currency,
        units,
        nanos,
        o.close_date.as_deref().unwrap_or_default(),
        text(serde_json::to_string(&o.line_items))?,
        text(serde_json::to_string(&o.contacts))?,
        text(serde_json::to_string(&o.checked))?,
        &o.owner,
        &o.org_unit,
        o.lead,
        &o.touch.channel,
        &o.touch.campaign,
        o.touch.time,
        &o.reason,
        o.outcome_time,
        o.stage_time,
        o.touch_time,
        o.stale_time,
        o.overdue_time,
        o.transitions,
        &o.data_key,
        sealed,
        o.revision,
        &o.creator,
        o.create_time,
        o.update_time,
        o.erase_time,
    ]);
    tx.insert_many("opportunities", rows, SAVE).await?;
    Ok(())
}

/// Notes that somebody did something with it, so that it is not stale. It is no change of its own.
///
/// # Errors
/// Those of the store.
pub async fn touch(tx: &mut Tx, id: i64, now: Timestamp) -> Result<(), Failure> {
    tx.execute(
        "UPDATE opportunities SET stale_time = CASE WHEN stale_time = $3 THEN stale_time \
         ELSE stale_time + ($2 - touch_time) END, touch_time = $2 \
         WHERE id = $1 AND touch_time < $2",
        args![id, now, i64::MAX],
    )
    .await?;
    Ok(())
}

/// Takes back that writing it touched it: `(touch_time, stale_time)` as they were.
///
/// # Errors
/// Those of the store.
pub async fn untouch(
    tx: &mut Tx,
    id: i64,
    (touch, stale): (Timestamp, Timestamp),
) -> Result<(), Failure> {
    tx.execute(
        "UPDATE opportunities SET touch_time = $2, stale_time = $3 WHERE id = $1",
        args![id, touch, stale],
    )
    .await?;
    Ok(())
}

/// Another rest is allowed in this pipeline: open opportunities are stale at another time.
///
/// # Errors
/// Those of the store.
pub async fn restale(tx: &mut Tx, pipeline: &str, after: i64) -> Result<(), Failure> {
    tx.execute(
        "UPDATE opportunities SET stale_time = CASE WHEN CAST($2 AS BIGINT) = 0 THEN $3 \
         ELSE touch_time + $2 END WHERE pipeline = $1 AND outcome = $4",
        args![pipeline, after, i64::MAX, outcome::OPEN],
    )
    .await?;
    Ok(())
}

const TRANSITION: &[&str] = &[
    "opportunity",
    "no",
    "kind",
    "from_pipeline",
    "pipeline",
    "from_version",
    "to_version",
    "from_stage",
    "to_stage",
    "actor",
    "cause",
    "reason",
    "currency",
    "units",
    "nanos",
    "revision",
    "time",
];

fn cause_place(opportunity: i64, no: i64) -> String {
    format!("opportunities/{opportunity}/transitions/{no}")
}

/// Notes a transition. Its cause is sealed with the opportunity's key.
///
/// # Errors
/// Those of the store.
pub async fn add_transition(
    tx: &mut Tx,
    t: &Transition,
    key: &DataKey,
    entropy: &dyn jinke_types::Entropy,
) -> Result<(), Failure> {
    let (currency, units, nanos) = split(t.amount.as_ref());
    let place = cause_place(t.opportunity, t.no);
    let cause =
        (!t.cause.is_empty()).then(|| key.seal(place.as_bytes(), t.cause.as_bytes(), entropy));
    let mut rows = Rows::new(TRANSITION);
    rows.push(args![
        t.opportunity,
        t.no,
        t.kind,
        &t.from_pipeline,
        &t.pipeline,
        t.from_version,
        t.to_version,
        &t.from_stage,
        &t.to_stage,
        &t.actor,
        cause,
        &t.reason,
        currency,
        units,
        nanos,
        t.revision,
        t.time,
    ]);
    tx.insert_many("transitions", rows, "").await?;
    Ok(())
}

/// Destroys the causes of an opportunity's transitions.
///
/// # Errors
/// Those of the store.
pub async fn forget_causes(tx: &mut Tx, opportunity: i64) -> Result<(), Failure> {
    tx.execute(
        "UPDATE transitions SET cause = NULL WHERE opportunity = $1 AND cause IS NOT NULL",
        args![opportunity],
    )
    .await?;
    Ok(())
}

/// Opportunities that name one of these persons as a contact, in order. It reads the contacts of
/// all opportunities that have any: nothing but an erasure asks this.
///
/// # Errors
/// Those of the store; `DATA_LOSS` for damaged contacts.
pub async fn with_contacts(
    conn: &mut Conn,
    gone: &std::collections::BTreeSet<i64>,
) -> Result<Vec<i64>, Failure> {
    let (mut out, mut after) = (Vec::new(), 0);
    loop {
        let rows = conn
            .fetch_all(
                "SELECT id, contacts FROM opportunities WHERE id > $1 AND contacts <> '[]' \
                 ORDER BY id LIMIT 2000",
                args![after],
            )
            .await?;
        let Some(last) = rows.last() else {
            return Ok(out);
        };
        after = last.i64("id")?;
        for row in &rows {
            let contacts: Vec<Contact> = json(row, "contacts")?;
            if contacts.iter().any(|c| gone.contains(&c.person)) {
                out.push(row.i64("id")?);
            }
        }
    }
}

fn transition(row: &Row, ring: &KeyRing) -> Result<Transition, Failure> {
    let (opportunity, no) = (row.i64("opportunity")?, row.i64("no")?);
    let cause = match row.opt_bytes("cause")? {
        None => String::new(),
        Some(sealed) => {
            let place = cause_place(opportunity, no);
            let plain = ring
                .unwrap(&row.bytes("data_key")?)?
                .open(place.as_bytes(), &sealed)?;
            String::from_utf8(plain).map_err(|_| damaged("transition"))?
        }
    };
    Ok(Transition {
        opportunity,
        no,
        kind: row.i64("kind")?,
        from_pipeline: row.text("from_pipeline")?,
        pipeline: row.text("pipeline")?,
        from_version: row.i64("from_version")?,
        to_version: row.i64("to_version")?,
        from_stage: row.text("from_stage")?,
        to_stage: row.text("to_stage")?,
        actor: row.text("actor")?,
        cause,
        reason: row.text("reason")?,
        amount: join(row.text("currency")?, row.i64("units")?, row.i64("nanos")?),
        revision: row.i64("revision")?,
        time: row.time("time")?,
    })
}

const TRANSITIONS: &str = "SELECT m.*, o.data_key FROM transitions m \
     JOIN opportunities o ON o.id = m.opportunity";

/// Transitions of an opportunity after a number, in order.
///
/// # Errors
/// Those of the store.
pub async fn transitions(
    conn: &mut Conn,
    ring: &KeyRing,
    opportunity: i64,
    after: i64,
    limit: u32,
) -> Result<Vec<Transition>, Failure> {
    let mut q = Query::new(TRANSITIONS);
    q.add(
        " WHERE m.opportunity = ? AND m.no > ? ORDER BY m.no LIMIT ?",
        args![opportunity, after, limit],
    );
    let rows = q.fetch(conn).await?;
    rows.iter().map(|row| transition(row, ring)).collect()
}

/// Transitions by (opportunity, number).
///
/// # Errors
/// Those of the store.
pub async fn transitions_at(
    conn: &mut Conn,
    ring: &KeyRing,
    at: &std::collections::BTreeSet<(i64, i64)>,
) -> Result<Vec<Transition>, Failure> {
    let ids: Vec<i64> = at.iter().map(|(id, _)| *id).collect();
    let mut numbers: Vec<i64> = at.iter().map(|(_, no)| *no).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut q = Query::new(TRANSITIONS);
    q.add(
        " WHERE m.opportunity IN LIST(?) AND m.no IN LIST(?) ORDER BY m.opportunity, m.no",
        args![ids, numbers],
    );
    let mut out = Vec::new();
    for row in q.fetch(conn).await? {
        if at.contains(&(row.i64("opportunity")?, row.i64("no")?)) {
            out.push(transition(&row, ring)?);
        }
    }
    Ok(out)
}
