//! Checking the whole database against its source records and judgements.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jinke_resolution::{
    Judgement, Member, RuleSet, Standardized, block::BlockState, resolve::resolve_kind, survive,
};
use jinke_types::{Failure, PartyKind, RecordKey, RowScope, Value};
use sha2::{Digest as _, Sha256};

use super::{
    Core, Engine,
    golden::Loaded,
    prepare::{Indexed, searched},
    resolve::held,
};
use crate::{
    domain::{Decision, Source},
    store::{
        activities,
        blocks::{self, Held},
        customers, judgements,
        pairs::{self, ReviewRow},
        records::{self, PartyRow},
        sources, state as engine_state, tokens,
    },
};

/// Records or customers per step.
const STEP: i64 = 2_000;
/// Most faults that are listed.
const MAX_FAULTS: usize = 50;

/// Faults found, up to a number of them.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn push(&mut self, fault: String) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(fault);
        }
    }

    /// Notes where two tables differ, by key.
    fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &str,
        stored: &BTreeMap<K, V>,
        right: &BTreeMap<K, V>,
    ) {
        for (k, v) in stored {
            if right.get(k) != Some(v) {
                self.push(format!(
                    "{what} {k:?}: stored {v:?}, right {:?}",
                    right.get(k)
                ));
            }
        }
        for (k, v) in right {
            if !stored.contains_key(k) {
                self.push(format!("{what} {k:?}: missing, right {v:?}"));
            }
        }
    }
}

impl Engine {
    /// A hash of partition, values, provenance and crosswalk. Customers are named by their
    /// smallest record key; ids, revisions, positions, version numbers and receive times are not
    /// in it, so that it does not depend on the order in which records arrived.
    pub async fn state_hash(&self) -> Result<String, Failure> {
        let core = &self.core;
        let mut reader = core.db.snapshot().await?;
        let known = sources::all(&mut reader).await?;
        let ids: Vec<i64> = customers::all(&mut reader)
            .await?
            .into_values()
            .filter(|c| c.live)
            .map(|c| c.id)
            .collect();
        let mut described: BTreeMap<RecordKey, [u8; 32]> = BTreeMap::new();
        for chunk in ids.chunks(1_000) {
            let members = core
                .members(&mut reader, chunk, &RowScope::All, &known)
                .await?;
            for list in members.values() {
                if let Some(first) = list.iter().map(|m| &m.record.key).min() {
                    described.insert(first.clone(), Sha256::digest(describe(core, list)?).into());
                }
            }
        }
        let mut hash = Sha256::new();
        for (key, digest) in described {
            hash.update(format!("{key}\0"));
            hash.update(digest);
        }
        Ok(hex::encode(hash.finalize()))
    }

    /// Recomputes everything derived from the source records and judgements and compares it
    /// with what is stored; what differs, at most 50 findings. Empty means that incremental
    /// resolution equals resolution from scratch. Holds all records in memory: for tests and
    /// for `doctor` on installations of moderate size.
    pub async fn verify(&self) -> Result<Vec<String>, Failure> {
        let core = &self.core;
        let mut reader = core.db.snapshot().await?;
        let conn = &mut *reader;
        let mut faults = Faults::default();
        let mut rows: Vec<PartyRow> = Vec::new();
        let mut bodies = BTreeMap::new();
        let mut after = i64::MIN;
        loop {
            let page = records::page_of_parties(conn, after, STEP).await?;
            let Some(last) = page.last() else { break };
            after = last.no;
            let nos: Vec<i64> = page.iter().map(|r| r.no).collect();
            bodies.extend(core.bodies(conn, &nos).await?);
            rows.extend(page);
        }
        let mut indexed: HashMap<i64, Indexed> = HashMap::new();
        for row in &rows {
            if let (Some(kind), Some(body)) = (row.kind.party(), bodies.get(&row.no)) {
                let fresh = super::apply::of_body(&core.ring, &core.rules, kind, body);
                indexed.insert(row.no, fresh);
            }
        }
        check_tokens(&mut faults, &indexed, &tokens::all(conn).await?);
        check_blocks(&mut faults, &rows, &indexed, &blocks::all(conn).await?);
        let judged: Vec<_> = judgements::all_in_force(conn).await?;
        let mut right = Right::default();
        let active = core.active(conn).await?;
        let rated: HashMap<i64, Standardized> = indexed
            .iter()
            .map(|(no, i)| (*no, i.std.rated(active.of(i.std.kind()))))
            .collect();
        for kind in [PartyKind::Organization, PartyKind::Person] {
            right.resolve(active.of(kind), &rows, &rated, &judged);
        }
        let stored: BTreeMap<i64, i64> = rows
            .iter()
            .map(|r| (r.no, r.customer.unwrap_or(-1)))
            .collect();
        faults.compare("customer of record", &stored, &right.customers);
        let stored = pairs::all(conn).await?;
        faults.compare("pair", &stored, &right.pairs);
        let stored: BTreeMap<(i64, i64), ReviewRow> = pairs::all_reviews(conn)
            .await?
            .into_iter()
            .map(|r| ((r.a, r.b), r))
            .collect();
        faults.compare("review", &stored, &right.reviews);
        let stored: BTreeMap<i64, bool> = judged.iter().map(|j| (j.id, j.suspended)).collect();
        let suspended: BTreeMap<i64, bool> = judged
            .iter()
            .map(|j| (j.id, right.suspended.contains(&j.id)))
            .collect();
        faults.compare("suspended judgement", &stored, &suspended);
        let generic: BTreeMap<i64, ()> = engine_state::generic(conn)
            .await?
            .into_iter()
            .map(|t| (t, ()))
            .collect();
        faults.compare("generic key", &generic, &generic_of(core, &indexed));
        let known = sources::all(conn).await?;
        let stored: BTreeMap<i64, (i64, Option<String>, bool)> = customers::all(conn)
            .await?
            .into_values()
            .filter(|c| c.live)
            .map(|c| {
                (
                    c.id,
                    (c.record_count, c.display_name, c.delete_time.is_some()),
                )
            })
            .collect();
        let list = lists(core, &rows, &bodies, &right.customers, &known);
        faults.compare("customer", &stored, &list);
        let (stored, sums) = activities::check_totals(conn).await?;
        faults.compare("total", &stored, &sums);
        Ok(faults.0)
    }
}

