//! Tables as the database describes them, and their cells on the way out and in.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jinke_types::Failure;
use serde_json::Value;

use crate::{
    migrate,
    sql::{Arg, Conn, Engine, Row},
};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    Bytes,
}

/// A table as the database describes it.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    /// Columns by name.
    pub(super) columns: BTreeMap<String, Kind>,
    pub(super) key: Vec<String>,
}

/// Names are put into statements, so only plain ones are taken.
fn plain(name: String) -> Result<String, Failure> {
    let fits = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits {
        return Ok(name);
    }
    Err(Failure::internal(
        "a table or column has a name that cannot be copied",
    ))
}

/// The tables in the order they were made in, so that what is referred to comes first. Those that
/// say which migrations were applied are no data.
pub(super) async fn tables(conn: &mut Conn) -> Result<Vec<Table>, Failure> {
    let engine = conn.engine();
    let list = match engine {
        Engine::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
             ORDER BY rowid"
        }
        Engine::Postgres => {
            "SELECT CAST(c.relname AS TEXT) AS name FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() AND c.relkind = 'r' ORDER BY c.oid"
        }
    };
    let mut out = Vec::new();
    for row in conn.fetch_all(list, Vec::new()).await? {
        let name = plain(row.text("name")?)?;
        if !migrate::TABLES.contains(&&*name) {
            let (columns, key) = described(conn, &name).await?;
            out.push(Table { name, columns, key });
        }
    }
    Ok(out)
}

async fn described(
    conn: &mut Conn,
    table: &str,
) -> Result<(BTreeMap<String, Kind>, Vec<String>), Failure> {
    let ask = match conn.engine() {
        Engine::Sqlite => {
            "SELECT name, lower(type) AS kind, pk AS place FROM pragma_table_info($1) ORDER BY pk"
        }
        Engine::Postgres => {
            "SELECT CAST(a.attname AS TEXT) AS name, format_type(a.atttypid, NULL) AS kind, \
             CAST(coalesce(array_position(CAST(i.indkey AS int2[]), a.attnum) + 1, 0) AS BIGINT) \
             AS place \
             FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
             WHERE a.attrelid = CAST(CAST($1 AS TEXT) AS regclass) AND a.attnum > 0 \
             AND NOT a.attisdropped ORDER BY place"
        }
    };
    let mut columns = BTreeMap::new();
    let mut key = Vec::new();
    for row in conn.fetch_all(ask, crate::args![table]).await? {
        let name = plain(row.text("name")?)?;
        let kind = match &*row.text("kind")? {
            "integer" | "bigint" | "smallint" | "boolean" => Kind::Number,
            "text" => Kind::Text,
            "blob" | "bytea" => Kind::Bytes,
            _ => {
                return Err(Failure::internal(format!(
                    "the column {table}.{name} is of a type that cannot be copied"
                )));
            }
        };
        if row.i64("place")? > 0 {
            key.push(name.clone());
        }
        columns.insert(name, kind);
    }
    if key.is_empty() {
        return Err(Failure::internal(format!(
            "the table {table} has no primary key"
        )));
    }
    Ok((columns, key))
}

pub(super) fn cell(row: &Row, name: &str, kind: Kind) -> Result<Value, Failure> {
    Ok(match kind {
        Kind::Number => row.opt_i64(name)?.map_or(Value::Null, Value::from),
        Kind::Text => row.opt_text(name)?.map_or(Value::Null, Value::from),
        Kind::Bytes => row
            .opt_bytes(name)?
            .map_or(Value::Null, |bytes| Value::from(STANDARD.encode(bytes))),
    })
}

pub(super) fn arg(value: &Value, kind: Kind) -> Option<Arg> {
    Some(match (kind, value) {
        (Kind::Number, Value::Null) => Arg::NoI64,
        (Kind::Text, Value::Null) => Arg::NoText,
        (Kind::Bytes, Value::Null) => Arg::NoBytes,
        (Kind::Number, value) => Arg::I64(value.as_i64()?),
        (Kind::Text, Value::String(text)) => Arg::Text(text.clone()),
        (Kind::Bytes, Value::String(text)) => Arg::Bytes(STANDARD.decode(text).ok()?),
        _ => return None,
    })
}
