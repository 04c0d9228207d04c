//! Resolution in the transaction, step by step; the result equals resolving everything.
//!
//! 1. [`blocks`]: the changed records' keys, who else has them, which keys became generic or
//!    ceased to be.
//! 2. [`pairs`]: candidate pairs, their scores, what changes in the pair table.
//! 3. [`component`]: the components the changes touch, over pairs and positive judgements,
//!    clustered anew.
//! 4. [`revise`]: customers, revisions, change log.
//!
//! A change of many records at once is spread: see [`MOST_AT_ONCE`].
//!
//! A component that no change touches has the same records, pairs and judgements as before,
//! and so the same clusters; that is why the rest of the database need not be looked at.

mod blocks;
mod component;
mod pairs;
mod revise;
pub(crate) mod views;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use jinke_resolution::{Key, Rules};
use jinke_store::Tx;
use jinke_types::{Failure, PartyKind, RecordKey, Timestamp};

pub(crate) use blocks::held;

use super::{Core, apply::of_body, cache::GenericKeys, prepare::Indexed, rule_sets::Tried, state};
use crate::{
    domain::Source,
    store::{
        records,
        records::PartyRow,
        shadow::{self, Lane},
    },
};

/// Most records that an ingest clusters or compares anew beside those it brings. What concerns
/// more is noted in the table `pending` and done in the background (see [`super::drain`]): until
/// then a new record of such a component is a customer of its own, and a changed one stays where
/// it was.
pub(crate) const MOST_AT_ONCE: usize = 2_000;

/// A party record whose state changed.
#[derive(Clone, Debug)]
pub(crate) struct PartyChange {
    pub(crate) no: i64,
    pub(crate) key: RecordKey,
    pub(crate) kind: PartyKind,
    pub(crate) fresh: bool,
    /// What the database holds; none of a new record.
    pub(crate) old: Option<Arc<Indexed>>,
    pub(crate) new: Arc<Indexed>,
    /// The customer that held it before.
    pub(crate) customer: Option<i64>,
    pub(crate) deleted: bool,
    pub(crate) versions: i64,
    pub(crate) newest: i64,
    pub(crate) time: Option<Timestamp>,
}

/// What a transaction changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Input {
    /// Records with another state, by number.
    pub(crate) changes: Vec<PartyChange>,
    /// Names of records that a changed judgement names.
    pub(crate) judged: BTreeSet<RecordKey>,
    /// The id of a positive judgement that is new: when something else would give way to it, it
    /// is among the obstacles.
    pub(crate) new_positive: Option<i64>,
    /// Other records whose components are to be clustered anew.
    pub(crate) seeds: BTreeSet<i64>,
    /// Records whose pairs are to be compared anew although they did not change.
    pub(crate) again: BTreeSet<i64>,
    /// Count the blocks of the records in `again` too, instead of trusting which are noted as
    /// generic.
    pub(crate) recount: bool,
    /// Leave components of more than [`MOST_AT_ONCE`] records to the background.
    pub(crate) bounded: bool,
    /// Go no further than the pair table: components follow when it is complete.
    pub(crate) pairs_only: bool,
    /// Customers with a changed attachment or source.
    pub(crate) touched: BTreeSet<i64>,
}

/// What came out, and what the caches learn when the transaction commits.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    customers: BTreeMap<i64, i64>,
    learned: Vec<(i64, i64, Arc<Indexed>)>,
    generic: Option<GenericKeys>,
    /// Judgements that cannot hold now, of those looked at: id to (reason, path of records).
    pub(crate) obstacles: BTreeMap<String, ObstacleView>,
    /// Something was left to the background.
    pub(crate) left: bool,
    /// With `pairs_only`, the records whose pairs changed.
    paired: BTreeSet<i64>,
}

/// Why a positive judgement cannot hold, in names.
#[derive(Clone, Debug)]
pub(crate) struct ObstacleView {
    /// `negative_judgement`, `exclusive_identifier`, `weak_bridge`, `different_kinds`.
    pub(crate) conflict: &'static str,
    /// The judgement or the scheme.
    pub(crate) detail: String,
    /// What the records are.
    pub(crate) kind: PartyKind,
    pub(crate) left: RecordKey,
    pub(crate) right: RecordKey,
    pub(crate) path: Vec<RecordKey>,
}

