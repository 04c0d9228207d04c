//! Events over HTTP.
//!
//! DingTalk waits 1.5 s for the answer, the word `success` in the same envelope, and repeats the
//! call otherwise. Reading a call takes less than a millisecond and asks nobody; what is behind it
//! is done later. The first call is a `check_url`, which has no event.
//!
//! The key of an event is a hash of its message, which holds its time in milliseconds. A call
//! whose time is further from ours than `callback_window_seconds` is refused.

use std::{sync::Arc, time::Duration};

use jinke_sdk::{Callback, CallbackAnswer, CallbackOutcome, CallbackRequest, envelope::Envelope};
use jinke_types::{Entropy as _, OsEntropy, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{config::DingtalkConfig, event};

/// What a callback of this connection is checked by.
#[derive(Clone)]
pub struct Calls {
    envelope: Arc<Envelope>,
    window: Duration,
}

impl Calls {
    /// For a connection whose callback is set up.
    pub fn new(config: &DingtalkConfig) -> Option<Self> {
        Some(Self {
            envelope: Arc::new(config.callback.clone()?),
            window: config.callback_window,
        })
    }

    /// Milliseconds, as DingTalk writes them.
    fn is_fresh(&self, timestamp: &str, now: Timestamp) -> bool {
        let digits =
            (1..=15).contains(&timestamp.len()) && timestamp.bytes().all(|b| b.is_ascii_digit());
        let millis = timestamp.parse::<i64>().ok().filter(|_| digits);
        let age = millis.map(|m| (now.0 / 1_000).abs_diff(m));
        age.is_some_and(|age| u128::from(age) <= self.window.as_millis())
    }

    /// `success`, signed and encrypted as of now.
    fn success(&self, now: Timestamp) -> CallbackAnswer {
        let mut nonce = [0; 8];
        OsEntropy.fill(&mut nonce);
        let (time, nonce) = ((now.0 / 1_000).to_string(), hex::encode(nonce));
        let encrypted = self.envelope.seal(b"success", &OsEntropy);
        let answer = json!({
            "msg_signature": self.envelope.signature(&time, &nonce, &encrypted),
            "timeStamp": time,
            "nonce": nonce,
            "encrypt": encrypted,
        });
        CallbackAnswer::json(answer.to_string())
    }
}

impl Callback for Calls {
    fn receive(&self, request: &CallbackRequest) -> CallbackOutcome {
        let query = |key: &str| request.query(key).unwrap_or_default();
        let signature = match query("msg_signature") {
            "" => query("signature"),
            signature => signature,
        };
        if request.method != "POST" {
            return CallbackOutcome::refused("UNREADABLE");
        }
        let body: Option<Value> = serde_json::from_slice(&request.body).ok();
        let encrypted = body
            .as_ref()
            .and_then(|b| b.get("encrypt"))
            .and_then(Value::as_str);
        let Some(encrypted) = encrypted else {
            return CallbackOutcome::refused("UNREADABLE");
        };
        let (timestamp, nonce) = (query("timestamp"), query("nonce"));
        let Ok(message) = self.envelope.open(signature, timestamp, nonce, encrypted) else {
            return CallbackOutcome::refused("SIGNATURE");
        };
        if !self.is_fresh(timestamp, request.time) {
            return CallbackOutcome::refused("STALE");
        }
        let Ok(Value::Object(data)) = serde_json::from_slice::<Value>(&message) else {
            return CallbackOutcome::refused("UNREADABLE");
        };
        let kind = data
            .get("EventType")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let key = format!("dingtalk:{}", hex::encode(Sha256::digest(&message)));
        let events = match kind {
            "check_url" => Vec::new(),
            kind => vec![event::event(key, kind, &data)],
        };
        CallbackOutcome::Verified {
            answer: self.success(request.time),
            events,
        }
    }
}
