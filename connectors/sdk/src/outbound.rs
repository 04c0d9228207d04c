//! What a connector does for us there: sending messages to people, writing records.
//!
//! The runner keeps what is to go out, calls the connector, tries again and remembers how far it
//! came. A connector only makes the calls:
//!
//! - [`Outbound::send`] delivers one message. [`Message::key`] never changes between attempts;
//!   where the foreign system knows such a key it is passed on, and where it does not, a failure
//!   that leaves open whether the message arrived is [`SendErrorKind::Uncertain`]: the runner then
//!   does not send it again by itself, because a person reminded twice is worse served than one
//!   who is shown a dead letter.
//! - [`Outbound::push`] does one step of a write that takes several, such as save, submit and
//!   audit. It is given what the last step left ([`PushState`]) and returns what the next one
//!   needs; the runner saves that before it asks for the next step. A process may die between the
//!   step and its saving, so a step looks first, by [`Push::key`], whether it was done already.

use async_trait::async_trait;
use jinke_types::Failure;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A message's text is at most this many characters.
pub const MAX_MESSAGE_CHARS: usize = 20_000;
/// A message's title is at most this many characters.
pub const MAX_TITLE_CHARS: usize = 200;
/// A recipient is at most this many characters.
pub const MAX_RECIPIENT_CHARS: usize = 256;
/// Begins a recipient who is a member of the connector's directory, by his id there. Whatever
/// stands behind it is that id: a member who is called like a group is still a member.
pub const MEMBER: &str = "user:";
/// The state between two steps is at most this many bytes of JSON.
pub const MAX_PUSH_STATE_BYTES: usize = 65_536;
/// A push takes at most this many steps.
pub const MAX_PUSH_STEPS: usize = 32;

/// How a message's text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextFormat {
    /// As it is.
    #[default]
    Text,
    /// Markdown; a system that shows none gets it as it is.
    Markdown,
}

/// A message for a person or a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The same for every attempt and never for another message; up to 64 of `a-z A-Z 0-9 -`.
    pub key: String,
    /// Whom, in the connector's own words (its `spec` documents them): a user id, a group. A
    /// connector that keeps a directory also takes [`MEMBER`] and a member's id: so the runner
    /// addresses one of our users. One that keeps none is given the user's name, `users/…`.
    pub recipient: String,
    /// May be empty; at most [`MAX_TITLE_CHARS`].
    pub title: String,
    /// At most [`MAX_MESSAGE_CHARS`].
    pub text: String,
    /// How `text` is written.
    pub format: TextFormat,
}

/// What the foreign system said to a message or record that it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The id it gave, when it gave one.
    pub foreign_id: Option<String>,
}

/// A record that is to be written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// The same for every attempt and never for another push; up to 64 of `a-z A-Z 0-9 -`.
    pub key: String,
    /// What is written, in the connector's words: `customer`, `order`.
    pub kind: String,
    /// Values by the connector's field names.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// How far a push is: what the runner keeps between two steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PushState {
    /// The steps that are done, in order, e.g. `save`, `submit`.
    pub done: Vec<String>,
    /// What the connector wants to know at the next step: ids, never values of the record. At
    /// most [`MAX_PUSH_STATE_BYTES`].
    pub memory: serde_json::Value,
}

/// What one step of a push did.
#[derive(Clone, Debug, PartialEq)]
pub enum PushStep {
    /// The step is done and another one follows.
    Next(PushState),
    /// The last step is done; the state names all of them.
    Done(PushState, Sent),
}

/// What the runner does about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendErrorKind {
    /// It will never be taken: a dead letter.
    Refused,
    /// The credentials are not accepted; tried again slowly, and the connection shows it.
    Unauthorized,
    /// It was not taken and may be later.
    Unavailable,
    /// Nobody knows whether it was taken: a dead letter, which a person may send again.
    Uncertain,
}

/// Why a message or step failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct SendError {
    /// What is to be done.
    pub kind: SendErrorKind,
    /// What happened, without values of the message.
    pub failure: Failure,
    /// The foreign system says when to come back.
    pub retry_after: Option<Duration>,
}

impl SendError {
    /// An error of a kind.
    pub const fn new(kind: SendErrorKind, failure: Failure) -> Self {
        Self {
            kind,
            failure,
            retry_after: None,
        }
    }
}

impl From<crate::PullError> for SendError {
    /// For calls through [`crate::http::Http::call`] made with [`crate::http::Safety::Repeatable`]:
    /// what may pass is tried again.
    fn from(error: crate::PullError) -> Self {
        use crate::PullErrorKind as From;
        let kind = match error.kind {
            From::Unauthorized => SendErrorKind::Unauthorized,
            From::Unavailable => SendErrorKind::Unavailable,
            From::Unreadable | From::CursorUnknown | From::Changed => SendErrorKind::Refused,
        };
        Self::new(kind, error.failure)
    }
}

/// What a connector can do there. It offers [`crate::Connector::outbound`].
#[async_trait]
pub trait Outbound: Send + Sync {
    /// Whether a message that is sent again under the same key reaches its recipient once. Where
    /// it does not, a message whose process died while it was sent is not sent again by itself.
    fn repeats_by_key(&self) -> bool {
        false
    }

    /// Delivers a message.
    async fn send(&self, message: &Message) -> Result<Sent, SendError>;

    /// Does the next step of a push, or all of it when it takes one. A connector that writes
    /// nothing keeps this default.
    async fn push(&self, push: &Push, state: &PushState) -> Result<PushStep, SendError> {
        let _ = (push, state);
        Err(not_offered("this connector writes no records"))
    }
}

/// `OUTBOUND_NOT_OFFERED`: a connector that pushes only says so from `send`, and the other way.
pub fn not_offered(message: &str) -> SendError {
    SendError::new(
        SendErrorKind::Refused,
        Failure::new(
            jinke_types::Code::Unimplemented,
            "OUTBOUND_NOT_OFFERED",
            message,
        ),
    )
}
