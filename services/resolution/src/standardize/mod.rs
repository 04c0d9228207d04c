//! Standardizing: parsing and normalising values for comparing. Originals stay with the caller.
//!
//! Limits, so that hostile input costs no more than honest input: names are read to 256
//! characters, addresses to 256, phones to 128, emails to 254, identifiers and accounts to 64;
//! at most [`MAX_NAMES`] names and [`MAX_EXACT`] values of each exact kind are kept, the
//! smallest in standard form first, so that the order of values never matters. At most
//! [`MAX_VALUES`] values of a record are looked at.

pub mod address;
pub mod contact;
pub mod identifier;
mod keys;
pub mod org_name;
pub(crate) mod org_print;
pub(crate) mod org_words;
pub mod person_name;
mod rate;
pub mod region;
pub mod text;

use jinke_types::{Datum, PartyKind, Timestamp, Value, attribute};
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::{block::Key, rules::RuleSet};
use address::Address;
use contact::{Email, Phone};
use org_name::OrgName;
use person_name::PersonName;
use region::Region;

pub(crate) use keys::{
    Hashes, ORGANIZATION as ORGANIZATION_KEYS, PERSON as PERSON_KEYS, RULE_BITS, Slots,
};

/// Most names of a record that are compared.
pub const MAX_NAMES: usize = 4;
/// Most identifiers, phones, emails, domains, accounts and addresses each that are compared.
pub const MAX_EXACT: usize = 4;
/// Most values of a record that are looked at.
pub const MAX_VALUES: usize = 512;

/// A value that has a key of its own, so that it can be asked whether it is generic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Keyed<T> {
    pub(crate) value: T,
    /// Index into the record's keys.
    pub(crate) key: Option<u8>,
}

/// In place of a key's index: the value is known to be generic. No record has so many keys.
pub(crate) const GENERIC: u8 = u8::MAX;

/// An identifier with its validity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identifier {
    /// Scheme, e.g. `uscc`.
    pub scheme: SmolStr,
    /// Standard form.
    pub text: SmolStr,
    /// Whether the scheme's check holds.
    pub valid: bool,
    /// Holds from this time on.
    pub from: Option<Timestamp>,
    /// Holds up to, not including, this time.
    pub to: Option<Timestamp>,
}

impl Identifier {
    /// Whether two identifiers are different values of one scheme that hold at one time.
    pub fn contradicts(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.valid
            && other.valid
            && self.text != other.text
            && self.overlaps(other)
    }
    fn overlaps(&self, other: &Self) -> bool {
        let before = |to: Option<Timestamp>, from: Option<Timestamp>| matches!((to, from), (Some(t), Some(f)) if t <= f);
        !before(self.to, other.from) && !before(other.to, self.from)
    }
}

/// One party's values in the form in which they are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standardized {
    pub(crate) kind: PartyKind,
    pub(crate) core: Option<SmolStr>,
    pub(crate) keys: Vec<Key>,
    /// Names of an organization, or of the employer of a person.
    pub(crate) names: Few<OrgName>,
    /// Names of a person, or of an organization's contacts.
    pub(crate) people: Few<PersonName>,
    pub(crate) identifiers: Rare<Keyed<Identifier>>,
    pub(crate) phones: Few<Keyed<Phone>>,
    pub(crate) emails: Rare<Keyed<Email>>,
    pub(crate) domains: Rare<Keyed<SmolStr>>,
    pub(crate) accounts: Rare<Keyed<SmolStr>>,
    pub(crate) addresses: Few<Address>,
    pub(crate) births: Rare<(i32, u8, u8)>,
    /// Regions named anywhere: names, addresses, the division code in a USCC.
    pub(crate) regions: SmallVec<[Region; 3]>,
}

impl Standardized {
    /// The kind of party.
    pub const fn kind(&self) -> PartyKind {
        self.kind
    }
    /// The blocking keys in a fixed order, distinct, at most [`crate::MAX_KEYS`].
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
    /// What genericity counts: the first four letters of the sound of an organization's
    /// brand, which spelling variants, homophones and the name in a Latin script share; of a
    /// person the sound of the name.
    pub fn core(&self) -> Option<&str> {
        self.core.as_deref()
    }
    /// The identifiers in standard form.
    pub fn identifiers(&self) -> impl Iterator<Item = &Identifier> {
        self.identifiers.iter().map(|k| &k.value)
    }
}

