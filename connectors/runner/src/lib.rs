//! The connector service: it runs connections to foreign systems and carries what they return to
//! the customer service, leads to the pipeline service; it sends what goes out and receives
//! callbacks. It serves `jinke.connector.v1`.
//!
//! A connector pulls pages of source records and knows neither proto nor service. This crate
//! alone sees both sides:
//!
//! ```text
//! Connector::pull → Page → batches (≤ 500 records, ≤ 4 MiB) → IngestSourceRecords
//!     → cursor, known records, errors and progress saved as one, under the lease's fence
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`registry`] | the kinds of connectors, one line each; which files may be opened |
//! | [`rpc`] | the operations of `ConnectorService` |
//! | [`core`](mod@core) | what all parts share; sealing |
//! | [`work`] | leading connections: runs, sweeps, refused records, events, what goes out |
//! | [`callbacks`] | the HTTP listener that foreign systems call |
//! | [`sinks`] | the built-in sinks `log` and `webhook` |
//! | [`status`] | how far every connector is proven, for `docs/connectors.md` |
//! | [`simulate`] | simulated foreign systems, for `jinke simulate` |
//! | [`schedule`] | intervals and cron lines |
//! | [`domain`], [`store`] | words without SQL and wire format; all SQL |
//! | [`directory`], [`leads`] | where departments and members go, and leads |
//! | [`config`], [`numbers`], [`problem`] | configuration, metrics, failures as they are kept |
//! | [`import`](mod@import), [`resume`], [`files`] | one import of files without a service, for `jinke import` |
//! | [`batch`], [`deliver`], [`ahead`], [`backoff`], [`report`], [`convert`] | delivering, for both |
//!
//! # What is promised
//!
//! - The cursor of a page is saved only after its records are durable, so a crash loses nothing.
//! - A batch that is sent again carries the same request id, and a record that is sent again is
//!   the same version, so nothing is stored twice.
//! - One batch is in flight at a time and two pages are read ahead, so memory stays bounded and
//!   versions of one record arrive in the order of the foreign system.
//! - A row or record that is refused is reported and does not stop the others; a refused record is
//!   sent again and in the end a dead letter.
//! - One replica at a time works at a connection, and one that lost its lease saves nothing.
//! - A sweep that would delete more than it may waits for a person.

pub mod ahead;
pub mod backoff;
pub mod batch;
pub mod callbacks;
pub mod config;
pub mod convert;
pub mod core;
pub mod deliver;
pub mod directory;
pub mod domain;
pub mod files;
pub mod import;
pub mod leads;
pub mod numbers;
pub mod problem;
pub mod registry;
pub mod report;
pub mod resume;
pub mod rpc;
pub mod schedule;
pub mod service;
pub mod simulate;
pub mod sinks;
pub mod status;
pub mod store;
pub mod work;

pub use backoff::Backoff;
pub use deliver::{Door, GrpcDoor};
pub use files::OpenFiles;
pub use import::{Import, ImportError, Progress, SourceSpec, import};
pub use leads::{LeadDoor, PipelineDoor};
pub use report::{Counts, Rejected, Report};
pub use service::Connectors;
