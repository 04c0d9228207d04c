//! Rows of CSV files in UTF-8 or GB18030, of which GBK is a part.
//!
//! A file is read once, in pieces that end with a row; pieces are taken apart on several threads,
//! so that one large file is read as fast as many small ones. Memory holds a piece per thread.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use encoding_rs::GB18030;
use jinke_resolution::batch::parallel;
use jinke_types::Failure;
use memchr::{memchr, memchr_iter, memchr2, memrchr2};

use super::input::failure;

/// Longest row, in bytes, so that a file with an open quote does not fill the memory.
const LONGEST_ROW: usize = 16 << 20;
/// Bytes of a piece, about.
const PIECE: u64 = 1 << 20;

/// Rows of a piece, one after the other, as the crate `csv` would read them: fields end at a
/// delimiter, rows at a line break; a field that begins with a quote ends with one, and a quote in
/// it is written twice. Empty lines are no rows.
pub struct Rows<'a> {
    text: &'a str,
    at: usize,
    delimiter: u8,
    /// Where each field ends, in `quoted` or in `text`, and where the first begins.
    ends: Vec<usize>,
    from: usize,
    /// The fields of a row with quotes, without them.
    quoted: Option<String>,
}

impl<'a> Rows<'a> {
    fn new(text: &'a str, delimiter: u8) -> Self {
        Self {
            text,
            at: 0,
            delimiter,
            ends: Vec::new(),
            from: 0,
            quoted: None,
        }
    }

    /// Goes to the next row; false when there is none.
    pub fn advance(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b'\n' | b'\r')) {
            self.at += 1;
        }
        let rest = &bytes[self.at..];
        if rest.is_empty() {
            return false;
        }
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        self.ends.clear();
        if memchr(b'"', line).is_some() {
            self.advance_quoted();
            return true;
        }
        self.quoted = None;
        self.from = self.at;
        let at = self.at;
        // A field ends before its delimiter, the next begins after it.
        self.ends
            .extend(memchr_iter(self.delimiter, line).map(|i| at + i));
        self.ends.push(at + end);
        self.at += end;
        true
    }

    fn advance_quoted(&mut self) {
        let bytes = self.text.as_bytes();
        let mut out: Vec<u8> = Vec::new();
        let (mut begins, mut inside) = (true, false);
        let mut i = self.at;
        while let Some(&b) = bytes.get(i) {
            i += 1;
            if inside {
                match b {
                    b'"' if bytes.get(i) == Some(&b'"') => {
                        out.push(b'"');
                        i += 1;
                    }
                    b'"' => inside = false,
                    _ => out.push(b),
                }
            } else if b == b'"' && begins {
                (begins, inside) = (false, true);
            } else if b == self.delimiter {
                self.ends.push(out.len());
                // As in `text`, one byte stands between fields.
                out.push(b);
                begins = true;
            } else if matches!(b, b'\n' | b'\r') {
                break;
            } else {
                out.push(b);
                begins = false;
            }
        }
        self.ends.push(out.len());
        self.from = 0;
        self.at = i;
        // Only ASCII was left out, so that it still is text.
        self.quoted = String::from_utf8(out).ok();
    }

    /// How many fields the row has.
    pub fn width(&self) -> usize {
        self.ends.len()
    }
    /// A field of the row; empty when the row has not so many.
    pub fn get(&self, i: usize) -> &str {
        let Some(end) = self.ends.get(i) else {
            return "";
        };
        let from = if i == 0 {
            self.from
        } else {
            self.ends[i - 1] + 1
        };
        let text = self.quoted.as_deref().unwrap_or(self.text);
        text.get(from..*end).unwrap_or_default()
    }
}

/// A file as far as its first line tells.
struct Opened {
    file: File,
    utf8: bool,
    delimiter: u8,
    header: Vec<String>,
    /// Where the text begins.
    mark: u64,
}

impl Opened {
    fn new(path: &Path, utf8: bool) -> Result<Self, Failure> {
        let unreadable = |e: io::Error| failure(path, "INPUT_UNREADABLE", e);
        let mut file = File::open(path).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(failure(path, "INPUT_UNREADABLE", "is no file"));
        }
        let mut first = Vec::new();
        Read::by_ref(&mut file)
            .take(PIECE)
            .read_to_end(&mut first)
            .map_err(unreadable)?;
        if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
            return Err(failure(
                path,
                "INPUT_INVALID",
                "is UTF-16; save it as UTF-8 or GBK",
            ));
        }
        if first.starts_with(b"PAR1") || first.starts_with(b"PK\x03\x04") {
            return Err(failure(path, "INPUT_INVALID", "is no CSV file"));
        }
        let has_mark = first.starts_with(&[0xef, 0xbb, 0xbf]);
        let mark = if has_mark { 3 } else { 0 };
        let lines = &mut first[mark..].split(|b| *b == b'\n');
        let line = lines.next().unwrap_or_default();
        let delimiter = [b',', b'\t', b';', b'|']
            .into_iter()
            .max_by_key(|d| (line.iter().filter(|b| *b == d).count(), *d == b','))
            .unwrap_or(b',');
        let utf8 = utf8 && std::str::from_utf8(line).is_ok();
        // The piece may end within a character.
        let lossy = || String::from_utf8_lossy(&first[mark..]);
        let text = decoded(&first[mark..], utf8).unwrap_or_else(lossy);
        let header = header(&text, delimiter);
        Ok(Self {
            file,
            utf8,
            delimiter,
            header,
            mark: mark as u64,
        })
    }
}

