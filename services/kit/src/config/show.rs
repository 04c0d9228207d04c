//! The effective configuration written out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use toml::Value;

use super::{Key, Origin};

type Values = BTreeMap<Key, (Value, Origin)>;

/// Everything below `prefix`, one key a line, and the key of each line.
pub(super) fn section(values: &Values, open: &BTreeSet<Key>, prefix: &Key) -> (String, Vec<Key>) {
    let mut text = String::new();
    let mut keys = Vec::new();
    for (key, (value, _)) in values
        .iter()
        .filter(|(k, _)| k.len() > prefix.len() && k.starts_with(prefix))
    {
        let _ = writeln!(text, "{} = {}", quoted(&key[prefix.len()..]), inline(value));
        keys.push(key.clone());
    }
    // A table that is empty in the defaults and in every layer still exists.
    let empty = open
        .iter()
        .filter(|k| k.len() > prefix.len() && k.starts_with(prefix))
        .filter(|k| !values.keys().any(|v| v.len() > k.len() && v.starts_with(k)));
    for key in empty {
        let _ = writeln!(text, "{} = {{}}", quoted(&key[prefix.len()..]));
        keys.push(key.clone());
    }
    (text, keys)
}

/// Every section, with origins.
pub(super) fn all(values: &Values, open: &BTreeSet<Key>) -> String {
    let mut tables = BTreeMap::<&[String], Vec<(&Key, &(Value, Origin))>>::new();
    for key in open {
        tables.entry(key).or_default();
    }
    for (key, value) in values {
        tables
            .entry(&key[..key.len() - 1])
            .or_default()
            .push((key, value));
    }
    let mut text = String::new();
    for (table, settings) in tables {
        let gap = if text.is_empty() { "" } else { "\n" };
        if !table.is_empty() {
            let _ = writeln!(text, "{gap}[{}]", quoted(table));
        }
        for (key, (value, origin)) in settings {
            let name = &key[key.len() - 1..];
            let value = hidden(&key[key.len() - 1], value);
            let _ = writeln!(text, "{} = {}  # {origin}", quoted(name), inline(&value));
        }
    }
    text
}

/// The value with secrets replaced by stars.
fn hidden(name: &str, value: &Value) -> Value {
    let secret = ["password", "secret", "token"]
        .iter()
        .any(|s| name == *s || name.strip_suffix(s).is_some_and(|n| n.ends_with('_')));
    match value {
        Value::String(s) if secret && !s.is_empty() => Value::from("***"),
        Value::String(s) => Value::String(without_password(s)),
        Value::Array(list) => Value::Array(list.iter().map(|v| hidden(name, v)).collect()),
        Value::Table(t) => Value::Table(t.iter().map(|(k, v)| (k.clone(), hidden(k, v))).collect()),
        other if secret => Value::from(format!("*** ({})", other.type_str())),
        other => other.clone(),
    }
}

/// A URL without the password in it: `postgres://jinke:***@host/db`.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // An unescaped `/` in a password ends the authority early; then all up to the last @ goes.
    let at = authority.rfind('@').or_else(|| rest.rfind('@'));
    let hidden = at.and_then(|at| {
        let user = rest[..at].split_once(':')?.0;
        Some(format!("{scheme}://{user}:***{}", &rest[at..]))
    });
    let text = hidden.unwrap_or_else(|| text.to_owned());
    match text.split_once("password=") {
        Some((before, after)) => {
            let end = after.find('&').unwrap_or(after.len());
            format!("{before}password=***{}", &after[end..])
        }
        None => text,
    }
}

fn quoted(key: &[String]) -> String {
    let plain = |s: &str| {
        !s.is_empty()
            && s.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    key.iter()
        .map(|k| {
            if plain(k) {
                k.clone()
            } else {
                Value::from(k.as_str()).to_string()
            }
        })
        .collect::<Vec<_>>()
        .join(".")
}

/// The value on one line.
fn inline(value: &Value) -> String {
    match value {
        // JSON's escapes are TOML's too, and keep every text on one line.
        Value::String(s) => serde_json::Value::from(s.as_str())
            .to_string()
            .replace('\u{7f}', "\\u007F"),
        Value::Array(list) => {
            format!(
                "[{}]",
                list.iter().map(inline).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Table(t) => {
            let fields: Vec<_> = t
                .iter()
                .map(|(k, v)| format!("{} = {}", quoted(std::slice::from_ref(k)), inline(v)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}
