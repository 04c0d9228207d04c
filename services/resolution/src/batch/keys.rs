//! Candidate pairs: rows that share a key, where crowded keys are refined, never dropped.
//!
//! Each value gives a row *keys*: the value itself; for names how they sound, together with
//! another name; for texts their rarest words and their first letters; for codes each half. A
//! block of more rows than a limit is refined: its rows meet where they share two crowded keys.
//! Where even those are crowded, rows are put in order of their texts and each meets its
//! neighbours (the sorted neighbourhood of Hernández and Stolfo, 1995).

use smallvec::SmallVec;

use super::{
    blocks::{self, Pairs},
    cells::Cells,
    kinds::Semantic,
    parallel::{self, Tally, hash, mix},
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
    /// Blocks by size before refinement: at place i those of 2^i rows up to below 2^(i + 1).
    pub sizes: [u64; 32],
    /// Distinct pairs.
    pub pairs: u64,
}

impl BlockingReport {
    /// Adds what another part of the keys gave, but for its pairs, which may be here already.
    pub(super) fn add(&mut self, other: &Self) {
        self.blocks += other.blocks;
        self.refined += other.refined;
        self.generic += other.generic;
        self.neighbourhoods += other.neighbourhoods;
        self.largest = self.largest.max(other.largest);
        for (sum, n) in self.sizes.iter_mut().zip(other.sizes) {
            *sum += n;
        }
    }

    /// Counts a block of so many rows.
    pub(super) fn block(&mut self, rows: usize) {
        self.blocks += 1;
        self.largest = self.largest.max(rows as u64);
        self.sizes[rows.max(1).ilog2().min(31) as usize] += 1;
    }
}

/// Whether two rows may meet at all.
pub(super) type MayMeet<'a> = dyn Fn(u32, u32) -> bool + Sync + 'a;

/// What one group of keys gives.
struct Found {
    pairs: Pairs,
    crowded: Vec<u64>,
    report: BlockingReport,
}

/// Every two rows that may be one thing, once, ascending.
/// `more` lists columns in all of which rows with equal values meet.
pub(super) fn candidates(
    columns: &[Cells],
    ranks: &[u32],
    more: &[Vec<usize>],
    may: &MayMeet<'_>,
    threads: usize,
    tally: &Tally<'_>,
) -> (Vec<u64>, BlockingReport) {
    let rows = ranks.len();
    let order = telling_first(columns);
    let piece = 16_384;
    let pieces = rows.div_ceil(piece);
    let span = |i: usize| i * piece..((i + 1) * piece).min(rows);
    let none = || Found {
        pairs: Pairs::new(rows),
        crowded: Vec::new(),
        report: BlockingReport::default(),
    };
    let first: Vec<Vec<(u64, u32)>> = parallel::map(threads, pieces, |i| {
        let mut out = Vec::new();
        let mut keys = Vec::with_capacity(MOST);
        for row in span(i) {
            of_row(columns, &order, more, row, &mut keys);
            out.extend(keys.iter().map(|k| (*k, row as u32)));
        }
        tally.add(span(i).len() as u64);
        out
    });
    let told = (tally, rows as u64);
    let entries = |i: usize| first[i].iter().copied();
    let mut found = blocks::by_key(threads, pieces, told, entries, none, |out, key, block| {
        out.report.block(block.len());
        if block.len() <= BLOCK {
            out.pairs.every_two(block, may);
        } else {
            out.report.refined += 1;
            out.crowded.push(key);
        }
    });
    let crowded: std::collections::HashSet<u64> = found
        .iter()
        .flat_map(|f| f.crowded.iter().copied())
        .collect();
    let second: Vec<Vec<(u64, u32)>> = parallel::map(threads, pieces, |i| {
        let mut out = Vec::new();
        for of_row in first[i].chunk_by(|a, b| a.1 == b.1) {
            let row = of_row[0].1;
            let keys = of_row.iter().map(|x| x.0).filter(|k| crowded.contains(k));
            let keys: SmallVec<[u64; CROWDED]> = keys.take(CROWDED).collect();
            if let [one] = keys.as_slice() {
                // Its only crowded key: it meets its neighbours there.
                out.push((*one, row));
            }
            for (x, a) in keys.iter().enumerate() {
                for b in &keys[x + 1..] {
                    out.push((mix(*a ^ b.rotate_left(17)), row));
                }
            }
        }
        out
    });
    drop(first);
    let orders = text_orders(columns, ranks);
    let entries = |i: usize| second[i].iter().copied();
    found.extend(blocks::by_key(
        threads,
        pieces,
        told,
        entries,
        none,
        |out, _, block| {
            if block.len() <= REFINED {
                out.pairs.every_two(block, may);
                return;
            }
            out.report.neighbourhoods += 1;
            for place in &orders {
                let rows = block.iter().map(|r| (place[*r as usize], *r));
                let mut order: Vec<(u32, u32)> = rows.collect();
                order.sort_unstable();
                for (i, x) in order.iter().enumerate() {
                    let near = order[i + 1..].iter().take(NEIGHBOURS);
                    for y in near.filter(|y| may(x.1, y.1)) {
                        out.pairs.push(x.1, y.1);
                    }
                }
            }
        },
    ));
    drop(second);
    let mut report = BlockingReport::default();
    let mut pairs = Vec::with_capacity(found.len());
    for f in found {
        report.add(&f.report);
        pairs.push(f.pairs);
    }
    let pairs = blocks::distinct(threads, pairs).concat();
    report.pairs = pairs.len() as u64;
    (pairs, report)
}

/// The place of each row in the order of its values, columns with most values first; and, where
/// another column says what an organization is called, in the order of those names: a crowd of
/// rows under one name would else meet by what each row has to itself.
fn text_orders(columns: &[Cells], ranks: &[u32]) -> Vec<Vec<u32>> {
    let mut by: Vec<&Cells> = columns.iter().collect();
    by.sort_by_key(|c| std::cmp::Reverse(c.len()));
    let mut out = vec![text_order(&by, ranks)];
    let named = by.iter().position(|c| c.semantic == Semantic::OrgName);
    if let Some(i) = named.filter(|i| *i > 0) {
        by[..=i].rotate_right(1);
        out.push(text_order(&by, ranks));
    }
    out
}

fn text_order(by: &[&Cells], ranks: &[u32]) -> Vec<u32> {
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

/// Columns in the order in which they give keys, so that a limit on keys leaves out those that tell
/// least, whatever the order of columns in the file: names of organizations, then columns with most
/// values.
fn telling_first(columns: &[Cells]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|c| {
        let cells = &columns[*c];
        let named = cells.semantic == Semantic::OrgName;
        (!named, std::cmp::Reverse(cells.len()), *c)
    });
    order
}

/// The keys of a row, the most telling first.
fn of_row(columns: &[Cells], order: &[usize], more: &[Vec<usize>], row: usize, out: &mut Vec<u64>) {
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
    for &c in order {
        let cells = &columns[c];
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
    let mut codes = 0;
    for &w in cells.word_ids(value) {
        if cells.vocabulary.code[w as usize] && codes < 3 {
            // The same model, with other letters behind.
            let stem = super::similar::stem(cells.vocabulary.word(w));
            if stem.len() >= 4 {
                codes += 1;
                let sum = |h: u64, c: &char| mix(h ^ u64::from(*c));
                out.push(stem.iter().fold(mix(seed + 10), sum));
            }
        }
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
