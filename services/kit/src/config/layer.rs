//! One layer: keys and values with the place each stands at.

use std::{fmt, fs, ops::Range, path::Path};

use toml::Value;
use toml_edit::{Document, Item, TableLike};

use super::{Key, Wrong};

/// Largest configuration file read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The default file built into the program.
    Default,
    /// A file, and the line in it.
    File(String, usize),
    /// An environment variable.
    Variable(String),
    /// `--set`.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{path}:{line}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag => f.write_str("flag --set"),
        }
    }
}

/// One setting.
pub(super) struct Leaf {
    pub(super) key: Key,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// Reads a file.
pub(super) fn file(path: &Path) -> Result<(Vec<Leaf>, Vec<Key>), Wrong> {
    let name = path.display().to_string();
    let wrong = |place: String, why: String| ("the file".to_owned(), place, why);
    let size = fs::metadata(path)
        .map_err(|e| wrong(name.clone(), e.to_string()))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(wrong(
            name,
            format!("is larger than {MAX_FILE_BYTES} bytes"),
        ));
    }
    let text = fs::read_to_string(path).map_err(|e| wrong(name.clone(), e.to_string()))?;
    toml(&text, |line| Origin::File(name.clone(), line))
        .map_err(|(line, why)| wrong(format!("{name}:{line}"), why))
}

/// Settings and empty tables of a TOML text; or the line and what is wrong there.
pub(super) fn toml(
    text: &str,
    origin: impl Fn(usize) -> Origin,
) -> Result<(Vec<Leaf>, Vec<Key>), (usize, String)> {
    let line = |span: Option<Range<usize>>| {
        span.map_or(1, |s| {
            text[..s.start.min(text.len())].matches('\n').count() + 1
        })
    };
    let document =
        Document::parse(text).map_err(|e| (line(e.span()), e.message().replace('\n', "; ")))?;
    let mut leaves = Vec::new();
    let mut empty = Vec::new();
    let mut todo = vec![(Key::new(), document.as_table() as &dyn TableLike)];
    while let Some((path, table)) = todo.pop() {
        for (name, item) in table.iter() {
            let mut key = path.clone();
            key.push(name.to_owned());
            let at = table
                .key(name)
                .and_then(toml_edit::Key::span)
                .or_else(|| item.span());
            match item.as_table_like() {
                Some(inner) if inner.is_empty() => empty.push(key),
                Some(inner) => todo.push((key, inner)),
                None => {
                    if let Some(value) = plain(item) {
                        leaves.push(Leaf {
                            key,
                            value,
                            origin: origin(line(at)),
                        });
                    }
                }
            }
        }
    }
    Ok((leaves, empty))
}

/// The value without its place.
fn plain(item: &Item) -> Option<Value> {
    match item {
        Item::Value(value) => plain_value(value),
        Item::ArrayOfTables(tables) => Some(Value::Array(
            tables.iter().map(|t| plain_table(t)).collect(),
        )),
        Item::None | Item::Table(_) => None,
    }
}

fn plain_table(table: &dyn TableLike) -> Value {
    let entries = table.iter().filter_map(|(k, item)| {
        let value = item
            .as_table_like()
            .map(plain_table)
            .or_else(|| plain(item))?;
        Some((k.to_owned(), value))
    });
    Value::Table(entries.collect())
}

fn plain_value(value: &toml_edit::Value) -> Option<Value> {
    Some(match value {
        toml_edit::Value::String(s) => Value::String(s.value().clone()),
        toml_edit::Value::Integer(i) => Value::Integer(*i.value()),
        toml_edit::Value::Float(f) => Value::Float(*f.value()),
        toml_edit::Value::Boolean(b) => Value::Boolean(*b.value()),
        toml_edit::Value::Datetime(d) => Value::String(d.value().to_string()),
        toml_edit::Value::Array(a) => Value::Array(a.iter().filter_map(plain_value).collect()),
        toml_edit::Value::InlineTable(t) => plain_table(t),
    })
}

/// Whether a value can stand in for another: same type, or a whole number for a fraction.
pub(super) fn fits(present: &Value, value: &Value) -> bool {
    present.same_type(value) || matches!((present, value), (Value::Float(_), Value::Integer(_)))
}

/// The setting an environment variable makes; `None` when it is none of ours.
pub(super) fn variable<'a>(
    name: &str,
    text: String,
    kind: impl Fn(&[String]) -> Option<&'a Value>,
) -> Option<Leaf> {
    let rest = name.strip_prefix("JINKE_").filter(|r| r.contains("__"))?;
    let key: Key = rest.split("__").map(str::to_lowercase).collect();
    let value = typed(text, kind(&key));
    Some(Leaf {
        key,
        value,
        origin: Origin::Variable(name.to_owned()),
    })
}

/// The setting a flag makes.
pub(super) fn flag<'a>(
    flag: &str,
    kind: impl Fn(&[String]) -> Option<&'a Value>,
) -> Result<Leaf, Wrong> {
    let Some((key, text)) = flag.split_once('=') else {
        let why = "must be written section.key=value".to_owned();
        return Err((flag.to_owned(), Origin::Flag.to_string(), why));
    };
    let key: Key = key.trim().split('.').map(str::to_owned).collect();
    let value = typed(text.to_owned(), kind(&key));
    Ok(Leaf {
        key,
        value,
        origin: Origin::Flag,
    })
}

/// Reads text as the type that is wanted. Text that does not read so stays text, and is then
/// refused as being of the wrong type.
fn typed(text: String, wanted: Option<&Value>) -> Value {
    let read = match wanted {
        Some(Value::String(_)) => None,
        Some(Value::Array(_)) if !text.trim_start().starts_with('[') => Some(Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|s| !s.is_empty())
                .map(Value::from)
                .collect(),
        )),
        _ => toml::from_str::<toml::Table>(&format!("v = {text}"))
            .ok()
            .filter(|t| t.len() == 1)
            .and_then(|mut t| t.remove("v")),
    };
    read.unwrap_or(Value::String(text))
}

/// The known key most like an unknown one: same tables or same name, few letters changed.
pub(super) fn nearest<'a>(key: &Key, known: impl Iterator<Item = &'a Key>) -> Option<String> {
    let wrong = key.join(".");
    known
        .map(|k| k.join("."))
        .map(|k| (distance(&wrong, &k), k))
        .min()
        .filter(|(d, _)| *d <= 3)
        .map(|(_, k)| k)
}

/// Letters to change, add or leave out to get from one text to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
