//! Rows of CSV files in UTF-8 or GB18030, of which GBK is a part.
//!
//! A file is read once, in pieces that end with a row; pieces are taken apart on several threads,
//! so that one large file is read as fast as many small ones. Memory holds a piece per thread.
//! Only a file that is not UTF-8 throughout is begun anew.

use std::{
    borrow::Cow,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use encoding_rs::WINDOWS_1252;
use jinke_resolution::batch::parallel;
use jinke_types::Failure;
use memchr::{memchr, memchr_iter, memchr2, memchr2_iter};

use super::{
    encoding::{Evidence, Reading},
    input::failure,
    odd::{Odd, Oddities},
    open::{Opened, Place, left_open, line_of},
    pieces::{CutError, Cutter, LONGEST_ROW, Piece, Queue},
};

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
    /// Where the row begins in `text`, and `text` in its file.
    begin: usize,
    offset: u64,
    /// The quote that the text ends within.
    open: Option<Place>,
    /// How many fields the header has, and what is odd about rows, where that is of interest.
    odd: Option<(usize, Oddities)>,
}

impl<'a> Rows<'a> {
    /// The rows of a text.
    pub fn new(text: &'a str, delimiter: u8) -> Self {
        Self {
            text,
            at: 0,
            delimiter,
            ends: Vec::new(),
            from: 0,
            quoted: None,
            begin: 0,
            offset: 0,
            open: None,
            odd: None,
        }
    }

