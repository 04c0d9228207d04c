//! Survivorship: how the best value of an attribute is chosen.
//!
//! Values are gathered per (attribute, scope). Two values are the same value when their
//! [`canonical`] texts are equal. Values of deleted records rank after all others, then the
//! criteria of the policy decide, then the record key and the value itself: the order of
//! members and of equal values never matters.

mod policy;

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet},
};

use jinke_types::{Datum, PartyKind, RecordKey, Timestamp, Value, attribute};

use crate::standardize::{address, canonical, org_name, person_name};

pub use policy::{AttributePolicy, Criterion, PolicyError, SurvivorshipPolicy};

/// One visible member of a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The record's name; the last tie-breaker.
    pub key: &'a RecordKey,
    /// Kind of the party.
    pub kind: PartyKind,
    /// Trust in the source; more is better.
    pub trust: i32,
    /// The source deleted the record: its values rank last.
    pub deleted: bool,
    /// When the record was true in business terms.
    pub business_time: Option<Timestamp>,
    /// Its values, as received.
    pub values: &'a [Value],
}

/// One surviving value with its provenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoldenValue {
    /// Attribute.
    pub attribute: String,
    /// Scope: empty or an org unit.
    pub scope: String,
    /// The value as its member states it.
    pub value: Value,
    /// Index of the member it is taken from.
    pub member: usize,
    /// Index into that member's values.
    pub value_index: usize,
    /// Members that state the same value in standardized form, `member` included.
    pub supported_by: Vec<usize>,
    /// What decided: the criterion that beat the runner-up, `only`, or `distinct` for an
    /// attribute that keeps all its values.
    pub rule: &'static str,
    /// Business time of the value.
    pub business_time: Option<Timestamp>,
    /// The values that lost against it: (member, value index).
    pub losing: Vec<(usize, usize)>,
}

/// The golden record of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Golden {
    /// The surviving name; empty when no member has one.
    pub display_name: String,
    /// Values by attribute, scope and rank.
    pub values: Vec<GoldenValue>,
    /// Whether every member is deleted.
    pub deleted: bool,
}

/// One value on offer.
struct Candidate<'a> {
    member: usize,
    index: usize,
    value: &'a Value,
    canonical: String,
    deleted: bool,
    trust: i32,
    time: Option<Timestamp>,
    support: usize,
    completeness: u32,
    length: usize,
    key: &'a RecordKey,
}

/// Lets the best values of `members` survive. Members must be of one kind and their keys
/// distinct. Blank and null values never survive.
pub fn survive(members: &[Member<'_>], policy: &SurvivorshipPolicy) -> Golden {
    let mut by_attribute: BTreeMap<(&str, &str), Vec<Candidate<'_>>> = BTreeMap::new();
    for (m, member) in members.iter().enumerate() {
        for (index, value) in member
            .values
            .iter()
            .enumerate()
            .filter(|(_, v)| !v.datum.is_blank())
        {
            let text = canonical(member.kind, value);
            if text.is_empty() {
                continue;
            }
            by_attribute
                .entry((&value.attribute, &value.scope))
                .or_default()
                .push(Candidate {
                    member: m,
                    index,
                    value,
                    canonical: text,
                    deleted: member.deleted,
                    trust: member.trust,
                    time: value.valid_from.or(member.business_time),
                    support: 0,
                    completeness: completeness(member.kind, value),
                    length: length(&value.datum),
                    key: member.key,
                });
        }
    }
    let mut values = Vec::new();
    for ((name, _), mut candidates) in by_attribute {
        let rule = policy.of(name);
        count_support(&mut candidates);
        candidates.sort_by(|a, b| order(a, b, &rule.order));
        if rule.multiple {
            values.extend(all(&candidates));
        } else {
            values.extend(best(&candidates, &rule.order));
        }
    }
    let deleted = !members.is_empty() && members.iter().all(|m| m.deleted);
    Golden {
        display_name: display_name(&values),
        values,
        deleted,
    }
}

fn count_support(candidates: &mut [Candidate<'_>]) {
    let mut stated: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for c in candidates.iter() {
        stated
            .entry(c.canonical.clone())
            .or_default()
            .insert(c.member);
    }
    for c in candidates {
        c.support = stated.get(&c.canonical).map_or(0, BTreeSet::len);
    }
}

fn by(criterion: Criterion, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    match criterion {
        Criterion::Trust => b.trust.cmp(&a.trust),
        Criterion::Validity => {
            let rank = |c: &Candidate<'_>| {
                (
                    Reverse(c.value.valid_to.unwrap_or(Timestamp(i64::MAX))),
                    Reverse(c.value.valid_from),
                )
            };
            rank(a).cmp(&rank(b))
        }
        Criterion::BusinessTime => b.time.cmp(&a.time),
        Criterion::Support => b.support.cmp(&a.support),
        Criterion::Completeness => b.completeness.cmp(&a.completeness),
        Criterion::Length => b.length.cmp(&a.length),
    }
}

fn order(a: &Candidate<'_>, b: &Candidate<'_>, criteria: &[Criterion]) -> Ordering {
    let mut o = a.deleted.cmp(&b.deleted);
    for c in criteria {
        o = o.then_with(|| by(*c, a, b));
    }
    o.then_with(|| a.key.cmp(b.key))
        .then_with(|| a.value.cmp(b.value))
        .then_with(|| a.index.cmp(&b.index))
}

/// What told the winner from the runner-up.
fn decided_by(a: &Candidate<'_>, b: &Candidate<'_>, criteria: &[Criterion]) -> &'static str {
    if a.deleted != b.deleted {
        return "not_deleted";
    }
    criteria
        .iter()
        .find(|c| by(**c, a, b) != Ordering::Equal)
        .map_or("record_key", |c| c.as_str())
}

