//! Tables of Chinese business customers, resolved by the rule set of the service.
//!
//! The steps are those of [`mod@crate::resolve`], on more rows: values are standardized once,
//! in parallel, keys are kept as hashes of 58 bits beside the number of their rule, generic
//! values are marked, and components are clustered apart, which gives the same clusters. A test
//! proves that both give the same.

use std::{collections::HashMap, hash::BuildHasherDefault};

use jinke_types::{Address, Datum, PartyKind, Value, attribute};

use super::{
    At, Options, Outcome, Phase, Progress, Semantic, Table,
    blocks::{self, Pairs},
    group::{self, Scored},
    keys::BlockingReport,
    parallel::{self, QuickHasher, Tally},
    survey,
};
use crate::{
    NothingGeneric,
    block::{BlockState, Holder, pairs_of, place_of},
    compare::{Sketch, Weights, score},
    rules::RuleSet,
    standardize::{Draft, Hashes, RULE_BITS, Standardized, address, region::Region},
};

mod clusters;
mod fits;
mod parts;

use clusters::components;
pub use fits::fits;
use parts::{Part, parts, region_part};

const PIECE: usize = 4096;
/// Pairs whose sketches are fetched together.
const TOGETHER: usize = 64;
/// Low bits of a hash that hold the number of the key's rule.
const RULE: u64 = (1 << RULE_BITS) - 1;

/// The values of a row, as a connector would deliver them. Columns of type `city` are the parts
/// of a region: by their names a province, a district, a country, else a city. Types that do
/// not match organizations are ignored.
pub fn values(table: &Table, row: usize) -> Vec<Value> {
    let mut out = Vec::with_capacity(table.columns.len());
    let mut place = Address::default();
    for (c, column) in table.columns.iter().enumerate() {
        let cell = table.cell(row, c);
        if cell.is_empty() {
            continue;
        }
        let text = |attribute: &str| Value::text(attribute, cell.to_owned());
        match column.semantic {
            Semantic::OrgName => out.push(text(attribute::NAME)),
            Semantic::PersonName => out.push(text(attribute::CONTACT_NAME)),
            Semantic::Phone => out.push(text(attribute::PHONE)),
            Semantic::Email => out.push(text(attribute::EMAIL)),
            Semantic::Domain => out.push(text(attribute::WEBSITE)),
            Semantic::BankAccount => out.push(text(attribute::BANK_ACCOUNT)),
            Semantic::Uscc => out.push(Value::identifier("uscc", cell.to_owned())),
            Semantic::Identifier => {
                let scheme = format!("x_{}", column.name);
                out.push(Value::identifier(&scheme, cell.to_owned()));
            }
            Semantic::Postcode => cell.clone_into(&mut place.postcode),
            Semantic::City => {
                let part = match region_part(&column.name) {
                    0 => &mut place.province,
                    2 => &mut place.district,
                    3 => &mut place.country,
                    _ => &mut place.city,
                };
                cell.clone_into(part);
            }
            Semantic::Address if place.text.is_empty() => cell.clone_into(&mut place.text),
            Semantic::Address => {
                place.text.push(' ');
                place.text.push_str(cell);
            }
            _ => {}
        }
    }
    if !place.is_blank() {
        out.push(Value::of(attribute::ADDRESS, Datum::Address(place)));
    }
    out
}

/// What the region columns of rows said before.
type Regions<'t> = HashMap<[&'t str; 3], Region, BuildHasherDefault<QuickHasher>>;

struct Piece {
    records: Vec<Standardized>,
    /// Hashes of the keys of all records, one behind the other.
    hashes: Vec<u64>,
    ends: Vec<u32>,
    /// Hash of each record's name core; 0 when it has none.
    cores: Vec<u64>,
    /// Place of each record in its blocks.
    places: Vec<u64>,
}

impl Piece {
    fn keys(&self, i: usize) -> &[u64] {
        let from = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.hashes[from as usize..self.ends[i] as usize]
    }
}

