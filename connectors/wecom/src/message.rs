//! Text and markdown to members, departments and tags.
//!
//! WeCom knows no key of a message. It offers to drop a request that is equal to one of the last
//! four hours (`enable_duplicate_check`), which is asked for, so a call whose answer was lost is
//! made again and the message arrives once. A call of which nobody knows whether it arrived, after
//! the tries are used up, is uncertain: by the time somebody tries again the four hours may be
//! over. The same text to the same people twice within four hours is shown once.

use async_trait::async_trait;
use jinke_sdk::{
    Message, Outbound, PullError, PullErrorKind, SendError, SendErrorKind, Sent, TextFormat,
    http::Safety,
};
use jinke_types::{Code, Failure};
use serde_json::{Map, Value, json};

use crate::{
    api::{self, Api},
    directory::PARTY,
    round::is_id,
};

/// WeCom cuts a text behind this many bytes without a word, so a longer one is refused here.
pub const MAX_TEXT_BYTES: usize = 2_048;
/// Four hours, the longest WeCom remembers requests for.
const DUPLICATE_SECONDS: u32 = 14_400;
const TAG: &str = "tag:";
/// Nobody of the recipients can be reached.
const NOBODY: i64 = 81013;

/// Sends messages as one app.
#[derive(Clone)]
pub struct Messages {
    api: Api,
    agent_id: i64,
}

impl Messages {
    /// As the app with this agent id.
    pub const fn new(api: Api, agent_id: i64) -> Self {
        Self { api, agent_id }
    }

    fn body(&self, message: &Message) -> Result<Value, SendError> {
        let (field, id) = match message.recipient.split_once(':') {
            Some(("party", id)) => ("toparty", id),
            Some(("tag", id)) => ("totag", id),
            Some(("user", id)) => ("touser", id),
            _ => ("touser", message.recipient.as_str()),
        };
        // More than one, or everybody, is not one recipient.
        if !is_id(id) || id.contains('|') || id.eq_ignore_ascii_case("@all") {
            return Err(refused(
                "RECIPIENT_UNKNOWN",
                format!("a recipient is a user id, {PARTY}<id> or {TAG}<id>"),
            ));
        }
        let (kind, text) = match message.format {
            TextFormat::Text if message.title.is_empty() => ("text", message.text.clone()),
            TextFormat::Text => ("text", format!("{}\n{}", message.title, message.text)),
            TextFormat::Markdown if message.title.is_empty() => ("markdown", message.text.clone()),
            TextFormat::Markdown => ("markdown", format!("# {}\n{}", message.title, message.text)),
        };
        if text.len() > MAX_TEXT_BYTES {
            let failure = Failure::new(
                Code::InvalidArgument,
                "MESSAGE_TOO_LONG",
                "title and text together are longer than the platform shows",
            );
            let failure = failure.with("limit_bytes", MAX_TEXT_BYTES);
            return Err(SendError::new(SendErrorKind::Refused, failure));
        }
        let mut body = Map::new();
        body.insert(field.to_owned(), json!(id));
        body.insert("agentid".to_owned(), json!(self.agent_id));
        body.insert("msgtype".to_owned(), json!(kind));
        body.insert(kind.to_owned(), json!({"content": text}));
        body.insert("enable_duplicate_check".to_owned(), json!(1));
        body.insert(
            "duplicate_check_interval".to_owned(),
            json!(DUPLICATE_SECONDS),
        );
        Ok(Value::Object(body))
    }
}

#[async_trait]
impl Outbound for Messages {
    async fn send(&self, message: &Message) -> Result<Sent, SendError> {
        let body = self.body(message)?;
        let told = self
            .api
            .post("message/send", &body, Safety::Repeatable)
            .await;
        let told = told.map_err(failed)?;
        let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default();
        let missed = [
            "invaliduser",
            "invalidparty",
            "invalidtag",
            "unlicenseduser",
        ];
        if missed.iter().any(|key| !text(key).is_empty()) {
            return Err(unknown_recipient());
        }
        let id = Some(text("msgid")).filter(|id| !id.is_empty());
        Ok(Sent {
            foreign_id: id.map(str::to_owned),
        })
    }
}

fn failed(error: PullError) -> SendError {
    if api::errcode(&error) == Some(NOBODY) {
        return unknown_recipient();
    }
    let busy = error.failure.metadata.contains_key("errcode");
    let reached = matches!(
        error.failure.reason,
        "HTTP_TIMEOUT"
            | "HTTP_BODY_CUT"
            | "HTTP_FAILED"
            | "FOREIGN_UNAVAILABLE"
            | "FOREIGN_UNREADABLE"
    );
    match error.kind {
        PullErrorKind::Unauthorized => SendError::new(SendErrorKind::Unauthorized, error.failure),
        _ if reached && !busy => SendError::new(SendErrorKind::Uncertain, error.failure),
        PullErrorKind::Unavailable => SendError::new(SendErrorKind::Unavailable, error.failure),
        _ => SendError::new(SendErrorKind::Refused, error.failure),
    }
}

fn unknown_recipient() -> SendError {
    refused("RECIPIENT_UNKNOWN", "the app reaches no such recipient")
}

fn refused(reason: &'static str, why: impl Into<String>) -> SendError {
    SendError::new(
        SendErrorKind::Refused,
        Failure::new(Code::NotFound, reason, why),
    )
}
