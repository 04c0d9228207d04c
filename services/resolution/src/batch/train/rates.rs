//! Shares of levels, and what is known about them beforehand.

use super::{
    super::levels::Pattern,
    tree::{STATES, Tree},
};

/// How often each level of each column is reached, by the state of the column's parent.
pub(super) type Rates = Vec<[Vec<f64>; STATES]>;
/// Counts in the form of [`Rates`].
pub(super) type Sums = Rates;

pub(super) fn zeros(widths: &[usize]) -> Sums {
    let each = widths.iter();
    each.map(|w| std::array::from_fn(|_| vec![0.0; *w]))
        .collect()
}

/// Counts a pattern: once over all, and once under the state of each column's parent.
pub(super) fn count(sums: &mut Sums, tree: &Tree, p: Pattern, n: f64) {
    for (c, sums) in sums.iter_mut().enumerate() {
        let (state, level) = (tree.state(p, c), p.level(c));
        sums[0][level] += n;
        if state > 0 {
            sums[state][level] += n;
        }
    }
}

/// Shares over all with `prior` pairs spread evenly added; under a state of the parent with
/// `drawn` pairs added that are spread as over all.
pub(super) fn of(sums: &Sums, prior: f64, drawn: Option<f64>) -> Rates {
    let each = sums.iter();
    each.map(|s| {
        let all = shares(&s[0], prior);
        std::array::from_fn(|state| match (state, drawn) {
            (0, _) | (_, None) => all.clone(),
            (_, Some(drawn)) => {
                let known: f64 = s[state][1..].iter().sum::<f64>() + drawn;
                let levels = s[state].iter().zip(&all).enumerate();
                levels
                    .map(|(l, (n, a))| if l == 0 { 1.0 } else { (n + drawn * a) / known })
                    .collect()
            }
        })
    })
    .collect()
}

/// Shares of levels among pairs where both values are known, from counts with `prior` pairs
/// spread evenly added.
pub(super) fn shares(counts: &[f64], prior: f64) -> Vec<f64> {
    let known: f64 = counts[1..].iter().sum::<f64>() + prior;
    let each = prior / (counts.len() - 1) as f64;
    let mut out: Vec<f64> = counts.iter().map(|c| (c + each) / known).collect();
    out[0] = 1.0;
    out
}

/// Lets the last level have a share of at most `most`; the others grow in proportion.
pub(super) fn cap_else(m: &mut [f64], most: f64) {
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
pub(super) fn floor_else(r: &mut [f64], least: f64) {
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

/// Lets each level but the last have a share of at most `times` what chance gives it, and of at
/// most `most`; the last takes the rest.
pub(super) fn cap_chance(r: &mut [f64], chance: &[f64], times: f64, most: f64) {
    let Some((last, rest)) = r.split_last_mut() else {
        return;
    };
    for (x, u) in rest.iter_mut().zip(chance).skip(1) {
        let cap = (times * u).min(most.max(*u));
        if *x > cap {
            *last += *x - cap;
            *x = cap;
        }
    }
}

/// Lets one level have a share of at most `times` what chance gives it; the last takes the rest.
pub(super) fn cap_level(r: &mut [f64], chance: &[f64], level: usize, times: f64) {
    let over = r[level] - times * chance[level];
    if over > 0.0 {
        r[level] -= over;
        r[chance.len() - 1] += over;
    }
}

/// Lets the closer half of the levels have a share of at least `least`, the others in proportion.
pub(super) fn floor_close(r: &mut [f64], least: f64) {
    let middle = r.len().div_ceil(2);
    let close: f64 = r[1..middle].iter().sum();
    if close < least {
        let (grow, shrink) = (least / close.max(1e-9), (1.0 - least) / (1.0 - close));
        for (l, x) in r.iter_mut().enumerate().skip(1) {
            *x *= if l < middle { grow } else { shrink };
        }
    }
}

/// How kin begin: mostly different, or mostly equal in the column they share.
pub(super) fn kin_start(width: usize, shared: bool) -> Vec<f64> {
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

/// Where learning begins: `equal` of 100 pairs of one thing have equal values; the rest spread
/// over the levels, closer ones first.
pub(super) fn start(width: usize, equal: f64) -> Vec<f64> {
    let rest: f64 = (2..width).map(|l| 1.0 / l as f64).sum();
    (0..width)
        .map(|l| match l {
            0 => 1.0,
            1 => equal,
            l => (1.0 - equal) / l as f64 / rest,
        })
        .collect()
}

pub(super) fn log_ratios(m: &Rates, u: &Rates) -> Rates {
    let each = m.iter().zip(u);
    each.map(|(m, u)| {
        std::array::from_fn(|s| {
            let mut w: Vec<f64> = m[s].iter().zip(&u[s]).map(|(m, u)| (m / u).ln()).collect();
            w[0] = 0.0;
            w
        })
    })
    .collect()
}
