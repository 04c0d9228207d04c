//! Transactions, interactions and relationships: the plain columns and the sums.

use std::collections::BTreeMap;

use jinke_store::{Conn, Rows, Tx, args};
use jinke_types::{Failure, Timestamp};
use rust_decimal::Decimal;

use crate::domain::damaged;

/// The plain columns of a transaction or interaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityRow {
    /// Its record.
    pub no: i64,
    /// 4 transaction, 5 interaction.
    pub kind_of_record: i64,
    /// Name of the party it belongs to, as one text.
    pub party: String,
    /// Kind of transaction or interaction.
    pub kind: i64,
    /// Business time.
    pub time: Timestamp,
    /// Currency and amount, of a transaction that has one.
    pub amount: Option<(String, Decimal)>,
    /// The source deleted it.
    pub deleted: bool,
}

/// The rows of these records.
pub async fn by_nos(conn: &mut Conn, nos: &[i64]) -> Result<BTreeMap<i64, ActivityRow>, Failure> {
    if nos.is_empty() {
        return Ok(BTreeMap::new());
    }
    conn.fetch_all(
        "SELECT record_no, type, party, kind, time, currency, amount, deleted FROM activities \
         WHERE record_no IN LIST($1)",
        args![nos],
    )
    .await?
    .iter()
    .map(|r| {
        let amount = match (r.opt_text("currency")?, r.opt_text("amount")?) {
            (Some(currency), Some(amount)) => {
                Some((currency, amount.parse().map_err(|_| damaged("amount"))?))
            }
            _ => None,
        };
        let row = ActivityRow {
            no: r.i64("record_no")?,
            kind_of_record: r.i64("type")?,
            party: r.text("party")?,
            kind: r.i64("kind")?,
            time: r.time("time")?,
            amount,
            deleted: r.bool("deleted")?,
        };
        Ok((row.no, row))
    })
    .collect()
}

/// Inserts or replaces rows.
pub async fn put(tx: &mut Tx, activities: &[ActivityRow]) -> Result<(), Failure> {
    if activities.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&[
        "record_no",
        "type",
        "party",
        "kind",
        "time",
        "currency",
        "amount",
        "deleted",
    ]);
    for a in activities {
        let (currency, amount) = match &a.amount {
            Some((c, d)) => (Some(c.as_str()), Some(d.to_string())),
            None => (None, None),
        };
        rows.push(args![
            a.no,
            a.kind_of_record,
            &a.party,
            a.kind,
            a.time,
            currency,
            amount,
            a.deleted
        ]);
    }
    tx.insert_many(
        "activities",
        rows,
        "ON CONFLICT (record_no) DO UPDATE SET party = excluded.party, kind = excluded.kind, \
         time = excluded.time, currency = excluded.currency, amount = excluded.amount, \
         deleted = excluded.deleted",
    )
    .await?;
    Ok(())
}

/// What a sum is of: (party, source of the transactions, kind, currency or empty).
pub type TotalKey = (String, String, i64, String);

/// Count and sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// How many transactions.
    pub count: i64,
    /// Exact sum.
    pub amount: Decimal,
}

/// The sums of these parties.
pub async fn totals(
    conn: &mut Conn,
    parties: &[String],
) -> Result<BTreeMap<TotalKey, Total>, Failure> {
    if parties.is_empty() {
        return Ok(BTreeMap::new());
    }
    conn.fetch_all(
        "SELECT party, source, kind, currency, count, amount FROM totals WHERE party IN LIST($1)",
        args![parties],
    )
    .await?
    .iter()
    .map(|r| {
        let amount = r.text("amount")?.parse().map_err(|_| damaged("total"))?;
        Ok((
            (
                r.text("party")?,
                r.text("source")?,
                r.i64("kind")?,
                r.text("currency")?,
            ),
            Total {
                count: r.i64("count")?,
                amount,
            },
        ))
    })
    .collect()
}

/// Inserts or replaces sums.
pub async fn put_totals(tx: &mut Tx, totals: &BTreeMap<TotalKey, Total>) -> Result<(), Failure> {
    if totals.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&["party", "source", "kind", "currency", "count", "amount"]);
    for ((party, source, kind, currency), t) in totals {
        rows.push(args![
            party,
            source,
            *kind,
            currency,
            t.count,
            t.amount.to_string()
        ]);
    }
    tx.insert_many(
        "totals",
        rows,
        "ON CONFLICT (party, source, kind, currency) DO UPDATE SET count = excluded.count, \
         amount = excluded.amount",
    )
    .await?;
    Ok(())
}

