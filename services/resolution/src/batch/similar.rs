//! How alike two texts are, in integers, without allocating.

use crate::standardize::text::edit_distance;

const N: usize = 64;

/// Jaro–Winkler similarity in thousandths (Jaro 1989; Winkler 1990: up to four equal first
/// characters count a tenth each of what is missing). Texts are cut at 64 characters.
pub(super) fn jaro_winkler(a: &[char], b: &[char]) -> u32 {
    let (a, b) = (&a[..a.len().min(N)], &b[..b.len().min(N)]);
    if a.is_empty() || b.is_empty() {
        return 0;
    }
    if a == b {
        return 1000;
    }
    let window = (a.len().max(b.len()) / 2).saturating_sub(1);
    let (mut used_a, mut used_b) = ([false; N], [false; N]);
    let mut common = 0_u64;
    for (i, c) in a.iter().enumerate() {
        let from = i.saturating_sub(window);
        let to = (i + window + 1).min(b.len());
        for j in from..to {
            if !used_b[j] && b[j] == *c {
                used_a[i] = true;
                used_b[j] = true;
                common += 1;
                break;
            }
        }
    }
    if common == 0 {
        return 0;
    }
    let mut swaps = 0_u64;
    let mut j = 0;
    for i in 0..a.len() {
        if used_a[i] {
            while !used_b[j] {
                j += 1;
            }
            swaps += u64::from(a[i] != b[j]);
            j += 1;
        }
    }
    let (n, m) = (a.len() as u64, b.len() as u64);
    let jaro =
        (1000 * common / n + 1000 * common / m + (2000 * common - 1000 * swaps) / (2 * common)) / 3;
    let prefix = a.iter().zip(b).take(4).take_while(|(x, y)| x == y).count() as u64;
    let jaro = jaro.min(1000);
    (jaro + prefix * (1000 - jaro) / 10) as u32
}

/// Whether two texts are one edit, or one swap of neighbours, apart.
pub(super) fn one_edit(a: &[char], b: &[char]) -> bool {
    edit_distance(a, b, 1).is_some()
}

/// The words of a value with what each weighs.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    /// Numbers of words, ascending.
    pub(super) ids: &'a [u32],
    /// Sum of their weights.
    pub(super) sum: u32,
}

/// Every word of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    pub(super) chars: Vec<char>,
    pub(super) ends: Vec<u32>,
    /// Log2 of the rarity of each word in milli-bits.
    pub(super) weight: Vec<u32>,
    /// Which words are codes: letters with digits, or four digits and more.
    pub(super) code: Vec<bool>,
    /// Which letters each word has, one bit a letter: words one slip apart differ in two at most.
    pub(super) letters: Vec<u64>,
}

/// Whether a word is a code, such as a model number.
pub(super) fn is_code(word: &[char]) -> bool {
    let digits = word.iter().filter(|c| c.is_ascii_digit()).count();
    digits > 0 && word.len() >= 3 && (digits < word.len() || digits >= 4)
}

/// Codes rarer than this, in milli-bits, tell things apart.
const TELLING: u32 = 5_000;

/// What the telling codes of two texts say: shared, different, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codes {
    Shared,
    Different,
    Silent,
}

/// Compares the codes of two texts. A code is shared with what follows it in another text, such as
/// a letter for the colour: dx4500 and dx4500b.
pub(super) fn codes(a: Words<'_>, b: Words<'_>, all: &Vocabulary) -> Codes {
    let telling = |w: &&u32| all.code[**w as usize] && all.weight[**w as usize] >= TELLING;
    let mut mine = a.ids.iter().filter(telling).peekable();
    if mine.peek().is_none() {
        return Codes::Silent;
    }
    let mut theirs = false;
    for x in mine {
        for y in b.ids.iter().filter(telling) {
            theirs = true;
            if x == y || continues(all.word(*x), all.word(*y)) {
                return Codes::Shared;
            }
        }
    }
    if theirs {
        Codes::Different
    } else {
        Codes::Silent
    }
}

/// Up to its last digit a code says which thing it is.
pub(super) fn stem(code: &[char]) -> &[char] {
    let last = code.iter().rposition(char::is_ascii_digit);
    last.map_or(code, |i| &code[..=i])
}

/// Whether one of two codes is the other with letters behind.
fn continues(a: &[char], b: &[char]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    short.len() >= 4 && long.starts_with(short) && stem(long).len() == short.len()
}

/// One bit for each letter.
pub(super) fn letters(word: &[char]) -> u64 {
    word.iter().fold(0, |m, c| m | 1 << (u32::from(*c) % 61))
}

impl Vocabulary {
    pub(super) fn word(&self, id: u32) -> &[char] {
        let i = id as usize;
        let from = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.chars[from as usize..self.ends[i] as usize]
    }
}

