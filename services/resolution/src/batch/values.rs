//! Standardizing one value by its semantic type.

use unicode_normalization::UnicodeNormalization;

use super::{
    kinds::Semantic,
    scripts::{EASTERN_FORMS, is_eastern, joined_codes},
};
use crate::standardize::{
    address, contact, org_name,
    org_words::LATIN_LEGAL,
    person_name,
    text::{digits, fold, is_alphanumeric, is_han},
};
use jinke_types::Datum;

/// Most words of a value that are compared.
pub(super) const MAX_WORDS: usize = 48;

/// A value in the form in which it is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standard {
    /// The text that must be equal for the values to be equal; empty when there is no value.
    pub(super) text: String,
    /// Its words, for types that have words.
    pub(super) words: Vec<String>,
    /// A day as yyyymmdd, a year, or a number in thousandths.
    pub(super) number: i64,
}

/// What people write into a field that has no value.
const NOTHING: &[&str] = &[
    "", "-", "--", "?", "n/a", "na", "nan", "nil", "none", "null", "unknown", "\\n", "#n/a", "无",
    "未知", "暂无", "不详", "空",
];

/// Words of addresses that have a short form.
const STREETS: &[(&str, &str)] = &[
    ("street", "st"),
    ("str", "st"),
    ("avenue", "ave"),
    ("av", "ave"),
    ("boulevard", "blvd"),
    ("road", "rd"),
    ("drive", "dr"),
    ("lane", "ln"),
    ("place", "pl"),
    ("court", "ct"),
    ("north", "n"),
    ("south", "s"),
    ("east", "e"),
    ("west", "w"),
    ("suite", "ste"),
    ("highway", "hwy"),
    ("parkway", "pkwy"),
    ("square", "sq"),
    ("terrace", "tce"),
    ("crescent", "cr"),
    ("floor", "fl"),
    ("building", "bldg"),
    ("first", "1st"),
    ("second", "2nd"),
    ("third", "3rd"),
    ("fourth", "4th"),
    ("fifth", "5th"),
    ("sixth", "6th"),
    ("seventh", "7th"),
    ("eighth", "8th"),
    ("ninth", "9th"),
    ("tenth", "10th"),
];

/// Latin, Greek and Cyrillic letters without their accents: é becomes e, but й stays, which is
/// another letter than и. Marks of other scripts make another word: か and が, ป and ป้.
fn unmarked(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut base = ' ';
    let kept = text.nfd().filter(|c| {
        if !matches!(c, '\u{300}'..='\u{36f}') {
            base = *c;
            return true;
        }
        let accented = matches!(base, '\0'..='\u{52f}' | '\u{1e00}'..='\u{1fff}');
        !accented || (base == 'и' && *c == '\u{306}')
    });
    kept.nfc().collect()
}

