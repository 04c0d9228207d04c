//! The entity resolution engine: pure functions over values.

pub mod block;
pub mod cluster;
pub mod compare;
pub mod evaluate;
pub mod explain;
pub mod judgement;
pub mod resolve;
pub mod rules;
pub mod search;
pub mod standardize;
pub mod survive;

pub use block::{Generic, Key, KeyRule, MAX_KEYS, NothingGeneric};
pub use cluster::{
    Cause, Clustering, Edge, Link, Node, Obstacle, Reason, Review, check_positive, cluster,
};
pub use compare::{Comparison, LevelHit, compare, score};
pub use explain::{ClusterExplanation, Step, explain_cluster, explain_pair};
pub use judgement::{Judgement, JudgementKind};
pub use resolve::{Population, Resolution, resolve, resolve_kind};
pub use rules::{ComparisonRule, LevelRule, RuleError, RuleSet, Rules, Thresholds};
pub use search::{matches, query_terms, search_terms};
pub use standardize::{Standardized, canonical, standardize};
pub use survive::{
    AttributePolicy, Criterion, Golden, GoldenValue, Member, PolicyError, SurvivorshipPolicy,
    survive,
};
