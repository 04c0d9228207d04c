//! Exact decimals: billionths in 128 bits, rounded half to even in one place.
//!
//! Amounts of money arrive as units and billionths (`google.type.Money`). Sums are exact; a
//! quotient is rounded once, to nine decimals, half to even. What does not fit gives `None`, which
//! an answer states as `OVERFLOW`, never a wrong number. There is no float anywhere.

use num_bigint::BigInt;

/// Billionths in one.
pub const ONE: i128 = 1_000_000_000;

/// `num / den` as billionths, half to even. None when `den` is 0 or the result does not fit.
pub fn ratio(num: i128, den: i128) -> Option<i128> {
    if den == 0 {
        return None;
    }
    match num.checked_mul(ONE) {
        Some(scaled) => divide(scaled, den),
        None => divide_big(&(BigInt::from(num) * BigInt::from(ONE)), &BigInt::from(den)),
    }
}

/// Product of two numbers in billionths, in billionths, half to even.
pub fn product(a: i128, b: i128) -> Option<i128> {
    match a.checked_mul(b) {
        Some(p) => divide(p, ONE),
        None => divide_big(&(BigInt::from(a) * BigInt::from(b)), &BigInt::from(ONE)),
    }
}

/// `num / den` rounded half to even.
pub fn divide(num: i128, den: i128) -> Option<i128> {
    let quotient = num.checked_div(den)?;
    let rest = num.checked_rem(den)?;
    let twice = rest.unsigned_abs().checked_mul(2)?;
    let away = match twice.cmp(&den.unsigned_abs()) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    if !away {
        return Some(quotient);
    }
    let sign = if (num < 0) == (den < 0) { 1 } else { -1 };
    quotient.checked_add(sign)
}

/// The same over big integers; none when the result does not fit in 128 bits.
pub fn divide_big(num: &BigInt, den: &BigInt) -> Option<i128> {
    let zero = BigInt::from(0);
    if *den == zero {
        return None;
    }
    let quotient = num / den;
    let rest = num - &quotient * den;
    let abs = |x: &BigInt| if *x < zero { -x.clone() } else { x.clone() };
    let twice = abs(&rest) * 2;
    let den_abs = abs(den);
    let odd = &quotient % 2 != zero;
    let away = twice > den_abs || (twice == den_abs && odd);
    let rounded = if !away {
        quotient
    } else if (*num < zero) == (*den < zero) {
        quotient + 1
    } else {
        quotient - 1
    };
    i128::try_from(rounded).ok()
}

