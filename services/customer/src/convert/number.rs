//! Timestamps, dates, decimals and money.

use jinke_proto::google::r#type as gt;
use jinke_types::{Datum, Money, Timestamp};
use rust_decimal::Decimal;

use super::check::{Check, join};

/// 0001-01-01T00:00:00Z, the first second a `google.protobuf.Timestamp` may hold.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z, the last.
const LAST_SECOND: i64 = 253_402_300_799;
/// Most characters of a decimal.
const MAX_DECIMAL: usize = 64;

/// A required time. Nanoseconds below a microsecond are cut off.
pub fn time(
    check: &mut Check,
    field: impl Into<String>,
    time: Option<prost_types::Timestamp>,
) -> Option<Timestamp> {
    let field = field.into();
    match time {
        Some(_) => optional_time(check, field, time)?,
        None => check.wrong(field, "is required"),
    }
}

/// A time that may be absent. The outer `None` means that it was wrong.
pub fn optional_time(
    check: &mut Check,
    field: impl Into<String>,
    time: Option<prost_types::Timestamp>,
) -> Option<Option<Timestamp>> {
    let Some(time) = time else { return Some(None) };
    if !(FIRST_SECOND..=LAST_SECOND).contains(&time.seconds) {
        return check.wrong(field, "is not between the years 1 and 9999");
    }
    if !(0..1_000_000_000).contains(&time.nanos) {
        return check.wrong(field, "has nanos that are not between 0 and 999,999,999");
    }
    Some(Some(Timestamp(
        time.seconds * 1_000_000 + i64::from(time.nanos / 1_000),
    )))
}

/// A time on its way out.
pub fn time_out(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.secs(),
        nanos: time.subsec_nanos(),
    }
}

/// An exact number in the grammar of `google.type.Decimal`: sign, digits, fraction, exponent.
/// At most 28 significant digits and 28 decimals.
pub fn decimal(check: &mut Check, field: impl Into<String>, text: &str) -> Option<Decimal> {
    if text.len() > MAX_DECIMAL {
        return check.wrong(field, format!("is longer than {MAX_DECIMAL} characters"));
    }
    match parse_decimal(text) {
        Some(number) => Some(number),
        None => check.wrong(
            field,
            "is not a decimal number of at most 28 digits and 28 decimals, e.g. -12.50 or 2.5E3",
        ),
    }
}

fn parse_decimal(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let plain = !digits.is_empty()
                && digits.len() <= 3
                && digits.bytes().all(|b| b.is_ascii_digit());
            (
                mantissa,
                if plain {
                    exponent.parse::<i64>().ok()?
                } else {
                    return None;
                },
            )
        }
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !plain(whole) || !plain(fraction) {
        return None;
    }
    // The number is `unscaled` times ten to the minus `scale`, exactly.
    let mut unscaled: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        unscaled = unscaled
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    let mut scale = i64::try_from(fraction.len()).ok()? - exponent;
    if unscaled == 0 {
        scale = scale.clamp(0, 28);
    }
    while scale < 0 {
        unscaled = unscaled.checked_mul(10)?;
        scale += 1;
    }
    while scale > 28 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    if negative {
        unscaled = -unscaled;
    }
    Decimal::try_from_i128_with_scale(unscaled, u32::try_from(scale).ok()?).ok()
}

/// A decimal on its way out.
pub fn decimal_out(number: Decimal) -> gt::Decimal {
    gt::Decimal {
        value: number.to_string(),
    }
}

/// A full calendar date. A date without year, month or day is refused: it cannot be compared.
pub fn date(check: &mut Check, field: impl Into<String>, date: &gt::Date) -> Option<Datum> {
    let parts = (u8::try_from(date.month), u8::try_from(date.day));
    match parts {
        (Ok(month), Ok(day))
            if (1..=9999).contains(&date.year) && day >= 1 && day <= days(date.year, month) =>
        {
            Some(Datum::Date(date.year, month, day))
        }
        _ => check.wrong(field, "is not a full date between the years 1 and 9999"),
    }
}

fn days(year: i32, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

/// An amount: three capital letters, and units and nanos of one sign.
pub fn money(check: &mut Check, path: &str, money: &gt::Money) -> Option<Money> {
    let currency = currency(check, join(path, "currency_code"), &money.currency_code);
    let nanos = money.nanos;
    if !(-999_999_999..=999_999_999).contains(&nanos) {
        return check.wrong(
            join(path, "nanos"),
            "is not between -999,999,999 and 999,999,999",
        );
    }
    if (money.units > 0 && nanos < 0) || (money.units < 0 && nanos > 0) {
        return check.wrong(join(path, "nanos"), "has another sign than units");
    }
    let unscaled = i128::from(money.units) * 1_000_000_000 + i128::from(nanos);
    let amount = Decimal::try_from_i128_with_scale(unscaled, 9)
        .ok()?
        .normalize();
    Some(Money {
        currency: currency?,
        amount,
    })
}

/// An ISO 4217 code: three capital letters.
fn currency(check: &mut Check, field: String, code: &str) -> Option<String> {
    if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) {
        return Some(code.to_owned());
    }
    check.wrong(field, "is not an ISO 4217 code of three capital letters")
}

