//! What can be done with a record before the lock: checks, hashes, keys and tokens.

use std::{collections::BTreeSet, sync::Arc};

use jinke_resolution::{Rules, Standardized, search_terms, standardize};
use jinke_store::keys::KeyRing;
use jinke_types::{
    Body, Failure, PartyKind, RecordKey, SourceRecord, Timestamp, Value, Violation, attribute,
};

use super::state::{content, digest};
use crate::domain::{MAX_AMOUNT, RecordType, key_text};

/// Longest external id in characters.
const MAX_EXTERNAL_ID: usize = 256;
/// Most values of one party version.
const MAX_VALUES: usize = 500;
/// Largest stored form of one version in bytes.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// Search terms after which no further name of a record is indexed: some hundred names of usual
/// length, sixteen of the greatest. Each term is a row that is written while the lock is held, and
/// 500 long names would be a quarter of a million rows.
const MAX_TERMS: usize = 8_000;

/// Kinds of tokens.
pub mod token {
    /// A blocking key.
    pub const KEY: &str = "key";
    /// A name core, for counting.
    pub const CORE: &str = "core";
    /// A search term.
    pub const TERM: &str = "term";
    /// An exact value to look up.
    pub const VALUE: &str = "value";
}

/// What is derived from a party's values for matching, search and lists.
#[derive(Debug)]
pub(crate) struct Indexed {
    pub(crate) std: Standardized,
    /// Tokens of `std.keys()`, in their order.
    pub(crate) keys: Vec<i64>,
    /// Token of the name core.
    pub(crate) core: Option<i64>,
    /// Tokens of search terms and look-up values: sorted, distinct, none of `keys`.
    pub(crate) terms: Vec<i64>,
    /// The values that are names, of organizations.
    pub(crate) names: Vec<Value>,
}

/// Whether the attribute can be looked up by its exact value.
pub(crate) fn looked_up(name: &str) -> bool {
    matches!(
        name,
        attribute::IDENTIFIER | attribute::PHONE | attribute::EMAIL
    )
}

/// Whether the attribute's text can be searched.
pub(crate) fn searched(name: &str) -> bool {
    matches!(
        name,
        attribute::NAME | attribute::FORMER_NAME | attribute::SHORT_NAME | attribute::ENGLISH_NAME
    )
}

/// The text under which an exact value is looked up; none when nothing remains of it.
pub fn lookup_text(kind: PartyKind, value: &Value) -> Option<String> {
    let canonical = jinke_resolution::canonical(kind, value);
    let scheme = if value.attribute == attribute::IDENTIFIER {
        value.scheme.as_str()
    } else {
        ""
    };
    (!canonical.is_empty()).then(|| format!("{}/{scheme}/{canonical}", value.attribute))
}

/// Derives everything from a party's values.
pub(crate) fn index(ring: &KeyRing, rules: &Rules, kind: PartyKind, values: &[Value]) -> Indexed {
    let std = standardize(kind, values, rules.of(kind));
    let keys: Vec<i64> = std
        .keys()
        .iter()
        .map(|k| ring.token(token::KEY, &k.text))
        .collect();
    let core = std.core().map(|c| ring.token(token::CORE, c));
    let mut terms: Vec<i64> = found_by(values)
        .iter()
        .map(|t| ring.token(token::TERM, t))
        .collect();
    terms.extend(
        values
            .iter()
            .filter(|v| looked_up(&v.attribute))
            .filter_map(|v| lookup_text(kind, v))
            .map(|t| ring.token(token::VALUE, &t)),
    );
    terms.sort_unstable();
    terms.dedup();
    terms.retain(|t| !keys.contains(t));
    let names = match kind {
        PartyKind::Organization => values
            .iter()
            .filter(|v| searched(&v.attribute))
            .cloned()
            .collect(),
        PartyKind::Person => Vec::new(),
    };
    Indexed {
        std,
        keys,
        core,
        terms,
        names,
    }
}

/// The search terms of the names: all of them up to [`MAX_TERMS`], name by name in the order of
/// their texts, so that the order of the values does not matter.
fn found_by(values: &[Value]) -> BTreeSet<String> {
    let names: BTreeSet<&str> = values
        .iter()
        .filter(|v| searched(&v.attribute))
        .filter_map(|v| v.datum.text())
        .collect();
    let mut out = BTreeSet::new();
    for name in names {
        out.extend(search_terms(name));
        if out.len() >= MAX_TERMS {
            break;
        }
    }
    out
}

/// One record, ready to be applied.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) key: RecordKey,
    pub(crate) key_text: String,
    pub(crate) kind: RecordType,
    pub(crate) revision: Option<i64>,
    pub(crate) time: Option<Timestamp>,
    pub(crate) partial: bool,
    pub(crate) deleted: bool,
    pub(crate) body: Arc<Body>,
    /// The stored form of the body.
    pub(crate) payload: Vec<u8>,
    /// Keyed and plain hash of the content.
    pub(crate) hash: Vec<u8>,
    pub(crate) digest: [u8; 32],
    /// Of a full version of a party: what its values alone give.
    pub(crate) indexed: Option<Arc<Indexed>>,
    /// Why it is refused whatever the state.
    pub(crate) refused: Option<Failure>,
}

