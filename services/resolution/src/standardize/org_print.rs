//! Telling names of organizations apart by hashes first.

use super::{org_name::OrgName, text::edit_distance};
use crate::batch::parallel::{mix, quick};

/// 32 bits of a hash, never 0.
pub(crate) const fn short(h: u64) -> u32 {
    (h >> 32) as u32 | 1
}

/// Hashes of the parts of a name, never 0: names whose hashes differ differ, so that most pairs are told
/// apart without reading their texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Print {
    pub(crate) full: u32,
    pub(crate) core: u32,
    pub(crate) sound: u32,
    pub(crate) brand: u32,
    pub(crate) brand_sound: u32,
    /// One bit for each character of the core.
    pub(crate) letters: u64,
    /// The first two characters of the core.
    pub(crate) head: [char; 2],
}

impl Print {
    fn of(n: &OrgName) -> Self {
        let chars = |list: &[char]| {
            let h = mix(list.len() as u64);
            short(list.iter().fold(h, |h, c| mix(h ^ u64::from(*c))))
        };
        let bit = |c: &char| 1 << (mix(u64::from(*c)) % 64);
        Self {
            full: short(quick(0, n.full.as_bytes())),
            core: chars(&n.core),
            sound: short(quick(0, n.sound.as_bytes())),
            brand: chars(n.brand_chars()),
            brand_sound: short(quick(0, n.brand_sound().as_bytes())),
            letters: n.core.iter().fold(0, |m, c| m | bit(c)),
            head: [0, 1].map(|i| n.core.get(i).copied().unwrap_or_default()),
        }
    }
}

impl OrgName {
    pub(super) fn printed(mut self) -> Option<Self> {
        self.print = Print::of(&self);
        Some(self)
    }
    pub(crate) fn same_full(&self, other: &Self) -> bool {
        self.print.full == other.print.full && self.full == other.full
    }
    pub(crate) fn same_core(&self, other: &Self) -> bool {
        self.print.core == other.print.core && self.core == other.core
    }
    pub(crate) fn same_sound(&self, other: &Self) -> bool {
        self.print.sound == other.print.sound && self.sound == other.sound
    }
    pub(crate) fn same_brand(&self, other: &Self) -> bool {
        self.print.brand == other.print.brand && self.brand_chars() == other.brand_chars()
    }
    pub(crate) fn same_brand_sound(&self, other: &Self) -> bool {
        self.print.brand_sound == other.print.brand_sound
            && self.brand_sound() == other.brand_sound()
    }
    /// Whether the first two characters of both cores are the same; both have two.
    pub(crate) fn same_head(&self, other: &Self) -> bool {
        self.print.head == other.print.head
    }
    /// Whether two Chinese names have brands without a character in common.
    pub(crate) fn shares_no_brand(&self, other: &Self) -> bool {
        let (x, y) = (self.brand_chars(), other.brand_chars());
        !self.latin
            && !other.latin
            && x.len() >= 2
            && y.len() >= 2
            && !x.iter().any(|c| other.core.contains(c))
            && !y.iter().any(|c| self.core.contains(c))
    }
    /// Whether `longer` begins with this core.
    pub(crate) fn begins(&self, longer: &Self) -> bool {
        self.print.letters & !longer.print.letters == 0 && longer.core.starts_with(&self.core)
    }
    /// Whether the cores are at most `max` edits apart.
    pub(crate) fn within(&self, other: &Self, max: usize) -> bool {
        // One edit changes two bits at most.
        let differ = (self.print.letters ^ other.print.letters).count_ones() as usize;
        differ <= 2 * max && edit_distance(&self.core, &other.core, max).is_some()
    }
}
