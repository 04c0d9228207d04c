//! The first rows of a file: where the header is found, and what a preview shows.

use std::{fs::File, ops::ControlFlow};

use jinke_sdk::{Cell, Column, Mapping, Row, StreamSchema};
use jinke_types::Failure;

use crate::{
    config::FileInput,
    error::io,
    header,
    limits::Limits,
    pull::{Format, delimiter_note, format_of, scan_text},
    raw::{RawRow, Sink},
    table::top_rows,
    text::TextFile,
    workbook::Workbook,
};

/// The first rows of a file.
pub(crate) struct Head {
    pub(crate) rows: Vec<RawRow>,
    pub(crate) merged: Vec<calamine::Dimensions>,
    most: usize,
    notes: Vec<String>,
    sheet: Option<String>,
}

impl Head {
    /// Reads the rows a header is looked for in and `more`.
    pub(crate) fn read(
        input: &FileInput,
        limits: Limits,
        mapping: Option<&Mapping>,
        more: usize,
    ) -> Result<Self, Failure> {
        let file = input.name();
        let most = limits.header_rows + more;
        let mut head = Self {
            rows: Vec::new(),
            merged: Vec::new(),
            most,
            notes: Vec::new(),
            sheet: None,
        };
        match format_of(input)? {
            Format::Text => {
                let text = File::open(&input.path).map_err(|e| io(&file, &e))?;
                let scan = scan_text(&file, text, input.encoding)?;
                let text = TextFile {
                    file: &file,
                    path: &input.path,
                    scan: &scan,
                    limits,
                };
                let delimiter = match input.delimiter {
                    Some(delimiter) => delimiter,
                    None => text.delimiter(mapping)?,
                };
                head.notes = vec![scan.decision.note(), delimiter_note(delimiter)];
                text.rows(delimiter, &mut head)?;
            }
            Format::Workbook => {
                let mut workbook = Workbook::open(&file, &input.path, limits)?;
                let (sheet, notes) = workbook.sheet(input.mapping.sheet.as_deref())?;
                head.notes = notes;
                workbook.rows(&sheet, &mut head)?;
                head.sheet = Some(sheet);
            }
        }
        Ok(head)
    }

    /// The rows below the header.
    pub(crate) fn below(self, file: &str, header: u64) -> impl Iterator<Item = Row> {
        let (file, sheet) = (file.to_owned(), self.sheet);
        let rows = self
            .rows
            .into_iter()
            .filter(move |r| r.row > header && r.bad.is_none());
        rows.map(move |raw| Row {
            location: jinke_sdk::Location {
                file: file.clone(),
                sheet: sheet.clone(),
                row: raw.row,
            },
            cells: raw.cells,
        })
    }
}

impl Sink for Head {
    fn merged(&mut self, regions: &[calamine::Dimensions]) {
        self.merged = regions
            .iter()
            .filter(|d| (d.start.0 as usize) < self.most)
            .copied()
            .collect();
    }
    fn total(&mut self, _total: u64) {}
    fn row(&mut self, row: RawRow) -> ControlFlow<()> {
        if row.bad.is_some() || !row.cells.iter().all(Cell::is_blank) {
            self.rows.push(row);
        }
        if self.rows.len() < self.most {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

/// What a stream is read as.
pub(crate) fn schema(input: &FileInput, limits: Limits) -> Result<StreamSchema, Failure> {
    let head = Head::read(input, limits, Some(&input.mapping), 0)?;
    let top = top_rows(&head.rows, &head.merged);
    let mut notes = head.notes;
    let columns = match header::find(&input.mapping, &top) {
        Some(header) => {
            notes.push(format!("the header is row {}", header.row));
            let bound = input.mapping.bind(&header.names)?;
            if !bound.missing().is_empty() {
                let missing = bound.missing().join(", ");
                notes.push(format!(
                    "columns of the mapping that are not there: {missing}"
                ));
            }
            bound
                .columns()
                .into_iter()
                .filter(|c| !c.name.is_empty())
                .collect()
        }
        None => {
            notes.push("no row holds the required columns of the mapping".to_owned());
            Vec::<Column>::new()
        }
    };
    let kind = input.mapping.kind.as_str().to_owned();
    Ok(StreamSchema {
        stream: input.stream(),
        kind,
        columns,
        notes,
    })
}
