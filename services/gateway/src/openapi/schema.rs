//! Messages and enums as JSON Schema (draft 2020-12), in the form canonical JSON gives them.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value,
};
use serde_json::{Map, Value as Json, json};

use super::comments::Comments;

/// Collects the schemas that are referred to.
pub struct Schemas<'a> {
    comments: &'a Comments,
    behavior: Option<prost_reflect::ExtensionDescriptor>,
    class: Option<prost_reflect::ExtensionDescriptor>,
    /// Messages that answers hold. Their fields may be masked, so none is required in them.
    answers: BTreeSet<String>,
    done: BTreeMap<String, Json>,
}

/// What `google.api.field_behavior` says of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behavior {
    /// Must be given.
    pub required: bool,
    /// Is only answered.
    pub output_only: bool,
    /// Is never answered.
    pub input_only: bool,
}

impl<'a> Schemas<'a> {
    /// Nothing yet. `outputs` are the answers of all methods.
    pub fn new(
        pool: &DescriptorPool,
        comments: &'a Comments,
        outputs: impl Iterator<Item = MessageDescriptor>,
    ) -> Self {
        let mut answers = BTreeSet::new();
        let mut queue: Vec<_> = outputs.collect();
        while let Some(message) = queue.pop() {
            if answers.insert(message.full_name().to_owned()) {
                queue.extend(
                    message
                        .fields()
                        .filter_map(|f| f.kind().as_message().cloned()),
                );
            }
        }
        Self {
            comments,
            behavior: pool.get_extension_by_name("google.api.field_behavior"),
            class: pool.get_extension_by_name("jinke.type.v1.field_class"),
            answers,
            done: BTreeMap::new(),
        }
    }

    /// All schemas that were referred to.
    pub fn finish(self) -> Json {
        Json::Object(self.done.into_iter().collect())
    }

