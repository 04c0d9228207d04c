//! The entity resolution engine: pure functions over values, data in, data out.
//!
//! It says which source records are one party, why, and which of their values survive. There
//! is no I/O, clock, randomness or logging in it, no float in a decision, and nothing depends
//! on the order in which records, values, pairs or judgements are given: merging is a pure
//! function of (source records, people's judgements, rule-set version).
//!
//! # The sentence
//!
//! *standardize → block → compare → score → cluster → survive*
//!
//! | step | module | from → to |
//! |---|---|---|
//! | standardize | [`mod@standardize`] | values as received → [`Standardized`]: names in parts, checked identifiers, phones, … |
//! | block | [`block`] | [`Standardized::keys`] → records that share a key; [`KeyRule::state`] says which keys say nothing and which are refined |
//! | compare, score | [`mod@compare`] | two records → a level per comparison → match weights → their sum in milli-bits |
//! | cluster | [`mod@cluster`] | scored pairs and [`judgement`]s → clusters, reviews, judgements that cannot hold |
//! | survive | [`mod@survive`] | members of a cluster → golden values with provenance |
//!
//! Beside it: [`rules`] (keys, weights, thresholds and term frequencies in one frozen file),
//! [`explain`] (the waterfall of a pair, what holds a cluster together), [`search`] (terms for
//! an index), [`mod@resolve`] (all steps from scratch, the reference for every incremental
//! way), [`evaluate`] (precision and recall against known truth), [`mod@assess`] (the same from a person's
//! labels), [`difference`] (what another rule set would merge, split or change), [`batch`] (whole tables in one
//! go: business customers by the same rule sets, any other table with weights learned from it).
//!
//! # Resolving incrementally
//!
//! A caller that keeps its state does the same with fewer records:
//!
//! 1. Standardize what is new or changed.
//! 2. For each of its keys find the state of the block ([`KeyRule::state`]) from its records and
//!    distinct [`Standardized::core`]s, before and after. Both numbers matter only up to their
//!    limits, so look-ups end early: a block need never be read to its end.
//! 3. Compare with the records [`block::pairs_of`] gives, passing as [`Generic`] the keys whose
//!    block is [`BlockState::Generic`]; its documentation lists which pairs of *other* records
//!    a change can move.
//! 4. Keep pairs at or above the review threshold; [`cluster()`] the connected component over
//!    those pairs and the positive judgements.
//!
//! When a key becomes generic or ceases to be, every record that holds it is compared anew;
//! that may be many and is a matter for the background. Becoming crowded moves a bounded number
//! of pairs. The result equals [`resolve()`] because clustering components apart is clustering
//! them together, which a test proves.
//!
//! # Adding a comparison
//!
//! 1. Keep what it needs in [`Standardized`], parsed in a file of its own under `standardize/`
//!    with a table of cases under `tests/it/data/`.
//! 2. Where its values are exact, give them a key in `standardize/keys.rs`, so that they block
//!    and can be generic.
//! 3. Add its name and levels, null first and else last, at the end of `REGISTRY` in
//!    `compare/organization.rs` or `compare/person.rs`, and set `at[…]` in `levels`. It must be
//!    symmetric; put cheap tests first.
//! 4. Give each level a weight in `rules/*.toml`, with a new version. To estimate it, let
//!    `examples/evaluate.rs` write the levels of labelled pairs with `--levels`.
//! 5. Show its values in `explain.rs`.
//!
//! # Limits
//!
//! What a hostile record can cost is bounded: see the limits in [`mod@standardize`],
//! [`MAX_KEYS`] and [`search`]. No input panics.

pub mod assess;
pub mod batch;
pub mod block;
pub mod cluster;
pub mod compare;
pub mod difference;
pub mod evaluate;
pub mod explain;
pub mod judgement;
pub mod resolve;
pub mod rules;
pub mod search;
pub mod standardize;
pub mod survive;

pub use block::{
    BlockState, Generic, HUBS, Holder, Key, KeyRule, MAX_KEYS, NothingGeneric, Standing,
};
pub use cluster::{
    Cause, Clustering, Edge, Link, Node, Obstacle, Reason, Review, check_positive, cluster,
};
pub use compare::{Comparison, LevelHit, compare, score};
pub use difference::{Change, ChangeKind, differences};
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
