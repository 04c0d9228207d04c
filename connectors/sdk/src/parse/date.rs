//! Dates and times.

use chrono::{DateTime, Days, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use jinke_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Unreadable, short};

/// Which part comes first in a date such as `01/05/2024`, where nothing else tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DateOrder {
    /// Month, day, year.
    Mdy,
    /// Day, month, year.
    Dmy,
}

const NOT_A_DATE: Unreadable = Unreadable("is not a date");
const NO_SUCH_DAY: Unreadable = Unreadable("is a day that does not exist");
const AMBIGUOUS: Unreadable =
    Unreadable("is a date whose order is not known; set date_order in the mapping");
const OUT_OF_RANGE: Unreadable = Unreadable("is a date before 1800 or after 2300");

/// Reads a calendar date; a time of day behind it is dropped. Reads `2024-01-05`,
/// `2024/1/5`, `2024.1.5`, `20240105`, `2024年1月5日`, spreadsheet serials from 20,000 (1954)
/// to 99,999 (2173), and with `order` also `01/05/2024`. Years are from 1800 to 2300.
pub fn date(text: &str, order: Option<DateOrder>) -> Result<NaiveDate, Unreadable> {
    let text = short(text)?;
    if let Some(at) = serial(&text) {
        return Ok(at.date());
    }
    let (day, _) = date_and_rest(&text, order)?;
    Ok(day)
}

/// Reads a point in time: a date as [`date`] reads it, then optionally `T`, spaces and
/// `13:05`, `13:05:06`, `13:05:06.5`, `下午1:05`, `1:05 PM` or `13时5分6秒`, then optionally
/// `Z` or an offset. Also 14 digits `20240105130506`, and seconds (10 digits) or
/// milliseconds (13 digits) since 1970. A text without an offset is at `zone`.
pub fn moment(
    text: &str,
    order: Option<DateOrder>,
    zone: FixedOffset,
) -> Result<Timestamp, Unreadable> {
    let text = short(text)?;
    if let Some(at) = serial(&text) {
        return at_zone(at, zone);
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let number: i64 = text.parse().map_err(|_| NOT_A_DATE)?;
        match text.len() {
            10 => return Ok(Timestamp::from_secs(number)),
            13 => return number.checked_mul(1_000).map(Timestamp).ok_or(OUT_OF_RANGE),
            14 => {
                let day = digits_date(&text[..8])?;
                let time = clock(&text[8..10], &text[10..12], &text[12..14])?;
                return at_zone(day.and_time(time), zone);
            }
            _ => {}
        }
    }
    let (day, rest) = date_and_rest(&text, order)?;
    let (time, zone) = time_and_zone(rest, zone)?;
    at_zone(day.and_time(time), zone)
}

/// The date and time of a spreadsheet serial number in the 1900 system, in which day 60 is
/// the 29 February 1900 that never was. `None` before 1900 and after 2300.
pub fn excel_serial(serial: f64) -> Option<NaiveDateTime> {
    if !(1.0..146_464.0).contains(&serial) {
        return None;
    }
    // Rounded to milliseconds, because a double holds no more of a time of day.
    let millis = (serial * 86_400_000.0).round() as i64;
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    let days = if days < 60 { days + 1 } else { days };
    NaiveDate::from_ymd_opt(1899, 12, 30)?
        .checked_add_days(Days::new(u64::try_from(days).ok()?))?
        .and_time(NaiveTime::MIN)
        .checked_add_signed(TimeDelta::milliseconds(rest))
}

