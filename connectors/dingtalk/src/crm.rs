//! CRM rows to records.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{FixedOffset, NaiveDateTime, TimeZone as _};
use jinke_sdk::{
    Effect, Location, RowError,
    drift::{Drift, Expected},
};
use jinke_types::{
    Address, Body, Completeness, Datum, PartyKind, RecordKey, Relationship, SourceRecord,
    Timestamp, Value, attribute,
};
use serde_json::{Map, Value as Json};

use crate::fields::{Form, Meaning};

/// Behind the id of a contact: that it belongs to a customer.
pub const CONTACT_OF: &str = "#contact_of";
/// A value is at most this many bytes; a longer one is left out.
const MAX_VALUE: usize = 8_192;
/// A row has at most this many fields.
const MAX_FIELDS: usize = 500;
/// At most this many columns are told apart.
const MAX_COLUMNS: usize = 200;

const fn column(name: &'static str, types: &'static [&'static str]) -> Expected {
    Expected { name, types }
}

/// What every row has.
pub const COLUMNS: &[Expected] = &[
    column("instanceId", &["string"]),
    column("creatorUserId", &["string"]),
    column("data", &["object"]),
    column("gmtCreate", &["string"]),
    column("gmtModified", &["string"]),
    column("permission", &["object"]),
];
/// What some rows have.
pub const MORE: &[&str] = &[
    "appUuid",
    "creatorNick",
    "extendData",
    "formCode",
    "objectType",
    "procInstStatus",
    "procOutResult",
];

/// Columns with their types, as far as rows show them.
pub fn shape(rows: &[Json]) -> BTreeMap<String, String> {
    let mut shape: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in rows.iter().filter_map(Json::as_object).flatten() {
        let kind = match value {
            Json::Null => continue,
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        };
        if !shape.contains_key(name) && shape.len() < MAX_COLUMNS {
            shape.insert(name.clone(), kind.to_owned());
        }
    }
    shape
}

/// How they differ from those known; nothing without rows.
pub fn drift(rows: &[Json]) -> Drift {
    if rows.is_empty() {
        return Drift::default();
    }
    Drift::of(COLUMNS, MORE, &shape(rows))
}

/// Where the rows of a page come from, and what their fields are.
pub struct Reader<'a> {
    /// Id of the source.
    pub source: &'a str,
    /// The list, for row errors.
    pub list: &'a str,
    /// What the rows are.
    pub kind: PartyKind,
    /// Their fields.
    pub form: &'a Form,
    /// Columns that cannot be read in any row.
    pub drift: &'a Drift,
}

/// A row that was read.
#[derive(Debug, Default)]
pub struct Read {
    /// The party, and for a contact its link to a customer.
    pub records: Vec<SourceRecord>,
    /// What could not be read.
    pub errors: Vec<RowError>,
}

impl Reader<'_> {
    /// When a row was changed last; `None` when it does not say so in a way that can be read.
    pub fn changed(row: &Map<String, Json>) -> Option<Timestamp> {
        ["gmtModified", "gmtCreate"]
            .iter()
            .find_map(|key| time(row.get(*key)?.as_str()?))
    }

    /// Reads a row whose id is `id`.
    pub fn read(&self, id: &str, row: &Map<String, Json>, number: u64) -> Read {
        let mut bad: BTreeSet<String> = BTreeSet::new();
        let mut values = Vec::new();
        let mut customers = BTreeSet::new();
        let data = row.get("data").and_then(Json::as_object);
        if data.is_none() && self.drift.readable("data") {
            bad.insert("data".to_owned());
        }
        let extended = row.get("extendData").and_then(Json::as_object);
        for (name, value) in data.into_iter().flatten().take(MAX_FIELDS) {
            match self.form.meaning(name) {
                Meaning::Customer => {
                    let more = extended.and_then(|e| e.get(name));
                    for value in more.into_iter().chain([value]) {
                        instance_ids(value, 0, &mut customers);
                    }
                }
                Meaning::Value(attribute, scheme) => match text(value) {
                    Ok(text) if text.is_empty() => {}
                    Ok(text) => values.push(made(&attribute, scheme, text)),
                    Err(()) => {
                        bad.insert(name.clone());
                    }
                },
            }
        }
        let permission = row.get("permission");
        for key in ["ownerStaffIds", "ownerUserIds"] {
            let owners = permission.and_then(|p| p.get(key)).and_then(Json::as_array);
            for owner in owners.into_iter().flatten().filter_map(Json::as_str) {
                values.push(Value::text(attribute::OWNER, owner));
            }
        }
        for key in ["gmtCreate", "gmtModified"] {
            let told = row.get(key).is_some_and(|v| !v.is_null());
            let right = row.get(key).and_then(Json::as_str).and_then(time).is_some();
            if told && !right && self.drift.readable(key) {
                bad.insert(key.to_owned());
            }
        }
        let record = |key, body| SourceRecord {
            key: RecordKey::new(self.source, key),
            source_revision: None,
            update_time: Self::changed(row),
            completeness: Completeness::Full,
            deleted: false,
            body,
        };
        let party = Body::Party {
            kind: self.kind,
            values,
        };
        let mut records = vec![record(id.to_owned(), party)];
        // The first by its id, should there be several: the record of the link has one customer.
        if let Some(customer) = customers.first() {
            let link = Body::Relationship(Relationship {
                kind: "contact_of".to_owned(),
                from: RecordKey::new(self.source, id),
                to: RecordKey::new(self.source, customer),
                valid_from: None,
                valid_to: None,
                values: Vec::new(),
            });
            records.push(record(format!("{id}{CONTACT_OF}"), link));
        }
        Read {
            records,
            errors: bad
                .into_iter()
                .map(|column| RowError {
                    location: Location {
                        file: self.list.to_owned(),
                        sheet: None,
                        row: number,
                    },
                    column: Some(
                        column
                            .chars()
                            .filter(|c| !c.is_control())
                            .take(80)
                            .collect(),
                    ),
                    reason: "cannot be read".to_owned(),
                    effect: Effect::ValueLeftOut,
                })
                .collect(),
        }
    }
}

