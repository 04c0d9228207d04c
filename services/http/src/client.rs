//! The client: one request, one bounded answer.

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
pub use http::Method;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jinke_types::{Code, Failure};
use reqwest::{Certificate, Identity, Url, redirect};

use crate::policy::{Guard, NetworkPolicy, Origin};

const MAX_REDIRECTS: usize = 5;

/// Limits and certificates of a client.
#[derive(Clone)]
pub struct ClientConfig {
    /// Longest time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Longest time for the whole exchange.
    pub timeout: Duration,
    /// Most bytes of a body, after decompression.
    pub max_body: usize,
    /// Further certificate authorities to trust, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Client certificate and key, PEM.
    pub identity_pem: Option<Vec<u8>>,
    /// Sent as `user-agent`.
    pub user_agent: String,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            max_body: 64 << 20,
            ca_pem: None,
            identity_pem: None,
            user_agent: concat!("jinke/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A request. `Debug` shows neither query nor headers nor body: all three hold secrets.
#[derive(Clone)]
pub struct Request {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
    timeout: Option<Duration>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: None,
        }
    }
    /// Adds a header; `HEADER_INVALID` when name or value cannot be sent. The value is marked
    /// sensitive, so nothing below logs it.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Failure> {
        let bad = || {
            Failure::new(
                Code::InvalidArgument,
                "HEADER_INVALID",
                "a header cannot be sent",
            )
            .with("header", name)
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
        value.set_sensitive(true);
        self.headers.append(header, value);
        Ok(self)
    }
    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
    /// Adds a parameter to the query, escaped.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let fragment = self.url.find('#').unwrap_or(self.url.len());
        let tail = self.url.split_off(fragment);
        self.url
            .push(if self.url.contains('?') { '&' } else { '?' });
        self.url.push_str(&escaped(name));
        self.url.push('=');
        self.url.push_str(&escaped(value));
        self.url.push_str(&tail);
        self
    }
    /// A shorter time for this exchange than the client's.
    #[must_use]
    pub const fn within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
    /// The method.
    pub const fn method(&self) -> &Method {
        &self.method
    }
    /// The URL, query included.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        write!(f, "{} {path}", self.method)
    }
}

/// An answer with its whole body. `Debug` shows status and size only.
#[derive(Clone)]
pub struct Response {
    /// Status code, whatever it is: an answer is not an error.
    pub status: StatusCode,
    /// Headers as received.
    pub headers: HeaderMap,
    /// Body, decompressed.
    pub body: Bytes,
}

impl Response {
    /// A header as text, when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} bytes", self.status, self.body.len())
    }
}

/// Talks to the servers of its policy. Cheap to clone; keeps connections open.
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    policy: Arc<NetworkPolicy>,
    max_body: usize,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client; `CERTIFICATE_INVALID` when a PEM cannot be read.
    pub fn new(config: ClientConfig, policy: NetworkPolicy) -> Result<Self, Failure> {
        let policy = Arc::new(policy);
        let max_body = config.max_body;
        let inner = build(config, &policy, false)?;
        Ok(Self {
            inner,
            policy,
            max_body,
        })
    }

    /// Sends a request and reads the whole answer, within the limits.
    ///
    /// Errors: `HOST_REFUSED`, `URL_INVALID`, `HTTP_TIMEOUT`, `HTTP_CONNECT`, `HTTP_REDIRECT`,
    /// `HTTP_BODY_TOO_LARGE`, `HTTP_BODY_CUT`, `HTTP_FAILED`.
    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        let url = Url::parse(&request.url).map_err(|e| {
            Failure::new(
                Code::InvalidArgument,
                "URL_INVALID",
                format!("the URL cannot be used: {e}"),
            )
        })?;
        self.policy.check(&url)?;
        let mut call = self
            .inner
            .request(request.method, url)
            .headers(request.headers)
            .body(request.body);
        if let Some(timeout) = request.timeout {
            call = call.timeout(timeout);
        }
        let mut answer = call.send().await.map_err(|e| from_reqwest(&e))?;
        let too_large = || {
            Failure::new(
                Code::ResourceExhausted,
                "HTTP_BODY_TOO_LARGE",
                "the answer is larger than the limit",
            )
            .with("limit_bytes", self.max_body)
        };
        if answer
            .content_length()
            .is_some_and(|n| n > self.max_body as u64)
        {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| from_reqwest(&e))? {
            if body.len() + chunk.len() > self.max_body {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status: answer.status(),
            headers: std::mem::take(answer.headers_mut()),
            body: body.freeze(),
        })
    }
}

/// The client beneath, held to the policy. `upgrade` keeps it to HTTP/1.1, as a websocket needs.
pub(crate) fn build(
    config: ClientConfig,
    policy: &Arc<NetworkPolicy>,
    upgrade: bool,
) -> Result<reqwest::Client, Failure> {
    // Only the first call in a process has an effect, and all callers want the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let redirects = policy.clone();
    let mut builder = reqwest::Client::builder()
        .connect_timeout(config.connect_timeout)
        .timeout(config.timeout)
        .user_agent(config.user_agent)
        .dns_resolver(Arc::new(Guard(policy.clone())))
        .no_proxy()
        .referer(false)
        .redirect(redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                return attempt.error("too many redirects");
            }
            let same = attempt.previous().last().is_some_and(|from| {
                Origin::of_url(from).ok() == Origin::of_url(attempt.url()).ok()
            });
            // Headers with credentials travel along, so another origin is never followed.
            if same && redirects.check(attempt.url()).is_ok() {
                attempt.follow()
            } else {
                attempt.error("a redirect to another server is not followed")
            }
        }));
    if let Some(pem) = &config.ca_pem {
        for certificate in Certificate::from_pem_bundle(pem).map_err(|_| bad_pem("ca"))? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    if let Some(pem) = &config.identity_pem {
        builder = builder.identity(Identity::from_pem(pem).map_err(|_| bad_pem("identity"))?);
    }
    if upgrade {
        builder = builder.http1_only();
    }
    builder.build().map_err(|e| from_reqwest(&e))
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn bad_pem(which: &str) -> Failure {
    Failure::new(
        Code::InvalidArgument,
        "CERTIFICATE_INVALID",
        "a certificate cannot be read",
    )
    .with("which", which)
}

/// Says what happened without the URL: its query may hold a secret.
pub(crate) fn from_reqwest(error: &reqwest::Error) -> Failure {
    let (code, reason, message) = if error.is_timeout() {
        (
            Code::DeadlineExceeded,
            "HTTP_TIMEOUT",
            "the server took too long",
        )
    } else if error.is_redirect() {
        (
            Code::FailedPrecondition,
            "HTTP_REDIRECT",
            "the server redirects to where we do not follow",
        )
    } else if error.is_connect() {
        (
            Code::Unavailable,
            "HTTP_CONNECT",
            "the server cannot be reached",
        )
    } else if error.is_body() || error.is_decode() {
        (
            Code::Unavailable,
            "HTTP_BODY_CUT",
            "the answer broke off or cannot be decoded",
        )
    } else {
        (
            Code::Unavailable,
            "HTTP_FAILED",
            "the exchange with the server failed",
        )
    };
    Failure::new(code, reason, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_escaped_and_stand_before_the_fragment() {
        let request = Request::new(Method::GET, "http://x/a#f").query("a b", "1+2=三");
        assert_eq!(request.url(), "http://x/a?a%20b=1%2B2%3D%E4%B8%89#f");
        assert_eq!(
            request.query("c", "").url(),
            "http://x/a?a%20b=1%2B2%3D%E4%B8%89&c=#f"
        );
    }
}
