//! What may be bound to a statement, and the statement's text.

use std::borrow::Cow;

use jinke_types::{Failure, Timestamp};
use sqlx::{postgres::PgArguments, sqlite::SqliteArguments};

use crate::error::nul_in_text;

/// The text of a statement: a literal, or one put together by code.
///
/// A `&'static str` becomes one by itself. Text made at run time must say so with
/// [`Sql::assembled`], so that a reader sees where to look for injected input. Values never
/// belong in the text: bind them.
#[derive(Clone, Debug)]
pub struct Sql(Cow<'static, str>);

impl Sql {
    /// Text put together by code, from literals only.
    pub fn assembled(text: String) -> Self {
        Self(Cow::Owned(text))
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The text for PostgreSQL: `x IN LIST($1)` is `x = ANY($1)`.
    pub(crate) fn into_postgres(self, has_list: bool) -> Cow<'static, str> {
        if has_list {
            Cow::Owned(
                self.0
                    .replace("NOT IN LIST(", "<> ALL(")
                    .replace("IN LIST(", "= ANY("),
            )
        } else {
            self.0
        }
    }
    /// The text for SQLite: `x IN LIST($1)` is `x IN (SELECT value FROM json_each($1))`.
    pub(crate) fn into_sqlite(self, has_list: bool) -> Cow<'static, str> {
        if !has_list {
            return self.0;
        }
        let mut out = String::with_capacity(self.0.len() + 40);
        let mut rest = self.0.as_ref();
        while let Some((before, after)) = rest.split_once("IN LIST(") {
            out.push_str(before);
            let (parameter, tail) = after.split_once(')').unwrap_or((after, ""));
            out.push_str("IN (SELECT value FROM json_each(");
            out.push_str(parameter);
            out.push_str("))");
            rest = tail;
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

/// One value bound to a statement. There is no float on purpose (decision D3).
///
/// Booleans are stored as the integers 0 and 1, times as microseconds, on both engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    /// A 64-bit integer: `BIGINT` on PostgreSQL, `INTEGER` on SQLite.
    I64(i64),
    /// Text without NUL characters. A NUL is refused with `NUL_IN_TEXT`.
    Text(String),
    /// Bytes: `BYTEA` on PostgreSQL, `BLOB` on SQLite.
    Bytes(Vec<u8>),
    /// NULL where an integer belongs.
    NoI64,
    /// NULL where text belongs.
    NoText,
    /// NULL where bytes belong.
    NoBytes,
    /// A list of integers, for `IN LIST($n)`.
    I64s(Vec<i64>),
    /// A list of texts, for `IN LIST($n)`.
    Texts(Vec<String>),
}

impl Arg {
    pub(crate) const fn is_list(&self) -> bool {
        matches!(self, Self::I64s(_) | Self::Texts(_))
    }

    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Text(t) if t.contains('\0') => Err(nul_in_text()),
            Self::Texts(ts) if ts.iter().any(|t| t.contains('\0')) => Err(nul_in_text()),
            _ => Ok(()),
        }
    }

    pub(crate) fn bind_sqlite(self, to: &mut SqliteArguments) -> Result<(), Failure> {
        use sqlx::Arguments as _;
        self.check()?;
        match self {
            Self::I64(v) => to.add(v),
            Self::Text(v) => to.add(v),
            Self::Bytes(v) => to.add(v),
            Self::NoI64 => to.add(None::<i64>),
            Self::NoText => to.add(None::<String>),
            Self::NoBytes => to.add(None::<Vec<u8>>),
            Self::I64s(v) => to.add(json(&v)?),
            Self::Texts(v) => to.add(json(&v)?),
        }
        .map_err(Failure::internal)
    }

    pub(crate) fn bind_postgres(self, to: &mut PgArguments) -> Result<(), Failure> {
        use sqlx::Arguments as _;
        self.check()?;
        match self {
            Self::I64(v) => to.add(v),
            Self::Text(v) => to.add(v),
            Self::Bytes(v) => to.add(v),
            Self::NoI64 => to.add(None::<i64>),
            Self::NoText => to.add(None::<String>),
            Self::NoBytes => to.add(None::<Vec<u8>>),
            Self::I64s(v) => to.add(v),
            Self::Texts(v) => to.add(v),
        }
        .map_err(Failure::internal)
    }
}

fn json<T: serde::Serialize>(list: &[T]) -> Result<String, Failure> {
    serde_json::to_string(list).map_err(Failure::internal)
}

macro_rules! arg_from {
    ($($from:ty => $make:expr, $none:expr;)+) => { $(
        impl From<$from> for Arg {
            fn from(value: $from) -> Self { $make(value) }
        }
        impl From<Option<$from>> for Arg {
            fn from(value: Option<$from>) -> Self { value.map_or($none, $make) }
        }
    )+ };
}

arg_from! {
    i64 => Arg::I64, Arg::NoI64;
    i32 => |v| Arg::I64(i64::from(v)), Arg::NoI64;
    u32 => |v| Arg::I64(i64::from(v)), Arg::NoI64;
    bool => |v| Arg::I64(i64::from(v)), Arg::NoI64;
    Timestamp => |v: Timestamp| Arg::I64(v.0), Arg::NoI64;
    String => Arg::Text, Arg::NoText;
    &str => |v: &str| Arg::Text(v.to_owned()), Arg::NoText;
    &String => |v: &String| Arg::Text(v.clone()), Arg::NoText;
    Vec<u8> => Arg::Bytes, Arg::NoBytes;
    &[u8] => |v: &[u8]| Arg::Bytes(v.to_vec()), Arg::NoBytes;
    &Vec<u8> => |v: &Vec<u8>| Arg::Bytes(v.clone()), Arg::NoBytes;
}

impl From<Vec<i64>> for Arg {
    fn from(list: Vec<i64>) -> Self {
        Self::I64s(list)
    }
}
impl From<&[i64]> for Arg {
    fn from(list: &[i64]) -> Self {
        Self::I64s(list.to_vec())
    }
}
impl From<&Vec<i64>> for Arg {
    fn from(list: &Vec<i64>) -> Self {
        Self::I64s(list.clone())
    }
}
impl From<Vec<String>> for Arg {
    fn from(list: Vec<String>) -> Self {
        Self::Texts(list)
    }
}
impl From<&[String]> for Arg {
    fn from(list: &[String]) -> Self {
        Self::Texts(list.to_vec())
    }
}
impl From<Vec<&str>> for Arg {
    fn from(list: Vec<&str>) -> Self {
        Self::Texts(list.into_iter().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_written_for_each_engine() {
        let sql = Sql::from("SELECT 1 FROM t WHERE a IN LIST($1) AND b NOT IN LIST($2) AND c = $3");
        assert_eq!(
            sql.clone().into_postgres(true),
            "SELECT 1 FROM t WHERE a = ANY($1) AND b <> ALL($2) AND c = $3"
        );
        assert_eq!(
            sql.into_sqlite(true),
            "SELECT 1 FROM t WHERE a IN (SELECT value FROM json_each($1)) \
             AND b NOT IN (SELECT value FROM json_each($2)) AND c = $3"
        );
    }

    #[test]
    fn nul_is_refused_in_text_and_lists_alone() {
        assert_eq!(Arg::from("a\0b").check().unwrap_err().reason, "NUL_IN_TEXT");
        assert_eq!(
            Arg::from(vec!["a", "\0"]).check().unwrap_err().reason,
            "NUL_IN_TEXT"
        );
        assert!(Arg::from(vec![0_u8]).check().is_ok());
    }
}
