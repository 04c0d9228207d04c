//! Reading the cells of one row. A cell that cannot be read becomes a row error that names its
//! field, and the rest of the row goes on.

use std::collections::BTreeMap;

use chrono::{FixedOffset, NaiveDate, NaiveDateTime, Offset as _, TimeZone as _};
use jinke_sdk::{Effect, Location, RowError};
use jinke_types::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::api::whole;

/// A text is at most this long, in bytes; a longer one is left out and reported.
pub const MAX_TEXT_BYTES: usize = 65_536;

/// The cells of one row by the field as `forms` writes it, `FSettleCurrId.FName` for what is read
/// of a row that a field points to.
pub type Cells = BTreeMap<String, Value>;

/// What is wrong with one row, collected while it is read.
#[derive(Debug)]
pub struct Faults {
    form: &'static str,
    id: i64,
    zone: FixedOffset,
    /// The errors so far.
    pub errors: Vec<RowError>,
}

impl Faults {
    /// For a row of a form, on a server whose clock stands so many minutes east of UTC.
    pub fn new(form: &'static str, id: i64, utc_offset_minutes: i32) -> Self {
        Self {
            form,
            id,
            zone: zone(utc_offset_minutes),
            errors: Vec::new(),
        }
    }

    /// Adds an error.
    pub fn add(&mut self, field: &str, reason: &str, effect: Effect) {
        self.errors.push(RowError {
            location: Location {
                file: self.form.to_owned(),
                sheet: None,
                row: u64::try_from(self.id).unwrap_or(0),
            },
            column: Some(field.to_owned()),
            reason: reason.to_owned(),
            effect,
        });
    }

    /// A text without white space around it; blank when the cell is null or not there. Numbers
    /// of things may come as numbers.
    pub fn text(&mut self, row: &Cells, field: &str) -> String {
        match row.get(field) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) if text.len() > MAX_TEXT_BYTES => {
                self.add(field, "is longer than the limit", Effect::ValueLeftOut);
                String::new()
            }
            Some(Value::String(text)) => text.replace('\0', "").trim().to_owned(),
            Some(Value::Number(n)) if n.is_i64() => n.to_string(),
            Some(_) => {
                self.add(field, "is no text", Effect::ValueLeftOut);
                String::new()
            }
        }
    }

    /// The id of another row; zero is none.
    pub fn id(&mut self, row: &Cells, field: &str) -> Option<i64> {
        let value = row.get(field).filter(|v| !v.is_null())?;
        match whole(value) {
            Some(id) if id > 0 => Some(id),
            Some(0) => None,
            _ => {
                self.add(field, "is no id", Effect::ValueLeftOut);
                None
            }
        }
    }

    /// An exact number; a JSON number by its shortest digits.
    pub fn decimal(&mut self, row: &Cells, field: &str) -> Option<Decimal> {
        let value = row.get(field).filter(|v| !v.is_null())?;
        let text = match value {
            Value::Number(n) => n.to_string(),
            Value::String(text) => text.trim().to_owned(),
            _ => String::new(),
        };
        let read = text.parse().or_else(|_| Decimal::from_scientific(&text));
        if read.is_err() {
            let why = "is no number that can be read exactly";
            self.add(field, why, Effect::ValueLeftOut);
        }
        read.ok()
    }

    fn local(&mut self, row: &Cells, field: &str) -> Option<NaiveDateTime> {
        let value = row.get(field).filter(|v| !v.is_null())?;
        let read = value.as_str().and_then(local);
        match read {
            // How Kingdee writes that there is none.
            Some(at) if at.date() <= NaiveDate::from_ymd_opt(1900, 1, 1)? => None,
            Some(at) => Some(at),
            None => {
                self.add(field, "is no time", Effect::ValueLeftOut);
                None
            }
        }
    }

    /// A time.
    pub fn time(&mut self, row: &Cells, field: &str) -> Option<Timestamp> {
        let at = self.local(row, field)?;
        let at = self.zone.from_local_datetime(&at).single()?;
        Some(Timestamp(at.timestamp_micros()))
    }

    /// The latest of the times of change.
    pub fn changed(&mut self, row: &Cells) -> Option<Timestamp> {
        let times = crate::forms::TIMES.map(|field| self.time(row, field));
        times.into_iter().flatten().max()
    }
}

/// The zone so many minutes east of UTC.
pub fn zone(minutes: i32) -> FixedOffset {
    let utc = FixedOffset::east_opt(0);
    let zone = FixedOffset::east_opt(minutes.saturating_mul(60)).or(utc);
    zone.unwrap_or_else(|| chrono::Utc.fix())
}

/// A time without a zone, as an answer writes it.
fn local(text: &str) -> Option<NaiveDateTime> {
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .or_else(|| {
            let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            day.and_hms_opt(0, 0, 0)
        })
}

/// A time as a condition writes it, in whole seconds, rounded down.
pub fn literal(at: Timestamp, zone: FixedOffset) -> String {
    let at = chrono::DateTime::from_timestamp_micros(at.0).unwrap_or_default();
    let at = at.with_timezone(&zone).naive_local();
    format!("'{}'", at.format("%Y-%m-%d %H:%M:%S"))
}

/// A text as a condition writes it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: Value) -> Cells {
        Cells::from([("F".to_owned(), value)])
    }

    #[test]
    fn times_are_the_servers() {
        let mut faults = Faults::new("X", 1, 480);
        let mut read = |text: &str| faults.time(&row(Value::from(text)), "F");
        let at = Timestamp::parse("2026-11-20T00:00:00.123Z").unwrap();
        assert_eq!(read("2026-11-20T08:00:00.123"), Some(at));
        assert_eq!(read("2026-11-20 08:00:00.123"), Some(at));
        assert_eq!(read("0001-01-01T00:00:00"), None);
        assert!(read("2026-11-20").is_some());
        assert!(faults.errors.is_empty());
        assert_eq!(faults.time(&row(Value::from("gestern")), "F"), None);
        assert_eq!(faults.errors.len(), 1);
        assert_eq!(literal(at, zone(480)), "'2026-11-20 08:00:00'");
        assert_eq!(literal(Timestamp(-1), zone(0)), "'1969-12-31 23:59:59'");
    }

    #[test]
    fn numbers_are_exact_and_quotes_stay_within_their_text() {
        let mut faults = Faults::new("X", 1, 480);
        for (value, want) in [
            (serde_json::json!(1234567.89), "1234567.89"),
            (serde_json::json!("0.1000000000"), "0.1"),
            (serde_json::json!(7), "7"),
        ] {
            let got = faults.decimal(&row(value), "F").unwrap();
            assert_eq!(got.normalize().to_string(), want);
        }
        assert_eq!(faults.decimal(&row(Value::from("一千")), "F"), None);
        assert_eq!(quoted("a' or '1'='1"), "'a'' or ''1''=''1'");
    }
}
