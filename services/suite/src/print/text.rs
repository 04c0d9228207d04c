//! Values as people read them.

use std::fmt::Write as _;

use jinke_proto::{
    google::r#type::{Date, Money},
    jinke::{customer::v1 as pb, r#type::v1::FieldClass},
};
use prost_types::Timestamp;

/// `text` without anything a terminal would act on: control characters and marks that turn the
/// direction of writing become `�`, line ends and tabs become spaces. Foreign systems and
/// files fill these texts.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                '\u{fffd}'
            }
            c => c,
        })
        .collect()
}

/// A time in the machine's zone, to the second.
pub fn time(time: Option<&Timestamp>) -> String {
    let Some(time) = time else {
        return String::new();
    };
    let nanos = u32::try_from(time.nanos).unwrap_or(0);
    chrono::DateTime::from_timestamp(time.seconds, nanos).map_or_else(String::new, |t| {
        t.with_timezone(&chrono::Local)
            .format("%Y-%m-%d %H:%M:%S")
            .to_string()
    })
}

/// An amount of money with its currency, all decimals kept, at least two.
pub fn money(money: &Money) -> String {
    let sign = if money.units < 0 || money.nanos < 0 {
        "-"
    } else {
        ""
    };
    let mut decimals = format!("{:09}", money.nanos.unsigned_abs());
    while decimals.len() > 2 && decimals.ends_with('0') {
        decimals.pop();
    }
    format!(
        "{} {sign}{}.{decimals}",
        money.currency_code,
        money.units.unsigned_abs()
    )
}

/// A value, whatever it is.
pub fn value(value: &pb::Value) -> String {
    use pb::value::Datum;
    let text = match &value.datum {
        Some(Datum::Text(text)) => clean(text),
        Some(Datum::Number(number)) if value.unit.is_empty() => clean(&number.value),
        Some(Datum::Number(number)) => format!("{} {}", clean(&number.value), clean(&value.unit)),
        Some(Datum::Date(date)) => self::date(date),
        Some(Datum::Address(a)) => address(a),
        Some(Datum::Null(_)) | None => String::new(),
    };
    if value.country.is_empty() {
        text
    } else {
        format!("{text} ({})", clean(&value.country))
    }
}

fn date(date: &Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
}

fn address(a: &pb::Address) -> String {
    let mut out = String::new();
    for part in [&a.country, &a.province, &a.city, &a.district] {
        // Many systems repeat the province and city in the text.
        if !a.text.contains(part.as_str()) {
            out.push_str(part);
        }
    }
    out.push_str(&a.text);
    if !a.postcode.is_empty() {
        let _ = write!(out, " {}", a.postcode);
    }
    clean(&out)
}

/// The attribute of a value with its scheme, e.g. `identifier:uscc`.
pub fn attribute(value: &pb::Value) -> String {
    if value.scheme.is_empty() {
        clean(&value.attribute)
    } else {
        clean(&format!("{}:{}", value.attribute, value.scheme))
    }
}

/// A record key as the command line takes it: `erp/C-1`.
pub fn key(key: Option<&pb::RecordKey>) -> String {
    key.map_or_else(String::new, |k| {
        let source = k.source.strip_prefix("sources/").unwrap_or(&k.source);
        clean(&format!("{source}/{}", k.external_id))
    })
}

/// A score in bits: `12.345`. Scores are whole milli-bits, so nothing is rounded.
pub fn score(milli_bits: i32) -> String {
    let sign = if milli_bits < 0 { "-" } else { "" };
    let milli = milli_bits.unsigned_abs();
    format!("{sign}{}.{:03}", milli / 1000, milli % 1000)
}

/// The kind of a party: `组织` or `个人`.
pub const fn kind(kind: pb::PartyKind) -> &'static str {
    match kind {
        pb::PartyKind::Organization => "组织",
        pb::PartyKind::Person => "个人",
        pb::PartyKind::Unspecified => "",
    }
}

/// What happened to a customer.
pub const fn change(kind: pb::ChangeKind) -> &'static str {
    match kind {
        pb::ChangeKind::Created => "新建 created",
        pb::ChangeKind::Updated => "更新 updated",
        pb::ChangeKind::Merged => "合并 merged",
        pb::ChangeKind::Unmerged => "拆分 unmerged",
        pb::ChangeKind::Redirected => "并入 redirected",
        pb::ChangeKind::Deleted => "删除 deleted",
        pb::ChangeKind::Erased => "抹除 erased",
        pb::ChangeKind::Unspecified => "",
    }
}

/// Field classes by their short names.
pub fn classes(classes: impl IntoIterator<Item = FieldClass>) -> String {
    let name = |class: FieldClass| {
        class
            .as_str_name()
            .trim_start_matches("FIELD_CLASS_")
            .to_lowercase()
    };
    classes.into_iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_act_on() {
        assert_eq!(
            clean("甲\u{1b}[31m乙\n丙\u{202e}丁\u{9b}"),
            "甲\u{fffd}[31m乙 丙\u{fffd}丁\u{fffd}"
        );
    }

    #[test]
    fn money_keeps_sign_and_decimals() {
        let of = |units, nanos| {
            money(&Money {
                currency_code: "CNY".into(),
                units,
                nanos,
            })
        };
        assert_eq!(of(12, 340_000_000), "CNY 12.34");
        assert_eq!(of(0, -10_000_000), "CNY -0.01");
        assert_eq!(of(-5, 0), "CNY -5.00");
        assert_eq!(of(1, 1), "CNY 1.000000001");
        assert_eq!(of(i64::MIN, 0), "CNY -9223372036854775808.00");
    }

    #[test]
    fn scores_are_bits_and_not_rounded() {
        assert_eq!(score(12_345), "12.345");
        assert_eq!(score(-50), "-0.050");
        assert_eq!(score(i32::MIN), "-2147483.648");
    }

    #[test]
    fn an_address_is_not_said_twice() {
        let split = pb::Address {
            province: "浙江省".into(),
            city: "杭州市".into(),
            text: "文三路1号".into(),
            postcode: "310000".into(),
            ..pb::Address::default()
        };
        assert_eq!(address(&split), "浙江省杭州市文三路1号 310000");
        let whole = pb::Address {
            text: "浙江省杭州市文三路1号".into(),
            ..split
        };
        assert_eq!(address(&whole), "浙江省杭州市文三路1号 310000");
    }
}
