//! Threads whose number never shows in a result.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Calls `work` for every index below `count` on up to `threads` threads; results in the order
/// of their index, whichever thread made them.
pub fn map<T: Send>(threads: usize, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if threads <= 1 || count <= 1 {
        return (0..count).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= count {
                        return;
                    }
                    let result = work(i);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((i, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|x| x.0);
    done.into_iter().map(|x| x.1).collect()
}

/// [`map`] over the items of a list, each of which `work` may change.
pub fn map_mut<I: Send, T: Send>(
    threads: usize,
    items: &mut [I],
    work: impl Fn(&mut I) -> T + Sync,
) -> Vec<T> {
    let items: Vec<Mutex<&mut I>> = items.iter_mut().map(Mutex::new).collect();
    map(threads, items.len(), |i| {
        work(&mut items[i].lock().unwrap_or_else(PoisonError::into_inner))
    })
}

/// [`map`] over pieces of at most `size` of the indices below `count`, joined.
pub fn flat<T: Send>(
    threads: usize,
    count: usize,
    size: usize,
    work: impl Fn(std::ops::Range<usize>) -> Vec<T> + Sync,
) -> Vec<T> {
    let pieces = map(threads, count.div_ceil(size.max(1)), |i| {
        work(i * size..((i + 1) * size).min(count))
    });
    let mut out = Vec::with_capacity(pieces.iter().map(Vec::len).sum());
    for mut p in pieces {
        out.append(&mut p);
    }
    out
}

/// Sorts a list. Equal items must not be told apart by anyone.
pub fn sort<T: Ord + Send>(threads: usize, list: &mut [T]) {
    sort_by(threads, list, T::cmp);
}

/// [`sort`] by an order.
pub fn sort_by<T: Send>(
    threads: usize,
    list: &mut [T],
    order: impl Fn(&T, &T) -> std::cmp::Ordering + Sync,
) {
    if threads <= 1 || list.len() < 4096 {
        list.sort_unstable_by(order);
        return;
    }
    let size = list.len().div_ceil(threads);
    let mut runs: Vec<&mut [T]> = list.chunks_mut(size).collect();
    map_mut(threads, &mut runs, |run| run.sort_unstable_by(&order));
    // A stable sort finds the runs and only merges them.
    list.sort_by(order);
}

/// Counts what threads have done, and tells.
pub struct Tally<'a> {
    done: AtomicU64,
    of: u64,
    tell: &'a (dyn Fn(u64, u64) + Sync),
}

impl<'a> Tally<'a> {
    /// Nothing is done yet, of `of`; `tell` hears how much is done, of how much.
    pub fn new(of: u64, tell: &'a (dyn Fn(u64, u64) + Sync)) -> Self {
        tell(0, of);
        Self {
            done: AtomicU64::new(0),
            of,
            tell,
        }
    }
    /// So much more is done.
    pub fn add(&self, n: u64) {
        let done = self.done.fetch_add(n, Ordering::Relaxed) + n;
        (self.tell)(done.min(self.of), self.of);
    }
}

/// Mixes a number; every bit of the input moves every bit of the result (splitmix64 of
/// Steele, Lea and Flood, 2014).
pub const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Hashes bytes, the same on every machine and run: eight bytes at a time through [`mix`].
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut h = mix(seed ^ bytes.len() as u64);
    let mut chunks = bytes.chunks_exact(8);
    for c in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(c);
        h = mix(h ^ u64::from_le_bytes(word));
    }
    let mut word = [0; 8];
    word[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    mix(h ^ u64::from_le_bytes(word))
}

/// The product of two numbers in 128 bits, its halves laid over each other (the step of wyhash,
/// Wang Yi, 2019).
const fn folded(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Hashes bytes, the same on every machine and run, sixteen bytes at a time: for what lives in
/// memory alone. What is stored is hashed by [`hash`].
pub(crate) fn quick(seed: u64, bytes: &[u8]) -> u64 {
    const SECRET: [u64; 3] = [
        0xa076_1d64_78bd_642f,
        0xe703_7ed1_a0b4_28db,
        0x8ebc_6af0_9c88_c6e3,
    ];
    let mut h = seed ^ SECRET[0];
    let mut rest = bytes;
    while let Some((two, after)) = rest.split_first_chunk::<16>()
        && !after.is_empty()
    {
        let both = u128::from_le_bytes(*two);
        h = folded(both as u64 ^ SECRET[1], (both >> 64) as u64 ^ h);
        rest = after;
    }
    // What is left, at most sixteen bytes, as two numbers that may share some of them; the
    // length tells which.
    let (x, y) = if let (Some(first), Some(last)) = (rest.first_chunk(), rest.last_chunk()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (rest.first_chunk(), rest.last_chunk()) {
        let wide = |b: &[u8; 4]| u64::from(u32::from_le_bytes(*b));
        (wide(first), wide(last))
    } else {
        let at = |i: usize| rest.get(i).map_or(0, |b| u64::from(*b));
        (at(0) << 16 | at(1) << 8 | at(2), 0)
    };
    h = folded(x ^ SECRET[1], y ^ h);
    folded(h ^ SECRET[2], bytes.len() as u64 ^ SECRET[0])
}

/// [`quick`] for maps that live shortly; the order of such a map never leaves it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QuickHasher(u64);

impl std::hash::Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = quick(self.0, bytes);
    }
    fn write_u8(&mut self, i: u8) {
        self.0 = self.0.rotate_left(8) ^ u64::from(i);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_the_length_move_a_quick_hash() {
        let mut seen = std::collections::BTreeSet::new();
        for long in 0..70 {
            let bytes = vec![7_u8; long];
            assert!(seen.insert(quick(3, &bytes)));
            for at in 0..long {
                let mut other = bytes.clone();
                other[at] = 8;
                assert!(seen.insert(quick(3, &other)), "{long} {at}");
            }
        }
        assert_ne!(quick(0, b"jinke"), quick(1, b"jinke"));
        // Highest and lowest bits are spread alike: by the one keys are put in shards, by the
        // other they are told apart.
        let mut highest = [0; 16];
        for i in 0..16_000_u32 {
            highest[(quick(0, &i.to_le_bytes()) >> 60) as usize] += 1;
        }
        assert!(
            highest.iter().all(|n| (800..1200).contains(n)),
            "{highest:?}"
        );
    }

    #[test]
    fn threads_never_show() {
        let numbers: Vec<u64> = (0..20_000).map(|i| mix(i) % 900).collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        for threads in [1, 2, 7] {
            let mut list = numbers.clone();
            sort(threads, &mut list);
            assert_eq!(list, sorted);
            assert_eq!(
                map(threads, 100, |i| i * 2),
                (0..100).map(|i| i * 2).collect::<Vec<_>>()
            );
            let halves = map_mut(threads, &mut list, |n| {
                *n /= 2;
                *n
            });
            assert_eq!(halves, list);
            let odd = flat(threads, 50, 7, |r| r.filter(|i| i % 2 == 1).collect());
            assert_eq!(odd, (0..25).map(|i| 2 * i + 1).collect::<Vec<_>>());
        }
    }
}
