//! Search terms: bigrams of the folded text and of its pinyin initials.
//!
//! Folding here goes character by character (unlike [`crate::standardize::text::fold`], whose
//! phrases depend on their neighbours), so that the folded form of a part of a text is a part
//! of the folded text. From that follows the law the index rests on: when a query of two and
//! more folded characters is part of a text, or of its pinyin initials, all its terms are
//! among the text's terms. Texts are indexed to their first [`MAX_TEXT`] folded characters.

use std::collections::BTreeSet;

use pinyin::ToPinyin;
use unicode_normalization::UnicodeNormalization;

use crate::standardize::text::is_han;

/// Folded characters of a text that are indexed.
pub const MAX_TEXT: usize = 256;
/// Folded characters of a query that make terms; a longer one is still verified whole by
/// [`matches()`].
pub const MAX_QUERY: usize = 64;

/// Full width to half width, traditional to simplified, lower-case; blanks and control
/// characters go; at most `max` characters.
fn folded(text: &str, max: usize) -> Vec<char> {
    let mut out = Vec::new();
    for c in text.chars().take(max * 4) {
        if out.len() >= max {
            break;
        }
        for c in std::iter::once(c).nfkc() {
            if c.is_whitespace()
                || c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
            {
                continue;
            }
            if is_han(c) {
                let mut buffer = [0; 4];
                out.extend(fast2s::convert(c.encode_utf8(&mut buffer)).chars());
            } else {
                out.extend(c.to_lowercase());
            }
        }
    }
    out.truncate(max);
    out
}

/// The first letter of the pinyin of each Han character; other characters as they are.
fn initials(folded: &[char]) -> Vec<char> {
    folded
        .iter()
        .map(|c| {
            c.to_pinyin()
                .and_then(|p| p.first_letter().chars().next())
                .unwrap_or(*c)
        })
        .collect()
}

fn bigrams(chars: &[char], into: &mut BTreeSet<String>) {
    into.extend(chars.windows(2).map(|w| w.iter().collect::<String>()));
}

/// Terms under which a text is indexed: sorted, distinct, at most 510, each of two characters.
pub fn search_terms(text: &str) -> Vec<String> {
    let chars = folded(text, MAX_TEXT);
    let mut out = BTreeSet::new();
    bigrams(&chars, &mut out);
    bigrams(&initials(&chars), &mut out);
    out.into_iter().collect()
}

/// Terms all of which a matching text must have: sorted, distinct, at most 63. Empty when the
/// query has fewer than two characters after folding.
pub fn query_terms(query: &str) -> Vec<String> {
    let mut out = BTreeSet::new();
    bigrams(&folded(query, MAX_QUERY), &mut out);
    out.into_iter().collect()
}

/// Whether the folded query is part of the folded text or of its pinyin initials. An empty
/// query matches nothing.
pub fn matches(query: &str, text: &str) -> bool {
    let q = folded(query, MAX_TEXT);
    if q.is_empty() {
        return false;
    }
    let t = folded(text, MAX_TEXT);
    let within = |t: &[char]| t.windows(q.len()).any(|w| w == q);
    within(&t) || within(&initials(&t))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_chinese_parts_and_initials() {
        for q in ["台进", "台進", "电子科技", "hztj", "TJDZ", "ｄｚ"] {
            assert!(matches(q, "杭州台进电子科技有限公司"), "{q}");
            let terms = search_terms("杭州台进电子科技有限公司");
            assert!(query_terms(q).iter().all(|t| terms.contains(t)), "{q}");
        }
        assert!(!matches("进台", "杭州台进电子科技有限公司"));
        assert!(!matches("", "杭州"));
        assert!(
            matches("boer co", "ABC Boer Co. Ltd"),
            "blanks do not matter"
        );
    }

    #[test]
    fn terms_are_bounded() {
        let long = "金客".repeat(1_000_000);
        assert!(search_terms(&long).len() <= 510);
        assert!(query_terms(&long).len() < MAX_QUERY);
        assert!(query_terms("金").is_empty());
    }
}
