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
//! * Equal values count by how rare they are (Winkler, 2000, and as Splink does it).
//!
//! Patterns are counted in whole numbers and visited in their order, so that sums, floats though
//! they are, come out the same for any number of threads and order of rows.

use std::collections::BTreeMap;

use super::{
    levels::{Comparer, Pattern},
    parallel::{self, mix},
};

/// Random pairs drawn at most.
const SAMPLE: u64 = 400_000;
const ROUNDS: usize = 60;

/// How often each level of each column is reached.
pub(super) type Rates = Vec<Vec<f64>>;

/// What training found.
#[derive(Clone, Debug)]
pub(super) struct Trained {
    pub(super) m: Rates,
    pub(super) u: Rates,
    /// Expected pairs of one thing, within and across sources.
    pub(super) matches: [f64; 2],
    /// All pairs, within and across sources.
    pub(super) pairs: [f64; 2],
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

/// Shares of levels among pairs where both values are known, from counts with `prior` pairs
/// spread evenly added.
fn shares(counts: &[f64], prior: f64) -> Vec<f64> {
    let known: f64 = counts[1..].iter().sum::<f64>() + prior;
    let each = prior / (counts.len() - 1) as f64;
    let mut out: Vec<f64> = counts.iter().map(|c| (c + each) / known).collect();
    out[0] = 1.0;
    out
}

/// Lets the last level have a share of at most `most`; the others grow in proportion.
fn cap_else(m: &mut [f64], most: f64) {
    let Some((last, rest)) = m.split_last_mut() else {
        return;
    };
    if *last > most {
        let grow = (1.0 - most) / (1.0 - *last).max(1e-9);
        for r in &mut rest[1..] {
            *r *= grow;
        }
        *last = most;
    }
}

/// Lets the last level have a share of at least `least`; the others shrink in proportion.
fn floor_else(r: &mut [f64], least: f64) {
    let Some((last, rest)) = r.split_last_mut() else {
        return;
    };
    if *last < least {
        let shrink = (1.0 - least) / (1.0 - *last).max(1e-9);
        for x in &mut rest[1..] {
            *x *= shrink;
        }
        *last = least;
    }
}

/// How kin begin: mostly different, or mostly equal in the column they share.
fn kin_start(width: usize, shared: bool) -> Vec<f64> {
    let middle = (width - 3).max(1) as f64;
    let (equal, other) = if shared { (0.6, 0.1) } else { (0.2, 0.6) };
    (0..width)
        .map(|l| match l {
            0 => 1.0,
            1 => equal,
            l if l + 1 == width => other,
            _ => (1.0 - equal - other) / middle,
        })
        .collect()
}

/// A class of pairs while learning: things that have much in common without being one, such as
/// members of a household, or papers of one author. Without such classes these would pass for
/// matches.
struct Kin {
    /// The telling column they may share.
    shares: Option<usize>,
    rates: Rates,
    found: [f64; 2],
}

fn kin(comparer: &Comparer<'_>, widths: &[usize], found: [f64; 2]) -> Vec<Kin> {
    let telling: Vec<usize> = (0..widths.len())
        .filter(|c| comparer.columns[*c].semantic.tells_kin_apart())
        .collect();
    // Who shares the only telling column is no kin.
    let shared = telling.iter().copied().filter(|_| telling.len() > 1);
    let classes = std::iter::once(None).chain(shared.map(Some));
    let classes: Vec<Option<usize>> = classes.collect();
    let part = classes.len() as f64;
    classes
        .into_iter()
        .map(|shares| Kin {
            shares,
            rates: (0..widths.len())
                .map(|c| kin_start(widths[c], shares == Some(c)))
                .collect(),
            found: found.map(|f| f / part),
        })
        .collect()
}

fn start(width: usize) -> Vec<f64> {
    // Most agree; the rest spread over the levels, closer ones first.
    let rest: f64 = (2..width).map(|l| 1.0 / l as f64).sum();
    (0..width)
        .map(|l| match l {
            0 => 1.0,
            1 => 0.8,
            l => 0.2 / l as f64 / rest,
        })
        .collect()
}

/// Estimates all rates.
pub(super) fn train(
    comparer: &Comparer<'_>,
    candidates: &Counts,
    random: &Counts,
    pairs: [f64; 2],
    rows: usize,
) -> Trained {
    let widths = widths(comparer);
    let columns = widths.len();
    let mut seen: Vec<Vec<f64>> = widths.iter().map(|w| vec![0.0; *w]).collect();
    let mut drawn = 0.0;
    for ((_, p), n) in random {
        drawn += *n as f64;
        for (c, s) in seen.iter_mut().enumerate() {
            s[p.level(c)] += *n as f64;
        }
    }
    let drawn: f64 = f64::max(drawn, 1.0);
    let mut out = Trained {
        u: seen.iter().map(|s| shares(s, 0.5)).collect(),
        m: widths.iter().map(|w| start(*w)).collect(),
        matches: [0.0; 2],
        pairs,
    };
    let total = (pairs[0] + pairs[1]).max(1.0);
    let begin = (rows as f64 * 0.2).max(1.0);
    out.matches = pairs.map(|p| begin * p / total);
    let mut kin = kin(comparer, &widths, out.matches);
    for round in 0..ROUNDS {
        let weights = log_ratios(&out.m, &out.u);
        let kin_weights: Vec<_> = kin.iter().map(|k| log_ratios(&k.rates, &out.u)).collect();
        let mut sums: Vec<Vec<f64>> = widths.iter().map(|w| vec![0.0; *w]).collect();
        let mut kin_sums: Vec<_> = kin.iter().map(|_| sums.clone()).collect();
        let mut matches = [0.0; 2];
        let mut kin_found = vec![[0.0; 2]; kin.len()];
        let mut odds = vec![0.0; kin.len() + 1];
        for ((side, p), n) in candidates {
            let s = usize::from(*side);
            let prior = |found: f64| (found.max(0.5) / pairs[s].max(1.0)).ln();
            let all = std::iter::once((&weights, out.matches[s]));
            let all = all.chain(kin_weights.iter().zip(kin.iter().map(|k| k.found[s])));
            for (o, (w, found)) in odds.iter_mut().zip(all) {
                *o = prior(found) + (0..columns).map(|c| w[c][p.level(c)]).sum::<f64>();
            }
            let top = odds.iter().copied().fold(0.0, f64::max);
            let mut whole = (-top).exp();
            for o in &mut odds {
                *o = (*o - top).exp();
                whole += *o;
            }
            let share = *n as f64 * odds[0] / whole;
            matches[s] += share;
            for c in 0..columns {
                sums[c][p.level(c)] += share;
            }
            for (k, o) in odds[1..].iter().enumerate() {
                let share = *n as f64 * o / whole;
                kin_found[k][s] += share;
                for c in 0..columns {
                    kin_sums[k][c][p.level(c)] += share;
                }
            }
        }
        out.matches = matches;
        for ((k, found), sums) in kin.iter_mut().zip(kin_found).zip(&kin_sums) {
            k.found = found;
            k.rates = sums.iter().map(|s| shares(s, 2.0)).collect();
            for (c, r) in k.rates.iter_mut().enumerate() {
                let telling = comparer.columns[c].semantic.tells_kin_apart();
                if telling && k.shares != Some(c) {
                    floor_else(r, 0.6);
                }
            }
        }
        out.m = sums.iter().map(|s| shares(s, 2.0)).collect();
        for (m, c) in out.m.iter_mut().zip(comparer.columns) {
            cap_else(m, c.semantic.most_else());
        }
        if round >= 5 && round % 5 == 0 {
            // Random pairs hold their share of matches: take them out of u.
            let share = drawn / total;
            for c in 0..columns {
                let rest: Vec<f64> = (0..widths[c])
                    .map(|l| (seen[c][l] - share * sums[c][l]).max(seen[c][l] * 0.02))
                    .collect();
                out.u[c] = shares(&rest, 0.5);
            }
        }
    }
    out
}

fn log_ratios(m: &Rates, u: &Rates) -> Vec<Vec<f64>> {
    let each = m.iter().zip(u);
    each.map(|(m, u)| {
        let mut w: Vec<f64> = m.iter().zip(u).map(|(m, u)| (m / u).ln()).collect();
        w[0] = 0.0;
        w
    })
    .collect()
}

impl Trained {
    /// Weights in milli-bits, falling from level to level: where the estimate rises, the levels
    /// are pooled (Ayer and others, 1955).
    pub(super) fn weights(&self) -> Vec<Vec<i32>> {
        let each = self.m.iter().zip(&self.u);
        each.map(|(m, u)| {
            // Pools of (m, u, levels).
            let mut pools: Vec<(f64, f64, usize)> = Vec::new();
            for l in 1..m.len() {
                pools.push((m[l], u[l], 1));
                while let [.., (p, q, i), (r, s, j)] = pools.as_slice()
                    && r / s > p / q
                {
                    let joined = (p + r, q + s, i + j);
                    pools.truncate(pools.len() - 2);
                    pools.push(joined);
                }
            }
            let mut out = vec![0];
            for (p, q, n) in pools {
                let w = milli(p / q).clamp(-LEAST, MOST);
                out.extend(std::iter::repeat_n(w, n));
            }
            out
        })
        .collect()
    }

    /// Log2 of the prior odds within and across sources, in milli-bits.
    pub(super) fn priors(&self) -> [i32; 2] {
        [0, 1].map(|s| {
            let share = self.matches[s].max(0.5) / self.pairs[s].max(1.0);
            milli(share / (1.0 - share.min(0.999)))
        })
    }
}

/// Disagreement in one column outweighs no more than this: any column may be wrong.
const LEAST: i32 = 7_000;
const MOST: i32 = 20_000;

/// Log2 in thousandths.
pub(super) fn milli(ratio: f64) -> i32 {
    (ratio.log2() * 1000.0).round() as i32
}
