//! Candidate pairs: rows that share a key, where crowded keys are refined, never dropped.
//!
//! Each value gives a row *keys*: the value itself; for names how they sound, together with
//! another name; for texts their rarest words and their first letters; for codes each half. A
//! block of more rows than a limit is refined: its rows meet where they share two crowded keys.
//! Where even those are crowded, rows are put in order of their texts and each meets its
//! neighbours (the sorted neighbourhood of Hernández and Stolfo, 1995).

use super::{
    cells::Cells,
    kinds::Semantic,
    parallel::{self, hash, mix},
};

/// Largest block of one key in which every two rows meet.
pub(super) const BLOCK: usize = 32;
/// Largest block of two keys together in which every two rows meet.
const REFINED: usize = 48;
/// How many neighbours each row meets in a crowded block.
const NEIGHBOURS: usize = 8;
/// Most crowded keys of a row that are put in twos.
const CROWDED: usize = 8;
/// Most keys of a row.
const MOST: usize = 48;
/// Number of parts that keys are spread over.
pub(super) const SHARDS: usize = 64;

/// What blocking did, for reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockingReport {
    /// Blocks of two rows and more.
    pub blocks: u64,
    /// Blocks too large, refined.
    pub refined: u64,
    /// Blocks of so many name cores that their value is no evidence.
    pub generic: u64,
    /// Blocks of two keys still too large, in which neighbours meet.
    pub neighbourhoods: u64,
    /// Rows of the largest block before refinement.
    pub largest: u64,
    /// Distinct pairs.
    pub pairs: u64,
}

/// Rows with a key, by shards of the key.
pub(super) type Shards = Vec<Vec<(u64, u32)>>;