impl Prepared {
    /// It has a revision or time.
    pub const fn stated(&self) -> bool {
        self.revision.is_some() || self.time.is_some()
    }
}

/// Prepares one record. With `later`, nothing is derived from it yet.
pub(crate) fn prepare(
    ring: &KeyRing,
    rules: &Rules,
    record: SourceRecord,
    later: bool,
) -> Prepared {
    let payload = serde_json::to_vec(&record.body).unwrap_or_default();
    let mut violations = Vec::new();
    check(&record, &mut violations);
    if payload.len() > MAX_PAYLOAD {
        violations.push(violation("", format!("is larger than {MAX_PAYLOAD} bytes")));
    }
    let refused = (!violations.is_empty()).then(|| Failure::fields(violations));
    let partial = record.completeness == jinke_types::Completeness::Partial
        && matches!(record.body, Body::Party { .. });
    let content = content(partial, record.deleted, &payload);
    let indexed = match &record.body {
        Body::Party { kind, values }
            if refused.is_none() && !later && !partial && !record.deleted =>
        {
            Some(Arc::new(index(ring, rules, *kind, values)))
        }
        _ => None,
    };
    Prepared {
        key_text: key_text(&record.key),
        kind: RecordType::of(&record.body),
        revision: record.source_revision,
        time: record.update_time,
        partial,
        deleted: record.deleted,
        hash: ring.hmac("version", &content),
        digest: digest(&content),
        indexed,
        refused,
        payload,
        body: Arc::new(record.body),
        key: record.key,
    }
}

fn violation(field: &str, description: impl Into<String>) -> Violation {
    Violation {
        field: field.to_owned(),
        description: description.into(),
    }
}

fn check_key(field: &str, key: &RecordKey, out: &mut Vec<Violation>) {
    let chars = key.external_id.chars().count();
    if chars == 0 || chars > MAX_EXTERNAL_ID {
        out.push(violation(
            &format!("{field}.external_id"),
            format!("must have 1 to {MAX_EXTERNAL_ID} characters"),
        ));
    }
    if key.external_id.contains('\0') {
        out.push(violation(
            &format!("{field}.external_id"),
            "must not hold a NUL character",
        ));
    }
    if !is_source_id(&key.source) {
        out.push(violation(
            &format!("{field}.source"),
            "is not the id of a source",
        ));
    }
}

/// 1 to 63 of `a-z 0-9 -`, starting with a letter.
pub(crate) fn is_source_id(id: &str) -> bool {
    (1..=63).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn check(record: &SourceRecord, out: &mut Vec<Violation>) {
    check_key("key", &record.key, out);
    match &record.body {
        Body::Party { values, .. } => {
            if values.len() > MAX_VALUES {
                out.push(violation(
                    "party.values",
                    format!("has more than {MAX_VALUES} values"),
                ));
            }
            for (i, v) in values.iter().enumerate() {
                if !attribute::is_valid(&v.attribute) {
                    out.push(violation(
                        &format!("party.values[{i}].attribute"),
                        "is not a known attribute",
                    ));
                }
            }
        }
        // A deletion needs no more than its kind.
        _ if record.deleted => {}
        Body::Relationship(r) => {
            check_key("relationship.from", &r.from, out);
            check_key("relationship.to", &r.to, out);
            if r.kind.is_empty() || r.kind.len() > 64 || r.kind.contains('\0') {
                out.push(violation(
                    "relationship.kind",
                    "must have 1 to 64 characters",
                ));
            }
        }
        Body::Transaction(t) => {
            check_key("transaction.party", &t.party, out);
            if let Some(m) = &t.amount {
                if m.amount.abs() > rust_decimal::Decimal::from(MAX_AMOUNT) {
                    out.push(violation("transaction.amount", "is too large"));
                }
                if m.currency.len() != 3 || !m.currency.bytes().all(|b| b.is_ascii_uppercase()) {
                    out.push(violation(
                        "transaction.amount.currency_code",
                        "is not ISO 4217",
                    ));
                }
            }
        }
        Body::Interaction(i) => check_key("interaction.party", &i.party, out),
    }
    out.truncate(50);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_record_has_search_terms_without_bound() {
        // Distinct long names: 500 of them would have a quarter of a million terms.
        let han = |n: u32| char::from_u32(0x4e00 + n % 20_000).unwrap_or('金');
        let name = |n: u32| (0..256).map(|i| han(n * 256 + i)).collect::<String>();
        let mut values: Vec<Value> = (0..70)
            .map(|n| Value::text(attribute::NAME, name(n)))
            .collect();
        let terms = found_by(&values);
        assert!(terms.len() >= MAX_TERMS, "{}", terms.len());
        assert!(terms.len() <= MAX_TERMS + 510, "{}", terms.len());
        values.reverse();
        assert_eq!(found_by(&values), terms);
        // What business records have is found by every name.
        let names: Vec<String> = (0..100)
            .map(|n| format!("杭州示例第{n}电子有限公司"))
            .collect();
        let values: Vec<Value> = names
            .iter()
            .map(|n| Value::text(attribute::FORMER_NAME, n))
            .collect();
        let terms = found_by(&values);
        assert!(
            names
                .iter()
                .all(|n| search_terms(n).iter().all(|t| terms.contains(t)))
        );
    }
}
