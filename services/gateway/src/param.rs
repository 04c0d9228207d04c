//! From the text of a path segment or query parameter to the value of a field.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use jinke_types::Violation;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value,
};

/// Base64 with or without padding, as canonical JSON accepts it.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

fn wrong(field: &str, description: impl Into<String>) -> Violation {
    Violation {
        field: field.to_owned(),
        description: description.into(),
    }
}

/// The proto names of a field path, joined with dots.
pub fn dotted(path: &[FieldDescriptor]) -> String {
    path.iter()
        .map(FieldDescriptor::name)
        .collect::<Vec<_>>()
        .join(".")
}

/// The fields a dotted path leads through, each by its proto or JSON name. All but the last are
/// messages.
///
/// # Errors
/// A violation that names the path up to where it leads nowhere.
pub fn resolve(message: &MessageDescriptor, path: &str) -> Result<Vec<FieldDescriptor>, Violation> {
    let mut out: Vec<FieldDescriptor> = Vec::new();
    let mut at = Some(message.clone());
    for name in path.split('.') {
        let Some(message) = at else {
            return Err(wrong(&dotted(&out), "has no fields of its own"));
        };
        let found = message
            .get_field_by_name(name)
            .or_else(|| message.get_field_by_json_name(name));
        let Some(field) = found else {
            let shown: String = path.chars().take(100).collect();
            return Err(wrong(
                &shown,
                format!("is not a field of {}", message.name()),
            ));
        };
        at = match field.kind() {
            Kind::Message(inner) if !field.is_list() && !field.is_map() && !is_text(&inner) => {
                Some(inner)
            }
            _ => None,
        };
        out.push(field);
    }
    Ok(out)
}

/// Whether a message is one text or number in canonical JSON, and so can be a parameter.
pub fn is_text(message: &MessageDescriptor) -> bool {
    matches!(
        message.full_name(),
        "google.protobuf.Timestamp" | "google.protobuf.Duration" | "google.protobuf.FieldMask"
    ) || wrapped(message).is_some()
}

/// The field within a wrapper such as `google.protobuf.StringValue`.
fn wrapped(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    let scalar = name.strip_suffix("Value")?;
    let wrapper = matches!(
        scalar,
        "Double" | "Float" | "Int64" | "UInt64" | "Int32" | "UInt32" | "Bool" | "String" | "Bytes"
    );
    if wrapper { message.get_field(1) } else { None }
}

/// Whether a field can be given as a query parameter (repeated ones several times).
pub fn is_parameter(field: &FieldDescriptor) -> bool {
    !field.is_map()
        && match field.kind() {
            Kind::Message(message) => is_text(&message),
            _ => true,
        }
}

/// The value of one text. It is never quoted in an error.
///
/// # Errors
/// What the text should have been.
pub fn value(kind: &Kind, text: &str) -> Result<Value, &'static str> {
    fn number<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, &'static str> {
        // The parsers take a leading plus, canonical JSON does not.
        if text.starts_with('+') {
            Err(what)
        } else {
            text.parse().map_err(|_| what)
        }
    }
    fn float(text: &str) -> Result<f64, &'static str> {
        const WHAT: &str = "must be a number, NaN, Infinity or -Infinity";
        match text {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ if text
                .bytes()
                .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) =>
            {
                number::<f64>(text, WHAT)
                    .and_then(|f| if f.is_finite() { Ok(f) } else { Err(WHAT) })
            }
            _ => Err(WHAT),
        }
    }
    Ok(match kind {
        Kind::Double => Value::F64(float(text)?),
        Kind::Float => {
            let wide = float(text)?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a float field holds what fits"
            )]
            let narrow = wide as f32;
            if wide.is_finite() && !narrow.is_finite() {
                return Err("must be a number of single precision");
            }
            Value::F32(narrow)
        }
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            Value::I32(number(text, "must be a 32-bit integer")?)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            Value::I64(number(text, "must be a 64-bit integer")?)
        }
        Kind::Uint32 | Kind::Fixed32 => Value::U32(number(
            text,
            "must be a 32-bit integer that is not negative",
        )?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(number(
            text,
            "must be a 64-bit integer that is not negative",
        )?),
        Kind::Bool => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err("must be true or false"),
        },
        Kind::String => Value::String(text.to_owned()),
        Kind::Bytes => {
            let read = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
            Value::Bytes(Bytes::from(read.map_err(|_| "must be base64")?))
        }
        Kind::Enum(descriptor) => Value::EnumNumber(enum_number(descriptor, text)?),
        Kind::Message(message) => Value::Message(text_message(message, text)?),
    })
}

fn enum_number(descriptor: &EnumDescriptor, text: &str) -> Result<i32, &'static str> {
    if let Some(value) = descriptor.get_value_by_name(text) {
        return Ok(value.number());
    }
    const WHAT: &str = "must be the name or number of a value of the enum";
    let number = text.parse().map_err(|_| WHAT)?;
    // A number we do not know may be one a newer service does; but nothing else of ours is newer
    // than the gateway, so it is a mistake.
    descriptor.get_value(number).map(|v| v.number()).ok_or(WHAT)
}

fn text_message(message: &MessageDescriptor, text: &str) -> Result<DynamicMessage, &'static str> {
    let mut out = DynamicMessage::new(message.clone());
    if let Some(inner) = wrapped(message) {
        let value = value(&inner.kind(), text)?;
        out.set_field(&inner, value);
        return Ok(out);
    }
    let what = match message.full_name() {
        "google.protobuf.Timestamp" => "must be a time such as 2026-01-31T08:00:00Z",
        "google.protobuf.Duration" => "must be a duration in seconds such as 1.5s",
        "google.protobuf.FieldMask" => {
            // In a query a mask may hold the names as they are in the protos.
            if text.contains('_') {
                let paths = text.split(',').filter(|p| !p.is_empty());
                let paths = paths.map(|p| Value::String(p.to_owned())).collect();
                out.set_field_by_name("paths", Value::List(paths));
                return Ok(out);
            }
            "must be names of fields with commas between them"
        }
        _ => return Err("cannot be given as text"),
    };
    let json = serde_json::Value::String(text.to_owned());
    DynamicMessage::deserialize(message.clone(), json).map_err(|_| what)
}

/// Sets a field, or adds to a repeated one.
///
/// # Errors
/// When another field of the same oneof has been set, or a field on the way is no single message.
pub fn set(
    message: &mut DynamicMessage,
    path: &[FieldDescriptor],
    value: Value,
) -> Result<(), &'static str> {
    let Some((field, rest)) = path.split_first() else {
        return Err("is empty");
    };
    if let Some(oneof) = field.containing_oneof() {
        let other = oneof
            .fields()
            .any(|f| f.number() != field.number() && message.has_field(&f));
        if other {
            return Err("excludes another field that is set too");
        }
    }
    if !rest.is_empty() {
        let inner = message.get_field_mut(field).as_message_mut();
        return inner.map_or(Err("has no fields of its own"), |inner| {
            set(inner, rest, value)
        });
    }
    if field.is_list() {
        if let Some(list) = message.get_field_mut(field).as_list_mut() {
            list.push(value);
        }
        return Ok(());
    }
    message
        .try_set_field(field, value)
        .map_err(|_| "does not fit the field")
}

/// The value at a path when it is present.
pub fn get(message: &DynamicMessage, path: &[FieldDescriptor]) -> Option<Value> {
    let (field, rest) = path.split_first()?;
    if !message.has_field(field) {
        return None;
    }
    let value = message.get_field(field);
    if rest.is_empty() {
        Some(value.into_owned())
    } else {
        get(value.as_message()?, rest)
    }
}