impl Standardized {
    /// Marks the values whose key, by its index, is generic: for a batch that keeps hashes of
    /// keys elsewhere.
    pub(crate) fn mark_generic(&mut self, generic: impl Fn(u8) -> bool) {
        fn mark<T>(list: &mut [Keyed<T>], generic: &impl Fn(u8) -> bool) {
            for v in list {
                if v.key.is_some_and(generic) {
                    v.key = Some(GENERIC);
                }
            }
        }
        mark(&mut self.identifiers, &generic);
        mark(&mut self.phones, &generic);
        mark(&mut self.emails, &generic);
        mark(&mut self.domains, &generic);
        mark(&mut self.accounts, &generic);
    }
}

/// Standardizes the values of one party. `kind` must be the kind `rules` is for.
pub fn standardize(kind: PartyKind, values: &[Value], rules: &RuleSet) -> Standardized {
    let mut draft = Draft::new(kind);
    for v in values
        .iter()
        .take(MAX_VALUES)
        .filter(|v| !v.datum.is_blank())
    {
        let text = v.datum.text().unwrap_or_default();
        match v.attribute.as_str() {
            attribute::NAME
            | attribute::FORMER_NAME
            | attribute::SHORT_NAME
            | attribute::ENGLISH_NAME => draft.name(text),
            attribute::EMPLOYER => draft.employer(text),
            attribute::CONTACT_NAME => draft.contact(text),
            attribute::IDENTIFIER => draft.identifiers.extend(identifier_of(v).map(unkeyed)),
            attribute::PHONE => phone_texts(&v.datum).iter().for_each(|t| draft.phone(t)),
            attribute::EMAIL => draft.email(text),
            attribute::WEBSITE => draft.website(text),
            attribute::BANK_ACCOUNT => phone_texts(&v.datum).iter().for_each(|t| draft.account(t)),
            attribute::ADDRESS => draft.addresses.extend(address::parse(&v.datum)),
            attribute::DATE_OF_BIRTH => draft.births.extend(birth(&v.datum)),
            _ => {}
        }
    }
    let mut keys = Vec::with_capacity(crate::MAX_KEYS);
    let mut std = draft.finish(rules, &mut keys);
    keys.shrink_to_fit();
    std.keys = keys;
    std
}

const fn unkeyed<T>(value: T) -> Keyed<T> {
    Keyed { value, key: None }
}

/// A record whose values are being gathered, one by one.
pub(crate) struct Draft {
    kind: PartyKind,
    names: Few<OrgName>,
    people: Few<PersonName>,
    identifiers: Few<Keyed<Identifier>>,
    phones: Few<Keyed<Phone>>,
    emails: Few<Keyed<Email>>,
    domains: Few<Keyed<SmolStr>>,
    accounts: Few<Keyed<SmolStr>>,
    addresses: Few<Address>,
    births: SmallVec<[(i32, u8, u8); 1]>,
}

impl Draft {
    pub(crate) fn new(kind: PartyKind) -> Self {
        Self {
            kind,
            names: SmallVec::new(),
            people: SmallVec::new(),
            identifiers: SmallVec::new(),
            phones: SmallVec::new(),
            emails: SmallVec::new(),
            domains: SmallVec::new(),
            accounts: SmallVec::new(),
            addresses: SmallVec::new(),
            births: SmallVec::new(),
        }
    }
    fn is_person(&self) -> bool {
        self.kind == PartyKind::Person
    }
    pub(crate) fn name(&mut self, text: &str) {
        if self.is_person() {
            self.people.extend(person_name::parse(text));
        } else {
            self.names.extend(org_name::parse(text));
        }
    }
    fn employer(&mut self, text: &str) {
        if self.is_person() {
            self.names.extend(org_name::parse(text));
        }
    }
    pub(crate) fn contact(&mut self, text: &str) {
        if !self.is_person() {
            self.people.extend(person_name::parse(text));
        }
    }
    pub(crate) fn identifier(&mut self, scheme: &str, text: &str) {
        self.identifiers
            .extend(identifier_in(scheme, text, "").map(unkeyed));
    }
    pub(crate) fn phone(&mut self, text: &str) {
        contact::phones_of(text, |p| self.phones.push(unkeyed(p)));
    }
    pub(crate) fn email(&mut self, text: &str) {
        if let Some(e) = contact::email(text) {
            self.domains
                .extend(contact::domain_of_email(&e).map(unkeyed));
            self.emails.push(unkeyed(e));
        }
    }
    pub(crate) fn website(&mut self, text: &str) {
        self.domains.extend(contact::domain(text).map(unkeyed));
    }
    pub(crate) fn account(&mut self, text: &str) {
        self.accounts
            .extend(contact::bank_account(text).map(unkeyed));
    }
    /// An address: its region as far as its parts say, and its text.
    pub(crate) fn address(&mut self, region: Region, text: &str) {
        self.addresses.extend(address::in_region(region, text));
    }

