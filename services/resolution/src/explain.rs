//! Explaining a score and a cluster.

use crate::{
    block::Generic,
    cluster::{Clustering, Edge, Link, Node},
    rules::RuleSet,
    standardize::Standardized,
};

/// One step of the waterfall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Name of the comparison.
    pub comparison: String,
    /// Name of the level reached.
    pub level: String,
    /// The standardized values of one record that were compared.
    pub left: String,
    /// Those of the other.
    pub right: String,
    /// Match weight in milli-bits.
    pub weight: i32,
    /// The part of it that is a term-frequency or length adjustment.
    pub adjustment: i32,
    /// Sum so far in milli-bits.
    pub sum: i32,
}

/// Why two records score what they score, step by step.
pub fn explain_pair(
    a: &Standardized,
    b: &Standardized,
    generic: &dyn Generic,
    rules: &RuleSet,
) -> Vec<Step> {
    let _ = (a, b, generic, rules);
    Vec::new()
}

/// Why one cluster holds together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterExplanation {
    /// The tree of links, strongest first, judgements before scores.
    pub links: Vec<Link>,
    /// The link with the least score; none when all are judgements.
    pub weakest: Option<Link>,
    /// Ids of the positive judgements that hold it.
    pub judgements: Vec<String>,
    /// Compared pairs inside the cluster at or above the review threshold.
    pub supporting: Vec<Edge>,
}

/// Explains the cluster at index `index` of `clustering`.
pub fn explain_cluster(
    nodes: &[Node<'_>],
    edges: &[Edge],
    clustering: &Clustering,
    index: usize,
    rules: &RuleSet,
) -> ClusterExplanation {
    let _ = (nodes, edges, clustering, index, rules);
    ClusterExplanation::default()
}
