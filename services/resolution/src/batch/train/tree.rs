//! Which columns depend on which.

use super::super::levels::{Comparer, Pattern};

/// A column's rates depend on whether its parent is unknown, or there is none (0), agrees (1),
/// or differs (2).
pub(crate) const STATES: usize = 3;
/// A column depends on another when both agree so many times as often as they would by chance.
const LIFT: f64 = 3.0;
/// In at least so many random pairs both must agree.
const LEAST: f64 = 25.0;

/// Each column's parent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    parent: Vec<Option<usize>>,
    /// The last level of each column at which it agrees.
    agrees: Vec<usize>,
}

impl Tree {
    /// All columns independent.
    pub(super) fn none(comparer: &Comparer<'_>) -> Self {
        let semantics = comparer.columns.iter().map(|c| c.semantic.levels().len());
        Self::new(semantics, vec![None; comparer.columns.len()])
    }

    pub(crate) fn new(widths: impl Iterator<Item = usize>, parent: Vec<Option<usize>>) -> Self {
        Self {
            parent,
            agrees: widths.map(|w| w.div_ceil(2) - 1).collect(),
        }
    }

    pub(crate) fn parent(&self, column: usize) -> Option<usize> {
        self.parent[column]
    }

    /// Unknown, agrees or differs: what the parent of a column does.
    pub(crate) fn state(&self, p: Pattern, column: usize) -> usize {
        self.parent[column].map_or(0, |parent| self.stands(p, parent))
    }

    fn stands(&self, p: Pattern, column: usize) -> usize {
        match p.level(column) {
            0 => 0,
            l if l <= self.agrees[column] => 1,
            _ => 2,
        }
    }

    /// The tree of the strongest dependences among pairs that are no matches: columns that agree
    /// more often are nearer to the root.
    pub(super) fn grown(bare: &Self, seen: &Together, matches: &Together) -> Self {
        let n = bare.parent.len();
        let rest = |a: usize, b: usize| -> [f64; 4] {
            std::array::from_fn(|k| (seen.of[a][b][k] - matches.of[a][b][k]).max(0.0))
        };
        let mut order: Vec<usize> = (0..n).collect();
        let often = |c: usize| {
            let [both, ..] = rest(c, c);
            both
        };
        order.sort_by(|a, b| often(*b).total_cmp(&often(*a)).then(a.cmp(b)));
        let mut out = bare.clone();
        for (at, &c) in order.iter().enumerate() {
            let mut best: Option<(f64, usize)> = None;
            for &p in &order[..at] {
                let [both, only_c, only_p, neither] = rest(c, p);
                let all = (both + only_c + only_p + neither).max(1.0);
                let chance = (both + only_c) * (both + only_p) / all;
                // Where most of what agrees are matches the rest is not known well enough.
                let clear = both > matches.of[c][p][0] / 2.0;
                if both < LEAST || both < LIFT * chance || !clear {
                    continue;
                }
                let gain = information([both, only_c, only_p, neither]);
                if best.is_none_or(|b| gain > b.0) {
                    best = Some((gain, p));
                }
            }
            out.parent[c] = best.map(|b| b.1);
        }
        out
    }
}

/// Mutual information of two columns' agreement, in bits times pairs.
fn information([both, only_c, only_p, neither]: [f64; 4]) -> f64 {
    let all = both + only_c + only_p + neither;
    let (c, p) = (both + only_c, both + only_p);
    let part = |n: f64, a: f64, b: f64| {
        if n > 0.0 {
            n * (n * all / (a * b)).log2()
        } else {
            0.0
        }
    };
    part(both, c, p)
        + part(only_c, c, all - p)
        + part(only_p, all - c, p)
        + part(neither, all - c, all - p)
}

/// How often two columns, both known, agree both, only the one, only the other, or neither.
pub(super) struct Together {
    of: Vec<Vec<[f64; 4]>>,
}

impl Together {
    pub(super) fn new(columns: usize) -> Self {
        Self {
            of: vec![vec![[0.0; 4]; columns]; columns],
        }
    }
    pub(super) fn count(&mut self, tree: &Tree, p: Pattern, n: f64) {
        for (a, row) in self.of.iter_mut().enumerate() {
            let x = tree.stands(p, a);
            for (b, cell) in row.iter_mut().enumerate() {
                match (x, tree.stands(p, b)) {
                    (0, _) | (_, 0) => {}
                    (1, 1) => cell[0] += n,
                    (1, _) => cell[1] += n,
                    (_, 1) => cell[2] += n,
                    _ => cell[3] += n,
                }
            }
        }
    }
}
