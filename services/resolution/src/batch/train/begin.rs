//! Where learning begins.

use super::{
    super::{cells::Cells, kinds::Semantic, levels::Pattern},
    Learning, STATES, Trained, Tree, kin, milli,
    rates::{self, Rates, floor_else, log_ratios, start},
    surroundings::ACROSS,
};

/// Whether a column holds a text beside the main one.
pub(super) fn is_aside(main: Option<usize>, column: usize, cells: &Cells) -> bool {
    cells.semantic == Semantic::Text && main.is_some_and(|m| m != column)
}

impl Learning<'_> {
    /// Where learning begins: with pairs that are matches if there are any, namely those that agree
    /// in all they have, and those whose rows have no other partner nearly as good. What such pairs
    /// share is no chance, which else could not be told where columns are few.
    pub(super) fn begin(&self, pairs: [f64; 2]) -> Trained {
        let columns = self.comparer.columns;
        let tree = Tree::none(self.comparer);
        let mut seen = self.seen(&tree);
        let main = self.main_text();
        let start: Rates = (self.widths.iter().zip(columns).enumerate())
            .map(|(i, (w, c))| {
                let mut one = start(*w, c.semantic.often_equal());
                if is_aside(main, i, c) {
                    floor_else(&mut one, 0.3);
                }
                std::array::from_fn(|_| one.clone())
            })
            .collect();
        for (seen, told) in seen.iter_mut().zip(&self.trusted) {
            for s in seen {
                told.iter().for_each(|l| s[*l] *= 0.05);
            }
        }
        let ratios = log_ratios(&start, &rates::of(&seen, 0.5, None));
        let weight = |p: Pattern| -> i32 {
            let each = ratios.iter().enumerate();
            let sum: f64 = each.map(|(c, w)| w[0][p.level(c)]).sum();
            (sum * 1000.0 / std::f64::consts::LN_2).round() as i32
        };
        let kinds = self.surroundings.kinds();
        let weights: Vec<i32> = kinds.iter().map(|(_, p)| weight(*p)).collect();
        let sure: Vec<bool> = kinds.iter().map(|(_, p)| self.agrees(*p, false)).collect();
        let least = milli(self.rows.max(2) as f64) - 1_000;
        let seeds = self.surroundings.seeds(&weights, least, &sure);
        let mut sums = rates::zeros(&self.widths);
        let mut found = [0.0; 2];
        for ((side, p), (n, _)) in &seeds {
            rates::count(&mut sums, &tree, *p, *n as f64);
            found[usize::from(side & ACROSS)] += *n as f64;
        }
        for (seen, sums) in seen.iter_mut().flatten().zip(sums.iter().flatten()) {
            for (r, s) in seen.iter_mut().zip(sums) {
                *r = (*r - self.drawn * s).max(*r * 0.02);
            }
        }
        let all: f64 = found.iter().sum();
        let least = (self.rows as f64 * 0.05).max(1.0);
        let whole = (pairs[0] + pairs[1]).max(1.0);
        let matches = [0, 1].map(|s| {
            if all >= least {
                found[s]
            } else {
                least * pairs[s] / whole
            }
        });
        // What the seeds are, drawn to what is known beforehand.
        let strength = 0.3 * all.max(least);
        let m = sums.iter().zip(&start).map(|(s, start)| {
            let known: f64 = s[0][1..].iter().sum::<f64>() + strength;
            let mut one: Vec<f64> = (s[0].iter().zip(&start[0]))
                .map(|(n, m)| (n + strength * m) / known)
                .collect();
            one[0] = 1.0;
            std::array::from_fn(|_| one.clone())
        });
        Trained {
            u: rates::of(&seen, 0.5, None),
            m: m.collect(),
            tree,
            matches,
            pairs,
            crowd: 0.0,
            kin: kin(self.comparer, &self.widths, matches),
        }
    }

    /// The levels of each column that are taken for identity until something speaks against it.
    /// What things are called is seldom equal by chance, and neither are the codes in any text:
    /// where so few pairs share it that all of them may be matches.
    pub(super) fn trusted(&self, pairs: f64) -> Vec<Vec<usize>> {
        let main = self.main_text();
        let seen = self.seen(&Tree::none(self.comparer));
        let of = |(i, (cells, seen)): (usize, (&Cells, &[Vec<f64>; STATES]))| {
            let levels = cells.semantic.levels();
            let most = match (main == Some(i), cells.semantic) {
                (true, Semantic::PersonName) | (false, Semantic::Text) => 2.0,
                // One organization may fill the table; two of one name are an exception.
                (true, Semantic::OrgName) => f64::INFINITY,
                (true, _) => 20.0,
                (false, _) => return Vec::new(),
            } * self.rows as f64;
            let named = if main == Some(i) { 1..4 } else { 0..0 };
            let code = (1..levels.len()).filter(|l| levels[*l] == "code");
            let told: Vec<usize> = named.chain(code).collect();
            let all: f64 = seen[0][1..].iter().sum();
            let share: f64 = told.iter().map(|l| seen[0][*l]).sum::<f64>() / all.max(1.0);
            if share * pairs <= most {
                told
            } else {
                Vec::new()
            }
        };
        let columns = self.comparer.columns.iter().zip(&seen);
        columns.enumerate().map(of).collect()
    }

    /// Whether two rows agree in everything both have, among it something telling, and have at
    /// least half of it, or all of it.
    pub(super) fn agrees(&self, p: Pattern, all: bool) -> bool {
        let (mut known, mut telling) = (0, false);
        for (c, cells) in self.comparer.columns.iter().enumerate() {
            let level = p.level(c);
            let names = cells.semantic.tells_kin_apart();
            let most = match () {
                () if cells.semantic.is_main() => 3,
                () if names => 2,
                () => self.widths[c].div_ceil(2) - 1,
            };
            if level > most {
                return false;
            }
            known += usize::from(level > 0);
            telling |= names && level > 0;
        }
        let least = if all {
            self.widths.len()
        } else {
            self.widths.len().div_ceil(2)
        };
        telling && known >= least
    }

    /// What a thing is called: the name of an organization, or else the column of texts or names
    /// with most values. Sources may say other things in further texts.
    pub(super) fn main_text(&self) -> Option<usize> {
        let columns = self.comparer.columns.iter().enumerate();
        let named = columns.filter(|(_, c)| c.semantic.is_main());
        named
            .max_by_key(|(i, c)| {
                let organization = c.semantic == Semantic::OrgName;
                (organization, c.len(), std::cmp::Reverse(*i))
            })
            .map(|x| x.0)
    }
}
