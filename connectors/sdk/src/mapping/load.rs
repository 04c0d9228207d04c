//! Reading and writing a mapping as TOML, and refusing a wrong one with its line.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jinke_types::{Code, Failure, Violation, attribute};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use toml::de::{DeTable, DeValue};

use super::{
    Field, Fields, LeadMapping, MAX_CONTACTS, MAX_MAPPING_BYTES, MAX_VALUES, Mapping, RowKind,
    ValueMapping, Whole, guess::is_personal_header,
};

/// One step of a path into a mapping: a key, or an index of a list.
#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    At(usize),
}
use Step::{At, Key};

struct Fault {
    path: Vec<Step>,
    why: String,
}

impl Mapping {
    /// Reads a mapping from TOML of at most [`MAX_MAPPING_BYTES`] bytes and checks it whole.
    /// The failure has the reason `MAPPING_INVALID`, and `line` in its metadata.
    pub fn from_toml(text: &str) -> Result<Self, Failure> {
        if text.len() > MAX_MAPPING_BYTES {
            return Err(refuse(None, "", "is longer than 256 KiB"));
        }
        let mapping: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map(|span| line_at(text, span.start));
            refuse(line, "", e.message())
        })?;
        mapping.faults().map_err(|fault| {
            let line = DeTable::parse(text)
                .ok()
                .map(|tree| line_at(text, offset_of(&DeValue::Table(tree.into_inner()), &fault)));
            refuse(line, &path_text(&fault.path), &fault.why)
        })?;
        Ok(mapping)
    }

    /// Checks a mapping that was not read from a file; as [`Self::from_toml`], without lines.
    pub fn check(&self) -> Result<(), Failure> {
        self.faults()
            .map_err(|fault| refuse(None, &path_text(&fault.path), &fault.why))
    }

    /// Writes the mapping as TOML that [`Self::from_toml`] reads back.
    pub fn to_toml(&self) -> Result<String, Failure> {
        toml::to_string(self).map_err(Failure::internal)
    }

    fn faults(&self) -> Result<(), Fault> {
        let fault = |path: &[Step], why: &str| Fault {
            path: path.to_vec(),
            why: why.to_owned(),
        };
        if self.external_id.0.is_empty()
            || self.external_id.0.iter().all(|f| f.column_name().is_none())
        {
            return Err(fault(
                &[Key("external_id")],
                "must name at least one column",
            ));
        }
        let values: usize =
            self.values.len() + self.contacts.iter().map(|c| c.values.len()).sum::<usize>();
        if values > MAX_VALUES {
            return Err(fault(&[Key("values")], "there are more than 500 values"));
        }
        if self.contacts.len() > MAX_CONTACTS {
            return Err(fault(&[Key("contacts")], "there are more than 50 contacts"));
        }
        if self.header_row.is_some_and(|row| row == 0 || row > 1_000) {
            return Err(fault(&[Key("header_row")], "must be from 1 to 1000"));
        }
        if let Some(offset) = &self.utc_offset
            && crate::parse::offset(offset).is_none()
        {
            return Err(fault(&[Key("utc_offset")], "must look like +08:00"));
        }
        self.sections()?;
        for (i, value) in self.values.iter().enumerate() {
            value
                .fault()
                .map_err(|(key, why)| fault(&[Key("values"), At(i), Key(key)], why))?;
        }
        self.person_id_is_not_personal()?;
        for (i, contact) in self.contacts.iter().enumerate() {
            if contact.values.is_empty() {
                return Err(fault(&[Key("contacts"), At(i)], "has no values"));
            }
            for (j, value) in contact.values.iter().enumerate() {
                value.fault().map_err(|(key, why)| {
                    fault(
                        &[Key("contacts"), At(i), Key("values"), At(j), Key(key)],
                        why,
                    )
                })?;
            }
            let personal = |column: &str| names_personal(&contact.values, column);
            match &contact.key {
                Field::Column { column, .. } if personal(column) || is_personal_header(column) => {
                    return Err(fault(
                        &[Key("contacts"), At(i), Key("key")],
                        "must not be a name, phone or email: external ids are stored in the \
                         clear; use a column that is an id, or an ordinal",
                    ));
                }
                Field::Constant(text)
                    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric()) =>
                {
                    return Err(fault(
                        &[Key("contacts"), At(i), Key("key")],
                        "a constant key is letters and digits, such as 1",
                    ));
                }
                _ => {}
            }
            if self.contacts[..i]
                .iter()
                .any(|earlier| earlier.key == contact.key)
            {
                return Err(fault(
                    &[Key("contacts"), At(i), Key("key")],
                    "another contact has the same key",
                ));
            }
        }
        Ok(())
    }

    /// A kind needs its own section and takes no other.
    fn sections(&self) -> Result<(), Fault> {
        let kind = self.kind;
        let expected: [(&'static str, bool, bool); 7] = [
            (
                "transaction",
                kind.is_transaction(),
                self.transaction.is_some(),
            ),
            (
                "interaction",
                kind.is_interaction(),
                self.interaction.is_some(),
            ),
            (
                "relationship",
                kind == RowKind::Relationship,
                self.relationship.is_some(),
            ),
            ("lead", kind == RowKind::Lead, self.lead.is_some()),
            (
                "party",
                !kind.is_party() && kind != RowKind::Lead,
                self.party.is_some(),
            ),
            ("values", kind.is_party(), !self.values.is_empty()),
            (
                "contacts",
                kind == RowKind::Organization,
                !self.contacts.is_empty(),
            ),
        ];
        for (section, wanted, given) in expected {
            let why = match (wanted, given) {
                (true, false) if section != "contacts" => "needs",
                (false, true) => "takes no",
                _ => continue,
            };
            return Err(Fault {
                path: if given {
                    vec![Key(section)]
                } else {
                    vec![Key("kind")]
                },
                why: format!("the kind {} {why} `{section}`", kind.as_str()),
            });
        }
        if self.person_when.is_some() && kind != RowKind::Organization {
            return Err(Fault {
                path: vec![Key("person_when")],
                why: "only stands with the kind organization".to_owned(),
            });
        }
        if let Some(lead) = &self.lead {
            return self.lead_fault(lead);
        }
        Ok(())
    }

    fn lead_fault(&self, lead: &LeadMapping) -> Result<(), Fault> {
        let fault = |path: &[Step], why: &str| {
            let (path, why) = (path.to_vec(), why.to_owned());
            Err(Fault { path, why })
        };
        if lead.company.is_none() && lead.person_name.is_none() {
            return fault(&[Key("lead")], "needs `company` or `person_name`");
        }
        if self.completeness == Whole::Partial {
            let why = "must be full: what a row leaves blank, the lead does not have";
            return fault(&[Key("completeness")], why);
        }
        let columns = self.external_id.0.iter().enumerate();
        for (i, column) in columns.filter_map(|(i, f)| Some((i, f.column_name()?))) {
            let key = super::header_key(column);
            let mut personal = lead.personal();
            if personal.any(|c| super::header_key(c) == key) || is_personal_header(column) {
                return fault(
                    &[Key("external_id"), At(i)],
                    "must not be a name, phone or email of a person: external ids are stored in \
                     the clear; number the rows in a column of their own",
                );
            }
        }
        Ok(())
    }

    fn person_id_is_not_personal(&self) -> Result<(), Fault> {
        let persons = self.kind == RowKind::Person || self.person_when.is_some();
        let fields = self.external_id.0.iter();
        for (i, column) in fields
            .enumerate()
            .filter_map(|(i, f)| Some((i, f.column_name()?)))
        {
            if persons && (names_personal(&self.values, column) || is_personal_header(column)) {
                return Err(Fault {
                    path: vec![Key("external_id"), At(i)],
                    why: "must not be a name, phone, email or identity number of a person: \
                          external ids are stored in the clear"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// Whether one of `values` reads `column` as something personal.
fn names_personal(values: &[ValueMapping], column: &str) -> bool {
    use attribute as a;
    let key = super::header_key(column);
    values.iter().any(|v| {
        v.column
            .as_deref()
            .is_some_and(|c| super::header_key(c) == key)
            && [
                a::NAME,
                a::PHONE,
                a::EMAIL,
                a::IDENTIFIER,
                a::ADDRESS,
                a::BANK_ACCOUNT,
            ]
            .contains(&v.attribute.as_str())
    })
}

impl ValueMapping {
    fn fault(&self) -> Result<(), (&'static str, &'static str)> {
        if !attribute::is_valid(&self.attribute) {
            return Err((
                "attribute",
                "is no known attribute; a custom one starts with x_ and has lower-case \
                 letters, digits and _",
            ));
        }
        let parts = [&self.province, &self.city, &self.district, &self.postcode];
        let has_parts = parts.iter().any(|p| p.is_some());
        if has_parts && self.attribute != attribute::ADDRESS {
            return Err((
                "attribute",
                "only an address has province, city, district, postcode",
            ));
        }
        match (&self.column, &self.constant) {
            (Some(_), Some(_)) => Err(("constant", "either column or constant, not both")),
            (None, None) if !has_parts => Err(("attribute", "needs a column or a constant")),
            _ if self.attribute == attribute::IDENTIFIER && self.scheme.is_none() => {
                Err(("attribute", "an identifier needs a scheme, e.g. uscc"))
            }
            _ if self.datum_type.is_some() && !self.attribute.starts_with("x_") => {
                Err(("type", "only a custom attribute (x_…) has a type"))
            }
            _ => Ok(()),
        }
    }
}

fn refuse(line: Option<usize>, path: &str, why: &str) -> Failure {
    let why = why.trim();
    let what = if path.is_empty() {
        why.to_owned()
    } else {
        format!("{path}: {why}")
    };
    let message = match line {
        Some(line) => format!("line {line} of the mapping: {what}"),
        None => format!("the mapping: {what}"),
    };
    let mut failure = Failure::new(Code::InvalidArgument, "MAPPING_INVALID", message);
    if let Some(line) = line {
        failure = failure.with("line", line);
    }
    failure.violations.push(Violation {
        field: format!("mapping.{path}"),
        description: why.to_owned(),
    });
    failure
}

fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|b| **b == b'\n')
        .count()
        + 1
}

fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Key(key) if text.is_empty() => text.push_str(key),
            Key(key) => text.push_str(&format!(".{key}")),
            At(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// Where the deepest part of the path that exists begins.
fn offset_of(root: &DeValue<'_>, fault: &Fault) -> usize {
    let (mut at, mut offset) = (root, 0);
    for step in &fault.path {
        match (step, at) {
            (Key(key), DeValue::Table(table)) => {
                let Some((name, value)) = table.iter().find(|(k, _)| k.get_ref() == key) else {
                    break;
                };
                offset = name.span().start;
                at = value.get_ref();
            }
            (At(index), DeValue::Array(list)) => {
                let Some(value) = list.get(*index) else { break };
                offset = value.span().start;
                at = value.get_ref();
            }
            _ => break,
        }
    }
    offset
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldTable {
    column: Option<String>,
    constant: Option<String>,
    #[serde(default)]
    codes: BTreeMap<String, String>,
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column name, { constant = \"…\" } or { column = \"…\", codes = { … } }")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Field, E> {
        Ok(Field::column(text))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field, A::Error> {
        let table = FieldTable::deserialize(MapAccessDeserializer::new(map))?;
        match (table.column, table.constant) {
            (Some(column), None) => Ok(Field::Column {
                column,
                codes: table.codes,
            }),
            (None, Some(text)) if table.codes.is_empty() => Ok(Field::Constant(text)),
            (None, Some(_)) => Err(de::Error::custom("a constant has no codes")),
            _ => Err(de::Error::custom("either column or constant")),
        }
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        match self {
            Self::Column { column, codes } if codes.is_empty() => serializer.serialize_str(column),
            Self::Column { column, codes } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("column", column)?;
                map.serialize_entry("codes", codes)?;
                map.end()
            }
            Self::Constant(text) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("constant", text)?;
                map.end()
            }
        }
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column name, or a list of column names and constants")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Fields, E> {
        Ok(Fields(vec![Field::column(text)]))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fields, A::Error> {
        FieldVisitor.visit_map(map).map(|field| Fields(vec![field]))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = seq.next_element()? {
            if fields.len() == 10 {
                return Err(de::Error::custom("a list of at most 10"));
            }
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            all => all.serialize(serializer),
        }
    }
}

impl FromStr for Mapping {
    type Err = Failure;
    fn from_str(text: &str) -> Result<Self, Failure> {
        Self::from_toml(text)
    }
}