fn made(attribute: &str, scheme: String, text: String) -> Value {
    let datum = if attribute == attribute::ADDRESS {
        Datum::Address(Address {
            text,
            ..Address::default()
        })
    } else {
        Datum::Text(text)
    };
    Value {
        scheme,
        ..Value::of(attribute, datum)
    }
}

/// A field's value as text: several are joined by `、`, an object by its name or value.
fn text(value: &Json) -> Result<String, ()> {
    let text = match value {
        Json::Null => String::new(),
        Json::Bool(yes) => if *yes { "是" } else { "否" }.to_owned(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => text.trim().to_owned(),
        Json::Array(list) => {
            let texts: Result<Vec<_>, ()> = list
                .iter()
                .map(|item| match item {
                    Json::Array(_) => Err(()),
                    item => text(item),
                })
                .collect();
            texts?.join("、")
        }
        Json::Object(object) => {
            let known = ["name", "label", "text", "value"]
                .iter()
                .find_map(|k| object.get(*k)?.as_str());
            known.ok_or(())?.trim().to_owned()
        }
    };
    if text.len() <= MAX_VALUE {
        Ok(text)
    } else {
        Err(())
    }
}

/// Ids of rows that a reference names, wherever in its value they stand; it may be JSON in a text.
fn instance_ids(value: &Json, depth: usize, out: &mut BTreeSet<String>) {
    if depth > 6 || out.len() > 100 {
        return;
    }
    match value {
        Json::Array(list) => list.iter().for_each(|v| instance_ids(v, depth + 1, out)),
        Json::Object(object) => {
            for (key, value) in object {
                match value.as_str() {
                    Some(id) if key == "instanceId" && !id.is_empty() && id.len() <= 128 => {
                        out.insert(id.to_owned());
                    }
                    _ => instance_ids(value, depth + 1, out),
                }
            }
        }
        Json::String(text) if text.starts_with(['{', '[']) && text.len() <= MAX_VALUE => {
            if let Ok(inner) = serde_json::from_str::<Json>(text) {
                instance_ids(&inner, depth + 1, out);
            }
        }
        _ => {}
    }
}

/// A time as DingTalk writes it: with a zone (`2026-11-20T08:00Z`), or without one in China's.
pub fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > 40 {
        return None;
    }
    if let Some(time) = Timestamp::parse(text) {
        return Some(time);
    }
    for form in ["%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, form) {
            return Some(Timestamp(time.and_utc().timestamp_micros()));
        }
    }
    let china = FixedOffset::east_opt(8 * 3_600)?;
    for form in ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, form) {
            let time = china.from_local_datetime(&time).single()?;
            return Some(Timestamp(time.timestamp_micros()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_with_and_without_a_zone() {
        let of = |t| time(t).map(Timestamp::to_rfc3339);
        let want = Some("2026-11-20T00:00:00Z".to_owned());
        for text in [
            "2026-11-20T00:00Z",
            "2026-11-20T00:00:00Z",
            "2026-11-20T08:00:00+08:00",
            "2026-11-20 08:00:00",
            "2026-11-20 08:00",
        ] {
            assert_eq!(of(text).map(|t| t.replace(".000000", "")), want, "{text}");
        }
        assert_eq!(of("gestern"), None);
    }

    #[test]
    fn values_of_every_shape() {
        assert_eq!(text(&json!(["a", "b"])), Ok("a、b".to_owned()));
        assert_eq!(
            text(&json!({"name": "张三", "id": 7})),
            Ok("张三".to_owned())
        );
        assert_eq!(text(&json!(12.5)), Ok("12.5".to_owned()));
        assert_eq!(text(&json!([["x"]])), Err(()));
        assert_eq!(text(&json!({"a": 1})), Err(()));
        let mut ids = BTreeSet::new();
        instance_ids(
            &json!({"list": ["{\"instanceId\":\"c1\"}", {"instanceId": "c2"}]}),
            0,
            &mut ids,
        );
        assert_eq!(ids.len(), 2);
    }
}
