//! The effect of a page of changes on one generation of the star.
//!
//! Every change carries the state as it is now, so applying one twice, or an older one after a newer
//! one of the same page, ends in the same rows. Facts are kept against the party they name; which
//! customer that is stands in `parties` alone, so that a merge or unmerge rewrites the crosswalk of
//! the records concerned and no fact.

mod sales;

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::{Rows, Tx, args, counter};
use jinke_types::Failure;

use super::dimensions::{self, Spelling};
use crate::feed::{
    Change, CustomerState, InteractionState, OpportunityState, PipelineState, SourceState,
    TransactionState, TransitionState,
};

/// Longest text kept of a name or value, in characters: these are for groups and labels.
const MAX_TEXT: usize = 200;

pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(MAX_TEXT).collect()
}

/// Source id and external id as one text.
fn key(of: &(String, String)) -> String {
    format!("{}/{}", of.0, of.1)
}

/// Applies the changes of a page. `cancelled` says which statuses take a transaction out.
pub async fn apply(
    tx: &mut Tx,
    generation: i64,
    changes: &[Change],
    cancelled: &BTreeSet<String>,
) -> Result<(), Failure> {
    let mut customers: BTreeMap<i64, Option<&CustomerState>> = BTreeMap::new();
    let mut transactions: BTreeMap<i64, &TransactionState> = BTreeMap::new();
    let mut interactions: BTreeMap<i64, &InteractionState> = BTreeMap::new();
    let mut opportunities: BTreeMap<i64, &OpportunityState> = BTreeMap::new();
    let mut transitions: BTreeMap<(i64, i64), &TransitionState> = BTreeMap::new();
    let mut pipelines: BTreeMap<&str, &PipelineState> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    for change in changes {
        match change {
            Change::Customer(id, state) => {
                customers.insert(*id, state.as_deref());
            }
            Change::Transaction(t) => {
                gone.remove(&t.id);
                interactions.remove(&t.id);
                transactions.insert(t.id, t);
            }
            Change::Interaction(i) => {
                gone.remove(&i.id);
                transactions.remove(&i.id);
                interactions.insert(i.id, i);
            }
            Change::Gone(id) => {
                transactions.remove(id);
                interactions.remove(id);
                gone.insert(*id);
            }
            Change::Opportunity(o) => {
                opportunities.insert(o.id, o);
            }
            Change::Transition(t) => {
                transitions.insert((t.opportunity, t.number), t);
            }
            Change::Pipeline(p) => {
                pipelines.insert(p.id.as_str(), p.as_ref());
            }
            Change::Other => {}
        }
    }
    let mut named = BTreeSet::new();
    for state in customers.values().flatten() {
        named.extend(state.records.iter().map(|r| r.0.as_str()));
        named.extend(state.values.iter().map(|v| v.2.as_str()));
        named.insert(&state.name_source);
    }
    for t in transactions.values() {
        named.extend([t.key.0.as_str(), t.party.0.as_str()]);
    }
    for i in interactions.values() {
        named.insert(&i.key.0);
        named.extend(i.party.iter().map(|p| p.0.as_str()));
    }
    named.remove("");
    let sources = source_numbers(tx, &named).await?;
    put_customers(tx, generation, &customers, &sources).await?;
    let ids: Vec<i64> = transactions
        .keys()
        .chain(interactions.keys())
        .chain(&gone)
        .copied()
        .collect();
    let gone: Vec<i64> = gone.into_iter().collect();
    let items = dimensions::products_of(tx, generation, &gone).await?;
    remove_facts(tx, generation, ids).await?;
    dimensions::prune(tx, generation, &items).await?;
    put_transactions(tx, generation, &transactions, &sources, cancelled).await?;
    put_interactions(tx, generation, &interactions, &sources).await?;
    sales::put(tx, generation, &opportunities, &transitions).await?;
    sales::put_pipelines(tx, generation, &pipelines).await?;
    Ok(())
}

/// Numbers of sources by id. One that is not known yet is walled until it is.
async fn source_numbers(
    tx: &mut Tx,
    ids: &BTreeSet<&str>,
) -> Result<BTreeMap<String, i64>, Failure> {
    let mut found = BTreeMap::new();
    for attempt in 0..2 {
        let list: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        for row in tx
            .fetch_all(
                "SELECT no, id FROM sources WHERE id IN LIST($1)",
                args![list],
            )
            .await?
        {
            found.insert(row.text("id")?, row.i64("no")?);
        }
        let missing: Vec<&str> = ids
            .iter()
            .copied()
            .filter(|id| !found.contains_key(*id))
            .collect();
        if missing.is_empty() || attempt == 1 {
            break;
        }
        for id in missing {
            let no = counter::take(tx, "sources", 1).await?;
            tx.execute(
                "INSERT INTO sources (no, id, display_name, org_unit, shared) \
                 VALUES ($1, $2, $2, '', 0) ON CONFLICT (id) DO NOTHING",
                args![no, id],
            )
            .await?;
        }
    }
    Ok(found)
}

