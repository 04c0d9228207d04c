//! Collecting what is wrong with a request, and the checks every field needs.

use chrono::{Datelike as _, NaiveDate};
use jinke_proto::google::r#type::{Date, Decimal};
use jinke_types::{Failure, Violation};

use crate::{
    calendar::{FIRST_YEAR, LAST_YEAR},
    number,
};

/// Most violations reported for one request.
const MAX_VIOLATIONS: usize = 50;
/// Most characters of a `request_id`.
const MAX_REQUEST_ID: usize = 128;

/// Collects the violations of one request.
#[derive(Debug, Default)]
pub struct Check(Vec<Violation>);

impl Check {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records that a field is wrong.
    pub fn wrong(&mut self, field: impl Into<String>, why: impl Into<String>) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(Violation {
                field: field.into(),
                description: why.into(),
            });
        }
    }

    /// `INVALID_ARGUMENT` when something was wrong.
    pub fn done(self) -> Result<(), Failure> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Failure::fields(self.0))
        }
    }

    /// A page size: `default` when 0, at most `most`.
    pub fn page_size(&mut self, size: i32, default: usize, most: usize) -> usize {
        match usize::try_from(size) {
            Ok(0) => default,
            Ok(size) => size.min(most),
            Err(_) => {
                self.wrong("page_size", "must not be negative");
                default
            }
        }
    }

    /// Text of `least` to `most` characters without NUL.
    pub fn text(&mut self, field: &str, text: &str, least: usize, most: usize) {
        let length = if text.len() > most.saturating_mul(4) {
            usize::MAX
        } else {
            text.chars().count()
        };
        if length < least || length > most {
            self.wrong(field, format!("must have {least} to {most} characters"));
        } else if text.contains('\0') {
            self.wrong(field, "must not contain NUL");
        }
    }

    /// A request id; none when empty.
    pub fn request_id(&mut self, id: &str) -> Option<String> {
        if id.is_empty() {
            return None;
        }
        self.text("request_id", id, 1, MAX_REQUEST_ID);
        Some(id.to_owned())
    }

    /// The number in `prefix{number}suffix`.
    pub fn number_in(&mut self, field: &str, name: &str, prefix: &str, suffix: &str) -> i64 {
        let found = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix))
            .filter(|digits| digits.len() <= 18 && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok());
        found.unwrap_or_else(|| {
            self.wrong(field, format!("must be {prefix}{{number}}{suffix}"));
            0
        })
    }

    /// The id in `segments/{id}`: 1 to 63 of a-z 0-9 -, starting with a letter.
    pub fn id(&mut self, field: &str, id: &str) -> String {
        let good = (1..=63).contains(&id.len())
            && id.starts_with(|c: char| c.is_ascii_lowercase())
            && id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !good {
            self.wrong(
                field,
                "must be 1 to 63 of a-z, 0-9 and -, starting with a letter",
            );
        }
        id.to_owned()
    }

    /// A date; none when absent.
    pub fn date(&mut self, field: &str, date: Option<&Date>) -> Option<NaiveDate> {
        let date = date?;
        let found = u32::try_from(date.month)
            .ok()
            .zip(u32::try_from(date.day).ok())
            .and_then(|(month, day)| NaiveDate::from_ymd_opt(date.year, month, day))
            .filter(|d| (FIRST_YEAR..=LAST_YEAR).contains(&d.year()));
        if found.is_none() {
            self.wrong(
                field,
                format!("must be a date from {FIRST_YEAR} to {LAST_YEAR}"),
            );
        }
        found
    }

    /// A decimal within bounds, in billionths; none when absent.
    pub fn decimal(
        &mut self,
        field: &str,
        decimal: Option<&Decimal>,
        least: i128,
        most: i128,
    ) -> Option<i128> {
        let found = number::parse(&decimal?.value).filter(|v| (least..=most).contains(v));
        if found.is_none() {
            self.wrong(
                field,
                format!(
                    "must be a decimal from {} to {} with up to nine decimals",
                    number::text(least),
                    number::text(most)
                ),
            );
        }
        found
    }
}

/// A date as the contract states it.
pub fn date_out(day: NaiveDate) -> Date {
    Date {
        year: day.year(),
        month: i32::try_from(day.month()).unwrap_or_default(),
        day: i32::try_from(day.day()).unwrap_or_default(),
    }
}

/// Billionths as the contract states them.
pub fn decimal_out(value: i128) -> Decimal {
    Decimal {
        value: number::text(value),
    }
}

/// A time as the contract states it.
pub fn time_out(time: jinke_types::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.secs(),
        nanos: time.subsec_nanos(),
    }
}
