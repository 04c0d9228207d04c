//! Where clusters and a known truth differ, by kind: what to mend follows from the kind.

use std::collections::BTreeMap;

use super::{Outcome, Table, explain_rows, group::Scored, survey};

/// How a pair went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One thing, in two clusters: blocking never brought the two rows together.
    NeverCompared,
    /// One thing, in two clusters: the pair scores below the threshold.
    ScoredLow,
    /// One thing, in two clusters: the pair reaches the threshold, and what else the clusters hold
    /// speaks against it.
    KeptApart,
    /// Two things, in one cluster: the pair reaches the threshold.
    ScoredHigh,
    /// Two things, in one cluster: joined by pairs with others.
    JoinedByOthers,
}

impl Kind {
    /// All kinds, in order.
    pub const ALL: [Self; 5] = [
        Self::NeverCompared,
        Self::ScoredLow,
        Self::KeptApart,
        Self::ScoredHigh,
        Self::JoinedByOthers,
    ];

    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NeverCompared => "never_compared",
            Self::ScoredLow => "scored_low",
            Self::KeptApart => "kept_apart",
            Self::ScoredHigh => "scored_high",
            Self::JoinedByOthers => "joined_by_others",
        }
    }

    /// Whether the two rows are one thing.
    pub const fn is_missed(self) -> bool {
        matches!(
            self,
            Self::NeverCompared | Self::ScoredLow | Self::KeptApart
        )
    }
}

/// Mistakes of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfKind {
    /// How many pairs.
    pub pairs: u64,
    /// Of a sample of them: how often a comparison at a level spoke loudest against the truth,
    /// the most frequent first.
    pub decisive: Vec<(String, u64)>,
    /// Some of the pairs with their scores, in milli-bits, drawn by a fixed rule.
    pub examples: Vec<Scored>,
}

/// Most pairs of a kind of which it is asked what decided.
const ASKED: usize = 200;
/// Largest cluster of which every pair may be an example.
const LARGEST: usize = 100;
/// Most pairs of a kind among which examples are drawn.
const FRAME: usize = 200_000;

/// All mistakes by kind. `truth` names the thing of every row, and the outcome was reached with it
/// in [`super::Options::truth`]; `threshold` is that of its partition, in milli-bits. Where there
/// are more than 4,000,000 known pairs, the numbers of missed pairs that do not reach the
/// threshold are estimates from as many. Without `examples` mistakes are counted alone.
pub fn mistakes(
    table: &Table,
    outcome: &Outcome,
    truth: &[usize],
    threshold: i32,
    examples: usize,
) -> BTreeMap<Kind, OfKind> {
    let joined = |a: u32, b: u32| outcome.heads[a as usize] == outcome.heads[b as usize];
    let same = |a: u32, b: u32| truth.get(a as usize) == truth.get(b as usize);
    let mut frame: BTreeMap<Kind, Vec<Scored>> = BTreeMap::new();
    let mut pairs: BTreeMap<Kind, u64> = BTreeMap::new();
    let mut add = |kind: Kind, s: Scored| {
        *pairs.entry(kind).or_default() += 1;
        let list = frame.entry(kind).or_default();
        if list.len() < FRAME {
            list.push(s);
        }
    };
    for s in &outcome.scored {
        match (s.score >= threshold, joined(s.a, s.b), same(s.a, s.b)) {
            (true, false, true) => add(Kind::KeptApart, *s),
            (true, true, false) => add(Kind::ScoredHigh, *s),
            (false, false, true) => add(Kind::ScoredLow, *s),
            _ => {}
        }
    }
    let unscored = |a, b| Scored { a, b, score: 0 };
    let known = outcome.known.clone().unwrap_or_default();
    for (a, b) in &known.missed {
        if !joined(*a, *b) {
            add(Kind::NeverCompared, unscored(*a, *b));
        }
    }
    let survey = outcome.survey.iter().flat_map(|s| &s.below);
    for s in survey.filter(|s| !joined(s.a, s.b) && same(s.a, s.b)) {
        add(Kind::ScoredLow, *s);
    }
    let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (row, head) in (0..).zip(&outcome.heads) {
        members.entry(*head).or_default().push(row);
    }
    let reached: std::collections::HashSet<(u32, u32)> = outcome
        .scored
        .iter()
        .filter(|s| s.score >= threshold && joined(s.a, s.b) && !same(s.a, s.b))
        .map(|s| (s.a.min(s.b), s.a.max(s.b)))
        .collect();
    for of in members.values().filter(|m| m.len() <= LARGEST) {
        for (i, a) in of.iter().enumerate() {
            for b in of[i + 1..].iter().filter(|b| !same(*a, **b)) {
                if !reached.contains(&(*a, *b)) {
                    add(Kind::JoinedByOthers, unscored(*a, *b));
                }
            }
        }
    }
    exact(&mut pairs, outcome, truth, &known);
    let mut out = BTreeMap::new();
    for (kind, n) in pairs.into_iter().filter(|p| p.1 > 0) {
        let mut drawn = survey::drawn(table, frame.remove(&kind).unwrap_or_default());
        drawn.truncate(if examples == 0 {
            0
        } else {
            ASKED.max(examples)
        });
        let mut decisive: BTreeMap<String, u64> = BTreeMap::new();
        for s in &mut drawn {
            let steps = explain_rows(table, outcome, s.a, s.b);
            s.score = steps.last().map_or(0, |s| s.sum);
            let against = |w: i32| if kind.is_missed() { -w } else { w };
            let told = steps.iter().filter(|s| s.comparison != "prior");
            let loudest = told.max_by_key(|s| against(s.weight));
            if let Some(step) = loudest.filter(|s| against(s.weight) > 0) {
                let name = format!("{} {}", step.comparison, step.level);
                *decisive.entry(name).or_default() += 1;
            }
        }
        let mut decisive: Vec<(String, u64)> = decisive.into_iter().collect();
        decisive.sort_by(|x, y| y.1.cmp(&x.1).then_with(|| x.0.cmp(&y.0)));
        drawn.truncate(examples);
        let found = OfKind {
            pairs: n,
            decisive,
            examples: drawn,
        };
        out.insert(kind, found);
    }
    out
}

