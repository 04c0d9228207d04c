//! Numbers that are the same on every run, and what people do to text.

use jinke_resolution::batch::parallel::mix;

/// A source of numbers.
pub struct Dice(u64);

impl Dice {
    /// Neighbouring seeds begin far apart: what follows is counted on from there, and the numbers
    /// of one seed would else be those of the next, a little later.
    pub const fn new(seed: u64) -> Self {
        Self(mix(seed))
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    /// True in `percent` of 100.
    pub fn one_in(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
    /// Few are common and many are rare: the first of the list most often.
    pub fn common<T: Copy>(&mut self, list: &[T]) -> T {
        let a = self.below(list.len() + 1);
        let b = self.below(a + 1);
        list[b.min(list.len() - 1)]
    }
    pub fn digits(&mut self, n: usize) -> String {
        let each = (0..n).map(|i| {
            char::from(b'0' + self.below(if i == 0 { 9 } else { 10 }) as u8 + u8::from(i == 0))
        });
        each.collect()
    }
    /// One slip: a letter wrong, missing, doubled, or two swapped.
    pub fn slip(&mut self, text: &str) -> String {
        let mut c: Vec<char> = text.chars().collect();
        if c.len() < 3 {
            return text.to_owned();
        }
        let i = 1 + self.below(c.len() - 2);
        match self.below(4) {
            0 => {
                c.remove(i);
            }
            1 => c.swap(i, i + 1),
            2 => c.insert(i, c[i]),
            _ if c[i].is_ascii_digit() => c[i] = char::from(b'0' + self.below(10) as u8),
            _ if c[i].is_ascii_alphabetic() => c[i] = char::from(b'a' + self.below(26) as u8),
            _ => {
                c.remove(i);
            }
        }
        c.into_iter().collect()
    }
    /// A slip in `percent` of 100.
    pub fn maybe_slip(&mut self, text: &str, percent: usize) -> String {
        if self.one_in(percent) {
            self.slip(text)
        } else {
            text.to_owned()
        }
    }
    /// Nothing in `percent` of 100.
    pub fn maybe(&mut self, text: &str, percent: usize) -> String {
        if self.one_in(percent) {
            String::new()
        } else {
            text.to_owned()
        }
    }
    /// A made-up word of consonants and vowels.
    pub fn word(&mut self, syllables: usize, consonants: &[&str], vowels: &[&str]) -> String {
        (0..syllables)
            .map(|_| format!("{}{}", self.pick(consonants), self.pick(vowels)))
            .collect()
    }
}

/// The first letter as a capital.
pub fn capital(word: &str) -> String {
    let mut c = word.chars();
    c.next()
        .map_or_else(String::new, |f| f.to_uppercase().chain(c).collect())
}
