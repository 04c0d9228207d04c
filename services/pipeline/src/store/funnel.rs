//! Sums over opportunities, kept in the transaction that changes one, so that a board costs a few
//! rows instead of a hundred thousand.

use jinke_store::{Conn, Rows, Tx, args};
use jinke_types::{Failure, Timestamp};

use super::Query;
use crate::{
    access::Sight,
    domain::{Opportunity, outcome, split},
};

/// Counts by present stage and outcome.
const PRESENT: i64 = 1;
/// Counts by furthest stage.
const REACHED: i64 = 2;

type Key = (String, i64, i64, i64, String, String, String, String);

/// What an opportunity adds to the sums.
fn share(o: &Opportunity) -> [(Key, i64, i64); 2] {
    let (currency, units, nanos) = split(o.amount.as_ref());
    let key = |part, outcome, stage: &str, currency: String| {
        (
            o.pipeline.clone(),
            part,
            outcome,
            o.version,
            stage.to_owned(),
            o.owner.clone(),
            o.org_unit.clone(),
            currency,
        )
    };
    [
        (key(PRESENT, o.outcome, &o.stage, currency), units, nanos),
        (key(REACHED, 0, &o.reached, String::new()), 0, 0),
    ]
}

/// Takes the sums from what an opportunity was to what it is.
///
/// # Errors
/// Those of the store.
pub async fn shift(
    tx: &mut Tx,
    before: Option<&Opportunity>,
    after: &Opportunity,
) -> Result<(), Failure> {
    let mut sums = std::collections::BTreeMap::<Key, (i64, i64, i64)>::new();
    for (sign, o) in before.map(|o| (-1, o)).into_iter().chain([(1, after)]) {
        for (key, units, nanos) in share(o) {
            let sum = sums.entry(key).or_default();
            sum.0 += sign;
            sum.1 += sign * units;
            sum.2 += sign * nanos;
        }
    }
    let mut rows = Rows::new(&[
        "pipeline", "part", "outcome", "version", "stage", "owner", "org_unit", "currency",
        "count", "units", "nanos",
    ]);
    // In order of their keys, so that two writers take the rows in one order.
    for (k, (count, units, nanos)) in sums {
        if (count, units, nanos) != (0, 0, 0) {
            rows.push(args![
                k.0, k.1, k.2, k.3, k.4, k.5, k.6, k.7, count, units, nanos
            ]);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    tx.insert_many(
        "funnel",
        rows,
        "ON CONFLICT (pipeline, part, outcome, version, stage, owner, org_unit, currency) \
         DO UPDATE SET count = funnel.count + excluded.count, \
         units = funnel.units + excluded.units, nanos = funnel.nanos + excluded.nanos",
    )
    .await?;
    Ok(())
}

/// A sum of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// By furthest stage, not by present one.
    pub reached: bool,
    /// Outcome; 0 for a furthest stage.
    pub outcome: i64,
    /// Version of the pipeline.
    pub version: i64,
    /// Stage.
    pub stage: String,
    /// Currency; empty for those without an amount.
    pub currency: String,
    /// How many.
    pub count: i64,
    /// Whole units.
    pub units: i64,
    /// Nanos.
    pub nanos: i64,
}

/// The sums of a pipeline that are seen; of one owner only when named.
///
/// # Errors
/// Those of the store.
pub async fn sums(
    conn: &mut Conn,
    pipeline: &str,
    sight: &Sight,
    owner: &str,
) -> Result<Vec<Sum>, Failure> {
    let mut q = Query::new(
        "SELECT t.part, t.outcome, t.version, t.stage, t.currency, \
         CAST(SUM(t.count) AS BIGINT) AS n, CAST(SUM(t.units) AS BIGINT) AS units, \
         CAST(SUM(t.nanos) AS BIGINT) AS nanos FROM funnel t WHERE t.count <> 0",
    );
    q.add(" AND t.pipeline = ?", args![pipeline]).seen(sight);
    if !owner.is_empty() {
        q.add(" AND t.owner = ?", args![owner]);
    }
    q.add(
        " GROUP BY t.part, t.outcome, t.version, t.stage, t.currency \
         ORDER BY t.part, t.outcome, t.version, t.stage, t.currency",
        [],
    );
    q.fetch(conn)
        .await?
        .iter()
        .map(|row| {
            Ok(Sum {
                reached: row.i64("part")? == REACHED,
                outcome: row.i64("outcome")?,
                version: row.i64("version")?,
                stage: row.text("stage")?,
                currency: row.text("currency")?,
                count: row.i64("n")?,
                units: row.i64("units")?,
                nanos: row.i64("nanos")?,
            })
        })
        .collect()
}

/// How many open opportunities are stale and overdue, by stage.
///
/// # Errors
/// Those of the store.
pub async fn late(
    conn: &mut Conn,
    pipeline: &str,
    sight: &Sight,
    owner: &str,
    now: Timestamp,
) -> Result<[std::collections::BTreeMap<String, i64>; 2], Failure> {
    let mut out = [const { std::collections::BTreeMap::new() }; 2];
    for (slot, bound) in out
        .iter_mut()
        .zip([" AND t.stale_time <= ?", " AND t.overdue_time <= ?"])
    {
        let mut q = Query::new("SELECT t.stage, COUNT(*) AS n FROM opportunities t WHERE 1 = 1");
        q.add(
            " AND t.pipeline = ? AND t.outcome = ?",
            args![pipeline, outcome::OPEN],
        );
        q.add(bound, args![now]).seen(sight);
        if !owner.is_empty() {
            q.add(" AND t.owner = ?", args![owner]);
        }
        q.add(" GROUP BY t.stage ORDER BY t.stage", []);
        for row in q.fetch(conn).await? {
            slot.insert(row.text("stage")?, row.i64("n")?);
        }
    }
    Ok(out)
}

/// A month of the forecast, still by version and stage for the probability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthSum {
    /// Won, else open.
    pub won: bool,
    /// `2026-03`; empty without a date.
    pub month: String,
    /// Pipeline.
    pub pipeline: String,
    /// Version.
    pub version: i64,
    /// Stage.
    pub stage: String,
    /// Currency; empty without an amount.
    pub currency: String,
    /// How many.
    pub count: i64,
    /// Whole units.
    pub units: i64,
    /// Nanos.
    pub nanos: i64,
}

