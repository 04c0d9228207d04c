//! What the learned rates weigh.

use super::{Kin, STATES, Trained};

impl Trained {
    /// How many partners a row has on average: they share its values, which makes them no less
    /// rare. A few at most, as candidates would have to be right about crowds, unless the random
    /// pairs tell.
    pub(in super::super) fn partners(&self, rows: usize) -> f64 {
        let found = 2.0 * (self.matches[0] + self.matches[1]) / rows.max(1) as f64;
        found.min(4.0).max(self.crowd)
    }

    /// Weights in milli-bits by column, state of the parent, and level; falling from level to
    /// level: where the estimate rises, the levels are pooled (Ayer and others, 1955).
    pub(in super::super) fn weights(&self) -> Vec<[Vec<i32>; STATES]> {
        let each = self.m.iter().zip(&self.u);
        each.map(|(m, u)| std::array::from_fn(|s| falling(&m[s], &u[s])))
            .collect()
    }

    /// Log2 of the prior odds within and across sources, in milli-bits.
    pub(in super::super) fn priors(&self) -> [i32; 2] {
        self.odds(self.matches)
    }

    fn odds(&self, found: [f64; 2]) -> [i32; 2] {
        [0, 1].map(|s| {
            let share = found[s].max(0.5) / self.pairs[s].max(1.0);
            milli(share / (1.0 - share.min(0.999)))
        })
    }

    /// Prior odds of a class of kin and its weights against other pairs, in milli-bits: never
    /// more than those of matches where these are above 0, because kin agree less than one thing
    /// with itself.
    pub(in super::super) fn kin_weights(
        &self,
        kin: &Kin,
        of_matches: &[[Vec<i32>; STATES]],
    ) -> ([i32; 2], Vec<[Vec<i32>; STATES]>) {
        let each = kin.rates.iter().zip(&self.u).zip(of_matches);
        let weights = each.map(|((k, u), m)| {
            std::array::from_fn(|s| {
                let levels = k[s].iter().zip(&u[s]).zip(&m[s]).enumerate();
                levels
                    .map(
                        |(l, ((k, u), m))| match (l, milli(k / u).clamp(-MOST, MOST)) {
                            (0, _) => 0,
                            (_, w) if *m > 0 => w.min(*m),
                            (_, w) => w,
                        },
                    )
                    .collect()
            })
        });
        (self.odds(kin.found), weights.collect())
    }
}

fn falling(m: &[f64], u: &[f64]) -> Vec<i32> {
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
}

/// Disagreement in one column outweighs no more than this: any column may be wrong.
const LEAST: i32 = 7_000;
const MOST: i32 = 20_000;

/// Log2 in thousandths.
pub(in super::super) fn milli(ratio: f64) -> i32 {
    (ratio.log2() * 1000.0).round() as i32
}
