//! Timers and deliveries: what waits for a time.
//!
//! A timer is fired by deleting its row in the transaction of its effect. Whoever deletes it fires
//! it, so that a timer fires once whatever crashes and however many replicas look.

use jinke_store::{Conn, Rows, Tx, args, counter};
use jinke_types::{Failure, Timestamp};

use crate::domain::{Firing, fired};

/// A timer that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it is to fire.
    pub plan_time: Timestamp,
    /// Id; later planned ones have greater ones.
    pub id: i64,
    /// See [`crate::domain::timer`].
    pub kind: i64,
    /// Task, or opportunity.
    pub subject: i64,
    /// Occurrence of the task, or number of the transition.
    pub occurrence: i64,
    /// Which escalation.
    pub step: i64,
}

/// A timer to be planned: `(kind, subject, occurrence, step, plan_time)`.
pub type Plan = (i64, i64, i64, i64, Timestamp);

/// Plans timers.
///
/// # Errors
/// Those of the store.
pub async fn plan(tx: &mut Tx, plans: &[Plan]) -> Result<(), Failure> {
    let Ok(count @ 1..) = u32::try_from(plans.len()) else {
        return Ok(());
    };
    let first = counter::take(tx, "timers", count).await?;
    let mut rows = Rows::new(&["id", "plan_time", "kind", "subject", "occurrence", "step"]);
    for (id, (kind, subject, occurrence, step, at)) in (first..).zip(plans) {
        rows.push(args![id, *at, *kind, *subject, *occurrence, *step]);
    }
    tx.insert_many("timers", rows, "").await?;
    Ok(())
}

/// Timers planned for `now` or before, the earliest first.
///
/// # Errors
/// Those of the store.
pub async fn due(conn: &mut Conn, now: Timestamp, limit: u32) -> Result<Vec<Timer>, Failure> {
    conn.fetch_all(
        "SELECT id, plan_time, kind, subject, occurrence, step FROM timers \
         WHERE plan_time <= $1 ORDER BY plan_time, id LIMIT $2",
        args![now, limit],
    )
    .await?
    .iter()
    .map(timer)
    .collect()
}

fn timer(row: &jinke_store::Row) -> Result<Timer, Failure> {
    Ok(Timer {
        id: row.i64("id")?,
        plan_time: row.time("plan_time")?,
        kind: row.i64("kind")?,
        subject: row.i64("subject")?,
        occurrence: row.i64("occurrence")?,
        step: row.i64("step")?,
    })
}

/// When the next timer is due.
///
/// # Errors
/// Those of the store.
pub async fn next(conn: &mut Conn) -> Result<Option<Timestamp>, Failure> {
    conn.fetch_optional(
        "SELECT plan_time FROM timers ORDER BY plan_time, id LIMIT 1",
        args![],
    )
    .await?
    .map(|row| row.time("plan_time"))
    .transpose()
}

/// Takes a timer: whether it was still there.
///
/// # Errors
/// Those of the store.
pub async fn take(tx: &mut Tx, id: i64) -> Result<bool, Failure> {
    Ok(tx
        .execute("DELETE FROM timers WHERE id = $1", args![id])
        .await?
        == 1)
}

/// Takes all timers of a subject of these kinds, in order of their times.
///
/// # Errors
/// Those of the store.
pub async fn take_all(tx: &mut Tx, subject: i64, kinds: &[i64]) -> Result<Vec<Timer>, Failure> {
    let rows = tx
        .fetch_all(
            "DELETE FROM timers WHERE subject = $1 AND kind IN LIST($2) \
             RETURNING id, plan_time, kind, subject, occurrence, step",
            args![subject, kinds],
        )
        .await?;
    let mut out = rows.iter().map(timer).collect::<Result<Vec<_>, _>>()?;
    out.sort_unstable();
    Ok(out)
}

/// What a timer needs to know of its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// State.
    pub state: i64,
    /// Occurrence.
    pub occurrence: i64,
    /// Owner.
    pub owner: String,
    /// Firings, this one counted.
    pub firings: i64,
}

/// Counts a firing of a task; holds the task until the transaction ends.
///
/// # Errors
/// Those of the store.
pub async fn head(tx: &mut Tx, id: i64) -> Result<Option<Head>, Failure> {
    tx.fetch_optional(
        "UPDATE tasks SET firings = firings + 1 WHERE id = $1 \
         RETURNING state, occurrence, owner, firings",
        args![id],
    )
    .await?
    .map(|row| {
        Ok(Head {
            state: row.i64("state")?,
            occurrence: row.i64("occurrence")?,
            owner: row.text("owner")?,
            firings: row.i64("firings")?,
        })
    })
    .transpose()
}

