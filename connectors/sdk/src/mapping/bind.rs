//! Finding the mapping's columns among the headers of a file or list.

use std::collections::HashMap;

use chrono::FixedOffset;
use jinke_types::{Code, Failure};

use super::{BLANK_MARKERS, Condition, ContactMapping, Field, Fields, Mapping, ValueMapping};
use crate::{
    connector::Column,
    parse::{self, fold_char, is_space},
};

/// A column name as it is compared: half width, lower case, without white space and `*`,
/// at most 200 characters of it.
pub fn header_key(name: &str) -> String {
    name.chars()
        .filter(|c| !is_space(*c))
        .map(fold_char)
        .filter(|c| *c != '*')
        .take(200)
        .flat_map(char::to_lowercase)
        .collect()
}

/// A mapping together with the columns of one file or list.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The mapping with column names replaced by their keys.
    pub(super) mapping: Mapping,
    /// Key of a column to its index and the name the mapping calls it by.
    pub(super) index: HashMap<String, (usize, String)>,
    pub(super) zone: FixedOffset,
    pub(super) blanks: Vec<String>,
    headers: Vec<String>,
    missing: Vec<String>,
}

impl Mapping {
    /// The names of all columns the mapping reads, in its order, each once.
    pub fn columns(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        self.clone().each_column(&mut |name| {
            if !names.contains(name) {
                names.push(name.clone());
            }
        });
        names
    }

