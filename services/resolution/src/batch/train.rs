//! Estimating weights without labels.
//!
//! The model is that of Fellegi and Sunter (1969): among pairs of one thing a column reaches a
//! level with probability *m*, among others with *u*, columns independent; the weight of the
//! level is log2(m/u), and with the prior the weights add up to the log2 of the odds that two
//! rows are one thing.
//!
//! * *u* is counted on random pairs, drawn by a fixed rule from the rows in the order of their
//!   names; the pairs of one thing expected among them are taken out again, which matters in
//!   small tables.
//! * *m* and the number of matches are estimated by expectation and maximisation (Dempster,
//!   Laird and Rubin, 1977; for record linkage Winkler, 1988) over all candidate pairs. Pairs
//!   that are no candidates count as known others: the prior is over all pairs, so that the way
//!   of blocking does not shift it.
//! * Columns that depend on each other, as a town and its postcode do, form a tree (Chow and Liu,
//!   1968): a column's rates are those given whether its parent agrees, so that what tends to
//!   agree together is not counted twice, and neither is a move, in which all of it changes.
//! * Things that have much in common without being one, such as members of a household or papers
//!   of one author, are classes of their own ([`Kin`]).
//! * Equal values count by how rare they are (Winkler, 2000, and as Splink does it).
//! * Labels of people, where there are some, move the share of matches among the pairs of their
//!   pattern, so that they teach as much as there are such pairs (learning from labelled and
//!   unlabelled data together, as Nigam and others, 2000).
//!
//! Patterns are counted in whole numbers and visited in their order, so that sums, floats though
//! they are, come out the same for any number of threads and order of rows.

mod begin;
mod labels;
mod rarity;
mod rates;
mod surroundings;
mod tree;
mod weights;

use std::collections::BTreeMap;

use super::{
    kinds::Semantic,
    levels::{Comparer, Pattern},
    parallel::{self, mix},
};
use begin::is_aside;
use labels::told;
pub(super) use labels::{Labelled, labelled};
pub(super) use rarity::Rarity;
use rates::{
    Rates, Sums, cap_chance, cap_else, cap_level, floor_close, floor_else, kin_start, log_ratios,
};
pub(super) use surroundings::Surroundings;
use surroundings::{ACROSS, OUTDONE, SETTLED, UNIT, Weighed};
pub(super) use tree::{STATES, Tree};
pub(super) use weights::milli;

/// Random pairs drawn at most.
const SAMPLE: u64 = 400_000;
/// Rounds each time.
const ROUNDS: usize = 20;
/// The last rounds, in which a pair counts for every class by its share. Before, it counts for the
/// likeliest alone (classification EM of Celeux and Govaert, 1992): else the many pairs that have
/// something in common leak into the few that are one thing.
const SOFT: usize = 4;

/// What training found.
#[derive(Clone, Debug)]
pub(super) struct Trained {
    pub(super) m: Rates,
    pub(super) u: Rates,
    /// Which columns depend on which.
    pub(super) tree: Tree,
    /// Expected pairs of one thing, within and across sources.
    pub(super) matches: [f64; 2],
    /// All pairs, within and across sources.
    pub(super) pairs: [f64; 2],
    /// Pairs that have much in common without being one thing.
    pub(super) kin: Vec<Kin>,
    /// How many partners a row has by the random pairs, where these show so many matches that
    /// candidates, of which a crowd gives each row a few, must have missed most of them; else 0.
    pub(super) crowd: f64,
}

/// How often each pattern occurs among pairs within (0) and across (1) sources.
pub(super) type Counts = BTreeMap<(u8, Pattern), u64>;

/// Counts patterns of pairs given by index, in parallel.
pub(super) fn count(
    threads: usize,
    pairs: u64,
    of: impl Fn(u64) -> Option<(u8, Pattern)> + Sync,
) -> Counts {
    const PIECE: u64 = 32_768;
    let pieces = parallel::map(threads, pairs.div_ceil(PIECE) as usize, |i| {
        let mut counts: std::collections::HashMap<(u8, Pattern), u64> = Default::default();
        let from = i as u64 * PIECE;
        for p in from..(from + PIECE).min(pairs) {
            if let Some(found) = of(p) {
                *counts.entry(found).or_default() += 1;
            }
        }
        counts
    });
    let mut all = Counts::new();
    for piece in pieces {
        for (k, n) in piece {
            *all.entry(k).or_default() += n;
        }
    }
    all
}

