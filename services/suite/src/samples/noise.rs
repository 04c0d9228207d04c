//! How one company's name, identifier and phone differ from system to system.

use super::{
    company::Company,
    dice::Dice,
    words::{TRADITIONAL, TYPOS},
};

/// One character typed wrong, where the name has one that is easily mistaken.
pub fn typo(dice: &mut Dice, name: &str) -> String {
    let mut chars: Vec<char> = name.chars().collect();
    let wrong: Vec<(usize, char)> = chars
        .iter()
        .enumerate()
        .filter_map(|(i, c)| {
            TYPOS
                .iter()
                .find(|(from, _)| from == c)
                .map(|(_, to)| (i, *to))
        })
        .collect();
    if !wrong.is_empty() {
        let (at, to) = *dice.pick(&wrong);
        chars[at] = to;
    }
    chars.into_iter().collect()
}

/// The name in traditional characters.
pub fn traditional(name: &str) -> String {
    let one = |c: char| {
        TRADITIONAL
            .iter()
            .find(|(from, _)| *from == c)
            .map_or(c, |(_, to)| *to)
    };
    name.chars().map(one).collect()
}

/// Digits, letters and brackets in full width.
pub fn full_width(text: &str) -> String {
    let one = |c: char| match c {
        '!'..='~' => char::from_u32(c as u32 + 0xfee0).unwrap_or(c),
        _ => c,
    };
    text.chars().map(one).collect()
}

/// The name as a chat platform's user writes it: mostly short.
pub fn chatted(dice: &mut Dice, company: &Company) -> String {
    match dice.below(10) {
        0..=2 => company.short.clone(),
        3 => format!("{}{}", company.city.short, company.short),
        4 => traditional(&company.name),
        5 => typo(dice, &company.name),
        6 => company
            .name
            .replace("有限责任公司", "有限公司")
            .replace("股份有限公司", "有限公司"),
        _ => company.name.clone(),
    }
}

/// The name as a clerk of the finance department writes it: mostly right.
pub fn booked(dice: &mut Dice, company: &Company) -> String {
    match dice.below(12) {
        0 => typo(dice, &company.name),
        1 => company.name.replace('（', "(").replace('）', ")"),
        2 => company.name.replace("有限公司", " 有限公司"),
        3 => company.name.replace("有限责任公司", "有限公司"),
        _ => company.name.clone(),
    }
}

/// A mobile number in one of the ways people write it.
pub fn mobile(dice: &mut Dice, digits: &str) -> String {
    match dice.below(6) {
        0 => format!("+86 {digits}"),
        1 => format!("{} {} {}", &digits[..3], &digits[3..7], &digits[7..]),
        2 => format!("{}-{}-{}", &digits[..3], &digits[3..7], &digits[7..]),
        3 => full_width(digits),
        _ => digits.to_owned(),
    }
}

/// A switchboard number in one of the ways people write it, sometimes with an extension.
pub fn switchboard(dice: &mut Dice, phone: &str) -> String {
    match dice.below(5) {
        0 => phone.replace('-', ""),
        1 => format!(
            "({}){}",
            &phone[..phone.find('-').unwrap_or(0)],
            &phone[phone.find('-').map_or(0, |i| i + 1)..]
        ),
        2 => format!("{phone}-{}", 800 + dice.below(100)),
        _ => phone.to_owned(),
    }
}
