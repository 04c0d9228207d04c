//! Reading a delimited text file row by row.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use encoding_rs::Encoding;
use jinke_sdk::{Cell, Mapping};
use jinke_types::Failure;

use crate::{
    delimited::Records,
    encoding::{Scan, Utf8Bytes},
    error::io,
    header::{TopRow, find, text_of},
    limits::Limits,
    raw::{RawRow, Sink},
};

/// So much of the head tells the delimiter.
const SAMPLE_BYTES: u64 = 256 << 10;
const DELIMITERS: [u8; 3] = [b',', b'\t', b';'];

/// A delimited text file whose encoding is known.
pub struct TextFile<'a> {
    /// Name for messages.
    pub file: &'a str,
    /// Where it is.
    pub path: &'a Path,
    /// What the first pass found.
    pub scan: &'a Scan,
    /// Limits.
    pub limits: Limits,
}

impl TextFile<'_> {
    fn open(&self) -> Result<(Utf8Bytes<File>, &'static Encoding), Failure> {
        let mut input = File::open(self.path).map_err(|e| io(self.file, &e))?;
        let mark = self.scan.decision.mark as u64;
        input
            .seek(SeekFrom::Start(mark))
            .map_err(|e| io(self.file, &e))?;
        Ok(Utf8Bytes::new(input, self.scan.decision.encoding))
    }

    /// The delimiter with which the most of the mapping's columns are found; without a
    /// mapping or when that is even, the one that parts the head into the most cells.
    pub fn delimiter(&self, mapping: Option<&Mapping>) -> Result<u8, Failure> {
        let mut best = (0, 0, DELIMITERS[0]);
        for delimiter in DELIMITERS {
            let (input, encoding) = self.open()?;
            let input = BufReader::new(input.take(SAMPLE_BYTES));
            let mut records = Records::new(input, delimiter, self.limits);
            let (mut top, mut cells) = (Vec::new(), 0);
            while top.len() < self.limits.header_rows {
                let record = records.next_record().map_err(|e| io(self.file, &e))?;
                let Some(record) = record else { break };
                let row = raw_row(record.row, record.cells, encoding);
                cells += row.cells.len().saturating_sub(1);
                let own: Vec<String> = row.cells.iter().map(text_of).collect();
                top.push(TopRow {
                    row: row.row,
                    spread: own.clone(),
                    own,
                });
            }
            let found = mapping
                .and_then(|m| find(m, &top).and_then(|header| m.found_in(&header.names)))
                .unwrap_or_default();
            if (found, cells) > (best.0, best.1) {
                best = (found, cells, delimiter);
            }
        }
        Ok(best.2)
    }

    /// Passes all rows to `sink`.
    pub fn rows(&self, delimiter: u8, sink: &mut dyn Sink) -> Result<(), Failure> {
        let (input, encoding) = self.open()?;
        let mut records = Records::new(
            BufReader::with_capacity(1 << 16, input),
            delimiter,
            self.limits,
        );
        while let Some(record) = records.next_record().map_err(|e| io(self.file, &e))? {
            if sink
                .row(raw_row(record.row, record.cells, encoding))
                .is_break()
            {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn raw_row(
    row: u64,
    cells: Result<Vec<Vec<u8>>, &'static str>,
    encoding: &'static Encoding,
) -> RawRow {
    let cells = match cells {
        Ok(cells) => cells,
        Err(why) => {
            return RawRow {
                row,
                cells: Vec::new(),
                bad: Some((None, why.to_owned())),
            };
        }
    };
    let mut bad = None;
    let cells = cells.into_iter().enumerate().map(|(at, bytes)| {
        if bytes.contains(&0) {
            bad = bad
                .take()
                .or_else(|| Some((Some(at), "holds a NUL byte".to_owned())));
            return Cell::Empty;
        }
        match encoding.decode_without_bom_handling_and_without_replacement(&bytes) {
            Some(text) if text.is_empty() => Cell::Empty,
            Some(text) => Cell::Text(text.into_owned()),
            None => {
                let why = format!("holds bytes that are not {}", encoding.name());
                bad = bad.take().or(Some((Some(at), why)));
                Cell::Empty
            }
        }
    });
    let cells = cells.collect();
    RawRow { row, cells, bad }
}
