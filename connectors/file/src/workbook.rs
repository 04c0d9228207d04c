//! Reading the sheets of an XLSX workbook row by row.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    ops::ControlFlow,
    path::Path,
};

use calamine::{DataRef, Dimensions, Reader, SheetType, SheetVisible, Xlsx, XlsxError};
use jinke_sdk::Cell;
use jinke_types::Failure;

use crate::{
    error::{io, too_large, unreadable},
    guard,
    limits::Limits,
    raw::{RawRow, Sink},
};

/// An opened workbook that the guard let pass.
pub struct Workbook {
    name: String,
    inner: Xlsx<BufReader<File>>,
    limits: Limits,
}

/// The first bytes of a ZIP archive, which an XLSX file is.
pub const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// The first bytes of an OLE file: an old XLS file, or an encrypted workbook.
pub const OLE_MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Why an OLE file cannot be read.
pub fn ole_failure(file: &str, path: &Path) -> Failure {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|f| f.take(1 << 20).read_to_end(&mut head));
    let wide: Vec<u8> = "EncryptedPackage"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    if read.is_ok() && head.windows(wide.len()).any(|w| w == wide) {
        return unreadable(file, "is encrypted; save it without a password");
    }
    unreadable(
        file,
        "is an old XLS or other Office file; save it as XLSX or CSV",
    )
}

impl Workbook {
    /// Opens `path` after the guard has looked through it.
    pub fn open(file: &str, path: &Path, limits: Limits) -> Result<Self, Failure> {
        let handle = File::open(path).map_err(|e| io(file, &e))?;
        guard::check(file, BufReader::new(&handle), &limits)?;
        let mut input = BufReader::new(handle);
        input.seek(SeekFrom::Start(0)).map_err(|e| io(file, &e))?;
        let inner = Xlsx::new(input).map_err(|e| xlsx_failure(file, &e))?;
        if inner.sheets_metadata().len() > limits.sheets {
            return Err(too_large(
                file,
                format!("has over {} sheets", limits.sheets),
            ));
        }
        Ok(Self {
            name: file.to_owned(),
            inner,
            limits,
        })
    }

    /// The name of the sheet to read: `wanted`, or else the first visible one; and notes on
    /// sheets that are passed over because they are hidden.
    pub fn sheet(&self, wanted: Option<&str>) -> Result<(String, Vec<String>), Failure> {
        let sheets = self.inner.sheets_metadata().iter();
        let sheets: Vec<_> = sheets.filter(|s| s.typ == SheetType::WorkSheet).collect();
        let visible = |s: &&&calamine::Sheet| s.visible == SheetVisible::Visible;
        let mut notes = Vec::new();
        for hidden in sheets.iter().filter(|s| !visible(s)) {
            notes.push(format!("the hidden sheet {} is passed over", hidden.name));
        }
        let same = |s: &&&calamine::Sheet| wanted.is_none_or(|w| s.name.trim() == w.trim());
        if let Some(sheet) = sheets.iter().filter(visible).find(same) {
            return Ok((sheet.name.clone(), notes));
        }
        Err(match wanted {
            Some(wanted) if sheets.iter().any(|s| same(&s)) => {
                unreadable(&self.name, format!("the sheet {wanted} is hidden"))
            }
            Some(wanted) => unreadable(&self.name, format!("has no sheet {wanted}")),
            None => unreadable(&self.name, "has no visible sheet"),
        })
    }

