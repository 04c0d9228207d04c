//! What two organizations can score at most, told from some bytes of each.
//!
//! Most candidate pairs of a large table are far from the threshold. A [`Sketch`] of a record is
//! small and stands beside those of its neighbours, where the record itself is spread over the
//! memory: hashes for what must be equal, one bit a letter and counts of letters for what may be
//! some slips apart. [`Weights::most`] never says less than [`crate::score`], so that a pair it
//! rejects need not be compared.

use jinke_types::PartyKind;

use super::organization::name;
use crate::{
    batch::parallel::{hash, mix},
    rules::RuleSet,
    standardize::{
        GENERIC, Identifier, Keyed, Standardized,
        address::Address,
        contact::PhoneKind,
        identifier,
        org_name::{Branch, OrgName},
        region::{Region, Relation},
    },
};

/// Longest name core that is told: of longer ones the distance is taken of a part.
const LONGEST: usize = 64;

/// A value told by its hash, 0 when there is none, and by how often each of sixteen kinds of
/// letters is in it, four bits each.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    hash: u32,
    /// What else must hold for a value nearby.
    may_be_near: bool,
    letters: u64,
}

/// 32 bits of a hash, never 0.
fn short(h: u64) -> u32 {
    (h >> 32) as u32 | 1
}

fn hash_of(text: &str) -> u32 {
    if text.is_empty() {
        0
    } else {
        short(hash(0, text.as_bytes()))
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

impl Mark {
    fn new(text: &str, may_be_near: bool) -> Self {
        Self {
            hash: hash_of(text),
            may_be_near,
            letters: letters_of(text),
        }
    }
    fn is_there(self) -> bool {
        self.hash != 0
    }
    fn may_equal(self, other: Self) -> bool {
        self.hash == other.hash
    }
    /// Whether both may be so many slips apart: one slip moves two counts by one at most.
    fn within(self, other: Self, slips: u32) -> bool {
        if !(self.may_be_near && other.may_be_near) {
            return false;
        }
        let (mut x, mut y, mut apart) = (self.letters, other.letters, 0);
        while x != y {
            apart += (x & 15).abs_diff(y & 15) as u32;
            (x, y) = (x >> 4, y >> 4);
        }
        apart <= 2 * slips
    }
}

/// A name, as far as its level can be told.
#[derive(Clone, Copy, Debug, Default)]
struct Name {
    letters: u64,
    brand_letters: u64,
    full: u32,
    core: u32,
    sound: u32,
    /// The first four letters of the sound.
    sounds_first: u32,
    brand: u32,
    brand_sound: u32,
    head: u32,
    rarity: i32,
    long: u8,
    brand_long: u8,
    latin: bool,
    /// 0 unknown, 1 head, 2 a branch.
    branch: u8,
    /// First letter of the branch.
    branch_first: char,
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
            full: short(p.full),
            core: short(p.core),
            sound: short(p.sound),
            sounds_first: u32::from_le_bytes(sounds_first),
            brand: short(p.brand),
            brand_sound: short(p.brand_sound),
            head: short(mix(u64::from(p.head[0]) << 32 | u64::from(p.head[1]))),
            rarity: n.rarity,
            long: n.core.len().min(LONGEST) as u8,
            brand_long: n.brand.min(LONGEST) as u8,
            latin: n.latin,
            branch,
            branch_first,
        }
    }
}

/// An address, as far as its level can be told.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    region: Region,
    /// Hash of the number, 0 when there is none.
    number: u32,
    /// Hash of the last three letters of the street, 0 when there is none.
    tail: u32,
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
    plain: bool,
    named: bool,
    placed: bool,
    uscc_valid: bool,
    name: Name,
    uscc: Mark,
    phone: Mark,
    email: Mark,
    account: Mark,
    domains: [u32; 2],
    person: Mark,
    /// Whether the contact is there, and hashes of surname and full name.
    contact: (bool, u32, u32),
    regions: ([Region; 3], u8),
    place: Place,
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
}

/// The weights of a rule set for organizations by comparison and level.
pub(crate) struct Weights {
    of: [[i32; LEVELS]; super::MAX],
}