/// [`values`] and [`standardize`] in one, without making values first.
fn one<'t>(
    table: &'t Table,
    row: usize,
    parts: &[Part],
    rules: &RuleSet,
    regions: &mut Regions<'t>,
    hashes: &mut Vec<u64>,
) -> Standardized {
    let mut draft = Draft::new(PartyKind::Organization);
    let mut place = [""; 4];
    let (mut text, mut postcode, mut joined) = ("", "", String::new());
    for (cell, part) in table.cells(row).zip(parts) {
        if cell.is_empty() {
            continue;
        }
        match part {
            Part::Name => draft.name(cell),
            Part::Contact => draft.contact(cell),
            Part::Phone => draft.phone(cell),
            Part::Email => draft.email(cell),
            Part::Website => draft.website(cell),
            Part::Account => draft.account(cell),
            Part::Uscc => draft.identifier("uscc", cell),
            Part::Identifier(scheme) => draft.identifier(scheme, cell),
            Part::Postcode => postcode = cell,
            Part::Region(part) => place[*part] = cell,
            Part::Address if text.is_empty() => text = cell,
            Part::Address => {
                if joined.is_empty() {
                    joined.push_str(text);
                }
                joined.push(' ');
                joined.push_str(cell);
            }
            Part::Nothing => {}
        }
    }
    if !joined.is_empty() {
        text = &joined;
    }
    if !(text.is_empty() && postcode.is_empty() && place.iter().all(|p| p.is_empty())) {
        let [province, city, district, _] = place;
        let region = *regions
            .entry([province, city, district])
            .or_insert_with(|| address::region_of(province, city, district));
        draft.address(region, text);
    }
    draft.finish(rules, &mut Hashes(hashes))
}

/// One row as it is compared, its values with one of these generic keys marked.
pub(super) fn record(table: &Table, row: usize, rules: &RuleSet, generic: &[u64]) -> Standardized {
    let mut hashes = Vec::new();
    let mut record = one(
        table,
        row,
        &parts(table),
        rules,
        &mut Regions::default(),
        &mut hashes,
    );
    record.mark_generic(|k| {
        let hash = hashes.get(usize::from(k));
        hash.is_some_and(|h| generic.binary_search(h).is_ok())
    });
    record
}

fn standardized(table: &Table, rows: std::ops::Range<usize>, rules: &RuleSet) -> Piece {
    let mut piece = Piece {
        records: Vec::with_capacity(rows.len()),
        hashes: Vec::with_capacity(rows.len() * 12),
        ends: Vec::with_capacity(rows.len()),
        cores: Vec::with_capacity(rows.len()),
        places: Vec::with_capacity(rows.len()),
    };
    let parts = parts(table);
    let mut regions = Regions::default();
    let mut hashes = Vec::with_capacity(crate::MAX_KEYS);
    for row in rows {
        hashes.clear();
        let record = one(table, row, &parts, rules, &mut regions, &mut hashes);
        piece.hashes.extend_from_slice(&hashes);
        piece.ends.push(piece.hashes.len() as u32);
        let core = record
            .core()
            .map_or(0, |c| parallel::hash(1, c.as_bytes()) | 1);
        piece.cores.push(core);
        let source = &table.sources[table.source_of(row) as usize];
        piece.places.push(place_of(source, table.key(row)));
        piece.records.push(record);
    }
    piece.hashes.shrink_to_fit();
    piece
}

