//! Many rows for one insert.

use jinke_types::Failure;
use sqlx::postgres::PgArguments;

use super::Arg;

/// Rows to insert together, kept as one flat list.
///
/// ```
/// use jinke_store::{Rows, args};
/// let mut rows = Rows::new(&["token", "record_no"]);
/// rows.push(args![7_i64, 1_i64]);
/// rows.push(args![8_i64, 1_i64]);
/// assert_eq!(rows.len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Rows {
    pub(super) columns: &'static [&'static str],
    pub(super) cells: Vec<Arg>,
    ragged: bool,
}

impl Rows {
    /// No rows yet, of these columns (at least one).
    pub const fn new(columns: &'static [&'static str]) -> Self {
        Self {
            columns,
            cells: Vec::new(),
            ragged: columns.is_empty(),
        }
    }
    /// Adds a row: one cell per column, in the columns' order. A row of another length is
    /// refused when the rows are inserted.
    pub fn push(&mut self, row: impl IntoIterator<Item = Arg>) {
        let before = self.cells.len();
        self.cells.extend(row);
        self.ragged |= self.cells.len() - before != self.columns.len();
    }
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.cells
            .len()
            .checked_div(self.columns.len())
            .unwrap_or(0)
    }
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.ragged {
            return Err(Failure::internal(
                "a row has not as many cells as there are columns",
            ));
        }
        self.cells.iter().try_for_each(Arg::check)
    }
}

/// One column of a batch in the shape PostgreSQL takes: an array with NULLs.
pub(super) enum Column {
    I64(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Column {
    pub(super) fn like(cell: &Arg, capacity: usize) -> Result<Self, Failure> {
        Ok(match cell {
            Arg::I64(_) | Arg::NoI64 => Self::I64(Vec::with_capacity(capacity)),
            Arg::Text(_) | Arg::NoText => Self::Text(Vec::with_capacity(capacity)),
            Arg::Bytes(_) | Arg::NoBytes => Self::Bytes(Vec::with_capacity(capacity)),
            Arg::I64s(_) | Arg::Texts(_) => {
                return Err(Failure::internal("a list cannot be a cell of a row"));
            }
        })
    }

    pub(super) fn push(&mut self, cell: Arg) -> Result<(), Failure> {
        match (self, cell) {
            (Self::I64(c), Arg::I64(v)) => c.push(Some(v)),
            (Self::I64(c), Arg::NoI64) => c.push(None),
            (Self::Text(c), Arg::Text(v)) => c.push(Some(v)),
            (Self::Text(c), Arg::NoText) => c.push(None),
            (Self::Bytes(c), Arg::Bytes(v)) => c.push(Some(v)),
            (Self::Bytes(c), Arg::NoBytes) => c.push(None),
            _ => return Err(Failure::internal("the cells of a column differ in type")),
        }
        Ok(())
    }

    pub(super) const fn array_type(&self) -> &'static str {
        match self {
            Self::I64(_) => "int8[]",
            Self::Text(_) => "text[]",
            Self::Bytes(_) => "bytea[]",
        }
    }

    pub(super) fn bind(self, to: &mut PgArguments) -> Result<(), Failure> {
        use sqlx::Arguments as _;
        match self {
            Self::I64(c) => to.add(c),
            Self::Text(c) => to.add(c),
            Self::Bytes(c) => to.add(c),
        }
        .map_err(Failure::internal)
    }
}
