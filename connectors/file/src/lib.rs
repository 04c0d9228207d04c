//! CSV and XLSX files as a connector.
//!
//! What a file is, is found out and reported, never assumed from its name: workbook or
//! text, encoding, delimiter, header row. What cannot be read of it is reported row by row
//! with the number a person sees, and the rest goes on. Limits are those of [`Limits`].
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | the settings of a connection |
//! | [`encoding`] | finds the encoding in one pass over the whole file |
//! | [`delimited`] | parts text into rows, as bytes, with bounded memory |
//! | [`guard`] | looks through a workbook's archive before anything of it is kept |
//! | [`workbook`], [`text`] | read rows of a sheet, of a text file |
//! | [`header`] | finds the row with the column names |
//! | [`table`] | from rows to pages with a cursor |
//! | [`pull`] | the connector |
//!
//! **Importing again changes nothing**: external ids come from the rows, and a file without
//! revision or update-time column gives versions that are told apart by their content, so
//! the same row is the same version. The cursor holds the content's hash: an unchanged file
//! under an unchanged mapping is not read at all.

pub mod config;
pub mod delimited;
pub mod encoding;
mod error;
pub mod guard;
mod head;
pub mod header;
pub mod limits;
pub mod pull;
pub mod raw;
pub mod table;
pub mod text;
pub mod workbook;

pub use config::{FileConfig, FileInput, mapping_file};
pub use limits::Limits;
pub use pull::{FileConnector, guess_file};
