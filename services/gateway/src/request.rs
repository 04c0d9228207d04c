//! From an HTTP request to the request message of an RPC, by its [`Binding`].
//!
//! What the path binds may stand in the body too when it says the same. What the body holds may
//! not stand in the query. A parameter that is no field, is given twice (unless repeated), or is
//! of the wrong type is refused with its field.

use jinke_types::{Code, Failure, Violation};
use percent_encoding::percent_decode;
use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value};

use crate::{
    json, param,
    table::{Binding, BodyRule},
    template::Captured,
};

/// Query parameters of one request.
pub const MAX_PARAMETERS: usize = 1000;

/// What came besides the head.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The path's values, in order of the template's variables.
    pub captured: Vec<Captured>,
    /// The query as it came, without `?`.
    pub query: String,
    /// Where to go on with a stream, from `Last-Event-ID`; wins over the query's `page_token`.
    pub resume: Option<String>,
}

/// Builds the request message.
///
/// # Errors
/// `INVALID_ARGUMENT` with every parameter that is wrong, or what is wrong with the body.
pub fn build(binding: &Binding, parts: &Parts, body: &[u8]) -> Result<DynamicMessage, Failure> {
    let mut message = match &binding.body {
        // A body that is not there is an empty message, so that `curl -X POST` does.
        _ if body.is_empty() => DynamicMessage::new(binding.method.input()),
        BodyRule::None => {
            let what = "this method takes no body";
            return Err(Failure::new(
                Code::InvalidArgument,
                "INVALID_ARGUMENT",
                what,
            ));
        }
        BodyRule::All => json::message(&binding.method.input(), body, "")?,
        BodyRule::Field(field) => {
            let mut message = DynamicMessage::new(binding.method.input());
            let value = json::field(field, body)?;
            message.set_field(field, value);
            message
        }
    };
    let mut wrong = Vec::new();
    for (fields, captured) in binding.variables.iter().zip(&parts.captured) {
        if let Err(description) = bind(&mut message, fields, captured.as_deref()) {
            wrong.push(Violation {
                field: param::dotted(fields),
                description: description.to_owned(),
            });
        }
    }
    query(binding, &mut message, &parts.query, &mut wrong);
    if let (Some(resume), Some(field)) = (&parts.resume, resumable(binding)) {
        message.set_field(&field, Value::String(resume.clone()));
    }
    if wrong.is_empty() {
        Ok(message)
    } else {
        Err(Failure::fields(wrong))
    }
}

/// The field a stream of this binding goes on from.
pub fn resumable(binding: &Binding) -> Option<FieldDescriptor> {
    let text = |f: FieldDescriptor| {
        (!f.is_list() && matches!(f.kind(), prost_reflect::Kind::String)).then_some(f)
    };
    let from = binding
        .method
        .input()
        .get_field_by_name("page_token")
        .and_then(text)?;
    binding
        .method
        .output()
        .get_field_by_name("next_page_token")
        .and_then(text)?;
    Some(from)
}

fn bind(
    message: &mut DynamicMessage,
    fields: &[FieldDescriptor],
    captured: Option<&str>,
) -> Result<(), &'static str> {
    let text = captured.ok_or("is not UTF-8 in percent escapes")?;
    let leaf = fields.last().ok_or("is empty")?;
    let value = param::value(&leaf.kind(), text)?;
    match param::get(message, fields) {
        Some(stated) if stated != value => Err("is not what the path says"),
        Some(_) => Ok(()),
        None => param::set(message, fields, value),
    }
}

fn query(binding: &Binding, message: &mut DynamicMessage, query: &str, wrong: &mut Vec<Violation>) {
    let mut seen: Vec<String> = Vec::new();
    for (n, pair) in query.split('&').filter(|p| !p.is_empty()).enumerate() {
        let mut refuse = |field: &str, description: &str| {
            let field = field.chars().take(100).collect();
            wrong.push(Violation {
                field,
                description: description.to_owned(),
            });
        };
        if n >= MAX_PARAMETERS {
            refuse(pair, "is one parameter more than a query may have");
            return;
        }
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), text) = (form(name), form(text)) else {
            refuse(name, "is not UTF-8 in percent escapes");
            continue;
        };
        let fields = match param::resolve(&message.descriptor(), &name) {
            Ok(fields) => fields,
            Err(violation) => {
                refuse(&violation.field, &violation.description);
                continue;
            }
        };
        let (dotted, Some(leaf)) = (param::dotted(&fields), fields.last()) else {
            continue;
        };
        let taken = match &binding.body {
            BodyRule::None => false,
            BodyRule::All => true,
            BodyRule::Field(body) => fields.first() == Some(body),
        };
        if taken {
            refuse(&dotted, "belongs into the body");
        } else if binding.variables.contains(&fields) {
            refuse(&dotted, "is bound by the path");
        } else if !param::is_parameter(leaf) {
            refuse(&dotted, "cannot be given in the query");
        } else if !leaf.is_list() && seen.contains(&dotted) {
            refuse(&dotted, "is given twice");
        } else {
            let set = match text {
                None => Err("is not UTF-8 in percent escapes"),
                Some(text) => param::value(&leaf.kind(), &text)
                    .and_then(|value| param::set(message, &fields, value)),
            };
            if let Err(description) = set {
                refuse(&dotted, description);
            }
            if !leaf.is_list() {
                seen.push(dotted);
            }
        }
    }
}

/// Decodes a part of a query as forms are encoded; `None` when it is not UTF-8.
fn form(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes())
        .decode_utf8()
        .ok()
        .map(|s| s.into_owned())
}