impl Resolved {
    /// The customer that now holds a record that was looked at.
    pub(crate) fn customer_of(&self, no: i64) -> Option<i64> {
        self.customers.get(&no).copied()
    }

    /// The records whose components were clustered.
    pub(crate) fn clustered(&self) -> Vec<i64> {
        self.customers.keys().copied().collect()
    }

    /// With `pairs_only`, the records whose pairs changed.
    pub(crate) fn paired(self) -> BTreeSet<i64> {
        self.paired
    }

    /// Tells the caches, after the commit.
    pub(crate) fn learn(self, core: &Core) {
        core.cache.learn(self.learned);
        if let Some(generic) = self.generic {
            core.generic.learn(generic);
        }
    }
}

/// What the steps share.
pub(crate) struct Work<'a> {
    pub(crate) core: &'a Core,
    pub(crate) input: &'a Input,
    /// By which pairs are scored and clustered.
    pub(crate) rules: Arc<Rules>,
    /// Whose pairs and customers these are.
    pub(crate) lane: Lane,
    /// Only parties of this kind are looked at.
    pub(crate) only: Option<PartyKind>,
    /// Changed records by number: index into the changes.
    pub(crate) changed: HashMap<i64, usize>,
    /// Rows of other records that were looked at.
    pub(crate) rows: HashMap<i64, PartyRow>,
    /// What is derived from records that were looked at, changed ones included.
    pub(crate) indexed: HashMap<i64, Arc<Indexed>>,
    /// Generic keys after the change.
    pub(crate) generic: GenericKeys,
    /// The texts of generic keys, of the records looked at.
    pub(crate) generic_texts: HashSet<Key>,
    /// Something was left to the background.
    pub(crate) left: bool,
}

impl<'a> Work<'a> {
    /// The row of a record as it is after the transaction.
    pub(crate) fn row(&self, no: i64) -> Option<PartyRow> {
        match self.changed.get(&no) {
            Some(&i) => {
                let c = &self.input.changes[i];
                Some(PartyRow {
                    no,
                    key: c.key.clone(),
                    kind: match c.kind {
                        PartyKind::Organization => crate::domain::RecordType::Organization,
                        PartyKind::Person => crate::domain::RecordType::Person,
                    },
                    customer: c.customer,
                    deleted: c.deleted,
                    versions: c.versions,
                    newest: c.newest,
                    time: c.time,
                })
            }
            None => self.rows.get(&no).cloned(),
        }
    }

    /// Loads rows of records not yet looked at.
    pub(crate) async fn load_rows(
        &mut self,
        tx: &mut Tx,
        nos: impl IntoIterator<Item = i64>,
    ) -> Result<(), Failure> {
        let missing: BTreeSet<i64> = nos
            .into_iter()
            .filter(|n| !self.changed.contains_key(n) && !self.rows.contains_key(n))
            .collect();
        let missing: Vec<i64> = missing.into_iter().collect();
        let rows = records::parties(tx, &missing).await?;
        self.keep(tx, rows).await?;
        Ok(())
    }

    /// Keeps rows, with the customers of this lane; their numbers.
    pub(crate) async fn keep(
        &mut self,
        tx: &mut Tx,
        mut rows: Vec<PartyRow>,
    ) -> Result<Vec<i64>, Failure> {
        let nos: Vec<i64> = rows.iter().map(|r| r.no).collect();
        if self.lane == Lane::Shadow {
            let of = shadow::customers(tx, &nos).await?;
            for row in &mut rows {
                row.customer = of.get(&row.no).copied();
            }
        }
        self.rows.extend(rows.into_iter().map(|r| (r.no, r)));
        Ok(nos)
    }

