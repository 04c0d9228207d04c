//! Canonical proto3 JSON in and out.
//!
//! | limit of a document | |
//! |---|---|
//! | nesting | 64 levels |
//! | values, all levels together | 500,000 |
//! | a member given twice in one object | refused |
//! | a member that is no field | refused, with its path |
//!
//! Integers are exact or refused. A double may be off in its last digit; the contract has none.
//!
//! The limits are checked in a pass that keeps nothing but the names of the objects it is in, so
//! that a small document cannot become a large message.

use std::{cell::Cell, collections::HashSet, fmt};

use jinke_types::{Code, Failure, Violation};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_path_to_error::{Path, Segment, Track};

/// Levels of nesting.
pub const MAX_DEPTH: usize = 64;
/// Values in one document.
pub const MAX_VALUES: usize = 500_000;

/// Reads a message. `prefix` is the path of the message within the request, empty for the request.
///
/// # Errors
/// `INVALID_ARGUMENT`: reason `INVALID_ARGUMENT` when the text is no JSON or beyond a limit,
/// `INVALID_FIELD` with the path when a member does not fit. The value itself is not repeated.
pub fn message(
    desc: &MessageDescriptor,
    text: &[u8],
    prefix: &str,
) -> Result<DynamicMessage, Failure> {
    if check(text)? {
        let value: Json = serde_json::from_slice(text)
            .map_err(|e| unreadable(format!("the body is not usable JSON: {e}")))?;
        exact(desc, &value, prefix)?;
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    DynamicMessage::deserialize(desc.clone(), tracked).map_err(|error| {
        let error = error.to_string();
        let (field, description) = explain(desc, &track.path(), &error);
        let field = match (prefix, field.as_str()) {
            ("", "") => return unreadable(format!("the body {description}")),
            ("", field) => field.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, field) => format!("{prefix}.{field}"),
        };
        Failure::fields(vec![Violation { field, description }])
    })
}

/// Reads the value of one field.
///
/// # Errors
/// As [`message`].
pub fn field(field: &FieldDescriptor, text: &[u8]) -> Result<Value, Failure> {
    if let Kind::Message(desc) = field.kind()
        && !field.is_list()
        && !field.is_map()
    {
        return message(&desc, text, field.name()).map(Value::Message);
    }
    // One whole value first, so that the text cannot close the object it is put into.
    check(text)?;
    let mut whole = format!("{{{}:", serde_json::Value::from(field.json_name())).into_bytes();
    whole.extend_from_slice(text);
    whole.push(b'}');
    let read = message(field.parent_message(), &whole, "")?;
    Ok(read.get_field(field).into_owned())
}

/// Writes a message: defaults are left out, 64-bit integers are strings, enums names.
///
/// # Errors
/// `INTERNAL` when it holds what JSON has no form for, such as a timestamp out of range.
pub fn text(message: &DynamicMessage) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(message)
        .map_err(|e| Failure::internal(format!("an answer has no JSON form: {e}")))
}

/// Writes the value of one field of an answer.
///
/// # Errors
/// As [`text`].
pub fn field_text(message: &DynamicMessage, field: &FieldDescriptor) -> Result<Vec<u8>, Failure> {
    let value = message.get_field(field);
    if let (Some(inner), false) = (value.as_message(), field.is_map()) {
        return text(inner);
    }
    let mut only = DynamicMessage::new(message.descriptor_of());
    only.set_field(field, value.into_owned());
    let options = prost_reflect::SerializeOptions::new().skip_default_fields(false);
    let mut out = Vec::new();
    only.serialize_with_options(&mut serde_json::Serializer::new(&mut out), &options)
        .map_err(Failure::internal)?;
    let whole: serde_json::Value = serde_json::from_slice(&out).map_err(Failure::internal)?;
    serde_json::to_vec(&whole[field.json_name()]).map_err(Failure::internal)
}

/// The descriptor of a message, without naming the trait where it is used.
trait DescriptorOf {
    fn descriptor_of(&self) -> MessageDescriptor;
}

impl DescriptorOf for DynamicMessage {
    fn descriptor_of(&self) -> MessageDescriptor {
        prost_reflect::ReflectMessage::descriptor(self)
    }
}

fn unreadable(message: String) -> Failure {
    Failure::new(Code::InvalidArgument, "INVALID_ARGUMENT", message)
}

