//! Words and numbers of a report, in two languages.

use super::Language;
use crate::{
    measures::{self, Unit, profile::Stage},
    number::{self, ONE},
};

/// Whole part with separators every three digits, and `decimals` after the point.
pub fn grouped(value: i128, decimals: u32) -> String {
    let text = number::fixed(value, decimals);
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest.to_owned()),
        None => ("", text),
    };
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if part.is_empty() {
        format!("{sign}{out}")
    } else {
        format!("{sign}{out}.{part}")
    }
}

/// An amount as people say it: 万 and 亿, or K, M and B.
pub fn short(value: i128, language: Language) -> String {
    let abs = value.unsigned_abs();
    let steps: [(u128, &str); 3] = match language {
        Language::Zh => [(1_0000_0000, "亿"), (1_0000, "万"), (1, "")],
        Language::En => [(1_000_000, "M"), (1_000, "K"), (1, "")],
    };
    for (step, word) in steps {
        if step > 1 && abs >= step * ONE.unsigned_abs() {
            let scaled = value / i128::try_from(step).unwrap_or(1);
            return format!("{}{word}", grouped(scaled, 2));
        }
    }
    grouped(value, 0)
}

/// A share as percent.
pub fn percent(value: i128) -> String {
    format!("{}%", number::fixed(value * 100, 1))
}

/// A value of a measure for people.
pub fn value(measure: &str, value: Option<i128>, currency: &str, language: Language) -> String {
    let Some(value) = value else {
        return "—".to_owned();
    };
    match measures::find(measure).map(|m| m.unit) {
        Some(Unit::Currency) => format!("{}{}", symbol(currency), short(value, language)),
        Some(Unit::Ratio) => percent(value),
        Some(Unit::Days) => format!(
            "{}{}",
            number::fixed(value, 1),
            language.pick(" 天", " days")
        ),
        Some(Unit::Points) => number::fixed(value, 1),
        Some(Unit::Count) | None => grouped(value, 0),
    }
}

/// The sign of a currency, or its code.
pub fn symbol(currency: &str) -> String {
    match currency {
        "CNY" => "¥".to_owned(),
        "USD" => "$".to_owned(),
        "EUR" => "€".to_owned(),
        other => format!("{other} "),
    }
}

/// Reads a number of the model.
pub fn read(value: &Option<String>) -> Option<i128> {
    value.as_deref().and_then(number::parse)
}

/// Name of a measure.
pub fn measure(id: &str, language: Language) -> &'static str {
    measures::find(id).map_or("", |m| match language {
        Language::Zh => m.zh,
        Language::En => m.name,
    })
}

/// Name of a lifecycle stage.
pub fn stage(word: &str, language: Language) -> String {
    let found = Stage::ALL.into_iter().find(|s| s.as_str() == word);
    match (found, language) {
        (Some(stage), Language::Zh) => stage.zh().to_owned(),
        (Some(stage), Language::En) => {
            let word = stage.as_str();
            format!("{}{}", word[..1].to_uppercase(), &word[1..])
        }
        (None, _) => word.to_owned(),
    }
}

/// Name of an RFM class.
pub fn class(zh: &str, language: Language) -> &str {
    if language == Language::Zh {
        return zh;
    }
    match zh {
        "重要价值" => "Champions",
        "重要发展" => "High value, to develop",
        "重要保持" => "High value, to keep",
        "重要挽留" => "High value, to win back",
        "一般价值" => "Regulars",
        "一般发展" => "New, to develop",
        "一般保持" => "Regulars, to keep",
        "一般挽留" => "Low value, to win back",
        other => other,
    }
}

/// Name of a field.
pub fn field(id: &str, language: Language) -> &str {
    if language == Language::En {
        return match id {
            "uscc" => "USCC",
            "name" => "Name",
            "phone" => "Phone",
            "email" => "Email",
            "address" => "Address",
            "industry" => "Industry",
            "size" => "Size",
            "owner" => "Owner",
            "tag" => "Tags",
            "contact" => "Contact",
            other => other,
        };
    }
    match id {
        "name" => "名称",
        "uscc" => "统一社会信用代码",
        "phone" => "电话",
        "email" => "邮箱",
        "address" => "地址",
        "industry" => "行业",
        "size" => "规模",
        "owner" => "负责人",
        "tag" => "标签",
        "contact" => "联系人",
        other => other,
    }
}

/// Why facts are left out.
pub fn excluded(reason: &str, language: Language) -> &str {
    match reason {
        "NO_EXCHANGE_RATE" => language.pick("没有汇率的币种", "currency without a rate"),
        "NO_AMOUNT" => language.pick("没有金额", "without an amount"),
        "NO_CUSTOMER" => language.pick("客户尚未到达", "customer has not arrived"),
        other => other,
    }
}

/// Name of a parameter.
pub fn parameter(id: &str, language: Language) -> &str {
    let (zh, en) = match id {
        "time_zone" => ("时区", "Time zone"),
        "currency" => ("币种", "Currency"),
        "basis" => ("收入口径", "Revenue is"),
        "margin" => ("毛利率", "Margin"),
        "lifetime_years" => ("客户年限（年）", "Customer lifetime (years)"),
        "discount_rate" => ("年折现率", "Discount rate a year"),
        "discount_years" => ("折现年数", "Years discounted"),
        "rfm_months" => ("RFM 窗口（月）", "RFM window (months)"),
        "dormant_months" => ("沉睡（月）", "Dormant after (months)"),
        "lost_months" => ("流失（月）", "Lost after (months)"),
        "new_months" => ("新客（月）", "New for (months)"),
        "loyal_orders" => ("忠诚（单）", "Loyal from (orders)"),
        "rfm_method" => ("RFM 评分", "RFM scores by"),
        "grading" => (
            "分级（百分比权重，100–500 分）",
            "Grade (weights in percent, 100–500 points)",
        ),
        "rate" => ("汇率", "Exchange rate"),
        other => (other, other),
    };
    if language == Language::En { en } else { zh }
}

/// Value of a parameter: codes as words, everything else as it is.
pub fn parameter_value<'a>(id: &str, value: &'a str, language: Language) -> &'a str {
    match (id, value) {
        ("basis", "1") => language.pick("订单", "orders"),
        ("basis", "2") => language.pick("发票", "invoices"),
        ("basis", "3") => language.pick("收款", "payments"),
        ("rfm_method", "quantiles") => language.pick("分位数", "quantiles"),
        ("rfm_method", "thresholds") => language.pick("固定阈值", "thresholds"),
        (_, other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_said_as_people_say_them() {
        let n = |t: &str| number::parse(t).unwrap();
        assert_eq!(grouped(n("-1234567.891"), 2), "-1,234,567.89");
        assert_eq!(grouped(n("999"), 0), "999");
        assert_eq!(short(n("123456789"), Language::Zh), "1.23亿");
        assert_eq!(short(n("12345"), Language::Zh), "1.23万");
        assert_eq!(short(n("-12345"), Language::En), "-12.34K");
        assert_eq!(short(n("12"), Language::En), "12");
        assert_eq!(percent(n("0.12345")), "12.3%");
    }
}
