//! A table to be resolved: rows of text in memory, piece by piece.

use std::collections::HashMap;

use super::{kinds::Semantic, parallel};

/// Most columns of a table that take part.
pub const MAX_COLUMNS: usize = 16;
/// Most characters of a value that are kept; the rest is cut.
pub const MAX_CELL: usize = 4096;
const PIECE: usize = 8192;
/// Every so many rows it is noted in which piece they are.
const STEP: usize = 512;

/// At most [`MAX_CELL`] characters of a value.
fn cut(cell: &str) -> &str {
    if cell.len() <= MAX_CELL {
        return cell;
    }
    let end = cell.char_indices().nth(MAX_CELL);
    end.map_or(cell, |(i, _)| &cell[..i])
}

/// A value without the blanks around it; most have none, which one look at each end tells.
fn trimmed(cell: &str) -> &str {
    // ASCII that is seen, and what three bytes write from U+4000 on, where no blanks are.
    let is_seen = |b: u8| matches!(b, b'!'..=b'~');
    let is_late = |b: u8| matches!(b, 0xe4..=0xec);
    match cell.as_bytes() {
        [] => cell,
        [first, .., late, _, last]
            if (is_seen(*first) || is_late(*first)) && (is_seen(*last) || is_late(*late)) =>
        {
            cell
        }
        _ => cell.trim(),
    }
}

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
    /// Its first row, and the one after its last.
    rows: std::ops::Range<usize>,
}

