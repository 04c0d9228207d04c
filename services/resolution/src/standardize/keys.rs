//! Which blocking keys a standardized record has.

use jinke_types::PartyKind;
use smallvec::SmallVec;

use super::{Standardized, identifier, region::DIVISIONS};
use crate::{
    batch::parallel::quick,
    block::{Key, MAX_KEYS},
    rules::RuleSet,
};

/// Longest key text, in characters.
const MAX_TEXT: usize = 200;

/// The keys a rule set may name, per kind.
pub(crate) const ORGANIZATION: &[&str] = &[
    "uscc",
    "identifier",
    "phone",
    "email",
    "domain",
    "bank",
    "org_code",
    "core_region",
    "core",
    "prefix_region",
    "tail_region",
    "sound",
    "brand",
    "contact_prefix",
    "door_prefix",
];
/// See [`ORGANIZATION`].
pub(crate) const PERSON: &[&str] = &[
    "id_card",
    "identifier",
    "phone",
    "email",
    "bank",
    "name_employer",
    "name_birth",
    "name_region",
    "name",
];

/// A variant and a name for each key, in one order.
macro_rules! made {
    ($($variant:ident $name:literal)*) => {
        /// A key by what it is made of.
        #[derive(Clone, Copy, Debug)]
        enum Made {
            $($variant),*
        }

        /// The names of [`Made`], in its order.
        const NAMES: &[&str] = &[$($name),*];
    };
}

made! {
    Uscc "uscc"
    IdCard "id_card"
    Identifier "identifier"
    Phone "phone"
    Email "email"
    Domain "domain"
    Bank "bank"
    OrgCode "org_code"
    CoreRegion "core_region"
    Core "core"
    PrefixRegion "prefix_region"
    TailRegion "tail_region"
    Sound "sound"
    Brand "brand"
    ContactPrefix "contact_prefix"
    DoorPrefix "door_prefix"
    NameEmployer "name_employer"
    NameBirth "name_birth"
    NameRegion "name_region"
    Name "name"
}

/// Which of a rule set's keys are which, so that nobody looks for a name per record and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots([Option<u8>; NAMES.len()]);

impl Slots {
    /// `index` gives the place of a key among those of the rule set by its name.
    pub(crate) fn new(index: impl Fn(&str) -> Option<u8>) -> Self {
        let mut slots = [None; NAMES.len()];
        for (slot, name) in slots.iter_mut().zip(NAMES) {
            *slot = index(name);
        }
        Self(slots)
    }
}

/// Where keys go: whole, or as hashes in a batch.
pub(crate) trait Sink {
    /// Takes a key and returns its index among the record's keys; `None` when there are too many.
    /// A key that is there already keeps its index.
    fn add(&mut self, rules: &RuleSet, rule: u8, value: &str) -> Option<u8>;
}

impl Sink for Vec<Key> {
    fn add(&mut self, rules: &RuleSet, rule: u8, value: &str) -> Option<u8> {
        let kind = kind_name(rules.kind);
        let name = rules.keys.get(usize::from(rule))?.name.as_str();
        let mut text = String::with_capacity(kind.len() + name.len() + value.len() + 2);
        for part in [kind, "/", name, "/", value] {
            text.push_str(part);
        }
        // Few keys: looking through them costs less than a set.
        let found = self.iter().position(|k| k.rule == rule && k.text == text);
        if let Some(i) = found {
            return u8::try_from(i).ok();
        }
        if self.len() >= MAX_KEYS {
            return None;
        }
        self.push(Key { rule, text });
        u8::try_from(self.len() - 1).ok()
    }
}

/// Hashes of the keys of one record; the low [`RULE_BITS`] bits of each are its rule.
pub(crate) struct Hashes<'a>(pub(crate) &'a mut Vec<u64>);

/// A rule set has at most 64 keys.
pub(crate) const RULE_BITS: u32 = 6;

impl Sink for Hashes<'_> {
    fn add(&mut self, _: &RuleSet, rule: u8, value: &str) -> Option<u8> {
        let mask = (1 << RULE_BITS) - 1;
        let hash = quick(u64::from(rule), value.as_bytes()) & !mask | u64::from(rule) & mask;
        if let Some(i) = self.0.iter().position(|h| *h == hash) {
            return u8::try_from(i).ok();
        }
        if self.0.len() >= MAX_KEYS {
            return None;
        }
        self.0.push(hash);
        u8::try_from(self.0.len() - 1).ok()
    }
}

const fn kind_name(kind: PartyKind) -> &'static str {
    match kind {
        PartyKind::Organization => "organization",
        PartyKind::Person => "person",
    }
}

struct Keys<'a> {
    rules: &'a RuleSet,
    sink: &'a mut dyn Sink,
    value: String,
}

impl Keys<'_> {
    /// Adds a key of parts and returns its index; `None` when the rule set has no such key.
    fn add<'p>(&mut self, made: Made, parts: impl IntoIterator<Item = &'p str>) -> Option<u8> {
        let rule = self.rules.slots().0[made as usize]?;
        let name = NAMES[made as usize];
        self.value.clear();
        for part in parts {
            self.value.push_str(part);
        }
        let room = MAX_TEXT - kind_name(self.rules.kind).len() - name.len() - 2;
        if self.value.len() > room
            && let Some((cut, _)) = self.value.char_indices().nth(room)
        {
            self.value.truncate(cut);
        }
        self.sink.add(self.rules, rule, &self.value)
    }
}

