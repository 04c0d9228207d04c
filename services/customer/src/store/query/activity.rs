//! Timelines, totals, relationships and the records of a source.

use std::collections::BTreeMap;

use jinke_store::{Conn, args};
use jinke_types::{Failure, RecordKey};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Query, Rows, split_key};

/// The place after which a page of a timeline starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Business time of the last entry.
    pub time: i64,
    /// Its record.
    pub record_no: i64,
}

/// Visible transactions and interactions of these parties, newest first, at most `limit`. Those the
/// source deleted are left out.
pub async fn timeline(
    conn: &mut Conn,
    rows: &Rows,
    parties: &[RecordKey],
    after: Option<Moment>,
    limit: u32,
) -> Result<Vec<Moment>, Failure> {
    if rows.is_nothing() || parties.is_empty() {
        return Ok(Vec::new());
    }
    let mut q = Query::new("SELECT a.time, a.record_no FROM activities a");
    if rows.list().is_some() {
        q.text
            .push_str(" JOIN records r ON r.record_no = a.record_no");
    }
    q.add(
        " WHERE a.party IN LIST(?) AND a.deleted = 0",
        args![keys(parties)],
    );
    if let Some(sources) = rows.list() {
        q.add(" AND r.source IN LIST(?)", args![sources]);
    }
    if let Some(after) = after {
        q.add(
            " AND (a.time < ? OR (a.time = ? AND a.record_no < ?))",
            args![after.time, after.time, after.record_no],
        );
    }
    q.add(
        " ORDER BY a.time DESC, a.record_no DESC LIMIT ?",
        args![i64::from(limit)],
    );
    q.fetch_all(conn)
        .await?
        .iter()
        .map(|row| {
            Ok(Moment {
                time: row.i64("time")?,
                record_no: row.i64("record_no")?,
            })
        })
        .collect()
}

fn keys(parties: &[RecordKey]) -> Vec<String> {
    parties.iter().map(RecordKey::to_string).collect()
}

/// Number and sum of transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: i64,
    /// Their amounts together.
    pub amount: Decimal,
}

/// Sums by (kind number, currency); the currency is empty for transactions without an amount.
pub async fn totals(
    conn: &mut Conn,
    rows: &Rows,
    parties: &[RecordKey],
) -> Result<BTreeMap<(i64, String), Sum>, Failure> {
    let mut out = BTreeMap::<_, Sum>::new();
    if rows.is_nothing() || parties.is_empty() {
        return Ok(out);
    }
    let mut q = Query::new("SELECT kind, currency, count, amount FROM totals WHERE ");
    q.add("party IN LIST(?)", args![keys(parties)]);
    if let Some(sources) = rows.list() {
        q.add(" AND source IN LIST(?)", args![sources]);
    }
    for row in &q.fetch_all(conn).await? {
        let amount: Decimal = row
            .text("amount")?
            .parse()
            .map_err(|_| Failure::internal("a stored amount is not a decimal"))?;
        let sum = out
            .entry((row.i64("kind")?, row.text("currency")?))
            .or_default();
        sum.count += row.i64("count")?;
        sum.amount = sum
            .amount
            .checked_add(amount)
            .unwrap_or(if amount.is_sign_negative() {
                Decimal::MIN
            } else {
                Decimal::MAX
            });
    }
    out.retain(|_, sum| sum.count != 0);
    Ok(out)
}

/// Visible relationships at either end of these parties, by record number, at most `limit`. Those
/// the source deleted are left out.
pub async fn relationships(
    conn: &mut Conn,
    rows: &Rows,
    parties: &[RecordKey],
    limit: u32,
) -> Result<Vec<i64>, Failure> {
    if rows.is_nothing() || parties.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = std::collections::BTreeSet::new();
    // Two statements, each on its own index; an OR over both would read the whole table.
    for end in ["l.from_party", "l.to_party"] {
        let mut q = Query::new("SELECT l.record_no FROM relationships l");
        if rows.list().is_some() {
            q.text
                .push_str(" JOIN records r ON r.record_no = l.record_no");
        }
        q.text.push_str(" WHERE ");
        q.text.push_str(end);
        q.add(" IN LIST(?) AND l.deleted = 0", args![keys(parties)]);
        if let Some(sources) = rows.list() {
            q.add(" AND r.source IN LIST(?)", args![sources]);
        }
        q.add(" ORDER BY l.record_no LIMIT ?", args![i64::from(limit)]);
        for row in &q.fetch_all(conn).await? {
            found.insert(row.i64("record_no")?);
        }
    }
    Ok(found.into_iter().take(limit as usize).collect())
}

/// The customers that hold these party records, as far as they are seen and have arrived.
pub async fn holders_of(
    conn: &mut Conn,
    rows: &Rows,
    keys: &[RecordKey],
) -> Result<BTreeMap<RecordKey, i64>, Failure> {
    let wanted: Vec<String> = keys
        .iter()
        .filter(|k| rows.sees(&k.source))
        .map(RecordKey::to_string)
        .collect();
    let mut out = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(out);
    }
    let found = conn
        .fetch_all(
            "SELECT key, customer FROM records WHERE key IN LIST($1) AND customer IS NOT NULL",
            args![wanted],
        )
        .await?;
    for row in &found {
        out.insert(split_key(&row.text("key")?)?, row.i64("customer")?);
    }
    Ok(out)
}

/// Numbers and keys of a source's records after `after`, by key, at most `limit`.
pub async fn records_of_source(
    conn: &mut Conn,
    source: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<(i64, String)>, Failure> {
    // Keys of one source share the prefix `source/`, and `0` is the character after `/`.
    let from = if after.is_empty() {
        format!("{source}/")
    } else {
        format!("{source}/{after}")
    };
    let found = conn
        .fetch_all(
            "SELECT record_no, key FROM records WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3",
            args![from, format!("{source}0"), i64::from(limit)],
        )
        .await?;
    found
        .iter()
        .map(|row| {
            Ok((
                row.i64("record_no")?,
                split_key(&row.text("key")?)?.external_id,
            ))
        })
        .collect()
}
