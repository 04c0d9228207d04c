//! The effective state of a record: the fold of its versions in their order.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use jinke_store::keys::{DataKey, KeyRing};
use jinke_types::{Body, Datum, Failure, Timestamp, Value};
use sha2::{Digest as _, Sha256};

use crate::domain::damaged;

/// Most values that a party's effective state may have after partial versions.
pub(crate) const MAX_STATE_VALUES: usize = 2_000;

/// One version in memory.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) number: i64,
    pub(crate) revision: Option<i64>,
    pub(crate) time: Option<Timestamp>,
    /// Keyed hash of the content, as stored.
    pub(crate) hash: Vec<u8>,
    /// Plain hash of the content, never stored: the last word on order.
    pub(crate) digest: [u8; 32],
    pub(crate) partial: bool,
    pub(crate) deleted: bool,
    pub(crate) body: Arc<Body>,
}

impl Version {
    /// It has a revision or time.
    pub(crate) const fn stated(&self) -> bool {
        self.revision.is_some() || self.time.is_some()
    }

    /// The order of the versions of one record, see [`jinke_types::VersionOrder`].
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        match (self.stated(), other.stated()) {
            (false, false) => self.number.cmp(&other.number),
            (true, true) => (self.revision, self.time, &self.digest, self.number).cmp(&(
                other.revision,
                other.time,
                &other.digest,
                other.number,
            )),
            (mine, theirs) => mine.cmp(&theirs),
        }
    }
}

/// The bytes a version's hashes are over.
pub(crate) fn content(partial: bool, deleted: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 2);
    out.extend_from_slice(&[u8::from(partial), u8::from(deleted)]);
    out.extend_from_slice(payload);
    out
}