    /// Passes the rows of a sheet that hold anything to `sink`, in their order. A cell of a
    /// merged region takes the value of its first cell, downwards only: a value merged over
    /// several columns belongs to the first.
    pub fn rows(&mut self, sheet: &str, sink: &mut dyn Sink) -> Result<(), Failure> {
        let file = self.name.clone();
        let fail = |e: XlsxError| xlsx_failure(&file, &e);
        let mut merged = match self.inner.worksheet_merge_cells(sheet) {
            Some(regions) => regions.map_err(fail)?,
            None => Vec::new(),
        };
        // The guard has counted them; this is for a region that covers the whole sheet.
        merged.truncate(usize::try_from(self.limits.merged_regions).unwrap_or(usize::MAX));
        merged.sort_by_key(|d| (d.start, d.end));
        sink.merged(&merged);
        let mut fill = Fill {
            regions: merged,
            next: 0,
            active: BTreeMap::new(),
        };
        let mut reader = self.inner.worksheet_cells_reader(sheet).map_err(fail)?;
        // The sheet itself says how far it goes; it may lie, so it is only for progress.
        sink.total(u64::from(reader.dimensions().end.0) + 1);
        let mut count = 0_u64;
        let mut open: Option<(u32, BTreeMap<u32, Cell>, Option<&'static str>)> = None;
        loop {
            let cell = reader.next_cell().map_err(fail)?;
            let Some(cell) = cell else { break };
            let (row, column) = cell.get_position();
            count += 1;
            if count > self.limits.sheet_cells {
                let most = self.limits.sheet_cells;
                return Err(too_large(&file, format!("a sheet has over {most} cells")));
            }
            match &open {
                Some((at, ..)) if row < *at => {
                    return Err(unreadable(&file, "the rows of a sheet are not in order"));
                }
                Some((at, ..)) if row > *at => {
                    if let Some((at, cells, bad)) = open.take()
                        && sink
                            .row(fill.row(at, cells, bad, self.limits.columns))
                            .is_break()
                    {
                        return Ok(());
                    }
                }
                _ => {}
            }
            let (_, cells, bad) = open.get_or_insert_with(|| (row, BTreeMap::new(), None));
            if column as usize >= self.limits.columns {
                if !matches!(cell.get_value(), DataRef::Empty) {
                    *bad = Some("the row has more cells than the limit");
                }
                continue;
            }
            match convert(cell.get_value()) {
                Cell::Empty => {}
                Cell::Text(text) if text.len() > self.limits.cell_bytes => {
                    *bad = Some("a cell is longer than the limit");
                }
                Cell::Text(text) if text.contains('\0') => *bad = Some("a cell holds a NUL"),
                cell => {
                    cells.insert(column, cell);
                }
            }
        }
        if let Some((at, cells, bad)) = open {
            let _: ControlFlow<()> = sink.row(fill.row(at, cells, bad, self.limits.columns));
        }
        Ok(())
    }
}

/// Merged regions, and the values of those that reach the present row, one per column.
struct Fill {
    regions: Vec<Dimensions>,
    next: usize,
    active: BTreeMap<u32, (u32, Cell)>,
}

impl Fill {
    fn row(
        &mut self,
        row: u32,
        mut cells: BTreeMap<u32, Cell>,
        bad: Option<&'static str>,
        columns: usize,
    ) -> RawRow {
        self.active.retain(|_, (end, _)| *end >= row);
        while let Some(region) = self.regions.get(self.next) {
            if region.start.0 > row {
                break;
            }
            let first = cells.get(&region.start.1).filter(|_| region.start.0 == row);
            if let Some(first) = first
                && region.end.0 > row
            {
                self.active
                    .insert(region.start.1, (region.end.0, first.clone()));
            }
            self.next += 1;
        }
        // A row that is blank but for filled cells stays blank.
        if !cells.is_empty() {
            for (column, (_, cell)) in &self.active {
                cells.entry(*column).or_insert_with(|| cell.clone());
            }
        }
        let width = cells
            .keys()
            .next_back()
            .map_or(0, |last| *last as usize + 1)
            .min(columns);
        let mut list = vec![Cell::Empty; width];
        for (column, cell) in cells {
            if let Some(slot) = list.get_mut(column as usize) {
                *slot = cell;
            }
        }
        let bad = bad.map(|why| (None, why.to_owned()));
        RawRow {
            row: u64::from(row) + 1,
            cells: list,
            bad,
        }
    }
}

fn convert(value: &DataRef<'_>) -> Cell {
    match value {
        DataRef::Empty => Cell::Empty,
        DataRef::Int(number) => Cell::Decimal((*number).into()),
        DataRef::Float(number) => Cell::Number(*number),
        DataRef::String(text) => text_cell(text),
        DataRef::SharedString(text) => text_cell(text),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text_cell(text),
        DataRef::Bool(yes) => Cell::Bool(*yes),
        DataRef::DateTime(at) => match at.as_datetime() {
            Some(moment) if at.is_datetime() => Cell::Moment(moment),
            _ => Cell::Number(at.as_f64()),
        },
        DataRef::Error(error) => Cell::Bad(format!("holds the error {error}")),
    }
}

fn text_cell(text: &str) -> Cell {
    if text.is_empty() {
        Cell::Empty
    } else {
        Cell::Text(text.to_owned())
    }
}

/// Messages of the parser may quote the file, so only its class of error is told.
fn xlsx_failure(file: &str, error: &XlsxError) -> Failure {
    match error {
        XlsxError::Password => unreadable(file, "is encrypted; save it without a password"),
        XlsxError::Io(error) => unreadable(file, error.kind()),
        XlsxError::Zip(_) => unreadable(file, "is a damaged or incomplete workbook"),
        XlsxError::Xml(_) | XlsxError::XmlAttr(_) | XlsxError::XmlEof(_) => {
            unreadable(file, "has a damaged part")
        }
        _ => unreadable(file, "is not a workbook as Excel or WPS write it"),
    }
}
