//! Cutting CSV files into pieces that end with a row.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    sync::atomic::{AtomicBool, Ordering},
};

use memchr::{memchr, memrchr2};

use super::encoding::stands_alone;

/// Longest row, in bytes, so that a file with an open quote does not fill the memory.
pub const LONGEST_ROW: usize = 16 << 20;
/// Bytes of a piece, about.
const PIECE: u64 = 1 << 20;

/// Cuts a file into pieces that end with a row.
pub struct Cutter {
    pub file: File,
    pub delimiter: u8,
    /// Whether a delimiter is never half a character, as in UTF-8.
    pub is_plain: bool,
    /// Where in the file the next piece begins.
    pub offset: u64,
    /// Bytes read and not given yet.
    rest: Vec<u8>,
    /// Up to here `rest` was looked through, and whether that is within quotes.
    seen: usize,
    inside: bool,
}

/// Why there is no next piece.
pub enum CutError {
    Unreadable(io::Error),
    /// A row longer than [`LONGEST_ROW`] begins here.
    LongRow(u64),
}

impl From<io::Error> for CutError {
    fn from(e: io::Error) -> Self {
        Self::Unreadable(e)
    }
}

impl Cutter {
    /// Cuts a file whose text begins at `offset`, where the file is positioned.
    pub const fn new(file: File, delimiter: u8, is_plain: bool, offset: u64) -> Self {
        Self {
            file,
            delimiter,
            is_plain,
            offset,
            rest: Vec::new(),
            seen: 0,
            inside: false,
        }
    }

    /// The next piece and where it begins; none at the end of the file.
    fn cut(&mut self) -> Result<Option<(u64, Vec<u8>)>, CutError> {
        let mut piece = std::mem::take(&mut self.rest);
        let begin = self.offset;
        let mut end = None;
        loop {
            piece.reserve(PIECE as usize);
            let read = Read::by_ref(&mut self.file)
                .take(PIECE)
                .read_to_end(&mut piece)?;
            if read == 0 {
                self.offset += piece.len() as u64;
                return Ok((!piece.is_empty()).then_some((begin, piece)));
            }
            self.look_through(&piece, &mut end);
            if let Some(end) = end {
                self.rest = piece.split_off(end);
                self.seen -= end;
                self.offset += end as u64;
                return Ok(Some((begin, piece)));
            }
            if piece.len() > LONGEST_ROW {
                return Err(CutError::LongRow(begin));
            }
        }
    }

    /// Finds the last end of a row in what was not looked through.
    fn look_through(&mut self, piece: &[u8], end: &mut Option<usize>) {
        while self.seen < piece.len() {
            let from = self.seen;
            let quote = memchr(b'"', &piece[from..]).map(|i| from + i);
            let to = quote.unwrap_or(piece.len());
            if !self.inside {
                if let Some(i) = memrchr2(b'\n', b'\r', &piece[from..to]) {
                    *end = Some(from + i + 1);
                }
                // A quote within a field is a letter like others.
                let begins = to.checked_sub(1).is_none_or(|i| {
                    piece[i] == self.delimiter && (self.is_plain || stands_alone(piece, i))
                        || matches!(piece[i], b'\n' | b'\r')
                });
                self.inside = quote.is_some() && begins;
                self.seen = (to + 1).min(piece.len());
            } else if quote.is_none() {
                self.seen = to;
            } else if to + 1 == piece.len() {
                // What follows tells whether it ends the field.
                return;
            } else if piece[to + 1] == b'"' {
                self.seen = to + 2;
            } else {
                self.inside = false;
                self.seen = to + 1;
            }
        }
    }
}

/// A piece with where it belongs.
pub struct Piece {
    /// The file, as a place in the queue, and how many pieces of it came before.
    pub file: usize,
    pub number: usize,
    /// Where in the file it begins.
    pub offset: u64,
    pub bytes: Vec<u8>,
}

/// The pieces of several files, one after the other.
pub struct Queue {
    cutters: Vec<Option<Cutter>>,
    file: usize,
    number: usize,
    /// Files that were not read to their end, and why.
    pub failed: BTreeMap<usize, CutError>,
}

impl Queue {
    /// The pieces of these files.
    pub fn new(cutters: Vec<Cutter>) -> Self {
        Self {
            cutters: cutters.into_iter().map(Some).collect(),
            file: 0,
            number: 0,
            failed: BTreeMap::new(),
        }
    }

    /// The next piece of a file that is not to be left out.
    pub fn piece(&mut self, left_out: &[AtomicBool]) -> Option<Piece> {
        while let Some(cutter) = self.cutters.get_mut(self.file) {
            let cutter = cutter
                .as_mut()
                .filter(|_| !left_out[self.file].load(Ordering::Relaxed));
            let piece = cutter.map_or(Ok(None), Cutter::cut);
            let piece = piece.unwrap_or_else(|e| {
                self.failed.insert(self.file, e);
                None
            });
            if let Some((offset, bytes)) = piece {
                self.number += 1;
                return Some(Piece {
                    file: self.file,
                    number: self.number - 1,
                    offset,
                    bytes,
                });
            }
            self.cutters[self.file] = None;
            self.file += 1;
            self.number = 0;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::GB18030;

    use super::{
        super::rows::{
            Rows,
            tests::{Table, expected, taken, texts},
        },
        *,
    };

    /// The rows of a text, as if its file had been read up to each of these places in turn.
    fn rows_of(bytes: &[u8], delimiter: u8, utf8: bool, cuts: &[usize]) -> Table {
        let file = tempfile::tempfile().unwrap();
        let mut c = Cutter::new(file, delimiter, utf8, 0);
        let (mut out, mut held, mut from) = (Table::new(), Vec::new(), 0);
        let mut take = |piece: &[u8]| {
            let text = if utf8 {
                String::from_utf8(piece.to_vec()).unwrap()
            } else {
                GB18030.decode_without_bom_handling(piece).0.into_owned()
            };
            out.extend(taken(&mut Rows::new(&text, delimiter)));
        };
        for to in cuts.iter().copied().chain([bytes.len()]) {
            held.extend_from_slice(&bytes[from..to]);
            from = to;
            let mut end = None;
            c.look_through(&held, &mut end);
            if let Some(end) = end {
                let rest = held.split_off(end);
                c.seen -= end;
                take(&held);
                held = rest;
            }
        }
        take(&held);
        out
    }

    #[test]
    fn pieces_end_with_rows_wherever_the_file_is_cut() {
        for text in texts() {
            let whole = expected(&text);
            let n = text.len();
            for cuts in [&[][..], &[n / 3, n / 2, n - n / 5]] {
                let found = rows_of(text.as_bytes(), b',', true, cuts);
                assert_eq!(found, whole, "{text:?}");
            }
        }
    }

    #[test]
    fn half_a_character_delimits_nothing() {
        // The character before the quote ends with the byte of a bar.
        let text = "a|b\n1|皘\"x\n2|y\n3|\"z\nz\"\n";
        let whole = taken(&mut Rows::new(text, b'|'));
        let bytes = GB18030.encode(text).0;
        for cut in 0..bytes.len() {
            assert_eq!(rows_of(&bytes, b'|', false, &[cut]), whole, "cut at {cut}");
        }
    }
}
