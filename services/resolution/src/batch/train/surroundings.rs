//! What the surroundings of a pair say about it. For learning only: a score speaks for itself.

use std::collections::{BTreeMap, HashMap};

use super::{
    super::{levels::Pattern, parallel},
    Counts, count,
};

/// The side of a pair: within (0) or across (1) sources.
pub(super) const ACROSS: u8 = 1;
/// Added to the side of a pair that is no match by its surroundings: its rows have partners that
/// fit much better, or their equal values are common ones. Nothing is learned from it about what
/// one thing looks like.
pub(super) const OUTDONE: u8 = 2;
/// Added to the side of a pair whose rows both fit a third one much better than each other: a
/// match, however little the two have in common.
pub(super) const SETTLED: u8 = 4;

/// What a pair counts for learning when each of its rows is in no other match: divisible by small
/// numbers, so that counts stay whole.
pub(super) const UNIT: u64 = 5_040;

/// How many pairs there are of a kind, and what they count for learning in [`UNIT`]s: a row counts
/// once, however many partners it has, so that one thing that is there a hundred times does not
/// outweigh all others.
pub(super) type Weighed = BTreeMap<(u8, Pattern), (u64, u64)>;

/// From here on, in milli-bits, a pair helps to settle others.
const STRONG: i32 = 9_000;
/// Most strong partners of a row that are looked at.
const PARTNERS: usize = 48;
/// By so much, in milli-bits, a pair that begins learning beats the next partners of its rows.
const GAP: i32 = 3_000;

/// All candidate pairs with the kind each is of.
pub(crate) struct Surroundings<'a> {
    pairs: &'a [u64],
    /// Kind of each pair, as an index of `kinds`.
    kind: Vec<u32>,
    /// Side and pattern, ascending.
    kinds: Vec<(u8, Pattern)>,
    counts: Vec<u64>,
    /// Order of rows by name.
    ranks: &'a [u32],
    /// The source of each row, when sources are free of duplicates.
    source: Option<&'a (dyn Fn(u32) -> u32 + Sync)>,
    threads: usize,
}

fn unpack(p: u64) -> (usize, usize) {
    ((p >> 32) as usize, p as u32 as usize)
}

impl<'a> Surroundings<'a> {
    pub(crate) fn new(
        pairs: &'a [u64],
        patterns: &[Pattern],
        side: &(dyn Fn(u32, u32) -> Option<u8> + Sync),
        source: Option<&'a (dyn Fn(u32) -> u32 + Sync)>,
        ranks: &'a [u32],
        threads: usize,
    ) -> Self {
        let of = |i: usize| {
            let (a, b) = unpack(pairs[i]);
            (side(a as u32, b as u32).unwrap_or(0), patterns[i])
        };
        let counts: Counts = count(threads, pairs.len() as u64, |i| Some(of(i as usize)));
        let number: HashMap<(u8, Pattern), u32> = counts.keys().copied().zip(0..).collect();
        let kind = parallel::flat(threads, pairs.len(), 65_536, |range| {
            range.map(|i| number[&of(i)]).collect()
        });
        Self {
            pairs,
            kind,
            kinds: counts.keys().copied().collect(),
            counts: counts.values().copied().collect(),
            ranks,
            source,
            threads,
        }
    }

    /// Whether sources are free of duplicates.
    pub(super) fn is_link(&self) -> bool {
        self.source.is_some()
    }

    /// Side and pattern of each kind.
    pub(super) fn kinds(&self) -> &[(u8, Pattern)] {
        &self.kinds
    }

    /// Every pair by itself. Those of the kinds in `sure` are matches.
    pub(super) fn bare(&self, sure: &[bool]) -> Weighed {
        let each = self.kinds.iter().zip(&self.counts).zip(sure);
        each.map(|(((side, p), n), sure)| {
            let mark = if *sure { SETTLED } else { 0 };
            ((side + mark, *p), (*n, *n * UNIT))
        })
        .collect()
    }

