//! The fit: from how often patterns occur to weights.

use std::collections::BTreeSet;

use jinke_resolution::RuleSet;

use super::{Pattern, Patterns};

/// How many pairs the present weights count as.
const PRIOR: f64 = 200.0;
/// How many judged pairs of a pattern the model's own opinion of it counts as.
const OPINION: f64 = 4.0;
/// Farthest that one training moves a weight, in milli-bits.
const FURTHEST: i32 = 3_000;
/// Rounds of the fit.
const ROUNDS: usize = 40;

/// What the weights are learned from.
pub(super) struct Evidence {
    /// Candidate pairs, of which nobody said anything.
    pub(super) candidates: Patterns,
    /// Pairs at random.
    pub(super) random: Patterns,
    /// Pairs that were judged different, and those judged one.
    pub(super) known: [Patterns; 2],
}

/// A pattern with how often it occurs among candidates, and is judged different and one.
struct Case<'a> {
    pattern: &'a Pattern,
    unsaid: f64,
    different: f64,
    same: f64,
}

impl Case<'_> {
    /// How many of its pairs are of one party, when the model says `opinion` of each.
    ///
    /// People judge what is put to them, and that is chosen by its pattern. So a judgement speaks
    /// for the pairs of its own pattern, of which the others are as likely to be one as those that
    /// were judged; it does not make pairs like it more frequent than they are.
    fn matches(&self, opinion: f64) -> f64 {
        let said = self.different + self.same;
        let likely = (opinion * OPINION + self.same) / (OPINION + said);
        self.unsaid * likely + self.same
    }

    fn all(&self) -> f64 {
        self.unsaid + self.different + self.same
    }
}

fn cases(evidence: &Evidence) -> Vec<Case<'_>> {
    let [different, same] = &evidence.known;
    let all: BTreeSet<&Pattern> = evidence
        .candidates
        .keys()
        .chain(different.keys())
        .chain(same.keys())
        .collect();
    let of = |patterns: &Patterns, p: &Pattern| patterns.get(p).map_or(0.0, |n| *n as f64);
    all.into_iter()
        .map(|pattern| Case {
            pattern,
            unsaid: of(&evidence.candidates, pattern),
            different: of(different, pattern),
            same: of(same, pattern),
        })
        .collect()
}

/// Counts of levels, by comparison.
fn counts(base: &RuleSet, patterns: &Patterns) -> Vec<Vec<f64>> {
    let mut out = zeros(base);
    for (p, n) in patterns {
        for (c, level) in p.iter().enumerate() {
            out[c][usize::from(*level)] += *n as f64;
        }
    }
    out
}

fn zeros(base: &RuleSet) -> Vec<Vec<f64>> {
    let comparisons = base.comparisons.iter();
    comparisons.map(|c| vec![0.0; c.levels.len()]).collect()
}

/// Shares of the levels but null, never zero.
fn shares(counts: &[f64], prior: &[f64], strength: f64) -> Vec<f64> {
    let total: f64 = counts.iter().skip(1).sum::<f64>() + strength;
    counts
        .iter()
        .zip(prior)
        .map(|(n, p)| ((n + p * strength) / total.max(1e-9)).max(1e-7))
        .collect()
}

/// What the present weights say about pairs of one party.
fn said(base: &RuleSet, u: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let odds = |w: i32| (f64::from(w) / 1_000.0).exp2();
    base.comparisons
        .iter()
        .zip(u)
        .map(|(c, u)| {
            let raw: Vec<f64> = c
                .levels
                .iter()
                .zip(u)
                .enumerate()
                .map(|(l, (level, u))| if l == 0 { 0.0 } else { u * odds(level.weight) })
                .collect();
            let sum: f64 = raw.iter().sum();
            raw.iter().map(|r| r / sum.max(1e-12)).collect()
        })
        .collect()
}

/// The weights in milli-bits, by comparison and level.
///
/// Pairs that were judged different do not count for u. They were put to a person because they
/// look alike, and so say nothing of how often strangers do: a few thousand of them would make
/// every agreement look common.
pub(super) fn weights(base: &RuleSet, evidence: &Evidence) -> Vec<Vec<i32>> {
    let at_random = counts(base, &evidence.random);
    let u: Vec<Vec<f64>> = at_random
        .iter()
        .map(|n| {
            let levels = n.len().saturating_sub(1).max(1);
            let mut even = vec![1.0 / levels as f64; n.len()];
            even[0] = 0.0;
            shares(n, &even, 5.0)
        })
        .collect();
    let prior = said(base, &u);
    let cases = cases(evidence);
    let all: f64 = cases.iter().map(Case::all).sum();
    let mut m = prior.clone();
    let mut share = 0.2_f64;
    for _ in 0..ROUNDS {
        let mut sums = zeros(base);
        let mut matches = 0.0;
        for case in &cases {
            let mut log = (share / (1.0 - share)).log2();
            for (c, level) in case.pattern.iter().enumerate().filter(|(_, l)| **l != 0) {
                let l = usize::from(*level);
                log += (m[c][l].max(1e-7) / u[c][l]).log2();
            }
            let of_one = case.matches(1.0 / (1.0 + (-log).exp2()));
            matches += of_one;
            for (c, level) in case.pattern.iter().enumerate() {
                sums[c][usize::from(*level)] += of_one;
            }
        }
        m = sums
            .iter()
            .zip(&prior)
            .map(|(n, p)| shares(n, p, PRIOR))
            .collect();
        share = f64::clamp(matches / f64::max(all, 1.0), 0.001, 0.9);
    }
    base.comparisons
        .iter()
        .enumerate()
        .map(|(c, rule)| {
            rule.levels
                .iter()
                .enumerate()
                .map(|(l, level)| {
                    // A level that no pair of either sort reached keeps its weight.
                    let reached = at_random[c][l] > 0.0 || m[c][l] > prior[c][l] * 0.999;
                    if l == 0 || !reached {
                        return level.weight;
                    }
                    let learned = (1_000.0 * (m[c][l] / u[c][l]).log2()).round() as i32;
                    learned.clamp(level.weight - FURTHEST, level.weight + FURTHEST)
                })
                .collect()
        })
        .collect()
}
