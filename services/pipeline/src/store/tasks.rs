//! Tasks and what their timers did.

use jinke_store::{Conn, Row, Rows, Tx, args, keys::KeyRing};
use jinke_types::Failure;

use super::Query;
use crate::{
    access::Sight,
    domain::{Firing, Task, damaged, task_state},
    engine::open,
};

const COLUMNS: &[&str] = &[
    "id",
    "kind",
    "priority",
    "state",
    "customer",
    "opportunity",
    "lead",
    "owner",
    "org_unit",
    "base_time",
    "due_time",
    "remind_before",
    "recurrence",
    "escalations",
    "occurrence",
    "firings",
    "outcome",
    "close_time",
    "origin",
    "data_key",
    "sealed",
    "revision",
    "creator",
    "create_time",
    "update_time",
    "erase_time",
];

const SAVE: &str = "ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, priority = excluded.priority, state = excluded.state, \
     owner = excluded.owner, org_unit = excluded.org_unit, \
     base_time = excluded.base_time, due_time = excluded.due_time, \
     remind_before = excluded.remind_before, recurrence = excluded.recurrence, \
     escalations = excluded.escalations, occurrence = excluded.occurrence, \
     firings = excluded.firings, outcome = excluded.outcome, \
     close_time = excluded.close_time, data_key = excluded.data_key, \
     sealed = excluded.sealed, revision = excluded.revision, \
     update_time = excluded.update_time, erase_time = excluded.erase_time";

/// Begins a list of tasks.
pub const SELECT: &str = "SELECT t.*, COALESCE(x.current, t.customer) AS current_customer \
     FROM tasks t LEFT JOIN crosswalk x ON x.address = t.customer WHERE 1 = 1";

/// Where a task's values are sealed.
pub fn place(id: i64) -> String {
    format!("tasks/{id}")
}

/// A task out of its row.
///
/// # Errors
/// `DATA_LOSS` when it is damaged.
pub fn task(row: &Row, ring: &KeyRing) -> Result<Task, Failure> {
    let id = row.i64("id")?;
    let data_key = row.bytes("data_key")?;
    let private = open(ring, &data_key, &place(id), &row.bytes("sealed")?)?;
    let recurrence = match row.opt_text("recurrence")? {
        None => None,
        Some(text) => Some(serde_json::from_str(&text).map_err(|_| damaged("task"))?),
    };
    Ok(Task {
        id,
        kind: row.i64("kind")?,
        priority: row.i64("priority")?,
        state: row.i64("state")?,
        customer: row.opt_i64("customer")?,
        current: row.opt_i64("current_customer")?,
        opportunity: row.opt_i64("opportunity")?,
        lead: row.opt_i64("lead")?,
        owner: row.text("owner")?,
        org_unit: row.text("org_unit")?,
        base_time: row.time("base_time")?,
        due_time: row.time("due_time")?,
        remind_before: row.i64("remind_before")?,
        recurrence,
        escalations: serde_json::from_str(&row.text("escalations")?)
            .map_err(|_| damaged("task"))?,
        occurrence: row.i64("occurrence")?,
        firings: row.i64("firings")?,
        outcome: row.text("outcome")?,
        close_time: row.opt_time("close_time")?,
        origin: row.opt_text("origin")?,
        data_key,
        private,
        revision: row.i64("revision")?,
        creator: row.text("creator")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
        erase_time: row.opt_time("erase_time")?,
    })
}

/// Tasks by number, as far as they are seen.
///
/// # Errors
/// Those of the store.
pub async fn get(
    conn: &mut Conn,
    ring: &KeyRing,
    sight: &Sight,
    ids: &[i64],
) -> Result<Vec<Task>, Failure> {
    let mut q = Query::new(SELECT);
    q.seen(sight).add(" AND t.id IN LIST(?)", args![ids]);
    q.add(" ORDER BY t.id", []);
    let rows = q.fetch(conn).await?;
    rows.iter().map(|row| task(row, ring)).collect()
}

/// Takes hold of a task until the transaction ends.
///
/// # Errors
/// Those of the store.
pub async fn lock(tx: &mut Tx, ring: &KeyRing, id: i64) -> Result<Option<Task>, Failure> {
    tx.execute(
        "UPDATE tasks SET revision = revision WHERE id = $1",
        args![id],
    )
    .await?;
    Ok(get(tx, ring, &Sight::All, &[id]).await?.pop())
}