/// Joins the shards of all pieces and sorts each.
pub(super) fn sort_into(shards: Vec<Shards>, threads: usize) -> Shards {
    let mut by_shard: Vec<Vec<Vec<(u64, u32)>>> = (0..SHARDS).map(|_| Vec::new()).collect();
    for piece in shards {
        for (s, list) in piece.into_iter().enumerate() {
            by_shard[s].push(list);
        }
    }
    let by_shard: Vec<_> = by_shard.into_iter().map(std::sync::Mutex::new).collect();
    parallel::map(threads, SHARDS, |s| {
        let lists = std::mem::take(
            &mut *by_shard[s]
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        let mut all = Vec::with_capacity(lists.iter().map(Vec::len).sum());
        for l in lists {
            all.extend(l);
        }
        all.sort_unstable();
        all.dedup();
        all
    })
}

/// Calls `each` with the key and rows of every block of two and more.
pub(super) fn blocks(sorted: &[(u64, u32)], mut each: impl FnMut(u64, &[(u64, u32)])) {
    for block in sorted.chunk_by(|a, b| a.0 == b.0) {
        if block.len() > 1 {
            each(block[0].0, block);
        }
    }
}

/// Whether two rows may meet at all.
pub(super) type MayMeet<'a> = dyn Fn(u32, u32) -> bool + Sync + 'a;

/// Adds every two rows of a block that may meet.
pub(super) fn all_pairs(block: &[(u64, u32)], may: &MayMeet<'_>, out: &mut Vec<u64>) {
    for (i, x) in block.iter().enumerate() {
        for y in &block[i + 1..] {
            if may(x.1, y.1) {
                out.push(pack(x.1, y.1));
            }
        }
    }
}

pub(super) fn pack(a: u32, b: u32) -> u64 {
    u64::from(a.min(b)) << 32 | u64::from(a.max(b))
}

/// Every two rows that may be one thing, once, ascending.
/// `more` lists columns in all of which rows with equal values meet.
pub(super) fn candidates(
    columns: &[Cells],
    ranks: &[u32],
    more: &[Vec<usize>],
    may: &MayMeet<'_>,
    threads: usize,
) -> (Vec<u64>, BlockingReport) {
    let rows = ranks.len();
    let piece = 16_384;
    let pieces = rows.div_ceil(piece);
    let span = |i: usize| i * piece..((i + 1) * piece).min(rows);
    let first = sort_into(
        parallel::map(threads, pieces, |i| {
            let mut out: Shards = vec![Vec::new(); SHARDS];
            let mut keys = Vec::with_capacity(MOST);
            for row in span(i) {
                of_row(columns, more, row, &mut keys);
                for k in &keys {
                    out[(*k % SHARDS as u64) as usize].push((*k, row as u32));
                }
            }
            out
        }),
        threads,
    );
    let mut report = BlockingReport::default();
    let found = parallel::map(threads, SHARDS, |s| {
        let (mut pairs, mut crowded, mut n, mut most) = (Vec::new(), Vec::new(), 0, 0);
        blocks(&first[s], |key, block| {
            n += 1;
            most = most.max(block.len());
            if block.len() <= BLOCK {
                all_pairs(block, may, &mut pairs);
            } else {
                crowded.push(key);
            }
        });
        pairs.sort_unstable();
        pairs.dedup();
        (pairs, crowded, n, most)
    });
    drop(first);
    let mut pairs: Vec<u64> = Vec::new();
    let mut crowded = std::collections::HashSet::new();
    for (mut p, c, n, most) in found {
        pairs.append(&mut p);
        report.blocks += n;
        report.refined += c.len() as u64;
        report.largest = report.largest.max(most as u64);
        crowded.extend(c);
    }
    let second = sort_into(
        parallel::map(threads, pieces, |i| {
            let mut out: Shards = vec![Vec::new(); SHARDS];
            let mut keys = Vec::with_capacity(MOST);
            for row in span(i) {
                of_row(columns, more, row, &mut keys);
                keys.retain(|k| crowded.contains(k));
                keys.truncate(CROWDED);
                if let [one] = keys.as_slice() {
                    // Its only crowded key: it meets its neighbours there.
                    out[(*one % SHARDS as u64) as usize].push((*one, row as u32));
                }
                for (x, a) in keys.iter().enumerate() {
                    for b in &keys[x + 1..] {
                        let k = mix(*a ^ b.rotate_left(17));
                        out[(k % SHARDS as u64) as usize].push((k, row as u32));
                    }
                }
            }
            out
        }),
        threads,
    );
    let text_order = text_order(columns, ranks);
    let found = parallel::map(threads, SHARDS, |s| {
        let (mut pairs, mut hoods) = (Vec::new(), 0);
        let mut order: Vec<(u32, u32)> = Vec::new();
        blocks(&second[s], |_, block| {
            if block.len() <= REFINED {
                all_pairs(block, may, &mut pairs);
                return;
            }
            hoods += 1;
            order.clear();
            order.extend(block.iter().map(|b| (text_order[b.1 as usize], b.1)));
            order.sort_unstable();
            for (i, x) in order.iter().enumerate() {
                let near = order[i + 1..].iter().take(NEIGHBOURS);
                pairs.extend(near.filter(|y| may(x.1, y.1)).map(|y| pack(x.1, y.1)));
            }
        });
        pairs.sort_unstable();
        pairs.dedup();
        (pairs, hoods)
    });
    for (mut p, hoods) in found {
        pairs.append(&mut p);
        report.neighbourhoods += hoods;
    }
    pairs.sort_unstable();
    pairs.dedup();
    report.pairs = pairs.len() as u64;
    (pairs, report)
}

/// The place of each row in the order of its values, columns with most values first.
fn text_order(columns: &[Cells], ranks: &[u32]) -> Vec<u32> {
    let mut by: Vec<&Cells> = columns.iter().collect();
    by.sort_by_key(|c| std::cmp::Reverse(c.len()));
    let mut order: Vec<u32> = (0..ranks.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| {
        let (a, b) = (a as usize, b as usize);
        by.iter()
            .map(|c| c.of_row[a].cmp(&c.of_row[b]))
            .find(|o| o.is_ne())
            .unwrap_or(ranks[a].cmp(&ranks[b]))
    });
    let mut place = vec![0; ranks.len()];
    for (p, row) in order.iter().enumerate() {
        place[*row as usize] = p as u32;
    }
    place
}

/// The keys of a row, the most telling first.
fn of_row(columns: &[Cells], more: &[Vec<usize>], row: usize, out: &mut Vec<u64>) {
    out.clear();
    for (i, list) in more.iter().enumerate() {
        let value = |c: &usize| columns[*c].of_row[row];
        if list.iter().all(|c| value(c) != 0) {
            let text = |h: u64, c: &usize| hash(h, columns[*c].text(value(c)).as_bytes());
            out.push(list.iter().fold(mix(i as u64 + 7), text));
        }
    }
    let name = |s: Semantic| {
        columns
            .iter()
            .find(|c| c.semantic == s)
            .map(|c| c.text(c.of_row[row]))
            .filter(|t| !t.is_empty())
    };
    if let (Some(g), Some(s)) = (name(Semantic::GivenName), name(Semantic::Surname)) {
        // In either order, so that swapped names meet.
        let (p, q) = (super::values::sound(g), super::values::sound(s));
        let (p, q) = if p <= q { (p, q) } else { (q, p) };
        out.push(hash(1, format!("{p} {q}").as_bytes()));
    }
    for (c, cells) in columns.iter().enumerate() {
        let value = cells.of_row[row];
        if value == 0 {
            continue;
        }
        let seed = 100 + c as u64 * 16;
        out.push(hash(seed, cells.text(value).as_bytes()));
        if cells.semantic.has_words() {
            of_words(cells, value, seed, out);
        } else {
            of_parts(cells, value, seed, out);
        }
        if out.len() >= MOST {
            break;
        }
    }
    out.truncate(MOST);
}

fn of_words(cells: &Cells, value: u32, seed: u64, out: &mut Vec<u64>) {
    let mut rare = [(u32::MAX, u32::MAX); 5];
    for &w in cells.word_ids(value) {
        let mut new = (cells.word_rows[w as usize], w);
        // A word of one row finds nobody.
        if new.0 < 2 {
            continue;
        }
        for slot in &mut rare {
            if new < *slot {
                std::mem::swap(&mut new, slot);
            }
        }
    }
    for (rows, w) in rare {
        if rows != u32::MAX {
            out.push(mix((seed + 1) ^ (u64::from(w) << 8)));
        }
    }
    let glued = cells.chars(value).iter().filter(|c| **c != ' ');
    let head: String = glued.clone().take(8).collect();
    let tail: String = glued.rev().take(8).collect();
    out.push(hash(seed + 2, head.as_bytes()));
    out.push(hash(seed + 3, tail.as_bytes()));
}

fn of_parts(cells: &Cells, value: u32, seed: u64, out: &mut Vec<u64>) {
    use Semantic as S;
    let text = cells.text(value);
    match cells.semantic {
        S::GivenName | S::Surname => {
            out.push(hash(seed + 4, super::values::sound(text).as_bytes()));
        }
        S::Uscc | S::Identifier | S::BankAccount | S::Phone => {
            let n = text.chars().count();
            if n >= 6 {
                let head: String = text.chars().take(n / 2).collect();
                let tail: String = text.chars().skip(n / 2).collect();
                out.push(hash(seed + 5, head.as_bytes()));
                out.push(hash(seed + 6, tail.as_bytes()));
            }
        }
        S::Email => {
            if let Some((local, _)) = text.split_once('@') {
                out.push(hash(seed + 7, local.as_bytes()));
            }
        }
        S::DateOfBirth if cells.number[value as usize] > 0 => {
            let n = cells.number[value as usize];
            out.push(mix((seed + 8) ^ (n % 10_000) as u64));
            out.push(mix((seed + 9) ^ (n / 100) as u64));
        }
        _ => {}
    }
}
