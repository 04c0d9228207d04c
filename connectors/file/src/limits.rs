//! What a file may be at most. Beyond a row or cell limit the row is reported and the rest
//! goes on; beyond a file limit the file is refused before it is unpacked or kept.

/// Limits of one file. The defaults suit exports of millions of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one cell; a row with a longer one is reported.
    pub cell_bytes: usize,
    /// Bytes of one CSV record with all its lines; a longer one is reported. A quote that is
    /// not closed within so many bytes costs the line it stands in, not those behind it.
    pub record_bytes: usize,
    /// Cells of one row; a row with more is reported.
    pub columns: usize,
    /// A page is cut when its rows held so many bytes.
    pub page_bytes: usize,
    /// The header is looked for in so many rows from the top.
    pub header_rows: usize,
    /// Sheets of a workbook.
    pub sheets: usize,
    /// Non-empty cells of one sheet.
    pub sheet_cells: u64,
    /// Merged regions of one sheet, and of all sheets together.
    pub merged_regions: u64,
    /// Different texts of a workbook (its shared strings).
    pub shared_strings: u64,
    /// Parts in a workbook's archive.
    pub parts: usize,
    /// Bytes of all parts together when unpacked, declared as well as counted.
    pub unpacked_bytes: u64,
    /// Bytes of the shared strings when unpacked: they are kept in memory.
    pub shared_bytes: u64,
    /// Bytes of any other part when unpacked, except sheets, media and drawings.
    pub part_bytes: u64,
    /// Bytes of one element or text in a part: the longest thing kept at once.
    pub token_bytes: u64,
    /// How many times larger than packed a part of over 16 MiB may be.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cell_bytes: 65_536,
            record_bytes: 1 << 20,
            columns: 1_000,
            page_bytes: 4 << 20,
            header_rows: 50,
            sheets: 200,
            sheet_cells: 20_000_000,
            merged_regions: 100_000,
            shared_strings: 4_000_000,
            parts: 5_000,
            unpacked_bytes: 1 << 30,
            shared_bytes: 256 << 20,
            part_bytes: 16 << 20,
            token_bytes: 1 << 20,
            ratio: 250,
        }
    }
}