    fn scores(&self, of_kind: &[i32]) -> Vec<i32> {
        self.kind.iter().map(|k| of_kind[*k as usize]).collect()
    }

    /// Pairs learning begins with, by kind: those of which both rows have no other partner nearly
    /// as good, from `least` on, and those of the kinds in `sure`.
    pub(super) fn seeds(&self, of_kind: &[i32], least: i32, sure: &[bool]) -> Weighed {
        let rows = self.ranks.len();
        let mut best = vec![[i32::MIN; 2]; rows];
        let scores = self.scores(of_kind);
        for (p, s) in self.pairs.iter().zip(&scores) {
            let (a, b) = unpack(*p);
            for row in [a, b] {
                let [first, second] = &mut best[row];
                if *s > *first {
                    (*first, *second) = (*s, *first);
                } else if *s > *second {
                    *second = *s;
                }
            }
        }
        let mut out = Weighed::new();
        for ((p, s), k) in self.pairs.iter().zip(&scores).zip(&self.kind) {
            let (a, b) = unpack(*p);
            let alone = [a, b].iter().all(|r| {
                let [first, second] = best[*r];
                *s == first && *s >= second.saturating_add(GAP)
            });
            if sure[*k as usize] || (alone && *s >= least) {
                let found = out.entry(self.kinds[*k as usize]).or_default();
                found.0 += 1;
                found.1 += UNIT;
            }
        }
        out
    }

    /// Counts pairs by kind and what their surroundings say, by the scores of their kinds and
    /// what `rarity` adds for the values two rows share. Pairs of the kinds in `sure` are matches
    /// as long as neither row has a much better partner.
    pub(super) fn counted(
        &self,
        of_kind: &[i32],
        sure: &[bool],
        rarity: &(dyn Fn(Pattern, usize, usize) -> i32 + Sync),
    ) -> Weighed {
        let rows = self.ranks.len();
        let scores: Vec<i32> = parallel::flat(self.threads, self.pairs.len(), 65_536, |range| {
            let each = range.map(|i| {
                let k = self.kind[i] as usize;
                let (a, b) = unpack(self.pairs[i]);
                match of_kind[k] {
                    s if s < 0 => s,
                    s => s + rarity(self.kinds[k].1, a, b),
                }
            });
            each.collect()
        });
        let mut best = vec![0_i32; rows];
        let mut partners = vec![0_u32; rows];
        for (p, s) in self.pairs.iter().zip(&scores) {
            let (a, b) = unpack(*p);
            for row in [a, b] {
                best[row] = best[row].max(*s);
                partners[row] += u32::from(*s >= 0);
            }
        }
        let in_source = self.best_by_source(&scores);
        let strong = self.strong(&scores);
        let of = |i: usize| {
            let (a, b) = unpack(self.pairs[i]);
            let (s, k) = (scores[i], self.kind[i] as usize);
            let (low, high) = (best[a].min(best[b]), best[a].max(best[b]));
            let beaten = in_source.as_ref().is_some_and(|f| f.beaten(a, b, s));
            let outdone = s < high / 4 || s < low / 2 || beaten || (s < 0 && of_kind[k] >= 0);
            let settled = in_source.is_none()
                && (-STRONG..STRONG).contains(&s)
                && strong.join(a, b, STRONG.max(s * 3 / 2 + 4_000));
            let sure = sure[k] && !beaten && (s >= low / 2 || low == 0);
            let mark = match (settled || sure, outdone) {
                (true, _) => SETTLED,
                (_, true) => OUTDONE,
                _ => 0,
            };
            let (side, pattern) = self.kinds[k];
            let weight = if s >= 0 {
                (UNIT / u64::from(partners[a].max(partners[b]).max(1))).max(1)
            } else {
                UNIT
            };
            ((side + mark, pattern), weight)
        };
        const PIECE: usize = 65_536;
        let pieces = parallel::map(self.threads, self.pairs.len().div_ceil(PIECE), |i| {
            let mut found: HashMap<(u8, Pattern), (u64, u64)> = HashMap::new();
            for p in i * PIECE..((i + 1) * PIECE).min(self.pairs.len()) {
                let (kind, weight) = of(p);
                let at = found.entry(kind).or_default();
                at.0 += 1;
                at.1 += weight;
            }
            found
        });
        let mut out = Weighed::new();
        for (kind, (n, w)) in pieces.into_iter().flatten() {
            let at = out.entry(kind).or_default();
            at.0 += n;
            at.1 += w;
        }
        out
    }