/// Most levels of a comparison.
const LEVELS: usize = 12;

/// The largest of some weights.
fn largest<const N: usize>(of: &[i32; LEVELS], levels: [usize; N]) -> i32 {
    levels.iter().map(|l| of[*l]).max().unwrap_or(0)
}

impl Weights {
    pub(crate) fn new(rules: &RuleSet) -> Self {
        let mut of = [[0; LEVELS]; super::MAX];
        for (list, c) in of.iter_mut().zip(&rules.comparisons) {
            for (w, l) in list.iter_mut().zip(&c.levels) {
                *w = l.weight;
            }
        }
        Self { of }
    }

    /// No score of the two records is above this.
    pub(crate) fn most(&self, a: &Sketch, b: &Sketch) -> i32 {
        if !(a.plain && b.plain) {
            return i32::MAX;
        }
        let [close, far] = self.name(a, b);
        let both = self.region(a, b) + self.branch(a, b);
        let rest = |other: usize| {
            self.uscc(a, b, other)
                + self.exact(5, (a.phone, b.phone), other)
                + self.exact(6, (a.email, b.email), other)
                + self.domain(a, b, other)
                + self.exact(8, (a.account, b.account), other)
                + self.contact(a, b, other)
                + self.address(a, b, other)
        };
        let close = close.map_or(i32::MIN, |w| w + rest(0));
        let far = far.map_or(i32::MIN, |w| w + rest(1));
        // The fourth comparison is of identifiers that a plain record does not have.
        close.max(far) + both + self.of[4][0]
    }

    /// The most that names can weigh while they share more than a brand, and while they do not.
    fn name(&self, a: &Sketch, b: &Sketch) -> [Option<i32>; 2] {
        let of = |level: u8| self.of[0][usize::from(level)];
        if !(a.named && b.named) {
            return [Some(of(name::NULL)), None];
        }
        let (x, y) = (&a.name, &b.name);
        let mut close: Option<i32> = None;
        let mut may = |weight: i32| close = Some(close.map_or(weight, |w| w.max(weight)));
        let rarity = x.rarity.min(y.rarity);
        if x.full == y.full {
            may(of(name::EXACT) + rarity);
        }
        if x.core == y.core {
            may(of(name::CORE) + rarity);
        }
        if x.latin != y.latin {
            if x.sounds_first == y.sounds_first && x.sounds_first != 0 {
                may(of(name::CROSS));
            }
            return [close, Some(of(name::ELSE))];
        }
        if !x.latin && x.long == y.long && x.sound == y.sound {
            may(of(name::SOUND) + rarity);
        }
        let (short, long) = if x.long <= y.long { (x, y) } else { (y, x) };
        let least = if x.latin { 4 } else { 2 };
        let same_head = x.head == y.head;
        if short.long >= least && same_head && short.letters & !long.letters == 0 {
            may(of(name::PREFIX) + x.rarity.max(y.rarity));
        }
        let differ = (x.letters ^ y.letters).count_ones();
        let within = |slips: u8| long.long - short.long <= slips && differ <= 2 * u32::from(slips);
        if short.long >= 4 && within(if long.long >= 8 { 2 } else { 1 }) {
            may(of(name::TYPO));
        }
        let mut far = of(name::DIFFERENT);
        let disjoint = !x.latin
            && x.brand_long >= 2
            && y.brand_long >= 2
            && x.brand_letters & y.letters == 0
            && y.brand_letters & x.letters == 0;
        if !disjoint {
            far = far.max(of(name::ELSE));
        }
        if x.brand == y.brand {
            far = far.max(of(name::BRAND));
        }
        if short.long >= 3 && (same_head || x.brand_sound == y.brand_sound || within(long.long / 3))
        {
            far = far.max(of(name::SIMILAR));
        }
        [close, Some(far)]
    }