/// Reads `+08:00`, `+0800`, `+8`, `Z`.
pub fn offset(text: &str) -> Option<FixedOffset> {
    if text == "Z" || text == "z" {
        return FixedOffset::east_opt(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = if digits.len() > 2 {
        digits.split_at(digits.len() - 2)
    } else {
        (digits.as_str(), "0")
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    FixedOffset::east_opt(sign * (hours * 3_600 + minutes * 60))
}

fn at_zone(at: NaiveDateTime, zone: FixedOffset) -> Result<Timestamp, Unreadable> {
    let at: DateTime<FixedOffset> = at.and_local_timezone(zone).single().ok_or(NO_SUCH_DAY)?;
    Ok(Timestamp(at.timestamp_micros()))
}

/// A serial written as text: five digits, perhaps with a fraction.
fn serial(text: &str) -> Option<NaiveDateTime> {
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    let fraction = text.get(whole.len() + 1..).unwrap_or("0");
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != 5 || !digits(whole) || !digits(fraction) || whole < "20000" {
        return None;
    }
    excel_serial(text.parse().ok()?)
}

fn ymd(year: &str, month: &str, day: &str) -> Result<NaiveDate, Unreadable> {
    let part = |text: &str, longest: usize| -> Result<u32, Unreadable> {
        if text.is_empty() || text.len() > longest || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NOT_A_DATE);
        }
        text.parse().map_err(|_| NOT_A_DATE)
    };
    if year.len() != 4 {
        return Err(Unreadable("is a date without a year of four digits"));
    }
    let (year, month, day) = (part(year, 4)?, part(month, 2)?, part(day, 2)?);
    if !(1800..=2300).contains(&year) {
        return Err(OUT_OF_RANGE);
    }
    let year = i32::try_from(year).map_err(|_| OUT_OF_RANGE)?;
    NaiveDate::from_ymd_opt(year, month, day).ok_or(NO_SUCH_DAY)
}

fn digits_date(text: &str) -> Result<NaiveDate, Unreadable> {
    match (text.get(..4), text.get(4..6), text.get(6..8)) {
        (Some(year), Some(month), Some(day)) => ymd(year, month, day),
        _ => Err(NOT_A_DATE),
    }
}

/// The date at the start of the text, and what follows it.
fn date_and_rest(text: &str, order: Option<DateOrder>) -> Result<(NaiveDate, &str), Unreadable> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let first_len = digits(text);
    let (first, rest) = text.split_at(first_len);
    if first_len == 8 {
        return Ok((digits_date(first)?, rest));
    }
    let mut rest = rest.trim_start_matches(' ').chars();
    let separator = rest.next().ok_or(NOT_A_DATE)?;
    let tail = rest.as_str().trim_start_matches(' ');
    let (second, tail) = tail.split_at(digits(tail));
    let mut rest = tail.trim_start_matches(' ').chars();
    let between = rest.next().ok_or(NOT_A_DATE)?;
    let tail = rest.as_str().trim_start_matches(' ');
    let (third, tail) = tail.split_at(digits(tail));
    match (separator, between) {
        ('年', '月') => {
            let day = ymd(first, second, third)?;
            Ok((day, tail.strip_prefix(['日', '号']).unwrap_or(tail)))
        }
        ('-' | '/' | '.', _) if separator == between => {
            if first_len == 4 {
                return Ok((ymd(first, second, third)?, tail));
            }
            if first_len > 2 || first_len == 0 {
                return Err(NOT_A_DATE);
            }
            match order {
                Some(DateOrder::Mdy) => Ok((ymd(third, first, second)?, tail)),
                Some(DateOrder::Dmy) => Ok((ymd(third, second, first)?, tail)),
                None => Err(AMBIGUOUS),
            }
        }
        _ => Err(NOT_A_DATE),
    }
}

fn clock(hour: &str, minute: &str, second: &str) -> Result<NaiveTime, Unreadable> {
    let number = |text: &str| -> Result<u32, Unreadable> {
        if text.is_empty() || text.len() > 2 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Unreadable("is not a time of day"));
        }
        text.parse().map_err(|_| NOT_A_DATE)
    };
    NaiveTime::from_hms_opt(number(hour)?, number(minute)?, number(second)?)
        .ok_or(Unreadable("is not a time of day"))
}

