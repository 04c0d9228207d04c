//! Blocks as far as a change needs them: never read to the end.
//!
//! Which pairs a block gives follows from its state, from which cores are crowded and from who is
//! a hub of his core (see [`jinke_resolution::block`]). A small block is read as a whole. Of a
//! large one only the distinct cores up to their limit, and the first records of the cores in
//! question, are read: enough to know all of that before a change and after it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jinke_resolution::{
    KeyRule, Rules,
    block::{BlockState, HUBS, Standing},
};
use jinke_store::Conn;
use jinke_types::{Failure, PartyKind};

use crate::store::blocks::{self, Held};

/// Where a key comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) kind: PartyKind,
    pub(crate) rule: u8,
}

impl Origin {
    pub(crate) fn rule(self, rules: &Rules) -> Option<&KeyRule> {
        rules.of(self.kind).keys.get(usize::from(self.rule))
    }
}

/// What is asked of a block.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) origin: Origin,
    /// How many records are about to leave it.
    pub(crate) leaving: usize,
    /// The cores whose first records are needed.
    pub(crate) cores: BTreeSet<i64>,
    /// Whether it is generic may change: its cores must be counted, also when it is known to be.
    pub(crate) counted: bool,
}

/// A block, as far as it was read.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) origin: Origin,
    /// All of its records are in `parts`.
    pub(crate) whole: bool,
    /// The distinct cores, as far as their number matters; none of a block that stays generic.
    cores: Option<BTreeSet<i64>>,
    /// The first records of cores, by place.
    pub(crate) parts: BTreeMap<i64, Vec<(i64, i64)>>,
    /// Cores of `parts` that were read far enough to tell whether they are crowded.
    read: BTreeSet<i64>,
}

impl View {
    /// An empty block.
    pub(crate) fn empty(origin: Origin) -> Self {
        Self {
            origin,
            whole: true,
            cores: None,
            parts: BTreeMap::new(),
            read: BTreeSet::new(),
        }
    }

    pub(crate) fn state(&self, rule: &KeyRule) -> BlockState {
        let named = |cores: &mut dyn Iterator<Item = &i64>| cores.filter(|c| **c != 0).count();
        if self.whole {
            let records = self.parts.values().map(Vec::len).sum();
            return rule.state(records, named(&mut self.parts.keys()));
        }
        self.cores.as_ref().map_or(BlockState::Generic, |cores| {
            rule.state(rule.max_records + 1, named(&mut cores.iter()))
        })
    }

    /// Whether more than `max_records` records have this core.
    fn crowded(&self, rule: &KeyRule, core: i64) -> bool {
        self.parts.get(&core).map_or(0, Vec::len) > rule.max_records
    }

    fn is_hub(&self, core: i64, no: i64) -> bool {
        let part = self.parts.get(&core).into_iter().flatten();
        part.take(HUBS).any(|(_, n)| *n == no)
    }

    /// Where a record stands that was read.
    pub(crate) fn standing(
        &self,
        rule: &KeyRule,
        state: BlockState,
        core: i64,
        no: i64,
    ) -> Standing {
        Standing {
            state,
            core: core.cast_unsigned(),
            crowded_core: self.crowded(rule, core),
            hub: self.is_hub(core, no),
        }
    }

    /// The records that were read, with their cores.
    pub(crate) fn records(&self) -> impl Iterator<Item = (i64, i64)> {
        self.parts
            .iter()
            .flat_map(|(core, list)| list.iter().map(|(_, no)| (*core, *no)))
    }

    /// The first records of every core.
    pub(crate) fn hubs(&self) -> impl Iterator<Item = i64> {
        self.parts
            .values()
            .flat_map(|list| list.iter().take(HUBS).map(|(_, no)| *no))
    }

    /// Whether the partners of a record with this core can be told.
    pub(crate) fn knows(&self, core: i64) -> bool {
        self.whole || self.read.contains(&core)
    }

    /// Adds what was read of a core.
    pub(crate) fn learn(&mut self, core: i64, list: Vec<(i64, i64)>) {
        self.parts.insert(core, list);
        self.read.insert(core);
    }

