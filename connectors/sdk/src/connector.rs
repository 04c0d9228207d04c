//! The connector trait and the words around it: spec, stream, page, cursor, row error.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt as _};
use jinke_types::{Code, Failure, SourceRecord};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    callback::{Callback, Listener},
    directory::DirectoryEntry,
    lead::Lead,
    outbound::Outbound,
    spec::{Settings, Spec},
    sweep::{KnownRecords, SweepLimit},
};

/// At most this many records, and as many leads, are in one [`Page`], so that a page fits one ingest
/// batch.
pub const MAX_PAGE_RECORDS: usize = 500;
/// At most this many row errors are in one [`Page`].
pub const MAX_PAGE_ERRORS: usize = 500;
/// At most this many bytes are in a [`Cursor`].
pub const MAX_CURSOR_BYTES: usize = 4_096;

/// One foreign system, configured. `lib.rs` tells how to write one.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// What the connector is and which keys its configuration takes. It needs no network.
    fn spec() -> Spec
    where
        Self: Sized;

    /// Makes a connector from settings that [`Spec::read`] accepted. Does no I/O beyond
    /// reading local files named in the settings.
    fn open(settings: &Settings) -> Result<Self, Failure>
    where
        Self: Sized;

    /// Whether the foreign system can be reached with these settings; reads as little as
    /// possible and changes nothing there.
    async fn check(&self) -> Result<(), Failure>;

    /// The streams that can be pulled, in the order they should be pulled in: parties first.
    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure>;

    /// Pulls `stream` from `cursor` on, or from the start without one. The stream of pages
    /// ends when there is nothing more now. An `Err` is the last item. Every page's cursor
    /// may be passed to a later call: pages after it are then pulled, none is lost.
    async fn pull(
        &self,
        stream: &str,
        cursor: Option<Cursor>,
    ) -> BoxStream<'static, Result<Page, PullError>>;

    /// Compares the ids the foreign system has now with those that `known` has, and yields a
    /// deletion for each that is gone; see [`crate::sweep`]. A connector of a system that tells
    /// its deletions, or has no ids to list, keeps this default, which is
    /// `SWEEP_NOT_OFFERED`.
    async fn sweep(
        &self,
        stream: &str,
        known: Arc<dyn KnownRecords>,
        limit: SweepLimit,
    ) -> BoxStream<'static, Result<Page, PullError>> {
        let _ = (stream, known, limit);
        let failure = Failure::new(
            Code::Unimplemented,
            "SWEEP_NOT_OFFERED",
            "this connector cannot look for deleted records",
        );
        let error = PullError::new(PullErrorKind::Unreadable, failure);
        futures::stream::iter([Err(error)]).boxed()
    }

    /// The first rows of `stream` as they would be read; at most `rows` records and as many row
    /// errors, or a little more. `mapping` is one to try instead of the connection's own, which
    /// only connectors can whose rows are read by a mapping; the others answer
    /// `MAPPING_NOT_OFFERED`.
    async fn preview(
        &self,
        stream: &str,
        mapping: Option<crate::Mapping>,
        rows: usize,
    ) -> Result<Page, Failure> {
        if mapping.is_some() {
            return Err(Failure::new(
                Code::FailedPrecondition,
                "MAPPING_NOT_OFFERED",
                "this connector reads its rows by itself, without a mapping",
            ));
        }
        let mut pages = self.pull(stream, None).await;
        let mut shown = Page::default();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| e.failure)?;
            shown.records.extend(page.records);
            shown.directory.extend(page.directory);
            shown.leads.extend(page.leads);
            shown.row_errors.extend(page.row_errors);
            shown.notes.extend(page.notes);
            let found = shown.records.len() + shown.directory.len() + shown.leads.len();
            if found + shown.row_errors.len() >= rows {
                break;
            }
        }
        shown.records.truncate(rows);
        shown.directory.truncate(rows);
        shown.leads.truncate(rows);
        shown.row_errors.truncate(rows);
        Ok(shown)
    }

    /// The sending side, when it has one: messages to people, records written there.
    fn outbound(&self) -> Option<&dyn Outbound> {
        None
    }

    /// The side that the foreign system calls, when it does.
    fn callback(&self) -> Option<&dyn Callback> {
        None
    }

    /// The side that listens on a channel of its own making, when it has one.
    fn listener(&self) -> Option<&dyn Listener> {
        None
    }
}

/// One list a connector can pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSchema {
    /// Id of the stream within the connection, e.g. `orders.csv` or `finance.xlsx#客户`.
    pub stream: String,
    /// What a row is, in the words of the mapping file: `organization`, `order`, ….
    pub kind: String,
    /// The foreign columns, in their order.
    pub columns: Vec<Column>,
    /// What was decided about the stream, for people: encoding, header row, skipped sheets.
    pub notes: Vec<String>,
}

