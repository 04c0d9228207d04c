//! Times, durations, dates, decimals and money.

use jinke_proto::google::r#type as gt;
use jinke_types::{Money, Timestamp};
use rust_decimal::Decimal;

use super::check::Check;
use crate::domain::MAX_AMOUNT;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, between which a Timestamp lies.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// Longest duration: a hundred years, in seconds.
const LONGEST: i64 = 3_155_760_000;
/// Most characters of a decimal.
const MAX_DECIMAL: usize = 64;

/// A time that may be absent.
pub fn optional_time(
    check: &mut Check,
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Option<Option<Timestamp>> {
    let Some(t) = time else { return Some(None) };
    if SECONDS.contains(&t.seconds) && (0..1_000_000_000).contains(&t.nanos) {
        let micros = t.seconds * 1_000_000 + i64::from(t.nanos / 1_000);
        return Some(Some(Timestamp(micros)));
    }
    check.wrong(field, "is no time between the years 1 and 9999")
}

/// A time that is there.
pub fn time(
    check: &mut Check,
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Option<Timestamp> {
    match optional_time(check, field, time)? {
        Some(time) => Some(time),
        None => check.wrong(field, "is required"),
    }
}

/// A time on its way out.
pub fn time_out(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.secs(),
        nanos: time.subsec_nanos(),
    }
}

/// A duration that is not negative, in microseconds; none when absent.
pub fn duration(
    check: &mut Check,
    field: &str,
    d: Option<prost_types::Duration>,
) -> Option<Option<i64>> {
    let Some(d) = d else { return Some(None) };
    if (0..=LONGEST).contains(&d.seconds) && (0..1_000_000_000).contains(&d.nanos) {
        return Some(Some(d.seconds * 1_000_000 + i64::from(d.nanos / 1_000)));
    }
    check.wrong(field, "is no duration between 0 and a hundred years")
}

/// A duration on its way out.
pub fn duration_out(micros: i64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or_default(),
    }
}

/// A whole date as `YYYY-MM-DD`; none when absent.
pub fn date(check: &mut Check, field: &str, date: Option<&gt::Date>) -> Option<Option<String>> {
    let Some(d) = date else { return Some(None) };
    let parts = (u32::try_from(d.month), u32::try_from(d.day));
    if let (Ok(month), Ok(day)) = parts
        && (1..=9_999).contains(&d.year)
        && chrono::NaiveDate::from_ymd_opt(d.year, month, day).is_some()
    {
        return Some(Some(format!("{:04}-{month:02}-{day:02}", d.year)));
    }
    check.wrong(field, "is no whole date between the years 1 and 9999")
}

/// A date on its way out.
pub fn date_out(date: &str) -> Option<gt::Date> {
    let mut parts = date.split('-').map(str::parse::<i32>);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) => Some(gt::Date { year, month, day }),
        _ => None,
    }
}

/// An amount of either sign within the limit; none when absent.
pub fn money(check: &mut Check, field: &str, money: Option<&gt::Money>) -> Option<Option<Money>> {
    let Some(m) = money else { return Some(None) };
    let code = &m.currency_code;
    if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
        let why = "is not an ISO 4217 code of three capital letters";
        return check.wrong(format!("{field}.currency_code"), why);
    }
    let one_sign = (m.units >= 0 && m.nanos >= 0) || (m.units <= 0 && m.nanos <= 0);
    if !(-999_999_999..=999_999_999).contains(&m.nanos) || !one_sign {
        let why = "is not below a unit, or has another sign than units";
        return check.wrong(format!("{field}.nanos"), why);
    }
    if !(-MAX_AMOUNT..=MAX_AMOUNT).contains(&m.units) {
        let why = format!("is beyond {MAX_AMOUNT}");
        return check.wrong(format!("{field}.units"), why);
    }
    let unscaled = i128::from(m.units) * 1_000_000_000 + i128::from(m.nanos);
    let amount = Decimal::try_from_i128_with_scale(unscaled, 9).ok()?;
    Some(Some(Money {
        currency: code.clone(),
        amount: amount.normalize(),
    }))
}

/// An amount that is not negative.
pub fn positive_money(
    check: &mut Check,
    field: &str,
    money: Option<&gt::Money>,
) -> Option<Option<Money>> {
    let parsed = self::money(check, field, money)?;
    if parsed
        .as_ref()
        .is_some_and(|m| m.amount.is_sign_negative() && !m.amount.is_zero())
    {
        return check.wrong(field, "is negative");
    }
    Some(parsed)
}

