//! Constrained clustering.
//!
//! Links are added from the strongest to the weakest kind, and a link that would break what
//! stronger ones say is not added. In order:
//!
//! 1. negative judgements are never broken, along no path;
//! 2. positive judgements that override exclusivity;
//! 3. different, simultaneously valid identifiers of an exclusive scheme never share a
//!    cluster, along no path, unless a judgement of 2 put these identifiers together in it;
//! 4. other positive judgements;
//! 5. scores at or above the merge threshold, by (score descending, record keys).
//!
//! Judgements of one kind are tried in the order of the records they name, then of their
//! ids. Nothing depends on the order in which nodes, edges or judgements are given.
//!
//! **Weak bridges.** Two groups of three and more nodes each are joined by a score only when
//! at least two compared pairs between them, without a node in common, reach the review
//! threshold: one shared phone does not weld two companies together. As groups only grow
//! while scores fall, a bridge found too weak is tried again at each later pair. The groups are
//! those that scores alone have joined: records that people held to be one do not make the pairs
//! of each of them weaker, or a merge would part it from those it was one with.
//!
//! **Torn between two.** A record that names no region does not join two groups in different
//! cities unless records that name their city fit each other too.

mod check;
mod group;

use std::collections::{BTreeMap, BTreeSet};

use jinke_types::RecordKey;

use crate::{
    judgement::{Judgement, JudgementKind},
    rules::RuleSet,
    standardize::Standardized,
};
pub use check::check_positive;
use group::Groups;

/// A record to be clustered.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its name, by which ties are broken.
    pub key: &'a RecordKey,
    /// Its standardized values, for exclusive identifiers.
    pub std: &'a Standardized,
}

/// A compared pair. Pairs below the review threshold may be given and have no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Index of one node.
    pub a: usize,
    /// Index of the other.
    pub b: usize,
    /// Score in milli-bits.
    pub score: i32,
}

/// Why two clusters could not be joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A negative judgement keeps `left` and `right` apart.
    Negative {
        /// Id of the judgement.
        judgement: String,
        /// Node on one side.
        left: usize,
        /// Node on the other.
        right: usize,
    },
    /// Two nodes hold different, simultaneously valid identifiers of an exclusive scheme.
    Exclusive {
        /// The scheme, e.g. `uscc`.
        scheme: String,
        /// Node on one side.
        left: usize,
        /// Node on the other.
        right: usize,
    },
    /// Only a weak bridge joins two dense groups.
    WeakBridge,
    /// The records named are of different kinds.
    DifferentKinds,
}

/// What joined two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The score of the pair reached the merge threshold.
    Score(i32),
    /// A positive judgement, by id.
    Judgement(String),
}

/// One edge of the tree that holds a cluster together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// One node.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// Why they are linked.
    pub cause: Cause,
}

/// A positive judgement that cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Id of the positive judgement.
    pub judgement: String,
    /// Why not.
    pub reason: Reason,
    /// The path of nodes from one end of the conflict over the judgement to the other.
    pub path: Vec<usize>,
}

/// A scored pair that did not lead into one cluster and that a steward may want to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// One node.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// Score of the pair in milli-bits.
    pub score: i32,
    /// What stopped it, or nothing when the score is below the merge threshold.
    pub reason: Option<Reason>,
}

/// The result of clustering. All lists are ordered by record keys, never by arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clustering {
    /// Every node once. Members are ordered by record key, clusters by their first member.
    pub clusters: Vec<Vec<usize>>,
    /// The trees that hold the clusters together.
    pub links: Vec<Link>,
    /// Positive judgements that do not hold.
    pub suspended: Vec<Obstacle>,
    /// Pairs of different clusters for a steward: the best one of each two clusters.
    pub reviews: Vec<Review>,
}

/// What is clustered, in ranks: the index of a node when they are sorted by key.
struct Ranked<'a> {
    /// The node of each rank.
    order: Vec<usize>,
    by_key: BTreeMap<&'a RecordKey, usize>,
    records: Vec<&'a Standardized>,
    /// Pairs from the review threshold on, the best first.
    edges: Vec<Edge>,
}