    fn region(&self, a: &Sketch, b: &Sketch) -> i32 {
        let list = |s: &Sketch| s.regions.1 as usize;
        let mut best = None;
        for x in &a.regions.0[..list(a)] {
            for y in &b.regions.0[..list(b)] {
                best = best.max(Some(x.relation(*y)));
            }
        }
        self.of[1][usize::from(super::organization::region_level(best))]
    }

    fn branch(&self, a: &Sketch, b: &Sketch) -> i32 {
        let of = &self.of[2];
        if !(a.named && b.named) {
            return of[0];
        }
        let first = |s: &Sketch| s.name.branch_first;
        match (a.name.branch, b.name.branch) {
            (2, 2) if first(a) == first(b) => largest(of, [2, 5]),
            (2, 2) if first(a) == '\0' || first(b) == '\0' => largest(of, [2, 5]),
            (2, 2) => of[5],
            (2, 1) | (1, 2) => of[4],
            (2, _) | (_, 2) => of[3],
            (1, 1) => of[1],
            _ => of[0],
        }
    }

    fn uscc(&self, a: &Sketch, b: &Sketch, other: usize) -> i32 {
        let of = &self.of[3];
        if !(a.uscc.is_there() && b.uscc.is_there()) {
            return of[0];
        }
        let valid = a.uscc_valid && b.uscc_valid;
        let differ = match valid {
            true => of[5],
            false if a.uscc.within(b.uscc, 2) => largest(of, [3, 4]),
            false => of[4],
        };
        if a.uscc.may_equal(b.uscc) {
            differ.max(of[1 + other])
        } else {
            differ
        }
    }

    /// A comparison with the levels null, equal, equal_other_name, near, else.
    fn exact(&self, comparison: usize, (x, y): (Mark, Mark), other: usize) -> i32 {
        let of = &self.of[comparison];
        if !(x.is_there() && y.is_there()) {
            return of[0];
        }
        let differ = if x.within(y, 1) {
            largest(of, [3, 4])
        } else {
            of[4]
        };
        if x.may_equal(y) {
            differ.max(of[1 + other])
        } else {
            differ
        }
    }

    fn domain(&self, a: &Sketch, b: &Sketch, other: usize) -> i32 {
        let of = &self.of[7];
        if a.domains[0] == 0 || b.domains[0] == 0 {
            return of[0];
        }
        let mine = a.domains.iter().filter(|d| **d != 0);
        let shared = mine.clone().any(|d| b.domains.contains(d));
        if shared {
            largest(of, [1 + other, 3])
        } else {
            of[3]
        }
    }

    fn contact(&self, a: &Sketch, b: &Sketch, other: usize) -> i32 {
        let of = &self.of[9];
        let ((there, surname, full), (also, its_surname, its_full)) = (a.contact, b.contact);
        if !(there && also) {
            return of[0];
        }
        let same_full = full != 0 && full == its_full;
        let same_sound = a.person.is_there() && a.person.may_equal(b.person);
        if same_full || same_sound {
            return largest(of, [1 + other, 3, 4, 5, 6]);
        }
        if surname == 0 || surname != its_surname {
            return of[6];
        }
        if full == 0 || its_full == 0 {
            return largest(of, [4, 6]);
        }
        if a.person.within(b.person, 1) {
            largest(of, [3, 5, 6])
        } else {
            largest(of, [5, 6])
        }
    }

    fn address(&self, a: &Sketch, b: &Sketch, other: usize) -> i32 {
        let of = &self.of[10];
        if !(a.placed && b.placed) {
            return of[0];
        }
        let (x, y) = (&a.place, &b.place);
        let relation = x.region.relation(y.region);
        let has_street = x.tail != 0 && y.tail != 0;
        let mut best = match (relation, x.region.district, y.region.district) {
            (Relation::Different, ..) => return of[5],
            (Relation::SameCity, Some(_), Some(_)) => of[6],
            _ if has_street => of[7],
            _ => of[0],
        };
        if has_street {
            if x.number != 0 && x.number == y.number {
                best = best.max(of[3]);
                if x.tail == y.tail {
                    best = best.max(of[1 + other]);
                }
            }
            if x.tail == y.tail {
                best = best.max(of[4]);
            }
        }
        best
    }
}