fn header(text: &str, delimiter: u8) -> Vec<String> {
    let mut rows = Rows::new(text, delimiter);
    if !rows.advance() {
        return Vec::new();
    }
    let each = 0..rows.width();
    each.map(|i| rows.get(i).trim().to_owned()).collect()
}

fn decoded(bytes: &[u8], utf8: bool) -> Option<Cow<'_, str>> {
    if utf8 {
        simdutf8::basic::from_utf8(bytes).ok().map(Cow::Borrowed)
    } else {
        Some(GB18030.decode_without_bom_handling(bytes).0)
    }
}

/// Cuts a file into pieces that end with a row.
struct Cutter {
    file: File,
    delimiter: u8,
    /// Bytes read and not given yet.
    rest: Vec<u8>,
    /// Up to here `rest` was looked through, and whether that is within quotes.
    seen: usize,
    inside: bool,
}

impl Cutter {
    /// The next piece; none at the end of the file.
    fn cut(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut piece = std::mem::take(&mut self.rest);
        let mut end = None;
        loop {
            piece.reserve(PIECE as usize);
            let read = Read::by_ref(&mut self.file)
                .take(PIECE)
                .read_to_end(&mut piece)?;
            if read == 0 {
                return Ok((!piece.is_empty()).then_some(piece));
            }
            self.look_through(&piece, &mut end);
            if let Some(end) = end {
                self.rest = piece.split_off(end);
                self.seen -= end;
                return Ok(Some(piece));
            }
            if piece.len() > LONGEST_ROW {
                return Err(io::Error::other(format!(
                    "a row is longer than {LONGEST_ROW} bytes; is a quote left open?"
                )));
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
                    piece[i] == self.delimiter || matches!(piece[i], b'\n' | b'\r')
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
struct Piece {
    file: usize,
    number: usize,
    bytes: Vec<u8>,
}

/// The pieces of several files, one after the other.
struct Queue {
    cutters: Vec<Option<Cutter>>,
    file: usize,
    number: usize,
    failed: BTreeMap<usize, io::Error>,
}

impl Queue {
    /// The next piece of a file that is not to be left out.
    fn piece(&mut self, left_out: &[AtomicBool]) -> Option<Piece> {
        while let Some(cutter) = self.cutters.get_mut(self.file) {
            let cutter = cutter
                .as_mut()
                .filter(|_| !left_out[self.file].load(Ordering::Relaxed));
            let piece = cutter.map_or(Ok(None), Cutter::cut);
            let piece = piece.unwrap_or_else(|e| {
                self.failed.insert(self.file, e);
                None
            });
            if let Some(bytes) = piece {
                self.number += 1;
                return Some(Piece {
                    file: self.file,
                    number: self.number,
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

/// Reads files: for each what `take` makes of its pieces, in their order. `plan` looks at the
/// header; the rows that `take` gets are without it.
///
/// # Errors
/// `INPUT_UNREADABLE`, `INPUT_INVALID`, and what `plan` says.
pub fn read<P: Sync, T: Send>(
    paths: &[&Path],
    threads: usize,
    plan: impl Fn(&Path, &[String]) -> Result<P, Failure>,
    take: impl Fn(&P, &mut Rows<'_>) -> T + Sync,
) -> Result<Vec<(P, Vec<T>)>, Failure> {
    let mut out: BTreeMap<usize, (P, Vec<T>)> = BTreeMap::new();
    let mut todo: Vec<(usize, bool)> = (0..paths.len()).map(|i| (i, true)).collect();
    while !todo.is_empty() {
        let (mut plans, mut cutters, mut decoders) = (Vec::new(), Vec::new(), Vec::new());
        for (i, utf8) in &todo {
            let path = paths[*i];
            let mut opened = Opened::new(path, *utf8)?;
            let seek = opened.file.seek(SeekFrom::Start(opened.mark));
            seek.map_err(|e| failure(path, "INPUT_UNREADABLE", e))?;
            plans.push(plan(path, &opened.header)?);
            decoders.push((opened.utf8, opened.delimiter));
            cutters.push(Some(Cutter {
                file: opened.file,
                delimiter: opened.delimiter,
                rest: Vec::new(),
                seen: 0,
                inside: false,
            }));
        }
        let wrong: Vec<AtomicBool> = todo.iter().map(|_| AtomicBool::new(false)).collect();
        let queue = Mutex::new(Queue {
            cutters,
            file: 0,
            number: 0,
            failed: BTreeMap::new(),
        });
        let found = parallel::map(threads, threads.max(1), |_| {
            let mut out = Vec::new();
            loop {
                let piece = queue
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .piece(&wrong);
                let Some(piece) = piece else {
                    return out;
                };
                let (utf8, delimiter) = decoders[piece.file];
                let Some(text) = decoded(&piece.bytes, utf8) else {
                    wrong[piece.file].store(true, Ordering::Relaxed);
                    continue;
                };
                let mut rows = Rows::new(&text, delimiter);
                if piece.number == 1 {
                    rows.advance();
                }
                let taken = take(&plans[piece.file], &mut rows);
                out.push((piece.file, piece.number, taken));
            }
        });
        let queue = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        let wrong: Vec<bool> = wrong.into_iter().map(AtomicBool::into_inner).collect();
        let failed = queue.failed.into_iter().find(|(f, _)| !wrong[*f]);
        if let Some((file, e)) = failed {
            let reason = match e.kind() {
                io::ErrorKind::Other => "INPUT_INVALID",
                _ => "INPUT_UNREADABLE",
            };
            return Err(failure(paths[todo[file].0], reason, e));
        }
        let mut found: Vec<(usize, usize, T)> = found.into_iter().flatten().collect();
        found.sort_by_key(|f| (f.0, f.1));
        let mut taken: Vec<Vec<T>> = todo.iter().map(|_| Vec::new()).collect();
        for (file, _, t) in found {
            taken[file].push(t);
        }
        let mut again = Vec::new();
        for (((i, _), bad), (plan, taken)) in
            todo.iter().zip(wrong).zip(plans.into_iter().zip(taken))
        {
            if bad {
                again.push((*i, false));
            } else {
                out.insert(*i, (plan, taken));
            }
        }
        todo = again;
    }
    Ok(out.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Table = Vec<Vec<String>>;

    /// Fields as the crate `csv` reads them.
    fn expected(text: &str) -> Table {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .from_reader(text.as_bytes());
        let rows = reader.records().map(Result::unwrap);
        rows.map(|r| r.iter().map(str::to_owned).collect())
            .collect()
    }

    fn taken(rows: &mut Rows<'_>) -> Table {
        let mut out = Table::new();
        while rows.advance() {
            out.push((0..rows.width()).map(|i| rows.get(i).to_owned()).collect());
        }
        out
    }

    /// Texts made of what CSV files are made of, the same on every run.
    fn texts() -> impl Iterator<Item = String> {
        let letters = [
            "a", ",", "\"", "\n", "\r\n", "金", "\"\"", " ", "\r", "\"x, y\"", ",",
        ];
        (0..6_000_u64).map(move |n| {
            let mut x = n;
            let count = n % 40;
            let letter = |_| {
                x = parallel::mix(x);
                letters[(x % letters.len() as u64) as usize]
            };
            (0..count).map(letter).collect()
        })
    }

    #[test]
    fn rows_are_those_the_csv_crate_reads() {
        for text in texts() {
            let found = taken(&mut Rows::new(&text, b','));
            assert_eq!(found, expected(&text), "{text:?}");
        }
    }

    #[test]
    fn pieces_end_with_rows_wherever_the_file_is_cut() {
        for text in texts() {
            let cutter = |cuts: &[usize]| {
                // As if the file had been read up to each of these places in turn.
                let mut c = Cutter {
                    file: tempfile::tempfile().unwrap(),
                    delimiter: b',',
                    rest: Vec::new(),
                    seen: 0,
                    inside: false,
                };
                let (mut out, mut held, mut from) = (Table::new(), Vec::new(), 0);
                for to in cuts.iter().copied().chain([text.len()]) {
                    held.extend_from_slice(&text.as_bytes()[from..to]);
                    from = to;
                    let mut end = None;
                    c.look_through(&held, &mut end);
                    if let Some(end) = end {
                        let rest = held.split_off(end);
                        c.seen -= end;
                        let piece = std::str::from_utf8(&held).unwrap();
                        out.extend(taken(&mut Rows::new(piece, b',')));
                        held = rest;
                    }
                }
                let piece = std::str::from_utf8(&held).unwrap();
                out.extend(taken(&mut Rows::new(piece, b',')));
                out
            };
            let whole = expected(&text);
            assert_eq!(cutter(&[]), whole, "{text:?}");
            let n = text.len();
            assert_eq!(cutter(&[n / 3, n / 2, n - n / 5]), whole, "{text:?}");
        }
    }
}
