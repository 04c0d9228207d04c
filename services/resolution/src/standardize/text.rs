//! Folding text: what every standardizer starts with.

use std::{borrow::Cow, sync::LazyLock};

use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};

const HAN: std::ops::RangeInclusive<char> = '\u{4e00}'..='\u{9fff}';

/// Han characters that stay as they are whatever stands beside them: one bit each.
static SIMPLE: LazyLock<Vec<u64>> = LazyLock::new(|| {
    // These change, or not, with their neighbours.
    const BY_NEIGHBOUR: &str = "兒覆夥藉瞭麽幺於乾著苧闔鍾讎畫";
    let mut bits = vec![0_u64; 20_992_usize.div_ceil(64)];
    for (i, c) in HAN.enumerate() {
        let mut text = [0; 4];
        let text = c.encode_utf8(&mut text);
        if !BY_NEIGHBOUR.contains(c) && fast2s::convert(text) == *text {
            bits[i / 64] |= 1 << (i % 64);
        }
    }
    bits
});

/// Whether simplifying leaves a character of the common block alone.
fn is_simple(c: char) -> bool {
    let i = (u32::from(c) as usize).wrapping_sub(0x4e00);
    SIMPLE.get(i / 64).is_some_and(|b| b >> (i % 64) & 1 == 1)
}

/// Texts found by their last character, in the order given.
pub(crate) struct Endings {
    by_last: ByChar<Vec<Vec<char>>>,
}

impl Endings {
    pub(crate) fn new<'a>(list: impl IntoIterator<Item = &'a str>) -> Self {
        let mut by: std::collections::BTreeMap<char, Vec<Vec<char>>> = Default::default();
        for text in list {
            let chars: Vec<char> = text.chars().collect();
            if let Some(last) = chars.last() {
                by.entry(*last).or_default().push(chars);
            }
        }
        Self {
            by_last: ByChar::new(by),
        }
    }

    /// How many characters the first one has that `text` ends with and `accept` takes.
    pub(crate) fn find(&self, text: &[char], accept: impl Fn(usize) -> bool) -> Option<usize> {
        let list = self.by_last.get(*text.last()?)?;
        let found = list.iter().find(|e| accept(e.len()) && text.ends_with(e));
        found.map(Vec::len)
    }
}

/// A table by character: one look for the common Han block, a search for the rest.
pub(crate) struct ByChar<T> {
    /// Place in `list` plus one; 0 when there is none.
    han: Vec<u16>,
    list: Vec<(char, T)>,
}

impl<T> ByChar<T> {
    pub(crate) fn new(of: std::collections::BTreeMap<char, T>) -> Self {
        let list: Vec<(char, T)> = of.into_iter().collect();
        let mut han = vec![0; 20_992];
        for (at, (c, _)) in list.iter().enumerate() {
            if HAN.contains(c) {
                han[u32::from(*c) as usize - 0x4e00] = u16::try_from(at + 1).unwrap_or(0);
            }
        }
        Self { han, list }
    }

    pub(crate) fn get(&self, c: char) -> Option<&T> {
        let at = if HAN.contains(&c) {
            usize::from(self.han[u32::from(c) as usize - 0x4e00]).checked_sub(1)?
        } else {
            self.list.binary_search_by_key(&c, |x| x.0).ok()?
        };
        self.list.get(at).map(|x| &x.1)
    }
}

/// A set of texts that is asked often: by length first.
pub(crate) struct Words {
    by_length: Vec<Vec<&'static str>>,
}

impl Words {
    pub(crate) fn new(list: &[&'static str]) -> Self {
        let most = list.iter().map(|w| w.len()).max().unwrap_or(0);
        let mut by_length: Vec<Vec<&'static str>> = vec![Vec::new(); most + 1];
        for w in list {
            by_length[w.len()].push(w);
        }
        by_length.iter_mut().for_each(|l| l.sort_unstable());
        Self { by_length }
    }
    pub(crate) fn contains(&self, word: &str) -> bool {
        let list = self.by_length.get(word.len());
        list.is_some_and(|l| l.binary_search(&word).is_ok())
    }
}

/// Folds text for comparing: at most `max` characters of NFKC (full width becomes half width),
/// traditional Chinese becomes simplified, letters become lower-case, control and format
/// characters go, every run of blanks becomes one space, ends are trimmed.
///
/// Reads at most `4 * max` characters of the input, so that a name of 10 MB costs no more
/// than a name of that length.
pub fn fold(text: &str, max: usize) -> String {
    folded(text, max).into_owned()
}

/// [`fold`], which leaves many values as they are.
pub(crate) fn folded(text: &str, max: usize) -> Cow<'_, str> {
    if is_folded(text, max) {
        return Cow::Borrowed(text);
    }
    let plain = fold_plain(text, max);
    Cow::Owned(plain.unwrap_or_else(|| fold_any(text, max)))
}