/// Scripts that put no blank between words.
fn is_unspaced(c: char) -> bool {
    is_han(c)
        || matches!(c, '\u{3040}'..='\u{30ff}' | '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

/// Words: runs of letters and digits; pairs of neighbours where a script has no blanks.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut run: Vec<char> = Vec::new();
    let end_run = |run: &mut Vec<char>, out: &mut Vec<String>| {
        match run.as_slice() {
            [] => {}
            [one] => out.push(one.to_string()),
            many => out.extend(many.windows(2).map(|w| w.iter().collect::<String>())),
        }
        run.clear();
    };
    for c in text.chars() {
        if is_unspaced(c) {
            if !word.is_empty() {
                out.push(std::mem::take(&mut word));
            }
            run.push(c);
            continue;
        }
        end_run(&mut run, &mut out);
        if is_alphanumeric(c) {
            word.push(c);
        } else if !matches!(c, '\'' | '’' | '`') && !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
    }
    end_run(&mut run, &mut out);
    if !word.is_empty() {
        out.push(word);
    }
    out
}

fn alnum(text: &str) -> String {
    text.chars().filter(|c| is_alphanumeric(*c)).collect()
}

fn of_words(list: Vec<String>) -> Standard {
    let text = list.join(" ");
    let mut words = list;
    words.sort_unstable();
    words.dedup();
    words.truncate(MAX_WORDS);
    Standard {
        text,
        words,
        number: 0,
    }
}

/// Standardizes a value; an empty text says that there is none.
pub(super) fn standardize(semantic: Semantic, raw: &str) -> Standard {
    use Semantic as S;
    let folded = unmarked(&fold(raw, 512));
    let folded = folded.trim_matches(|c: char| matches!(c, '"' | '\'' | ' '));
    if NOTHING.contains(&folded) {
        return Standard::default();
    }
    let plain = |text: String| Standard {
        text,
        ..Standard::default()
    };
    match semantic {
        S::OrgName => organization(raw, folded),
        S::PersonName => person(folded),
        S::GivenName | S::Surname | S::City | S::Category => {
            let joined = words_joined(folded);
            plain(joined)
        }
        S::Text => of_words(words(&joined_codes(folded))),
        S::Address => place(raw, folded),
        S::DateOfBirth => day(folded),
        S::Phone => phone(folded),
        S::Email => plain(contact::email(folded).map_or_else(
            || folded.chars().filter(|c| !c.is_whitespace()).collect(),
            |e| e.text.into(),
        )),
        S::Domain => plain(contact::domain(folded).map_or_else(|| alnum(folded), Into::into)),
        S::Uscc | S::Identifier | S::BankAccount => {
            let code = alnum(folded);
            let mut chars = code.chars();
            let first = chars.next();
            let same = code.len() >= 4 && chars.all(|c| Some(c) == first);
            plain(if same { String::new() } else { code })
        }
        S::Postcode => plain(alnum(folded)),
        S::Number => number(folded),
        S::Year => year(folded),
    }
}

fn words_joined(folded: &str) -> String {
    let mut out = String::with_capacity(folded.len());
    for c in folded.chars() {
        if is_alphanumeric(c) {
            out.push(c);
        } else if !out.ends_with(' ') && !matches!(c, '\'' | '’' | '.') && !out.is_empty() {
            out.push(' ');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn organization(raw: &str, folded: &str) -> Standard {
    if is_eastern(raw) || EASTERN_FORMS.iter().any(|f| folded.contains(f)) {
        let mut bare = folded.to_owned();
        for form in EASTERN_FORMS {
            bare = bare.replace(form, " ");
        }
        let found = words(&bare);
        return of_words(if found.is_empty() {
            words(folded)
        } else {
            found
        });
    }
    if folded.chars().any(is_han) {
        return org_name::parse(raw).map_or_else(Standard::default, |n| {
            let mut s = of_words(words(&n.core_text()));
            s.text = n.full.into();
            s
        });
    }
    let all = words(&folded.replace('&', " and ").replace('.', ""));
    let kept: Vec<String> = all
        .iter()
        .filter(|w| !LATIN_LEGAL.contains(&w.as_str()) && *w != "and" && *w != "the")
        .cloned()
        .collect();
    of_words(if kept.is_empty() { all } else { kept })
}

fn person(folded: &str) -> Standard {
    if folded.chars().any(is_han)
        && folded.chars().count() <= 8
        && let Some(p) = person_name::parse(folded)
        && !p.full.is_empty()
    {
        return Standard {
            text: p.full.into(),
            words: vec![p.sound.into()],
            number: 0,
        };
    }
    of_words(words(&folded.replace('-', " ")))
}

fn place(raw: &str, folded: &str) -> Standard {
    if folded.chars().any(is_han)
        && let Some(a) = address::parse(&Datum::Text(raw.to_owned()))
    {
        return of_words(words(&a.canonical()));
    }
    let list = words(folded).into_iter().map(|w| {
        STREETS
            .iter()
            .find(|(long, _)| *long == w)
            .map_or(w, |(_, short)| (*short).to_owned())
    });
    of_words(list.collect())
}

fn phone(folded: &str) -> Standard {
    // 310/246-1501 is one number, 13812345678/57185523328 are two.
    let long = |p: &&str| digits(p).len() >= 9;
    let first = folded
        .split(['/', ';', ',', '、'])
        .find(long)
        .unwrap_or(folded);
    let plus = first.trim_start().starts_with('+') || first.trim_start().starts_with("00");
    let all = digits(first);
    let all = all.trim_start_matches('0');
    let national = match all {
        d if d.len() >= 12 && d.starts_with("86") => &d[2..],
        d if plus && d.len() == 11 && d.starts_with('1') => &d[1..],
        d => d,
    };
    let b = national.as_bytes();
    let placeholder = b.len() < 5 || b.iter().all(|c| *c == b[0]);
    Standard {
        text: if placeholder {
            String::new()
        } else {
            national.trim_start_matches('0').to_owned()
        },
        ..Standard::default()
    }
}

const MONTHS: &[&str] = &[
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// A day: year first, or last with day and month in the order that makes a date, day first when
/// both do. What is no day is kept as text of digits.
fn day(folded: &str) -> Standard {
    let month = MONTHS
        .iter()
        .position(|m| folded.contains(m))
        .map(|m| m as i64 + 1);
    let parts: Vec<&str> = folded
        .split(|c: char| !c.is_ascii_digit())
        .filter(|p| !p.is_empty() && p.len() <= 8)
        .collect();
    let n = |s: &str| s.parse::<i64>().unwrap_or(0);
    let found = match (parts.as_slice(), month) {
        ([y, d, ..], Some(m)) if y.len() == 4 => Some((n(y), m, n(d))),
        ([d, y, ..], Some(m)) => Some((n(y), m, n(d))),
        ([y, m, d, ..], None) if y.len() == 4 => Some((n(y), n(m), n(d))),
        ([a, b, y, ..], None) if y.len() == 4 => {
            let (a, b) = (n(a), n(b));
            Some(if b > 12 { (n(y), a, b) } else { (n(y), b, a) })
        }
        ([all], None) if all.len() == 8 => Some((n(&all[..4]), n(&all[4..6]), n(&all[6..]))),
        _ => None,
    };
    match found {
        Some((y, m, d)) => Standard {
            text: format!("{y:04}{m:02}{d:02}"),
            number: y * 10_000 + m * 100 + d,
            words: Vec::new(),
        },
        None => Standard {
            text: digits(folded),
            ..Standard::default()
        },
    }
}

fn number(folded: &str) -> Standard {
    let kept: String = folded
        .chars()
        .filter(|c| c.is_ascii_digit() || matches!(c, '.' | '-'))
        .take(18)
        .collect();
    let (whole, part) = kept.split_once('.').unwrap_or((kept.as_str(), ""));
    let part: String = part
        .chars()
        .filter(char::is_ascii_digit)
        .chain("000".chars())
        .take(3)
        .collect();
    let negative = whole.starts_with('-');
    let whole: i64 = digits(whole)
        .chars()
        .take(15)
        .collect::<String>()
        .parse()
        .unwrap_or(0);
    let value = whole * 1000 + part.parse::<i64>().unwrap_or(0);
    let value = if negative { -value } else { value };
    if !kept.chars().any(|c| c.is_ascii_digit()) {
        return Standard::default();
    }
    Standard {
        text: value.to_string(),
        number: value,
        words: Vec::new(),
    }
}

fn year(folded: &str) -> Standard {
    let found = folded
        .split(|c: char| !c.is_ascii_digit())
        .find(|p| p.len() == 4)
        .and_then(|p| p.parse::<i64>().ok());
    match found {
        Some(y) => Standard {
            text: y.to_string(),
            number: y,
            words: Vec::new(),
        },
        None => number(folded),
    }
}

/// A code of how a name sounds: Han by pinyin already, Latin by Soundex (Russell, 1918), other
/// scripts by their first letters.
pub(super) fn sound(text: &str) -> String {
    if !text.is_ascii() {
        let sound = crate::standardize::text::pinyin(text);
        return sound.chars().take(12).collect();
    }
    let class = |c: u8| match c {
        b'b' | b'f' | b'p' | b'v' => 1,
        b'c' | b'g' | b'j' | b'k' | b'q' | b's' | b'x' | b'z' => 2,
        b'd' | b't' => 3,
        b'l' => 4,
        b'm' | b'n' => 5,
        b'r' => 6,
        b'h' | b'w' => 7,
        _ => 0,
    };
    let mut out = String::new();
    let mut last = 0;
    for (i, c) in text.bytes().filter(u8::is_ascii_alphanumeric).enumerate() {
        let k = class(c);
        if i == 0 {
            out.push(char::from(c));
            last = k;
        } else if k != 7 {
            if k != 0 && k != last {
                out.push(char::from(b'0' + k));
            }
            last = k;
        }
        if out.len() >= 4 {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use Semantic as S;

    #[test]
    fn standardizes_by_type() {
        let t = |s, v| standardize(s, v).text;
        assert_eq!(t(S::Phone, "310/246-1501"), "3102461501");
        assert_eq!(t(S::Phone, "+1 310 246 1501"), "3102461501");
        assert_eq!(t(S::Phone, "0086-13812345670"), "13812345670");
        assert_eq!(t(S::DateOfBirth, "1971-06-24"), "19710624");
        assert_eq!(t(S::DateOfBirth, "24/6/1971"), "19710624");
        assert_eq!(t(S::DateOfBirth, "06/24/1971"), "19710624");
        assert_eq!(t(S::DateOfBirth, "24 June 1971"), "19710624");
        assert_eq!(t(S::Identifier, "ab-12 34"), "ab1234");
        assert_eq!(t(S::Identifier, "0000"), "");
        assert_eq!(t(S::Category, "N/A"), "");
        assert_eq!(t(S::Surname, "O'Brien-Müller"), "obrien muller");
        assert_eq!(
            t(S::Address, "435 S. La Cienega Boulevard"),
            "435 s la cienega blvd"
        );
        assert_eq!(t(S::OrgName, "Müller & Söhne GmbH"), "muller sohne");
        assert_eq!(t(S::Year, "in 1999"), "1999");
        assert_eq!(standardize(S::Number, "$1,299.5").number, 1_299_500);
        assert_eq!(words("数据库 db2"), ["数据", "据库", "db2"]);
        assert_eq!(words("don't stop"), ["dont", "stop"]);
        assert_eq!(sound("robert"), sound("rupert"));
    }

    #[test]
    fn marks_are_letters_where_they_make_another_word() {
        let differ = [
            ("かがく", "かかく"),
            ("ガラス", "カラス"),
            ("कमल", "कमला"),
            ("कर्म", "करम"),
            ("ป้า", "ปา"),
            ("ใกล้", "ใกล"),
            ("бой", "бои"),
            ("က", "ကိ"),
        ];
        let equal = [
            ("Müller", "Muller"),
            ("Ἀθῆναι", "Αθηναι"),
            ("Артём", "Артем"),
            ("Nguyễn", "Nguyen"),
            ("שָׁלוֹם", "שלום"),
            ("مُحَمَّد", "محمد"),
            ("ガ", "カ\u{3099}"),
        ];
        for s in [
            S::Text,
            S::OrgName,
            S::PersonName,
            S::GivenName,
            S::Category,
            S::City,
        ] {
            let t = |v| standardize(s, v).text;
            for (a, b) in differ {
                assert_ne!(t(a), t(b), "{s:?}");
                assert!(!t(a).is_empty() && !t(b).is_empty(), "{s:?} {a} {b}");
            }
            for (a, b) in equal {
                assert_eq!(t(a), t(b), "{s:?}");
            }
        }
        // A word stays whole.
        assert_eq!(words("हिन्दी भाषा"), ["हिन्दी", "भाषा"]);
    }

    #[test]
    fn no_text_panics() {
        for raw in [
            "",
            "\u{0}",
            "++++",
            "0000000",
            "é\u{301}\u{301}",
            "99/99/9999",
            "-.-",
            "𝒜𝒷",
            "ー",
        ] {
            for (_, s) in super::super::kinds::SEMANTICS {
                let _ = standardize(*s, raw);
            }
        }
    }
}
