//! Checks of requests: every bad field is a violation with its path.

use jinke_proto::jinke::connector::v1 as pb;
use jinke_types::{Failure, Violation};

use crate::{
    domain::{SourceSettings, SweepSettings},
    schedule::{Schedule, ZONE},
};

/// Most violations reported for one request.
const MAX_VIOLATIONS: usize = 50;
/// Most characters of a request id.
pub const MAX_REQUEST_ID: usize = 64;

/// Collects the violations of one request.
#[derive(Debug, Default)]
pub struct Check(Vec<Violation>);

impl Check {
    /// Records that `field` is wrong.
    pub fn wrong(&mut self, field: impl Into<String>, why: impl Into<String>) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(Violation {
                field: field.into(),
                description: why.into(),
            });
        }
    }
    /// Takes over the violations of a failure.
    pub fn take(&mut self, failure: Failure) {
        for violation in failure.violations {
            self.wrong(violation.field, violation.description);
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
    /// Text of at most `max` characters, without control characters unless `lines`.
    pub fn text(&mut self, field: &str, text: &str, max: usize, lines: bool) {
        if text.len() > max.saturating_mul(4) || text.chars().count() > max {
            self.wrong(field, format!("is longer than {max} characters"));
        } else if text
            .chars()
            .any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t')))
        {
            self.wrong(field, "holds a control character");
        }
    }
    /// A request id: empty, or printable ASCII.
    pub fn request_id(&mut self, id: &str, required: bool) {
        if id.is_empty() && required {
            self.wrong("request_id", "is required");
        } else if id.len() > MAX_REQUEST_ID || !id.bytes().all(|b| b.is_ascii_graphic()) {
            self.wrong(
                "request_id",
                format!("must be 1 to {MAX_REQUEST_ID} printable ASCII characters"),
            );
        }
    }
    /// Empty, or `orgUnits/…`.
    pub fn org_unit(&mut self, field: &str, name: &str) {
        let id = name.strip_prefix("orgUnits/");
        let fits = id.is_some_and(|id| {
            (1..=63).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        });
        if !name.is_empty() && !fits {
            self.wrong(field, "must be empty or have the form orgUnits/{orgUnit}");
        }
    }
}

/// Whether `id` is 1 to 63 of `a-z 0-9 -`, starting with a letter.
pub fn is_id(id: &str) -> bool {
    id.len() <= 63
        && id.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The id in `connections/{connection}`.
///
/// # Errors
/// `INVALID_FIELD`.
pub fn connection_id<'a>(field: &str, name: &'a str) -> Result<&'a str, Failure> {
    name.strip_prefix("connections/")
        .filter(|id| is_id(id))
        .ok_or_else(|| Failure::field(field, "must have the form connections/{connection}"))
}

/// The ids in `connections/{connection}/{collection}/{number}`.
///
/// # Errors
/// `INVALID_FIELD`.
pub fn child<'a>(name: &'a str, collection: &str) -> Result<(&'a str, i64), Failure> {
    let parts: Vec<&str> = name.split('/').collect();
    if let ["connections", id, found, number] = parts.as_slice()
        && *found == collection
        && is_id(id)
        && number.len() <= 18
        && !number.starts_with('0')
        && number.bytes().all(|b| b.is_ascii_digit())
        && let Ok(number) = number.parse()
    {
        return Ok((id, number));
    }
    Err(Failure::field(
        "name",
        format!("must have the form connections/{{connection}}/{collection}/{{number}}"),
    ))
}

/// A page size: 100 when 0.
///
/// # Errors
/// `INVALID_FIELD`.
pub fn page_size(size: i32) -> Result<u32, Failure> {
    match u32::try_from(size) {
        Ok(0) => Ok(100),
        Ok(n @ 1..=1_000) => Ok(n),
        _ => Err(Failure::field("page_size", "must be between 0 and 1000")),
    }
}

