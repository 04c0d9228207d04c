//! Stream mode: a websocket of our own making over which DingTalk sends events.
//!
//! An event is acknowledged once it is durable here; one that is not is sent again by DingTalk.
//! DingTalk's `ping` frames are answered, its `disconnect` ends the channel, and we ping every
//! minute. A channel that says nothing at all for five minutes counts as broken.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jinke_sdk::{
    EventSink, Listener, PullError, PullErrorKind,
    http::{ClientConfig, Http, NetworkPolicy, Origin, WebSocket, unreadable, websocket_origin},
};
use jinke_types::{Code, Failure, OsEntropy};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{config::DingtalkConfig, event};

/// A frame is at most this many bytes.
pub const MAX_FRAME: usize = 1 << 20;
const PING: Duration = Duration::from_secs(60);
/// A channel of which nothing is heard for so long, not even answers to our pings, is dead.
const SILENCE: Duration = Duration::from_secs(300);
/// DingTalk's own servers for channels are below this domain.
const DOMAIN: &str = ".dingtalk.com";

/// Listens as one app.
#[derive(Clone)]
pub struct Channel {
    config: Arc<DingtalkConfig>,
}

/// What a frame asks for.
enum Frame {
    /// To be answered with this.
    Answer(Value),
    /// An event, to be stored and then acknowledged.
    Event(jinke_sdk::CallbackEvent, String),
    /// The channel is to be opened anew.
    End,
    /// Nothing.
    Nothing,
}

impl Channel {
    /// For a connection that has Stream mode on.
    pub fn new(config: &Arc<DingtalkConfig>) -> Option<Self> {
        config.stream_mode.then(|| Self {
            config: config.clone(),
        })
    }

    /// Asks for an address and a ticket, and opens the websocket.
    async fn open(&self) -> Result<WebSocket, PullError> {
        let config = &self.config;
        let client = Http::client(&config.url, config.private_network, config.client.clone());
        let unreachable = |failure| PullError::new(PullErrorKind::Unavailable, failure);
        let client = client.map_err(|f| PullError::new(PullErrorKind::Unreadable, f))?;
        let body = json!({
            "clientId": config.app_key,
            "clientSecret": config.app_secret,
            "subscriptions": [{"type": "EVENT", "topic": "*"}],
            "ua": concat!("jinke/", env!("CARGO_PKG_VERSION")),
            "localIp": "127.0.0.1",
        });
        let url = format!("{}/v1.0/gateway/connections/open", config.url);
        let request = jinke_sdk::http::Request::new(jinke_sdk::http::Method::POST, url)
            .body(body.to_string())
            .header("content-type", "application/json")
            .map_err(unreachable)?;
        let answer = client.send(request).await.map_err(unreachable)?;
        match answer.status.as_u16() {
            200..300 => {}
            400 | 401 | 403 => {
                return Err(PullError::new(
                    PullErrorKind::Unauthorized,
                    Failure::new(
                        Code::Unauthenticated,
                        "FOREIGN_UNAUTHORIZED",
                        "DingTalk does not accept the app key or secret",
                    ),
                ));
            }
            status => {
                let failure = Failure::new(
                    Code::Unavailable,
                    "FOREIGN_UNAVAILABLE",
                    "DingTalk opens no channel now",
                );
                return Err(unreachable(failure.with("status", status)));
            }
        }
        let told = jinke_sdk::http::json(&answer)?;
        let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default();
        let (endpoint, ticket) = (text("endpoint"), text("ticket"));
        if ticket.is_empty() || ticket.len() > 4_096 {
            return Err(unreadable("the answer has no ticket"));
        }
        let origin = self.allowed(endpoint)?;
        let mut policy = NetworkPolicy::new().allow(origin);
        if config.private_network {
            policy = policy.with_private_network();
        }
        let ticket =
            percent_encoding::utf8_percent_encode(ticket, percent_encoding::NON_ALPHANUMERIC);
        let limits = ClientConfig {
            max_body: MAX_FRAME,
            ..config.client.clone()
        };
        let url = format!("{endpoint}?ticket={ticket}");
        WebSocket::connect(limits, policy, &url, &OsEntropy)
            .await
            .map_err(unreachable)
    }

    /// DingTalk names the address of the channel. It has to be one of its own, or on the host of
    /// the settings, so that nobody can send us elsewhere.
    fn allowed(&self, endpoint: &str) -> Result<Origin, PullError> {
        let refused = || unreadable("the address of the channel is none of DingTalk's");
        let origin = websocket_origin(endpoint).map_err(|_| refused())?;
        let host = |origin: &Origin| {
            let text = origin.to_string();
            let rest = text.split("://").nth(1).unwrap_or_default().to_owned();
            rest.rsplit_once(':').map(|(host, _)| host.to_owned())
        };
        let own = Origin::of(&self.config.url).map_err(|_| refused())?;
        let (asked, own) = (host(&origin), host(&own));
        let theirs = asked.as_ref().is_some_and(|h| h.ends_with(DOMAIN))
            && origin.to_string().starts_with("https://");
        if endpoint.contains(['?', '#']) || !(theirs || asked == own) {
            return Err(refused());
        }
        Ok(origin)
    }

