//! Rows that share a key, and the pairs they give: no step of it runs on one thread alone, and
//! only a part of the keys is held in order at any time.

use super::parallel::{self, Tally};

/// Keys are spread over so many shards by their highest bits.
const SHARDS: usize = 4096;
const SHARD_SHIFT: u32 = 64 - SHARDS.trailing_zeros();
/// Groups of shards are made for about so many keys each.
const GROUP: usize = 1 << 20;
/// Most groups, unless there are more threads: every group reads all keys once.
const GROUPS: usize = 4;
/// Pairs are kept by their first row, so many rows together.
pub(super) const PART: usize = 4096;

const fn shard(key: u64) -> usize {
    (key >> SHARD_SHIFT) as usize
}

/// Calls `each` with every key that two rows and more have, and these rows, ascending. `entries`
/// gives the keys of a piece of the table with their rows; a row may have a key twice. `each`
/// gathers what it finds in a value of its own per group of keys; in which order keys come is
/// not promised. All of it counts as `share` in the tally.
pub(super) fn by_key<I, T>(
    threads: usize,
    pieces: usize,
    (tally, share): (&Tally<'_>, u64),
    entries: impl Fn(usize) -> I + Sync,
    empty: impl Fn() -> T + Sync,
    each: impl Fn(&mut T, u64, &[u32]) + Sync,
) -> Vec<T>
where
    I: Iterator<Item = (u64, u32)>,
    T: Send,
{
    let counts = counts(threads, pieces, &entries);
    let groups = groups(&counts, threads);
    let all = counts.iter().sum::<usize>().max(1) as u64;
    parallel::map(threads, groups.len(), |g| {
        let shards = groups[g].clone();
        let mut next = Vec::with_capacity(shards.len());
        let mut total = 0;
        for s in shards.clone() {
            next.push(total);
            total += counts[s];
        }
        let mut list = vec![(0_u64, 0_u32); total];
        for piece in 0..pieces {
            for (key, row) in entries(piece) {
                let place = next.get_mut(shard(key).wrapping_sub(shards.start));
                if let Some(place) = place {
                    list[*place] = (key, row);
                    *place += 1;
                }
            }
        }
        let mut out = empty();
        let mut rows = Vec::new();
        let mut seen = Vec::new();
        let mut from = 0;
        for to in next {
            tally.add(share * (to - from) as u64 / all);
            let shard = met(&mut list[from..to], &mut seen);
            from = to;
            shard.sort_unstable();
            for block in shard.chunk_by(|a, b| a.0 == b.0) {
                if block.len() < 2 {
                    continue;
                }
                rows.clear();
                rows.extend(block.iter().map(|b| b.1));
                rows.dedup();
                if rows.len() > 1 {
                    each(&mut out, block[0].0, &rows);
                }
            }
        }
        out
    })
}

/// Moves the keys that may be there twice to the front and returns them: many stand alone, and
/// what is alone need not be put in order. `seen` is room to work in.
fn met<'l>(shard: &'l mut [(u64, u32)], seen: &mut Vec<u8>) -> &'l mut [(u64, u32)] {
    // Four places for each key, so that few share one by chance.
    let places = (shard.len() * 4).next_power_of_two();
    let place = |key: u64| (key >> 6) as usize & (places - 1);
    seen.clear();
    seen.resize(places, 0_u8);
    for (key, _) in &*shard {
        let n = &mut seen[place(*key)];
        *n = n.saturating_add(1);
    }
    let mut kept = 0;
    for i in 0..shard.len() {
        if seen[place(shard[i].0)] > 1 {
            shard.swap(kept, i);
            kept += 1;
        }
    }
    &mut shard[..kept]
}

/// How many keys each shard has.
fn counts<I: Iterator<Item = (u64, u32)>>(
    threads: usize,
    pieces: usize,
    entries: &(impl Fn(usize) -> I + Sync),
) -> Vec<usize> {
    let runs = pieces.min(threads.max(1) * 4);
    let each = parallel::map(threads, runs, |run| {
        let mut out = vec![0_usize; SHARDS];
        for piece in (run..pieces).step_by(runs) {
            for (key, _) in entries(piece) {
                out[shard(key)] += 1;
            }
        }
        out
    });
    let mut out = vec![0; SHARDS];
    for list in each {
        for (sum, n) in out.iter_mut().zip(list) {
            *sum += n;
        }
    }
    out
}

