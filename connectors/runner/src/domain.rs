//! The words of the connector service, without SQL and wire format.

mod kept;

pub use kept::{DeadLetter, ErrorEffect, LetterKind, NewError, RecordError, Refused};

use jinke_sdk::{CallbackEvent, Message, Push, PushState};
use jinke_types::{Body, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{problem::Problem, schedule::Schedule};

/// The source a connection's records belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "as `Connection.SourceSettings` of the contract"
)]
pub struct SourceSettings {
    pub id: String,
    pub display_name: String,
    pub trust: Option<i32>,
    pub walled: bool,
}

/// When ids are compared, and how many may vanish unasked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as `Connection.SweepSettings` of the contract")]
pub struct SweepSettings {
    pub schedule: Option<Schedule>,
    pub limit_percent: Option<i32>,
    pub limit_at_least: Option<i32>,
}

/// One configured account of a connector, without its secrets.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as `Connection` of the contract")]
pub struct Connection {
    pub id: String,
    pub uid: i64,
    pub display_name: String,
    pub connector: String,
    /// Values by key, without the secret ones.
    pub settings: serde_json::Map<String, serde_json::Value>,
    pub source: SourceSettings,
    pub org_unit: String,
    pub schedule: Option<Schedule>,
    pub sweep: SweepSettings,
    pub streams: Vec<String>,
    pub paused: bool,
    /// Wrapped.
    pub data_key: Vec<u8>,
    /// Sealed under the data key: a JSON object.
    pub secrets: Vec<u8>,
    pub secret_keys: Vec<String>,
    pub next_run: Option<Timestamp>,
    pub next_sweep: Option<Timestamp>,
    pub last_run: Option<i64>,
    pub problem: Option<Problem>,
    pub revision: i64,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
}

impl Connection {
    /// What every sealed value of the connection says it is, so that none can be moved.
    pub fn aad(&self, what: &str) -> Vec<u8> {
        aad(&self.id, self.uid, what)
    }
    /// The resource name.
    pub fn name(&self) -> String {
        format!("connections/{}", self.id)
    }
}

/// See [`Connection::aad`].
pub fn aad(connection: &str, uid: i64, what: &str) -> Vec<u8> {
    format!("connection/{connection}/{uid}/{what}").into_bytes()
}

/// What a run does. The numbers are stored and those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// Pulls what changed.
    Pull = 1,
    /// Compares all ids.
    Sweep = 2,
}

/// Why a run was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Its time came.
    Schedule = 1,
    /// Somebody asked.
    Request = 2,
    /// The foreign system called.
    Callback = 3,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as `Run.State` of the contract")]
pub enum RunState {
    Queued = 1,
    Running = 2,
    Waiting = 3,
    NeedsApproval = 4,
    Succeeded = 5,
    SucceededWithErrors = 6,
    Failed = 7,
    Cancelled = 8,
}

impl RunState {
    /// The state of a stored number.
    pub const fn of(number: i64) -> Self {
        match number {
            2 => Self::Running,
            3 => Self::Waiting,
            4 => Self::NeedsApproval,
            5 => Self::Succeeded,
            6 => Self::SucceededWithErrors,
            7 => Self::Failed,
            8 => Self::Cancelled,
            _ => Self::Queued,
        }
    }
    /// Whether it will never change.
    pub const fn ended(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::SucceededWithErrors | Self::Failed | Self::Cancelled
        )
    }
}

/// Where one stream of a run stands; the numbers are those of the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as `Run.StreamProgress.State` of the contract")]
pub enum StreamState {
    #[default]
    Pending = 1,
    Running = 2,
    Done = 3,
    Failed = 4,
}

/// How far one stream is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as `Run.StreamProgress` of the contract")]
pub struct StreamProgress {
    pub stream: String,
    pub state: StreamState,
    pub done_units: u64,
    pub total_units: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub superseded: u64,
    pub rejected: u64,
    pub deleted: u64,
    pub directory_entries: u64,
    pub row_errors: u64,
    pub notes: Vec<String>,
    pub error: Option<Problem>,
    /// The cursor was reset in this run; a second time would go round for ever.
    pub reset: bool,
    /// What of these counts lies behind the saved cursor: it is pulled again after a stop, and is
    /// then counted again.
    pub since_cursor: Counted,
}

/// Counts of a part of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as `Run.StreamProgress` of the contract")]
pub struct Counted {
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub superseded: u64,
    pub rejected: u64,
    pub directory_entries: u64,
    pub row_errors: u64,
}

impl Counted {
    /// Both together.
    pub const fn and(self, other: Self) -> Self {
        Self {
            created: self.created + other.created,
            updated: self.updated + other.updated,
            unchanged: self.unchanged + other.unchanged,
            superseded: self.superseded + other.superseded,
            rejected: self.rejected + other.rejected,
            directory_entries: self.directory_entries + other.directory_entries,
            row_errors: self.row_errors + other.row_errors,
        }
    }
}

/// Notes kept of a stream.
pub const MAX_NOTES: usize = 50;