    /// The record; its keys go to `sink`.
    pub(crate) fn finish(mut self, rules: &RuleSet, sink: &mut dyn keys::Sink) -> Standardized {
        for n in &mut self.names {
            n.rarity = rules.rarity_of_core(&n.core);
        }
        for p in &mut self.people {
            let by_name = rules.rarity_of_person(&p.full);
            p.rarity = by_name + rules.adjustment("surname", &p.surname);
        }
        let mut std = Standardized {
            kind: self.kind,
            core: None,
            keys: Vec::new(),
            names: smallest(self.names, MAX_NAMES),
            people: smallest(self.people, MAX_NAMES),
            identifiers: rare(self.identifiers),
            phones: smallest(self.phones, MAX_EXACT),
            emails: rare(self.emails),
            domains: rare(self.domains),
            accounts: rare(self.accounts),
            addresses: smallest(self.addresses, MAX_EXACT),
            births: rare(self.births),
            regions: SmallVec::new(),
        };
        std.regions = regions(&std);
        std.core = core(&std);
        keys::fill(&mut std, rules, sink);
        std
    }
}

/// Values of a record: mostly one, which then stands in the record itself.
pub(crate) type Few<T> = SmallVec<[T; 1]>;
/// Values that most records lack: without them no room is kept for one.
pub(crate) type Rare<T> = Box<[T]>;

fn smallest<T: Ord, const N: usize>(mut list: SmallVec<[T; N]>, max: usize) -> SmallVec<[T; N]>
where
    [T; N]: smallvec::Array<Item = T>,
{
    if list.len() > 1 {
        list.sort();
        list.dedup();
        list.truncate(max);
    }
    // Millions of records are held in memory at once.
    list.shrink_to_fit();
    list
}

fn rare<T: Ord>(list: Few<T>) -> Rare<T> {
    if list.is_empty() {
        return Rare::default();
    }
    smallest(list, MAX_EXACT).into_boxed_slice()
}

/// A number in a phone or account column that a spreadsheet turned into a number.
fn phone_texts(datum: &Datum) -> Vec<String> {
    match datum {
        Datum::Text(t) => vec![t.chars().take(512).collect()],
        Datum::Number(n) => vec![n.normalize().to_string()],
        _ => Vec::new(),
    }
}

fn identifier_of(v: &Value) -> Option<Identifier> {
    let text = match &v.datum {
        Datum::Text(t) => t.chars().take(256).collect::<String>(),
        Datum::Number(n) => n.normalize().to_string(),
        _ => return None,
    };
    let found = identifier_in(&v.scheme, &text, &v.country)?;
    Some(Identifier {
        from: v.valid_from,
        to: v.valid_to,
        ..found
    })
}

fn identifier_in(scheme: &str, text: &str, country: &str) -> Option<Identifier> {
    let parsed = identifier::parse(scheme, text)?;
    // Since 2015 the tax number of a company is its USCC.
    let scheme = if scheme == "tax_no" && identifier::uscc_holds(&parsed.text) {
        SmolStr::new_static(identifier::USCC)
    } else if country.is_empty() || country.eq_ignore_ascii_case("cn") {
        scheme.chars().take(64).collect()
    } else {
        format!("{scheme}:{}", country.to_ascii_lowercase())
            .chars()
            .take(64)
            .collect()
    };
    Some(Identifier {
        scheme,
        text: parsed.text,
        valid: parsed.valid,
        from: None,
        to: None,
    })
}