impl<'a> Ranked<'a> {
    fn new(nodes: &[Node<'a>], edges: &[Edge], rules: &RuleSet) -> Self {
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by(|&a, &b| nodes[a].key.cmp(nodes[b].key));
        let mut rank = vec![0; nodes.len()];
        for (r, &i) in order.iter().enumerate() {
            rank[i] = r;
        }
        Self {
            by_key: nodes.iter().zip(&rank).map(|(n, &r)| (n.key, r)).collect(),
            records: order.iter().map(|&i| nodes[i].std).collect(),
            edges: distinct(edges, &rank, rules.thresholds.review),
            order,
        }
    }

    /// The records of these names that are there.
    fn present(&self, keys: &[RecordKey]) -> BTreeSet<usize> {
        let found = keys.iter().filter_map(|k| self.by_key.get(k));
        found.copied().collect()
    }

    /// All records there that a judgement names.
    fn named(&self, judgement: &Judgement) -> Vec<usize> {
        let (left, right) = (
            self.present(&judgement.left),
            self.present(&judgement.right),
        );
        left.union(&right).copied().collect()
    }

    /// Says a reason in nodes instead of ranks.
    fn reason(&self, reason: Reason) -> Reason {
        match reason {
            Reason::Negative {
                judgement,
                left,
                right,
            } => Reason::Negative {
                judgement,
                left: self.order[left],
                right: self.order[right],
            },
            Reason::Exclusive {
                scheme,
                left,
                right,
            } => Reason::Exclusive {
                scheme,
                left: self.order[left],
                right: self.order[right],
            },
            other => other,
        }
    }

    /// Says an obstacle in nodes instead of ranks.
    fn obstacle(&self, o: Obstacle) -> Obstacle {
        Obstacle {
            judgement: o.judgement,
            reason: self.reason(o.reason),
            path: o.path.into_iter().map(|r| self.order[r]).collect(),
        }
    }
}

/// Groups when every judgement and score was tried, in ranks.
struct Grown<'r, 'j> {
    groups: Groups<'r>,
    links: Vec<Link>,
    suspended: Vec<Obstacle>,
    /// Judgements in the order they were tried.
    sorted: Vec<&'j Judgement>,
}

/// Clusters `nodes`. Node keys must be distinct; a pair may be given in both directions.
/// Records of different kinds never share a cluster.
pub fn cluster(
    nodes: &[Node<'_>],
    edges: &[Edge],
    judgements: &[Judgement],
    rules: &RuleSet,
) -> Clustering {
    let ranked = Ranked::new(nodes, edges, rules);
    let mut grown = grow(&ranked, judgements, rules, None);
    let reviews = reviews(&ranked.edges, &mut grown.groups, &grown.sorted, rules);
    let back = |r: usize| ranked.order[r];
    let clusters = grown.groups.clusters().into_iter();
    Clustering {
        clusters: clusters
            .map(|c| c.into_iter().map(back).collect())
            .collect(),
        links: grown
            .links
            .into_iter()
            .map(|l| Link {
                a: back(l.a),
                b: back(l.b),
                cause: l.cause,
            })
            .collect(),
        suspended: grown
            .suspended
            .into_iter()
            .map(|o| ranked.obstacle(o))
            .collect(),
        reviews: reviews
            .into_iter()
            .map(|r| Review {
                a: back(r.a),
                b: back(r.b),
                score: r.score,
                reason: r.reason.map(|reason| ranked.reason(reason)),
            })
            .collect(),
    }
}

/// Tries judgements and scores, the judgement of the id `last` after all others of its kind.
fn grow<'r, 'j>(
    ranked: &'r Ranked<'_>,
    judgements: &'j [Judgement],
    rules: &RuleSet,
    last: Option<&str>,
) -> Grown<'r, 'j> {
    let mut sorted: Vec<&Judgement> = judgements.iter().collect();
    let is_last = |j: &Judgement| last.is_some_and(|id| id == j.id);
    sorted.sort_by(|a, b| {
        let by_name = || named(a).cmp(&named(b)).then_with(|| a.cmp(b));
        is_last(a).cmp(&is_last(b)).then_with(by_name)
    });
    let mut groups = Groups::new(&ranked.records, &rules.exclusive);
    for (j, judgement) in sorted.iter().enumerate() {
        if judgement.kind == JudgementKind::Negative {
            let (left, right) = (&judgement.left, &judgement.right);
            groups.forbid(j, &ranked.present(left), &ranked.present(right));
        }
    }
    groups.set_pairs(&ranked.edges);
    let mut links: Vec<Link> = Vec::new();
    let mut suspended = Vec::new();
    for overriding in [true, false] {
        for judgement in &sorted {
            if judgement.kind
                != (JudgementKind::Positive {
                    overrides_exclusivity: overriding,
                })
            {
                continue;
            }
            let records = ranked.named(judgement);
            let obstacle = groups.obstacle(&records, overriding);
            if let Some((a, b, reason)) = obstacle {
                let path = group::path(&links, &records, a, b, ranked.records.len());
                let reason = named_reason(reason, &sorted);
                suspended.push(Obstacle {
                    judgement: judgement.id.clone(),
                    reason,
                    path,
                });
                continue;
            }
            for pair in records.windows(2) {
                if groups.join(pair[0], pair[1]) {
                    let cause = Cause::Judgement(judgement.id.clone());
                    links.push(Link {
                        a: pair[0],
                        b: pair[1],
                        cause,
                    });
                }
            }
            if overriding && let Some(&first) = records.first() {
                groups.excuse(first);
            }
        }
    }
    let mut dense = (!links.is_empty()).then(|| {
        let mut dense = Groups::new(&ranked.records, &[]);
        dense.set_pairs(&ranked.edges);
        dense
    });
    by_score(&ranked.edges, &mut groups, dense.as_mut(), rules, |e| {
        links.push(Link {
            a: e.a,
            b: e.b,
            cause: Cause::Score(e.score),
        });
    });
    Grown {
        groups,
        links,
        suspended,
        sorted,
    }
}

/// Joins groups by scores, the best first. `dense` are groups joined by scores alone, where
/// judgements joined some already: only they tell what a weak bridge is.
fn by_score(
    edges: &[Edge],
    groups: &mut Groups<'_>,
    mut dense: Option<&mut Groups<'_>>,
    rules: &RuleSet,
    mut linked: impl FnMut(&Edge),
) {
    for e in edges.iter().filter(|e| e.score >= rules.thresholds.merge) {
        let same = groups.root(e.a) == groups.root(e.b);
        let known = match &mut dense {
            Some(dense) => dense.root(e.a) == dense.root(e.b),
            None => same,
        };
        if known || groups.conflict(e.a, e.b, false).is_some() {
            continue;
        }
        let weak = match &mut dense {
            Some(dense) => dense.weak_bridge(e.a, e.b),
            None => groups.weak_bridge(e.a, e.b),
        };
        if weak || (!same && groups.torn(e.a, e.b)) {
            continue;
        }
        if let Some(dense) = &mut dense {
            dense.join(e.a, e.b);
        }
        if groups.join(e.a, e.b) {
            linked(e);
        }
    }
}

/// The clusters of [`cluster`] where there are no judgements: `records` are in the order of their
/// keys, `edges` hold each pair once, smaller index first, all at or above the review threshold.
pub(crate) fn partition(
    records: &[&Standardized],
    edges: &mut [Edge],
    rules: &RuleSet,
) -> Vec<Vec<usize>> {
    if let ([a, b], [e]) = (records, &*edges) {
        let joined = e.score >= rules.thresholds.merge && !group::apart(a, b, &rules.exclusive);
        return if joined {
            vec![vec![0, 1]]
        } else {
            vec![vec![0], vec![1]]
        };
    }
    edges.sort_unstable_by(|x, y| y.score.cmp(&x.score).then((x.a, x.b).cmp(&(y.a, y.b))));
    let mut groups = Groups::new(records, &rules.exclusive);
    groups.set_pairs(edges);
    by_score(edges, &mut groups, None, rules, |_| {});
    groups.clusters()
}

/// The records a judgement names, sorted: its place among judgements does not depend on which
/// side they stand.
fn named(j: &Judgement) -> Vec<&RecordKey> {
    let mut all: Vec<&RecordKey> = j.left.iter().chain(&j.right).collect();
    all.sort();
    all.dedup();
    all
}

/// Replaces the index of a judgement by its id.
fn named_reason(reason: group::Conflict, sorted: &[&Judgement]) -> Reason {
    match reason {
        group::Conflict::Negative {
            judgement,
            left,
            right,
        } => {
            let id = sorted
                .get(judgement)
                .map(|j| j.id.clone())
                .unwrap_or_default();
            Reason::Negative {
                judgement: id,
                left,
                right,
            }
        }
        group::Conflict::Exclusive {
            scheme,
            left,
            right,
        } => Reason::Exclusive {
            scheme,
            left,
            right,
        },
        group::Conflict::Kinds => Reason::DifferentKinds,
    }
}

/// Pairs in ranks, once each with their best score, from `least` on, by (score descending,
/// keys).
fn distinct(edges: &[Edge], rank: &[usize], least: i32) -> Vec<Edge> {
    let mut best: BTreeMap<(usize, usize), i32> = BTreeMap::new();
    for e in edges.iter().filter(|e| e.score >= least && e.a != e.b) {
        let (x, y) = (rank[e.a], rank[e.b]);
        let score = best.entry((x.min(y), x.max(y))).or_insert(e.score);
        *score = e.score.max(*score);
    }
    let mut list: Vec<Edge> = best
        .into_iter()
        .map(|((a, b), score)| Edge { a, b, score })
        .collect();
    // Stable: pairs of one score stay in the order of their keys.
    list.sort_by_key(|e| std::cmp::Reverse(e.score));
    list
}

/// The best pair between each two clusters that a steward may want to see. What a negative
/// judgement has settled is not shown again.
fn reviews(
    edges: &[Edge],
    groups: &mut Groups<'_>,
    sorted: &[&Judgement],
    rules: &RuleSet,
) -> Vec<Review> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for e in edges {
        let (x, y) = (groups.root(e.a), groups.root(e.b));
        if x == y || !seen.insert((x.min(y), x.max(y))) {
            continue;
        }
        let reason = match groups.conflict(e.a, e.b, false) {
            Some((_, _, group::Conflict::Negative { .. })) => continue,
            Some((_, _, c)) => Some(named_reason(c, sorted)),
            None if e.score >= rules.thresholds.merge => Some(Reason::WeakBridge),
            None => None,
        };
        out.push(Review {
            a: e.a,
            b: e.b,
            score: e.score,
            reason,
        });
    }
    out
}
