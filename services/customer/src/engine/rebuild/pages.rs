//! Party records page by page: their keys, pairs, clusters, reviews and customers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jinke_store::{Conn, Tx};
use jinke_types::Failure;

use super::{Difference, Walk, differences};
use crate::{
    domain::key_text,
    engine::{
        Core,
        prepare::Indexed,
        resolve::{Input, held},
    },
    store::{
        blocks::{self, BlockChanges},
        customers, judgements, pairs, rebuild as store,
        records::{self, PartyRow},
        tokens::{self, TokenChanges},
    },
};

/// Records of one transaction.
const STEP: i64 = 300;

/// What is stored of the records of a page, by what it is about and which one it is.
type Derived = BTreeMap<(&'static str, String), String>;

pub(super) async fn run(core: &Core, walk: &mut Walk) -> Result<(), Failure> {
    let mut after = i64::MIN;
    loop {
        let mut reader = core.db.read().await?;
        let page = records::page_of_resolved(&mut reader, after, STEP).await?;
        drop(reader);
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.no;
        let nos: Vec<i64> = page.iter().map(|r| r.no).collect();
        let mut tx = core.db.begin().await?;
        core.lock(&mut tx).await?;
        let found = one(core, &mut tx, &nos, None).await?;
        // Dropped without a commit, the transaction is rolled back.
        drop(tx);
        if walk.repair && !found.is_empty() {
            let customers: BTreeSet<i64> = found
                .iter()
                .filter(|d| d.about == "customer")
                .filter_map(|d| d.subject.parse().ok())
                .collect();
            let resolved = core
                .db
                .write(async |mut tx| {
                    let tx = &mut tx;
                    core.lock(tx).await?;
                    one(core, tx, &nos, Some(&customers)).await
                })
                .await?;
            core.cache.clear();
            walk.out.note(resolved);
        } else {
            walk.out.note(found);
        }
        walk.out.records += i64::try_from(page.len()).unwrap_or(0);
        walk.step(page.len()).await?;
    }
}

/// Resolves a page anew within the transaction; what changed by it. With `customers` given, only
/// their list columns are written anew, else those of all.
async fn one(
    core: &Core,
    tx: &mut Tx,
    nos: &[i64],
    customers: Option<&BTreeSet<i64>>,
) -> Result<Vec<Difference>, Failure> {
    let rows = records::parties(tx, nos).await?;
    let indexed = core.indexed(tx, nos).await?;
    let keys: BTreeSet<i64> = indexed
        .values()
        .flat_map(|(_, i)| i.keys.iter().copied())
        .collect();
    let keys: Vec<i64> = keys.into_iter().collect();
    let before = derived(tx, &rows, &keys).await?;
    let mut found = missing(tx, &indexed).await?;
    let held: BTreeSet<i64> = rows.iter().filter_map(|r| r.customer).collect();
    let input = Input {
        again: rows.iter().map(|r| r.no).collect(),
        recount: true,
        touched: customers.cloned().unwrap_or(held),
        ..Input::default()
    };
    core.resolve(tx, input, core.clock.now()).await?;
    let rows = records::parties(tx, nos).await?;
    let after = derived(tx, &rows, &keys).await?;
    found.extend(differences(&before, &after));
    Ok(found)
}

/// Keys that are not stored; they are stored now.
async fn missing(
    tx: &mut Tx,
    indexed: &BTreeMap<i64, (PartyRow, Arc<Indexed>)>,
) -> Result<Vec<Difference>, Failure> {
    let mut found = Vec::new();
    let absent = |about, token: i64, no: i64| Difference {
        about,
        subject: format!("{token} of record {no}"),
        stored: String::new(),
        right: "present".to_owned(),
    };
    let terms: Vec<(i64, i64)> = indexed
        .iter()
        .flat_map(|(no, (_, i))| i.terms.iter().map(|t| (*t, *no)))
        .collect();
    let stored = store::stored_tokens(tx, &terms).await?;
    let mut changes = TokenChanges::default();
    for (token, no) in terms.into_iter().filter(|t| !stored.contains(t)) {
        found.push(absent("token", token, no));
        changes.added.insert((token, no));
    }
    tokens::write(tx, changes, true).await?;
    let keys: Vec<_> = indexed
        .iter()
        .flat_map(|(no, (row, i))| {
            let held = held(*no, &row.key, i);
            i.keys.iter().map(move |t| (*t, held))
        })
        .collect();
    let stored = store::stored_blocks(tx, &keys).await?;
    let mut changes = BlockChanges::default();
    for (token, held) in keys.into_iter().filter(|k| !stored.contains(k)) {
        found.push(absent("blocking key", token, held.no));
        changes.added.insert((token, held));
    }
    blocks::write(tx, changes, true).await?;
    Ok(found)
}

/// What is stored of these records. Revisions and times are not in it.
async fn derived(conn: &mut Conn, rows: &[PartyRow], keys: &[i64]) -> Result<Derived, Failure> {
    let mut out = Derived::new();
    let nos: Vec<i64> = rows.iter().map(|r| r.no).collect();
    for row in rows {
        let customer = row.customer.map_or_else(String::new, |c| c.to_string());
        out.insert(("customer of record", row.no.to_string()), customer);
    }
    for (a, b, score) in pairs::from(conn, &nos).await? {
        out.insert(("pair", format!("{a}-{b}")), score.to_string());
    }
    for ((a, b), (score, reason)) in store::reviews(conn, &nos).await? {
        out.insert(
            ("review", format!("{a}-{b}")),
            format!("{score} for reason {reason}"),
        );
    }
    let ids: BTreeSet<i64> = rows.iter().filter_map(|r| r.customer).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    for (id, c) in customers::by_ids(conn, &ids).await? {
        let deleted = if c.delete_time.is_some() {
            ", deleted"
        } else {
            ""
        };
        let live = if c.live { "" } else { ", not live" };
        out.insert(
            ("customer", id.to_string()),
            format!(
                "{} records, {}{deleted}{live}",
                c.record_count,
                c.display_name.unwrap_or_default()
            ),
        );
    }
    for token in store::generic(conn, keys).await? {
        out.insert(("generic key", token.to_string()), "generic".to_owned());
    }
    let names: Vec<String> = rows.iter().map(|r| key_text(&r.key)).collect();
    for (id, j) in judgements::naming(conn, &names).await? {
        let state = if j.suspended { "suspended" } else { "in force" };
        out.insert(("judgement", id.to_string()), state.to_owned());
    }
    Ok(out)
}