/// What a customer is, in words that do not depend on arrival.
fn describe(core: &Core, list: &[Loaded]) -> Result<Vec<u8>, Failure> {
    let (name, values) = core.survivors(list);
    let key = |i: usize| list[i].record.key.to_string();
    let mut records: Vec<(String, bool)> = list
        .iter()
        .map(|m| (m.record.key.to_string(), m.record.deleted))
        .collect();
    records.sort();
    let mut said = Vec::new();
    for v in &values {
        let mut support: Vec<String> = v.supported_by.iter().map(|i| key(*i)).collect();
        support.sort();
        let mut losing: Vec<(String, &Value)> =
            v.losing.iter().map(|l| (key(l.record), &l.value)).collect();
        losing.sort();
        said.push((&v.value, key(v.record), v.rule, v.time, support, losing));
    }
    serde_json::to_vec(&(name, records, said)).map_err(Failure::internal)
}

fn check_tokens(
    faults: &mut Faults,
    indexed: &HashMap<i64, Indexed>,
    stored: &BTreeSet<(i64, i64)>,
) {
    let right = indexed
        .iter()
        .flat_map(|(no, i)| i.terms.iter().map(|t| ((*t, *no), ())));
    let stored = stored.iter().map(|t| (*t, ())).collect();
    faults.compare("token", &stored, &right.collect());
}

fn check_blocks(
    faults: &mut Faults,
    rows: &[PartyRow],
    indexed: &HashMap<i64, Indexed>,
    stored: &BTreeSet<(i64, Held)>,
) {
    let mut right = BTreeMap::new();
    for row in rows {
        if let Some(i) = indexed.get(&row.no) {
            let held = held(row.no, &row.key, i);
            right.extend(i.keys.iter().map(|t| ((*t, held), ())));
        }
    }
    let stored = stored.iter().map(|t| (*t, ())).collect();
    faults.compare("block", &stored, &right);
}

fn generic_of(core: &Core, indexed: &HashMap<i64, Indexed>) -> BTreeMap<i64, ()> {
    let mut blocks: BTreeMap<i64, (PartyKind, u8, usize, BTreeSet<i64>)> = BTreeMap::new();
    for i in indexed.values() {
        for (key, token) in i.std.keys().iter().zip(&i.keys) {
            let block = blocks
                .entry(*token)
                .or_insert_with(|| (i.std.kind(), key.rule, 0, BTreeSet::new()));
            block.2 += 1;
            block.3.extend(i.core);
        }
    }
    blocks.retain(|_, (kind, rule, records, cores)| {
        let rule = core.rules.of(*kind).keys.get(usize::from(*rule));
        rule.is_some_and(|r| r.state(*records, cores.len()) == BlockState::Generic)
    });
    blocks.into_keys().map(|t| (t, ())).collect()
}

/// What resolving from scratch gives.
#[derive(Default)]
struct Right {
    customers: BTreeMap<i64, i64>,
    pairs: BTreeMap<(i64, i64), i32>,
    reviews: BTreeMap<(i64, i64), ReviewRow>,
    suspended: BTreeSet<i64>,
}

