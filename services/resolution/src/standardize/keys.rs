//! Which blocking keys a standardized record has.

use jinke_types::PartyKind;

use super::{Standardized, identifier, org_name::OrgName, region::DIVISIONS};
use crate::{
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

struct Keys<'a> {
    rules: &'a RuleSet,
    list: Vec<Key>,
}

impl Keys<'_> {
    /// Adds a key and returns its index; `None` when the rule set has no such key.
    fn add(&mut self, name: &str, value: &str) -> Option<u8> {
        let rule = self.rules.key_index(name)?;
        let kind = match self.rules.kind {
            PartyKind::Organization => "organization",
            PartyKind::Person => "person",
        };
        let mut text = String::with_capacity(kind.len() + name.len() + value.len() + 2);
        for part in [kind, "/", name, "/", value] {
            text.push_str(part);
        }
        if text.len() > MAX_TEXT
            && let Some((cut, _)) = text.char_indices().nth(MAX_TEXT)
        {
            text.truncate(cut);
        }
        // Few keys: looking through them costs less than a set.
        let found = self
            .list
            .iter()
            .position(|k| k.rule == rule && k.text == text);
        if let Some(i) = found {
            return u8::try_from(i).ok();
        }
        if self.list.len() >= MAX_KEYS {
            return None;
        }
        self.list.push(Key { rule, text });
        u8::try_from(self.list.len() - 1).ok()
    }
}

/// Fills the keys of a record and ties its exact values to theirs.
pub(super) fn fill(std: &mut Standardized, rules: &RuleSet) {
    let mut keys = Keys {
        rules,
        list: Vec::with_capacity(MAX_KEYS),
    };
    for i in &mut std.identifiers {
        let v = &i.value;
        let own = matches!(v.scheme.as_str(), identifier::USCC | "id_card");
        i.key = match own {
            true if v.scheme == identifier::USCC && std.kind == PartyKind::Person => None,
            true => keys.add(&v.scheme, &v.text),
            false => keys.add("identifier", &format!("{}:{}", v.scheme, v.text)),
        };
    }
    for p in &mut std.phones {
        p.key = keys.add("phone", &p.value.number);
    }
    for e in &mut std.emails {
        e.key = keys.add("email", &e.value.text);
    }
    for d in &mut std.domains {
        d.key = keys.add("domain", &d.value);
    }
    for a in &mut std.accounts {
        a.key = keys.add("bank", &a.value);
    }
    match std.kind {
        PartyKind::Organization => of_organization(std, &mut keys),
        PartyKind::Person => of_person(std, &mut keys),
    }
    keys.list.shrink_to_fit();
    std.keys = keys.list;
}

fn chars(list: &[char]) -> String {
    list.iter().collect()
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
    for i in std.identifiers() {
        match i.scheme.as_str() {
            identifier::USCC if i.valid => {
                if let Some(code) = identifier::org_code_of_uscc(&i.text) {
                    keys.add("org_code", code);
                }
            }
            "org_code" if i.valid => {
                keys.add("org_code", &i.text);
            }
            _ => {}
        }
    }
    let cities = cities(std);
    for n in std.names.iter().filter(|n| n.core.len() >= 2) {
        for city in &cities {
            keys.add("core_region", &format!("{}@{city}", n.core_text()));
        }
        keys.add("core", &n.core_text());
        keys.add("brand", &brand(n));
        if !n.latin {
            for city in &cities {
                keys.add(
                    "prefix_region",
                    &format!("{}@{city}", chars(&n.core[..n.core.len().min(3)])),
                );
                if n.core.len() >= 4 {
                    keys.add(
                        "tail_region",
                        &format!("{}@{city}", chars(&n.core[1..n.core.len().min(4)])),
                    );
                }
            }
        }
        keys.add("sound", n.brand_sound());
        let prefix = chars(&n.core[..n.core.len().min(2)]);
        for p in std.people.iter().filter(|p| !p.full.is_empty()).take(2) {
            keys.add("contact_prefix", &format!("{}@{prefix}", p.full));
        }
        for door in std
            .addresses
            .iter()
            .filter_map(super::Address::door)
            .take(2)
        {
            keys.add("door_prefix", &format!("{door}@{prefix}"));
        }
    }
}

fn brand(n: &OrgName) -> String {
    chars(n.brand_chars())
}

fn of_person(std: &Standardized, keys: &mut Keys<'_>) {
    let cities = cities(std);
    for p in std.people.iter().filter(|p| !p.sound.is_empty()) {
        for n in std.names.iter().take(2) {
            keys.add("name_employer", &format!("{}@{}", p.sound, n.brand_sound()));
        }
        for (y, m, d) in &std.births {
            keys.add("name_birth", &format!("{}@{y:04}-{m:02}-{d:02}", p.sound));
        }
        for city in &cities {
            keys.add("name_region", &format!("{}@{city}", p.sound));
        }
        keys.add("name", &p.sound);
    }
}