/// Resolves a table by a rule set for organizations and its thresholds.
pub fn resolve(
    table: &Table,
    rules: &RuleSet,
    options: &Options<'_>,
    progress: &Progress<'_>,
) -> Outcome {
    let (rows, threads) = (table.len(), options.threads);
    let span = |i: usize| i * PIECE..((i + 1) * PIECE).min(rows);
    let count = rows.div_ceil(PIECE);
    let tell = |phase: Phase| move |done: u64, of: u64| progress(phase, done, of);
    let standardizing = tell(Phase::Standardize);
    let tally = Tally::new(rows as u64, &standardizing);
    let mut pieces = parallel::map(threads, count, |i| {
        let piece = standardized(table, span(i), rules);
        tally.add(piece.records.len() as u64);
        piece
    });
    let blocks = tell(Phase::Block);
    let tally = Tally::new(rows as u64, &blocks);
    let (mut pairs, generic, blocking) = block(&pieces, rules, threads, &tally);
    mark(&mut pieces, &generic, threads);
    let generic_keys = if options.survey {
        let mut keys: Vec<u64> = generic.iter().map(|g| g.1).collect();
        parallel::sort(threads, &mut keys);
        keys.dedup();
        keys
    } else {
        Vec::new()
    };
    drop(generic);
    let comparing = tell(Phase::Compare);
    let tally = Tally::new(blocking.pairs, &comparing);
    let record = |r: u32| &pieces[r as usize / PIECE].records[r as usize % PIECE];
    let sketches: Vec<Vec<Sketch>> = parallel::map(threads, count, |i| {
        pieces[i].records.iter().map(Sketch::of).collect()
    });
    let sketch = |r: u32| &sketches[r as usize / PIECE][r as usize % PIECE];
    let weights = Weights::new(rules);
    let least = rules.thresholds.review;
    let of_pair = |a: u32, b: u32| score(record(a), record(b), &NothingGeneric, rules);
    let survey = options
        .survey
        .then(|| survey::survey(table, &pairs, least, &of_pair, threads));
    let known = options.truth.map(|truth| {
        survey::known(
            &truth[..rows.min(truth.len())],
            &pairs,
            blocks::PART,
            threads,
        )
    });
    let scored: Vec<Scored> = parallel::map_mut(threads, &mut pairs, |pairs| {
        let mut out = Vec::new();
        let pairs = std::mem::take(pairs);
        for some in pairs.chunks(TOGETHER) {
            let touched = some.iter().map(|p| sketch(blocks::unpack(*p).1).touch());
            std::hint::black_box(touched.fold(0, |all, t| all ^ t));
            for (a, b) in some.iter().map(|p| blocks::unpack(*p)) {
                // Most pairs are far from the threshold, as little of them tells.
                if weights.most(sketch(a), sketch(b)) < least {
                    continue;
                }
                let score = of_pair(a, b);
                if score >= least {
                    out.push(Scored { a, b, score });
                }
            }
        }
        tally.add(pairs.len() as u64);
        out
    })
    .concat();
    drop((pairs, sketches));
    let clustering = tell(Phase::Cluster);
    let tally = Tally::new(scored.len() as u64, &clustering);
    let mut balance = rules.clone();
    balance.thresholds.merge = rules.thresholds.review;
    let [heads, merged] = components(table, &scored, [&balance, rules], threads, &record, &tally);
    // Only rows that may be reviewed need a rank; others never meet.
    let mut open = parallel::flat(threads, scored.len(), PIECE, |range| {
        let open = |p: &&Scored| merged[p.a as usize] != merged[p.b as usize];
        let pairs = scored[range].iter().filter(open);
        pairs.flat_map(|p| [p.a, p.b]).collect()
    });
    parallel::sort(threads, &mut open);
    open.dedup();
    let ranks = table.ranks_of(open, threads);
    let reviews = group::reviews(&scored, &merged, least, &ranks, threads);
    drop(ranks);
    if options.last {
        std::mem::forget(pieces);
    } else {
        // Millions of small texts: one thread would take its time.
        parallel::map_mut(threads, &mut pieces, |p| p.records = Vec::new());
    }
    Outcome {
        heads: match options.at {
            At::Balance => heads,
            At::Merge => merged.clone(),
        },
        merged,
        reviews,
        candidates: blocking.pairs,
        blocking,
        scored,
        survey,
        known,
        generic: generic_keys,
        rules: Some(rules.clone()),
        ..Outcome::default()
    }
}