fn time_and_zone(rest: &str, zone: FixedOffset) -> Result<(NaiveTime, FixedOffset), Unreadable> {
    const NO_TIME: Unreadable = Unreadable("is not a time of day");
    let mut rest = rest.trim_matches(|c| c == ' ' || c == 'T' || c == 't');
    if rest.is_empty() {
        return Ok((NaiveTime::MIN, zone));
    }
    let mut half = None;
    for (mark, afternoon) in [("上午", false), ("下午", true), ("AM", false), ("PM", true)] {
        let upper = rest.to_ascii_uppercase();
        if upper.starts_with(mark) {
            (rest, half) = (rest[mark.len()..].trim_start(), Some(afternoon));
        } else if upper.ends_with(mark) {
            (rest, half) = (rest[..rest.len() - mark.len()].trim_end(), Some(afternoon));
        }
    }
    let clock_end = rest.find(['+', '-', 'Z', 'z']).unwrap_or(rest.len());
    let (text, zone_text) = rest.split_at(clock_end);
    let zone = match zone_text.trim() {
        "" => zone,
        text => offset(text).ok_or(Unreadable("has an offset that cannot be read"))?,
    };
    let text = text
        .trim()
        .replace(['时', '分', '点'], ":")
        .replace('秒', "");
    let text = text.trim_end_matches(':');
    let (text, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = text.split(':');
    let hour = parts.next().unwrap_or_default();
    let minute = parts.next().ok_or(NO_TIME)?;
    let second = parts.next().unwrap_or("0");
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(NO_TIME);
    }
    let hour = match (half, hour.parse::<u32>()) {
        (Some(afternoon), Ok(hour @ 1..=12)) => {
            (hour % 12 + if afternoon { 12 } else { 0 }).to_string()
        }
        (Some(_), _) => return Err(NO_TIME),
        (None, _) => hour.to_owned(),
    };
    let time = clock(&hour, minute, second)?;
    let micros: i64 = format!("{fraction:0<6}")[..6]
        .parse()
        .map_err(|_| NO_TIME)?;
    Ok((time + TimeDelta::microseconds(micros), zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_the_formats_people_write() {
        let good = |text: &str, order| date(text, order).map(|d| d.to_string());
        for text in [
            "2024-01-05",
            "2024/1/5",
            "2024.1.5",
            "20240105",
            "2024年1月5日",
            "2024年01月05号",
            "２０２４－０１－０５",
            " 2024-1-5 ",
            "2024-01-05 13:05:06",
            "45296",
            "45296.75",
            "2024 年 1 月 5 日",
            "2024年1月5",
        ] {
            assert_eq!(good(text, None).as_deref(), Ok("2024-01-05"), "{text}");
        }
        assert_eq!(
            good("01/05/2024", Some(DateOrder::Mdy)).as_deref(),
            Ok("2024-01-05")
        );
        assert_eq!(
            good("01/05/2024", Some(DateOrder::Dmy)).as_deref(),
            Ok("2024-05-01")
        );
        assert_eq!(
            good("29.2.2024", Some(DateOrder::Dmy)).as_deref(),
            Ok("2024-02-29")
        );
    }

    #[test]
    fn what_is_no_date_is_said_to_be_none() {
        for (text, why) in [
            ("01/05/2024", AMBIGUOUS),
            ("2024-02-30", NO_SUCH_DAY),
            ("2023年2月29日", NO_SUCH_DAY),
            ("24-01-05", AMBIGUOUS),
            ("2024-01/05", NOT_A_DATE),
            ("1700-01-01", OUT_OF_RANGE),
            ("", Unreadable("is blank")),
            ("待定", NOT_A_DATE),
            ("2024", NOT_A_DATE),
            ("1234567", NOT_A_DATE),
        ] {
            assert_eq!(date(text, None), Err(why), "{text}");
        }
        assert_eq!(
            date(&"9".repeat(10_000), None),
            Err(Unreadable("is too long"))
        );
    }

    #[test]
    fn moments_take_the_zone_unless_they_carry_one() {
        let china = offset("+08:00").unwrap();
        let read = |text: &str| moment(text, None, china).map(Timestamp::to_rfc3339);
        for (text, want) in [
            ("2024-01-05", "2024-01-04T16:00:00Z"),
            ("2024-01-05 13:05", "2024-01-05T05:05:00Z"),
            ("2024/1/5 下午1:05", "2024-01-05T05:05:00Z"),
            ("2024-01-05 1:05:06 pm", "2024-01-05T05:05:06Z"),
            ("2024-01-05 12:30 AM", "2024-01-04T16:30:00Z"),
            ("2024年1月5日 13时5分6秒", "2024-01-05T05:05:06Z"),
            ("2024-01-05T13:05:06.5Z", "2024-01-05T13:05:06.500Z"),
            ("2024-01-05T13:05:06-03:30", "2024-01-05T16:35:06Z"),
            ("20240105130506", "2024-01-05T05:05:06Z"),
            ("1704431106", "2024-01-05T05:05:06Z"),
            ("1704431106500", "2024-01-05T05:05:06.500Z"),
            ("45296.5", "2024-01-05T04:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(want), "{text}");
        }
        for text in [
            "2024-01-05 25:00",
            "2024-01-05 下午13:00",
            "2024-01-05 1:2:3:4",
            "2024-01-05 x",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn serials_know_the_day_that_never_was() {
        let day = |n| excel_serial(n).map(|d| d.to_string());
        assert_eq!(day(1.0).as_deref(), Some("1900-01-01 00:00:00"));
        assert_eq!(day(59.0).as_deref(), Some("1900-02-28 00:00:00"));
        assert_eq!(day(61.0).as_deref(), Some("1900-03-01 00:00:00"));
        assert_eq!(day(45_296.25).as_deref(), Some("2024-01-05 06:00:00"));
        assert_eq!(day(f64::NAN), None);
        assert_eq!(day(1e300), None);
    }
}
