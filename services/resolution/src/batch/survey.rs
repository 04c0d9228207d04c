//! What reports ask beyond clusters: how pairs that were compared and fell below the threshold
//! score, and how many pairs known to be one thing blocking brought together.

use super::{
    blocks::{pack, unpack},
    group::Scored,
    parallel::{self, mix},
    table::Table,
};
use crate::block::place_of;

/// About so many candidate pairs are looked at, whatever they score.
const SAMPLE: u64 = 1 << 17;
/// Most known pairs that are looked up; of more, so many are drawn.
const LOOKED_UP: u64 = 4_000_000;
/// Pairs looked at by one thread at a time.
const PIECE: usize = 65_536;

/// Candidate pairs drawn whatever they score. Which are drawn follows from the names of their
/// rows alone, not from their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// One of so many candidate pairs was drawn.
    pub rate: u64,
    /// Those that score less than what [`super::Outcome::scored`] holds.
    pub below: Vec<Scored>,
}

/// What blocking did with pairs known to be one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Pairs of one thing.
    pub pairs: u64,
    /// Of these, looked up: all, or at most 4,000,000 that were drawn.
    pub looked_up: u64,
    /// Of those looked up, pairs that blocking brought together.
    pub compared: u64,
    /// Those that it did not.
    pub missed: Vec<(u32, u32)>,
}

impl Known {
    /// Share of known pairs that were compared; 1 when there are none.
    pub fn recall(&self) -> f64 {
        if self.looked_up == 0 {
            1.0
        } else {
            self.compared as f64 / self.looked_up as f64
        }
    }
}

/// A number for every row that follows from its name.
fn places(table: &Table, threads: usize) -> Vec<u64> {
    parallel::flat(threads, table.len(), 8192, |rows| {
        let of = |row: usize| {
            let source = &table.sources[table.source_of(row) as usize];
            place_of(source, table.key(row))
        };
        rows.map(of).collect()
    })
}

/// Orders pairs by the names of their rows, as if at random: the first of them are a sample.
pub(super) fn drawn(table: &Table, pairs: impl IntoIterator<Item = Scored>) -> Vec<Scored> {
    let place = |row: u32| {
        let source = &table.sources[table.source_of(row as usize) as usize];
        place_of(source, table.key(row as usize))
    };
    let each = pairs.into_iter();
    let mut out: Vec<(u64, Scored)> = each
        .map(|s| (together(place(s.a), place(s.b)), s))
        .collect();
    out.sort_unstable_by_key(|(h, s)| (*h, s.a, s.b));
    out.into_iter().map(|x| x.1).collect()
}

/// The same for both orders of two rows.
fn together(x: u64, y: u64) -> u64 {
    mix(x.min(y) ^ x.max(y).rotate_left(29))
}

/// Draws candidate pairs and scores them; `least` is the smallest score that is kept elsewhere.
pub(super) fn survey(
    table: &Table,
    pairs: &[Vec<u64>],
    least: i32,
    score: &(dyn Fn(u32, u32) -> i32 + Sync),
    threads: usize,
) -> Survey {
    let total: u64 = pairs.iter().map(|p| p.len() as u64).sum();
    let rate = (total / SAMPLE).max(1).next_power_of_two();
    let places = places(table, threads);
    let spans: Vec<&[u64]> = pairs.iter().flat_map(|p| p.chunks(PIECE)).collect();
    let below = parallel::map(threads, spans.len(), |i| {
        let mut out = Vec::new();
        for (a, b) in spans[i].iter().map(|p| unpack(*p)) {
            if together(places[a as usize], places[b as usize]) & (rate - 1) != 0 {
                continue;
            }
            let score = score(a, b);
            if score < least {
                out.push(Scored { a, b, score });
            }
        }
        out
    });
    Survey {
        rate,
        below: below.concat(),
    }
}

