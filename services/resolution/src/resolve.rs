//! Resolution from scratch: the reference that every incremental way must equal.
//!
//! The building blocks are those an incremental caller uses: [`standardize`] per record,
//! [`Population`] for blocks and genericity, [`score`] per pair, [`cluster`].

use std::collections::BTreeMap;

use jinke_types::{PartyKind, RecordKey, Value};

use crate::{
    block::{BlockState, Generic, Holder, Key, pairs_of, place},
    cluster::{Clustering, Edge, Node, cluster},
    compare::score,
    judgement::Judgement,
    rules::{RuleSet, Rules},
    standardize::{Standardized, standardize},
};

/// The blocks of the records now present: which values are generic, which pairs to compare.
#[derive(Debug, Default)]
pub struct Population {
    generic: std::collections::HashSet<Key>,
    pairs: Vec<(usize, usize)>,
    blocks: usize,
    crowded: usize,
}

impl Population {
    /// Blocks `records`, whose names are `keys`.
    pub fn new(keys: &[&RecordKey], records: &[Standardized], rules: &RuleSet) -> Self {
        let mut blocks: BTreeMap<&Key, Vec<Holder>> = BTreeMap::new();
        let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
        for (i, r) in records.iter().enumerate() {
            let next = numbers.len() as u64 + 1;
            let member = Holder {
                core: r.core().map_or(0, |c| *numbers.entry(c).or_insert(next)),
                place: place(keys[i]),
                id: i as u64,
            };
            for k in r.keys() {
                blocks.entry(k).or_default().push(member);
            }
        }
        let mut out = Self {
            blocks: blocks.len(),
            ..Self::default()
        };
        for (key, mut members) in blocks {
            let Some(rule) = rules.key_rule(key) else {
                continue;
            };
            let state = pairs_of(rule, &mut members, |a, b| {
                let (a, b) = (a as usize, b as usize);
                out.pairs.push((a.min(b), a.max(b)));
            });
            match state {
                BlockState::Open => {}
                BlockState::Crowded => out.crowded += 1,
                BlockState::Generic => {
                    out.generic.insert(key.clone());
                }
            }
        }
        out.pairs.sort_unstable();
        out.pairs.dedup();
        out
    }

    /// Every pair of records to be compared, once, in order.
    pub fn pairs(&self) -> &[(usize, usize)] {
        &self.pairs
    }

    /// How many blocks there are, how many are crowded and how many generic.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.blocks, self.crowded, self.generic.len())
    }
}

impl Generic for Population {
    fn is_generic(&self, key: &Key) -> bool {
        self.generic.contains(key)
    }
}

/// What resolving records of one kind gives.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// Clusters, links, suspended judgements and reviews, as indices of the records given.
    pub clustering: Clustering,
    /// Compared pairs at or above the review threshold.
    pub edges: Vec<Edge>,
    /// How many pairs were compared.
    pub candidates: usize,
}

/// Resolves records of one kind.
pub fn resolve_kind(
    keys: &[&RecordKey],
    records: &[Standardized],
    judgements: &[Judgement],
    rules: &RuleSet,
) -> Resolution {
    let population = Population::new(keys, records, rules);
    let pairs = population.pairs();
    let edges: Vec<Edge> = pairs
        .iter()
        .map(|&(a, b)| Edge {
            a,
            b,
            score: score(&records[a], &records[b], &population, rules),
        })
        .filter(|e| e.score >= rules.thresholds.review)
        .collect();
    let nodes: Vec<Node<'_>> = keys
        .iter()
        .zip(records)
        .map(|(key, std)| Node { key, std })
        .collect();
    let clustering = cluster(&nodes, &edges, judgements, rules);
    Resolution {
        clustering,
        edges,
        candidates: pairs.len(),
    }
}

/// Clusters of `records`, as indices. Members are ordered by record key, clusters by their
/// first member's key; the order of `records` and `judgements` does not matter.
pub fn resolve(
    records: &[(RecordKey, PartyKind, Vec<Value>)],
    judgements: &[Judgement],
    rules: &Rules,
) -> Vec<Vec<usize>> {
    let mut out: Vec<Vec<usize>> = Vec::new();
    for kind in [PartyKind::Organization, PartyKind::Person] {
        let of_kind: Vec<usize> = (0..records.len())
            .filter(|&i| records[i].1 == kind)
            .collect();
        let keys: Vec<&RecordKey> = of_kind.iter().map(|&i| &records[i].0).collect();
        let rules = rules.of(kind);
        let standardized: Vec<Standardized> = of_kind
            .iter()
            .map(|&i| standardize(kind, &records[i].2, rules))
            .collect();
        let found = resolve_kind(&keys, &standardized, judgements, rules)
            .clustering
            .clusters;
        out.extend(
            found
                .into_iter()
                .map(|c| c.into_iter().map(|i| of_kind[i]).collect::<Vec<_>>()),
        );
    }
    out.sort_by(|a, b| records[a[0]].0.cmp(&records[b[0]].0));
    out
}
