//! Clustering scored pairs of rows.
//!
//! Pairs are taken from the best to the worst, ties by the order of names. Two groups are
//! joined when the pairs between them, the missing ones scored on demand, speak for it on
//! average, so that a single bridge does not weld groups that otherwise disagree (average
//! linkage of Sokal and Michener, 1958, with scores capped so that one equal code does not
//! outvote everything). A group draws a single row the more, the larger it is: the score of a pair
//! holds the odds that two rows at random are one thing, but a row is of a thing that has k others
//! k times as likely as of one that has one other (the Chinese restaurant process, Aldous, 1985).
//! Beyond the usual size of a group that is not believed any more. In a link two groups with rows of one source are never joined.

use std::{cmp::Reverse, collections::BTreeSet};

use smallvec::SmallVec;

use super::{
    parallel::{self, Tally},
    train::milli,
};

/// A scored pair of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scored {
    /// One row.
    pub a: u32,
    /// The other.
    pub b: u32,
    /// Log2 of the odds that both are one thing, in milli-bits.
    pub score: i32,
}

/// Largest number of rows of a group that speak for it.
const SPEAKERS: usize = 12;

/// What clustering asks.
pub(super) struct Ask<'a> {
    /// Order of rows by name.
    pub(super) ranks: &'a [u32],
    /// The source of a row.
    pub(super) source: &'a (dyn Fn(u32) -> u32 + Sync),
    /// At most one row per source and group.
    pub(super) link: bool,
    /// Scores any two rows.
    pub(super) score: &'a (dyn Fn(u32, u32) -> i32 + Sync),
    /// From here on a pair brings two groups together.
    pub(super) threshold: i32,
    /// From here on a pair speaks for it that two groups are one, else against it.
    pub(super) balance: i32,
    /// Scores count up to so far from the balance.
    pub(super) cap: i32,
    /// How many rows a thing usually has; groups draw rows up to this size. One: not at all.
    pub(super) usual: f64,
}

fn find(parent: &mut [u32], mut x: u32) -> u32 {
    while parent[x as usize] != x {
        let up = parent[parent[x as usize] as usize];
        parent[x as usize] = up;
        x = up;
    }
    x
}

/// Pairs by the component of the graph they form: components by their smallest row, the pairs of
/// each in the order given.
pub(super) struct Components {
    pairs: Vec<Scored>,
    ends: Vec<usize>,
}

impl Components {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
    /// The pairs of one.
    pub(super) fn of(&self, i: usize) -> &[Scored] {
        let from = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.pairs[from..self.ends[i]]
    }
}

/// Finds the components.
pub(super) fn components(rows: usize, pairs: &[Scored]) -> Components {
    let mut parent: Vec<u32> = (0..rows as u32).collect();
    for p in pairs {
        let (x, y) = (find(&mut parent, p.a), find(&mut parent, p.b));
        parent[x.max(y) as usize] = x.min(y);
    }
    // A parent is never larger than its row: from the first on, each finds its parent at the root.
    for row in 0..rows {
        parent[row] = parent[parent[row] as usize];
    }
    // A root is the smallest row of its component, so that places follow in one pass.
    let mut count = vec![0_u32; rows];
    for p in pairs {
        count[parent[p.a as usize] as usize] += 1;
    }
    let (mut ends, mut sum) = (Vec::new(), 0);
    let mut next = vec![0_usize; rows];
    for (root, n) in count.into_iter().enumerate() {
        next[root] = sum;
        if n > 0 {
            sum += n as usize;
            ends.push(sum);
        }
    }
    let blank = Scored {
        a: 0,
        b: 0,
        score: 0,
    };
    let mut out = vec![blank; pairs.len()];
    for p in pairs {
        let place = &mut next[parent[p.a as usize] as usize];
        out[*place] = *p;
        *place += 1;
    }
    Components { pairs: out, ends }
}

