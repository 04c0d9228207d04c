//! Constrained clustering.

use jinke_types::RecordKey;

use crate::{judgement::Judgement, rules::RuleSet, standardize::Standardized};

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

/// Clusters `nodes` of one kind.
pub fn cluster(
    nodes: &[Node<'_>],
    edges: &[Edge],
    judgements: &[Judgement],
    rules: &RuleSet,
) -> Clustering {
    let _ = (edges, judgements, rules);
    Clustering {
        clusters: (0..nodes.len()).map(|i| vec![i]).collect(),
        ..Clustering::default()
    }
}

/// Whether the positive judgement `new` can hold beside `judgements`; else why not.
/// `nodes` and `edges` must hold the components of all records it names.
pub fn check_positive(
    nodes: &[Node<'_>],
    edges: &[Edge],
    judgements: &[Judgement],
    new: &Judgement,
    rules: &RuleSet,
) -> Result<(), Obstacle> {
    let mut all = judgements.to_vec();
    all.push(new.clone());
    match cluster(nodes, edges, &all, rules)
        .suspended
        .into_iter()
        .find(|o| o.judgement == new.id)
    {
        Some(o) => Err(o),
        None => Ok(()),
    }
}
