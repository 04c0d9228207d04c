//! Comparing two rows: per column one of the ordered levels of its type.

use super::{
    cells::Cells,
    kinds::Semantic,
    similar::{Codes, codes, jaro_winkler, one_edit, words},
    table::MAX_COLUMNS,
    train::Tree,
};
use crate::standardize::text::edit_distance;

/// The levels two rows reached, four bits a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pattern(pub(super) u64);

impl Pattern {
    pub(super) const fn level(self, column: usize) -> usize {
        (self.0 >> (4 * column) & 15) as usize
    }
    fn set(&mut self, column: usize, level: u8) {
        self.0 |= (level as u64) << (4 * column);
    }
}

const _: () = assert!(MAX_COLUMNS * 4 <= 64);

/// All columns, and which two are given name and surname of one person.
pub(super) struct Comparer<'a> {
    pub(super) columns: &'a [Cells],
    swap: Option<(usize, usize)>,
}

impl<'a> Comparer<'a> {
    pub(super) fn new(columns: &'a [Cells]) -> Self {
        let at = |s| columns.iter().position(|c: &Cells| c.semantic == s);
        Self {
            columns,
            swap: at(Semantic::GivenName).zip(at(Semantic::Surname)),
        }
    }

    /// The levels of two rows.
    pub(super) fn pattern(&self, a: usize, b: usize) -> Pattern {
        let mut out = Pattern::default();
        for (i, c) in self.columns.iter().enumerate() {
            out.set(i, level(c, c.of_row[a], c.of_row[b]));
        }
        if let Some((g, s)) = self.swap {
            self.swapped(&mut out, (g, s), (a, b));
        }
        out
    }

    /// Marks names that stand in each other's column. Where one of them is missing, the other may
    /// still stand in its place.
    fn swapped(&self, out: &mut Pattern, (g, s): (usize, usize), (a, b): (usize, usize)) {
        let (given, sur) = (&self.columns[g], &self.columns[s]);
        let (p, q) = (out.level(g), out.level(s));
        let crossed = |x: usize, y: usize| {
            let (v, w) = (given.of_row[x], sur.of_row[y]);
            let (c, d) = (given.chars(v), sur.chars(w));
            v != 0 && w != 0 && (c == d || (c.len().min(d.len()) >= 4 && one_edit(c, d)))
        };
        if p > 1 && q > 1 {
            if given.text(given.of_row[a]) == sur.text(sur.of_row[b])
                && given.text(given.of_row[b]) == sur.text(sur.of_row[a])
            {
                // One event: it counts once, at the given name; the surname says nothing more.
                out.0 &= !(15 << (4 * g) | 15 << (4 * s));
                out.set(g, 2);
            }
        } else if p == 0 && q > 3 && (crossed(a, b) || crossed(b, a)) {
            out.0 &= !(15 << (4 * s));
            out.set(s, 2);
        } else if q == 0 && p > 3 && (crossed(a, b) || crossed(b, a)) {
            out.0 &= !(15 << (4 * g));
            out.set(g, 2);
        }
    }

    /// What the term frequencies add to the weights of equal values. Where the parent agrees the
    /// value is no surprise: a town's rare postcode is common in that town.
    pub(super) fn rarity(&self, pattern: Pattern, tree: &Tree, a: usize, b: usize) -> i32 {
        let all = self.agree_in_all(pattern);
        let mut sum = 0;
        for (i, c) in self.columns.iter().enumerate() {
            sum += self.rarity_of(pattern, all, tree, i, c.of_row[a], c.of_row[b]);
        }
        sum
    }

    /// [`Self::rarity`] of one column; `all` says whether two rows [`Self::agree_in_all`].
    pub(super) fn rarity_of(
        &self,
        pattern: Pattern,
        all: bool,
        tree: &Tree,
        column: usize,
        x: u32,
        y: u32,
    ) -> i32 {
        let c = &self.columns[column];
        if pattern.level(column) != 1 || tree.state(pattern, column) == 1 {
            return 0;
        }
        let sum = c.rarity[x as usize].min(c.rarity[y as usize]);
        if all && c.semantic.is_main() {
            sum.max(0)
        } else {
            sum
        }
    }

    /// Whether nothing that is known of two rows differs. A name that many such rows share is the
    /// name of one thing that is there often, rather than a common name of many.
    pub(super) fn agree_in_all(&self, pattern: Pattern) -> bool {
        let mut columns = self.columns.iter().enumerate();
        columns.all(|(i, c)| pattern.level(i) < c.semantic.levels().len().div_ceil(2))
    }
}

