//! Amounts of money as people write them.

use rust_decimal::Decimal;

use super::{Unreadable, number::plain, short};

/// An amount, and the currency if a mark in the text names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// The amount, at most nine decimals.
    pub value: Decimal,
    /// ISO 4217 code. `¥` names none, because it stands for yuan and yen.
    pub currency: Option<&'static str>,
}

/// The marks that may stand before or behind an amount, longest first.
const MARKS: &[(&str, Option<&str>)] = &[
    ("人民币", Some("CNY")),
    ("港币", Some("HKD")),
    ("美元", Some("USD")),
    ("欧元", Some("EUR")),
    ("日元", Some("JPY")),
    ("HK$", Some("HKD")),
    ("US$", Some("USD")),
    ("CNY", Some("CNY")),
    ("RMB", Some("CNY")),
    ("USD", Some("USD")),
    ("EUR", Some("EUR")),
    ("HKD", Some("HKD")),
    ("JPY", Some("JPY")),
    ("GBP", Some("GBP")),
    ("元整", None),
    ("元", None),
    ("圆", None),
    ("¥", None),
    ("$", Some("USD")),
    ("€", Some("EUR")),
    ("£", Some("GBP")),
];

/// Reads `1234.5`, `1,234.50`, `¥1,234.50`, `１２３４．５`, `(123.45)`, `-123`, `123-`,
/// `1234.50元`, `USD 12`. With `wan` also `3.5万` and `1.2亿`; without, they are refused, since
/// a column in 万 that is read as yuan would be wrong ten thousand times over. Refused too:
/// commas that do not part groups of three, `1.234,50`, percentages, over nine decimals.
pub fn amount(text: &str, wan: bool) -> Result<Amount, Unreadable> {
    let folded = short(text)?.to_uppercase();
    let mut rest = folded.as_str();
    let mut negative = false;
    if let Some(inner) = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')')) {
        (rest, negative) = (inner.trim(), true);
    }
    let mut currency = None;
    // A sign may stand before or behind a mark, so marks and signs are taken off in turn.
    let mut signs = 0;
    loop {
        let before = rest;
        for (mark, names) in MARKS {
            let stripped = rest.strip_prefix(mark).or_else(|| rest.strip_suffix(mark));
            if let Some(stripped) = stripped {
                if names.is_some() && currency.is_some() && currency != *names {
                    return Err(Unreadable("names two currencies"));
                }
                (rest, currency) = (stripped.trim(), currency.or(*names));
                break;
            }
        }
        if let Some(stripped) = rest
            .strip_prefix(['-', '+'])
            .or_else(|| rest.strip_suffix('-'))
        {
            signs += 1;
            negative ^= rest.contains('-');
            rest = stripped.trim();
        }
        if before == rest {
            break;
        }
    }
    if signs > 1 {
        return Err(Unreadable("has more than one sign"));
    }
    let mut scale = Decimal::ONE;
    for (mark, times) in [('万', 10_000), ('亿', 100_000_000)] {
        if let Some(stripped) = rest.strip_suffix(mark) {
            if !wan {
                return Err(Unreadable(
                    "is in 万 or 亿; set wan = true in the mapping to read it",
                ));
            }
            (rest, scale) = (stripped.trim(), Decimal::from(times));
        }
    }
    if rest.ends_with('%') {
        return Err(Unreadable("is a percentage"));
    }
    let value = plain(rest)?
        .checked_mul(scale)
        .ok_or(Unreadable("is too large"))?
        .normalize();
    if value.scale() > 9 {
        return Err(Unreadable("has more than nine decimals"));
    }
    Ok(Amount {
        value: if negative { -value } else { value },
        currency,
    })
}

/// The ISO 4217 code of a currency as people write it: a code, 人民币, 美元, `$`, ….
pub fn currency(text: &str) -> Result<String, Unreadable> {
    let folded = short(text)?.to_uppercase();
    let named = match folded.as_str() {
        "人民币" | "元" | "¥" | "RMB" | "人民币元" | "CNH" => Some("CNY"),
        "美元" | "美金" | "$" | "US$" => Some("USD"),
        "港币" | "港元" | "HK$" => Some("HKD"),
        "欧元" | "€" => Some("EUR"),
        "日元" | "日圆" => Some("JPY"),
        "英镑" | "£" => Some("GBP"),
        "澳元" => Some("AUD"),
        "加元" => Some("CAD"),
        "新台币" | "台币" => Some("TWD"),
        "新加坡元" => Some("SGD"),
        _ => None,
    };
    match named {
        Some(code) => Ok(code.to_owned()),
        None if folded.len() == 3 && folded.bytes().all(|b| b.is_ascii_uppercase()) => Ok(folded),
        None => Err(Unreadable("is not a currency")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, &'static str> {
        amount(text, false)
            .map(|a| a.value.to_string())
            .map_err(|e| e.0)
    }

    #[test]
    fn amounts_as_people_write_them() {
        for (text, want) in [
            ("1234.5", "1234.5"),
            ("1,234.50", "1234.5"),
            ("¥1,234.50", "1234.5"),
            ("￥１，２３４．５０", "1234.5"),
            ("(123.45)", "-123.45"),
            ("（123.45）", "-123.45"),
            ("-¥12", "-12"),
            ("¥-12", "-12"),
            ("123-", "-123"),
            ("+5", "5"),
            ("1234.50元", "1234.5"),
            ("人民币 1,000 元整", "1000"),
            ("0.00", "0"),
            (".5", "0.5"),
            ("1.2345E3", "1234.5"),
            ("12,345,678.000000001", "12345678.000000001"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(want), "{text}");
        }
        assert_eq!(amount("USD 12", false).unwrap().currency, Some("USD"));
        assert_eq!(amount("¥12", false).unwrap().currency, None);
        assert_eq!(
            amount("3.5万元", true).unwrap().value,
            Decimal::from(35_000)
        );
        assert_eq!(
            amount("1.2亿", true).unwrap().value,
            Decimal::from(120_000_000)
        );
    }

    #[test]
    fn what_could_be_misread_is_refused() {
        for text in [
            "",
            "abc",
            "1,23",
            "1.234,50",
            "12,34,567",
            "1 2",
            "5%",
            "3.5万",
            "--5",
            "(-5)-",
            "-5-",
            "1e400",
            "0.0000000001",
            "¥",
            "$5€",
            "1,234,56",
            ",123",
            "1..2",
            "∞",
            "NaN",
            "1_000",
        ] {
            assert!(read(text).is_err(), "{text}: {:?}", read(text));
        }
        assert!(amount("9999999999999999999999999999万", true).is_err());
    }

    #[test]
    fn currencies() {
        for (text, want) in [
            ("人民币", "CNY"),
            ("usd", "USD"),
            ("￥", "CNY"),
            (" 美元 ", "USD"),
        ] {
            assert_eq!(currency(text).as_deref(), Ok(want));
        }
        assert!(currency("钱").is_err());
    }
}
