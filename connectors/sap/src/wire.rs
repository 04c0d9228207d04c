//! OData V2 as SAP writes it: dates, times, decimals, literals, links.

use chrono::{FixedOffset, NaiveDate, NaiveTime, Offset as _, TimeZone as _};
use jinke_types::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rust_decimal::Decimal;
use serde_json::Value;

/// What stays as it is within a value of a query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'(')
    .remove(b')')
    .remove(b'\'')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b'$');

/// A value of a query, as it stands in a URL.
pub fn escaped(value: &str) -> String {
    utf8_percent_encode(value, PLAIN).to_string()
}

/// A text as a filter writes it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The zone so many minutes east of UTC.
pub fn zone(minutes: i32) -> FixedOffset {
    FixedOffset::east_opt(minutes.saturating_mul(60)).unwrap_or_else(|| chrono::Utc.fix())
}

/// The milliseconds of `/Date(…)/`; an offset behind them says only where it was written.
fn millis(text: &str) -> Option<i64> {
    let inner = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    // A sign that is not the first one begins the offset.
    let offset = inner
        .char_indices()
        .skip(1)
        .find(|(_, c)| "+-".contains(*c));
    let end = offset.map_or(inner.len(), |(at, _)| at);
    inner[..end].parse().ok()
}

/// A date: midnight of no zone, written as if it were UTC.
pub fn date(value: &Value) -> Option<NaiveDate> {
    let at = chrono::DateTime::from_timestamp_millis(millis(value.as_str()?)?)?;
    Some(at.date_naive())
}

/// A moment.
pub fn moment(value: &Value) -> Option<Timestamp> {
    Some(Timestamp(millis(value.as_str()?)?.checked_mul(1_000)?))
}

/// A time of day, `PT10H20M30S`.
pub fn time_of_day(value: &Value) -> Option<NaiveTime> {
    let mut rest = value.as_str()?.strip_prefix("PT")?;
    let mut parts = [0_u32; 3];
    for (i, unit) in ['H', 'M', 'S'].into_iter().enumerate() {
        if let Some((number, after)) = rest.split_once(unit) {
            let whole = number.split('.').next()?;
            parts[i] = whole.parse().ok()?;
            rest = after;
        }
    }
    if !rest.is_empty() {
        return None;
    }
    NaiveTime::from_hms_opt(parts[0], parts[1], parts[2])
}

/// A date and a time of day in a zone.
pub fn together(date: NaiveDate, time: NaiveTime, zone: FixedOffset) -> Timestamp {
    let local = date.and_time(time);
    let at = zone.from_local_datetime(&local).single();
    Timestamp(at.map_or(local.and_utc().timestamp_micros(), |t| t.timestamp_micros()))
}

/// The day of a moment in a zone, as a filter writes it.
pub fn day_literal(at: Timestamp, zone: FixedOffset) -> String {
    let at = chrono::DateTime::from_timestamp_micros(at.0).unwrap_or_default();
    let day = at.with_timezone(&zone).date_naive();
    format!("datetime'{day}T00:00:00'")
}

/// A moment, as a filter writes it, in whole seconds, rounded down.
pub fn moment_literal(at: Timestamp) -> String {
    let at = chrono::DateTime::from_timestamp(at.secs(), 0).unwrap_or_default();
    format!("datetimeoffset'{}'", at.format("%Y-%m-%dT%H:%M:%SZ"))
}

/// A decimal, exactly; SAP writes it as text.
pub fn decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(n) => n.to_string(),
        _ => return None,
    };
    text.parse()
        .or_else(|_| Decimal::from_scientific(&text))
        .ok()
}

/// A number of a partner, customer or order with the zeros it has inside SAP: a number of digits
/// only is as long as its field, others stay as they are.
pub fn padded(number: &str) -> String {
    let number = number.trim();
    if !number.is_empty() && number.len() < 10 && number.bytes().all(|b| b.is_ascii_digit()) {
        format!("{number:0>10}")
    } else {
        number.to_owned()
    }
}

/// The same as people write it.
pub fn plain(number: &str) -> &str {
    if number.bytes().all(|b| b.is_ascii_digit()) {
        number.trim_start_matches('0')
    } else {
        number
    }
}