/// Rows of text. Cells are kept one behind the other in pieces of at most some thousand rows, so
/// that a row costs its text and four bytes a cell, and tables are joined without copying.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Columns that take part, in the order of cells.
    pub columns: Vec<Column>,
    /// Names of sources.
    pub sources: Vec<String>,
    /// Their numbers.
    numbers: HashMap<String, u32>,
    source_of: Vec<u32>,
    pieces: Vec<Piece>,
    /// The piece that holds every [`STEP`]th row: a row is in it or in one soon after.
    piece_of: Vec<u32>,
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
        // The list is open to all: what it says counts.
        if let Some(at) = self.numbers.get(name).copied()
            && self.sources.get(at as usize).is_some_and(|s| s == name)
        {
            return at;
        }
        let at = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.push(name.to_owned());
        self.numbers.insert(name.to_owned(), at);
        at
    }

    /// Adds a row: its source, its key there, and one cell per column; missing cells are blank.
    pub fn push<'a>(&mut self, source: u32, key: &'a str, cells: impl Iterator<Item = &'a str>) {
        let row = self.len();
        if self.pieces.last().is_none_or(|p| p.rows.len() >= PIECE) {
            self.shrink();
            self.pieces.push(Piece {
                rows: row..row,
                ..Piece::default()
            });
        }
        self.source_of.push(source);
        self.find_pieces();
        let Some(piece) = self.pieces.last_mut() else {
            return;
        };
        piece.rows.end = row + 1;
        let mut cells = std::iter::once(key).chain(cells);
        for _ in 0..self.width {
            piece
                .text
                .push_str(cut(trimmed(cells.next().unwrap_or(""))));
            piece
                .ends
                .push(u32::try_from(piece.text.len()).unwrap_or(u32::MAX));
        }
    }

    /// Notes the last piece for the steps its rows begin.
    fn find_pieces(&mut self) {
        let last = self.pieces.len().saturating_sub(1) as u32;
        self.piece_of.resize(self.len().div_ceil(STEP), last);
    }

    /// Gives back what the last piece has too much.
    fn shrink(&mut self) {
        if let Some(last) = self.pieces.last_mut() {
            last.text.shrink_to_fit();
            last.ends.shrink_to_fit();
        }
    }

    /// Adds the rows of another table with the same columns.
    ///
    /// # Panics
    /// When it has another number of columns.
    pub fn append(&mut self, other: Self) {
        assert_eq!(self.width, other.width, "tables of other columns");
        let map: Vec<u32> = other.sources.iter().map(|s| self.source(s)).collect();
        let of = other.source_of.iter().map(|s| map[*s as usize]);
        self.shrink();
        let mut from = self.len();
        self.source_of.extend(of);
        for mut piece in other.pieces {
            let to = from + piece.rows.len();
            let at = self.pieces.len() as u32;
            self.piece_of.resize(to.div_ceil(STEP), at);
            piece.rows = from..to;
            self.pieces.push(piece);
            from = to;
        }
        self.shrink();
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
    /// The piece a row is in, and where its first cell is there.
    fn place(&self, row: usize) -> (&Piece, usize) {
        let mut piece = self.piece_of[row / STEP] as usize;
        while self.pieces[piece].rows.end <= row {
            piece += 1;
        }
        let piece = &self.pieces[piece];
        (piece, (row - piece.rows.start) * self.width)
    }
    fn at(&self, row: usize, place: usize) -> &str {
        let (piece, first) = self.place(row);
        let i = first + place;
        let from = if i == 0 { 0 } else { piece.ends[i - 1] };
        &piece.text[from as usize..piece.ends[i] as usize]
    }
    /// All cells of a row, in the order of columns.
    pub fn cells(&self, row: usize) -> impl Iterator<Item = &str> {
        let (piece, first) = self.place(row);
        let ends = &piece.ends[first..first + self.width];
        ends.windows(2)
            .map(|e| &piece.text[e[0] as usize..e[1] as usize])
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
    pub fn ranks(&self, threads: usize) -> Vec<u32> {
        self.ranks_of((0..self.len() as u32).collect(), threads)
    }

    /// The same for these rows alone, each given once; of all others 0.
    pub(super) fn ranks_of(&self, rows: Vec<u32>, threads: usize) -> Vec<u32> {
        let mut names: Vec<&str> = self.sources.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let place = |source: &String| names.binary_search(&source.as_str()).unwrap_or(0) as u32;
        let places: Vec<u32> = self.sources.iter().map(place).collect();
        // Most keys differ early: their texts, which are all over the memory, are looked at once.
        let mut order = parallel::flat(threads, rows.len(), PIECE, |range| {
            let of = |row: &u32| {
                let key = self.key(*row as usize).as_bytes();
                let mut begin = [0; 16];
                let n = key.len().min(16);
                begin[..n].copy_from_slice(&key[..n]);
                let [high, low] = [&begin[..8], &begin[8..]]
                    .map(|half| half.iter().fold(0, |all, b| all << 8 | u64::from(*b)));
                (
                    places[self.source_of(*row as usize) as usize],
                    high,
                    low,
                    *row,
                )
            };
            rows[range].iter().map(of).collect()
        });
        drop(rows);
        parallel::sort_by(threads, &mut order, |x, y| {
            let begins = (x.0, x.1, x.2).cmp(&(y.0, y.1, y.2));
            begins.then_with(|| self.name(x.3 as usize).cmp(&self.name(y.3 as usize)))
        });
        let mut ranks = vec![0; self.len()];
        for (rank, (.., row)) in order.into_iter().enumerate() {
            ranks[row as usize] = rank as u32;
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
        self.table.cells(self.row)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that begin alike, end early or hold a zero byte, and cells that tell equal names apart.
    #[test]
    fn ranks_are_the_places_in_the_order_of_names() {
        let mut table = Table::new(vec![Column {
            name: "name".into(),
            semantic: Semantic::Text,
        }]);
        let keys = [
            "",
            "a",
            "a\0",
            "a\0b",
            "ab",
            "0123456789abcdef",
            "0123456789abcdef0",
            "0123456789abcdef\0",
            "0123456789abcdeg",
            "客户",
            "客户0",
            "z",
        ];
        for (source, cell) in [("erp", "2"), ("crm", "1"), ("erp", "1"), ("a", "1")] {
            let source = table.source(source);
            for key in keys.iter().rev() {
                table.push(source, key, std::iter::once(cell));
            }
        }
        let mut expected: Vec<u32> = (0..table.len() as u32).collect();
        expected.sort_by(|a, b| table.name(*a as usize).cmp(&table.name(*b as usize)));
        for threads in [1, 3] {
            let ranks = table.ranks(threads);
            let places: Vec<u32> = expected.iter().map(|row| ranks[*row as usize]).collect();
            assert!(places.into_iter().eq(0..table.len() as u32));
            // Of some rows: their own order, from 0 on.
            let some: Vec<u32> = (0..table.len() as u32).filter(|row| row % 3 == 0).collect();
            let ranks = table.ranks_of(some.clone(), threads);
            let ordered = expected.iter().filter(|row| some.contains(row));
            assert!(
                ordered
                    .map(|row| ranks[*row as usize])
                    .eq(0..some.len() as u32)
            );
        }
    }
}
