//! The plain columns and the sums of transactions, interactions and relationships.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jinke_store::{
    Tx,
    changelog::{self, Entry},
};
use jinke_types::{Body, Failure, RecordKey, Timestamp};
use rust_decimal::Decimal;

use crate::{
    domain::{RecordType, TIMELINE_FEED, interaction_code, key_text, transaction_code},
    store::{
        activities::{self, ActivityRow, RelationshipRow, Total, TotalKey},
        records::RecordRow,
    },
};

/// Records other than parties whose state changed: row, state, whether the record is new.
pub(crate) type Changed = (RecordRow, Option<Arc<Body>>, bool);

/// Writes the plain columns, brings the sums up to date and tells the followers.
pub(crate) async fn write(
    tx: &mut Tx,
    changed: Vec<Changed>,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut relationships = Vec::new();
    for (row, body, _) in &changed {
        match body.as_deref().and_then(|body| plain(row, body)) {
            Some(Plain::Activity(activity)) => rows.push(activity),
            Some(Plain::Relationship(relationship)) => relationships.push(relationship),
            None => {}
        }
    }
    for (row, ..) in &changed {
        if matches!(row.kind, RecordType::Transaction | RecordType::Interaction) {
            changelog::append(
                tx,
                Entry {
                    feed: TIMELINE_FEED,
                    subject: row.no.to_string(),
                    kind: if row.deleted { "deleted" } else { "changed" },
                    revision: row.versions,
                    time: now,
                    body: Vec::new(),
                },
            );
        }
    }
    sum(tx, &changed, &rows).await?;
    activities::put(tx, &rows).await?;
    activities::put_relationships(tx, &relationships).await
}

/// The plain columns of a record.
#[derive(Debug)]
pub(crate) enum Plain {
    Activity(ActivityRow),
    Relationship(RelationshipRow),
}

/// The plain columns of a record in this state; none of a party.
pub(crate) fn plain(row: &RecordRow, body: &Body) -> Option<Plain> {
    let activity = |party: &RecordKey, kind, time, amount| {
        Plain::Activity(ActivityRow {
            no: row.no,
            kind_of_record: row.kind.code(),
            party: key_text(party),
            kind,
            time,
            amount,
            deleted: row.deleted,
        })
    };
    match body {
        Body::Transaction(t) => {
            let amount = t.amount.as_ref().map(|m| (m.currency.clone(), m.amount));
            Some(activity(&t.party, transaction_code(t.kind), t.time, amount))
        }
        Body::Interaction(i) => Some(activity(&i.party, interaction_code(i.kind), i.time, None)),
        Body::Relationship(r) => Some(Plain::Relationship(RelationshipRow {
            no: row.no,
            kind: r.kind.clone(),
            from: key_text(&r.from),
            to: key_text(&r.to),
            valid_from: r.valid_from,
            valid_to: r.valid_to,
            deleted: row.deleted,
        })),
        Body::Party { .. } => None,
    }
}

/// Takes what the transactions counted before off the sums and adds what they count now.
async fn sum(tx: &mut Tx, changed: &[Changed], now: &[ActivityRow]) -> Result<(), Failure> {
    let transaction = RecordType::Transaction;
    let known: Vec<i64> = changed
        .iter()
        .filter(|(row, _, fresh)| row.kind == transaction && !fresh)
        .map(|(row, ..)| row.no)
        .collect();
    let before = activities::by_nos(tx, &known).await?;
    let sources: BTreeMap<i64, &str> = changed
        .iter()
        .map(|(row, ..)| (row.no, row.key.source.as_str()))
        .collect();
    let mut delta: BTreeMap<TotalKey, Total> = BTreeMap::new();
    let counted = before
        .values()
        .map(|a| (a, -1))
        .chain(now.iter().map(|a| (a, 1)));
    for (a, sign) in counted {
        if a.deleted || a.kind_of_record != transaction.code() {
            continue;
        }
        let source = sources.get(&a.no).copied().unwrap_or_default().to_owned();
        let (currency, amount) = a.amount.clone().unwrap_or_default();
        let total = delta
            .entry((a.party.clone(), source, a.kind, currency))
            .or_default();
        total.count += sign;
        total.amount = add(total.amount, amount * Decimal::from(sign));
    }
    delta.retain(|_, t| *t != Total::default());
    if delta.is_empty() {
        return Ok(());
    }
    let parties: BTreeSet<&String> = delta.keys().map(|k| &k.0).collect();
    let parties: Vec<String> = parties.into_iter().cloned().collect();
    let stored = activities::totals(tx, &parties).await?;
    for (key, total) in &mut delta {
        if let Some(old) = stored.get(key) {
            total.count += old.count;
            total.amount = add(total.amount, old.amount);
        }
    }
    activities::put_totals(tx, &delta).await
}

/// Amounts are bounded ([`crate::domain::MAX_AMOUNT`]), so a sum would need 10^13 of the
/// greatest to overflow; it then stays where it was.
fn add(a: Decimal, b: Decimal) -> Decimal {
    a.checked_add(b).unwrap_or(a).normalize()
}