    /// Takes records away and adds others.
    pub(crate) fn apply(&mut self, removed: &BTreeSet<Held>, added: &BTreeSet<Held>) {
        for h in removed {
            let Some(part) = self.parts.get_mut(&h.core) else {
                continue;
            };
            part.retain(|at| *at != (h.place, h.no));
            if part.is_empty() {
                self.parts.remove(&h.core);
                if let Some(cores) = &mut self.cores {
                    cores.remove(&h.core);
                }
            }
        }
        for h in added {
            let part = self.parts.entry(h.core).or_default();
            let at = part.partition_point(|p| *p < (h.place, h.no));
            part.insert(at, (h.place, h.no));
            if let Some(cores) = &mut self.cores {
                cores.insert(h.core);
            }
        }
    }

    /// The records that a record of the block is compared with, itself among them perhaps. With
    /// true, all others of its core too, of whom only the first were read.
    pub(crate) fn partners(&self, rule: &KeyRule, core: i64, no: i64) -> (Vec<i64>, bool) {
        let state = self.state(rule);
        if state == BlockState::Open {
            return (self.records().map(|r| r.1).collect(), false);
        }
        let part = self.parts.get(&core).map_or(&[][..], Vec::as_slice);
        let crowded = part.len() > rule.max_records;
        let hub = self.is_hub(core, no);
        let near = if crowded { HUBS } else { part.len() };
        let mut out: Vec<i64> = part.iter().take(near).map(|(_, n)| *n).collect();
        if hub && state == BlockState::Crowded {
            out.extend(self.hubs());
        }
        (out, hub && crowded)
    }
}

/// How many records of a core tell whether it is crowded, and who its hubs are.
pub(crate) const fn enough(rule: &KeyRule) -> usize {
    if rule.max_records < HUBS {
        HUBS
    } else {
        rule.max_records + 1
    }
}

fn limit(records: usize) -> i64 {
    i64::try_from(records).unwrap_or(i64::MAX)
}

/// Reads blocks as they are stored now. `generic` are those known to be generic.
pub(crate) async fn load(
    conn: &mut Conn,
    rules: &Rules,
    asks: &BTreeMap<i64, Ask>,
    generic: &HashSet<i64>,
) -> Result<HashMap<i64, View>, Failure> {
    let mut views = HashMap::with_capacity(asks.len());
    let mut counted = BTreeMap::new();
    for (token, ask) in asks {
        let Some(rule) = ask.origin.rule(rules) else {
            continue;
        };
        if ask.counted || !generic.contains(token) {
            counted.insert(*token, limit(rule.max_records + ask.leaving + 1));
        }
    }
    let (mut small, large) = blocks::below(conn, &counted).await?;
    let large: Vec<i64> = large.into_iter().collect();
    let mut known = Vec::new();
    for (token, ask) in asks {
        if !counted.contains_key(token) {
            known.push(*token);
            continue;
        }
        if large.binary_search(token).is_ok() {
            continue;
        }
        let mut view = View::empty(ask.origin);
        for h in small.remove(token).into_iter().flatten() {
            view.parts.entry(h.core).or_default().push((h.place, h.no));
        }
        for part in view.parts.values_mut() {
            part.sort_unstable();
        }
        views.insert(*token, view);
    }
    // Enough cores to be above the limit even after all that leave took theirs along.
    let most = large
        .iter()
        .filter_map(|t| Some(asks[t].origin.rule(rules)?.max_cores + asks[t].leaving + 2))
        .max();
    let cores = blocks::cores(conn, &large, limit(most.unwrap_or(0))).await?;
    let mut wanted: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for token in large.iter().chain(&known) {
        let ask = &asks[token];
        let Some(rule) = ask.origin.rule(rules) else {
            continue;
        };
        let found = cores.get(token);
        let few = found.is_some_and(|c| c.len() <= rule.max_cores + ask.leaving + 1);
        if few {
            for core in found.into_iter().flatten() {
                wanted.insert((*token, *core), limit(HUBS + ask.leaving));
            }
        }
        for core in &ask.cores {
            wanted.insert((*token, *core), limit(enough(rule) + ask.leaving));
        }
        views.insert(
            *token,
            View {
                origin: ask.origin,
                whole: false,
                cores: found.cloned(),
                parts: BTreeMap::new(),
                read: ask.cores.clone(),
            },
        );
    }
    for ((token, core), list) in blocks::parts(conn, &wanted).await? {
        if let Some(view) = views.get_mut(&token) {
            let list = list.into_iter().map(|h| (h.place, h.no)).collect();
            view.parts.insert(core, list);
        }
    }
    Ok(views)
}