impl Right {
    fn resolve(
        &mut self,
        rules: &RuleSet,
        rows: &[PartyRow],
        indexed: &HashMap<i64, Standardized>,
        judged: &[judgements::JudgementRow],
    ) {
        let rows: Vec<&PartyRow> = rows
            .iter()
            .filter(|r| r.kind.party() == Some(rules.kind))
            .collect();
        let keys: Vec<&RecordKey> = rows.iter().map(|r| &r.key).collect();
        let list: Vec<Standardized> = rows
            .iter()
            .filter_map(|r| indexed.get(&r.no).cloned())
            .collect();
        let judgements: Vec<Judgement> = judged.iter().map(|j| j.judgement()).collect();
        let found = resolve_kind(&keys, &list, &judgements, rules);
        let no = |i: usize| rows[i].no;
        let pair = |a: usize, b: usize| (no(a).min(no(b)), no(a).max(no(b)));
        for cluster in &found.clustering.clusters {
            let id = cluster.iter().map(|i| no(*i)).min().unwrap_or_default();
            self.customers.extend(cluster.iter().map(|i| (no(*i), id)));
        }
        for e in &found.edges {
            for (a, b) in [(no(e.a), no(e.b)), (no(e.b), no(e.a))] {
                self.pairs.insert((a, b), e.score);
            }
        }
        for r in &found.clustering.reviews {
            let (left, right) = (&rows[r.a].key, &rows[r.b].key);
            let settled = judged.iter().any(|j| {
                j.decision == Decision::Unsure
                    && ((j.left.contains(left) && j.right.contains(right))
                        || (j.left.contains(right) && j.right.contains(left)))
            });
            if !settled {
                let (a, b) = pair(r.a, r.b);
                let reason = if r.reason.is_none() { 1 } else { 2 };
                self.reviews.insert(
                    (a, b),
                    ReviewRow {
                        a,
                        b,
                        score: r.score,
                        reason,
                    },
                );
            }
        }
        let by_key: HashMap<&RecordKey, i64> = rows.iter().map(|r| (&r.key, r.no)).collect();
        for o in &found.clustering.suspended {
            let Some(j) = judged.iter().find(|j| j.id.to_string() == o.judgement) else {
                continue;
            };
            self.suspended.insert(j.id);
            let of = |side: &[RecordKey]| side.iter().find_map(|k| by_key.get(k).copied());
            if let (Some(x), Some(y)) = (of(&j.left), of(&j.right))
                && x != y
            {
                let (a, b) = (x.min(y), x.max(y));
                let score = self.pairs.get(&(a, b)).copied().unwrap_or(0);
                self.reviews.insert(
                    (a, b),
                    ReviewRow {
                        a,
                        b,
                        score,
                        reason: 3,
                    },
                );
            }
        }
    }
}

/// The list columns: number of records, best name, whether deleted.
fn lists(
    core: &Core,
    rows: &[PartyRow],
    bodies: &BTreeMap<i64, jinke_types::Body>,
    customers: &BTreeMap<i64, i64>,
    known: &BTreeMap<String, Source>,
) -> BTreeMap<i64, (i64, Option<String>, bool)> {
    let mut members: BTreeMap<i64, Vec<&PartyRow>> = BTreeMap::new();
    for row in rows {
        if let Some(id) = customers.get(&row.no) {
            members.entry(*id).or_default().push(row);
        }
    }
    let names: HashMap<i64, Vec<Value>> = bodies
        .iter()
        .map(|(no, body)| match body {
            jinke_types::Body::Party { values, .. } => (
                *no,
                values
                    .iter()
                    .filter(|v| searched(&v.attribute))
                    .cloned()
                    .collect(),
            ),
            _ => (*no, Vec::new()),
        })
        .collect();
    members
        .into_iter()
        .map(|(id, list)| {
            let deleted = list.iter().all(|m| m.deleted);
            let shared = |m: &PartyRow| known.get(&m.key.source).is_some_and(|s| s.shared);
            let any = list.iter().any(|m| shared(m));
            let units: BTreeSet<&str> = list
                .iter()
                .filter_map(|m| Some(&*known.get(&m.key.source)?.org_unit))
                .collect();
            let person = list
                .iter()
                .any(|m| m.kind.party() == Some(PartyKind::Person));
            let name = if person || (!any && units.len() > 1) {
                None
            } else {
                let chosen: Vec<Member<'_>> = list
                    .iter()
                    .filter(|m| !any || shared(m))
                    .map(|m| Member {
                        key: &m.key,
                        kind: PartyKind::Organization,
                        trust: known.get(&m.key.source).map_or(0, |s| s.trust),
                        deleted: m.deleted,
                        business_time: m.time,
                        values: names.get(&m.no).map_or(&[][..], Vec::as_slice),
                    })
                    .collect();
                let name = survive(&chosen, &core.policy)
                    .display_name
                    .replace('\0', "");
                (!name.is_empty()).then_some(name)
            };
            let count = i64::try_from(list.len()).unwrap_or(i64::MAX);
            (id, (count, name, deleted))
        })
        .collect()
}
