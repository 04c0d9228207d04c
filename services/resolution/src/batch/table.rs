//! A table to be resolved: rows of text in memory, piece by piece.

use super::kinds::Semantic;

/// Most columns of a table that take part.
pub const MAX_COLUMNS: usize = 16;
/// Most characters of a value that are kept; the rest is cut.
pub const MAX_CELL: usize = 4096;
const PIECE: usize = 8192;

/// A column that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the input.
    pub name: String,
    /// What its values mean.
    pub semantic: Semantic,
}

#[derive(Clone, Debug, Default)]
struct Piece {
    text: String,
    ends: Vec<u32>,
}

/// Rows of text. Cells are kept one behind the other in pieces of some thousand rows, so that
/// a row costs its text and four bytes a cell.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Columns that take part, in the order of cells.
    pub columns: Vec<Column>,
    /// Names of sources.
    pub sources: Vec<String>,
    source_of: Vec<u32>,
    pieces: Vec<Piece>,
    width: usize,
}

impl Table {
    /// An empty table.
    pub fn new(columns: Vec<Column>) -> Self {
        Self {
            width: columns.len() + 1,
            columns,
            ..Self::default()
        }
    }

    /// The number of a source, new when it was not there.
    pub fn source(&mut self, name: &str) -> u32 {
        let found = self.sources.iter().rposition(|s| s == name);
        let at = found.unwrap_or_else(|| {
            self.sources.push(name.to_owned());
            self.sources.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// Adds a row: its source, its key there, and one cell per column; missing cells are blank.
    pub fn push<'a>(&mut self, source: u32, key: &'a str, cells: impl Iterator<Item = &'a str>) {
        if self.source_of.len().is_multiple_of(PIECE) {
            if let Some(last) = self.pieces.last_mut() {
                last.text.shrink_to_fit();
            }
            self.pieces.push(Piece::default());
        }
        self.source_of.push(source);
        let Some(piece) = self.pieces.last_mut() else {
            return;
        };
        let mut cells = std::iter::once(key).chain(cells);
        for _ in 0..self.width {
            let cell = cells.next().unwrap_or("").trim();
            let cut = cell
                .char_indices()
                .nth(if cell.len() > MAX_CELL {
                    MAX_CELL
                } else {
                    cell.len()
                })
                .map_or(cell, |(i, _)| &cell[..i]);
            piece.text.push_str(cut);
            piece
                .ends
                .push(u32::try_from(piece.text.len()).unwrap_or(u32::MAX));
        }
    }

    /// Adds the rows of another table with the same columns.
    pub fn append(&mut self, other: &Self) {
        let map: Vec<u32> = other.sources.iter().map(|s| self.source(s)).collect();
        for row in 0..other.len() {
            self.push(
                map[other.source_of[row] as usize],
                other.key(row),
                (0..other.columns.len()).map(|c| other.cell(row, c)),
            );
        }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.source_of.len()
    }
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.source_of.is_empty()
    }
    /// The source of a row, as an index of [`Self::sources`].
    pub fn source_of(&self, row: usize) -> u32 {
        self.source_of[row]
    }
    fn at(&self, row: usize, place: usize) -> &str {
        let piece = &self.pieces[row / PIECE];
        let i = row % PIECE * self.width + place;
        let from = if i == 0 { 0 } else { piece.ends[i - 1] };
        &piece.text[from as usize..piece.ends[i] as usize]
    }
    /// The key of a row within its source.
    pub fn key(&self, row: usize) -> &str {
        self.at(row, 0)
    }
    /// A cell.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        self.at(row, column + 1)
    }

    /// For every row its place when rows are ordered by source name and key: by it ties are
    /// broken and samples drawn, so that the order of input never shows.
    pub fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| self.name(a as usize).cmp(&self.name(b as usize)));
        let mut ranks = vec![0; order.len()];
        for (r, &row) in order.iter().enumerate() {
            ranks[row as usize] = r as u32;
        }
        ranks
    }

    /// The full name of a row: source and key. Rows of one name are told apart by their cells.
    pub fn name(&self, row: usize) -> (&str, &str, impl Ord + '_) {
        (
            self.sources[self.source_of[row] as usize].as_str(),
            self.key(row),
            Cells { table: self, row },
        )
    }
}

struct Cells<'a> {
    table: &'a Table,
    row: usize,
}
impl Cells<'_> {
    fn all(&self) -> impl Iterator<Item = &str> {
        (0..self.table.columns.len()).map(|c| self.table.cell(self.row, c))
    }
}
impl PartialEq for Cells<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.all().eq(other.all())
    }
}
impl Eq for Cells<'_> {}
impl PartialOrd for Cells<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Cells<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.all().cmp(other.all())
    }
}