/// Open opportunities by month of their close date, as far as they are seen.
///
/// # Errors
/// Those of the store.
pub async fn forecast(
    conn: &mut Conn,
    pipeline: &str,
    sight: &Sight,
    owner: &str,
) -> Result<Vec<MonthSum>, Failure> {
    let mut q = Query::new(
        "SELECT substr(t.close_date, 1, 7) AS month, t.pipeline, t.version, t.stage, t.currency, \
         COUNT(*) AS n, CAST(SUM(t.units) AS BIGINT) AS units, \
         CAST(SUM(t.nanos) AS BIGINT) AS nanos FROM opportunities t WHERE 1 = 1",
    );
    narrow(&mut q, pipeline, sight, owner, outcome::OPEN);
    q.add(
        " GROUP BY substr(t.close_date, 1, 7), t.pipeline, t.version, t.stage, t.currency \
         ORDER BY 1, 2, 3, 4, 5",
        [],
    );
    q.fetch(conn)
        .await?
        .iter()
        .map(|row| {
            Ok(MonthSum {
                won: false,
                month: row.text("month")?,
                pipeline: row.text("pipeline")?,
                version: row.i64("version")?,
                stage: row.text("stage")?,
                currency: row.text("currency")?,
                count: row.i64("n")?,
                units: row.i64("units")?,
                nanos: row.i64("nanos")?,
            })
        })
        .collect()
}

/// Sums of what was won from `from` up to, not including, `to`, by currency.
///
/// # Errors
/// Those of the store.
pub async fn won_between(
    conn: &mut Conn,
    pipeline: &str,
    sight: &Sight,
    owner: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(String, i64, i64, i64)>, Failure> {
    let mut q = Query::new(
        "SELECT t.currency, COUNT(*) AS n, CAST(SUM(t.units) AS BIGINT) AS units, \
         CAST(SUM(t.nanos) AS BIGINT) AS nanos FROM opportunities t WHERE 1 = 1",
    );
    narrow(&mut q, pipeline, sight, owner, outcome::WON);
    q.add(
        " AND t.outcome_time >= ? AND t.outcome_time < ?",
        args![from, to],
    );
    q.add(" GROUP BY t.currency ORDER BY t.currency", []);
    q.fetch(conn)
        .await?
        .iter()
        .map(|row| {
            Ok((
                row.text("currency")?,
                row.i64("n")?,
                row.i64("units")?,
                row.i64("nanos")?,
            ))
        })
        .collect()
}

fn narrow(q: &mut Query, pipeline: &str, sight: &Sight, owner: &str, outcome: i64) {
    q.seen(sight).add(" AND t.outcome = ?", args![outcome]);
    if !pipeline.is_empty() {
        q.add(" AND t.pipeline = ?", args![pipeline]);
    }
    if !owner.is_empty() {
        q.add(" AND t.owner = ?", args![owner]);
    }
}

/// The opportunities longest in a stage, as far as they are seen.
///
/// # Errors
/// Those of the store.
pub async fn cards(
    conn: &mut Conn,
    ring: &jinke_store::keys::KeyRing,
    at: (&str, i64, &str),
    sight: &Sight,
    owner: &str,
    limit: u32,
) -> Result<Vec<Opportunity>, Failure> {
    let (pipeline, outcome, stage) = at;
    let mut q = Query::new(super::opportunities::SELECT);
    q.add(
        " AND t.pipeline = ? AND t.outcome = ? AND t.stage = ?",
        args![pipeline, outcome, stage],
    );
    q.seen(sight);
    if !owner.is_empty() {
        q.add(" AND t.owner = ?", args![owner]);
    }
    q.add(" ORDER BY t.stage_time, t.id LIMIT ?", args![limit]);
    let rows = q.fetch(conn).await?;
    rows.iter()
        .map(|row| super::opportunities::opportunity(row, ring))
        .collect()
}
