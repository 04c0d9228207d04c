//! Tryton's JSON types. JSON has no decimals, dates and times, so Tryton writes them as objects
//! with a `__class__`; they are read and written here, exactly.

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};
use jinke_types::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

/// A value of another type than the column should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType(pub &'static str);

fn object<'a>(value: &'a Value, class: &str) -> Option<&'a Map<String, Value>> {
    let map = value.as_object()?;
    (map.get("__class__")?.as_str()? == class).then_some(map)
}

/// A number of an object's key, in the range of `T`.
fn part<T: TryFrom<i64>>(map: &Map<String, Value>, key: &str) -> Option<T> {
    T::try_from(map.get(key)?.as_i64()?).ok()
}

/// A decimal, exactly; a JSON number by its shortest digits, since Tryton sends floats for
/// quantities.
pub fn decimal(value: &Value) -> Result<Decimal, WrongType> {
    let wrong = WrongType("is no number that can be read exactly");
    if let Some(map) = object(value, "Decimal") {
        let text = map.get("decimal").and_then(Value::as_str).ok_or(wrong)?;
        return text
            .parse()
            .or_else(|_| Decimal::from_scientific(text))
            .map_err(|_| wrong);
    }
    let number = value.as_number().ok_or(wrong)?;
    let text = number.to_string();
    text.parse()
        .or_else(|_| Decimal::from_scientific(&text))
        .map_err(|_| wrong)
}

/// A calendar date.
pub fn date(value: &Value) -> Result<NaiveDate, WrongType> {
    let read = || {
        let map = object(value, "date").or_else(|| object(value, "datetime"))?;
        NaiveDate::from_ymd_opt(part(map, "year")?, part(map, "month")?, part(map, "day")?)
    };
    read().ok_or(WrongType("is no date"))
}

/// A time; Tryton's are UTC without a zone.
pub fn datetime(value: &Value) -> Result<Timestamp, WrongType> {
    let read = || {
        let map = object(value, "datetime")?;
        let day =
            NaiveDate::from_ymd_opt(part(map, "year")?, part(map, "month")?, part(map, "day")?)?;
        let time = NaiveTime::from_hms_micro_opt(
            part(map, "hour")?,
            part(map, "minute")?,
            part(map, "second")?,
            part(map, "microsecond")?,
        )?;
        let at = NaiveDateTime::new(day, time).and_utc();
        Some(Timestamp(at.timestamp_micros()))
    };
    read().ok_or(WrongType("is no time"))
}

/// A time as Tryton takes it in a domain.
pub fn from_timestamp(at: Timestamp) -> Value {
    let at = chrono::DateTime::from_timestamp_micros(at.0).unwrap_or_default();
    json!({
        "__class__": "datetime",
        "year": at.year(), "month": at.month(), "day": at.day(),
        "hour": at.hour(), "minute": at.minute(), "second": at.second(),
        "microsecond": at.timestamp_subsec_micros(),
    })
}

/// Yes or no. Tryton on SQLite sends 1, 0 and null.
pub fn flag(value: &Value) -> Result<bool, WrongType> {
    match value {
        Value::Bool(yes) => Ok(*yes),
        Value::Null => Ok(false),
        Value::Number(n) => Ok(n.as_i64() != Some(0)),
        _ => Err(WrongType("is neither yes nor no")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (value, want) in [
            (
                json!({"__class__": "Decimal", "decimal": "2056.60"}),
                "2056.60",
            ),
            (json!({"__class__": "Decimal", "decimal": "-0.10"}), "-0.10"),
            (json!({"__class__": "Decimal", "decimal": "0E+2"}), "0"),
            (json!(7.0), "7.0"),
            (json!(0.1), "0.1"),
            (json!(3), "3"),
        ] {
            let got = decimal(&value).unwrap();
            assert_eq!(got, want.parse::<Decimal>().unwrap(), "{value}");
        }
        for value in [
            json!({"__class__": "Decimal", "decimal": "NaN"}),
            json!({"__class__": "Decimal", "decimal": 5}),
            json!({"__class__": "date"}),
            json!("5"),
            json!(null),
        ] {
            assert!(decimal(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn times_go_there_and_back_to_the_microsecond() {
        let at = Timestamp::parse("2026-11-22T03:26:25.487248Z").unwrap();
        assert_eq!(datetime(&from_timestamp(at)), Ok(at));
        let early = Timestamp(-1);
        assert_eq!(datetime(&from_timestamp(early)), Ok(early));
        let day = json!({"__class__": "date", "year": 2026, "month": 2, "day": 28});
        assert_eq!(date(&day).unwrap().to_string(), "2026-02-28");
        let none = json!({"__class__": "date", "year": 2026, "month": 2, "day": 30});
        assert!(date(&none).is_err());
        let huge = json!({"__class__": "date", "year": 1e30, "month": 2, "day": 3});
        assert!(date(&huge).is_err());
    }

    #[test]
    fn truth_has_many_forms() {
        assert_eq!(flag(&json!(1)), Ok(true));
        assert_eq!(flag(&json!(0)), Ok(false));
        assert_eq!(flag(&json!(null)), Ok(false));
        assert_eq!(flag(&json!(true)), Ok(true));
        assert!(flag(&json!("yes")).is_err());
    }
}