/// Patterns of random pairs. `by_rank` lists rows in the order of their names; `side` says
/// whether a pair is within or across sources, or may not be.
pub(super) fn random_pairs(
    comparer: &Comparer<'_>,
    by_rank: &[u32],
    side: &(dyn Fn(u32, u32) -> Option<u8> + Sync),
    threads: usize,
) -> Counts {
    let n = by_rank.len() as u64;
    let all = n * n.saturating_sub(1) / 2;
    let pair = |a: u64, b: u64| {
        let (a, b) = (by_rank[a as usize], by_rank[b as usize]);
        side(a, b).map(|s| (s, comparer.pattern(a as usize, b as usize)))
    };
    if all <= SAMPLE {
        return count(threads, n * n, |i| {
            let (a, b) = (i / n, i % n);
            if a < b { pair(a, b) } else { None }
        });
    }
    count(threads, SAMPLE, |i| {
        let a = mix(2 * i) % n;
        let b = (a + 1 + mix(2 * i + 1) % (n - 1)) % n;
        pair(a, b)
    })
}

fn widths(comparer: &Comparer<'_>) -> Vec<usize> {
    let each = comparer.columns.iter();
    each.map(|c| c.semantic.levels().len()).collect()
}

/// A class of pairs while learning: things that have much in common without being one, such as
/// members of a household, or papers of one author. Without such classes these would pass for
/// matches.
#[derive(Clone, Debug)]
pub(super) struct Kin {
    /// The telling column they may share.
    pub(super) shares: Option<usize>,
    rates: Rates,
    found: [f64; 2],
}

fn kin(comparer: &Comparer<'_>, widths: &[usize], found: [f64; 2]) -> Vec<Kin> {
    let has = |of: fn(Semantic) -> bool| comparer.columns.iter().any(|c| of(c.semantic));
    // Of persons by given name and surname only households are kin, and only a table that says
    // where they live or what their phone is shows them: other classes would take in the noisiest
    // pairs of one person.
    let persons = !has(Semantic::is_main);
    let households = has(|s| matches!(s, Semantic::Address | Semantic::Phone));
    if widths.len() < 2 || (persons && !households) {
        return Vec::new();
    }
    let telling: Vec<usize> = (0..widths.len())
        .filter(|c| comparer.columns[*c].semantic.tells_kin_apart())
        .collect();
    // Who shares the only telling column is no kin.
    let shared = telling.iter().copied();
    let shared = shared.filter(|_| telling.len() > 1 && !persons);
    let classes = std::iter::once(None).chain(shared.map(Some));
    let classes: Vec<Option<usize>> = classes.collect();
    let part = classes.len() as f64;
    classes
        .into_iter()
        .map(|shares| Kin {
            shares,
            rates: (0..widths.len())
                .map(|c| kin_start(widths[c], shares == Some(c)))
                .map(|one| std::array::from_fn(|_| one.clone()))
                .collect(),
            found: found.map(|f| f / part),
        })
        .collect()
}

/// What is known before learning, and what learning reads.
struct Learning<'a> {
    comparer: &'a Comparer<'a>,
    surroundings: &'a Surroundings<'a>,
    candidates: Weighed,
    random: &'a Counts,
    labelled: Labelled,
    widths: Vec<usize>,
    /// Share of all pairs that were drawn.
    drawn: f64,
    rows: usize,
    /// Kinds of pairs that agree in all there is.
    sure: Vec<bool>,
    /// Levels of each column that are taken for identity.
    trusted: Vec<Vec<usize>>,
}

/// Posterior counts of one round.
struct Expected {
    matches: [f64; 2],
    /// Levels of matches, each pair once.
    sums: Sums,
    /// Levels of matches, each row once.
    learned: Sums,
    kin: Vec<([f64; 2], Sums)>,
}