/// Runs of shards with about as many keys each.
fn groups(counts: &[usize], threads: usize) -> Vec<std::ops::Range<usize>> {
    let total: usize = counts.iter().sum();
    let most = GROUPS.max(threads);
    let wanted = total.div_ceil(GROUP).max(threads).clamp(1, most);
    let each = total.div_ceil(wanted).max(1);
    let mut out = Vec::with_capacity(wanted + 1);
    let (mut from, mut sum) = (0, 0);
    for (s, n) in counts.iter().enumerate() {
        sum += n;
        if sum >= each {
            out.push(from..s + 1);
            (from, sum) = (s + 1, 0);
        }
    }
    out.push(from..counts.len());
    out
}

/// Two rows as one number, the smaller one first.
pub(super) fn pack(a: u32, b: u32) -> u64 {
    u64::from(a.min(b)) << 32 | u64::from(a.max(b))
}

/// The rows of a packed pair.
pub(super) const fn unpack(pair: u64) -> (u32, u32) {
    ((pair >> 32) as u32, pair as u32)
}

/// Pairs as they are found, each maybe many times.
pub(super) struct Pairs {
    parts: Vec<Vec<u64>>,
}

impl Pairs {
    /// No pair, of a table of so many rows.
    pub(super) fn new(rows: usize) -> Self {
        Self {
            parts: vec![Vec::new(); rows.div_ceil(PART)],
        }
    }
    pub(super) fn push(&mut self, a: u32, b: u32) {
        let pair = pack(a, b);
        self.parts[(pair >> 32) as usize / PART].push(pair);
    }
    /// Adds every two of `rows` that may meet.
    pub(super) fn every_two(&mut self, rows: &[u32], may: &(impl Fn(u32, u32) -> bool + ?Sized)) {
        for (i, a) in rows.iter().enumerate() {
            for b in &rows[i + 1..] {
                if may(*a, *b) {
                    self.push(*a, *b);
                }
            }
        }
    }
}

/// Every pair once, ascending within and across the lists.
pub(super) fn distinct(threads: usize, mut found: Vec<Pairs>) -> Vec<Vec<u64>> {
    let parts = found.iter().map(|f| f.parts.len()).max().unwrap_or(0);
    let mut lists: Vec<Vec<Vec<u64>>> = (0..parts).map(|_| Vec::new()).collect();
    for pairs in &mut found {
        for (list, part) in lists.iter_mut().zip(pairs.parts.drain(..)) {
            list.push(part);
        }
    }
    parallel::map_mut(threads, &mut lists, |lists| {
        let lists = std::mem::take(lists);
        let mut all = Vec::with_capacity(lists.iter().map(Vec::len).sum());
        for list in lists {
            all.extend(list);
        }
        all.sort_unstable();
        all.dedup();
        all.shrink_to_fit();
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_comes_once_with_its_rows_whatever_the_threads() {
        let key = |row: u32, k: u32| parallel::mix(u64::from((row / 3 + k * 7) % 5000));
        let found = |threads: usize, pieces: u32| {
            let piece = 20_000_u32.div_ceil(pieces);
            let entries = |p: usize| {
                let rows = p as u32 * piece..(p as u32 * piece + piece).min(20_000);
                rows.flat_map(move |r| [(key(r, 0), r), (key(r, 1), r), (key(r, 1), r)])
            };
            let lists = by_key(
                threads,
                pieces as usize,
                (&Tally::new(0, &|_, _| ()), 0),
                entries,
                Vec::new,
                |out: &mut Vec<_>, k, rows| out.push((k, rows.to_vec())),
            );
            let mut all: Vec<(u64, Vec<u32>)> = lists.into_iter().flatten().collect();
            all.sort();
            all
        };
        let once = found(1, 1);
        assert_eq!(once.len(), 5000);
        assert!(once.iter().all(|(k, rows)| rows.is_sorted()
            && rows.windows(2).all(|w| w[0] != w[1])
            && rows.iter().all(|r| key(*r, 0) == *k || key(*r, 1) == *k)));
        assert_eq!(once, found(3, 17));
    }

    #[test]
    fn pairs_are_given_once_and_in_order() {
        let (mut x, mut y) = (Pairs::new(10_000), Pairs::new(10_000));
        x.every_two(&[9_999, 4, 7], &|_, _| true);
        y.every_two(&[4, 9_999], &|_, _| true);
        y.push(8_000, 8_001);
        let all = distinct(2, vec![x, y]).concat();
        let all: Vec<(u32, u32)> = all.into_iter().map(unpack).collect();
        assert_eq!(all, [(4, 7), (4, 9_999), (7, 9_999), (8_000, 8_001)]);
    }
}
