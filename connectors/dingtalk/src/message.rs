//! Work notices to members and departments, and signed messages to a robot's group.
//!
//! DingTalk shows an equal notice of one app to one member once a day, so a notice whose answer
//! was lost is sent again and arrives once. A robot has no such rule: a message of which nobody
//! knows whether it arrived is uncertain and not sent again.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use jinke_sdk::{
    Message, Outbound, PullError, PullErrorKind, SendError, SendErrorKind, Sent, TextFormat,
};
use jinke_types::{Clock as _, Code, Failure, SystemClock};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    api::{self, Api, NO_MEMBER},
    config::DingtalkConfig,
    directory::{DEPT, is_id},
};

/// A notice is at most this many bytes, title and text together; DingTalk's own limit.
pub const MAX_TEXT_BYTES: usize = 2_048;
/// A recipient that stands for the group of the robot.
pub const ROBOT: &str = "robot";
/// Markdown needs a title.
const TITLE: &str = "消息";

/// Sends messages as one app.
#[derive(Clone)]
pub struct Messages {
    api: Api,
    config: Arc<DingtalkConfig>,
}

/// The signature of a robot's message: HMAC-SHA256 over time and secret, keyed with the secret,
/// in base64.
pub fn robot_signature(secret: &str, millis: i64) -> String {
    let text = format!("{millis}\n{secret}");
    Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_or_else(
        |_| String::new(),
        |mut mac| {
            mac.update(text.as_bytes());
            STANDARD.encode(mac.finalize().into_bytes())
        },
    )
}

impl Messages {
    /// For a connection that has an agent id or a robot.
    pub fn new(api: &Api, config: &Arc<DingtalkConfig>) -> Option<Self> {
        let any = config.agent_id.is_some() || config.robot.is_some();
        any.then(|| Self {
            api: api.clone(),
            config: config.clone(),
        })
    }

    async fn notice(&self, message: &Message, body: Value) -> Result<Sent, SendError> {
        let agent_id = self
            .config
            .agent_id
            .ok_or_else(|| refused("OUTBOUND_NOT_OFFERED", "the connection has no agent_id"))?;
        let (field, id) = match message.recipient.split_once(':') {
            Some(("dept", id)) => ("dept_id_list", id),
            Some(("user", id)) => ("userid_list", id),
            _ => ("userid_list", message.recipient.as_str()),
        };
        // More than one is not one recipient.
        if !is_id(id) || id.contains(',') {
            return Err(refused(
                "RECIPIENT_UNKNOWN",
                &format!("a recipient is a user id, {DEPT}<id> or {ROBOT}"),
            ));
        }
        let call = json!({"agent_id": agent_id, field: id, "msg": body});
        let path = "/topapi/message/corpconversation/asyncsend_v2";
        let told = self
            .api
            .old(path, &call)
            .await
            .map_err(|e| failed(e, true))?;
        let id = told.get("task_id").and_then(Value::as_i64);
        Ok(Sent {
            foreign_id: id.map(|id| id.to_string()),
        })
    }

    async fn robot(&self, body: Value) -> Result<Sent, SendError> {
        let Some((token, secret)) = &self.config.robot else {
            return Err(refused(
                "OUTBOUND_NOT_OFFERED",
                "the connection has no robot",
            ));
        };
        let millis = SystemClock.now().0 / 1_000;
        let (time, sign) = (millis.to_string(), robot_signature(secret, millis));
        let query = [
            ("access_token", token.as_str()),
            ("timestamp", &time),
            ("sign", &sign),
        ];
        let told = self.api.robot("/robot/send", &query, &body).await;
        told.map(|_| Sent::default()).map_err(|e| failed(e, false))
    }
}

#[async_trait]
impl Outbound for Messages {
    async fn send(&self, message: &Message) -> Result<Sent, SendError> {
        let title = message.title.as_str();
        let text = match (message.format, title) {
            (TextFormat::Text, "") | (TextFormat::Markdown, _) => message.text.clone(),
            (TextFormat::Text, title) => format!("{title}\n{}", message.text),
        };
        if text.len() + title.len() > MAX_TEXT_BYTES {
            let failure = Failure::new(
                Code::InvalidArgument,
                "MESSAGE_TOO_LONG",
                "title and text together are longer than the platform shows",
            );
            let failure = failure.with("limit_bytes", MAX_TEXT_BYTES);
            return Err(SendError::new(SendErrorKind::Refused, failure));
        }
        let body = match message.format {
            TextFormat::Text => json!({"msgtype": "text", "text": {"content": text}}),
            TextFormat::Markdown => {
                let title = if title.is_empty() { TITLE } else { title };
                json!({"msgtype": "markdown", "markdown": {"title": title, "text": text}})
            }
        };
        if message.recipient == ROBOT {
            return self.robot(body).await;
        }
        self.notice(message, body).await
    }
}

/// `nothing_twice`: the same call again would not be shown again today.
fn failed(error: PullError, nothing_twice: bool) -> SendError {
    if api::errcode(&error).is_some_and(|code| NO_MEMBER.contains(&code)) {
        return refused("RECIPIENT_UNKNOWN", "the app reaches no such recipient");
    }
    let said = error.failure.metadata.contains_key("code");
    let reached = matches!(
        error.failure.reason,
        "HTTP_TIMEOUT"
            | "HTTP_BODY_CUT"
            | "HTTP_FAILED"
            | "FOREIGN_UNAVAILABLE"
            | "FOREIGN_UNREADABLE"
    );
    // A robot with a wrong signature or token.
    if api::errcode(&error) == Some(310_000) {
        return SendError::new(SendErrorKind::Unauthorized, error.failure);
    }
    match error.kind {
        PullErrorKind::Unauthorized => SendError::new(SendErrorKind::Unauthorized, error.failure),
        // By the time somebody tries again the day may be over.
        _ if reached && !said => SendError::new(SendErrorKind::Uncertain, error.failure),
        PullErrorKind::Unavailable => SendError::new(SendErrorKind::Unavailable, error.failure),
        _ if nothing_twice || said => SendError::new(SendErrorKind::Refused, error.failure),
        _ => SendError::new(SendErrorKind::Uncertain, error.failure),
    }
}

fn refused(reason: &'static str, why: &str) -> SendError {
    SendError::new(
        SendErrorKind::Refused,
        Failure::new(Code::NotFound, reason, why),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_of_a_robot() {
        // By Python's hmac: base64(hmac_sha256("SECdummy", "1700000000000\nSECdummy")).
        let sign = robot_signature("SECdummy", 1_700_000_000_000);
        assert_eq!(sign, "dAYoqhezBL3gM47cDDOZN2VWpjx4zrfUttvWzNXWJAQ=");
    }
}