/// Matches among random pairs.
struct Drawn {
    matches: [f64; 2],
    sums: Sums,
}

/// Random pairs that show so many times the matches of the candidates are believed instead.
const CROWDED: f64 = 2.0;
/// At most this share of pairs that share what a thing is called do so by chance, where few do:
/// in a table of one column nothing else could tell, and learning would come to rest in doubt.
const CHANCE: f64 = 0.25;
/// The same where sources are free of duplicates, so that the best of several partners is taken.
const CHANCE_IN_LINK: f64 = 0.12;
/// The same of names of organizations, which somebody registers.
const CHANCE_OF_NAMES: f64 = 0.06;
/// From so many matches among them on.
const ENOUGH: f64 = 200.0;

/// Estimates all rates.
pub(super) fn train(
    comparer: &Comparer<'_>,
    surroundings: &Surroundings<'_>,
    (random, labelled): (&Counts, Labelled),
    pairs: [f64; 2],
    rows: usize,
) -> Trained {
    let widths = widths(comparer);
    let total = (pairs[0] + pairs[1]).max(1.0);
    let drawn: u64 = random.values().sum();
    let mut learning = Learning {
        comparer,
        surroundings,
        candidates: Weighed::new(),
        random,
        labelled,
        drawn: drawn.max(1) as f64 / total,
        widths,
        rows,
        sure: Vec::new(),
        trusted: Vec::new(),
    };
    learning.trusted = learning.trusted(pairs[0] + pairs[1]);
    let kinds = surroundings.kinds().iter();
    learning.sure = kinds.map(|(_, p)| learning.agrees(*p, true)).collect();
    learning.candidates = surroundings.bare(&learning.sure);
    let mut out = learning.begin(pairs);
    learning.learn(&mut out, ROUNDS, 0);
    learning.recount(&out);
    learning.learn(&mut out, ROUNDS, 0);
    out.tree = learning.grow(&out);
    learning.learn(&mut out, ROUNDS, 0);
    learning.recount(&out);
    learning.learn(&mut out, ROUNDS, SOFT);
    out.matches = learning.expected(&out, false, false).matches;
    out
}