/// Where a link leads: its path and query stay as they came, and the server stays the one of the
/// connection, because credentials go nowhere else and a server behind a proxy does not know its
/// own name. `None` when it leads out of the service.
pub fn follow(service: &str, link: &str) -> Option<String> {
    let scheme = service.find("://")? + 3;
    let path_at = service[scheme..].find('/')? + scheme;
    let (origin, path) = service.split_at(path_at);
    let led = match link.find("://") {
        Some(at) if link[..at].bytes().all(|b| b.is_ascii_alphanumeric()) => {
            let rest = &link[at + 3..];
            &rest[rest.find('/')?..]
        }
        _ if link.starts_with('/') => link,
        _ => return Some(format!("{service}/{link}")).filter(|_| !link.contains("..")),
    };
    let inside = led.strip_prefix(path)?.starts_with('/');
    (inside && !led.contains("..")).then(|| format!("{origin}{led}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dates_and_times_are_read_as_written() {
        let at = |text: &str| Timestamp::parse(text);
        assert_eq!(
            date(&json!("/Date(1794528000000)/")).unwrap().to_string(),
            "2026-11-13"
        );
        assert_eq!(
            date(&json!("/Date(-62135596800000)/")).unwrap().to_string(),
            "0001-01-01"
        );
        assert_eq!(
            moment(&json!("/Date(1783648800000+0000)/")),
            at("2026-07-10T02:00:00Z")
        );
        assert_eq!(
            moment(&json!("/Date(1783648800000+0480)/")),
            at("2026-07-10T02:00:00Z")
        );
        assert_eq!(
            time_of_day(&json!("PT10H20M30S")).unwrap().to_string(),
            "10:20:30"
        );
        assert_eq!(time_of_day(&json!("PT5M")).unwrap().to_string(), "00:05:00");
        for wrong in [
            "",
            "/Date()/",
            "/Date(x)/",
            "2026-01-01",
            "PT",
            "P1D",
            "PT25H",
            "/Date(é)/",
        ] {
            assert_eq!(date(&json!(wrong)), None, "{wrong}");
            assert!(
                wrong == "PT" || time_of_day(&json!(wrong)).is_none(),
                "{wrong}"
            );
        }
        let zone = zone(480);
        let day = NaiveDate::from_ymd_opt(2026, 11, 13).unwrap();
        let time = NaiveTime::from_hms_opt(7, 0, 0).unwrap();
        let moment = together(day, time, zone);
        assert_eq!(Some(moment), at("2026-11-12T23:00:00Z"));
        assert_eq!(day_literal(moment, zone), "datetime'2026-11-13T00:00:00'");
        assert_eq!(
            moment_literal(moment),
            "datetimeoffset'2026-11-12T23:00:00Z'"
        );
    }

    #[test]
    fn zeros_come_and_go() {
        for (given, inside, outside) in [
            ("1000001", "0001000001", "1000001"),
            ("0001000001", "0001000001", "1000001"),
            ("CUST01", "CUST01", "CUST01"),
            ("", "", ""),
        ] {
            assert_eq!(
                (padded(given).as_str(), plain(&padded(given))),
                (inside, outside)
            );
        }
    }

    #[test]
    fn links_are_followed_as_they_are_and_never_away() {
        let service = "https://s4.example.cn/sap/opu/odata/sap/API_X";
        let next = "A_Y?$skiptoken=a%2Fb%3D&x='1'";
        for (link, want) in [
            (
                format!("http://inner:8000/sap/opu/odata/sap/API_X/{next}"),
                Some(format!("{service}/{next}")),
            ),
            (
                format!("/sap/opu/odata/sap/API_X/{next}"),
                Some(format!("{service}/{next}")),
            ),
            (next.to_owned(), Some(format!("{service}/{next}"))),
            ("https://evil.example/steal".to_owned(), None),
            ("/sap/opu/odata/sap/API_XY/A".to_owned(), None),
            ("/sap/opu/odata/sap/API_X/../API_Z/A".to_owned(), None),
        ] {
            assert_eq!(follow(service, &link), want, "{link}");
        }
    }
}
