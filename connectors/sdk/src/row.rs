//! A foreign row before the mapping reads it.

use chrono::NaiveDateTime;
use rust_decimal::Decimal;

use crate::connector::Location;

/// One cell of a foreign row.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell {
    /// Nothing there.
    #[default]
    Empty,
    /// Text as received.
    Text(String),
    /// A number of a spreadsheet, of which 15 significant digits mean anything.
    Number(f64),
    /// An exact number.
    Decimal(Decimal),
    /// A date or time without a zone; the mapping's `utc_offset` gives the zone.
    Moment(NaiveDateTime),
    /// Yes or no.
    Bool(bool),
    /// Something that could not be read, and why, lower-case, without the value.
    Bad(String),
}

/// One foreign row: where it is and its cells in the order of the headers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Where the row is.
    pub location: Location,
    /// The cells; missing ones at the end count as empty.
    pub cells: Vec<Cell>,
}

impl Cell {
    /// Whether there is nothing in it, or only white space.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.chars().all(crate::parse::is_space),
            _ => false,
        }
    }
}

impl Row {
    /// A row of texts, for previews and tests.
    pub fn of_texts<'a>(file: &str, row: u64, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let location = Location {
            file: file.to_owned(),
            sheet: None,
            row,
        };
        Self {
            location,
            cells: texts
                .into_iter()
                .map(|t| Cell::Text(t.to_owned()))
                .collect(),
        }
    }

    /// The cell at `index`; empty when the row is shorter.
    pub fn cell(&self, index: usize) -> &Cell {
        static EMPTY: Cell = Cell::Empty;
        self.cells.get(index).unwrap_or(&EMPTY)
    }

    /// Whether every cell is blank.
    pub fn is_blank(&self) -> bool {
        self.cells.iter().all(Cell::is_blank)
    }
}
