//! Comparing two standardized records.

use crate::{block::Generic, rules::RuleSet, standardize::Standardized};

/// Which level of one comparison two records reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelHit {
    /// Index into [`RuleSet::comparisons`].
    pub comparison: u8,
    /// Index into [`crate::ComparisonRule::levels`].
    pub level: u8,
    /// Match weight in milli-bits, term-frequency adjustment included.
    pub weight: i32,
    /// The part of `weight` that is the term-frequency or length adjustment.
    pub adjustment: i32,
}

/// The outcome of comparing two records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Sum of the match weights in milli-bits.
    pub score: i32,
    /// One hit per comparison, in rule-set order.
    pub levels: Vec<LevelHit>,
}

/// Compares two records of one kind. Symmetric. Records of different kinds score
/// [`i32::MIN`] with no levels.
pub fn compare(
    a: &Standardized,
    b: &Standardized,
    generic: &dyn Generic,
    rules: &RuleSet,
) -> Comparison {
    let _ = (a, b, generic, rules);
    Comparison::default()
}

/// The score of [`compare`] alone, without allocating the list of levels.
pub fn score(a: &Standardized, b: &Standardized, generic: &dyn Generic, rules: &RuleSet) -> i32 {
    compare(a, b, generic, rules).score
}