impl StreamProgress {
    /// Keeps notes that are new, up to [`MAX_NOTES`].
    pub fn note(&mut self, notes: impl IntoIterator<Item = String>) {
        for note in notes {
            if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }
    /// Counts something that lies behind the saved cursor.
    pub const fn count(&mut self, more: Counted) {
        self.created += more.created;
        self.updated += more.updated;
        self.unchanged += more.unchanged;
        self.superseded += more.superseded;
        self.rejected += more.rejected;
        self.directory_entries += more.directory_entries;
        self.row_errors += more.row_errors;
        self.since_cursor = self.since_cursor.and(more);
    }
    /// Takes back what lies behind the saved cursor, where the pull begins again.
    pub fn take_back(&mut self) {
        let back = std::mem::take(&mut self.since_cursor);
        self.created = self.created.saturating_sub(back.created);
        self.updated = self.updated.saturating_sub(back.updated);
        self.unchanged = self.unchanged.saturating_sub(back.unchanged);
        self.superseded = self.superseded.saturating_sub(back.superseded);
        self.rejected = self.rejected.saturating_sub(back.rejected);
        self.directory_entries = self
            .directory_entries
            .saturating_sub(back.directory_entries);
        self.row_errors = self.row_errors.saturating_sub(back.row_errors);
    }
    /// Whether some of it was not taken.
    pub const fn has_errors(&self) -> bool {
        self.rejected > 0 || self.row_errors > 0
    }
}

/// What a sweep that waits for approval found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as `Run.SweepFinding` of the contract")]
pub struct Finding {
    pub stream: String,
    pub gone_at_least: u64,
    pub known: u64,
    pub may_vanish: u64,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as `Run` of the contract")]
pub struct Run {
    pub connection: String,
    pub number: i64,
    pub kind: RunKind,
    pub trigger: Trigger,
    pub state: RunState,
    /// Streams asked for; all of the connection when empty.
    pub streams: Vec<String>,
    pub progress: Vec<StreamProgress>,
    pub findings: Vec<Finding>,
    pub error: Option<Problem>,
    /// How often it was begun.
    pub attempts: i64,
    /// How often in a row it failed without progress.
    pub failures: i64,
    pub retries: i64,
    pub approved: bool,
    pub cancel: bool,
    pub creator: String,
    pub retry_time: Option<Timestamp>,
    pub create_time: Timestamp,
    pub start_time: Option<Timestamp>,
    pub update_time: Timestamp,
    pub end_time: Option<Timestamp>,
    pub revision: i64,
}

impl Run {
    /// The resource name.
    pub fn name(&self) -> String {
        format!("connections/{}/runs/{}", self.connection, self.number)
    }
    /// Progress of a stream, begun when there is none.
    pub fn stream(&mut self, stream: &str) -> &mut StreamProgress {
        let at = self.progress.iter().position(|p| p.stream == stream);
        let at = at.unwrap_or_else(|| {
            self.progress.push(StreamProgress {
                stream: stream.to_owned(),
                ..StreamProgress::default()
            });
            self.progress.len() - 1
        });
        &mut self.progress[at]
    }
}

/// A record the connection has delivered, as much of it as a deletion needs.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownRecord {
    /// Its external id.
    pub external_id: String,
    /// Revision of its last version.
    pub source_revision: Option<i64>,
    /// Time of its last version.
    pub update_time: Option<Timestamp>,
    /// What it is, without values.
    pub body: Body,
    /// A sweep found it gone, and it has not come back.
    pub gone: bool,
}

/// What goes out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// To people.
    Message(Message),
    /// To the foreign system.
    Push(Push),
}

/// Where a delivery stands; the numbers are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as `Delivery.State` of the contract")]
pub enum DeliveryState {
    Pending = 1,
    Delivered = 2,
    Failed = 3,
    Discarded = 4,
}

impl DeliveryState {
    /// The state of a stored number.
    pub const fn of(number: i64) -> Self {
        match number {
            2 => Self::Delivered,
            3 => Self::Failed,
            4 => Self::Discarded,
            _ => Self::Pending,
        }
    }
}

/// A delivery, opened.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as `Delivery` of the contract")]
pub struct Delivery {
    pub connection: String,
    pub number: i64,
    pub state: DeliveryState,
    pub key: String,
    pub payload: Payload,
    pub push: PushState,
    pub foreign_id: String,
    pub attempts: i64,
    pub error: Option<Problem>,
    pub creator: String,
    pub retry_time: Option<Timestamp>,
    pub create_time: Timestamp,
    pub end_time: Option<Timestamp>,
}

/// Where an event stands; the numbers are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as `CallbackEvent.State` of the contract")]
pub enum EventState {
    Pending = 1,
    Done = 2,
    Failed = 3,
}

/// An event that was stored.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as `CallbackEvent` of the contract")]
pub struct StoredEvent {
    pub connection: String,
    pub number: i64,
    pub key: String,
    pub topic: String,
    pub state: i64,
    pub attempts: i64,
    pub error: Option<Problem>,
    /// Opened; none when it is done, or was not asked for.
    pub event: Option<CallbackEvent>,
    pub create_time: Timestamp,
    pub end_time: Option<Timestamp>,
}
