//! A websocket to a server of the policy: text messages both ways, bounded.
//!
//! It is opened over the client of this crate (RFC 6455 over HTTP/1.1), so that policy, guard,
//! certificates and TLS are the same as for any other exchange.

use std::{sync::Arc, time::Duration};

use futures::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use jinke_types::{Code, Entropy, Failure};
use reqwest::{Upgraded, Url};
use tokio::time::Instant;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{
    client::{self, ClientConfig},
    policy::{NetworkPolicy, Origin},
};

/// Whatever is to be sent waits for at most this many bytes of earlier messages.
const MAX_UNSENT: usize = 4 << 20;

/// An open websocket. It is closed when dropped.
pub struct WebSocket {
    stream: WebSocketStream<Upgraded>,
    write_timeout: Duration,
    heard: Instant,
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").finish_non_exhaustive()
    }
}

/// The origin of a `ws` or `wss` URL, in terms of `http` and `https`, as a policy knows it.
/// `URL_INVALID` when it is none.
pub fn websocket_origin(url: &str) -> Result<Origin, Failure> {
    Origin::of(&plain(url)?)
}

fn plain(url: &str) -> Result<String, Failure> {
    let rest = |scheme| url.strip_prefix(scheme);
    if let Some(rest) = rest("ws://") {
        return Ok(format!("http://{rest}"));
    }
    if let Some(rest) = rest("wss://") {
        return Ok(format!("https://{rest}"));
    }
    Err(Failure::new(
        Code::InvalidArgument,
        "URL_INVALID",
        "the URL cannot be used: it is no websocket address",
    ))
}

impl WebSocket {
    /// Opens one. The whole handshake takes at most `config.timeout`; a message is at most
    /// `config.max_body` bytes.
    ///
    /// Errors: those of [`crate::Client::send`], and `WEBSOCKET_REFUSED` when the server does not
    /// switch to the protocol.
    pub async fn connect(
        config: ClientConfig,
        policy: NetworkPolicy,
        url: &str,
        entropy: &dyn Entropy,
    ) -> Result<Self, Failure> {
        let text = plain(url)?;
        let url = Url::parse(&text).map_err(|e| {
            Failure::new(
                Code::InvalidArgument,
                "URL_INVALID",
                format!("the URL cannot be used: {e}"),
            )
        })?;
        policy.check(&url)?;
        let (timeout, max) = (config.timeout, config.max_body);
        let http = client::build(config, &Arc::new(policy), true)?;
        let mut nonce = [0; 16];
        entropy.fill(&mut nonce);
        let key = base64(&nonce);
        let request = http
            .get(url)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", &key);
        let answer = request.send().await.map_err(|e| client::from_reqwest(&e))?;
        let header = |name: &str| {
            let value = answer.headers().get(name);
            value.and_then(|v| v.to_str().ok()).unwrap_or_default()
        };
        let accepted = header("sec-websocket-accept") == derive_accept_key(key.as_bytes())
            && header("upgrade").eq_ignore_ascii_case("websocket");
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS || !accepted {
            let failure = Failure::new(
                Code::FailedPrecondition,
                "WEBSOCKET_REFUSED",
                "the server does not open a websocket",
            );
            return Err(failure.with("status", answer.status().as_u16()));
        }
        let upgraded = answer
            .upgrade()
            .await
            .map_err(|e| client::from_reqwest(&e))?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(max))
            .max_frame_size(Some(max))
            .max_write_buffer_size(MAX_UNSENT);
        Ok(Self {
            stream: WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await,
            write_timeout: timeout,
            heard: Instant::now(),
        })
    }

    /// The next text; `None` when the server closed. Pings are answered on the way. The caller
    /// bounds the time.
    ///
    /// Errors: `HTTP_FAILED` when the connection broke, `HTTP_BODY_TOO_LARGE` for a message over
    /// the limit, `HTTP_BODY_CUT` for one that is no text.
    pub async fn next(&mut self) -> Option<Result<String, Failure>> {
        use tokio_tungstenite::tungstenite::Error;
        loop {
            let broke = |reason, why: &str| Some(Err(Failure::new(Code::Unavailable, reason, why)));
            let next = self.stream.next().await?;
            if next.is_ok() {
                self.heard = Instant::now();
            }
            return match next {
                Ok(Message::Text(text)) => Some(Ok(text.as_str().to_owned())),
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => None,
                Ok(Message::Binary(_)) => broke("HTTP_BODY_CUT", "a message is no text"),
                Err(Error::Capacity(_)) => {
                    broke("HTTP_BODY_TOO_LARGE", "a message is larger than the limit")
                }
                Err(_) => broke("HTTP_FAILED", "the websocket broke"),
            };
        }
    }

    /// When the server last sent anything while somebody waited in [`Self::next`]: a text, a ping,
    /// or the answer to one of ours. At first when it was opened.
    pub const fn heard(&self) -> Instant {
        self.heard
    }

    /// Sends a text.
    ///
    /// Errors: `HTTP_FAILED`, `HTTP_TIMEOUT`.
    pub async fn send(&mut self, text: String) -> Result<(), Failure> {
        self.write(Message::text(text)).await
    }

    /// Sends a ping, so that whatever stands between keeps the connection.
    ///
    /// Errors: as [`Self::send`].
    pub async fn ping(&mut self) -> Result<(), Failure> {
        self.write(Message::Ping(bytes::Bytes::new())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Failure> {
        let sent = tokio::time::timeout(self.write_timeout, self.stream.send(message)).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Failure::new(
                Code::Unavailable,
                "HTTP_FAILED",
                "the websocket broke",
            )),
            Err(_) => Err(Failure::new(
                Code::DeadlineExceeded,
                "HTTP_TIMEOUT",
                "the server took too long",
            )),
        }
    }
}

/// Base64 of 16 bytes, for the key of the handshake.
fn base64(bytes: &[u8; 16]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for some in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..some.len()].copy_from_slice(some);
        let all = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for i in 0..4 {
            let sign = SIGNS[(all >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= some.len() {
                char::from(sign)
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn websocket_addresses_have_the_origin_of_their_http_ones() {
        let of = |url| websocket_origin(url).map(|o| o.to_string());
        assert_eq!(
            of("wss://a.example/x?t=1").unwrap(),
            "https://a.example:443"
        );
        assert_eq!(of("ws://127.0.0.1:9/").unwrap(), "http://127.0.0.1:9");
        assert_eq!(of("https://a.example/").unwrap_err().reason, "URL_INVALID");
    }

    /// A server of one websocket that says nothing by itself and answers pings when told to.
    async fn silent(answers: bool) -> WebSocket {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            if answers {
                while let Some(Ok(_)) = socket.next().await {}
            }
            std::future::pending::<()>().await;
        });
        let policy = NetworkPolicy::new()
            .allow(websocket_origin(&url).unwrap())
            .with_private_network();
        let entropy = jinke_types::SeededEntropy::new(1);
        WebSocket::connect(ClientConfig::default(), policy, &url, &entropy)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_server_that_answers_pings_is_heard() {
        for answers in [true, false] {
            let mut socket = silent(answers).await;
            let opened = socket.heard();
            socket.ping().await.unwrap();
            let next = tokio::time::timeout(Duration::from_millis(500), socket.next()).await;
            assert!(next.is_err(), "an answer to a ping is no text");
            assert_eq!(socket.heard() > opened, answers);
        }
    }

    #[test]
    fn the_key_is_base64() {
        assert_eq!(base64(b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
    }
}
