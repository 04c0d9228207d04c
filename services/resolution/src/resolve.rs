//! Resolution from scratch: the reference that every incremental way must equal.
//!
//! The building blocks are those an incremental caller uses: [`standardize`] per record,
//! [`Population`] for blocks and genericity, [`score`] per pair, [`cluster`].

use std::collections::{BTreeMap, BTreeSet};

use jinke_types::{PartyKind, RecordKey, Value};

use crate::{
    block::{Generic, Key},
    cluster::{Clustering, Edge, Node, cluster},
    compare::score,
    judgement::Judgement,
    rules::{RuleSet, Rules},
    standardize::{Standardized, standardize},
};

/// The blocks of the records now present, and which are generic.
#[derive(Debug, Default)]
pub struct Population {
    blocks: BTreeMap<Key, Vec<usize>>,
    generic: std::collections::HashSet<Key>,
}

impl Population {
    /// Blocks `records`.
    pub fn new(records: &[Standardized], rules: &RuleSet) -> Self {
        let mut blocks: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (i, r) in records.iter().enumerate() {
            for k in r.keys() {
                blocks.entry(k.clone()).or_default().push(i);
            }
        }
        let generic = blocks
            .iter()
            .filter(|(k, members)| {
                let cores: BTreeSet<&str> =
                    members.iter().filter_map(|&i| records[i].core()).collect();
                rules
                    .key_rule(k)
                    .is_some_and(|r| r.is_generic(members.len(), cores.len()))
            })
            .map(|(k, _)| k.clone())
            .collect();
        Self { blocks, generic }
    }

    /// Every pair of records that shares a key which is not generic, once, in order.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for members in self
            .blocks
            .iter()
            .filter(|(k, _)| !self.generic.contains(*k))
            .map(|x| x.1)
        {
            for (i, &a) in members.iter().enumerate() {
                pairs.extend(members[i + 1..].iter().map(|&b| (a, b)));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// How many blocks there are and how many are generic.
    pub fn sizes(&self) -> (usize, usize) {
        (self.blocks.len(), self.generic.len())
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
    let population = Population::new(records, rules);
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