    async fn hear(&self, socket: &mut WebSocket, sink: &dyn EventSink) -> PullError {
        let broken = |failure| PullError::new(PullErrorKind::Unavailable, failure);
        let ended = |why: &str| broken(Failure::new(Code::Unavailable, "CHANNEL_ENDED", why));
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
        loop {
            let text = tokio::select! {
                next = socket.next() => match next {
                    None => return ended("DingTalk closed the channel"),
                    Some(Err(failure)) => return broken(failure),
                    Some(Ok(text)) => text,
                },
                _ = ping.tick() => {
                    if socket.heard().elapsed() > SILENCE {
                        return ended("the channel said nothing for too long");
                    }
                    if let Err(failure) = socket.ping().await {
                        return broken(failure);
                    }
                    continue;
                }
            };
            let answer = match frame(&text) {
                Frame::Nothing => continue,
                Frame::End => return ended("DingTalk asks for a new channel"),
                Frame::Answer(answer) => answer,
                Frame::Event(event, id) => match sink.store(vec![event]).await {
                    Ok(()) => ack(
                        &id,
                        200,
                        "OK",
                        r#"{"status":"SUCCESS","message":"success"}"#,
                    ),
                    Err(_) => ack(&id, 200, "OK", r#"{"status":"LATER","message":"later"}"#),
                },
            };
            if let Err(failure) = socket.send(answer.to_string()).await {
                return broken(failure);
            }
        }
    }
}

fn ack(id: &str, code: u16, message: &str, data: &str) -> Value {
    json!({
        "code": code,
        "headers": {"contentType": "application/json", "messageId": id},
        "message": message,
        "data": data,
    })
}

/// Reads a frame. What cannot be read is passed over: nobody waits for an answer whose message
/// has no id.
fn frame(text: &str) -> Frame {
    let Ok(Value::Object(frame)) = serde_json::from_str::<Value>(text) else {
        return Frame::Nothing;
    };
    let Some(headers) = frame.get("headers").and_then(Value::as_object) else {
        return Frame::Nothing;
    };
    let header = |key: &str| headers.get(key).and_then(Value::as_str).unwrap_or_default();
    let id = header("messageId");
    let data = frame
        .get("data")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match (frame.get("type").and_then(Value::as_str), header("topic")) {
        (Some("SYSTEM"), "disconnect") => Frame::End,
        (Some("SYSTEM"), _) if !id.is_empty() => Frame::Answer(ack(id, 200, "OK", data)),
        (Some("EVENT"), _) if !id.is_empty() => {
            let inside = serde_json::from_str::<Value>(data).ok();
            let inside: Map<String, Value> = inside
                .and_then(|v| v.as_object().cloned())
                .unwrap_or_default();
            // An event without an id is known by its content.
            let key = match header("eventId") {
                "" => hex::encode(Sha256::digest(text)),
                event => hex::encode(Sha256::digest(event)),
            };
            let event = event::event(format!("dingtalk:{key}"), header("eventType"), &inside);
            Frame::Event(event, id.to_owned())
        }
        (Some("CALLBACK"), _) if !id.is_empty() => {
            Frame::Answer(ack(id, 404, "not subscribed", "{}"))
        }
        _ => Frame::Nothing,
    }
}

#[async_trait]
impl Listener for Channel {
    async fn listen(&self, sink: &dyn EventSink) -> PullError {
        match self.open().await {
            Ok(mut socket) => self.hear(&mut socket, sink).await,
            Err(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn channel(url: &str) -> Channel {
        let config = DingtalkConfig::new("d", url, url, "k", "s");
        Channel {
            config: Arc::new(config),
        }
    }

    #[test]
    fn only_addresses_of_dingtalk_and_of_the_settings() {
        let real = channel("https://api.dingtalk.com");
        assert!(
            real.allowed("wss://wss-open-connection.dingtalk.com:443/connect")
                .is_ok()
        );
        for wrong in [
            "ws://wss-open-connection.dingtalk.com/connect",
            "wss://evil.example/connect",
            "wss://dingtalk.com.evil.example/",
            "wss://evildingtalk.com/",
            "wss://x@evil.example/.dingtalk.com",
            "https://a.dingtalk.com/",
            "",
        ] {
            assert!(real.allowed(wrong).is_err(), "{wrong}");
        }
        let local = channel("http://127.0.0.1:9100");
        assert!(local.allowed("ws://127.0.0.1:9101/connect").is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_frames_do_not_panic(text in ".{0,200}") {
            let _ = frame(&text);
        }
    }
}