/// Whether [`fold`] surely leaves a text alone: printable ASCII without capitals and without
/// blanks that could be too many, and Han characters that are simple.
fn is_folded(text: &str, max: usize) -> bool {
    let mut count = 0;
    let mut blank = true;
    for c in text.chars() {
        count += 1;
        let stays = match c {
            ' ' => !blank,
            '!'..='@' | '['..='~' => true,
            '\u{4e00}'..='\u{9fff}' => is_simple(c),
            _ => false,
        };
        if !stays || count > max {
            return false;
        }
        blank = c == ' ';
    }
    !blank || count == 0
}

/// [`fold`] for what most values are made of: ASCII, its full-width twins, and Han characters
/// that normalization leaves alone. `None` when another character is among them.
fn fold_plain(text: &str, max: usize) -> Option<String> {
    let mut out = String::with_capacity(text.len().min(max * 4));
    let mut blank = true;
    let mut simple = true;
    let mut count = 0;
    for c in text.chars().take(max * 4) {
        if count >= max {
            break;
        }
        let c = match c {
            ' '..='~' | '\t' | '\n' | '\r' => c,
            '\u{4e00}'..='\u{9fff}' => {
                simple &= is_simple(c);
                c
            }
            // NFKC takes each to the ASCII character at this distance.
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0)?,
            '\u{3000}' => ' ',
            _ => return None,
        };
        if c.is_ascii_whitespace() {
            if !blank {
                out.push(' ');
                count += 1;
            }
            blank = true;
        } else {
            out.push(c.to_ascii_lowercase());
            count += 1;
            blank = false;
        }
    }
    out.truncate(out.trim_end().len());
    Some(if simple { out } else { fast2s::convert(&out) })
}

fn fold_any(text: &str, max: usize) -> String {
    let mut plain = String::with_capacity(text.len().min(max * 4));
    let mut blank = true;
    let mut count = 0;
    for c in text.chars().take(max * 4).nfkc() {
        if count >= max {
            break;
        }
        if c.is_whitespace() {
            if !blank {
                plain.push(' ');
                count += 1;
            }
            blank = true;
        } else if !is_invisible(c) {
            plain.push(c);
            count += 1;
            blank = false;
        }
    }
    let plain = if plain.chars().any(is_han) {
        fast2s::convert(&plain)
    } else {
        plain
    };
    let lower = plain.to_lowercase();
    // A small letter may compose with a mark where its capital could not.
    let lower: String = if lower.is_ascii() {
        lower
    } else {
        lower.nfkc().filter(|c| !is_invisible(*c)).collect()
    };
    lower.trim().to_owned()
}

/// Control, format and variation characters, marks that compose with nothing and are no part of
/// how a word is written, and U+FFFD.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || (canonical_combining_class(c) != 0 && !is_written_mark(c))
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fffd}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether `c` is a Han character.
pub const fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}' | '〇')
}

/// Marks without which a word is another word: viramas and nuktas of Indic scripts, voiced kana,
/// vowels and tones of Thai, Lao and Tibetan. By their canonical combining class (Unicode 16,
/// table 4-3); points of Hebrew (10 to 26) and Arabic (27 to 36) are optional, and accents
/// (200 and more) compose with the letters that have them.
fn is_written_mark(c: char) -> bool {
    c > '\u{8ff}' && matches!(canonical_combining_class(c), 7..=9 | 84 | 91 | 103..=132)
}

/// Whether `c` is a letter, a mark that is part of one, or a number. Most letters here are common
/// Han ones, which needs no search.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    HAN.contains(&c) || c.is_alphanumeric() || is_written_mark(c)
}

/// Characters as a text that holds no more memory than it needs.
pub(crate) fn text_of(chars: &[char]) -> Box<str> {
    let mut out = String::with_capacity(chars.iter().map(|c| c.len_utf8()).sum());
    out.extend(chars);
    out.into_boxed_str()
}

/// Only the ASCII digits of a folded text.
pub fn digits(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    out.extend(text.chars().filter(char::is_ascii_digit));
    out
}

/// Toneless pinyin of the Han characters of `text`, syllables joined; other letters and
/// digits stay.
pub fn pinyin(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        push_pinyin(c, |syllable| out.push_str(syllable));
    }
    out
}