/// One foreign column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name as the foreign system writes it.
    pub name: String,
    /// Whether the mapping reads it.
    pub mapped: bool,
}

/// Where a pull stands. Opaque to everybody but the connector that made it; at most
/// [`MAX_CURSOR_BYTES`]; holds no personal data.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

impl Cursor {
    /// A cursor holding `state` as JSON. Fails when it is over [`MAX_CURSOR_BYTES`].
    pub fn encode(state: &impl Serialize) -> Result<Self, Failure> {
        let text = serde_json::to_string(state).map_err(Failure::internal)?;
        if text.len() > MAX_CURSOR_BYTES {
            return Err(Failure::internal("a cursor is over its size limit"));
        }
        Ok(Self(text))
    }

    /// Reads back what [`Self::encode`] wrote; `CURSOR_UNKNOWN` when it is of another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PullError> {
        if self.0.len() <= MAX_CURSOR_BYTES
            && let Ok(state) = serde_json::from_str(&self.0)
        {
            return Ok(state);
        }
        Err(Self::unknown())
    }

    /// `CURSOR_UNKNOWN`: the cursor is not one of this stream.
    pub fn unknown() -> PullError {
        PullError::new(
            PullErrorKind::CursorUnknown,
            Failure::new(
                Code::InvalidArgument,
                "CURSOR_UNKNOWN",
                "this connector did not make the cursor; reset it to pull from the start",
            ),
        )
    }
}

/// Some records of a stream, what could not be read, and where the pull then stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// At most [`MAX_PAGE_RECORDS`] records, in the order of the foreign system.
    pub records: Vec<SourceRecord>,
    /// At most [`crate::directory::MAX_PAGE_ENTRIES`] departments and members, of a stream of the
    /// kind [`crate::directory::DIRECTORY`] only.
    pub directory: Vec<DirectoryEntry>,
    /// At most [`MAX_PAGE_RECORDS`] leads, of a stream of the kind [`crate::lead::LEAD`] only.
    pub leads: Vec<Lead>,
    /// At most [`MAX_PAGE_ERRORS`] rows or values that could not be read. The rest goes on.
    pub row_errors: Vec<RowError>,
    /// Save this after the records are durable; a pull from it goes on behind this page.
    pub cursor: Option<Cursor>,
    /// How far the pull is.
    pub progress: Progress,
    /// Decisions and oddities for people, without personal values; mostly in the first page.
    pub notes: Vec<String>,
}

/// How far a pull is, in units that only have to be comparable within one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Units done, counted from the start of the stream, also after a resume.
    pub done: u64,
    /// Units in all, when known; may be an estimate.
    pub total: Option<u64>,
}

/// Where in the foreign system something was found, as a person would look for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Location {
    /// Name of the file, or of the list in a system without files.
    pub file: String,
    /// Name of the sheet, in a workbook.
    pub sheet: Option<String>,
    /// The row number as a spreadsheet shows it: the first row is 1, header rows count.
    pub row: u64,
}

/// What became of a row or value that has a [`RowError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The record of the row is left out.
    RowSkipped,
    /// The record was read without this value.
    ValueLeftOut,
}

/// A row or value that could not be read. Holds no value of the row, because values may be
/// personal and errors are shown and logged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowError {
    /// Where.
    pub location: Location,
    /// Name of the column, when one is to blame.
    pub column: Option<String>,
    /// Why, lower-case, without a full stop.
    pub reason: String,
    /// What became of it.
    pub effect: Effect,
}

/// What a caller can do about a failed pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullErrorKind {
    /// The foreign data or the settings are wrong; pulling again unchanged will not help.
    Unreadable,
    /// The foreign system does not let us in; somebody has to renew the credentials.
    Unauthorized,
    /// It may work later; try again with backoff.
    Unavailable,
    /// The cursor is not one of this stream; reset it.
    CursorUnknown,
    /// What was there moved away under the pull, e.g. a file was rewritten; start again.
    Changed,
}

/// Why a pull stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct PullError {
    /// What can be done about it.
    pub kind: PullErrorKind,
    /// What happened.
    pub failure: Failure,
}

impl PullError {
    /// A pull error of a kind.
    pub const fn new(kind: PullErrorKind, failure: Failure) -> Self {
        Self { kind, failure }
    }

    /// The connection has no stream of that name: `STREAM_UNKNOWN`.
    pub fn unknown_stream() -> Self {
        let failure = Failure::new(
            Code::NotFound,
            "STREAM_UNKNOWN",
            "the connection has no such stream",
        );
        Self::new(PullErrorKind::Unreadable, failure)
    }
}