fn birth(datum: &Datum) -> Option<(i32, u8, u8)> {
    match datum {
        Datum::Date(y, m, d) => Some((*y, *m, *d)),
        Datum::Text(t) => {
            let folded = text::fold(t, 32);
            let parts: Vec<&str> = folded
                .split(|c: char| !c.is_ascii_digit())
                .filter(|p| !p.is_empty())
                .collect();
            let (y, m, d) = match parts.as_slice() {
                [y, m, d] if y.len() == 4 => (*y, *m, *d),
                [all] if all.len() == 8 => (&all[..4], &all[4..6], &all[6..]),
                _ => return None,
            };
            let (y, m, d) = (y.parse().ok()?, m.parse().ok()?, d.parse().ok()?);
            ((1..=12).contains(&m) && (1..=31).contains(&d)).then_some((y, m, d))
        }
        _ => None,
    }
}

fn regions(std: &Standardized) -> SmallVec<[Region; 3]> {
    let mut out: SmallVec<[Region; 3]> = SmallVec::new();
    if std.kind == PartyKind::Organization {
        out.extend(std.names.iter().map(|n| n.region));
    }
    out.extend(std.addresses.iter().map(|a| a.region));
    for i in std
        .identifiers()
        .filter(|i| i.valid && i.scheme == identifier::USCC)
    {
        if let Some(city) = i
            .text
            .get(2..8)
            .and_then(|c| region::DIVISIONS.city_of_code(c))
        {
            out.push(region::DIVISIONS.region(region::Place::City(city)));
        }
    }
    out.retain(|r| !r.is_empty());
    smallest(out, 6)
}

fn core(std: &Standardized) -> Option<SmolStr> {
    match std.kind {
        PartyKind::Organization => {
            let name = std.names.first()?;
            Some(name.brand_sound().chars().take(4).collect())
        }
        PartyKind::Person => {
            let p = std.people.first()?;
            Some(if p.sound.is_empty() {
                p.surname.clone()
            } else {
                p.sound.clone()
            })
        }
    }
}

/// The standardized text of one value: two values of one attribute and scope are the same
/// value for survivorship when their canonical texts are equal. Empty when nothing remains.
/// Canonical text put in again stays as it is, but for texts longer than the limits above.
pub fn canonical(kind: PartyKind, value: &Value) -> String {
    let shown = match &value.datum {
        Datum::Text(t) => t.chars().take(2048).collect::<String>(),
        Datum::Number(n) => return format!("{}{}", n.normalize(), value.unit),
        Datum::Date(y, m, d) => return format!("{y:04}-{m:02}-{d:02}"),
        Datum::Address(_) => {
            return address::parse(&value.datum)
                .map(|a| a.canonical())
                .unwrap_or_default();
        }
        Datum::Null => return String::new(),
    };
    let fallback = || text::fold(&shown, 1024);
    match value.attribute.as_str() {
        attribute::IDENTIFIER => identifier_of(value)
            .map(|i| format!("{} {}", i.scheme, i.text))
            .unwrap_or_default(),
        attribute::PHONE => {
            let all: Vec<String> = contact::phones(&shown)
                .iter()
                .map(Phone::canonical)
                .collect();
            if all.is_empty() {
                fallback()
            } else {
                all.join("/")
            }
        }
        attribute::EMAIL => contact::email(&shown).map_or_else(fallback, |e| e.text.into()),
        attribute::WEBSITE => contact::domain(&shown).map_or_else(fallback, Into::into),
        attribute::BANK_ACCOUNT => contact::bank_account(&shown).map_or_else(fallback, Into::into),
        attribute::ADDRESS => address::parse(&value.datum)
            .map(|a| a.canonical())
            .unwrap_or_default(),
        attribute::NAME
        | attribute::FORMER_NAME
        | attribute::SHORT_NAME
        | attribute::ENGLISH_NAME
            if kind == PartyKind::Organization =>
        {
            org_name::parse(&shown).map_or_else(fallback, |n| n.full.into())
        }
        _ => fallback(),
    }
}