/// Similarity of two sets of words in thousandths: the weight they share, where a word one slip
/// away counts eight tenths and an initial five, against what both weigh (Dice 1945), a quarter
/// of it against what the lighter one weighs, so that a short form is near its long form.
pub(super) fn words(a: Words<'_>, b: Words<'_>, all: &Vocabulary) -> u32 {
    const K: usize = 48;
    let (light, both) = (
        u64::from(a.sum.min(b.sum)),
        u64::from(a.sum) + u64::from(b.sum),
    );
    if light == 0 {
        return 0;
    }
    let score = |common: u64| (3 * (2000 * common / both) + 1000 * common / light) / 4;
    // Even were everything in the lighter one shared, nothing would come of it.
    if score(light) < 300 {
        return 0;
    }
    let (mut rest_a, mut rest_b) = ([0_u32; K], [0_u32; K]);
    let (mut n, mut m) = (0, 0);
    let (mut i, mut j) = (0, 0);
    let mut common = 0_u64;
    while i < a.ids.len() || j < b.ids.len() {
        let x = a.ids.get(i).copied().unwrap_or(u32::MAX);
        let y = b.ids.get(j).copied().unwrap_or(u32::MAX);
        if x == y {
            common += u64::from(all.weight[x as usize]);
            i += 1;
            j += 1;
        } else if x < y {
            if n < K {
                rest_a[n] = x;
                n += 1;
            }
            i += 1;
        } else {
            if m < K {
                rest_b[m] = y;
                m += 1;
            }
            j += 1;
        }
    }
    if n == 0 || m == 0 {
        return score(common) as u32;
    }
    let mut taken = [false; K];
    for &x in &rest_a[..n] {
        let word = all.word(x);
        let mut best: Option<(u64, usize)> = None;
        for (k, &y) in rest_b[..m].iter().enumerate() {
            if taken[k] {
                continue;
            }
            let differ = (all.letters[x as usize] ^ all.letters[y as usize]).count_ones();
            let share = kinship(word, all.word(y), differ);
            if share > 0 {
                let w = u64::from(all.weight[x as usize].min(all.weight[y as usize]));
                let gain = share * w / 10;
                if best.is_none_or(|b| gain > b.0) {
                    best = Some((gain, k));
                }
            }
        }
        if let Some((gain, k)) = best {
            taken[k] = true;
            common += gain;
        }
    }
    score(common.min(light)) as u32
}

/// Tenths of a word that another is worth.
fn kinship(a: &[char], b: &[char], differ: u32) -> u64 {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.len() == 1 {
        let initial = long.len() > 1 && long[0] == short[0] && short[0].is_alphabetic();
        return if initial { 5 } else { 0 };
    }
    // Two digits are two numbers, two Han characters two words.
    if short.len() < 4 || short.iter().any(char::is_ascii_digit) {
        return if short.len() >= 3 && long.starts_with(short) && !short[0].is_ascii_digit() {
            6
        } else {
            0
        };
    }
    let slips = if short.len() >= 8 { 2 } else { 1 };
    if differ as usize <= 2 * slips && edit_distance(a, b, slips).is_some() {
        8
    } else if long.starts_with(short) {
        6
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(s: &str) -> Vec<char> {
        s.chars().collect()
    }

    #[test]
    fn jaro_winkler_of_textbook_cases() {
        // Winkler's examples: .961, .840, .813.
        assert!((960..=962).contains(&jaro_winkler(&c("martha"), &c("marhta"))));
        assert!((839..=841).contains(&jaro_winkler(&c("dwayne"), &c("duane"))));
        assert!((811..=814).contains(&jaro_winkler(&c("dixon"), &c("dicksonx"))));
        assert_eq!(jaro_winkler(&c("abc"), &c("xyz")), 0);
    }

    #[test]
    fn codes_are_told_from_words() {
        for (word, is) in [
            ("dx4500", true),
            ("4500", true),
            ("2nd", true),
            ("a1", false),
            ("450", false),
            ("camera", false),
        ] {
            assert_eq!(is_code(&c(word)), is, "{word}");
        }
    }

    #[test]
    fn words_weigh_by_rarity() {
        let list = ["common", "databases", "databasse", "d", "rare"];
        let mut all = Vocabulary::default();
        for w in list {
            all.chars.extend(w.chars());
            all.ends.push(all.chars.len() as u32);
        }
        all.letters = list
            .iter()
            .map(|w| letters(&w.chars().collect::<Vec<_>>()))
            .collect();
        all.code = vec![false; list.len()];
        all.weight = vec![1000, 5000, 5000, 2000, 9000];
        let of = |ids: &'static [u32]| Words {
            ids,
            sum: ids.iter().map(|i| all.weight[*i as usize]).sum(),
        };
        assert_eq!(words(of(&[0, 1]), of(&[0, 1]), &all), 1000);
        let slip = words(of(&[0, 1]), of(&[0, 2]), &all);
        assert!((800..900).contains(&slip), "{slip}");
        assert!(words(of(&[0, 4]), of(&[0, 1]), &all) < 300);
    }
}