    /// The rows of a piece of a file whose header has so many fields.
    fn of_piece(text: &'a str, delimiter: u8, offset: u64, width: usize) -> Self {
        Self {
            offset,
            odd: Some((width, Oddities::default())),
            ..Self::new(text, delimiter)
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
        self.begin = self.at;
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        self.ends.clear();
        if memchr(b'"', line).is_some() {
            self.advance_quoted();
            self.judge();
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
        self.judge();
        true
    }

    fn advance_quoted(&mut self) {
        let bytes = self.text.as_bytes();
        let mut out: Vec<u8> = Vec::new();
        let (mut begins, mut inside) = (true, false);
        let (mut opened, mut is_odd) = (self.at, false);
        let mut i = self.at;
        while let Some(&b) = bytes.get(i) {
            i += 1;
            if inside {
                match b {
                    b'"' if bytes.get(i) == Some(&b'"') => {
                        out.push(b'"');
                        i += 1;
                    }
                    b'"' => {
                        inside = false;
                        let next = bytes.get(i).copied().unwrap_or(b'\n');
                        is_odd |= next != self.delimiter && !matches!(next, b'\n' | b'\r');
                    }
                    _ => out.push(b),
                }
            } else if b == b'"' && begins {
                (begins, inside) = (false, true);
                opened = i - 1;
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
        if inside {
            self.open = Some(self.place_of(opened));
        }
        if is_odd {
            self.odd(Odd::Quote);
        }
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
    /// Whether nothing is left behind this row, not even the end of its line.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }
    /// Where the quote is that the text ends within.
    pub const fn left_open(&self) -> Option<Place> {
        self.open
    }
    /// Where the row begins in its file.
    pub fn place(&self) -> Place {
        self.place_of(self.begin)
    }
    fn place_of(&self, at: usize) -> Place {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        Place {
            offset: self.offset,
            breaks: memchr2_iter(b'\n', b'\r', before).count() as u64,
        }
    }

    /// Notes that something about this row is odd.
    pub fn odd(&mut self, what: Odd) {
        let place = self
            .odd
            .as_ref()
            .is_some_and(|o| o.1.is_first(what))
            .then(|| self.place());
        if let Some((_, odd)) = &mut self.odd {
            odd.note(what, 1, place);
        }
    }

    /// Looks whether a row has the fields of the header.
    fn judge(&mut self) {
        match &self.odd {
            Some((width, _)) if *width != self.ends.len() => self.judge_odd(*width),
            _ => {}
        }
    }
    #[cold]
    fn judge_odd(&mut self, width: usize) {
        if self.ends.len() < width {
            self.odd(Odd::Fewer);
        } else if (width..self.ends.len()).any(|i| !self.get(i).trim().is_empty()) {
            // Many programs end each row with a delimiter: what is empty is no field too many.
            self.odd(Odd::More);
        }
    }
}

/// How a file is read.
struct Job<'a, P> {
    path: &'a Path,
    reading: Reading,
    is_marked: bool,
    delimiter: u8,
    width: usize,
    /// What is wrong with the header counts once the encoding is known.
    plan: Result<P, Failure>,
}

/// What became of a piece.
struct Taken<T> {
    file: usize,
    number: usize,
    taken: Option<T>,
    evidence: Evidence,
    odd: Oddities,
    open: Option<Place>,
}

impl<P: Sync> Job<'_, P> {
    /// The rows of a piece; none when the file is not UTF-8 and was read as that.
    fn take<T>(&self, piece: &Piece, take: impl Fn(&P, &mut Rows<'_>) -> T) -> Option<Taken<T>> {
        let (evidence, text) = match self.reading {
            Reading::Utf8 => {
                let text = simdutf8::basic::from_utf8(&piece.bytes).ok()?;
                (Evidence::default(), Some(Cow::Borrowed(text)))
            }
            Reading::Gb => Evidence::of(&piece.bytes, piece.offset),
            Reading::Western => {
                let text = WINDOWS_1252.decode_without_bom_handling(&piece.bytes).0;
                (Evidence::default(), Some(text))
            }
        };
        let mut out = Taken {
            file: piece.file,
            number: piece.number,
            taken: None,
            evidence,
            odd: Oddities::default(),
            open: None,
        };
        let (Some(text), Ok(plan)) = (text, &self.plan) else {
            return Some(out);
        };
        let mut rows = Rows::of_piece(&text, self.delimiter, piece.offset, self.width);
        if piece.number == 0 {
            rows.advance();
        }
        out.taken = Some(take(plan, &mut rows));
        out.open = rows.left_open();
        if let Some((_, odd)) = rows.odd {
            out.odd = odd;
        }
        out.odd.look_for_nul(&piece.bytes, piece.offset);
        Some(out)
    }

    /// All of a file, once all its pieces were looked at, with notes about it; none when it is
    /// another encoding than it was read as.
    fn all<T>(self, pieces: Vec<Taken<T>>) -> Result<Option<Whole<P, T>>, Failure> {
        let path = self.path;
        let invalid = |message: String| failure(path, "INPUT_INVALID", message);
        if self.reading == Reading::Gb {
            let mut evidence = Evidence::default();
            pieces.iter().for_each(|p| evidence.add(&p.evidence));
            let found = evidence.decide(self.is_marked).map_err(|r| {
                let line = line_of(path, Place::at(r.at));
                invalid(format!(
                    "{}, the first in line {line}, byte {} of the file; save it as UTF-8 or GBK",
                    r.message,
                    r.at + 1
                ))
            })?;
            if found == Reading::Western {
                return Ok(None);
            }
        }
        let plan = self.plan?;
        let (mut taken, mut odd) = (Vec::new(), Oddities::default());
        for piece in pieces {
            if let Some(at) = piece.open {
                return Err(invalid(left_open(line_of(path, at))));
            }
            odd.add(&piece.odd);
            taken.extend(piece.taken);
        }
        let line = |place| format!("line {}", line_of(path, place));
        let mut notes = odd.notes(path, line);
        if self.reading == Reading::Western {
            let note = "read as Windows-1252 (Latin-1), as it is neither UTF-8 nor GBK";
            notes.push(format!("{}: {note}", path.display()));
        }
        Ok(Some((plan, taken, notes)))
    }
}

/// A file read: its plan, what was made of its pieces, and what is odd about it, in words.
type Whole<P, T> = (P, Vec<T>, Vec<String>);

/// Files read: for each its plan and what was made of its pieces; and what is odd about them, in
/// words.
pub type Read<P, T> = (Vec<(P, Vec<T>)>, Vec<String>);

/// Reads files: for each what `take` makes of its pieces, in their order. `plan` looks at the
/// header; the rows that `take` gets are without it.
///
/// # Errors
/// `INPUT_UNREADABLE`, `INPUT_INVALID`, and what `plan` says.
pub fn read<P: Sync + Send, T: Send>(
    paths: &[&Path],
    threads: usize,
    plan: impl Fn(&Path, &[String]) -> Result<P, Failure>,
    take: impl Fn(&P, &mut Rows<'_>) -> T + Sync,
) -> Result<Read<P, T>, Failure> {
    let mut out: Vec<Option<Whole<P, T>>> = paths.iter().map(|_| None).collect();
    let mut todo: Vec<(usize, Reading)> = (0..paths.len()).map(|i| (i, Reading::Utf8)).collect();
    while !todo.is_empty() {
        let (mut jobs, mut cutters) = (Vec::new(), Vec::new());
        for (i, reading) in &todo {
            let path = paths[*i];
            let Opened {
                file,
                reading,
                mark,
                delimiter,
                header,
            } = Opened::new(path, *reading)?;
            let plan = plan(path, &header);
            if reading != Reading::Gb
                && let Err(e) = plan
            {
                return Err(e);
            }
            jobs.push(Job {
                path,
                reading,
                is_marked: mark > 0,
                delimiter,
                width: header.len(),
                plan,
            });
            // In the other encodings a delimiter is never half a character.
            let is_plain = reading != Reading::Gb;
            cutters.push(Cutter::new(file, delimiter, is_plain, mark));
        }
        let wrong: Vec<AtomicBool> = todo.iter().map(|_| AtomicBool::new(false)).collect();
        let queue = Mutex::new(Queue::new(cutters));
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
                match jobs[piece.file].take(&piece, &take) {
                    Some(taken) => out.push(taken),
                    None => wrong[piece.file].store(true, Ordering::Relaxed),
                }
            }
        });
        let mut failed = queue
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .failed;
        let mut found: Vec<Taken<T>> = found.into_iter().flatten().collect();
        found.sort_by_key(|f| (f.file, f.number));
        let mut pieces: Vec<Vec<Taken<T>>> = todo.iter().map(|_| Vec::new()).collect();
        for taken in found {
            pieces[taken.file].push(taken);
        }
        let mut again = Vec::new();
        for (n, (job, pieces)) in jobs.into_iter().zip(pieces).enumerate() {
            let i = todo[n].0;
            if wrong[n].load(Ordering::Relaxed) {
                again.push((i, Reading::Gb));
                continue;
            }
            match failed.remove(&n) {
                None => {
                    out[i] = job.all(pieces)?;
                    if out[i].is_none() {
                        again.push((i, Reading::Western));
                    }
                }
                Some(CutError::Unreadable(e)) => {
                    return Err(failure(job.path, "INPUT_UNREADABLE", e));
                }
                Some(CutError::LongRow(at)) => {
                    let line = line_of(job.path, Place::at(at));
                    let message = format!(
                        "the row in line {line} is longer than {LONGEST_ROW} bytes; is a quote \
                         left open?"
                    );
                    return Err(failure(job.path, "INPUT_INVALID", message));
                }
            }
        }
        todo = again;
    }
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    for (plan, taken, told) in out.into_iter().flatten() {
        files.push((plan, taken));
        notes.extend(told);
    }
    Ok((files, notes))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) type Table = Vec<Vec<String>>;

    /// Fields as the crate `csv` reads them.
    pub fn expected(text: &str) -> Table {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .from_reader(text.as_bytes());
        let rows = reader.records().map(Result::unwrap);
        rows.map(|r| r.iter().map(str::to_owned).collect())
            .collect()
    }

    pub(in super::super) fn taken(rows: &mut Rows<'_>) -> Table {
        let mut out = Table::new();
        while rows.advance() {
            out.push((0..rows.width()).map(|i| rows.get(i).to_owned()).collect());
        }
        out
    }

    /// Texts made of what CSV files are made of, the same on every run.
    pub fn texts() -> impl Iterator<Item = String> {
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
}