/// The task of an origin.
///
/// # Errors
/// Those of the store.
pub async fn of_origin(conn: &mut Conn, origin: &str) -> Result<Option<i64>, Failure> {
    conn.fetch_optional("SELECT id FROM tasks WHERE origin = $1", args![origin])
        .await?
        .map(|row| row.i64("id"))
        .transpose()
}

/// Open tasks of an opportunity.
///
/// # Errors
/// Those of the store.
pub async fn open_of_opportunity(conn: &mut Conn, id: i64) -> Result<Vec<i64>, Failure> {
    conn.fetch_all(
        "SELECT id FROM tasks WHERE opportunity = $1 AND state = $2 ORDER BY id",
        args![id, task_state::OPEN],
    )
    .await?
    .iter()
    .map(|row| row.i64("id"))
    .collect()
}

/// Writes a task with its sealed values.
///
/// # Errors
/// Those of the store.
pub async fn save(tx: &mut Tx, t: &Task, sealed: Vec<u8>) -> Result<(), Failure> {
    let recurrence = match &t.recurrence {
        None => None,
        Some(r) => Some(serde_json::to_string(r).map_err(Failure::internal)?),
    };
    let escalations = serde_json::to_string(&t.escalations).map_err(Failure::internal)?;
    let mut rows = Rows::new(COLUMNS);
    rows.push(args![
        t.id,
        t.kind,
        t.priority,
        t.state,
        t.customer,
        t.opportunity,
        t.lead,
        &t.owner,
        &t.org_unit,
        t.base_time,
        t.due_time,
        t.remind_before,
        recurrence,
        escalations,
        t.occurrence,
        t.firings,
        &t.outcome,
        t.close_time,
        t.origin.as_deref(),
        &t.data_key,
        sealed,
        t.revision,
        &t.creator,
        t.create_time,
        t.update_time,
        t.erase_time,
    ]);
    tx.insert_many("tasks", rows, SAVE).await?;
    Ok(())
}

const FIRING: &[&str] = &[
    "task",
    "no",
    "occurrence",
    "kind",
    "step",
    "plan_time",
    "fire_time",
    "result",
    "reason",
    "recipient",
    "delivery",
    "error",
    "attempts",
    "deliver_time",
];

/// Notes firings.
///
/// # Errors
/// Those of the store.
pub async fn add_firings(tx: &mut Tx, firings: &[Firing]) -> Result<(), Failure> {
    if firings.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(FIRING);
    for f in firings {
        rows.push(args![
            f.task,
            f.no,
            f.occurrence,
            f.kind,
            f.step,
            f.plan_time,
            f.fire_time,
            f.result,
            &f.reason,
            &f.recipient,
            f.delivery,
            &f.error,
            f.attempts,
            f.deliver_time,
        ]);
    }
    tx.insert_many("firings", rows, "").await?;
    Ok(())
}

/// Firings of a task after a number, in order.
///
/// # Errors
/// Those of the store.
pub async fn firings(
    conn: &mut Conn,
    task: i64,
    after: i64,
    limit: u32,
) -> Result<Vec<Firing>, Failure> {
    conn.fetch_all(
        "SELECT * FROM firings WHERE task = $1 AND no > $2 ORDER BY no LIMIT $3",
        args![task, after, limit],
    )
    .await?
    .iter()
    .map(firing)
    .collect()
}

pub(super) fn firing(row: &Row) -> Result<Firing, Failure> {
    Ok(Firing {
        task: row.i64("task")?,
        no: row.i64("no")?,
        occurrence: row.i64("occurrence")?,
        kind: row.i64("kind")?,
        step: row.i64("step")?,
        plan_time: row.time("plan_time")?,
        fire_time: row.time("fire_time")?,
        result: row.i64("result")?,
        reason: row.text("reason")?,
        recipient: row.text("recipient")?,
        delivery: row.i64("delivery")?,
        error: row.text("error")?,
        attempts: row.i64("attempts")?,
        deliver_time: row.opt_time("deliver_time")?,
    })
}
