//! The OpenAPI 3.1 document of everything the gateway serves, made from the descriptor set.
//!
//! A variable such as `{name=customers/*}` becomes `customers/{customer}`: OpenAPI has no path
//! parameters with slashes in them. Comments are descriptions. Members are sorted by name, so that
//! the text is the same for the same protos.

mod comments;
mod schema;

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind};
use serde_json::{Map, Value as Json, json};

use crate::{
    param, request,
    table::{Binding, BodyRule, Table},
    template::Segment,
};
use comments::Comments;
use schema::{Schemas, describe};

/// The document as indented JSON with a line feed at the end.
pub fn text(pool: &DescriptorPool, table: &Table) -> String {
    let mut out = format!("{:#}", document(pool, table));
    out.push('\n');
    out
}

/// The document.
pub fn document(pool: &DescriptorPool, table: &Table) -> Json {
    let comments = Comments::read(pool);
    let status = pool.get_message_by_name("google.rpc.Status");
    let mut schemas = Schemas::new(
        pool,
        &comments,
        table
            .iter()
            .map(|b| b.method.output())
            .chain(status.clone()),
    );
    let mut paths: BTreeMap<String, Map<String, Json>> = BTreeMap::new();
    let mut tags: BTreeMap<String, Json> = BTreeMap::new();
    for binding in table.iter() {
        let service = binding.method.parent_service();
        tags.entry(service.name().to_owned()).or_insert_with(|| {
            let mut tag = json!({"name": service.name()});
            describe(
                &mut tag,
                comments.of(&service.parent_file(), service.path()),
            );
            tag
        });
        let (path, places) = path(binding);
        let operation = operation(binding, &places, &comments, &mut schemas);
        paths
            .entry(path)
            .or_default()
            .insert(binding.http.as_str().to_lowercase(), operation);
    }
    let error = match &status {
        Some(status) => schemas.message(status),
        None => json!({"type": "object"}),
    };
    let header = |text: &str| json!({"description": text, "schema": {"type": "string"}});
    let error = json!({
        "description": "An error. Programs act on the reason of the `google.rpc.ErrorInfo` in the \
                        details; fields that are wrong are in `google.rpc.BadRequest`.",
        "headers": {
            "x-request-id": header("Names the request in the logs of every service."),
            "retry-after": header("Seconds after which trying again may help."),
        },
        "content": {"application/json": {"schema": error}},
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Jinke 金客",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Golden customers and everything around them, as canonical proto3 JSON: \
                            64-bit integers are strings, enums names, times RFC 3339, members at \
                            their defaults are left out. Every answer has `x-request-id`.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": tags.into_values().collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "responses": {"Error": error},
            "securitySchemes": {"bearer": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "An access token of TokenService.",
            }},
        },
    })
}

/// A wildcard of a path: its name, and the field it is in.
struct Place {
    name: String,
    field: Option<FieldDescriptor>,
}

fn path(binding: &Binding) -> (String, Vec<Place>) {
    let template = &binding.template;
    let mut out = String::new();
    let mut places: Vec<Place> = Vec::new();
    let mut before = "";
    for (at, segment) in template.segments.iter().enumerate() {
        out.push('/');
        if let Segment::Literal(text) = segment {
            out.push_str(text);
            before = text;
            continue;
        }
        let variable = template
            .variables
            .iter()
            .position(|v| (v.start..v.end).contains(&at));
        let field = variable.and_then(|v| binding.variables[v].last().cloned());
        let alone =
            variable.is_some_and(|v| template.variables[v].end - template.variables[v].start == 1);
        let mut name = match (&field, alone) {
            (Some(field), true) => field.json_name().to_owned(),
            _ => singular(before),
        };
        while places.iter().any(|p| p.name == name) {
            name.push('_');
        }
        out.push_str(&format!("{{{name}}}"));
        places.push(Place { name, field });
    }
    if let Some(verb) = &template.verb {
        out.push(':');
        out.push_str(verb);
    }
    (out, places)
}

/// `customer` of `customers`.
fn singular(word: &str) -> String {
    match word {
        "" => "id".to_owned(),
        _ => match (word.strip_suffix("ies"), word.strip_suffix('s')) {
            (Some(stem), _) => format!("{stem}y"),
            (None, Some(stem)) => stem.to_owned(),
            (None, None) => format!("{word}Id"),
        },
    }
}