/// Every sum that counts something, computed from the transactions, for checking: the stored
/// sums and the right ones.
pub async fn check_totals(
    conn: &mut Conn,
) -> Result<(BTreeMap<TotalKey, Total>, BTreeMap<TotalKey, Total>), Failure> {
    let rows = conn
        .fetch_all(
            "SELECT party, source, kind, currency, count, amount FROM totals",
            args![],
        )
        .await?;
    let mut stored = BTreeMap::new();
    for r in rows {
        let amount: Decimal = r.text("amount")?.parse().map_err(|_| damaged("total"))?;
        let count = r.i64("count")?;
        if count != 0 || !amount.is_zero() {
            stored.insert(
                (
                    r.text("party")?,
                    r.text("source")?,
                    r.i64("kind")?,
                    r.text("currency")?,
                ),
                Total {
                    count,
                    amount: amount.normalize(),
                },
            );
        }
    }
    let rows = conn
        .fetch_all(
            "SELECT a.party, r.source, a.kind, a.currency, a.amount FROM activities a \
             JOIN records r ON r.record_no = a.record_no WHERE a.type = 4 AND a.deleted = 0",
            args![],
        )
        .await?;
    let mut right: BTreeMap<TotalKey, Total> = BTreeMap::new();
    for r in rows {
        let currency = r.opt_text("currency")?.unwrap_or_default();
        let key = (
            r.text("party")?,
            r.text("source")?,
            r.i64("kind")?,
            currency,
        );
        let total = right.entry(key).or_default();
        total.count += 1;
        if let Some(amount) = r.opt_text("amount")? {
            let amount: Decimal = amount.parse().map_err(|_| damaged("amount"))?;
            total.amount = (total.amount + amount).normalize();
        }
    }
    Ok((stored, right))
}

/// The plain columns of a relationship.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationshipRow {
    /// Its record.
    pub no: i64,
    /// Name of the relationship.
    pub kind: String,
    /// Name of the party it starts at.
    pub from: String,
    /// Name of the party it points to.
    pub to: String,
    /// Holds from.
    pub valid_from: Option<Timestamp>,
    /// Holds up to.
    pub valid_to: Option<Timestamp>,
    /// The source deleted it.
    pub deleted: bool,
}

/// The rows of these records.
pub async fn relationships_by_nos(
    conn: &mut Conn,
    nos: &[i64],
) -> Result<BTreeMap<i64, RelationshipRow>, Failure> {
    conn.fetch_all(
        "SELECT record_no, kind, from_party, to_party, valid_from, valid_to, deleted \
         FROM relationships WHERE record_no IN LIST($1)",
        args![nos],
    )
    .await?
    .iter()
    .map(|r| {
        let row = RelationshipRow {
            no: r.i64("record_no")?,
            kind: r.text("kind")?,
            from: r.text("from_party")?,
            to: r.text("to_party")?,
            valid_from: r.opt_time("valid_from")?,
            valid_to: r.opt_time("valid_to")?,
            deleted: r.bool("deleted")?,
        };
        Ok((row.no, row))
    })
    .collect()
}

/// Inserts or replaces relationships.
pub async fn put_relationships(tx: &mut Tx, list: &[RelationshipRow]) -> Result<(), Failure> {
    if list.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&[
        "record_no",
        "kind",
        "from_party",
        "to_party",
        "valid_from",
        "valid_to",
        "deleted",
    ]);
    for r in list {
        rows.push(args![
            r.no,
            &r.kind,
            &r.from,
            &r.to,
            r.valid_from,
            r.valid_to,
            r.deleted
        ]);
    }
    tx.insert_many(
        "relationships",
        rows,
        "ON CONFLICT (record_no) DO UPDATE SET kind = excluded.kind, \
         from_party = excluded.from_party, to_party = excluded.to_party, \
         valid_from = excluded.valid_from, valid_to = excluded.valid_to, \
         deleted = excluded.deleted",
    )
    .await?;
    Ok(())
}