    /// Loads what is derived from these records, from memory or from their sealed states.
    pub(crate) async fn load_indexed(
        &mut self,
        tx: &mut Tx,
        nos: impl IntoIterator<Item = i64>,
    ) -> Result<(), Failure> {
        let wanted: BTreeSet<i64> = nos
            .into_iter()
            .filter(|n| !self.indexed.contains_key(n))
            .collect();
        self.load_rows(tx, wanted.iter().copied()).await?;
        let mut missing = Vec::new();
        for no in wanted {
            let Some(row) = self.rows.get(&no) else {
                continue;
            };
            match self.core.cache.get(no, row.versions) {
                Some(indexed) => self.note(no, indexed),
                None => missing.push(no),
            }
        }
        for chunk in missing.chunks(5_000) {
            let sealed = records::sealed_states(tx, chunk).await?;
            let found = self.open(sealed).await?;
            for (no, indexed) in found {
                self.note(no, indexed);
            }
        }
        Ok(())
    }

    /// Opening and standardizing takes the processor for a while: not on the runtime's threads.
    async fn open(
        &self,
        sealed: Vec<records::SealedState>,
    ) -> Result<Vec<(i64, Arc<Indexed>)>, Failure> {
        let kinds: HashMap<i64, PartyKind> = sealed
            .iter()
            .filter_map(|s| Some((s.no, self.rows.get(&s.no)?.kind.party()?)))
            .collect();
        if sealed.is_empty() {
            return Ok(Vec::new());
        }
        let (ring, rules) = (Arc::clone(&self.core.ring), Arc::clone(&self.core.rules));
        tokio::task::spawn_blocking(move || {
            sealed
                .iter()
                .filter_map(|s| kinds.get(&s.no).map(|kind| (s, *kind)))
                .map(|(s, kind)| {
                    let body = state::open_state(&ring, s)?;
                    Ok((s.no, Arc::new(of_body(&ring, &rules, kind, &body))))
                })
                .collect()
        })
        .await
        .map_err(Failure::internal)?
    }

    fn note(&mut self, no: i64, indexed: Arc<Indexed>) {
        self.note_generic(&indexed);
        let indexed = self.core.rated(&indexed, &self.rules);
        self.indexed.insert(no, indexed);
    }

    fn note_generic(&mut self, indexed: &Indexed) {
        for (key, token) in indexed.std.keys().iter().zip(&indexed.keys) {
            if self.generic.tokens.contains(token) {
                self.generic_texts.insert(key.clone());
            }
        }
    }
}

/// Resolves what changed; writes everything but the changed records themselves.
pub(crate) async fn run(
    core: &Core,
    tx: &mut Tx,
    input: Input,
    sources: &BTreeMap<String, Source>,
    now: Timestamp,
) -> Result<Resolved, Failure> {
    let idle = input.judged.is_empty()
        && input.seeds.is_empty()
        && input.touched.is_empty()
        && input.again.is_empty();
    if input.changes.is_empty() && idle {
        return Ok(Resolved::default());
    }
    let before = core.generic_keys(tx).await?;
    let tried = match input.pairs_only {
        true => None,
        false => core.tried(tx).await?,
    };
    let mut work = Work {
        core,
        rules: core.active(tx).await?,
        lane: Lane::Active,
        only: None,
        input: &input,
        changed: input
            .changes
            .iter()
            .enumerate()
            .map(|(i, c)| (c.no, i))
            .collect(),
        rows: HashMap::new(),
        indexed: HashMap::new(),
        generic: before,
        generic_texts: HashSet::new(),
        left: false,
    };
    let blocks = blocks::run(&mut work, tx).await?;
    let again = tried.as_ref().map(|_| blocks.clone());
    let pairs = pairs::run(&mut work, tx, blocks).await?;
    if input.pairs_only {
        return Ok(Resolved {
            paired: pairs.keys().flat_map(|p| [p.0, p.1]).collect(),
            left: work.left,
            ..Resolved::default()
        });
    }
    let clustered = component::run(&mut work, tx, &pairs).await?;
    let (customers, obstacles) = revise::run(&mut work, tx, clustered, sources, now).await?;
    if let (Some(tried), Some(blocks)) = (tried, again) {
        // Writers resolve under both rule sets while a dry run stands.
        let generic = work.generic.clone();
        work.left |= both(core, tx, &input, tried, (blocks, generic)).await?;
    }
    // Only what the configured rules rated may answer for a record later.
    let keep = core.rates_alike(&work.rules);
    let learned = work
        .indexed
        .iter()
        .filter(|(no, _)| keep || work.changed.contains_key(no))
        .filter_map(|(no, indexed)| {
            let (versions, indexed) = match work.changed.get(no) {
                Some(&i) => (input.changes[i].versions, &input.changes[i].new),
                None => (work.rows.get(no)?.versions, indexed),
            };
            Some((*no, versions, Arc::clone(indexed)))
        })
        .collect();
    Ok(Resolved {
        customers,
        learned,
        generic: Some(work.generic),
        obstacles,
        left: work.left,
        paired: BTreeSet::new(),
    })
}