/// The members that state what these candidates state, by record key.
fn supporters(same: &[&Candidate<'_>]) -> Vec<usize> {
    let mut list: Vec<(&RecordKey, usize)> = same.iter().map(|c| (c.key, c.member)).collect();
    list.sort_unstable();
    list.dedup();
    list.into_iter().map(|x| x.1).collect()
}

/// `same` are the candidates that say the same as the winner, itself included.
fn golden(
    winner: &Candidate<'_>,
    same: &[&Candidate<'_>],
    rule: &'static str,
    losing: Vec<(usize, usize)>,
) -> GoldenValue {
    GoldenValue {
        attribute: winner.value.attribute.clone(),
        scope: winner.value.scope.clone(),
        value: winner.value.clone(),
        member: winner.member,
        value_index: winner.index,
        supported_by: supporters(same),
        rule,
        business_time: winner.time,
        losing,
    }
}

/// The one best of sorted candidates; what says the same does not count as losing.
fn best(sorted: &[Candidate<'_>], criteria: &[Criterion]) -> Option<GoldenValue> {
    let winner = sorted.first()?;
    let (same, others): (Vec<_>, Vec<_>) =
        sorted.iter().partition(|c| c.canonical == winner.canonical);
    let rule = others
        .first()
        .map_or("only", |second| decided_by(winner, second, criteria));
    let losing = others.iter().map(|c| (c.member, c.index)).collect();
    Some(golden(winner, &same, rule, losing))
}

/// Every distinct value, ranked by its best candidate; other spellings of it lose. Each candidate is
/// looked at once: a customer may have tens of thousands of values of one attribute.
fn all(sorted: &[Candidate<'_>]) -> Vec<GoldenValue> {
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ranked: Vec<Vec<&Candidate<'_>>> = Vec::new();
    for c in sorted {
        let at = *place.entry(&c.canonical).or_insert_with(|| {
            ranked.push(Vec::new());
            ranked.len() - 1
        });
        ranked[at].push(c);
    }
    ranked
        .iter()
        .filter_map(|same| {
            let (winner, spellings) = same.split_first()?;
            let losing = spellings.iter().map(|c| (c.member, c.index)).collect();
            Some(golden(winner, same, "distinct", losing))
        })
        .collect()
}

/// How many parts a value has that a poorer one lacks.
fn completeness(kind: PartyKind, value: &Value) -> u32 {
    match (value.attribute.as_str(), &value.datum) {
        (attribute::ADDRESS, datum) => address::parse(datum).map_or(0, |a| {
            u32::from(a.region.province.is_some())
                + u32::from(a.region.city.is_some())
                + u32::from(a.region.district.is_some())
                + u32::from(!a.number.is_empty())
        }),
        (attribute::NAME | attribute::FORMER_NAME, Datum::Text(t))
            if kind == PartyKind::Organization =>
        {
            org_name::parse(t).map_or(0, |n| u32::from(n.branch != org_name::Branch::Unknown))
        }
        (
            attribute::NAME | attribute::CONTACT_NAME | attribute::LEGAL_REPRESENTATIVE,
            Datum::Text(t),
        ) => person_name::parse(t).map_or(0, |n| u32::from(!n.full.is_empty())),
        _ => 0,
    }
}

fn length(datum: &Datum) -> usize {
    match datum {
        Datum::Text(t) => t.trim().chars().take(1024).count(),
        Datum::Address(a) => {
            let parts = [
                &a.country,
                &a.province,
                &a.city,
                &a.district,
                &a.text,
                &a.postcode,
            ];
            parts
                .iter()
                .map(|p| p.trim().chars().take(1024).count())
                .sum()
        }
        Datum::Number(_) | Datum::Date(..) | Datum::Null => 0,
    }
}

/// The surviving global name, else a scoped one, else a short or English or former name.
fn display_name(values: &[GoldenValue]) -> String {
    [
        attribute::NAME,
        attribute::SHORT_NAME,
        attribute::ENGLISH_NAME,
        attribute::FORMER_NAME,
    ]
    .iter()
    .flat_map(|a| values.iter().filter(move |v| v.attribute == *a))
    .find_map(|v| v.value.datum.text())
    .map(|t| t.trim().to_owned())
    .unwrap_or_default()
}