    /// The best score of each row among the rows of each source, where sources are free of
    /// duplicates and few.
    fn best_by_source(&self, scores: &[i32]) -> Option<BySource<'a>> {
        let source = self.source?;
        let sources = (0..self.ranks.len() as u32).map(source).max()? as usize + 1;
        if sources > 8 {
            return None;
        }
        let mut best = vec![i32::MIN; self.ranks.len() * sources];
        for (p, s) in self.pairs.iter().zip(scores) {
            let (a, b) = unpack(*p);
            for (row, other) in [(a, b), (b, a)] {
                let at = &mut best[row * sources + source(other as u32) as usize];
                *at = (*at).max(*s);
            }
        }
        Some(BySource {
            best,
            sources,
            source,
        })
    }

    fn strong(&self, scores: &[i32]) -> Strong {
        let mut all: Vec<(u32, std::cmp::Reverse<i32>, u32, u32)> = Vec::new();
        for (p, s) in self.pairs.iter().zip(scores) {
            if *s >= STRONG {
                let (a, b) = unpack(*p);
                for (x, y) in [(a, b), (b, a)] {
                    all.push((x as u32, std::cmp::Reverse(*s), self.ranks[y], y as u32));
                }
            }
        }
        all.sort_unstable();
        let mut out = Strong {
            from: vec![0; self.ranks.len() + 1],
            partners: Vec::new(),
        };
        for of_row in all.chunk_by(|x, y| x.0 == y.0) {
            let start = out.partners.len();
            let kept = of_row.iter().take(PARTNERS);
            out.partners.extend(kept.map(|x| (x.3, x.1.0)));
            out.partners[start..].sort_unstable();
            out.from[of_row[0].0 as usize + 1] = out.partners.len() as u32;
        }
        for i in 1..out.from.len() {
            out.from[i] = out.from[i].max(out.from[i - 1]);
        }
        out
    }
}

struct BySource<'a> {
    best: Vec<i32>,
    sources: usize,
    source: &'a (dyn Fn(u32) -> u32 + Sync),
}

impl BySource<'_> {
    /// Whether one of two rows has a better partner in the other's source.
    fn beaten(&self, a: usize, b: usize, score: i32) -> bool {
        [(a, b), (b, a)].iter().any(|(row, other)| {
            self.best[row * self.sources + (self.source)(*other as u32) as usize] > score
        })
    }
}

/// Each row's strong partners with their scores.
struct Strong {
    from: Vec<u32>,
    partners: Vec<(u32, i32)>,
}

impl Strong {
    fn of(&self, row: usize) -> &[(u32, i32)] {
        &self.partners[self.from[row] as usize..self.from[row + 1] as usize]
    }

    /// Whether a third row is a partner of both, from `least` on.
    fn join(&self, a: usize, b: usize, least: i32) -> bool {
        let (mut x, mut y) = (self.of(a).iter().peekable(), self.of(b).iter().peekable());
        while let (Some(p), Some(q)) = (x.peek(), y.peek()) {
            match p.0.cmp(&q.0) {
                std::cmp::Ordering::Less => drop(x.next()),
                std::cmp::Ordering::Greater => drop(y.next()),
                std::cmp::Ordering::Equal => {
                    if p.1.min(q.1) >= least {
                        return true;
                    }
                    x.next();
                    y.next();
                }
            }
        }
        false
    }
}
