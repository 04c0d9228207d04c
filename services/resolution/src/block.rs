//! Blocking keys: the cheap conditions that make two records a candidate pair.
//!
//! A key is also the question "is this value generic?": every exact value that a
//! comparison counts as evidence (a phone, an email, a USCC…) has its key here.

use std::collections::{BTreeSet, HashSet};

use jinke_types::RecordKey;

use crate::batch::parallel;

/// Most keys one record can have. Keys of exact values come first and always fit, because
/// [`mod@crate::standardize`] keeps at most 20 such values; derived name keys fill the rest.
pub const MAX_KEYS: usize = 36;

/// One blocking key of a record.
///
/// `text` is complete by itself: it begins with the party kind and the rule's name, so that
/// hashing `text` alone never confuses two rules or two kinds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Index into [`crate::RuleSet::keys`] of the rule set the record was standardized with.
    pub rule: u8,
    /// `organization/phone/13812345678` and the like; at most 200 characters.
    pub text: String,
}

/// How one kind of key blocks, and when a value of it is generic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRule {
    /// Name of the key, e.g. `phone`.
    pub name: String,
    /// Up to so many records of a block every two are compared; beyond, it is crowded.
    pub max_records: usize,
    /// A block with more distinct name cores than this is generic.
    pub max_cores: usize,
}

/// What a block is, by the records now in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockState {
    /// Every two records are compared.
    Open,
    /// Too many records of few cores, such as a customer who is there a thousand times: the
    /// value is evidence, and the records meet at [`HUBS`].
    Crowded,
    /// Too many cores, such as a switchboard: the value is no evidence, and only records of one
    /// core meet.
    Generic,
}

/// How many records of a crowded core every other one of it is compared with.
pub const HUBS: usize = 8;

impl KeyRule {
    /// What a block of `records` records with `distinct_cores` distinct name cores (see
    /// [`crate::Standardized::core`]; records without one are not counted among the cores) is.
    /// A pure function of the records now present, without hysteresis. However many records
    /// there are of few cores, they are never generic.
    pub const fn state(&self, records: usize, distinct_cores: usize) -> BlockState {
        if distinct_cores > self.max_cores {
            BlockState::Generic
        } else if records > self.max_records {
            BlockState::Crowded
        } else {
            BlockState::Open
        }
    }

    /// Whether a caller that looks at small blocks only leaves this one out.
    pub const fn is_generic(&self, records: usize, distinct_cores: usize) -> bool {
        records > self.max_records || distinct_cores > self.max_cores
    }
}

/// A record that holds a key, as [`pairs_of`] sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// A number for its name core, equal for equal cores; 0 when it has none.
    pub core: u64,
    /// Its [`place`].
    pub place: u64,
    /// The record, as the caller numbers it.
    pub id: u64,
}

/// The place of a record in its blocks: by it hubs are chosen. A hash of the record's name, so
/// that neither arrival nor content decides, below 2^63 so that databases hold it.
pub fn place(key: &RecordKey) -> u64 {
    place_of(&key.source, &key.external_id)
}

pub(crate) fn place_of(source: &str, id: &str) -> u64 {
    parallel::hash(parallel::hash(1, source.as_bytes()), id.as_bytes()) >> 1
}

/// The candidate pairs that one block gives, and what the block is. `members` are put in order;
/// a pair may be given twice.
///
/// * An open block: every two.
/// * Else records of one core are a block of their own: up to `max_records` of them every two
///   meet, of more each one meets the [`HUBS`] with the smallest places.
/// * In a crowded block the first [`HUBS`] of every core meet each other as well, so that the
///   spellings of one party's name find together.
///
/// So a block of n records costs at most about `n * max(HUBS, max_records / 2)` pairs.
///
/// # The same incrementally
///
/// Which pairs a record has under a key follows from a few short look-ups by (key, core, place):
/// the first `max_records + 1` records of its core, the first [`HUBS`] of each core while there
/// are at most `max_cores`, and whether the block holds more than `max_records`. A change of one
/// record moves pairs of others only
///
/// 1. when the block crosses `max_cores` (its value begins or ceases to be evidence: all its
///    records are compared anew),
/// 2. when the block, or the part of one core, crosses `max_records` (pairs of at most
///    `max_records + 1` records come or go),
/// 3. when it becomes or ceases to be one of the first [`HUBS`] of a crowded core: the record
///    that takes its place or gives way meets, or leaves, all records of the core. That
///    happens to [`HUBS`] in n records, so n comparisons cost a constant on average.
///
/// A pair is gone when none of the keys both records hold gives it any more; [`meets`] answers
/// that for one key.
pub fn pairs_of(
    rule: &KeyRule,
    members: &mut [Holder],
    mut pair: impl FnMut(u64, u64),
) -> BlockState {
    members.sort_unstable();
    let mut cores = 0;
    for part in members.chunk_by(|a, b| a.core == b.core) {
        cores += usize::from(part[0].core != 0);
    }
    let state = rule.state(members.len(), cores);
    let every_two = |list: &[Holder], pair: &mut dyn FnMut(u64, u64)| {
        for (i, a) in list.iter().enumerate() {
            for b in &list[i + 1..] {
                pair(a.id, b.id);
            }
        }
    };
    if state == BlockState::Open {
        every_two(members, &mut pair);
        return state;
    }
    let mut heads: Vec<Holder> = Vec::new();
    for part in members.chunk_by(|a, b| a.core == b.core) {
        let hubs = &part[..part.len().min(HUBS)];
        if part.len() <= rule.max_records {
            every_two(part, &mut pair);
        } else {
            for (i, hub) in hubs.iter().enumerate() {
                for other in &part[i + 1..] {
                    pair(hub.id, other.id);
                }
            }
        }
        if state == BlockState::Crowded {
            heads.extend(hubs);
        }
    }
    every_two(&heads, &mut pair);
    state
}

/// Where a record stands in one block: what [`meets`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the block is.
    pub state: BlockState,
    /// The record's core, as in [`Holder`].
    pub core: u64,
    /// Whether more than `max_records` records of the block have this core.
    pub crowded_core: bool,
    /// Whether it is among the first [`HUBS`] of its core by (place, id).
    pub hub: bool,
}

/// Whether two records of one block are a candidate pair by it. Agrees with [`pairs_of`].
pub const fn meets(a: Standing, b: Standing) -> bool {
    match a.state {
        BlockState::Open => true,
        _ if a.core == b.core => !a.crowded_core || a.hub || b.hub,
        BlockState::Crowded => a.hub && b.hub,
        BlockState::Generic => false,
    }
}

/// Answers whether a key is generic among the records now present.
pub trait Generic {
    /// Whether the value behind `key` is generic.
    fn is_generic(&self, key: &Key) -> bool;
}

/// Nothing is generic: for comparing two records outside any population.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingGeneric;

impl Generic for NothingGeneric {
    fn is_generic(&self, _: &Key) -> bool {
        false
    }
}

impl Generic for BTreeSet<Key> {
    fn is_generic(&self, key: &Key) -> bool {
        self.contains(key)
    }
}

impl<S: std::hash::BuildHasher> Generic for HashSet<Key, S> {
    fn is_generic(&self, key: &Key) -> bool {
        self.contains(key)
    }
}