/// Resolves what changed under the rule set that is tried, whose blocks are the same; whether
/// something was left to the background.
async fn both(
    core: &Core,
    tx: &mut Tx,
    input: &Input,
    tried: Tried,
    (mut blocks, generic): (blocks::Blocks, GenericKeys),
) -> Result<bool, Failure> {
    let mut input = input.clone();
    input.changes.retain(|c| c.kind == tried.kind);
    let nos: Vec<i64> = input.changes.iter().map(|c| c.no).collect();
    let of = shadow::customers(tx, &nos).await?;
    for c in &mut input.changes {
        c.customer = of.get(&c.no).copied();
    }
    // Other kinds are not in the shadow.
    let mut wanted: BTreeSet<i64> = blocks.anew.union(&blocks.losing).copied().collect();
    wanted.extend(&input.seeds);
    wanted.extend(&input.again);
    wanted.extend(&nos);
    let kinds = records::parties(tx, &wanted.into_iter().collect::<Vec<_>>()).await?;
    let mut ours: BTreeSet<i64> = kinds
        .iter()
        .filter(|r| r.kind.party() == Some(tried.kind))
        .map(|r| r.no)
        .collect();
    ours.extend(nos);
    for list in [
        &mut blocks.anew,
        &mut blocks.losing,
        &mut input.seeds,
        &mut input.again,
    ] {
        list.retain(|no| ours.contains(no));
    }
    let mut work = Work {
        core,
        rules: tried.rules,
        lane: Lane::Shadow,
        only: Some(tried.kind),
        input: &input,
        changed: input
            .changes
            .iter()
            .enumerate()
            .map(|(i, c)| (c.no, i))
            .collect(),
        rows: HashMap::new(),
        indexed: HashMap::new(),
        generic,
        generic_texts: HashSet::new(),
        left: false,
    };
    for c in &input.changes {
        work.note(c.no, Arc::clone(&c.new));
    }
    follow(&mut work, tx, blocks).await?;
    Ok(work.left)
}

/// Pairs and customers of the shadow.
async fn follow(work: &mut Work<'_>, tx: &mut Tx, blocks: blocks::Blocks) -> Result<(), Failure> {
    let pairs = pairs::run(work, tx, blocks).await?;
    if work.input.pairs_only {
        return Ok(());
    }
    let clustered = component::run(work, tx, &pairs).await?;
    let moved = clustered
        .customers
        .iter()
        .filter(|(no, id)| work.row(**no).and_then(|r| r.customer) != Some(**id));
    shadow::assign(tx, &moved.map(|(no, id)| (*no, *id)).collect()).await
}

/// Builds some of the shadow of a dry run: pairs of the records in `again` with `pairs_only`, else
/// the components of the seeds. Nothing in force is touched.
pub(crate) async fn in_shadow(core: &Core, tx: &mut Tx, input: Input) -> Result<(), Failure> {
    let Some(tried) = core.tried(tx).await? else {
        return Ok(());
    };
    let generic = core.generic_keys(tx).await?;
    let mut work = Work {
        core,
        rules: tried.rules,
        lane: Lane::Shadow,
        only: Some(tried.kind),
        input: &input,
        changed: HashMap::new(),
        rows: HashMap::new(),
        indexed: HashMap::new(),
        generic,
        generic_texts: HashSet::new(),
        left: false,
    };
    let blocks = blocks::Blocks {
        anew: input.again.clone(),
        ..blocks::Blocks::default()
    };
    follow(&mut work, tx, blocks).await
}