/// A message is to be delivered for this firing.
///
/// # Errors
/// Those of the store.
pub async fn queue(tx: &mut Tx, firings: &[Firing]) -> Result<(), Failure> {
    let mut rows = Rows::new(&["task", "no", "next_time", "attempts"]);
    for f in firings.iter().filter(|f| f.delivery == fired::PENDING) {
        rows.push(args![f.task, f.no, f.fire_time, 0_i64]);
    }
    if rows.is_empty() {
        return Ok(());
    }
    tx.insert_many("deliveries", rows, "").await?;
    Ok(())
}

/// A delivery that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The firing.
    pub firing: Firing,
    /// How often it was tried.
    pub attempts: i64,
    /// Wrapped key of the task.
    pub data_key: Vec<u8>,
    /// The message, once it was put down.
    pub sealed: Option<Vec<u8>>,
}

/// Deliveries whose time came.
///
/// # Errors
/// Those of the store.
pub async fn waiting(conn: &mut Conn, now: Timestamp, limit: u32) -> Result<Vec<Waiting>, Failure> {
    conn.fetch_all(
        "SELECT f.*, d.attempts AS tried, d.sealed, t.data_key FROM deliveries d \
         JOIN firings f ON f.task = d.task AND f.no = d.no JOIN tasks t ON t.id = d.task \
         WHERE d.next_time <= $1 ORDER BY d.next_time, d.task, d.no LIMIT $2",
        args![now, limit],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(Waiting {
            firing: super::tasks::firing(row)?,
            attempts: row.i64("tried")?,
            data_key: row.bytes("data_key")?,
            sealed: row.opt_bytes("sealed")?,
        })
    })
    .collect()
}

/// Puts a message down before it is first handed over: the one put down first, which may be
/// another replica's. None when the delivery ended meanwhile.
///
/// # Errors
/// Those of the store.
pub async fn freeze(
    tx: &mut Tx,
    firing: &Firing,
    sealed: Vec<u8>,
) -> Result<Option<Vec<u8>>, Failure> {
    tx.fetch_optional(
        "UPDATE deliveries SET sealed = COALESCE(sealed, $3) WHERE task = $1 AND no = $2 \
         RETURNING sealed",
        args![firing.task, firing.no, sealed],
    )
    .await?
    .map(|row| row.bytes("sealed"))
    .transpose()
}

/// A delivery ended: taken, or given up. Without effect when another replica ended it.
///
/// # Errors
/// Those of the store.
pub async fn end(
    tx: &mut Tx,
    firing: &Firing,
    delivery: i64,
    error: &str,
    attempts: i64,
    now: Timestamp,
) -> Result<(), Failure> {
    let there = tx
        .execute(
            "DELETE FROM deliveries WHERE task = $1 AND no = $2",
            args![firing.task, firing.no],
        )
        .await?;
    if there == 1 {
        tx.execute(
            "UPDATE firings SET delivery = $3, error = $4, attempts = $5, deliver_time = $6 \
             WHERE task = $1 AND no = $2",
            args![firing.task, firing.no, delivery, error, attempts, now],
        )
        .await?;
    }
    Ok(())
}

/// Gives up the messages of a task that wait: they tell what was destroyed.
///
/// # Errors
/// Those of the store.
pub async fn abandon(tx: &mut Tx, task: i64, error: &str, now: Timestamp) -> Result<(), Failure> {
    tx.execute("DELETE FROM deliveries WHERE task = $1", args![task])
        .await?;
    tx.execute(
        "UPDATE firings SET delivery = $2, error = $3, deliver_time = $4 \
         WHERE task = $1 AND delivery = $5",
        args![task, fired::FAILED, error, now, fired::PENDING],
    )
    .await?;
    Ok(())
}

/// A delivery failed and is tried again at `next`.
///
/// # Errors
/// Those of the store.
pub async fn again(
    tx: &mut Tx,
    firing: &Firing,
    error: &str,
    attempts: i64,
    next: Timestamp,
) -> Result<(), Failure> {
    let there = tx
        .execute(
            "UPDATE deliveries SET next_time = $3, attempts = $4 WHERE task = $1 AND no = $2",
            args![firing.task, firing.no, next, attempts],
        )
        .await?;
    if there == 1 {
        tx.execute(
            "UPDATE firings SET error = $3, attempts = $4 WHERE task = $1 AND no = $2",
            args![firing.task, firing.no, error, attempts],
        )
        .await?;
    }
    Ok(())
}

/// How many timers are due, and how many messages wait; each counted up to 10,000.
///
/// # Errors
/// Those of the store.
pub async fn counts(conn: &mut Conn, now: Timestamp) -> Result<(i64, i64), Failure> {
    let row = conn
        .fetch_one(
            "SELECT (SELECT COUNT(*) FROM (SELECT id FROM timers WHERE plan_time <= $1 \
             LIMIT 10000) a) AS due, (SELECT COUNT(*) FROM (SELECT no FROM deliveries \
             LIMIT 10000) b) AS waiting",
            args![now],
        )
        .await?;
    Ok((row.i64("due")?, row.i64("waiting")?))
}
