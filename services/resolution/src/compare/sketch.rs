//! What of an organization bounds its scores, in some two hundred bytes.

use jinke_types::PartyKind;

use crate::{
    batch::parallel::{mix, quick},
    standardize::{
        GENERIC, Identifier, Keyed, Standardized,
        address::Address,
        contact::PhoneKind,
        identifier,
        org_name::{Branch, OrgName},
        org_print::short,
        region::Region,
    },
};

/// Longest name core that is told: of longer ones the distance is taken of a part.
const LONGEST: usize = 64;

/// A value told by its hash, 0 when there is none, and by how often each of sixteen kinds of
/// letters is in it, four bits each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    pub(super) hash: u32,
    /// What else must hold for a value nearby.
    pub(super) may_be_near: bool,
    pub(super) letters: u64,
}

fn hash_of(text: &str) -> u32 {
    if text.is_empty() {
        0
    } else {
        short(quick(0, text.as_bytes()))
    }
}

fn letters_of(text: &str) -> u64 {
    let mut counts = [0_u8; 16];
    for c in text.chars() {
        let of = &mut counts[u32::from(c) as usize % 16];
        *of = (*of + 1).min(15);
    }
    counts.iter().fold(0, |all, n| all << 4 | u64::from(*n))
}

/// How far the bytes of two numbers are from each other, all together; each is below 128.
const fn bytes_apart(x: u64, y: u64) -> u32 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Each byte is 128 and what x has more, so that nothing is borrowed from its neighbour.
    let more = (x | HIGH) - y;
    let is_more = ((more & HIGH) >> 7) * 0xff;
    let less = HIGH - (more & !HIGH);
    let apart = (more & !HIGH & is_more) | (less & !is_more);
    (apart.wrapping_mul(0x0101_0101_0101_0101) >> 56) as u32
}

impl Mark {
    fn new(text: &str, may_be_near: bool) -> Self {
        Self {
            hash: hash_of(text),
            may_be_near,
            letters: letters_of(text),
        }
    }
    pub(super) fn is_there(self) -> bool {
        self.hash != 0
    }
    pub(super) fn may_equal(self, other: Self) -> bool {
        self.hash == other.hash
    }
    /// Whether both may be so many slips apart: one slip moves two counts by one at most.
    pub(super) fn within(self, other: Self, slips: u32) -> bool {
        if !(self.may_be_near && other.may_be_near) {
            return false;
        }
        let half = |shift: u32| {
            let of = |letters: u64| (letters >> shift) & 0x0f0f_0f0f_0f0f_0f0f;
            bytes_apart(of(self.letters), of(other.letters))
        };
        let apart = half(0) + half(4);
        apart <= 2 * slips
    }
}

/// A name, as far as its level can be told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Name {
    pub(super) letters: u64,
    pub(super) brand_letters: u64,
    pub(super) full: u32,
    pub(super) core: u32,
    pub(super) sound: u32,
    /// The first four letters of the sound.
    pub(super) sounds_first: u32,
    pub(super) brand: u32,
    pub(super) brand_sound: u32,
    pub(super) head: u32,
    pub(super) rarity: i32,
    pub(super) long: u8,
    pub(super) brand_long: u8,
    pub(super) latin: bool,
    /// 0 unknown, 1 head, 2 a branch.
    pub(super) branch: u8,
    /// First letter of the branch.
    pub(super) branch_first: char,
}

impl Name {
    fn of(n: &OrgName) -> Self {
        let p = &n.print;
        let bit = |c: &char| 1_u64 << (mix(u64::from(*c)) % 64);
        let first = n.sound.as_bytes();
        let mut sounds_first = [0; 4];
        if let Some(four) = first.get(..4) {
            sounds_first.copy_from_slice(four);
        }
        let (branch, branch_first) = match &n.branch {
            Branch::Unknown => (0, '\0'),
            Branch::Head => (1, '\0'),
            Branch::Of(which) => (2, which.chars().next().unwrap_or('\0')),
        };
        Self {
            letters: p.letters,
            brand_letters: n.brand_chars().iter().fold(0, |m, c| m | bit(c)),
            full: p.full,
            core: p.core,
            sound: p.sound,
            sounds_first: u32::from_le_bytes(sounds_first),
            brand: p.brand,
            brand_sound: p.brand_sound,
            head: short(mix(u64::from(p.head[0]) << 32 | u64::from(p.head[1]))),
            rarity: n.rarity,
            long: n.core.len().min(LONGEST) as u8,
            brand_long: n.brand_len().min(LONGEST) as u8,
            latin: n.latin,
            branch,
            branch_first,
        }
    }
}

