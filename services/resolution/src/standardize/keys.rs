//! Which blocking keys a standardized record has.

use jinke_types::PartyKind;

use super::{Standardized, identifier, region::DIVISIONS};
use crate::{
    batch::parallel::hash,
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
        let hash = hash(u64::from(rule), value.as_bytes()) & !mask | u64::from(rule) & mask;
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
    fn add<'p>(&mut self, name: &str, parts: impl IntoIterator<Item = Part<'p>>) -> Option<u8> {
        let rule = self.rules.key_index(name)?;
        self.value.clear();
        for part in parts {
            match part {
                Part::Text(t) => self.value.push_str(t),
                Part::Chars(c) => self.value.extend(c),
            }
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

#[derive(Clone, Copy)]
enum Part<'a> {
    Text(&'a str),
    Chars(&'a [char]),
}

/// Fills the keys of a record and ties its exact values to theirs.
pub(super) fn fill(std: &mut Standardized, rules: &RuleSet, sink: &mut dyn Sink) {
    use Part::Text as T;
    let mut keys = Keys {
        rules,
        sink,
        value: String::with_capacity(MAX_TEXT),
    };
    for i in &mut std.identifiers {
        let v = &i.value;
        let own = matches!(v.scheme.as_str(), identifier::USCC | "id_card");
        i.key = match own {
            true if v.scheme == identifier::USCC && std.kind == PartyKind::Person => None,
            true => keys.add(&v.scheme, [T(&v.text)]),
            false => keys.add("identifier", [T(&v.scheme), T(":"), T(&v.text)]),
        };
    }
    for p in &mut std.phones {
        p.key = keys.add("phone", [T(&p.value.number)]);
    }
    for e in &mut std.emails {
        e.key = keys.add("email", [T(&e.value.text)]);
    }
    for d in &mut std.domains {
        d.key = keys.add("domain", [T(&d.value)]);
    }
    for a in &mut std.accounts {
        a.key = keys.add("bank", [T(&a.value)]);
    }
    match std.kind {
        PartyKind::Organization => of_organization(std, &mut keys),
        PartyKind::Person => of_person(std, &mut keys),
    }
}

fn cities(std: &Standardized) -> Vec<&'static str> {
    let mut list: Vec<u16> = std.regions.iter().filter_map(|r| r.city).collect();
    list.sort_unstable();
    list.dedup();
    list.into_iter()
        .take(2)
        .map(|c| DIVISIONS.city_name(c))
        .collect()
}

fn of_organization(std: &Standardized, keys: &mut Keys<'_>) {
    use Part::{Chars as C, Text as T};
    for i in std.identifiers() {
        match i.scheme.as_str() {
            identifier::USCC if i.valid => {
                if let Some(code) = identifier::org_code_of_uscc(&i.text) {
                    keys.add("org_code", [T(code)]);
                }
            }
            "org_code" if i.valid => {
                keys.add("org_code", [T(&i.text)]);
            }
            _ => {}
        }
    }
    let cities = cities(std);
    for n in std.names.iter().filter(|n| n.core.len() >= 2) {
        for city in &cities {
            keys.add("core_region", [C(&n.core), T("@"), T(city)]);
        }
        keys.add("core", [C(&n.core)]);
        keys.add("brand", [C(n.brand_chars())]);
        if !n.latin {
            for city in &cities {
                let head = &n.core[..n.core.len().min(3)];
                keys.add("prefix_region", [C(head), T("@"), T(city)]);
                if n.core.len() >= 4 {
                    let tail = &n.core[1..n.core.len().min(4)];
                    keys.add("tail_region", [C(tail), T("@"), T(city)]);
                }
            }
        }
        keys.add("sound", [T(n.brand_sound())]);
        let prefix = &n.core[..n.core.len().min(2)];
        for p in std.people.iter().filter(|p| !p.full.is_empty()).take(2) {
            keys.add("contact_prefix", [T(&p.full), T("@"), C(prefix)]);
        }
        for a in std.addresses.iter().filter(|a| a.has_door()).take(2) {
            let door = [C(&a.street), T(&a.number), T("@"), C(prefix)];
            keys.add("door_prefix", door);
        }
    }
}

fn of_person(std: &Standardized, keys: &mut Keys<'_>) {
    use Part::Text as T;
    let cities = cities(std);
    for p in std.people.iter().filter(|p| !p.sound.is_empty()) {
        for n in std.names.iter().take(2) {
            keys.add("name_employer", [T(&p.sound), T("@"), T(n.brand_sound())]);
        }
        for (y, m, d) in &std.births {
            let day = format!("{y:04}-{m:02}-{d:02}");
            keys.add("name_birth", [T(&p.sound), T("@"), T(&day)]);
        }
        for city in &cities {
            keys.add("name_region", [T(&p.sound), T("@"), T(city)]);
        }
        keys.add("name", [T(&p.sound)]);
    }
}
