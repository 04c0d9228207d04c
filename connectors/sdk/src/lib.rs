//! What a connector is, and what all connectors share.
//!
//! A connector turns the records of one foreign system into source records
//! ([`jinke_types::SourceRecord`]). It returns them; the runner delivers them. It sees no
//! service, no database and no wire format of ours: a connector imports this crate and
//! `jinke-types`, and nothing else of the workspace.
//!
//! ```text
//! foreign row ─Row─▶ RowReader (by a Mapping) ─Output─▶ Page {records, leads, row errors, cursor}
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`connector`] | the trait [`Connector`], [`Page`], [`Cursor`], [`RowError`], [`PullError`] |
//! | [`outbound`] | sending messages and writing records: [`Outbound`] |
//! | [`callback`] | a foreign system that calls us: [`Callback`] |
//! | [`directory`] | departments and members |
//! | [`lead`] | leads: who may become a customer |
//! | [`spec`] | the configuration keys of a connector, and reading settings by them |
//! | [`row`] | a foreign row before the mapping reads it |
//! | [`mapping`] | the mapping as data, its guess and preview, reading rows by it |
//! | [`parse`] | dates, amounts, numbers and truth as people write them |
//! | [`envelope`] | the encrypted callbacks of WeCom and DingTalk |
//! | [`http`] | calling a foreign system: authentication, retries, rate budget |
//! | [`paging`] | offset and link pages |
//! | [`walk`] | a pull as a stream of pages |
//! | [`incremental`] | a cursor over times of change that neither loses nor repeats rows |
//! | [`sweep`] | finding deletions by comparing all ids |
//! | [`drift`] | columns that are missing, new or of another type |
//! | [`testing`] | a fake server with scripted faults, and helpers for tests |
//! | [`conformance`] | the cases every connector passes |
//!
//! # How to add a connector
//!
//! 1. A crate `connectors/<system>` with one type that implements [`Connector`]. `spec`
//!    documents every configuration key; settings reach `open` already checked against it.
//! 2. `discover` names the streams, parties before what names them.
//! 3. `pull` fetches the foreign rows in an order that a cursor can resume, makes a [`Row`]
//!    of each, gives it to a [`RowReader`], and sends a [`Page`] whenever there are enough
//!    records: at most [`MAX_PAGE_RECORDS`]. A page's cursor is at or before
//!    [`RowReader::safe_row`]: rows of a transaction whose lines are still coming are not
//!    behind it.
//! 4. A row that cannot be read is a [`RowError`] and the pull goes on; only what no later
//!    row can mend is a [`PullError`], with the kind that says what can be done.
//! 5. Tests as in `connectors/file/tests`: exact row errors, resuming behind every page
//!    equals one pull, arbitrary input never panics.
//!
//! What every connector keeps:
//!
//! - **The external id is for ever and in the clear.** It is the foreign system's own id,
//!   never a person's name, phone, email or identity number; [`Mapping`] refuses those.
//! - **Pulling again changes nothing.** The same foreign row yields the same record, byte
//!   for byte: nothing of the clock, the page or the order may enter it.
//! - **Errors hold no values.** [`RowError`], notes and failures are logged and passed on;
//!   they name the place and the column, never what stands there.
//! - **Everything from outside is bounded**, and each limit is a documented constant.
//! - **Guessing is refused where a wrong guess is silent**: `01/05/2024` without a
//!   `date_order`, `3.5万` without `wan`, an id in scientific notation that lost digits.
//!
//! `docs/adding-a-connector.md` is the longer walk.

pub mod callback;
pub mod conformance;
pub mod connector;
pub mod directory;
pub mod drift;
pub mod envelope;
pub mod http;
pub mod incremental;
pub mod lead;
pub mod mapping;
pub mod outbound;
pub mod paging;
pub mod parse;
pub mod row;
pub mod spec;
pub mod sweep;
pub mod testing;
pub mod walk;

pub use callback::{
    Callback, CallbackAnswer, CallbackEvent, CallbackOutcome, CallbackRequest, EventSink, Listener,
};
pub use connector::{
    Column, Connector, Cursor, Effect, Location, MAX_CURSOR_BYTES, MAX_PAGE_ERRORS,
    MAX_PAGE_RECORDS, Page, Progress, PullError, PullErrorKind, RowError, StreamSchema,
};
pub use directory::{Department, DirectoryEntry, Member};
pub use lead::Lead;
pub use mapping::{Guess, Mapping, Output, Preview, RowReader, guess};
pub use outbound::{
    Message, Outbound, Push, PushState, PushStep, SendError, SendErrorKind, Sent, TextFormat,
};
pub use row::{Cell, Row};
pub use spec::{ConfigKey, Part, PartKind, Settings, Spec, ValueType, Verification};
pub use sweep::{Known, KnownRecords, SweepLimit};
pub use walk::Walk;
