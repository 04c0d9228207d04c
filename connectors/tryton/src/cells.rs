//! Reading the cells of one foreign row. A cell that cannot be read becomes a row error that
//! names its column, and the rest of the row goes on.

use chrono::NaiveDate;
use jinke_sdk::{Effect, Location, RowError};
use jinke_types::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use crate::wire::{self, WrongType};

/// A text is at most this long, in bytes; a longer one is left out and reported.
pub const MAX_TEXT_BYTES: usize = 65_536;

/// The rows of one model that hang on a row, or the row itself.
pub type Cells = Map<String, Value>;

/// What is wrong with one row, collected while it is read.
#[derive(Debug)]
pub struct Faults {
    model: &'static str,
    id: i64,
    /// The errors so far.
    pub errors: Vec<RowError>,
}

impl Faults {
    /// For a row of a model.
    pub const fn new(model: &'static str, id: i64) -> Self {
        Self {
            model,
            id,
            errors: Vec::new(),
        }
    }

    /// Adds an error.
    pub fn add(&mut self, column: &str, reason: &str, effect: Effect) {
        self.errors.push(RowError {
            location: Location {
                file: self.model.to_owned(),
                sheet: None,
                row: u64::try_from(self.id).unwrap_or(0),
            },
            column: Some(column.to_owned()),
            reason: reason.to_owned(),
            effect,
        });
    }

    fn keep<T>(&mut self, column: &str, read: Result<T, WrongType>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(WrongType(why)) => {
                self.add(column, why, Effect::ValueLeftOut);
                None
            }
        }
    }

    /// A text without white space around it; blank when the cell is null or not there.
    pub fn text(&mut self, row: &Cells, column: &str) -> String {
        match row.get(column) {
            None | Some(Value::Null | Value::Bool(false)) => String::new(),
            Some(Value::String(text)) if text.len() > MAX_TEXT_BYTES => {
                self.add(column, "is longer than the limit", Effect::ValueLeftOut);
                String::new()
            }
            Some(Value::String(text)) => text.replace('\0', "").trim().to_owned(),
            Some(_) => {
                self.add(column, "is no text", Effect::ValueLeftOut);
                String::new()
            }
        }
    }

    /// An id of another row.
    pub fn id(&mut self, row: &Cells, column: &str) -> Option<i64> {
        let value = row.get(column).filter(|v| !v.is_null())?;
        let id = value.as_i64().filter(|id| *id > 0);
        self.keep(column, id.ok_or(WrongType("is no id")))
    }

    /// An exact number.
    pub fn decimal(&mut self, row: &Cells, column: &str) -> Option<Decimal> {
        let value = row.get(column).filter(|v| !v.is_null())?;
        self.keep(column, wire::decimal(value))
    }

    /// A calendar date.
    pub fn date(&mut self, row: &Cells, column: &str) -> Option<NaiveDate> {
        let value = row.get(column).filter(|v| !v.is_null())?;
        self.keep(column, wire::date(value))
    }

    /// Yes or no; `None` when not there.
    pub fn flag(&mut self, row: &Cells, column: &str) -> Option<bool> {
        let value = row.get(column)?;
        self.keep(column, wire::flag(value))
    }

    /// The later of `write_date` and `create_date`.
    pub fn changed(&mut self, row: &Cells) -> Option<Timestamp> {
        let mut time = |column| {
            let value = row.get(column).filter(|v: &&Value| !v.is_null())?;
            self.keep(column, wire::datetime(value))
        };
        time("write_date").max(time("create_date"))
    }

    /// The row that `column` points to, as read by `column.…`.
    pub fn one<'a>(&mut self, row: &'a Cells, column: &str) -> Option<&'a Cells> {
        let value = row.get(&format!("{column}.")).filter(|v| !v.is_null())?;
        let row = value.as_object().ok_or(WrongType("is no row"));
        self.keep(column, row)
    }

    /// The rows that `column` lists, as read by `column.…`.
    pub fn many<'a>(&mut self, row: &'a Cells, column: &str) -> Vec<&'a Cells> {
        let Some(value) = row.get(&format!("{column}.")).filter(|v| !v.is_null()) else {
            return Vec::new();
        };
        let Some(list) = value.as_array() else {
            self.add(column, "is no list of rows", Effect::ValueLeftOut);
            return Vec::new();
        };
        let rows: Vec<_> = list.iter().filter_map(Value::as_object).collect();
        if rows.len() < list.len() {
            self.add(
                column,
                "holds something that is no row",
                Effect::ValueLeftOut,
            );
        }
        rows
    }
}