/// For every row the row that stands for its cluster: the first of it by name.
pub(super) fn cluster(
    rows: usize,
    pairs: &[Scored],
    ask: &Ask<'_>,
    threads: usize,
    tally: &Tally<'_>,
) -> Vec<u32> {
    let kept: Vec<Scored> = pairs
        .iter()
        .copied()
        .filter(|p| p.score >= ask.threshold)
        .collect();
    let parts = components(rows, &kept);
    let found = parallel::flat(threads, parts.len(), 256, |range| {
        tally.add(range.clone().map(|i| parts.of(i).len() as u64).sum());
        range.flat_map(|i| one(parts.of(i), ask)).collect()
    });
    let mut out: Vec<u32> = (0..rows as u32).collect();
    for (row, head) in found {
        out[row as usize] = head;
    }
    out
}

/// The best pair from `least` on of each two clusters, the best first, ties by the order of names.
pub(super) fn reviews(
    pairs: &[Scored],
    heads: &[u32],
    least: i32,
    ranks: &[u32],
    threads: usize,
) -> Vec<Scored> {
    let ends = |list: &[u32], p: &Scored| {
        let (x, y) = (list[p.a as usize], list[p.b as usize]);
        (x.min(y), x.max(y))
    };
    // What is sorted by stands beside the pair: looking it up at each comparison takes far longer.
    let mut open = parallel::flat(threads, pairs.len(), 4096, |range| {
        let some = pairs[range].iter().filter(|p| p.score >= least);
        let clusters = some.map(|p| (ends(heads, p), *p));
        let apart = clusters.filter(|(of, _)| of.0 != of.1);
        let best_first = apart.map(|(of, p)| (of, (Reverse(p.score), ends(ranks, &p)), p));
        best_first.collect()
    });
    parallel::sort_by(threads, &mut open, |p, q| (p.0, p.1).cmp(&(q.0, q.1)));
    open.dedup_by_key(|p| p.0);
    parallel::sort_by(threads, &mut open, |p, q| p.1.cmp(&q.1));
    open.into_iter().map(|p| p.2).collect()
}

/// Clusters one component: rows with the row that stands for them.
fn one(part: &[Scored], ask: &Ask<'_>) -> Vec<(u32, u32)> {
    let rank = |r: u32| ask.ranks[r as usize];
    let mut rows: Vec<u32> = part.iter().flat_map(|p| [p.a, p.b]).collect();
    rows.sort_unstable_by_key(|r| rank(*r));
    rows.dedup();
    let place = |row: u32| {
        rows.binary_search_by_key(&rank(row), |r| rank(*r))
            .unwrap_or(0)
    };
    // From here on rows are places in the order of names.
    let mut edges: Vec<(i32, usize, usize)> = part
        .iter()
        .map(|p| {
            let (a, b) = (place(p.a), place(p.b));
            (p.score, a.min(b), a.max(b))
        })
        .collect();
    edges.sort_unstable_by(|x, y| y.0.cmp(&x.0).then((x.1, x.2).cmp(&(y.1, y.2))));
    edges.dedup();
    let mut group: Vec<usize> = (0..rows.len()).collect();
    let mut groups: Vec<Group> = (0..rows.len())
        .map(|i| Group::of(i, ask.link.then(|| (ask.source)(rows[i]))))
        .collect();
    for (_, a, b) in edges {
        let (x, y) = (group[a], group[b]);
        if x == y || !may_join(&groups[x], &groups[y], &rows, ask) {
            continue;
        }
        // The smaller one moves, so that a row moves few times.
        let larger = groups[x].members.len() >= groups[y].members.len();
        let (keep, gone) = if larger { (x, y) } else { (y, x) };
        let moved = std::mem::take(&mut groups[gone]);
        for m in &moved.members {
            group[*m] = keep;
        }
        groups[keep].take(moved);
    }
    group
        .iter()
        .enumerate()
        .map(|(i, g)| (rows[i], rows[groups[*g].speakers[0]]))
        .collect()
}

/// Rows that are held to be one thing.
#[derive(Default)]
struct Group {
    members: Vec<usize>,
    /// The first of them, in order: they speak for it.
    speakers: SmallVec<[usize; 2 * SPEAKERS]>,
    /// Sources of its rows, where they matter.
    sources: BTreeSet<u32>,
}

