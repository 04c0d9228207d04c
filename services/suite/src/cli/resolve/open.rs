//! Opening a CSV file: what its first line tells, and places in it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use encoding_rs::{GB18030, WINDOWS_1252};
use jinke_types::Failure;

use super::{encoding::Reading, input::failure, rows::Rows};

/// Most bytes of a header, which must be in the first piece of the file.
pub const LONGEST_HEADER: u64 = 1 << 20;

/// A file as far as its first line tells.
pub struct Opened {
    /// Positioned where the text begins.
    pub file: File,
    /// As what it is read: not as UTF-8 when its first piece is none.
    pub reading: Reading,
    /// How many bytes mark it as UTF-8 before the text begins.
    pub mark: u64,
    pub delimiter: u8,
    pub header: Vec<String>,
}

impl Opened {
    /// Opens a file, as UTF-8 where it may be that.
    pub fn new(path: &Path, wanted: Reading) -> Result<Self, Failure> {
        let unreadable = |e: io::Error| failure(path, "INPUT_UNREADABLE", e);
        let invalid = |m: String| failure(path, "INPUT_INVALID", m);
        let mut file = File::open(path).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(failure(path, "INPUT_UNREADABLE", "is no file"));
        }
        let mut first = Vec::new();
        Read::by_ref(&mut file)
            .take(LONGEST_HEADER)
            .read_to_end(&mut first)
            .map_err(unreadable)?;
        if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
            return Err(invalid("is UTF-16; save it as UTF-8 or GBK".into()));
        }
        if first.starts_with(b"PAR1") || first.starts_with(b"PK\x03\x04") {
            return Err(invalid("is no CSV file".into()));
        }
        let has_mark = first.starts_with(&[0xef, 0xbb, 0xbf]);
        let mark = if has_mark { 3 } else { 0 };
        let head = &first[mark..];
        let goes_on = first.len() as u64 == LONGEST_HEADER;
        let utf8 = wanted == Reading::Utf8
            && match simdutf8::compat::from_utf8(head) {
                Ok(_) => true,
                // The piece may end within a character.
                Err(e) => goes_on && e.error_len().is_none(),
            };
        let reading = match wanted {
            Reading::Utf8 if !utf8 => Reading::Gb,
            wanted => wanted,
        };
        let text = match reading {
            Reading::Utf8 => String::from_utf8_lossy(head),
            Reading::Gb if has_mark => String::from_utf8_lossy(head),
            Reading::Gb => GB18030.decode_without_bom_handling(head).0,
            Reading::Western => WINDOWS_1252.decode_without_bom_handling(head).0,
        };
        let lines = text.trim_start_matches(['\n', '\r']);
        let line = lines.split('\n').next().unwrap_or_default();
        // UTF-16 without its mark, or no text at all.
        if line.contains('\0') {
            let message = "has NUL bytes in its header: it is UTF-16 or no CSV file";
            return Err(invalid(format!("{message}; save it as UTF-8 or GBK")));
        }
        let delimiter = [b',', b'\t', b';', b'|']
            .into_iter()
            .max_by_key(|d| (line.bytes().filter(|b| b == d).count(), *d == b','))
            .unwrap_or(b',');
        let mut rows = Rows::new(&text, delimiter);
        let header = if rows.advance() {
            let each = 0..rows.width();
            each.map(|i| rows.get(i).trim().to_owned()).collect()
        } else {
            Vec::new()
        };
        if goes_on && rows.is_at_end() {
            let message = format!("has a header longer than {LONGEST_HEADER} bytes");
            return Err(invalid(format!("{message}; is a quote left open?")));
        }
        if let Some(at) = rows.left_open() {
            return Err(invalid(left_open(line_of(path, at))));
        }
        let mark = mark as u64;
        file.seek(SeekFrom::Start(mark)).map_err(unreadable)?;
        Ok(Self {
            file,
            reading,
            mark,
            delimiter,
            header,
        })
    }
}

/// What is said of a quote without its end.
pub fn left_open(line: u64) -> String {
    format!("a quote opened in line {line} is never closed")
}

/// The place of one of several columns, by its name in the header.
///
/// # Errors
/// When two columns have that name, so that nobody knows which is meant.
pub fn place_of(header: &[String], name: &str) -> Result<Option<usize>, String> {
    let name = name.trim();
    let mut found = (0..header.len()).filter(|i| header[*i] == name);
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(format!("has two columns {name:?}; which is meant?")),
    }
}

/// A place in a file: so many bytes on, and then behind so many bytes that break lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub offset: u64,
    pub breaks: u64,
}

impl Place {
    /// A place so many bytes into a file.
    pub const fn at(offset: u64) -> Self {
        Self { offset, breaks: 0 }
    }
}

/// The line of a place, counted from 1: reads the file up to there. Only what goes wrong is asked
/// for its line.
pub fn line_of(path: &Path, place: Place) -> u64 {
    let mut lines = 1;
    // What cannot be read again has no more lines.
    let Ok(file) = File::open(path) else {
        return lines;
    };
    let mut file = BufReader::with_capacity(1 << 16, file);
    let (mut at, mut breaks, mut before) = (0_u64, 0_u64, 0_u8);
    loop {
        let Ok(bytes) = file.fill_buf() else {
            return lines;
        };
        if bytes.is_empty() {
            return lines;
        }
        let read = bytes.len();
        for &b in bytes {
            if at >= place.offset && breaks == place.breaks {
                return lines;
            }
            if matches!(b, b'\n' | b'\r') {
                lines += u64::from((before, b) != (b'\r', b'\n'));
                breaks += u64::from(at >= place.offset);
            }
            before = b;
            at += 1;
        }
        file.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let text = "a\nb\r\nc\rd\n\ne";
        std::fs::write(&path, text).unwrap();
        for (letter, line) in [('a', 1), ('b', 2), ('c', 3), ('d', 4), ('e', 6)] {
            let at = text.find(letter).unwrap();
            assert_eq!(line_of(&path, Place::at(at as u64)), line, "{letter}");
            // The same place by the breaks before it.
            for from in 0..=at {
                let between = &text.as_bytes()[from..at];
                let breaks = between.iter().filter(|b| matches!(b, b'\n' | b'\r'));
                let place = Place {
                    offset: from as u64,
                    breaks: breaks.count() as u64,
                };
                let found = line_of(&path, place);
                if between.is_empty() || matches!(between.last(), Some(b'\n' | b'\r')) {
                    assert_eq!(found, line, "{letter} from {from}");
                }
            }
        }
    }

    #[test]
    fn a_column_that_is_there_twice_is_not_guessed() {
        let header = ["a", "b", "a"].map(str::to_owned);
        assert_eq!(place_of(&header, " b "), Ok(Some(1)));
        assert_eq!(place_of(&header, "c"), Ok(None));
        assert!(place_of(&header, "a").unwrap_err().contains("\"a\""));
    }
}
