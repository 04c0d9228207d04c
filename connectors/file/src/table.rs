//! From raw rows to pages: finds the header, binds the mapping, reads each row, and cuts
//! pages at places a pull can resume from.

use std::{collections::VecDeque, ops::ControlFlow};

use calamine::Dimensions;
use jinke_sdk::{
    Cell, Cursor, Effect, Location, MAX_PAGE_ERRORS, MAX_PAGE_RECORDS, Mapping, Output, Page,
    Progress, Row, RowError, RowReader,
};
use jinke_types::Failure;
use serde::{Deserialize, Serialize};

use crate::{
    header::{Header, TopRow, find, text_of},
    limits::Limits,
    raw::{RawRow, Sink},
};

/// A row yields at most an organization and 50 contacts with their links.
const MAX_ROW_RECORDS: usize = 101;
/// Of one row so many errors are told; its other cells are likely as bad.
const MAX_ROW_ERRORS: usize = 20;

/// Where a pull of a file stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// SHA-256 of the file: another content is pulled from the start.
    pub content: String,
    /// SHA-256 of the mapping and the source: another mapping reads all anew.
    pub mapping: String,
    /// The last row that was read; 0 for none.
    pub row: u64,
    /// Whether the file was read to its end.
    pub done: bool,
}

/// Reads a table into pages.
pub struct Table<'a> {
    mapping: &'a Mapping,
    source: &'a str,
    file: &'a str,
    sheet: Option<&'a str>,
    limits: Limits,
    place: Place,
    /// Rows up to this one were read by an earlier pull.
    from: u64,
    skipping: bool,
    merged: Vec<Dimensions>,
    top: Vec<RawRow>,
    reader: Option<RowReader>,
    header: Option<Header>,
    out: Output,
    bytes: usize,
    notes: Vec<String>,
    progress: Progress,
    send: &'a mut dyn FnMut(Page) -> ControlFlow<()>,
    /// Why reading ended early.
    failure: Option<Failure>,
    stopped: bool,
}

/// What a table is read with.
pub struct Input<'a> {
    /// The mapping.
    pub mapping: &'a Mapping,
    /// Id of the source.
    pub source: &'a str,
    /// Name of the file.
    pub file: &'a str,
    /// Name of the sheet.
    pub sheet: Option<&'a str>,
    /// Limits.
    pub limits: Limits,
    /// Where to start.
    pub place: Place,
    /// Notes made so far.
    pub notes: Vec<String>,
}

impl<'a> Table<'a> {
    /// A table whose pages go to `send`, which breaks to stop.
    pub fn new(input: Input<'a>, send: &'a mut dyn FnMut(Page) -> ControlFlow<()>) -> Self {
        Self {
            mapping: input.mapping,
            source: input.source,
            file: input.file,
            sheet: input.sheet,
            limits: input.limits,
            from: input.place.row,
            skipping: true,
            place: input.place,
            merged: Vec::new(),
            top: Vec::new(),
            reader: None,
            header: None,
            out: Output::default(),
            bytes: 0,
            notes: input.notes,
            progress: Progress::default(),
            send,
            failure: None,
            stopped: false,
        }
    }

    /// Call after the last row: gives out what is left, and the cursor that says so.
    /// `verify` is asked first whether the file is still the one that was looked at.
    pub fn finish(mut self, verify: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        if self.reader.is_none() && self.failure.is_none() && !self.stopped {
            self.begin();
        }
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if self.stopped {
            return Ok(());
        }
        verify()?;
        if let Some(mut reader) = self.reader.take() {
            reader.finish(&mut self.out);
            self.place.row = reader.safe_row();
        }
        self.place.done = true;
        self.flush(u64::MAX)
    }

    fn location(&self, row: u64) -> Location {
        Location {
            file: self.file.to_owned(),
            sheet: self.sheet.map(str::to_owned),
            row,
        }
    }

    /// Finds the header among the top rows and reads those below it.
    fn begin(&mut self) {
        let top = std::mem::take(&mut self.top);
        let rows = top_rows(&top, &self.merged);
        let found = find(self.mapping, &rows);
        let names = match (
            &found,
            rows.iter().find(|r| r.own.iter().any(|n| !n.is_empty())),
        ) {
            (Some(header), _) => header.names.clone(),
            (None, Some(first)) => first.own.clone(),
            (None, None) => Vec::new(),
        };
        let bound = match self.mapping.bind(&names) {
            Ok(bound) => bound,
            Err(mut failure) => {
                failure.message = format!("{}: {}", self.file, failure.message);
                self.failure = Some(failure);
                return;
            }
        };
        let header = found.unwrap_or(Header { row: 0, names });
        self.notes.push(format!("the header is row {}", header.row));
        if !bound.missing().is_empty() {
            let missing = bound.missing().join(", ");
            self.notes.push(format!(
                "columns of the mapping that are not there: {missing}"
            ));
        }
        self.reader = Some(RowReader::new(bound, self.source));
        let below = header.row;
        self.header = Some(header);
        for row in top.into_iter().filter(|r| r.row > below) {
            if self.read(row).is_break() {
                break;
            }
        }
    }