/// Brings names, org units and sharing of the sources up to date.
pub async fn put_sources(tx: &mut Tx, sources: &[SourceState]) -> Result<(), Failure> {
    let ids = sources.iter().map(|s| s.id.as_str()).collect();
    source_numbers(tx, &ids).await?;
    for s in sources {
        tx.execute(
            "UPDATE sources SET display_name = $2, org_unit = $3, shared = $4 WHERE id = $1 \
             AND (display_name <> $2 OR org_unit <> $3 OR shared <> $4)",
            args![&s.id, short(&s.name), &s.org_unit, s.shared],
        )
        .await?;
    }
    Ok(())
}

async fn put_customers(
    tx: &mut Tx,
    generation: i64,
    customers: &BTreeMap<i64, Option<&CustomerState>>,
    sources: &BTreeMap<String, i64>,
) -> Result<(), Failure> {
    if customers.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = customers.keys().copied().collect();
    for text in [
        "DELETE FROM customers WHERE generation = $1 AND id IN LIST($2)",
        "DELETE FROM customer_values WHERE generation = $1 AND customer IN LIST($2)",
        "UPDATE parties SET customer = NULL WHERE generation = $1 AND customer IN LIST($2)",
    ] {
        tx.execute(text, args![generation, &ids]).await?;
    }
    let mut rows = Rows::new(&[
        "generation",
        "id",
        "person",
        "name",
        "name_source",
        "deleted",
        "create_time",
    ]);
    let mut values = Rows::new(&[
        "generation",
        "customer",
        "ordinal",
        "attribute",
        "value",
        "source",
    ]);
    let mut holders: BTreeMap<String, (i64, i64, i64)> = BTreeMap::new();
    for (id, state) in customers {
        let Some(state) = state else { continue };
        rows.push(args![
            generation,
            *id,
            state.person,
            short(&state.name),
            sources.get(&state.name_source).copied(),
            state.deleted,
            state.create_time
        ]);
        for (ordinal, (attribute, value, source)) in (0_i64..).zip(&state.values) {
            values.push(args![
                generation,
                *id,
                ordinal,
                *attribute,
                short(value),
                sources.get(source).copied()
            ]);
        }
        for (source, external_id, address) in &state.records {
            let no = sources.get(source).copied().unwrap_or_default();
            holders.insert(format!("{source}/{external_id}"), (no, *address, *id));
        }
    }
    tx.insert_many("customers", rows, "").await?;
    tx.insert_many("customer_values", values, "").await?;
    let keys: BTreeMap<String, i64> = holders.iter().map(|(k, h)| (k.clone(), h.0)).collect();
    let numbers = party_numbers(tx, generation, &keys).await?;
    let mut parties = Rows::new(&["generation", "no", "key", "source", "address", "customer"]);
    for (key, (source, address, customer)) in holders {
        let no = numbers.get(&key).copied().unwrap_or_default();
        parties.push(args![generation, no, key, source, address, customer]);
    }
    tx.insert_many(
        "parties",
        parties,
        "ON CONFLICT (generation, no) DO UPDATE SET address = excluded.address, \
         customer = excluded.customer",
    )
    .await?;
    Ok(())
}

/// Numbers of parties by key, given their sources; one that is new gets one.
async fn party_numbers(
    tx: &mut Tx,
    generation: i64,
    keys: &BTreeMap<String, i64>,
) -> Result<BTreeMap<String, i64>, Failure> {
    let mut found = BTreeMap::new();
    if keys.is_empty() {
        return Ok(found);
    }
    let list: Vec<String> = keys.keys().cloned().collect();
    for row in tx
        .fetch_all(
            "SELECT key, no FROM parties WHERE generation = $1 AND key IN LIST($2)",
            args![generation, list],
        )
        .await?
    {
        found.insert(row.text("key")?, row.i64("no")?);
    }
    let missing: Vec<(&String, i64)> = keys
        .iter()
        .filter(|(key, _)| !found.contains_key(*key))
        .map(|(key, source)| (key, *source))
        .collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let count = u32::try_from(missing.len()).map_err(Failure::internal)?;
    let first = counter::take(tx, "parties", count).await?;
    let mut rows = Rows::new(&["generation", "no", "key", "source"]);
    for (no, (key, source)) in (first..).zip(missing) {
        rows.push(args![generation, no, key, source]);
        found.insert(key.clone(), no);
    }
    tx.insert_many("parties", rows, "").await?;
    Ok(found)
}

