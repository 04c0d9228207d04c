//! Codes in texts, and names in Japanese and Korean.

use std::borrow::Cow;

/// Takes the dash out of model numbers, so that wh-1000 and wh1000 are one word: behind a word of
/// few letters, when what follows has a digit.
pub(super) fn joined_codes(folded: &str) -> Cow<'_, str> {
    if !folded.contains('-') {
        return Cow::Borrowed(folded);
    }
    let chars: Vec<char> = folded.chars().collect();
    let is_short = |i: usize| {
        let before = chars[..i].iter().rev();
        before.take_while(|c| c.is_alphanumeric()).count() <= 4
    };
    // A letter before, a digit behind, not necessarily next to the dash: re-m2030, 46-v25.
    let is_model = |i: usize| {
        let before = chars[..i].iter().rev();
        let mut before = before.take_while(|c| c.is_alphanumeric());
        let mut behind = chars[i + 1..].iter().take_while(|c| c.is_alphanumeric());
        let digit = chars[i - 1].is_ascii_digit();
        if digit {
            chars[i + 1].is_ascii_alphabetic()
        } else {
            before.all(|c| c.is_ascii_alphanumeric()) && behind.any(char::is_ascii_digit)
        }
    };
    let kept = chars.iter().enumerate().filter(|(i, c)| {
        let between = *i > 0
            && **c == '-'
            && chars[i - 1].is_ascii_alphanumeric()
            && chars.get(i + 1).is_some_and(char::is_ascii_alphanumeric)
            && is_model(*i);
        !(between && is_short(*i))
    });
    Cow::Owned(kept.map(|x| *x.1).collect())
}

/// What organizations are called in Japanese and Korean.
pub(super) const EASTERN_FORMS: &[&str] = &[
    "株式会社",
    "有限会社",
    "合同会社",
    "合資会社",
    "一般社団法人",
    "(株)",
    "(有)",
    "(同)",
    "주식회사",
    "유한회사",
    "(주)",
    "(유)",
];

/// Whether a name is Japanese or Korean rather than Chinese: by its letters or its legal form.
pub(super) fn is_eastern(name: &str) -> bool {
    let letters = |c: char| matches!(c, '\u{3041}'..='\u{30ff}' | '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7af}' | '㈱' | '㈲' | '㈜' | '会' | '社' | '株');
    name.chars().any(letters)
        && (name
            .chars()
            .any(|c| letters(c) && !matches!(c, '会' | '社' | '株'))
            || ["株式会社", "有限会社", "合同会社", "(株)", "（株）"]
                .iter()
                .any(|f| name.contains(f)))
}