/// The plain hash of a version's content.
pub(crate) fn digest(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// The state after one more version, of the state before.
///
/// A deletion without values (or of anything but a party) leaves what was known: the match
/// evidence stays.
pub(crate) fn apply(before: Option<&Body>, partial: bool, deleted: bool, said: &Body) -> Body {
    match (before, said) {
        (Some(Body::Party { values: old, .. }), Body::Party { kind, values: new }) => {
            let values = if deleted && new.is_empty() {
                old.clone()
            } else if partial {
                let named: BTreeSet<(&str, &str)> = new.iter().map(place).collect();
                old.iter()
                    .filter(|v| !named.contains(&place(v)))
                    .chain(new.iter().filter(|v| v.datum != Datum::Null))
                    .cloned()
                    .collect()
            } else {
                stated(new)
            };
            Body::Party {
                kind: *kind,
                values,
            }
        }
        (None, Body::Party { kind, values }) => Body::Party {
            kind: *kind,
            values: stated(values),
        },
        (Some(old), _) if deleted => old.clone(),
        _ => said.clone(),
    }
}

/// What a partial version replaces: all values of one attribute in one scope.
fn place(v: &Value) -> (&str, &str) {
    (&v.attribute, &v.scope)
}

fn stated(values: &[Value]) -> Vec<Value> {
    values
        .iter()
        .filter(|v| v.datum != Datum::Null)
        .cloned()
        .collect()
}

/// The fold of all versions: the state, and the index of the newest version.
/// `versions` must not be empty.
pub(crate) fn fold(versions: &[Version]) -> Option<(Body, usize)> {
    let mut order: Vec<usize> = (0..versions.len()).collect();
    order.sort_by(|&a, &b| versions[a].order(&versions[b]));
    // What a full version replaces need not be folded.
    let base = order
        .iter()
        .rposition(|&i| !versions[i].partial && !versions[i].deleted)
        .unwrap_or(0);
    let mut state: Option<Body> = None;
    for &i in &order[base..] {
        let v = &versions[i];
        state = Some(apply(state.as_ref(), v.partial, v.deleted, &v.body));
    }
    Some((state?, *order.last()?))
}

fn payload_aad(no: i64, number: i64) -> Vec<u8> {
    format!("record {no} version {number}").into_bytes()
}

fn state_aad(no: i64) -> Vec<u8> {
    format!("record {no} state").into_bytes()
}

/// Opens and reads what a version said.
pub(crate) fn open_payload(
    key: &DataKey,
    no: i64,
    number: i64,
    sealed: &[u8],
) -> Result<(Body, Vec<u8>), Failure> {
    let plain = key.open(&payload_aad(no, number), sealed)?;
    let body = serde_json::from_slice(&plain).map_err(|_| damaged("version"))?;
    Ok((body, plain))
}

/// Seals what a version said.
pub(crate) fn seal_payload(
    key: &DataKey,
    no: i64,
    number: i64,
    payload: &[u8],
    entropy: &dyn jinke_types::Entropy,
) -> Vec<u8> {
    key.seal(&payload_aad(no, number), payload, entropy)
}

/// Seals an effective state.
pub(crate) fn seal_state(
    key: &DataKey,
    no: i64,
    body: &Body,
    entropy: &dyn jinke_types::Entropy,
) -> Result<Vec<u8>, Failure> {
    let plain = serde_json::to_vec(body).map_err(Failure::internal)?;
    Ok(key.seal(&state_aad(no), &plain, entropy))
}

/// Opens an effective state as the database holds it.
pub(crate) fn open_state(
    ring: &KeyRing,
    sealed: &crate::store::records::SealedState,
) -> Result<Body, Failure> {
    let key = ring.unwrap(&sealed.data_key)?;
    match (&sealed.state, &sealed.payload) {
        (Some(state), _) => {
            let plain = key.open(&state_aad(sealed.no), state)?;
            serde_json::from_slice(&plain).map_err(|_| damaged("state"))
        }
        (None, Some(payload)) => {
            let (body, _) = open_payload(&key, sealed.no, sealed.newest, payload)?;
            // The newest version alone is the state; what it takes back is in it as null.
            Ok(apply(None, false, false, &body))
        }
        (None, None) => Err(damaged("state")),
    }
}

/// Opens all versions of one record; `rows` are by number.
pub(crate) fn open_history(
    ring: &KeyRing,
    data_key: &[u8],
    rows: &[crate::store::records::VersionRow],
) -> Result<Vec<Version>, Failure> {
    let key = ring.unwrap(data_key)?;
    rows.iter()
        .map(|r| {
            let (body, plain) = open_payload(&key, r.no, r.number, &r.payload)?;
            Ok(Version {
                number: r.number,
                revision: r.revision,
                time: r.time,
                hash: r.hash.clone(),
                digest: digest(&content(r.partial, r.deleted, &plain)),
                partial: r.partial,
                deleted: r.deleted,
                body: Arc::new(body),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jinke_types::{PartyKind, attribute};

    fn party(values: &[(&str, &str)]) -> Body {
        Body::Party {
            kind: PartyKind::Organization,
            values: values
                .iter()
                .map(|(a, t)| match *t {
                    "∅" => Value::of(a, Datum::Null),
                    t => Value::text(a, t),
                })
                .collect(),
        }
    }

    fn version(number: i64, revision: Option<i64>, partial: bool, body: Body) -> Version {
        let payload = serde_json::to_vec(&body).unwrap();
        Version {
            number,
            revision,
            time: None,
            hash: Vec::new(),
            digest: digest(&content(partial, false, &payload)),
            partial,
            deleted: false,
            body: Arc::new(body),
        }
    }

    #[test]
    fn absent_null_and_blank_differ() {
        let before = party(&[
            (attribute::NAME, "金客"),
            (attribute::PHONE, "1"),
            (attribute::TAG, "a"),
        ]);
        let said = party(&[(attribute::PHONE, "∅"), (attribute::TAG, "")]);
        let partial = apply(Some(&before), true, false, &said);
        assert_eq!(
            partial,
            party(&[(attribute::NAME, "金客"), (attribute::TAG, "")])
        );
        assert_eq!(
            apply(Some(&before), false, false, &said),
            party(&[(attribute::TAG, "")])
        );
    }

    #[test]
    fn a_partial_version_replaces_an_attribute_scope_by_scope() {
        let scoped = |scope: &str, text: &str| Value {
            scope: scope.to_owned(),
            ..Value::text(attribute::PHONE, text)
        };
        let body = |values: Vec<Value>| Body::Party {
            kind: PartyKind::Organization,
            values,
        };
        let before = body(vec![
            scoped("", "1"),
            scoped("orgUnits/a", "2"),
            scoped("", "3"),
        ]);
        let said = body(vec![scoped("", "4")]);
        assert_eq!(
            apply(Some(&before), true, false, &said),
            body(vec![scoped("orgUnits/a", "2"), scoped("", "4")])
        );
    }

    #[test]
    fn a_bare_deletion_keeps_what_was_known() {
        let before = party(&[(attribute::NAME, "金客")]);
        assert_eq!(apply(Some(&before), false, true, &party(&[])), before);
    }

    #[test]
    fn the_fold_does_not_depend_on_arrival() {
        let full = party(&[(attribute::NAME, "甲"), (attribute::PHONE, "1")]);
        let a = version(1, Some(1), false, full.clone());
        let b = version(2, Some(2), true, party(&[(attribute::PHONE, "2")]));
        let c = version(3, Some(3), true, party(&[(attribute::TAG, "x")]));
        let expected = fold(&[a.clone(), b.clone(), c.clone()]).unwrap().0;
        for order in [[&c, &a, &b], [&b, &c, &a], [&c, &b, &a]] {
            let versions: Vec<Version> = order.into_iter().cloned().collect();
            assert_eq!(fold(&versions).unwrap().0, expected);
        }
    }

    #[test]
    fn what_has_a_revision_is_newer_than_what_has_none() {
        let arrival = version(9, None, false, party(&[(attribute::NAME, "乙")]));
        let stated = version(1, Some(0), false, party(&[(attribute::NAME, "甲")]));
        assert_eq!(fold(&[arrival, stated]).unwrap().1, 1);
    }
}