async fn remove_facts(tx: &mut Tx, generation: i64, ids: Vec<i64>) -> Result<(), Failure> {
    if ids.is_empty() {
        return Ok(());
    }
    for text in [
        "DELETE FROM transactions WHERE generation = $1 AND id IN LIST($2)",
        "DELETE FROM transaction_lines WHERE generation = $1 AND id IN LIST($2)",
        "DELETE FROM interactions WHERE generation = $1 AND id IN LIST($2)",
    ] {
        tx.execute(text, args![generation, &ids]).await?;
    }
    Ok(())
}

async fn put_transactions(
    tx: &mut Tx,
    generation: i64,
    transactions: &BTreeMap<i64, &TransactionState>,
    sources: &BTreeMap<String, i64>,
    cancelled: &BTreeSet<String>,
) -> Result<(), Failure> {
    let no = |id: &str| sources.get(id).copied().unwrap_or_default();
    let keys = transactions
        .values()
        .map(|t| (key(&t.party), no(&t.party.0)))
        .collect();
    let parties = party_numbers(tx, generation, &keys).await?;
    let of_line = |t: &TransactionState, line| Spelling::of(no(&t.key.0), line);
    let spelled = transactions
        .values()
        .flat_map(|t| t.lines.iter().map(|l| of_line(t, l)))
        .collect();
    let products = dimensions::products(tx, generation, spelled).await?;
    let named = transactions
        .values()
        .map(|t| short(&t.employee))
        .filter(|name| !name.is_empty())
        .collect();
    let persons = dimensions::persons(tx, generation, named).await?;
    let mut rows = Rows::new(&[
        "generation",
        "id",
        "party",
        "source",
        "external_id",
        "kind",
        "time",
        "cancelled",
        "currency",
        "units",
        "nanos",
        "person",
    ]);
    let mut lines = Rows::new(&[
        "generation",
        "id",
        "line",
        "product",
        "item",
        "units",
        "nanos",
    ]);
    for t in transactions.values() {
        let (currency, units, nanos) = match &t.amount {
            Some((currency, units, nanos)) => (Some(currency), *units, *nanos),
            None => (None, 0, 0),
        };
        rows.push(args![
            generation,
            t.id,
            parties.get(&key(&t.party)).copied().unwrap_or_default(),
            no(&t.key.0),
            &t.key.1,
            i64::from(t.kind),
            t.time,
            cancelled.contains(&t.status.to_lowercase()),
            currency.map(String::as_str),
            units,
            i64::from(nanos),
            persons.get(&short(&t.employee)).copied()
        ]);
        for (ordinal, line) in (0_i64..).zip(&t.lines) {
            lines.push(args![
                generation,
                t.id,
                ordinal,
                "",
                products.get(&of_line(t, line)).copied(),
                line.amount.map(|a| a.0),
                line.amount.map(|a| i64::from(a.1))
            ]);
        }
    }
    tx.insert_many("transactions", rows, "").await?;
    tx.insert_many("transaction_lines", lines, "").await?;
    Ok(())
}

async fn put_interactions(
    tx: &mut Tx,
    generation: i64,
    interactions: &BTreeMap<i64, &InteractionState>,
    sources: &BTreeMap<String, i64>,
) -> Result<(), Failure> {
    let keys = interactions
        .values()
        .filter_map(|i| i.party.as_ref())
        .map(|p| (key(p), sources.get(&p.0).copied().unwrap_or_default()))
        .collect();
    let parties = party_numbers(tx, generation, &keys).await?;
    let mut rows = Rows::new(&[
        "generation",
        "id",
        "party",
        "address",
        "holder",
        "source",
        "external_id",
        "org_unit",
        "kind",
        "time",
        "channel",
        "inbound",
        "employee",
        "survey",
        "rating",
    ]);
    for i in interactions.values() {
        let party = i.party.as_ref().and_then(|p| parties.get(&key(p)).copied());
        rows.push(args![
            generation,
            i.id,
            party,
            i.address,
            i.holder,
            sources.get(&i.key.0).copied(),
            &i.key.1,
            &i.org_unit,
            i64::from(i.kind),
            i.time,
            short(&i.channel),
            i.inbound,
            short(&i.employee),
            i.rating.map(|r| i64::from(r.0)),
            i.rating.map(|r| r.1)
        ]);
    }
    tx.insert_many("interactions", rows, "").await?;
    Ok(())
}
