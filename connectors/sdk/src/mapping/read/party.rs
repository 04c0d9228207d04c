//! Parties: organizations, persons, and the persons embedded in an organization's row.

use jinke_types::{
    Address, Body, Completeness, Datum, PartyKind, RecordKey, Relationship, SourceRecord, Value,
    attribute,
};

use super::{At, recode};
use crate::{
    connector::Effect,
    mapping::{
        ContactMapping, DatumType, Field, MAX_ID_BYTES, MAX_SPLIT, RowKind, ValueMapping, Whole,
    },
    parse::{self, Unreadable},
};

impl At<'_> {
    pub(super) fn party(&mut self, source: &str, id: &str) {
        let bound = self.bound;
        let mapping = &bound.mapping;
        let person = mapping.kind == RowKind::Person
            || mapping.person_when.as_ref().is_some_and(|c| self.holds(c));
        let kind = if person {
            PartyKind::Person
        } else {
            PartyKind::Organization
        };
        let values = self.values(&mapping.values, mapping.completeness == Whole::Partial);
        let name = values
            .iter()
            .find(|v| v.attribute == attribute::NAME)
            .cloned();
        let body = Body::Party { kind, values };
        let Some(record) = self.record(source, id.to_owned(), body) else {
            return;
        };
        self.out.records.push(record.clone());
        if !person {
            for contact in &mapping.contacts {
                self.contact(&record, contact, name.as_ref());
            }
        }
    }

    fn contact(&mut self, of: &SourceRecord, mapping: &ContactMapping, employer: Option<&Value>) {
        let said = mapping.values.iter().any(|v| {
            let parts = [&v.province, &v.city, &v.district, &v.postcode];
            let parts = parts.into_iter().flatten().filter_map(Field::column_name);
            let columns: Vec<&str> = v.column.as_deref().into_iter().chain(parts).collect();
            columns.into_iter().any(|c| !self.cell(c).is_blank())
        });
        if !said {
            return;
        }
        let before = self.out.errors.len();
        let key = self.text(&mapping.key, Effect::ValueLeftOut);
        if self.out.errors.len() > before {
            return;
        }
        let column = mapping.key.column_name();
        let key = match key.map(|k| parse::code(&k)) {
            Some(Ok(key)) => key,
            Some(Err(Unreadable(why))) => return self.fail(column, why, Effect::ValueLeftOut),
            None => {
                return self.fail(column, "the contact has no key", Effect::ValueLeftOut);
            }
        };
        let id = &of.key.external_id;
        if key.contains('#') || key.chars().any(char::is_control) || key.len() > MAX_ID_BYTES {
            let why = "the key of the contact holds # or control characters, or is too long";
            return self.fail(column, why, Effect::ValueLeftOut);
        }
        let mut values = self.values(&mapping.values, of.completeness == Completeness::Partial);
        if values.iter().all(|v| v.datum.is_blank()) {
            return;
        }
        let on_link =
            |v: &&Value| [attribute::TITLE, attribute::ROLE].contains(&v.attribute.as_str());
        let link_values: Vec<Value> = values.iter().filter(on_link).cloned().collect();
        if let Some(employer) = employer
            && !employer.datum.is_blank()
            && !values.iter().any(|v| v.attribute == attribute::EMPLOYER)
        {
            values.push(Value::of(attribute::EMPLOYER, employer.datum.clone()));
        }
        let source = of.key.source.as_str();
        let person = RecordKey::new(source, format!("{id}#contact:{key}"));
        self.out.records.push(SourceRecord {
            key: person.clone(),
            body: Body::Party {
                kind: PartyKind::Person,
                values,
            },
            ..of.clone()
        });
        self.out.records.push(SourceRecord {
            key: RecordKey::new(source, format!("{id}#contact_of:{key}")),
            body: Body::Relationship(Relationship {
                kind: "contact_of".to_owned(),
                from: person,
                to: of.key.clone(),
                valid_from: None,
                valid_to: None,
                values: link_values,
            }),
            ..of.clone()
        });
    }

    /// The values of `list` in its order, equal ones once. Blank cells yield nothing, except
    /// that in a partial version an attribute of which all cells are blank yields one blank
    /// text, since the source then says that it holds the field empty.
    fn values(&mut self, list: &[ValueMapping], partial: bool) -> Vec<Value> {
        let mut values: Vec<Value> = Vec::new();
        let mut empty: Vec<Value> = Vec::new();
        for mapping in list {
            let scope = self.optional_text(mapping.scope.as_ref());
            let before = self.out.errors.len();
            let data = self.data(mapping);
            if data.is_empty() && partial && self.out.errors.len() == before {
                let blank = Value::text(&mapping.attribute, "");
                empty.push(Value {
                    scope: scope.clone(),
                    ..blank
                });
            }
            for (datum, unit) in data {
                let value = Value {
                    attribute: mapping.attribute.clone(),
                    scope: scope.clone(),
                    datum,
                    scheme: self.optional_text(mapping.scheme.as_ref()),
                    country: self.optional_text(mapping.country.as_ref()),
                    unit,
                    valid_from: self.valid(mapping.valid_from.as_ref()),
                    valid_to: self.valid(mapping.valid_to.as_ref()),
                };
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
        // A column the file lacks says nothing; one that is there and blank says blank.
        for blank in empty {
            let same = |v: &Value| v.attribute == blank.attribute && v.scope == blank.scope;
            if self.present(list, &blank.attribute) && !values.iter().any(same) {
                values.push(blank);
            }
        }
        values
    }

    fn present(&self, list: &[ValueMapping], attribute: &str) -> bool {
        let mut of = list.iter().filter(|v| v.attribute == attribute);
        of.any(|v| {
            v.column
                .as_ref()
                .is_some_and(|c| self.bound.index.contains_key(c))
        })
    }

    fn valid(&mut self, field: Option<&Field>) -> Option<jinke_types::Timestamp> {
        self.moment(field?, Effect::ValueLeftOut)
    }

    /// The data of one value mapping, with the unit of each.
    fn data(&mut self, mapping: &ValueMapping) -> Vec<(Datum, String)> {
        let left_out = Effect::ValueLeftOut;
        if mapping.attribute == attribute::ADDRESS {
            return self
                .address(mapping)
                .map(|a| (Datum::Address(a), String::new()))
                .into_iter()
                .collect();
        }
        let column = mapping.column.as_deref();
        let text = match (column, &mapping.constant) {
            (Some(column), _) => self
                .cell_text(column, left_out)
                .map(|t| recode(t, &mapping.codes)),
            (None, constant) => constant.clone(),
        };
        let Some(text) = text else { return Vec::new() };
        let datum_type = match mapping.attribute.as_str() {
            attribute::DATE_OF_BIRTH => DatumType::Date,
            attribute::CREDIT_LIMIT => DatumType::Number,
            _ => mapping.datum_type.unwrap_or(DatumType::Text),
        };
        match datum_type {
            DatumType::Date => {
                let read = parse::date(&text, self.bound.mapping.date_order);
                let day = self.keep(column, left_out, read);
                day.map(|d| (date_datum(d), String::new()))
                    .into_iter()
                    .collect()
            }
            DatumType::Number => {
                let read = parse::amount(&text, self.bound.mapping.wan);
                let Some(amount) = self.keep(column, left_out, read) else {
                    return Vec::new();
                };
                let unit = match (&mapping.unit, amount.currency) {
                    (None, Some(mark)) => mark.to_owned(),
                    (unit, _) => self.optional_text(unit.as_ref()),
                };
                vec![(Datum::Number(amount.value), unit)]
            }
            DatumType::Text => {
                let is_code = [
                    attribute::PHONE,
                    attribute::IDENTIFIER,
                    attribute::BANK_ACCOUNT,
                ]
                .contains(&mapping.attribute.as_str());
                let parts: Vec<&str> = if mapping.split.is_empty() {
                    vec![&text]
                } else {
                    text.split(|c| mapping.split.contains(c)).collect()
                };
                if parts.len() > MAX_SPLIT {
                    self.fail(column, "holds more than 20 values", left_out);
                    return Vec::new();
                }
                let unit = self.optional_text(mapping.unit.as_ref());
                let mut data = Vec::with_capacity(parts.len());
                for part in parts {
                    let part = part.trim_matches(parse::is_space);
                    if part.is_empty() {
                        continue;
                    }
                    let kept = if is_code {
                        let Some(code) = self.keep(column, left_out, parse::code(part)) else {
                            continue;
                        };
                        // Only a repaired number replaces what was received.
                        if code == parse::fold(part) {
                            part.to_owned()
                        } else {
                            code
                        }
                    } else {
                        part.to_owned()
                    };
                    data.push((Datum::Text(kept), unit.clone()));
                }
                data
            }
        }
    }

    fn address(&mut self, mapping: &ValueMapping) -> Option<Address> {
        let text = match (&mapping.column, &mapping.constant) {
            (Some(column), _) => self.cell_text(column, Effect::ValueLeftOut),
            (None, constant) => constant.clone(),
        };
        let address = Address {
            country: self.optional_text(mapping.country.as_ref()),
            province: self.optional_text(mapping.province.as_ref()),
            city: self.optional_text(mapping.city.as_ref()),
            district: self.optional_text(mapping.district.as_ref()),
            text: text.unwrap_or_default(),
            postcode: self.optional_text(mapping.postcode.as_ref()),
        };
        // A country alone, often a constant, makes no address.
        let said = !Address {
            country: String::new(),
            ..address.clone()
        }
        .is_blank();
        said.then_some(address)
    }
}

fn date_datum(day: chrono::NaiveDate) -> Datum {
    use chrono::Datelike;
    // A month is at most 12 and a day at most 31.
    Datum::Date(day.year(), day.month() as u8, day.day() as u8)
}