impl Group {
    fn of(row: usize, source: Option<u32>) -> Self {
        Self {
            members: vec![row],
            speakers: smallvec::smallvec![row],
            sources: source.into_iter().collect(),
        }
    }

    fn take(&mut self, other: Self) {
        self.members.extend(other.members);
        self.speakers.extend(other.speakers);
        self.speakers.sort_unstable();
        self.speakers.truncate(SPEAKERS);
        self.sources.extend(other.sources);
    }
}

/// Whether two sets have something in common.
fn meet(x: &BTreeSet<u32>, y: &BTreeSet<u32>) -> bool {
    let (less, more) = if x.len() <= y.len() { (x, y) } else { (y, x) };
    less.iter().any(|s| more.contains(s))
}

fn may_join(x: &Group, y: &Group, rows: &[u32], ask: &Ask<'_>) -> bool {
    if ask.link && meet(&x.sources, &y.sources) {
        return false;
    }
    let (many, few) = (x.members.len(), y.members.len());
    if many == 1 && few == 1 {
        return true;
    }
    let drawn = if many.min(few) == 1 {
        milli((many.max(few) as f64).min(ask.usual))
    } else {
        0
    };
    let (mut sum, mut pairs) = (0_i64, 0);
    for i in &x.speakers {
        for j in &y.speakers {
            let apart = (ask.score)(rows[*i], rows[*j]).saturating_sub(ask.balance);
            let apart = apart.saturating_add(drawn);
            sum += i64::from(apart.clamp(-ask.cap, ask.cap));
            pairs += 1;
        }
    }
    pairs == 0 || sum >= 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows 0 to 3 agree with each other; row 4 agrees with one of them, and with the others by
    /// `others`.
    fn is_drawn(others: i32, usual: f64, link: bool) -> bool {
        let score = |a: u32, b: u32| match (a.min(b), a.max(b)) {
            (0, 4) => 600,
            (_, 4) => others,
            _ => 5_000,
        };
        let ranks: Vec<u32> = (0..5).collect();
        let pairs: Vec<Scored> = (0..5)
            .flat_map(|a| (a + 1..5).map(move |b| (a, b)))
            .map(|(a, b)| Scored {
                a,
                b,
                score: score(a, b),
            })
            .collect();
        let ask = Ask {
            ranks: &ranks,
            source: &|row| row,
            link,
            score: &score,
            threshold: 0,
            balance: 0,
            cap: 10_000,
            usual,
        };
        let heads = cluster(5, &pairs, &ask, 2, &Tally::new(0, &|_, _| ()));
        assert_eq!(heads[..4], [0; 4]);
        heads[4] == 0
    }

    #[test]
    fn a_group_draws_a_row_by_its_size_up_to_the_usual_one() {
        // On average -450: a group of four draws by two bits, of two by one, of one by none.
        assert!(!is_drawn(-800, 1.0, true));
        assert!(is_drawn(-800, 2.0, false));
        // On average -1,350.
        assert!(!is_drawn(-2_000, 2.0, false));
        assert!(is_drawn(-2_000, 4.0, false));
        // On average -2,100: no group of four draws so much.
        assert!(!is_drawn(-3_000, 100.0, false));
    }

    /// Each joins the group before it: a group that was put in order with every row that comes
    /// would take hours.
    #[test]
    fn a_hundred_thousand_rows_in_a_row_are_one_group() {
        let rows = 100_000_u32;
        let ranks: Vec<u32> = (0..rows).collect();
        let pairs: Vec<Scored> = (1..rows)
            .map(|b| Scored {
                a: b - 1,
                b,
                score: 9_000,
            })
            .collect();
        let ask = |link: bool| Ask {
            ranks: &ranks,
            source: &|row| row,
            link,
            score: &|_, _| 5_000,
            threshold: 0,
            balance: 0,
            cap: 10_000,
            usual: 1.0,
        };
        for link in [false, true] {
            let heads = cluster(100_000, &pairs, &ask(link), 2, &Tally::new(0, &|_, _| ()));
            assert!(heads.iter().all(|h| *h == 0), "link {link}");
        }
    }
}