/// The level of two values of one column: 0 when one is missing, 1 when they are equal.
pub(super) fn level(c: &Cells, x: u32, y: u32) -> u8 {
    use Semantic as S;
    if x == 0 || y == 0 {
        return 0;
    }
    if x == y {
        return 1;
    }
    let (a, b) = (c.chars(x), c.chars(y));
    match c.semantic {
        S::OrgName | S::PersonName | S::Address => by_words(c, x, y),
        S::Text => by_text(c, x, y),
        S::GivenName | S::Surname => name(a, b),
        S::City | S::Category => match jaro_winkler(a, b) {
            900.. => 2,
            780.. => 3,
            _ => 4,
        },
        S::DateOfBirth => day(c.number[x as usize], c.number[y as usize], a, b),
        S::Phone => phone(a, b),
        S::Email => email(c.text(x), c.text(y), a, b),
        S::Domain => {
            if one_edit(a, b) || jaro_winkler(a, b) >= 930 {
                2
            } else {
                3
            }
        }
        S::Uscc | S::Identifier | S::BankAccount => match edit_distance(a, b, 2) {
            Some(1) if a.len().min(b.len()) >= 4 => 2,
            Some(_) if a.len().min(b.len()) >= 6 => 3,
            _ => 4,
        },
        S::Postcode => {
            if one_edit(a, b) {
                2
            } else if a.len() >= 3 && b.len() >= 3 && a[..2] == b[..2] {
                3
            } else {
                4
            }
        }
        S::Number => {
            let (p, q) = (c.number[x as usize], c.number[y as usize]);
            let (gap, size) = (p.abs_diff(q), p.unsigned_abs().max(q.unsigned_abs()));
            match () {
                () if gap.saturating_mul(50) <= size => 2,
                () if gap.saturating_mul(8) <= size => 3,
                () if gap.saturating_mul(2) <= size => 4,
                () => 5,
            }
        }
        S::Year => match c.number[x as usize].abs_diff(c.number[y as usize]) {
            0 | 1 => 2,
            2..=5 => 3,
            _ => 4,
        },
    }
}

/// The levels of words, with `code` between `very_close` and `close`. Texts with different codes
/// are `related` at most.
fn by_text(c: &Cells, x: u32, y: u32) -> u8 {
    let level = by_words(c, x, y);
    let later = level + u8::from(level >= 4);
    match codes(c.words(x), c.words(y), &c.vocabulary) {
        Codes::Silent => later,
        Codes::Shared if later > 4 => 4,
        Codes::Shared => later,
        Codes::Different => later.max(7),
    }
}

fn by_words(c: &Cells, x: u32, y: u32) -> u8 {
    let (a, b) = (c.words(x), c.words(y));
    if !a.ids.is_empty() && a.ids == b.ids {
        return 2;
    }
    // Blanks moved or lost: tullaroopstreet.
    let glued = |v: u32| c.chars(v).iter().filter(|k| **k != ' ');
    let by_words = words(a, b, &c.vocabulary);
    if by_words >= 920 {
        return 3;
    }
    let close = c.chars(x).len().abs_diff(c.chars(y).len()) <= 4
        && c.chars(x).first() == c.chars(y).first()
        && glued(x).eq(glued(y));
    if close {
        return 3;
    }
    let short = c.chars(x).len().min(c.chars(y).len()) <= 40;
    let by_letters = if short && a.ids.len().min(b.ids.len()) <= 3 {
        // Letters tell more than words where there are few words.
        jaro_winkler(c.chars(x), c.chars(y)).saturating_sub(700) * 3
    } else {
        0
    };
    match by_words.max(by_letters) {
        920.. => 3,
        780.. => 4,
        620.. => 5,
        470.. => 6,
        320.. => 7,
        _ => 8,
    }
}

fn name(a: &[char], b: &[char]) -> u8 {
    let least = a.len().min(b.len());
    if least >= 3 && one_edit(a, b) {
        return 3;
    }
    let similar = jaro_winkler(a, b);
    if similar >= 900 && least >= 3 {
        return 4;
    }
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.starts_with(short) {
        return 5;
    }
    if similar >= 780 { 6 } else { 7 }
}

fn day(p: i64, q: i64, a: &[char], b: &[char]) -> u8 {
    if one_edit(a, b) {
        return 2;
    }
    if p == 0 || q == 0 {
        return 6;
    }
    let parts = |n: i64| (n / 10_000, n / 100 % 100, n % 100);
    let ((y, m, d), (v, n, e)) = (parts(p), parts(q));
    if y == v && m == e && d == n {
        return 3;
    }
    let same = u8::from(y == v) + u8::from(m == n) + u8::from(d == e);
    match same {
        2.. => 4,
        _ if y == v => 5,
        _ => 6,
    }
}

fn phone(a: &[char], b: &[char]) -> u8 {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.len() >= 7 && long.ends_with(short) {
        2
    } else if short.len() >= 7 && one_edit(a, b) {
        3
    } else {
        4
    }
}

fn email(x: &str, y: &str, a: &[char], b: &[char]) -> u8 {
    if one_edit(a, b) {
        return 2;
    }
    let (Some((p, d)), Some((q, e))) = (x.split_once('@'), y.split_once('@')) else {
        return if jaro_winkler(a, b) >= 900 { 4 } else { 6 };
    };
    if p == q {
        return 3;
    }
    if edit_distance(a, b, 3).is_some() || jaro_winkler(a, b) >= 930 {
        return 4;
    }
    if d == e { 5 } else { 6 }
}
