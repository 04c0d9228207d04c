//! Carries what connectors return to the customer service.
//!
//! A connector pulls pages of source records and knows neither proto nor service. This crate
//! alone sees both sides:
//!
//! ```text
//! Connector::pull → Page → batches (≤ 500 records, ≤ 4 MiB) → IngestSourceRecords → cursor saved
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`import`](mod@import) | one import from start to end: source, streams, pages, report |
//! | [`batch`] | how records become requests that a retry cannot double |
//! | [`deliver`] | sending one batch: retry, deadlines, results record by record |
//! | [`backoff`] | how long to wait before a retry |
//! | [`resume`] | the cursor file, which lets an import go on after a crash |
//! | [`report`] | counts, bounded lists of errors, and the error report as CSV |
//! | [`files`] | opening files with the file connector, guessing a mapping, digests |
//! | [`convert`] | `jinke_types` → proto; the only place besides [`deliver`] that names messages |
//!
//! # What is promised
//!
//! - The cursor of a page is saved only after its records are durable, so a crash loses nothing.
//! - A batch that is sent again carries the same request id, and a record that is sent again is
//!   the same version, so nothing is stored twice.
//! - One batch is in flight at a time and two pages are read ahead, so memory stays bounded and
//!   versions of one record arrive in the order of the file.
//! - A row or record that is refused is reported and does not stop the others.

pub mod backoff;
pub mod batch;
pub mod convert;
pub mod deliver;
pub mod files;
pub mod import;
pub mod report;
pub mod resume;

pub use backoff::Backoff;
pub use deliver::{Door, GrpcDoor};
pub use files::OpenFiles;
pub use import::{Import, ImportError, Progress, SourceSpec, import};
pub use report::{Counts, Rejected, Report};