    fn read(&mut self, raw: RawRow) -> ControlFlow<()> {
        let location = self.location(raw.row);
        let Some(reader) = &mut self.reader else {
            return ControlFlow::Break(());
        };
        let names = self.header.as_ref().map_or(&[][..], |h| &h.names);
        let row = Row {
            location,
            cells: raw.cells,
        };
        // More cells than names means that a delimiter stands in a value unquoted: then
        // every value behind it would be read into the wrong column.
        let spilt = row.cells.iter().skip(names.len()).any(|c| !c.is_blank());
        let bad = match raw.bad {
            Some(bad) => Some(bad),
            None if spilt => Some((None, "has more cells than the header".to_owned())),
            None => None,
        };
        if row.location.row <= self.from {
            if bad.is_none() {
                reader.skip(&row)
            } else {
                reader.pass(row.location.row)
            }
            return ControlFlow::Continue(());
        }
        if std::mem::take(&mut self.skipping) {
            reader.skipped();
        }
        let before = self.out.errors.len();
        match bad {
            Some((column, reason)) => {
                let column = column
                    .and_then(|at| names.get(at))
                    .filter(|n| !n.is_empty());
                self.out.errors.push(RowError {
                    location: row.location.clone(),
                    column: column.cloned(),
                    reason,
                    effect: Effect::RowSkipped,
                });
                reader.pass(row.location.row);
            }
            None => {
                self.bytes += row.cells.iter().map(size).sum::<usize>();
                reader.read(&row, &mut self.out);
            }
        }
        self.out.errors.truncate(before + MAX_ROW_ERRORS);
        self.progress.done = self.progress.done.max(row.location.row);
        let found = self.out.records.len() + self.out.leads.len();
        let full = found + MAX_ROW_RECORDS > MAX_PAGE_RECORDS
            || self.out.errors.len() + MAX_ROW_ERRORS > MAX_PAGE_ERRORS
            || self.bytes > self.limits.page_bytes;
        let safe = reader.safe_row();
        if full && safe > self.place.row {
            self.place.row = safe;
            if let Err(failure) = self.flush(safe) {
                self.failure = Some(failure);
                return ControlFlow::Break(());
            }
        }
        if self.stopped {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Sends everything up to the row `safe`: in one page, or, when one transaction had very
    /// many bad lines, in several, of which only the last carries the new cursor.
    fn flush(&mut self, safe: u64) -> Result<(), Failure> {
        let errors = std::mem::take(&mut self.out.errors);
        let (now, later): (Vec<_>, Vec<_>) =
            errors.into_iter().partition(|e| e.location.row <= safe);
        self.out.errors = later;
        self.bytes = 0;
        let mut errors: VecDeque<RowError> = now.into();
        let mut records: VecDeque<_> = std::mem::take(&mut self.out.records).into();
        let mut leads: VecDeque<_> = std::mem::take(&mut self.out.leads).into();
        loop {
            let mut page = Page {
                records: records
                    .drain(..records.len().min(MAX_PAGE_RECORDS))
                    .collect(),
                row_errors: errors.drain(..errors.len().min(MAX_PAGE_ERRORS)).collect(),
                leads: leads.drain(..leads.len().min(MAX_PAGE_RECORDS)).collect(),
                directory: Vec::new(),
                cursor: None,
                progress: self.progress,
                notes: std::mem::take(&mut self.notes),
            };
            let last = records.is_empty() && leads.is_empty() && errors.is_empty();
            if last {
                page.cursor = Some(Cursor::encode(&self.place)?);
            }
            if (self.send)(page).is_break() {
                self.stopped = true;
                return Ok(());
            }
            if last {
                return Ok(());
            }
        }
    }
}

impl Sink for Table<'_> {
    fn merged(&mut self, regions: &[Dimensions]) {
        let top = u32::try_from(self.limits.header_rows).unwrap_or(u32::MAX);
        self.merged = regions
            .iter()
            .filter(|d| d.start.0 < top)
            .copied()
            .collect();
    }

    fn total(&mut self, total: u64) {
        self.progress.total = Some(total);
    }

    fn row(&mut self, row: RawRow) -> ControlFlow<()> {
        if self.reader.is_some() {
            return self.read(row);
        }
        let blank = row.bad.is_none() && row.cells.iter().all(Cell::is_blank);
        if !blank {
            self.top.push(row);
        }
        if self.top.len() >= self.limits.header_rows {
            self.begin();
        }
        if self.failure.is_some() || self.stopped {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// The texts of the first rows, merged headings spread over the columns they cover.
pub fn top_rows(top: &[RawRow], merged: &[Dimensions]) -> Vec<TopRow> {
    let mut rows: Vec<TopRow> = top
        .iter()
        .map(|raw| {
            let own: Vec<String> = raw.cells.iter().map(text_of).collect();
            TopRow {
                row: raw.row,
                spread: own.clone(),
                own,
            }
        })
        .collect();
    for region in merged {
        let first = u64::from(region.start.0) + 1;
        let Some(row) = rows.iter_mut().find(|r| r.row == first) else {
            continue;
        };
        let (from, to) = (region.start.1 as usize, (region.end.1 as usize).min(999));
        let Some(text) = row.own.get(from).cloned() else {
            continue;
        };
        if to >= row.spread.len() {
            row.spread.resize(to + 1, String::new());
        }
        for cell in row.spread.iter_mut().take(to + 1).skip(from + 1) {
            if cell.is_empty() {
                cell.clone_from(&text);
            }
        }
    }
    rows
}

const fn size(cell: &Cell) -> usize {
    match cell {
        Cell::Text(text) | Cell::Bad(text) => text.len() + 16,
        _ => 16,
    }
}