/// A schedule; none when the message is absent.
pub fn schedule(check: &mut Check, field: &str, found: Option<pb::Schedule>) -> Option<Schedule> {
    let found = found?;
    let schedule = match found.when {
        None => {
            check.wrong(field, "needs an interval or a cron line");
            return None;
        }
        Some(pb::schedule::When::Interval(interval)) => Schedule::Interval {
            seconds: u64::try_from(interval.seconds).unwrap_or(0),
        },
        Some(pb::schedule::When::Cron(line)) => {
            if line.len() > 500 {
                check.wrong(format!("{field}.cron"), "is longer than 500 characters");
                return None;
            }
            Schedule::Cron {
                line,
                zone: if found.time_zone.is_empty() {
                    ZONE.to_owned()
                } else {
                    found.time_zone
                },
            }
        }
    };
    match schedule.check(field) {
        Ok(()) => Some(schedule),
        Err(failure) => {
            check.take(failure);
            None
        }
    }
}

/// Source settings; the source is named like the connection unless it says otherwise.
pub fn source(
    check: &mut Check,
    connection: &str,
    found: Option<pb::connection::SourceSettings>,
) -> SourceSettings {
    let found = found.unwrap_or_default();
    let id = match found.source.strip_prefix("sources/") {
        _ if found.source.is_empty() => connection.to_owned(),
        Some(id) if is_id(id) => id.to_owned(),
        _ => {
            check.wrong(
                "connection.source.source",
                "must have the form sources/{source}",
            );
            String::new()
        }
    };
    let field = "connection.source.display_name";
    check.text(field, &found.display_name, 200, false);
    if found.trust.is_some_and(|t| !(0..=100).contains(&t)) {
        check.wrong("connection.source.trust", "must be between 0 and 100");
    }
    SourceSettings {
        id,
        display_name: found.display_name,
        trust: found.trust,
        walled: found.walled,
    }
}

/// Sweep settings.
pub fn sweep(check: &mut Check, found: Option<pb::connection::SweepSettings>) -> SweepSettings {
    let found = found.unwrap_or_default();
    if found.limit_percent.is_some_and(|p| !(0..=100).contains(&p)) {
        check.wrong(
            "connection.sweep.limit_percent",
            "must be between 0 and 100",
        );
    }
    if found.limit_at_least.is_some_and(|n| n < 0) {
        check.wrong("connection.sweep.limit_at_least", "must not be negative");
    }
    SweepSettings {
        schedule: schedule(check, "connection.sweep.schedule", found.schedule),
        limit_percent: found.limit_percent,
        limit_at_least: found.limit_at_least,
    }
}

/// A `Struct` as JSON. Numbers of a `Struct` are doubles: whole ones become whole again.
///
/// # Errors
/// `INVALID_FIELD` when it is larger than 256 KiB or nested deeper than 16.
pub fn object(
    field: &str,
    found: Option<prost_types::Struct>,
) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    fn value(found: prost_types::Value, depth: u32) -> Option<serde_json::Value> {
        use prost_types::value::Kind;
        use serde_json::Value as Json;
        if depth > 16 {
            return None;
        }
        Some(match found.kind? {
            Kind::NullValue(_) => Json::Null,
            Kind::BoolValue(b) => Json::Bool(b),
            Kind::StringValue(s) => Json::String(s),
            Kind::NumberValue(n) if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 => {
                Json::from(n as i64)
            }
            Kind::NumberValue(n) => serde_json::Number::from_f64(n).map(Json::Number)?,
            Kind::ListValue(list) => Json::Array(
                list.values
                    .into_iter()
                    .map(|v| value(v, depth + 1))
                    .collect::<Option<_>>()?,
            ),
            Kind::StructValue(s) => Json::Object(map(s, depth + 1)?),
        })
    }
    fn map(
        found: prost_types::Struct,
        depth: u32,
    ) -> Option<serde_json::Map<String, serde_json::Value>> {
        let pairs = found.fields.into_iter();
        pairs.map(|(k, v)| Some((k, value(v, depth)?))).collect()
    }
    let wrong = |why: &str| Failure::field(field, why);
    let map = map(found.unwrap_or_default(), 0)
        .ok_or_else(|| wrong("holds a value that is no JSON, or is nested deeper than 16"))?;
    let size = serde_json::to_vec(&map).map_err(Failure::internal)?.len();
    if size > 262_144 {
        return Err(wrong("is larger than 256 KiB"));
    }
    Ok(map)
}