/// Puts in the numbers that no list holds whole.
fn exact(
    pairs: &mut BTreeMap<Kind, u64>,
    outcome: &Outcome,
    truth: &[usize],
    known: &survey::Known,
) {
    let two = |n: u64| n * n.saturating_sub(1) / 2;
    let mut both: BTreeMap<(u32, usize), u64> = BTreeMap::new();
    let mut clusters: BTreeMap<u32, u64> = BTreeMap::new();
    for (head, thing) in outcome.heads.iter().zip(truth) {
        *both.entry((*head, *thing)).or_default() += 1;
        *clusters.entry(*head).or_default() += 1;
    }
    let right: u64 = both.values().map(|n| two(*n)).sum();
    let joined: u64 = clusters.values().map(|n| two(*n)).sum();
    let of = |pairs: &BTreeMap<Kind, u64>, kind| pairs.get(&kind).copied().unwrap_or(0);
    let by_others = (joined - right).saturating_sub(of(pairs, Kind::ScoredHigh));
    pairs.insert(Kind::JoinedByOthers, by_others);
    let missed = known.pairs.saturating_sub(right);
    let apart = missed.saturating_sub(of(pairs, Kind::KeptApart));
    let scale = known.pairs as f64 / known.looked_up.max(1) as f64;
    let never = (of(pairs, Kind::NeverCompared) as f64 * scale).round() as u64;
    pairs.insert(Kind::NeverCompared, never.min(apart));
    pairs.insert(Kind::ScoredLow, apart - never.min(apart));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Column, Known, Semantic, Survey};

    #[test]
    fn every_mistake_is_of_one_kind() {
        let mut table = Table::new(vec![Column {
            name: "name".into(),
            semantic: Semantic::OrgName,
        }]);
        let s = table.source("s");
        for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            let name = format!("杭州{key}科技有限公司");
            table.push(s, key, std::iter::once(name.as_str()));
        }
        let pair = |a, b, score| Scored { a, b, score };
        // Clusters a b c | d | e | f | g h. One thing: a b d, e f, g; c and h are others.
        let truth = [1, 1, 2, 1, 3, 3, 4, 5];
        let outcome = Outcome {
            heads: vec![0, 0, 0, 3, 4, 5, 6, 6],
            scored: vec![
                pair(0, 1, 9_000),
                pair(1, 2, 8_000),
                pair(0, 3, 8_500),
                pair(6, 7, 7_500),
            ],
            survey: Some(Survey {
                rate: 1,
                below: vec![pair(4, 5, -3_000)],
            }),
            known: Some(Known {
                pairs: 4,
                looked_up: 4,
                compared: 3,
                missed: vec![(1, 3)],
            }),
            ..Outcome::default()
        };
        let found = mistakes(&table, &outcome, &truth, 7_000, 3);
        let numbers: Vec<(Kind, u64)> = found.iter().map(|(k, of)| (*k, of.pairs)).collect();
        assert_eq!(
            numbers,
            [
                (Kind::NeverCompared, 1),
                (Kind::ScoredLow, 1),
                (Kind::KeptApart, 1),
                (Kind::ScoredHigh, 2),
                (Kind::JoinedByOthers, 1),
            ]
        );
        let of = |kind: Kind| (found[&kind].examples[0].a, found[&kind].examples[0].b);
        assert_eq!(of(Kind::NeverCompared), (1, 3));
        assert_eq!(of(Kind::ScoredLow), (4, 5));
        assert_eq!(of(Kind::KeptApart), (0, 3));
        assert_eq!(of(Kind::JoinedByOthers), (0, 2));
        assert!(!found[&Kind::NeverCompared].decisive.is_empty());
    }
}
