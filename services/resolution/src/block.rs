//! Blocking keys: the cheap conditions that make two records a candidate pair.
//!
//! A key is also the question "is this value generic?": every exact value that a
//! comparison counts as evidence (a phone, an email, a USCC…) has its key here.

use std::collections::{BTreeSet, HashSet};

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
    /// A block of more records than this is generic.
    pub max_records: usize,
    /// A block with more distinct name cores than this is generic.
    pub max_cores: usize,
}

impl KeyRule {
    /// Whether a block that now holds `records` records with `distinct_cores` distinct name
    /// cores (see [`crate::Standardized::core`]) is generic: its key then neither blocks nor
    /// counts as evidence. A pure function of the records now present, without hysteresis.
    pub const fn is_generic(&self, records: usize, distinct_cores: usize) -> bool {
        records > self.max_records || distinct_cores > self.max_cores
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
