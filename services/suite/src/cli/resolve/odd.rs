//! What is odd about the rows of a file, yet no reason to refuse it: told once for each file.

use std::path::Path;

use memchr::memchr_iter;

use super::open::Place;

/// What may be odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// A row has more fields than the header, and something in them.
    More,
    /// A row has fewer fields than the header.
    Fewer,
    /// Behind the quote that ends a field is more text.
    Quote,
    /// A row names no source where a column should.
    NoSource,
    /// A row has no key where a column should hold it.
    NoKey,
    /// A byte that no text holds.
    Nul,
}

const KINDS: [(Odd, &str, &str); 6] = [
    (
        Odd::More,
        "rows with more fields than the header",
        "; is a field with a delimiter not quoted?",
    ),
    (Odd::Fewer, "rows with fewer fields than the header", ""),
    (
        Odd::Quote,
        "rows with text behind a closing quote",
        "; is a quote left open?",
    ),
    (Odd::NoSource, "rows whose source is empty", ""),
    (Odd::NoKey, "rows whose key is empty", ""),
    (Odd::Nul, "NUL bytes", "; is the file damaged?"),
];

/// How often each was seen, and where first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    seen: [(u64, Place); KINDS.len()],
}

impl Oddities {
    /// Whether it was not seen before, so that its place is wanted.
    pub const fn is_first(&self, what: Odd) -> bool {
        self.seen[what as usize].0 == 0
    }

    /// Notes it, so many times; the place counts the first time.
    pub fn note(&mut self, what: Odd, times: u64, place: Option<Place>) {
        let seen = &mut self.seen[what as usize];
        if seen.0 == 0 {
            seen.1 = place.unwrap_or_default();
        }
        seen.0 += times;
    }

    /// Counts the NUL bytes of a piece that begins so far into its file.
    pub fn look_for_nul(&mut self, bytes: &[u8], offset: u64) {
        let mut found = memchr_iter(0, bytes);
        if let Some(first) = found.next() {
            let place = Place::at(offset + first as u64);
            self.note(Odd::Nul, 1 + found.count() as u64, Some(place));
        }
    }

    /// Adds what was seen in a later piece of the file.
    pub fn add(&mut self, later: &Self) {
        for (kind, (times, place)) in KINDS.iter().zip(later.seen) {
            if times > 0 {
                self.note(kind.0, times, Some(place));
            }
        }
    }

    /// In words, one for each. `first` says where a place is.
    pub fn notes(&self, path: &Path, first: impl Fn(Place) -> String) -> Vec<String> {
        let mut out = Vec::new();
        for ((_, what, hint), (times, place)) in KINDS.iter().zip(self.seen) {
            if times > 0 {
                let (path, first) = (path.display(), first(place));
                out.push(format!(
                    "{path}: {what}: {times}, the first in {first}{hint}"
                ));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_words() {
        for (i, kind) in KINDS.iter().enumerate() {
            assert_eq!(kind.0 as usize, i);
        }
    }
}
