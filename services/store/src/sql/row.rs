//! One row of a result, with typed access by column name.

use jinke_types::{Failure, Timestamp};
use sqlx::{Row as _, TypeInfo as _, ValueRef as _, postgres::PgRow, sqlite::SqliteRow};

use crate::error::from_sqlx;

/// One row of a result. A wrong column name or type is a bug and gives `INTERNAL`.
#[derive(Debug)]
pub struct Row(pub(super) Inner);

pub(super) enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl std::fmt::Debug for Inner {
    // The values may be personal, so a row never shows them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

macro_rules! get {
    ($self:ident, $column:ident, $type:ty) => {
        match &$self.0 {
            Inner::Sqlite(row) => row.try_get::<$type, _>($column),
            Inner::Postgres(row) => row.try_get::<$type, _>($column),
        }
        .map_err(from_sqlx)
    };
}

fn missing(column: &str) -> Failure {
    Failure::internal(format!("column {column} is null"))
}

impl Row {
    /// An integer that is not NULL.
    pub fn i64(&self, column: &str) -> Result<i64, Failure> {
        self.opt_i64(column)?.ok_or_else(|| missing(column))
    }
    /// An integer or NULL. PostgreSQL's smaller integers and booleans are widened.
    pub fn opt_i64(&self, column: &str) -> Result<Option<i64>, Failure> {
        let row = match &self.0 {
            Inner::Sqlite(row) => {
                return row.try_get::<Option<i64>, _>(column).map_err(from_sqlx);
            }
            Inner::Postgres(row) => row,
        };
        let value = row.try_get_raw(column).map_err(from_sqlx)?;
        if value.is_null() {
            return Ok(None);
        }
        match value.type_info().name() {
            "INT4" => row.try_get::<i32, _>(column).map(i64::from),
            "INT2" => row.try_get::<i16, _>(column).map(i64::from),
            "BOOL" => row.try_get::<bool, _>(column).map(i64::from),
            _ => row.try_get::<i64, _>(column),
        }
        .map(Some)
        .map_err(from_sqlx)
    }
    /// An integer read as a truth value: 0 is false.
    pub fn bool(&self, column: &str) -> Result<bool, Failure> {
        Ok(self.i64(column)? != 0)
    }
    /// A time in microseconds.
    pub fn time(&self, column: &str) -> Result<Timestamp, Failure> {
        self.i64(column).map(Timestamp)
    }
    /// A time or NULL.
    pub fn opt_time(&self, column: &str) -> Result<Option<Timestamp>, Failure> {
        Ok(self.opt_i64(column)?.map(Timestamp))
    }
    /// Text that is not NULL.
    pub fn text(&self, column: &str) -> Result<String, Failure> {
        self.opt_text(column)?.ok_or_else(|| missing(column))
    }
    /// Text or NULL.
    pub fn opt_text(&self, column: &str) -> Result<Option<String>, Failure> {
        get!(self, column, Option<String>)
    }
    /// Bytes that are not NULL.
    pub fn bytes(&self, column: &str) -> Result<Vec<u8>, Failure> {
        self.opt_bytes(column)?.ok_or_else(|| missing(column))
    }
    /// Bytes or NULL.
    pub fn opt_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, Failure> {
        get!(self, column, Option<Vec<u8>>)
    }
}