/// An amount on its way out. Amounts come in with at most nine decimals and 64-bit units, so
/// single ones fit; a sum beyond 64 bits is shown as the nearest that fits.
pub fn money_out(money: &Money) -> gt::Money {
    let amount = money.amount.round_dp(9);
    let units = amount.trunc();
    let nanos = (amount - units) * Decimal::from(1_000_000_000);
    let saturated = if amount.is_sign_negative() {
        i64::MIN
    } else {
        i64::MAX
    };
    gt::Money {
        currency_code: money.currency.clone(),
        units: i64::try_from(units).unwrap_or(saturated),
        nanos: i32::try_from(nanos.trunc()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        let ok = |s: &str| parse_decimal(s).map(|d| d.to_string());
        assert_eq!(ok("-12.50").as_deref(), Some("-12.50"));
        assert_eq!(ok("2.5E3").as_deref(), Some("2500"));
        assert_eq!(ok("+.5").as_deref(), Some("0.5"));
        assert_eq!(ok("5.").as_deref(), Some("5"));
        assert_eq!(
            ok("1e-28").as_deref(),
            Some("0.0000000000000000000000000001")
        );
        assert_eq!(ok("0e999").as_deref(), Some("0"));
        for bad in [
            "",
            "-",
            ".",
            "1e",
            "1e1000",
            "1_000",
            "1,5",
            "NaN",
            "inf",
            "１",
            "1e-29",
            "1e40",
            "99999999999999999999999999999999",
            "0x10",
            " 1",
            "1e+-3",
        ] {
            assert_eq!(parse_decimal(bad), None, "{bad}");
        }
        assert_eq!(
            decimal(&mut Check::new(), "n", &"1".repeat(10_000_000)),
            None
        );
    }

    #[test]
    fn money_of_two_signs_is_refused_and_the_rest_comes_back() {
        let bad = [(1, -1), (-1, 1), (0, 1_000_000_000), (0, i32::MIN)];
        for (units, nanos) in bad {
            let m = gt::Money {
                currency_code: "CNY".to_owned(),
                units,
                nanos,
            };
            assert_eq!(
                money(&mut Check::new(), "amount", &m),
                None,
                "{units} {nanos}"
            );
        }
        for (units, nanos) in [
            (0, 0),
            (-1, -999_999_999),
            (i64::MAX, 999_999_999),
            (i64::MIN, 0),
        ] {
            let m = gt::Money {
                currency_code: "CNY".to_owned(),
                units,
                nanos,
            };
            let parsed = money(&mut Check::new(), "amount", &m).unwrap();
            assert_eq!(money_out(&parsed), m);
        }
        let m = gt::Money {
            currency_code: "rmb".to_owned(),
            units: 1,
            nanos: 0,
        };
        let mut check = Check::new();
        assert_eq!(money(&mut check, "records[0].transaction.amount", &m), None);
        let violation = check.done().unwrap_err().violations.remove(0);
        assert_eq!(
            violation.field,
            "records[0].transaction.amount.currency_code"
        );
    }

    #[test]
    fn times_out_of_range_are_refused() {
        let t = |seconds, nanos| {
            time(
                &mut Check::new(),
                "t",
                Some(prost_types::Timestamp { seconds, nanos }),
            )
        };
        assert_eq!(t(i64::MAX, 0), None);
        assert_eq!(t(LAST_SECOND + 1, 0), None);
        assert_eq!(t(FIRST_SECOND - 1, 0), None);
        assert_eq!(t(0, -1), None);
        assert_eq!(t(0, 1_000_000_000), None);
        assert_eq!(t(1, 1_999), Some(Timestamp(1_000_001)));
        let first = t(FIRST_SECOND, 0).unwrap();
        assert_eq!(time_out(first).seconds, FIRST_SECOND);
        assert_eq!(time(&mut Check::new(), "t", None), None);
    }

    #[test]
    fn dates_are_full_and_real() {
        let d = |year, month, day| date(&mut Check::new(), "d", &gt::Date { year, month, day });
        assert_eq!(d(2024, 2, 29), Some(Datum::Date(2024, 2, 29)));
        for (y, m, day) in [
            (2023, 2, 29),
            (0, 1, 1),
            (2023, 0, 1),
            (2023, 1, 0),
            (2023, 13, 1),
            (10_000, 1, 1),
            (2023, 257, 1),
            (-1, 1, 1),
        ] {
            assert_eq!(d(y, m, day), None, "{y}-{m}-{day}");
        }
    }
}