/// An address, as far as its level can be told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) region: Region,
    /// Hash of the number, 0 when there is none.
    pub(super) number: u32,
    /// Hash of the last three letters of the street, 0 when there is none.
    pub(super) tail: u32,
}

impl Place {
    fn of(a: &Address) -> Self {
        let tail = &a.street[a.street.len().saturating_sub(3)..];
        let tail = if tail.is_empty() {
            0
        } else {
            short(tail.iter().fold(1, |h, c| mix(h ^ u64::from(*c))))
        };
        Self {
            region: a.region,
            number: hash_of(&a.number),
            tail,
        }
    }
}

/// What of an organization bounds its scores.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sketch {
    /// Whether the rest tells all: at most one value of each kind, no other identifiers.
    pub(super) plain: bool,
    pub(super) named: bool,
    pub(super) placed: bool,
    pub(super) uscc_valid: bool,
    pub(super) name: Name,
    pub(super) uscc: Mark,
    pub(super) phone: Mark,
    pub(super) email: Mark,
    pub(super) account: Mark,
    pub(super) domains: [u32; 2],
    pub(super) person: Mark,
    /// Whether the contact is there, and hashes of surname and full name.
    pub(super) contact: (bool, u32, u32),
    pub(super) regions: ([Region; 3], u8),
    pub(super) place: Place,
}

fn specific<T>(list: &[Keyed<T>]) -> impl Iterator<Item = &T> {
    let kept = list.iter().filter(|v| v.key != Some(GENERIC));
    kept.map(|v| &v.value)
}

impl Sketch {
    /// The sketch of a record whose generic values are marked.
    pub(crate) fn of(r: &Standardized) -> Self {
        let mut out = Self::default();
        let uscc =
            |i: &Identifier| i.scheme == identifier::USCC && i.from.is_none() && i.to.is_none();
        out.plain = r.kind == PartyKind::Organization
            && r.names.len() <= 1
            && r.people.len() <= 1
            && r.identifiers.len() <= 1
            && r.identifiers().all(uscc)
            && r.phones.len() <= 1
            && r.emails.len() <= 1
            && r.domains.len() <= 2
            && r.accounts.len() <= 1
            && r.addresses.len() <= 1
            && r.regions.len() <= 3
            && r.names.iter().all(|n| n.core.len() <= LONGEST);
        if !out.plain {
            return out;
        }
        if let Some(n) = r.names.first() {
            out.named = true;
            out.name = Name::of(n);
        }
        if let Some(i) = specific(&r.identifiers).next() {
            out.uscc = Mark::new(&i.text, true);
            out.uscc_valid = i.valid;
        }
        if let Some(p) = specific(&r.phones).next() {
            out.phone = Mark::new(&p.number, p.kind == PhoneKind::Mobile);
        }
        if let Some(e) = specific(&r.emails).next() {
            out.email = Mark::new(&e.text, !e.role);
        }
        if let Some(a) = specific(&r.accounts).next() {
            out.account = Mark::new(a, true);
        }
        for (place, d) in out.domains.iter_mut().zip(specific(&r.domains)) {
            *place = hash_of(d);
        }
        if let Some(p) = r.people.first() {
            out.person = Mark::new(&p.sound, true);
            out.contact = (true, hash_of(&p.surname), hash_of(&p.full));
        }
        for (place, region) in out.regions.0.iter_mut().zip(&r.regions) {
            *place = *region;
        }
        out.regions.1 = r.regions.len() as u8;
        if let Some(a) = r.addresses.first() {
            out.placed = true;
            out.place = Place::of(a);
        }
        out
    }

    /// Reads a little of each part: those of many records, asked for one right after the other,
    /// come from memory together, where each would be waited for when it is compared.
    pub(crate) fn touch(&self) -> u32 {
        self.name.full ^ self.uscc.hash ^ self.account.hash ^ self.place.tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_apart_by_their_differences() {
        assert_eq!(bytes_apart(0x0f00_0102, 0x000f_0201), 15 + 15 + 1 + 1);
        assert_eq!(bytes_apart(0x0f0f_0f0f_0f0f_0f0f, 0), 120);
        assert_eq!(bytes_apart(7, 7), 0);
    }
}