/// Billionths as decimal text without trailing zeros, e.g. `-0.5`.
pub fn text(value: i128) -> String {
    let abs = value.unsigned_abs();
    let one = ONE.unsigned_abs();
    let (whole, part) = (abs / one, abs % one);
    let sign = if value < 0 { "-" } else { "" };
    if part == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{part:09}");
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

/// Rounded half to even to `decimals` (0 to 9) and written with exactly so many.
pub fn fixed(value: i128, decimals: u32) -> String {
    let decimals = decimals.min(9);
    let step = 10_i128.pow(9 - decimals);
    let rounded = divide(value, step).unwrap_or(value / step);
    let scale = 10_u128.pow(decimals);
    let (abs, sign) = (rounded.unsigned_abs(), if rounded < 0 { "-" } else { "" });
    if decimals == 0 {
        return format!("{sign}{abs}");
    }
    let (whole, part) = (abs / scale, abs % scale);
    format!("{sign}{whole}.{part:0width$}", width = decimals as usize)
}

/// Reads decimal text: an optional sign, up to 20 digits, up to nine decimals. None otherwise.
pub fn parse(s: &str) -> Option<i128> {
    let (negative, rest) = match s.as_bytes().first()? {
        b'-' => (true, &s[1..]),
        b'+' => (false, &s[1..]),
        _ => (false, s),
    };
    let (whole, part) = rest.split_once('.').unwrap_or((rest, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && part.is_empty()
        || whole.len() > 20
        || part.len() > 9
        || !digits(whole)
        || !digits(part)
    {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let part: i128 = format!("{part:0<9}").parse().ok()?;
    let value = whole.checked_mul(ONE)?.checked_add(part)?;
    Some(if negative { -value } else { value })
}

/// Whole and billionths, as `google.type.Money` has them, as one number.
pub const fn of_parts(units: i64, nanos: i32) -> i128 {
    units as i128 * ONE + nanos as i128
}

/// Σ flow\[t\] / (1 + rate)^t from t = 0, exact until the one rounding at the end. `rate` is in
/// billionths and greater than -1; none when it is not, or the result does not fit.
///
/// With p/q = 1 + rate the sum is Σ flow\[t\]·q^t·p^(n−t) / p^n over whole numbers.
pub fn present_value(flows: &[i128], rate: i128) -> Option<i128> {
    let p = ONE.checked_add(rate)?;
    if p <= 0 {
        return None;
    }
    if rate == 0 {
        return flows.iter().try_fold(0_i128, |sum, f| sum.checked_add(*f));
    }
    let (p, q) = reduce(p, ONE);
    let (p, q) = (BigInt::from(p), BigInt::from(q));
    // Horner from the last year: v = flow[t] + v·q/p, kept as a numerator over p^k.
    let (mut numerator, mut power) = (BigInt::from(0), BigInt::from(1));
    for flow in flows.iter().rev() {
        numerator = BigInt::from(*flow) * &power * &p + numerator * &q;
        power *= &p;
    }
    divide_big(&numerator, &power)
}

fn reduce(mut a: i128, b: i128) -> (i128, i128) {
    let (p, q) = (a, b);
    let mut rest = b;
    while rest != 0 {
        (a, rest) = (rest, a % rest);
    }
    (p / a, q / a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_to_the_even_neighbour() {
        assert_eq!(divide(5, 2), Some(2));
        assert_eq!(divide(7, 2), Some(4));
        assert_eq!(divide(-5, 2), Some(-2));
        assert_eq!(divide(-7, 2), Some(-4));
        assert_eq!(divide(7, -2), Some(-4));
        assert_eq!(divide(1, 0), None);
        assert_eq!(ratio(1, 3), Some(333_333_333));
        assert_eq!(ratio(2, 3), Some(666_666_667));
        assert_eq!(ratio(i128::MAX / 2, i128::MAX / 2), Some(ONE));
        for (n, d) in [(5, 2), (7, 2), (-5, 2), (-7, 2), (7, -2), (9, 4), (11, 4)] {
            assert_eq!(
                divide_big(&BigInt::from(n), &BigInt::from(d)),
                divide(n, d),
                "{n}/{d}"
            );
        }
    }

    #[test]
    fn text_is_read_and_written() {
        for t in [
            "0",
            "1",
            "-1",
            "0.5",
            "-0.000000001",
            "12345678901234567890.123456789",
        ] {
            assert_eq!(text(parse(t).unwrap()), t);
        }
        for t in [
            "",
            "-",
            ".",
            "1e3",
            "0.1234567891",
            " 1",
            "1,0",
            "123456789012345678901",
        ] {
            assert_eq!(parse(t), None, "{t}");
        }
        assert_eq!(parse("+.5"), Some(ONE / 2));
        assert_eq!(fixed(parse("2.345").unwrap(), 2), "2.34");
        assert_eq!(fixed(parse("2.355").unwrap(), 2), "2.36");
        assert_eq!(fixed(parse("-0.004").unwrap(), 2), "0.00");
        assert_eq!(fixed(parse("7.5").unwrap(), 0), "8");
    }

    #[test]
    fn flows_are_discounted_from_year_one_on() {
        let n = |x: i128| x * ONE;
        let flows = [n(100), n(110), n(121)];
        assert_eq!(present_value(&flows, 0), Some(n(331)));
        assert_eq!(present_value(&flows, ONE / 10), Some(n(300)));
        assert_eq!(present_value(&flows[..1], ONE / 10), Some(n(100)));
        assert_eq!(present_value(&[], ONE / 10), Some(0));
        assert_eq!(present_value(&flows, -ONE), None);
        // Half of everything is lost each year: the flow of the year after counts double.
        assert_eq!(present_value(&[0, n(1)], -ONE / 2), Some(n(2)));
    }
}