fn operation(
    binding: &Binding,
    places: &[Place],
    comments: &Comments,
    schemas: &mut Schemas<'_>,
) -> Json {
    let method = &binding.method;
    let service = method.parent_service();
    let comment = comments.of(&service.parent_file(), method.path());
    let mut id = format!("{}_{}", service.name(), method.name());
    if binding.nth > 0 {
        id.push_str(&format!("_{}", binding.nth + 1));
    }
    let mut parameters: Vec<Json> = places
        .iter()
        .map(|place| {
            let mut parameter = json!({
                "name": place.name, "in": "path", "required": true,
                "schema": {"type": "string", "minLength": 1, "pattern": "^[^/]+$"},
            });
            if let Some(field) = &place.field {
                describe(&mut parameter, schemas.comment(field));
            }
            parameter
        })
        .collect();
    if binding.body != BodyRule::All {
        let fields = method.input().fields().collect::<Vec<_>>();
        for field in fields {
            if BodyRule::Field(field.clone()) != binding.body {
                query(binding, &mut vec![field], schemas, &mut parameters);
            }
        }
    }
    if binding.streams() && request::resumable(binding).is_some() {
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "schema": {"type": "string"},
            "description": "The last event's id: go on behind it. Wins over `pageToken`.",
        }));
    }
    let mut out = json!({
        "operationId": id,
        "tags": [service.name()],
        "responses": responses(binding, schemas),
    });
    describe(&mut out, comment);
    if let Some(end) = comment.find(['.', '\n']) {
        out["summary"] = Json::from(&comment[..end]);
    }
    if !parameters.is_empty() {
        out["parameters"] = Json::Array(parameters);
    }
    if let Some(body) = body(binding, schemas) {
        out["requestBody"] = body;
    }
    if binding.public {
        out["security"] = json!([]);
    }
    if !binding.permission.is_empty() {
        out["x-jinke-permission"] = Json::from(binding.permission.as_str());
    }
    out
}

/// Adds the parameters a field can be given with; for a message, those of its fields.
fn query(
    binding: &Binding,
    fields: &mut Vec<FieldDescriptor>,
    schemas: &mut Schemas<'_>,
    out: &mut Vec<Json>,
) {
    let Some(leaf) = fields.last().cloned() else {
        return;
    };
    if binding.variables.contains(fields) {
        return;
    }
    if param::is_parameter(&leaf) {
        let name: Vec<_> = fields.iter().map(FieldDescriptor::json_name).collect();
        let mut schema = schemas.field(&leaf);
        let description = schema.as_object_mut().and_then(|s| s.remove("description"));
        let mut parameter = json!({"name": name.join("."), "in": "query", "schema": schema});
        if let Some(text) = description.as_ref().and_then(Json::as_str) {
            describe(&mut parameter, text);
        }
        if fields.len() == 1 && schemas.behavior(&leaf).required {
            parameter["required"] = Json::Bool(true);
        }
        out.push(parameter);
        return;
    }
    let Kind::Message(message) = leaf.kind() else {
        return;
    };
    // A message within itself would go on for ever.
    let again = fields
        .iter()
        .filter(|f| f.kind().as_message() == Some(&message))
        .count()
        > 1;
    if leaf.is_list() || leaf.is_map() || again {
        return;
    }
    for inner in message.fields().collect::<Vec<_>>() {
        fields.push(inner);
        query(binding, fields, schemas, out);
        fields.pop();
    }
}

fn body(binding: &Binding, schemas: &mut Schemas<'_>) -> Option<Json> {
    let input = binding.method.input();
    let (schema, required) = match &binding.body {
        BodyRule::None => return None,
        BodyRule::Field(field) => (schemas.field(field), schemas.behavior(field).required),
        BodyRule::All => {
            let bound: Vec<u32> = binding
                .variables
                .iter()
                .filter_map(|v| {
                    if let [one] = v.as_slice() {
                        Some(one.number())
                    } else {
                        None
                    }
                })
                .collect();
            let rest = input
                .fields()
                .filter(|f| !bound.contains(&f.number()))
                .collect::<Vec<_>>();
            let required = rest.iter().any(|f| schemas.behavior(f).required);
            let schema = if bound.is_empty() {
                schemas.message(&input)
            } else {
                schemas.object(&input, &bound)
            };
            (schema, required)
        }
    };
    Some(json!({"required": required, "content": {"application/json": {"schema": schema}}}))
}

fn responses(binding: &Binding, schemas: &mut Schemas<'_>) -> Json {
    let output = binding.method.output();
    let schema = match &binding.response_body {
        Some(field) => schemas.field(field),
        None => schemas.message(&output),
    };
    let id = json!({"x-request-id": {
        "description": "Names the request in the logs of every service.",
        "schema": {"type": "string"},
    }});
    let success = if binding.streams() {
        json!({
            "description": "Server-sent events. The data of each is one message as JSON, its id \
                            where to go on after a cut; `event: error` is the last one.",
            "headers": id,
            "content": {"text/event-stream": {"schema": {
                "type": "object",
                "description": "One event.",
                "properties": {
                    "id": {"type": "string"},
                    "event": {"type": "string"},
                    "retry": {"type": "integer"},
                    "data": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "contentSchema": schema,
                    },
                },
            }}},
        })
    } else {
        json!({
            "description": "What was asked for.", "headers": id,
            "content": {"application/json": {"schema": schema}},
        })
    };
    let mut out = Map::new();
    out.insert("200".to_owned(), success);
    let mut codes = vec!["400", "404", "429", "default"];
    if !binding.public {
        codes.push("401");
    }
    if !binding.permission.is_empty() {
        codes.push("403");
    }
    if binding.body != BodyRule::None {
        codes.extend(["409", "413", "415"]);
    }
    for code in codes {
        out.insert(
            code.to_owned(),
            json!({"$ref": "#/components/responses/Error"}),
        );
    }
    Json::Object(out)
}