    /// The columns without which no row can be read: those of the external id, the party,
    /// the time and both ends of a relationship.
    pub fn required_columns(&self) -> Vec<String> {
        let fields = self
            .external_id
            .0
            .iter()
            .chain(self.party.iter().flat_map(|p| &p.0));
        let fields = fields
            .chain(self.transaction.iter().map(|t| &t.time))
            .chain(self.interaction.iter().map(|i| &i.time))
            .chain(
                self.relationship
                    .iter()
                    .flat_map(|r| r.to.0.iter().chain([&r.kind])),
            );
        let mut names: Vec<String> = Vec::new();
        for name in fields.filter_map(Field::column_name) {
            if !names.iter().any(|n| n == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// How many of the mapping's columns are among `headers`; `None` when a required one
    /// is not.
    pub fn found_in(&self, headers: &[String]) -> Option<usize> {
        let index = index_of(headers);
        let has = |name: &String| index.contains_key(&header_key(name));
        if self.required_columns().iter().all(has) {
            Some(self.columns().iter().filter(|name| has(name)).count())
        } else {
            None
        }
    }

    /// Binds the mapping to `headers`. A required column that is missing is
    /// `FAILED_PRECONDITION`, reason `COLUMNS_MISSING`; others are in [`Bound::missing`].
    /// Headers of the file are not named in the error, since they may be data.
    pub fn bind(&self, headers: &[String]) -> Result<Bound, Failure> {
        self.check()?;
        let found = index_of(headers);
        let lacks = |names: Vec<String>| -> Vec<String> {
            names
                .into_iter()
                .filter(|name| !found.contains_key(&header_key(name)))
                .collect()
        };
        let required = lacks(self.required_columns());
        if !required.is_empty() {
            let names = required.join(", ");
            return Err(Failure::new(
                Code::FailedPrecondition,
                "COLUMNS_MISSING",
                format!("these columns of the mapping were not found: {names}"),
            )
            .with("columns", names));
        }
        let missing = lacks(self.columns());
        let mut mapping = self.clone();
        let mut index = HashMap::new();
        mapping.each_column(&mut |name| {
            let key = header_key(name);
            if let Some(at) = found.get(&key) {
                index.insert(key.clone(), (*at, name.clone()));
            }
            *name = key;
        });
        let offset = self.utc_offset.as_deref().unwrap_or("+08:00");
        let zone = parse::offset(offset).ok_or_else(|| Failure::internal("unchecked offset"))?;
        let blanks = match &self.blank_markers {
            Some(markers) => markers.iter().map(|m| parse::fold(m)).collect(),
            None => BLANK_MARKERS.iter().map(|m| parse::fold(m)).collect(),
        };
        Ok(Bound {
            mapping,
            index,
            zone,
            blanks,
            headers: headers.to_vec(),
            missing,
        })
    }

    /// Calls `f` with every column name in the mapping.
    fn each_column(&mut self, f: &mut dyn FnMut(&mut String)) {
        fields(&mut self.external_id, f);
        condition(self.person_when.as_mut(), f);
        option(&mut self.revision, f);
        option(&mut self.update_time, f);
        condition(self.deleted.as_mut(), f);
        option(&mut self.currency, f);
        if let Some(party) = &mut self.party {
            fields(party, f);
        }
        option(&mut self.party_contact, f);
        values(&mut self.values, f);
        for ContactMapping { key, values: list } in &mut self.contacts {
            field(key, f);
            values(list, f);
        }
        if let Some(t) = &mut self.transaction {
            option(&mut t.number, f);
            option(&mut t.status, f);
            field(&mut t.time, f);
            option(&mut t.amount, f);
            option(&mut t.text, f);
            option(&mut t.employee, f);
            if let Some(line) = &mut t.lines {
                field(&mut line.product, f);
                option(&mut line.code, f);
                option(&mut line.category, f);
                option(&mut line.quantity, f);
                option(&mut line.unit, f);
                option(&mut line.amount, f);
            }
        }
        if let Some(i) = &mut self.interaction {
            field(&mut i.time, f);
            field(&mut i.channel, f);
            condition(i.inbound.as_mut(), f);
            option(&mut i.subject, f);
            option(&mut i.text, f);
            option(&mut i.employee, f);
        }
        if let Some(r) = &mut self.relationship {
            field(&mut r.kind, f);
            fields(&mut r.to, f);
            option(&mut r.valid_from, f);
            option(&mut r.valid_to, f);
        }
        if let Some(lead) = &mut self.lead {
            lead.single().into_iter().for_each(|it| option(it, f));
            lead.several().into_iter().for_each(|it| fields(it, f));
        }
    }
}

impl Bound {
    /// Columns the mapping names and the headers lack; their values are absent.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
    /// The headers, and whether the mapping reads them.
    pub fn columns(&self) -> Vec<Column> {
        let mapped: Vec<usize> = self.index.values().map(|(at, _)| *at).collect();
        let column = |(i, name): (usize, &String)| Column {
            name: name.clone(),
            mapped: mapped.contains(&i),
        };
        self.headers.iter().enumerate().map(column).collect()
    }
}

fn index_of(headers: &[String]) -> HashMap<String, usize> {
    let mut index = HashMap::new();
    let mut times: HashMap<String, usize> = HashMap::new();
    let mut add = |key: String, at: usize| {
        if !key.is_empty() {
            let n = times.entry(key.clone()).or_default();
            *n += 1;
            if *n > 1 {
                index.entry(format!("{key}#{n}")).or_insert(at);
            }
            index.entry(key).or_insert(at);
        }
    };
    for (at, name) in headers.iter().enumerate() {
        add(header_key(name), at);
    }
    // A column under a merged heading is also known by its own name alone.
    for (at, name) in headers.iter().enumerate() {
        if let Some((_, own)) = name.rsplit_once('/') {
            add(header_key(own), at);
        }
    }
    index
}

fn field(field: &mut Field, f: &mut dyn FnMut(&mut String)) {
    if let Field::Column { column, .. } = field {
        f(column);
    }
}
fn option(it: &mut Option<Field>, f: &mut dyn FnMut(&mut String)) {
    if let Some(it) = it {
        field(it, f);
    }
}
fn fields(list: &mut Fields, f: &mut dyn FnMut(&mut String)) {
    for it in &mut list.0 {
        field(it, f);
    }
}
fn condition(it: Option<&mut Condition>, f: &mut dyn FnMut(&mut String)) {
    if let Some(it) = it {
        f(&mut it.column);
    }
}
fn values(list: &mut [ValueMapping], f: &mut dyn FnMut(&mut String)) {
    for v in list {
        if let Some(column) = &mut v.column {
            f(column);
        }
        for it in [
            &mut v.scheme,
            &mut v.scope,
            &mut v.country,
            &mut v.unit,
            &mut v.valid_from,
            &mut v.valid_to,
            &mut v.province,
            &mut v.city,
            &mut v.district,
            &mut v.postcode,
        ] {
            option(it, f);
        }
    }
}
