//! Comparing two standardized records: per comparison one of its ordered levels, null first,
//! else last; each level has a match weight (log2 of the odds it shifts); their sum is the
//! score.
//!
//! The levels are fixed in code ([`registry`] lists them), the weights come from the rule set.
//! A generic value counts as missing. Everything is symmetric and nothing is allocated but
//! the list of hits.

mod bound;
mod organization;
mod parts;
mod person;
mod sketch;

use jinke_types::PartyKind;

pub(crate) use bound::Weights;
pub(crate) use sketch::Sketch;

use crate::{block::Generic, rules::RuleSet, standardize::Standardized};

/// A comparison's name and its levels, null first, else last.
pub type Registered = (&'static str, &'static [&'static str]);

/// The comparisons of a kind in the order of the waterfall.
pub const fn registry(kind: PartyKind) -> &'static [Registered] {
    match kind {
        PartyKind::Organization => organization::REGISTRY,
        PartyKind::Person => person::REGISTRY,
    }
}

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

/// Most comparisons of a kind.
pub(crate) const MAX: usize = 12;

/// Levels reached and the adjustment of the name comparison, which is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) at: [u8; MAX],
    pub(crate) adjustment: i32,
}

fn levels(a: &Standardized, b: &Standardized, generic: &dyn Generic) -> Levels {
    match a.kind {
        PartyKind::Organization => organization::levels(a, b, generic),
        PartyKind::Person => person::levels(a, b, generic),
    }
}

fn weight(rules: &RuleSet, comparison: usize, level: u8) -> i32 {
    rules
        .comparisons
        .get(comparison)
        .and_then(|c| c.levels.get(usize::from(level)))
        .map_or(0, |l| l.weight)
}

/// Compares two records of one kind. Symmetric. Records of different kinds score
/// [`i32::MIN`] with no levels.
pub fn compare(
    a: &Standardized,
    b: &Standardized,
    generic: &dyn Generic,
    rules: &RuleSet,
) -> Comparison {
    if a.kind != b.kind || a.kind != rules.kind {
        return Comparison {
            score: i32::MIN,
            levels: Vec::new(),
        };
    }
    let found = levels(a, b, generic);
    let mut out = Comparison {
        score: 0,
        levels: Vec::with_capacity(MAX),
    };
    for (i, &level) in found.at.iter().enumerate().take(rules.comparisons.len()) {
        let adjustment = if i == 0 { found.adjustment } else { 0 };
        let weight = weight(rules, i, level) + adjustment;
        out.score += weight;
        out.levels.push(LevelHit {
            comparison: i as u8,
            level,
            weight,
            adjustment,
        });
    }
    out
}

/// The score of [`compare`] alone, without the list of levels; allocates nothing.
pub fn score(a: &Standardized, b: &Standardized, generic: &dyn Generic, rules: &RuleSet) -> i32 {
    if a.kind != b.kind || a.kind != rules.kind {
        return i32::MIN;
    }
    let found = levels(a, b, generic);
    let each = found.at.iter().enumerate().take(rules.comparisons.len());
    each.map(|(i, &level)| weight(rules, i, level)).sum::<i32>() + found.adjustment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_comparison_has_null_first_and_else_last() {
        for kind in [PartyKind::Organization, PartyKind::Person] {
            let all = registry(kind);
            assert!(all.len() <= MAX);
            for (name, levels) in all {
                assert_eq!(levels.first(), Some(&"null"), "{name}");
                assert_eq!(levels.last(), Some(&"else"), "{name}");
            }
        }
    }
}