    /// The comment of a field.
    pub fn comment(&self, field: &FieldDescriptor) -> &'a str {
        self.comments
            .of(&field.parent_message().parent_file(), field.path())
    }

    /// The behavior of a field.
    pub fn behavior(&self, field: &FieldDescriptor) -> Behavior {
        let mut out = Behavior::default();
        if let Some(extension) = &self.behavior {
            let options = field.options();
            let stated = options.get_extension(extension);
            for value in stated.as_list().unwrap_or_default() {
                match value.as_enum_number() {
                    Some(2) => out.required = true,
                    Some(3) => out.output_only = true,
                    Some(4) => out.input_only = true,
                    _ => {}
                }
            }
        }
        out
    }

    /// A reference to a message, or what it is when it has a form of its own.
    pub fn message(&mut self, message: &MessageDescriptor) -> Json {
        if let Some(own) = well_known(message) {
            return own;
        }
        let name = message.full_name();
        if !self.done.contains_key(name) {
            // Entered first: a message may hold itself.
            self.done.insert(name.to_owned(), Json::Null);
            let object = self.object(message, &[]);
            self.done.insert(name.to_owned(), object);
        }
        reference(name)
    }

    /// A message written out, without some of its fields.
    pub fn object(&mut self, message: &MessageDescriptor, without: &[u32]) -> Json {
        let mut properties = Map::new();
        let mut required = Vec::new();
        let asks = !self.answers.contains(message.full_name());
        for field in message.fields().filter(|f| !without.contains(&f.number())) {
            if asks && self.behavior(&field).required {
                required.push(Json::from(field.json_name()));
            }
            properties.insert(field.json_name().to_owned(), self.field(&field));
        }
        let mut out =
            json!({"type": "object", "properties": properties, "additionalProperties": false});
        if !required.is_empty() {
            out["required"] = Json::Array(required);
        }
        describe(
            &mut out,
            self.comments.of(&message.parent_file(), message.path()),
        );
        out
    }

    /// A field, with its comment.
    pub fn field(&mut self, field: &FieldDescriptor) -> Json {
        let mut out = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let value = self.kind(&entry.map_entry_value_field().kind());
                json!({"type": "object", "additionalProperties": value})
            }
            kind if field.is_list() => json!({"type": "array", "items": self.kind(&kind)}),
            kind => self.kind(&kind),
        };
        let behavior = self.behavior(field);
        if behavior.output_only {
            out["readOnly"] = Json::Bool(true);
        }
        if behavior.input_only {
            out["writeOnly"] = Json::Bool(true);
        }
        if let Some(class) = &self.class
            && let Value::EnumNumber(number) = *field.options().get_extension(class)
            && let Some(known) = class.kind().as_enum().and_then(|e| e.get_value(number))
            && number != 0
        {
            out["x-jinke-field-class"] = Json::from(known.name());
        }
        let comment = self.comment(field);
        let mut comment = comment.to_owned();
        if let Some(oneof) = field.containing_oneof().filter(|o| !o.is_synthetic()) {
            let note = format!("One of the fields of `{}`.", oneof.name());
            comment = if comment.is_empty() {
                note
            } else {
                format!("{comment} {note}")
            };
        }
        describe(&mut out, &comment);
        out
    }

    /// A value of one kind.
    pub fn kind(&mut self, kind: &Kind) -> Json {
        match kind {
            Kind::Double => json!({"type": "number", "format": "double"}),
            Kind::Float => json!({"type": "number", "format": "float"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({"type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX})
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({"type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX})
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,18}$"})
            }
            Kind::Uint64 | Kind::Fixed64 => {
                json!({"type": "string", "format": "uint64", "pattern": "^[0-9]{1,19}$"})
            }
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Enum(descriptor) => self.enumeration(descriptor),
            Kind::Message(message) => self.message(message),
        }
    }

    fn enumeration(&mut self, descriptor: &EnumDescriptor) -> Json {
        let name = descriptor.full_name();
        if !self.done.contains_key(name) {
            let file = descriptor.parent_file();
            let names: Vec<_> = descriptor.values().map(|v| v.name().to_owned()).collect();
            let mut text = self.comments.of(&file, descriptor.path()).to_owned();
            for value in descriptor.values() {
                let comment = self.comments.of(&file, value.path());
                if !comment.is_empty() {
                    text.push_str(&format!("\n- `{}`: {comment}", value.name()));
                }
            }
            let mut schema = json!({"type": "string", "enum": names});
            describe(&mut schema, text.trim_start());
            self.done.insert(name.to_owned(), schema);
        }
        reference(name)
    }
}

/// Puts a description into a schema when there is one.
pub fn describe(schema: &mut Json, text: &str) {
    if !text.is_empty() {
        schema["description"] = Json::from(text);
    }
}

fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Messages that canonical JSON gives a form of their own.
fn well_known(message: &MessageDescriptor) -> Option<Json> {
    Some(
        match message.full_name().strip_prefix("google.protobuf.")? {
            "Timestamp" => json!({"type": "string", "format": "date-time"}),
            "Duration" => json!({
                "type": "string", "pattern": "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$",
                "examples": ["1.5s"],
            }),
            "FieldMask" => json!({
                "type": "string", "pattern": "^([a-zA-Z0-9]+([.,][a-zA-Z0-9]+)*)?$",
                "examples": ["displayName,email"],
            }),
            "Any" => json!({
                "type": "object", "properties": {"@type": {"type": "string"}},
                "required": ["@type"], "additionalProperties": true,
            }),
            "Struct" => json!({"type": "object", "additionalProperties": true}),
            "ListValue" => json!({"type": "array", "items": {}}),
            "Value" => json!({}),
            "Empty" => json!({"type": "object", "additionalProperties": false}),
            "DoubleValue" | "FloatValue" => json!({"type": ["number", "null"]}),
            "Int32Value" | "UInt32Value" => json!({"type": ["integer", "null"]}),
            "Int64Value" | "UInt64Value" | "StringValue" => json!({"type": ["string", "null"]}),
            "BytesValue" => json!({"type": ["string", "null"], "contentEncoding": "base64"}),
            "BoolValue" => json!({"type": ["boolean", "null"]}),
            _ => return None,
        },
    )
}
