//! Numbers, numbers kept as text, and truth.

use rust_decimal::Decimal;

use super::{Unreadable, fold, short};

/// Reads an exact number: `1234.5`, `1,234.5`, `１２`, `-3`, `1.2E3`.
pub fn number(text: &str) -> Result<Decimal, Unreadable> {
    let folded = short(text)?;
    match folded.strip_prefix(['-', '+']) {
        Some(rest) if folded.starts_with('-') => Ok(-plain(rest)?),
        Some(rest) => plain(rest),
        None => plain(&folded),
    }
}

/// A number without sign or marks; commas must part groups of three.
pub(super) fn plain(text: &str) -> Result<Decimal, Unreadable> {
    const NO_NUMBER: Unreadable = Unreadable("is not a number");
    if !text
        .bytes()
        .all(|b| b.is_ascii_digit() || b".,Ee+-".contains(&b))
        || !text.bytes().any(|b| b.is_ascii_digit())
        || text.starts_with(['-', '+'])
    {
        return Err(NO_NUMBER);
    }
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text, None), |(w, f)| (w, Some(f)));
    if fraction.is_some_and(|f| f.contains(',') || f.contains('.')) {
        return Err(Unreadable(
            "has commas that do not part groups of three digits",
        ));
    }
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let grouped = whole.contains(',');
    if grouped && (first.is_empty() || first.len() > 3 || groups.any(|g| g.len() != 3)) {
        return Err(Unreadable(
            "has commas that do not part groups of three digits",
        ));
    }
    let joined = text.replace(',', "");
    let value = if joined.contains(['e', 'E']) {
        Decimal::from_scientific(&joined)
    } else {
        joined.parse()
    };
    // Equal numbers have one form, so that a record's content does not differ by `2` and `2.0`.
    value.map(|v| v.normalize()).map_err(|_| NO_NUMBER)
}

/// The exact number a spreadsheet shows for a double: 15 significant digits.
pub fn exact(value: f64) -> Result<Decimal, Unreadable> {
    if !value.is_finite() {
        return Err(Unreadable("is not a number"));
    }
    let value = Decimal::from_scientific(&format!("{value:.14e}"))
        .map_err(|_| Unreadable("is too large or has too many decimals"))?;
    Ok(value.normalize())
}

/// An id, phone or account number that a spreadsheet took for a number, as its digits
/// again: `1.3812345678E10` is `13812345678`, `1001.0` is `1001`. Other texts come back
/// folded to half width. Refused when digits are lost: `1.38123E+10`, which a spreadsheet
/// writes with five decimals whatever the number was.
pub fn code(text: &str) -> Result<String, Unreadable> {
    const LOST: Unreadable =
        Unreadable("was shortened to scientific notation and lost digits; export it as text");
    let folded = fold(text);
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if let Some((mantissa, exponent)) = folded.split_once(['E', 'e'])
        && let Some((whole, fraction)) = mantissa.split_once('.')
        && whole.len() == 1
        && digits(whole)
        && digits(fraction)
        && let Ok(shift @ 3..=30) = exponent.trim_start_matches('+').parse::<usize>()
    {
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > shift {
            return Ok(folded);
        }
        let missing = shift - fraction.len();
        // A program drops zeros at the end; a spreadsheet drops any digits, and marks the
        // exponent with a plus. Beyond 15 digits a double holds none that count.
        if (missing > 0 && exponent.starts_with('+')) || shift >= 15 {
            return Err(LOST);
        }
        return Ok(format!("{whole}{fraction}{}", "0".repeat(missing)));
    }
    if let Some((whole, fraction)) = folded.split_once('.')
        && digits(whole)
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b == b'0')
    {
        return Ok(whole.to_owned());
    }
    Ok(folded)
}

/// Reads 是/否, 有/无, true/false, yes/no, y/n, on/off, 1/0, √/×, 启用/停用.
pub fn boolean(text: &str) -> Result<bool, Unreadable> {
    match short(text)?.to_lowercase().as_str() {
        "是" | "有" | "真" | "对" | "true" | "yes" | "y" | "t" | "on" | "1" | "1.0" | "√" | "✓"
        | "✔" | "启用" => Ok(true),
        "否" | "无" | "假" | "错" | "false" | "no" | "n" | "f" | "off" | "0" | "0.0" | "×"
        | "✗" | "x" | "停用" => Ok(false),
        _ => Err(Unreadable("is neither yes nor no")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_became_numbers() {
        for (text, want) in [
            ("1.3812345678E10", "13812345678"),
            ("1.3812345678E+10", "13812345678"),
            ("1.381234567E10", "13812345670"),
            ("13812345678.0", "13812345678"),
            ("1001.00", "1001"),
            ("Ｃ００１", "C001"),
            ("021-6233 4567", "021-6233 4567"),
            ("V1.05", "V1.05"),
            ("1.05", "1.05"),
            ("91310000607378650U", "91310000607378650U"),
            ("1.2345678E3", "1.2345678E3"),
        ] {
            assert_eq!(code(text).as_deref(), Ok(want), "{text}");
        }
        for text in ["1.38123E+10", "9.13100006073786E17", "6.22202E+18"] {
            assert!(code(text).is_err(), "{text}");
        }
    }

    #[test]
    fn doubles_show_what_the_sheet_shows() {
        assert_eq!(exact(0.1 + 0.2).unwrap().to_string(), "0.3");
        assert_eq!(exact(13_812_345_678.0).unwrap().to_string(), "13812345678");
        assert_eq!(exact(-1_234.5).unwrap().to_string(), "-1234.5");
        assert_eq!(exact(1e21).unwrap().to_string(), "1000000000000000000000");
        assert!(exact(f64::INFINITY).is_err());
        assert!(exact(1e300).is_err());
    }

    #[test]
    fn truth() {
        for text in ["是", "YES", "1", "√", "启用", "ｔｒｕｅ"] {
            assert_eq!(boolean(text), Ok(true), "{text}");
        }
        for text in ["否", "no", "0", "×", "停用"] {
            assert_eq!(boolean(text), Ok(false), "{text}");
        }
        assert!(boolean("也许").is_err());
    }
}