impl Learning<'_> {
    /// Counts pairs anew by what their surroundings now say.
    fn recount(&mut self, at: &Trained) {
        let (weights, priors) = (at.weights(), at.priors());
        let scores = self.surroundings.kinds().iter().map(|(side, p)| {
            let levels = weights.iter().enumerate();
            let sum: i32 = levels
                .map(|(c, w)| w[at.tree.state(*p, c)][p.level(c)])
                .sum();
            sum + priors[usize::from(*side)]
        });
        let scores: Vec<i32> = scores.collect();
        let partners = at.partners(self.rows);
        let rare: Vec<Vec<i32>> = (self.comparer.columns.iter().zip(&at.u))
            .map(|(cells, u)| {
                let rare = Rarity::new(cells, u[0][1], partners);
                cells.count.iter().map(|n| rare.of(*n)).collect()
            })
            .collect();
        let rarity = |p: Pattern, a: usize, b: usize| {
            let all = self.comparer.agree_in_all(p);
            let mut sum = 0;
            for (c, cells) in self.comparer.columns.iter().enumerate() {
                if p.level(c) == 1 && at.tree.state(p, c) != 1 {
                    let of = |row: usize| rare[c][cells.of_row[row] as usize];
                    let adjustment = of(a).min(of(b));
                    let waived = all && cells.semantic.is_main() && adjustment < 0;
                    sum += if waived { 0 } else { adjustment };
                }
            }
            sum
        };
        self.candidates = self.surroundings.counted(&scores, &self.sure, &rarity);
    }

    /// How often random pairs reach each level.
    fn seen(&self, tree: &Tree) -> Sums {
        let mut seen = rates::zeros(&self.widths);
        for ((_, p), n) in self.random {
            rates::count(&mut seen, tree, *p, *n as f64);
        }
        seen
    }

    /// Calls `each` with the side of every pattern among candidates, the pattern, how often it
    /// occurs, and the share of matches and of each class of kin among those pairs: all to the
    /// likeliest class when `hard`, no matches among outdone pairs unless `all`.
    fn posteriors(
        &self,
        at: &Trained,
        (hard, all): (bool, bool),
        mut each: impl FnMut(usize, Pattern, (f64, f64), &[f64]),
    ) {
        let weights = log_ratios(&at.m, &at.u);
        let of_kin: Vec<_> = at.kin.iter().map(|k| log_ratios(&k.rates, &at.u)).collect();
        let mut odds = vec![0.0; at.kin.len() + 1];
        let columns = 0..self.widths.len();
        for ((side, p), (n, weight)) in &self.candidates {
            let s = usize::from(*side & ACROSS);
            let prior = |found: f64| (found.max(0.5) / at.pairs[s].max(1.0)).ln();
            let of = std::iter::once((&weights, at.matches[s]));
            let of = of.chain(of_kin.iter().zip(at.kin.iter().map(|k| k.found[s])));
            for (o, (w, found)) in odds.iter_mut().zip(of) {
                let levels = columns.clone();
                *o = prior(found)
                    + levels
                        .map(|c| w[c][at.tree.state(*p, c)][p.level(c)])
                        .sum::<f64>();
            }
            if side & OUTDONE > 0 && !all {
                odds[0] = f64::NEG_INFINITY;
            }
            let top = odds.iter().copied().fold(0.0, f64::max);
            let mut whole = (-top).exp();
            for o in &mut odds {
                *o = (*o - top).exp();
                whole += *o;
            }
            odds.iter_mut().for_each(|o| *o /= whole);
            if hard {
                // All of a pattern to the likeliest class.
                let other = (-top).exp() / whole;
                let most = odds.iter().copied().fold(other, f64::max);
                let first = odds
                    .iter()
                    .position(|o| *o >= most)
                    .filter(|_| most > other);
                for (k, o) in odds.iter_mut().enumerate() {
                    *o = f64::from(u8::from(first == Some(k)));
                }
            }
            if side & SETTLED > 0 {
                odds.fill(0.0);
                odds[0] = 1.0;
            }
            if let Some(labels) = self.labelled.get(p) {
                told(&mut odds, *labels);
            }
            each(s, *p, (*n as f64, *weight as f64 / UNIT as f64), &odds);
        }
    }

    fn expected(&self, at: &Trained, hard: bool, all: bool) -> Expected {
        let zeros = rates::zeros(&self.widths);
        let mut out = Expected {
            matches: [0.0; 2],
            kin: at.kin.iter().map(|_| ([0.0; 2], zeros.clone())).collect(),
            learned: zeros.clone(),
            sums: zeros,
        };
        self.posteriors(at, (hard, all), |s, p, (n, weight), share| {
            out.matches[s] += n * share[0];
            rates::count(&mut out.sums, &at.tree, p, n * share[0]);
            rates::count(&mut out.learned, &at.tree, p, weight * share[0]);
            for ((found, sums), share) in out.kin.iter_mut().zip(&share[1..]) {
                found[s] += n * share;
                rates::count(sums, &at.tree, p, n * share);
            }
        });
        out
    }

    /// The matches among the random pairs, a pair by its pattern alone.
    fn among_random(&self, at: &Trained) -> Drawn {
        let weights = log_ratios(&at.m, &at.u);
        let mut out = Drawn {
            matches: [0.0; 2],
            sums: rates::zeros(&self.widths),
        };
        for ((side, p), n) in self.random {
            let s = usize::from(*side & ACROSS);
            let odds: f64 = (at.matches[s].max(0.5) / at.pairs[s].max(1.0)).ln()
                + (0..self.widths.len())
                    .map(|c| weights[c][at.tree.state(*p, c)][p.level(c)])
                    .sum::<f64>();
            if odds > 0.0 {
                out.matches[s] += *n as f64;
                rates::count(&mut out.sums, &at.tree, *p, *n as f64);
            }
        }
        out
    }

    fn learn(&self, at: &mut Trained, rounds: usize, soft: usize) {
        let seen = self.seen(&at.tree);
        for round in 0..rounds {
            let found = self.expected(at, round + soft < rounds, false);
            at.matches = found.matches;
            let drawn = self.among_random(at);
            let shown = drawn.matches.map(|n| n / self.drawn);
            let all: f64 = drawn.matches.iter().sum();
            let more = shown.iter().sum::<f64>() > CROWDED * found.matches.iter().sum::<f64>();
            at.crowd = 0.0;
            if more && all >= ENOUGH {
                at.matches = shown;
                at.crowd = 2.0 * shown.iter().sum::<f64>() / self.rows.max(1) as f64;
            }
            for (k, (n, sums)) in at.kin.iter_mut().zip(&found.kin) {
                k.found = *n;
                k.rates = rates::of(sums, 2.0, Some(10.0));
                for (c, r) in k.rates.iter_mut().enumerate() {
                    let telling = self.comparer.columns[c].semantic.tells_kin_apart();
                    for (r, u) in r.iter_mut().zip(&at.u[c]) {
                        if k.shares == Some(c) {
                            floor_close(r, 0.8);
                            let levels = self.comparer.columns[c].semantic.levels();
                            if let Some(code) = levels.iter().position(|l| *l == "code") {
                                cap_level(r, u, code, 60.0);
                            }
                        } else if telling {
                            cap_chance(r, u, 60.0, 0.02);
                            floor_else(r, 0.6);
                        }
                    }
                }
            }
            at.m = rates::of(&found.learned, 2.0, Some(10.0));
            let main = self.main_text();
            let organization =
                main.is_some_and(|m| self.comparer.columns[m].semantic == Semantic::OrgName);
            for (i, (m, c)) in at.m.iter_mut().zip(self.comparer.columns).enumerate() {
                let (least, most) = if is_aside(main, i, c) {
                    (0.1, if organization { 0.98 } else { 0.5 })
                } else {
                    (c.semantic.least_else(), c.semantic.most_else())
                };
                // Where the parent differs all may differ: that is a move.
                for m in &mut m[..2] {
                    cap_else(m, most);
                    floor_else(m, least);
                }
            }
            if round % 5 == 0 {
                // Random pairs hold their share of matches: take them out of u.
                let mut rest = seen.clone();
                let sums = self.expected(at, false, false).sums;
                let each = (rest.iter_mut().flatten()).zip(sums.iter().flatten());
                for ((rest, sums), drawn) in each.zip(drawn.sums.iter().flatten()) {
                    for ((r, s), d) in rest.iter_mut().zip(sums).zip(drawn) {
                        let matches = if at.crowd > 0.0 { *d } else { self.drawn * s };
                        *r = (*r - matches).max(*r * 0.02);
                    }
                }
                for (c, told) in self.trusted.iter().enumerate() {
                    let chance = match self.comparer.columns[c].semantic {
                        // People share names.
                        Semantic::PersonName => continue,
                        Semantic::OrgName => CHANCE_OF_NAMES,
                        _ if self.surroundings.is_link() => CHANCE_IN_LINK,
                        _ => CHANCE,
                    };
                    for (rest, seen) in rest[c].iter_mut().zip(&seen[c]) {
                        for l in told {
                            rest[*l] = rest[*l].min(seen[*l] * chance);
                        }
                    }
                }
                at.u = rates::of(&rest, 0.5, Some(20.0));
            }
        }
    }

    /// Finds which columns depend on which among pairs that are no matches.
    fn grow(&self, at: &Trained) -> Tree {
        let n = self.widths.len();
        let mut together = tree::Together::new(n);
        for ((_, p), k) in self.random {
            together.count(&at.tree, *p, *k as f64);
        }
        let mut matches = tree::Together::new(n);
        self.posteriors(at, (false, false), |_, p, (k, _), share| {
            matches.count(&at.tree, p, k * share[0] * self.drawn);
        });
        Tree::grown(&at.tree, &together, &matches)
    }
}