/// What is wrong, where, in proto field names, without the value.
fn explain(desc: &MessageDescriptor, path: &Path, error: &str) -> (String, String) {
    let mut out = String::new();
    let mut at = Some(desc.clone());
    let mut map = false;
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => out.push_str(&format!("[{index}]")),
            Segment::Map { key } if map => {
                let key: String = key.chars().take(100).collect();
                out.push_str(&format!("[{key:?}]"));
                map = false;
            }
            Segment::Map { key } => {
                let field = at.as_ref().and_then(|m| {
                    m.get_field_by_json_name(key)
                        .or_else(|| m.get_field_by_name(key))
                });
                if !out.is_empty() {
                    out.push('.');
                }
                match &field {
                    Some(field) => out.push_str(field.name()),
                    None => out.extend(key.chars().take(100)),
                }
                map = field.as_ref().is_some_and(FieldDescriptor::is_map);
                at = field.and_then(|f| match f.kind() {
                    Kind::Message(entry) if entry.is_map_entry() => {
                        entry.map_entry_value_field().kind().as_message().cloned()
                    }
                    kind => kind.as_message().cloned(),
                });
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let error = error.split(" at line ").next().unwrap_or_default();
    if let Some(name) = error.strip_prefix("unrecognized field name '") {
        let name: String = name.trim_end_matches('\'').chars().take(100).collect();
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(&name);
        let message = at.as_ref().map_or("the message", MessageDescriptor::name);
        return (out, format!("is not a field of {message}"));
    }
    if let Some(oneof) = error.strip_prefix("multiple fields provided for oneof '") {
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(oneof.trim_end_matches('\''));
        return (out, "has more than one of its fields set".to_owned());
    }
    let description = if let Some((_, expected)) = error.rsplit_once(", expected ") {
        format!("must be {expected}")
    } else if error.starts_with("unrecognized enum value") {
        "is not a value of the enum".to_owned()
    } else {
        // The reader's other messages name the kind of mistake.
        format!(
            "is not valid: {}",
            error.chars().take(100).collect::<String>()
        )
    };
    (out, description)
}

/// Refuses numbers in integer fields that were too large to be read as what they are: the reader
/// would take the nearest one it can hold.
fn exact(desc: &MessageDescriptor, value: &Json, path: &str) -> Result<(), Failure> {
    let Some(members) = value.as_object() else {
        return Ok(());
    };
    for (name, value) in members {
        let field = desc
            .get_field_by_json_name(name)
            .or_else(|| desc.get_field_by_name(name));
        let Some(field) = field else { continue };
        let path = match path {
            "" => field.name().to_owned(),
            path => format!("{path}.{}", field.name()),
        };
        let kind = match field.kind() {
            Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
            kind => kind,
        };
        let values: Vec<&Json> = match value {
            Json::Array(items) => items.iter().collect(),
            Json::Object(entries) if field.is_map() => entries.values().collect(),
            one => vec![one],
        };
        for value in values {
            match &kind {
                Kind::Double | Kind::Float => {}
                // The number within a wrapper, or in a message that is free in form.
                Kind::Message(inner) if value.is_number() => {
                    let whole = inner.get_field(1).map(|f| f.kind());
                    let float = matches!(whole, None | Some(Kind::Double | Kind::Float))
                        || !inner.full_name().ends_with("Value");
                    if !float && inexact(value) {
                        return Err(Failure::field(path, "is too large a number"));
                    }
                }
                Kind::Message(inner) => exact(inner, value, &path)?,
                _ if inexact(value) => {
                    return Err(Failure::field(path, "is too large a number"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether a number lost digits when it was read.
fn inexact(value: &Json) -> bool {
    value
        .as_number()
        .is_some_and(|n| n.is_f64() && n.as_f64().is_some_and(|f| f.abs() >= EXACT))
}

/// From here on not every integer is a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Checks that a text is one JSON value within the limits. Returns whether there are numbers in it
/// that only a double holds, and not each exactly.
fn check(text: &[u8]) -> Result<bool, Failure> {
    let left = Cell::new(MAX_VALUES);
    let large = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_slice(text);
    Shape {
        depth: 0,
        left: &left,
        large: &large,
    }
    .deserialize(&mut reader)
    .and_then(|()| reader.end())
    .map_err(|e| unreadable(format!("the body is not usable JSON: {e}")))?;
    Ok(large.get())
}

/// Reads past a value, counting.
struct Shape<'a> {
    depth: usize,
    left: &'a Cell<usize>,
    large: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let left = self.left.get();
        if left == 0 {
            return Err(D::Error::custom(format!("more than {MAX_VALUES} values")));
        }
        self.left.set(left - 1);
        deserializer.deserialize_any(self)
    }
}

impl Shape<'_> {
    fn inner<E: Error>(&self) -> Result<usize, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format!("more than {MAX_DEPTH} levels deep")));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, f: f64) -> Result<(), E> {
        self.large.set(self.large.get() || f.abs() >= EXACT);
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.inner()?;
        while seq
            .next_element_seed(Shape {
                depth,
                left: self.left,
                large: self.large,
            })?
            .is_some()
        {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = self.inner()?;
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a member is given twice"));
            }
            map.next_value_seed(Shape {
                depth,
                left: self.left,
                large: self.large,
            })?;
        }
        Ok(())
    }
}