/// An amount on its way out. A sum beyond what the message holds is shown as the nearest it holds.
pub fn money_out(money: &Money) -> gt::Money {
    let amount = money.amount.round_dp(9);
    let units = amount.trunc();
    let nanos = ((amount - units) * Decimal::from(1_000_000_000)).trunc();
    let nearest = if amount.is_sign_negative() {
        i64::MIN
    } else {
        i64::MAX
    };
    gt::Money {
        currency_code: money.currency.clone(),
        units: i64::try_from(units).unwrap_or(nearest),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

/// An exact number of at most 28 digits, above 0 and at most [`MAX_AMOUNT`]. Plain digits with a
/// point; no exponent.
pub fn quantity(check: &mut Check, field: &str, d: Option<&gt::Decimal>) -> Option<Decimal> {
    let text = d.map_or("", |d| d.value.as_str());
    let plain = text.len() <= MAX_DECIMAL
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && text.bytes().any(|b| b.is_ascii_digit());
    let parsed = plain
        .then(|| Decimal::from_str_exact(text).ok())
        .flatten()
        .filter(|d| !d.is_zero() && *d <= Decimal::from(MAX_AMOUNT) && d.scale() <= 9);
    match parsed {
        Some(number) => Some(number.normalize()),
        None => {
            let why = "is no positive decimal number of at most nine decimals, e.g. 2.5";
            check.wrong(field, why)
        }
    }
}

/// A decimal on its way out.
pub fn decimal_out(number: Decimal) -> gt::Decimal {
    gt::Decimal {
        value: number.normalize().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn m(units: i64, nanos: i32) -> gt::Money {
        gt::Money {
            currency_code: "CNY".to_owned(),
            units,
            nanos,
        }
    }

    #[test]
    fn money_comes_back_or_is_refused() {
        for (units, nanos) in [
            (0, 0),
            (1, 500_000_000),
            (-3, -1),
            (MAX_AMOUNT, 999_999_999),
        ] {
            let parsed = money(&mut Check::new(), "amount", Some(&m(units, nanos)));
            assert_eq!(money_out(&parsed.unwrap().unwrap()), m(units, nanos));
        }
        for (units, nanos) in [
            (1, -1),
            (-1, 1),
            (0, 1_000_000_000),
            (i64::MAX, 0),
            (i64::MIN, 0),
        ] {
            assert_eq!(money(&mut Check::new(), "a", Some(&m(units, nanos))), None);
        }
        let mut lower = m(1, 0);
        lower.currency_code = "rmb".into();
        assert_eq!(money(&mut Check::new(), "a", Some(&lower)), None);
        assert_eq!(
            positive_money(&mut Check::new(), "a", Some(&m(-1, 0))),
            None
        );
    }

    #[test]
    fn quantities_are_exact_or_refused() {
        let q = |text: &str| {
            let d = gt::Decimal {
                value: text.to_owned(),
            };
            quantity(&mut Check::new(), "q", Some(&d)).map(|d| d.to_string())
        };
        assert_eq!(q("2.50").as_deref(), Some("2.5"));
        for bad in [
            "",
            "0",
            "-1",
            "1e3",
            "1_000",
            ".",
            "NaN",
            "0.0000000001",
            "1000000000001",
        ] {
            assert_eq!(q(bad), None, "{bad}");
        }
        assert_eq!(q(&"9".repeat(1_000_000)), None);
    }

    #[test]
    fn dates_are_real_and_come_back() {
        let d = |year, month, day| {
            date(&mut Check::new(), "d", Some(&gt::Date { year, month, day })).flatten()
        };
        assert_eq!(d(2024, 2, 29).as_deref(), Some("2024-02-29"));
        let back = date_out("2024-02-29").unwrap();
        assert_eq!((back.year, back.month, back.day), (2024, 2, 29));
        for (y, mo, da) in [
            (2023, 2, 29),
            (0, 1, 1),
            (2023, 0, 1),
            (2023, 13, 1),
            (10_000, 1, 1),
        ] {
            assert_eq!(d(y, mo, da), None);
        }
    }

    #[test]
    fn times_and_durations_out_of_range_are_refused() {
        let t = |seconds, nanos| {
            time(
                &mut Check::new(),
                "t",
                Some(prost_types::Timestamp { seconds, nanos }),
            )
        };
        assert_eq!(t(i64::MAX, 0), None);
        assert_eq!(t(0, -1), None);
        assert_eq!(t(1, 1_999), Some(Timestamp(1_000_001)));
        let d = |seconds, nanos| {
            duration(
                &mut Check::new(),
                "d",
                Some(prost_types::Duration { seconds, nanos }),
            )
        };
        assert_eq!(d(-1, 0), None);
        assert_eq!(d(i64::MAX, 0), None);
        assert_eq!(d(2, 500_000_000), Some(Some(2_500_000)));
        assert_eq!(duration_out(2_500_000).nanos, 500_000_000);
    }
}