/// Adds what [`pinyin`] says of one character.
pub(crate) fn push_pinyin(c: char, mut add: impl FnMut(&str)) {
    use pinyin::ToPinyin;
    // ü is written v in addresses and domains, u in passports: keep one.
    match c.to_pinyin() {
        Some(p) if p.plain().is_ascii() => add(p.plain()),
        Some(p) => add(&p.plain().replace('ü', "v")),
        None if c == 'ü' => add("v"),
        None if c.is_alphanumeric() => add(c.encode_utf8(&mut [0; 4])),
        None => {}
    }
}

/// Optimal string alignment distance (edits and swaps of neighbours), or `None` when it is
/// more than `max`. Both sides are cut at 64 characters. Allocates nothing.
pub fn edit_distance(a: &[char], b: &[char], max: usize) -> Option<usize> {
    const N: usize = 64;
    let (a, b) = (&a[..a.len().min(N)], &b[..b.len().min(N)]);
    if a.len().abs_diff(b.len()) > max {
        return None;
    }
    let mut rows = [[0_u8; N + 1]; 3];
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j as u8;
    }
    for i in 1..=a.len() {
        let (now, last, before) = (i % 3, (i + 2) % 3, (i + 1) % 3);
        rows[now][0] = i as u8;
        let mut least = i as u8;
        for j in 1..=b.len() {
            let cost = u8::from(a[i - 1] != b[j - 1]);
            let mut d = (rows[last][j] + 1)
                .min(rows[now][j - 1] + 1)
                .min(rows[last][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                d = d.min(rows[before][j - 2] + 1);
            }
            rows[now][j] = d;
            least = least.min(d);
        }
        if usize::from(least) > max + 1 {
            return None;
        }
    }
    let d = usize::from(rows[a.len() % 3][b.len()]);
    (d <= max).then_some(d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_width_script_case_and_noise() {
        assert_eq!(fold("  ＡＢＣ　科技（上海）\u{0}", 50), "abc 科技(上海)");
        assert_eq!(fold("萬業裝飾設計\u{200b}", 50), "万业装饰设计");
        assert_eq!(fold("😀公司", 50), "😀公司");
        assert_eq!(fold(&"金".repeat(10_000_000), 256).chars().count(), 256);
    }

    #[test]
    fn the_short_way_of_folding_is_the_long_one() {
        let all: Vec<char> =
            "aZ 09~\t\r\n（ＡＢＣ１２）\u{3000}　萬業裝飾設計龍鬱乾髮臺灣一龥鿿,.。-"
                .chars()
                .collect();
        let (mut taken, mut left) = (0, 0);
        let mut x = 7_usize;
        for n in 0..4000 {
            let text: String = (0..n % 23)
                .map(|_| {
                    x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    all[(x >> 33) % all.len()]
                })
                .collect();
            for max in [1, 5, 50] {
                assert_eq!(folded(&text, max), fold_any(&text, max), "{text:?} {max}");
                left += usize::from(is_folded(&text, max) && !text.is_empty());
                if let Some(short) = fold_plain(&text, max) {
                    assert_eq!(short, fold_any(&text, max), "{text:?} {max}");
                    taken += 1;
                }
            }
        }
        assert!(taken > 1000 && left > 100, "{taken} {left}");
        let han: String = ('\u{4e00}'..='\u{9fff}').collect();
        for piece in han.chars().collect::<Vec<_>>().chunks(200) {
            let text: String = piece.iter().collect();
            assert_eq!(
                fold_plain(&text, 300).as_deref(),
                Some(fold_any(&text, 300).as_str())
            );
        }
    }

    #[test]
    fn edit_distance_knows_swaps_and_its_limit() {
        let c = |s: &str| s.chars().collect::<Vec<_>>();
        assert_eq!(edit_distance(&c("巨能药业"), &c("巨能腰业"), 1), Some(1));
        assert_eq!(edit_distance(&c("abcd"), &c("abdc"), 1), Some(1));
        assert_eq!(edit_distance(&c("abcd"), &c("badc"), 1), None);
        assert_eq!(edit_distance(&c("abcd"), &c("badc"), 2), Some(2));
        assert_eq!(edit_distance(&c(""), &c("ab"), 2), Some(2));
    }

    #[test]
    fn pinyin_of_mixed_text() {
        assert_eq!(pinyin("波尔A1"), "boerA1");
        assert_eq!(pinyin("绿源"), "lvyuan");
    }
}