/// What one group of keys gives.
struct Found {
    pairs: Pairs,
    /// Rows with their generic keys.
    generic: Vec<(u32, u64)>,
    report: BlockingReport,
}

/// Pairs that share a key which is not generic, in lists, rows with their generic keys, and a
/// report.
fn block(
    pieces: &[Piece],
    rules: &RuleSet,
    threads: usize,
    tally: &Tally<'_>,
) -> (Vec<Vec<u64>>, Vec<(u32, u64)>, BlockingReport) {
    let rows = pieces.iter().map(|p| p.records.len()).sum();
    let none = || Found {
        pairs: Pairs::new(rows),
        generic: Vec::new(),
        report: BlockingReport::default(),
    };
    let entries = |p: usize| {
        let each = (0..pieces[p].records.len()).map(move |i| (p, i));
        each.flat_map(|(p, i)| {
            let row = (p * PIECE + i) as u32;
            pieces[p].keys(i).iter().map(move |h| (*h, row))
        })
    };
    let told = (tally, rows as u64);
    let found = blocks::by_key(
        threads,
        pieces.len(),
        told,
        entries,
        none,
        |out, key, block| {
            let Some(rule) = rules.keys.get((key & RULE) as usize) else {
                return;
            };
            out.report.block(block.len());
            if block.len() <= rule.max_records.min(rule.max_cores) {
                // Open whatever the cores are.
                out.pairs.every_two(block, &|_, _| true);
                return;
            }
            let mut members: Vec<Holder> = Vec::with_capacity(block.len());
            members.extend(block.iter().map(|row| {
                let (piece, i) = (&pieces[*row as usize / PIECE], *row as usize % PIECE);
                Holder {
                    core: piece.cores[i],
                    place: piece.places[i],
                    id: u64::from(*row),
                }
            }));
            let pairs = &mut out.pairs;
            let state = pairs_of(rule, &mut members, |a, b| pairs.push(a as u32, b as u32));
            match state {
                BlockState::Open => {}
                BlockState::Crowded => out.report.refined += 1,
                BlockState::Generic => {
                    out.report.generic += 1;
                    out.generic.extend(block.iter().map(|row| (*row, key)));
                }
            }
        },
    );
    let (mut pairs, mut generic) = (Vec::with_capacity(found.len()), Vec::new());
    let mut report = BlockingReport::default();
    for mut f in found {
        report.add(&f.report);
        generic.append(&mut f.generic);
        pairs.push(f.pairs);
    }
    let pairs = blocks::distinct(threads, pairs);
    report.pairs = pairs.iter().map(|p| p.len() as u64).sum();
    generic.sort_unstable();
    (pairs, generic, report)
}

/// Marks the values whose keys are generic, and lets go of what blocking alone needs.
fn mark(pieces: &mut [Piece], generic: &[(u32, u64)], threads: usize) {
    let mut rest = generic;
    let mut work = Vec::with_capacity(pieces.len());
    for (i, piece) in pieces.iter_mut().enumerate() {
        let end = ((i + 1) * PIECE) as u64;
        let (mine, later) = rest.split_at(rest.partition_point(|g| u64::from(g.0) < end));
        rest = later;
        work.push((piece, mine));
    }
    parallel::map_mut(threads, &mut work, |(piece, generic)| {
        for of_row in generic.chunk_by(|a, b| a.0 == b.0) {
            let row = of_row[0].0 as usize % PIECE;
            let from = if row == 0 { 0 } else { piece.ends[row - 1] };
            let hashes = &piece.hashes[from as usize..piece.ends[row] as usize];
            piece.records[row].mark_generic(|k| {
                hashes
                    .get(usize::from(k))
                    .is_some_and(|h| of_row.iter().any(|g| g.1 == *h))
            });
        }
        piece.hashes = Vec::new();
        piece.ends = Vec::new();
        piece.cores = Vec::new();
        piece.places = Vec::new();
    });
}
