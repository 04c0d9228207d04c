//! Rows before the header is known, the same for text files and workbooks.

use std::ops::ControlFlow;

use calamine::Dimensions;
use jinke_sdk::Cell;

/// One row of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawRow {
    /// The row number as a spreadsheet shows it.
    pub row: u64,
    /// The cells.
    pub cells: Vec<Cell>,
    /// Why the row cannot be read, and the index of the column to blame.
    pub bad: Option<(Option<usize>, String)>,
}

/// Takes the rows of a file.
pub trait Sink {
    /// The merged regions, before the first row.
    fn merged(&mut self, regions: &[Dimensions]);
    /// How many units of [`Self::done`], or else rows, there are, as far as is known.
    fn total(&mut self, total: u64);
    /// One row. Break to stop reading.
    fn row(&mut self, row: RawRow) -> ControlFlow<()>;
}