/// Looks up pairs of rows of one thing among candidate pairs, which are lists in order by their
/// first row, `part` rows a list.
pub(super) fn known(truth: &[usize], pairs: &[Vec<u64>], part: usize, threads: usize) -> Known {
    let mut rows: Vec<u32> = (0..truth.len() as u32).collect();
    let thing = |r: &u32| truth[*r as usize];
    parallel::sort_by(threads, &mut rows, |a, b| {
        thing(a).cmp(&thing(b)).then(a.cmp(b))
    });
    let groups: Vec<&[u32]> = rows
        .chunk_by(|a, b| thing(a) == thing(b))
        .filter(|g| g.len() > 1)
        .collect();
    let mut ends: Vec<u64> = Vec::with_capacity(groups.len());
    let mut total = 0_u64;
    for g in &groups {
        let n = g.len() as u64;
        total += n * (n - 1) / 2;
        ends.push(total);
    }
    let looked_up = total.min(LOOKED_UP);
    let found: Vec<(u64, Vec<(u32, u32)>)> =
        parallel::map(threads, (looked_up as usize).div_ceil(PIECE), |piece| {
            let (mut compared, mut missed) = (0_u64, Vec::new());
            let from = (piece * PIECE) as u64;
            for i in from..(from + PIECE as u64).min(looked_up) {
                // All of them in turn, or as many drawn.
                let i = if total > LOOKED_UP { mix(i) % total } else { i };
                let g = ends.partition_point(|e| *e <= i);
                let before = if g == 0 { 0 } else { ends[g - 1] };
                let (x, y) = unranked(i - before);
                let pair = pack(groups[g][x], groups[g][y]);
                let (a, b) = unpack(pair);
                let list = pairs.get(a as usize / part);
                if list.is_some_and(|l| l.binary_search(&pair).is_ok()) {
                    compared += 1;
                } else {
                    missed.push((a, b));
                }
            }
            (compared, missed)
        });
    let compared = found.iter().map(|f| f.0).sum();
    Known {
        pairs: total,
        looked_up,
        compared,
        missed: found.into_iter().flat_map(|f| f.1).collect(),
    }
}

/// The pair of places with a number: 0 is (0, 1), 1 is (0, 2), 2 is (1, 2), 3 is (0, 3) …
fn unranked(i: u64) -> (usize, usize) {
    // The larger place y is the last with y (y - 1) / 2 pairs before it.
    let mut y = ((1.0 + (1.0 + 8.0 * i as f64).sqrt()) / 2.0) as u64;
    while y * (y - 1) / 2 > i {
        y -= 1;
    }
    while (y + 1) * y / 2 <= i {
        y += 1;
    }
    ((i - y * (y - 1) / 2) as usize, y as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Column, Semantic};

    fn table(rows: u32) -> Table {
        let mut t = Table::new(vec![Column {
            name: "x".into(),
            semantic: Semantic::Text,
        }]);
        let s = t.source("s");
        for row in 0..rows {
            t.push(s, &row.to_string(), std::iter::once(""));
        }
        t
    }

    #[test]
    fn every_pair_has_its_number() {
        let mut i = 0;
        for y in 1..60 {
            for x in 0..y {
                assert_eq!(unranked(i), (x, y));
                i += 1;
            }
        }
        let (x, y) = unranked((1 << 50) + 7);
        assert!(x < y);
    }

    #[test]
    fn known_pairs_are_compared_or_missed() {
        // Rows 0 1 2 are one thing, 3 4 another, 5 alone.
        let truth = [7, 7, 7, 9, 9, 1];
        let pairs = vec![vec![pack(0, 1), pack(0, 5)], vec![pack(3, 4)]];
        let found = known(&truth, &pairs, 3, 2);
        assert_eq!((found.pairs, found.compared), (4, 2));
        let mut missed = found.missed.clone();
        missed.sort_unstable();
        assert_eq!(missed, [(0, 2), (1, 2)]);
        assert_eq!(found.recall(), 0.5);
    }

    #[test]
    fn pairs_are_drawn_by_the_names_of_rows() {
        let t = table(2_000);
        let all: Vec<u64> = (0..2_000_u32)
            .flat_map(|a| (a + 1..2_000).map(move |b| pack(a, b)))
            .collect();
        let score = |a: u32, b: u32| i32::try_from(a + b).unwrap_or(0);
        let one = survey(&t, std::slice::from_ref(&all), 3_000, &score, 1);
        let halves = [all[..70_000].to_vec(), all[70_000..].to_vec()];
        assert_eq!(one, survey(&t, &halves, 3_000, &score, 3));
        assert_eq!(one.rate, 16);
        assert!(one.below.iter().all(|s| s.score < 3_000));
        let really = all.iter().filter(|p| unpack(**p).0 + unpack(**p).1 < 3_000);
        let (really, about) = (really.count() as f64, 16.0 * one.below.len() as f64);
        assert!((about / really - 1.0).abs() < 0.02, "{about} of {really}");
    }
}
