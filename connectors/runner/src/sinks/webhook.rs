//! Messages and records posted to a URL, signed.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use hmac::{Hmac, Mac as _};
use jinke_sdk::{
    ConfigKey, Connector, Cursor, Message, Outbound, Page, Part, PartKind, PullError, Push,
    PushState, PushStep, SendError, SendErrorKind, Sent, Settings, Spec, StreamSchema, ValueType,
    Verification,
    http::{
        Auth, Budget, BudgetPolicy, ClientConfig, Http, HttpParts, Method, Request, RetryPolicy,
        Safety, Verdict,
    },
};
use jinke_types::{Clock, Failure, OsEntropy, SystemClock};
use serde_json::json;
use sha2::Sha256;

/// Header with the seconds since 1970 at which a request was signed.
pub const TIMESTAMP: &str = "x-jinke-timestamp";
/// Header with the signature: `v1=` and 64 hexadecimal digits.
pub const SIGNATURE: &str = "x-jinke-signature";

/// See [`super`].
#[derive(Clone)]
pub struct Webhook {
    url: Arc<str>,
    secret: Arc<[u8]>,
    http: Http,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

/// HMAC-SHA-256 under `secret` of the seconds in decimal, a dot and the body, in hexadecimal. A
/// receiver computes the same, compares in constant time and refuses what is older than some
/// minutes; `key` in the body tells a repeated request.
pub fn signature(secret: &[u8], seconds: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[async_trait]
impl Connector for Webhook {
    fn spec() -> Spec {
        let key = |name, about, value, required, secret| ConfigKey {
            name,
            about,
            value,
            required,
            secret,
            default: None,
        };
        let text = ValueType::Text;
        let part = |name, kind, about| Part {
            name,
            kind,
            about,
            verification: Verification::RealServer,
            evidence: "an HTTP server of the tests that checks the signature",
        };
        Spec {
            kind: "webhook",
            display_name: "网络钩子（签名的 HTTP 推送）",
            about: "Posts messages and records as JSON, signed with HMAC-SHA-256 in \
                    X-Jinke-Signature over X-Jinke-Timestamp, a dot and the body. The receiver \
                    answers 2xx; it may see a request again and tells it by its key.",
            keys: vec![
                key("url", "Where to post.", text, true, false),
                key(
                    "secret",
                    "Key of the signature; at least 16 bytes.",
                    text,
                    true,
                    true,
                ),
                key(
                    "private_network",
                    "Whether the receiver is at a loopback or private address.",
                    ValueType::Boolean,
                    false,
                    false,
                ),
                key(
                    "ca_pem",
                    "A further certificate authority to trust, PEM.",
                    text,
                    false,
                    false,
                ),
            ],
            parts: vec![
                part("message", PartKind::Message, "messages to any recipient"),
                part("push", PartKind::Push, "records of any kind, in one step"),
            ],
        }
    }

    fn open(settings: &Settings) -> Result<Self, Failure> {
        let (url, secret) = (
            settings.text("url").unwrap_or_default(),
            settings.text("secret").unwrap_or_default(),
        );
        if secret.len() < 16 {
            return Err(Failure::field("settings.secret", "must have 16 bytes"));
        }
        let mut config = ClientConfig {
            max_body: 65_536,
            ..ClientConfig::default()
        };
        if let Some(pem) = settings.text("ca_pem") {
            config.ca_pem = Some(pem.as_bytes().to_vec());
        }
        let private = settings.boolean("private_network").unwrap_or(false);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let http = Http::new(HttpParts {
            client: Http::client(url, private, config)?,
            auth: Auth::None,
            // The runner tries again; here only what passes at once is waited for.
            retry: RetryPolicy {
                tries: 2,
                ..RetryPolicy::default()
            },
            budget: Arc::new(Budget::new(BudgetPolicy::default())),
            entropy: Arc::new(OsEntropy),
            clock: clock.clone(),
        });
        Ok(Self {
            url: url.into(),
            secret: secret.as_bytes().into(),
            http,
            clock,
        })
    }

    async fn check(&self) -> Result<(), Failure> {
        self.post(&json!({"kind": "check"}))
            .await
            .map_err(|e| e.failure)
    }

    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure> {
        Ok(Vec::new())
    }

    async fn pull(
        &self,
        _: &str,
        _: Option<Cursor>,
    ) -> BoxStream<'static, Result<Page, PullError>> {
        super::log::no_streams()
    }

    fn outbound(&self) -> Option<&dyn Outbound> {
        Some(self)
    }
}

impl Webhook {
    async fn post(&self, body: &serde_json::Value) -> Result<(), SendError> {
        let fail = |f| SendError::new(SendErrorKind::Refused, f);
        let body = serde_json::to_vec(body).map_err(|e| fail(Failure::internal(e)))?;
        let seconds = self.clock.now().secs();
        let signed = format!("v1={}", signature(&self.secret, seconds, &body));
        let request = Request::new(Method::POST, &*self.url)
            .header("content-type", "application/json")
            .and_then(|r| r.header(TIMESTAMP, &seconds.to_string()))
            .and_then(|r| r.header(SIGNATURE, &signed))
            .map_err(fail)?
            .body(body);
        // The key in the body lets the receiver tell a repeated request.
        self.http
            .call(&request, Safety::Repeatable, |_| Verdict::Done(()))
            .await
            .map_err(SendError::from)
    }
}

#[async_trait]
impl Outbound for Webhook {
    fn repeats_by_key(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message) -> Result<Sent, SendError> {
        self.post(&json!({"kind": "message", "key": message.key, "message": message}))
            .await?;
        Ok(Sent::default())
    }

    async fn push(&self, push: &Push, _: &PushState) -> Result<PushStep, SendError> {
        self.post(&json!({"kind": "push", "key": push.key, "push": push}))
            .await?;
        let state = PushState {
            done: vec!["post".to_owned()],
            memory: serde_json::Value::Null,
        };
        Ok(PushStep::Done(state, Sent::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_time_and_body() {
        let sign = |secret: &[u8], seconds, body: &[u8]| signature(secret, seconds, body);
        let one = sign(b"a-secret-of-16-b", 1_700_000_000, b"{}");
        assert_eq!(one.len(), 64);
        assert_ne!(one, sign(b"a-secret-of-16-b", 1_700_000_001, b"{}"));
        assert_ne!(one, sign(b"a-secret-of-16-b", 1_700_000_000, b"{ }"));
        assert_ne!(one, sign(b"b-secret-of-16-b", 1_700_000_000, b"{}"));
        // By `openssl dgst -sha256 -hmac Jefe` over `1.x`.
        assert_eq!(
            sign(b"Jefe", 1, b"x"),
            "2f7ccbd0f043456ad29514b2d24a8aa345ec6673a5db1b44e91c8ac99d1841e3"
        );
    }
}