/// A text that is cut by characters again and again.
struct Cut {
    text: String,
    /// Where each character begins, and where the last one ends.
    at: SmallVec<[u16; 64]>,
}

impl Cut {
    fn new(chars: &[char]) -> Self {
        let mut text = String::with_capacity(chars.len() * 4);
        let mut at = SmallVec::new();
        at.push(0);
        for c in chars {
            text.push(*c);
            at.push(u16::try_from(text.len()).unwrap_or(u16::MAX));
        }
        Self { text, at }
    }
    /// The characters of a range, as far as there are so many.
    fn chars(&self, range: std::ops::Range<usize>) -> &str {
        let at = |i: usize| usize::from(self.at[i.min(self.at.len() - 1)]);
        &self.text[at(range.start)..at(range.end)]
    }
    fn all(&self) -> &str {
        self.chars(0..usize::MAX)
    }
}

/// Fills the keys of a record and ties its exact values to theirs.
pub(super) fn fill(std: &mut Standardized, rules: &RuleSet, sink: &mut dyn Sink) {
    let mut keys = Keys {
        rules,
        sink,
        value: String::with_capacity(MAX_TEXT),
    };
    for i in &mut std.identifiers {
        let v = &i.value;
        i.key = match v.scheme.as_str() {
            identifier::USCC if std.kind == PartyKind::Person => None,
            identifier::USCC => keys.add(Made::Uscc, [v.text.as_str()]),
            "id_card" => keys.add(Made::IdCard, [v.text.as_str()]),
            scheme => keys.add(Made::Identifier, [scheme, ":", &v.text]),
        };
    }
    for p in &mut std.phones {
        p.key = keys.add(Made::Phone, [p.value.number.as_str()]);
    }
    for e in &mut std.emails {
        e.key = keys.add(Made::Email, [e.value.text.as_str()]);
    }
    for d in &mut std.domains {
        d.key = keys.add(Made::Domain, [d.value.as_str()]);
    }
    for a in &mut std.accounts {
        a.key = keys.add(Made::Bank, [a.value.as_str()]);
    }
    match std.kind {
        PartyKind::Organization => of_organization(std, &mut keys),
        PartyKind::Person => of_person(std, &mut keys),
    }
}

fn cities(std: &Standardized) -> SmallVec<[&'static str; 2]> {
    let mut list: SmallVec<[u16; 4]> = std.regions.iter().filter_map(|r| r.city).collect();
    list.sort_unstable();
    list.dedup();
    list.into_iter()
        .take(2)
        .map(|c| DIVISIONS.city_name(c))
        .collect()
}

fn of_organization(std: &Standardized, keys: &mut Keys<'_>) {
    for i in std.identifiers() {
        match i.scheme.as_str() {
            identifier::USCC if i.valid => {
                if let Some(code) = identifier::org_code_of_uscc(&i.text) {
                    keys.add(Made::OrgCode, [code]);
                }
            }
            "org_code" if i.valid => {
                keys.add(Made::OrgCode, [i.text.as_str()]);
            }
            _ => {}
        }
    }
    let cities = cities(std);
    for n in std.names.iter().filter(|n| n.core.len() >= 2) {
        let core = Cut::new(&n.core);
        for city in &cities {
            keys.add(Made::CoreRegion, [core.all(), "@", city]);
        }
        keys.add(Made::Core, [core.all()]);
        keys.add(Made::Brand, [core.chars(0..n.brand_len())]);
        if !n.latin {
            for city in &cities {
                keys.add(Made::PrefixRegion, [core.chars(0..3), "@", city]);
                if n.core.len() >= 4 {
                    keys.add(Made::TailRegion, [core.chars(1..4), "@", city]);
                }
            }
        }
        keys.add(Made::Sound, [n.brand_sound()]);
        let prefix = core.chars(0..2);
        for p in std.people.iter().filter(|p| !p.full.is_empty()).take(2) {
            keys.add(Made::ContactPrefix, [p.full.as_str(), "@", prefix]);
        }
        for a in std.addresses.iter().filter(|a| a.has_door()).take(2) {
            let street = Cut::new(&a.street);
            keys.add(Made::DoorPrefix, [street.all(), &a.number, "@", prefix]);
        }
    }
}

fn of_person(std: &Standardized, keys: &mut Keys<'_>) {
    let cities = cities(std);
    for p in std.people.iter().filter(|p| !p.sound.is_empty()) {
        for n in std.names.iter().take(2) {
            keys.add(Made::NameEmployer, [p.sound.as_str(), "@", n.brand_sound()]);
        }
        for (y, m, d) in &std.births {
            let day = format!("{y:04}-{m:02}-{d:02}");
            keys.add(Made::NameBirth, [p.sound.as_str(), "@", &day]);
        }
        for city in &cities {
            keys.add(Made::NameRegion, [p.sound.as_str(), "@", city]);
        }
        keys.add(Made::Name, [p.sound.as_str()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_a_rule_set_may_name_is_one_that_is_made() {
        for name in ORGANIZATION.iter().chain(PERSON) {
            assert!(NAMES.contains(name), "{name} would never have a value");
        }
        assert!(
            NAMES
                .iter()
                .all(|n| ORGANIZATION.contains(n) || PERSON.contains(n))
        );
    }
}
