//! A foreign system that calls us.
//!
//! The runner listens on one port for all connections (`/callbacks/{connection}`), bounds the
//! body, and gives the request to [`Callback::receive`], which verifies, decrypts and reads it
//! and does nothing else: it is no `async fn`, calls nobody and keeps nothing, so that whatever
//! strangers send costs little. The runner stores the events before it sends the answer, drops
//! those whose key it has seen, and works them off behind it.

use async_trait::async_trait;
use jinke_types::{Failure, SourceRecord, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{PullError, directory::DirectoryEntry, lead::Lead};

/// A callback's body is at most this many bytes.
pub const MAX_CALLBACK_BODY: usize = 1_048_576;
/// One request tells at most this many events.
pub const MAX_CALLBACK_EVENTS: usize = 1_000;
/// An event's key is at most this many bytes.
pub const MAX_EVENT_KEY: usize = 256;

/// A request that came in, not trusted in any way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallbackRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The query, percent-decoded, in its order; at most 100 pairs.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most [`MAX_CALLBACK_BODY`].
    pub body: Vec<u8>,
    /// When it came.
    pub time: Timestamp,
}

impl CallbackRequest {
    /// The first value of a query key.
    pub fn query(&self, key: &str) -> Option<&str> {
        let found = self.query.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
    /// The first value of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackAnswer {
    /// HTTP status.
    pub status: u16,
    /// Content type, e.g. `text/plain; charset=utf-8`.
    pub content_type: &'static str,
    /// The bytes.
    pub body: Vec<u8>,
}

impl CallbackAnswer {
    /// 200 with a text.
    pub fn text(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            content_type: "text/plain; charset=utf-8",
            body: body.into(),
        }
    }
    /// 200 with JSON.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self {
            content_type: "application/json",
            ..Self::text(body)
        }
    }
    /// 403 without a word: a stranger learns nothing.
    pub const fn refused() -> Self {
        Self {
            status: 403,
            content_type: "text/plain; charset=utf-8",
            body: Vec::new(),
        }
    }
}

/// One thing that happened there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallbackEvent {
    /// By which a repeated event is recognised: the foreign system's event id, or a hash of what
    /// makes the event; at most [`MAX_EVENT_KEY`], nothing personal.
    pub key: String,
    /// In the foreign system's words, e.g. `change_external_contact`.
    pub topic: String,
    /// Records that the event carries whole.
    #[serde(default)]
    pub records: Vec<SourceRecord>,
    /// Departments and members that the event carries.
    #[serde(default)]
    pub directory: Vec<DirectoryEntry>,
    /// Leads that the event carries whole.
    #[serde(default)]
    pub leads: Vec<Lead>,
    /// Streams that are to be pulled now, because the event only says that something changed. A
    /// name `stream/id` is one row of a stream: its pull has no cursor, yields the row as it is
    /// now (or its deletion), and costs one or two calls.
    #[serde(default)]
    pub pull: Vec<String>,
}

/// What a connector makes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum CallbackOutcome {
    /// It is from whom it says. The answer is sent when the events are stored.
    Verified {
        /// What is answered.
        answer: CallbackAnswer,
        /// What happened; none for a handshake. At most [`MAX_CALLBACK_EVENTS`].
        events: Vec<CallbackEvent>,
    },
    /// It is not, or cannot be read. Nothing is stored.
    Refused {
        /// What is answered, mostly [`CallbackAnswer::refused`].
        answer: CallbackAnswer,
        /// Why, for logs and metrics: UPPER_SNAKE and without values, e.g. `SIGNATURE`.
        reason: &'static str,
    },
}

impl CallbackOutcome {
    /// 403 for a reason.
    pub const fn refused(reason: &'static str) -> Self {
        Self::Refused {
            answer: CallbackAnswer::refused(),
            reason,
        }
    }
}

/// A connector whose system calls us. It offers [`crate::Connector::callback`].
pub trait Callback: Send + Sync {
    /// Verifies and reads a request. Never panics and never waits.
    fn receive(&self, request: &CallbackRequest) -> CallbackOutcome;
}

/// Where a [`Listener`] puts what it hears. The runner stores the events and drops those whose
/// key it has seen, as it does with those of a callback.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Returns when the events are durable; until then the foreign system is not told that they
    /// arrived.
    async fn store(&self, events: Vec<CallbackEvent>) -> Result<(), Failure>;
}

/// A connector that opens a channel to its system and hears events from there, so that no address
/// of ours has to be reachable from outside. It offers [`crate::Connector::listener`].
#[async_trait]
pub trait Listener: Send + Sync {
    /// Opens the channel and hears until it breaks; tells why it ended. The runner calls it
    /// again after a pause, and drops it to stop. Events may come twice: an unacknowledged one
    /// is sent again.
    async fn listen(&self, sink: &dyn EventSink) -> PullError;
}
