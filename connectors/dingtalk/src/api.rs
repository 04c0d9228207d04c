//! Calls of the new interfaces (token in a header, errors with a status and a `code`) and of the
//! old ones (token in the query, 200 with an `errcode`).
//!
//! | what DingTalk says | what becomes of it |
//! |---|---|
//! | `code` with `InvalidAuthentication`, or errcode 40014, 42001, 40001 | a new token, once |
//! | `code` with `QpsLimit` or `Throttling`, or errcode 88 about calls too often, 90002 to 90018 | waited for and repeated |
//! | errcode -1 | busy: repeated when the call may be |
//! | `code` that begins with `Forbidden`, or errcode 50002, 50004, 60011, 88 otherwise | `FOREIGN_FORBIDDEN` |
//! | others | `FOREIGN_REFUSED` with the code |

use std::sync::Arc;

use async_trait::async_trait;
use jinke_sdk::{
    PullError, PullErrorKind,
    http::{
        Auth, Budget, Http, HttpParts, Login, Method, Request, Response, Safety, Session, Verdict,
        json, unreadable,
    },
};
use jinke_types::{Clock, Code, Failure, OsEntropy, SystemClock};
use serde_json::{Map, Value};

use crate::config::DingtalkConfig;

/// A token is renewed this long before it ends, as DingTalk's own SDK does.
const EARLY: std::time::Duration = std::time::Duration::from_secs(300);
/// No member of that id.
pub const NO_MEMBER: [i64; 2] = [60121, 33012];
/// No department of that id.
pub const NO_DEPARTMENT: i64 = 60003;

type Body = Map<String, Value>;

/// An organization as one app.
#[derive(Clone)]
pub struct Api {
    new: Http,
    old: Http,
    /// Without a token: opening a channel, a robot's address.
    bare: Http,
    base: Arc<str>,
    old_base: Arc<str>,
}

impl Api {
    /// For a connection; does no I/O.
    pub fn new(config: &DingtalkConfig) -> Result<Self, Failure> {
        let client = Http::client(&config.url, config.private_network, config.client.clone())?;
        let old = Http::client(
            &config.old_url,
            config.private_network,
            config.client.clone(),
        )?;
        let budget = Arc::new(Budget::new(config.budget));
        let parts = |client: &jinke_sdk::http::Client, auth| HttpParts {
            client: client.clone(),
            auth,
            retry: config.retry,
            budget: budget.clone(),
            entropy: Arc::new(OsEntropy),
            clock: Arc::new(SystemClock),
        };
        let token = |old| Token {
            http: Http::new(parts(&client, Auth::None)),
            url: format!("{}/v1.0/oauth2/accessToken", config.url),
            key: config.app_key.clone(),
            secret: config.app_secret.clone(),
            old,
        };
        Ok(Self {
            new: Http::new(parts(&client, Auth::session(token(false)))),
            old: Http::new(parts(&old, Auth::session_in_query(token(true)))),
            bare: Http::new(parts(&old, Auth::None)),
            base: format!("{}/v1.0", config.url).into(),
            old_base: config.old_url.as_str().into(),
        })
    }

    /// `GET /v1.0/path?query`.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Body, PullError> {
        let mut request = Request::new(Method::GET, format!("{}{path}", self.base));
        for (name, value) in query {
            request = request.query(name, value);
        }
        self.new
            .call_first(&request, Safety::Repeatable, by_code, object)
            .await
    }

    /// `POST /v1.0/path` with a JSON body; it reads.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Body, PullError> {
        let request = with_json(format!("{}{path}", self.base), body)?;
        self.new
            .call_first(&request, Safety::Repeatable, by_code, object)
            .await
    }

    /// `POST path` of the old interfaces; the whole answer.
    pub async fn old(&self, path: &str, body: &Value) -> Result<Body, PullError> {
        let request = with_json(format!("{}{path}", self.old_base), body)?;
        self.old
            .call(&request, Safety::Repeatable, by_errcode)
            .await
    }

    /// `POST path?query` of the old interfaces without a token.
    pub async fn robot(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<Body, PullError> {
        let mut request = with_json(format!("{}{path}", self.old_base), body)?;
        for (name, value) in query {
            request = request.query(name, value);
        }
        self.bare.call(&request, Safety::Once, by_errcode).await
    }
}

fn with_json(url: String, body: &Value) -> Result<Request, PullError> {
    Request::new(Method::POST, url)
        .body(body.to_string())
        .header("content-type", "application/json")
        .map_err(|f| PullError::new(PullErrorKind::Unreadable, f))
}

/// The code with which DingTalk refused a call, of the new interfaces or the old.
pub fn refusal(error: &PullError) -> Option<&str> {
    let refused = matches!(
        error.failure.reason,
        "FOREIGN_REFUSED" | "FOREIGN_FORBIDDEN"
    );
    let code = error.failure.metadata.get("code").filter(|_| refused)?;
    Some(code)
}

/// The errcode with which the old interfaces refused a call.
pub fn errcode(error: &PullError) -> Option<i64> {
    refusal(error)?.parse().ok()
}

fn object<T: From<Body>>(answer: &Response) -> Verdict<T> {
    match json(answer) {
        Ok(Value::Object(body)) => Verdict::Done(body.into()),
        Ok(_) => Verdict::Fail(unreadable("the answer is no object")),
        Err(error) => Verdict::Fail(error),
    }
}

/// What the body of a 4xx says. Its message may hold values, so only its code is passed on.
fn by_code<T>(answer: &Response) -> Option<Verdict<T>> {
    if !(400..500).contains(&answer.status.as_u16()) {
        return None;
    }
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let code = body.get("code")?.as_str()?;
    let plain = code.len() <= 80 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    let shown = if plain { code } else { "another code" };
    Some(if code.contains("InvalidAuthentication") {
        Verdict::Renew
    } else if code.contains("QpsLimit") || code.contains("Throttling") {
        Verdict::Throttled(None)
    } else if code.starts_with("Forbidden") {
        Verdict::Fail(forbidden(shown))
    } else {
        Verdict::Fail(refused(shown))
    })
}

fn by_errcode(answer: &Response) -> Verdict<Body> {
    let body: Body = match object(answer) {
        Verdict::Done(body) => body,
        other => return other,
    };
    let Some(code) = body.get("errcode").and_then(Value::as_i64) else {
        return Verdict::Fail(unreadable("the answer has no errcode"));
    };
    let sub = body.get("sub_code").and_then(Value::as_str);
    match code {
        0 => Verdict::Done(body),
        40001 | 40014 | 42001 => Verdict::Renew,
        90002..=90018 | 130101 => Verdict::Throttled(None),
        88 if sub.is_some_and(|s| s.starts_with("9000") || s.contains("QpsLimit")) => {
            Verdict::Throttled(None)
        }
        -1 => Verdict::Later(
            None,
            Failure::new(
                Code::Unavailable,
                "FOREIGN_UNAVAILABLE",
                "DingTalk is busy; it did nothing",
            )
            .with("code", -1),
        ),
        88 | 50002 | 50004 | 60011 => Verdict::Fail(forbidden(&code.to_string())),
        _ => Verdict::Fail(refused(&code.to_string())),
    }
}

fn forbidden(code: &str) -> PullError {
    let failure = Failure::new(
        Code::PermissionDenied,
        "FOREIGN_FORBIDDEN",
        "the app may not do this, or does not see these members",
    );
    PullError::new(PullErrorKind::Unauthorized, failure.with("code", code))
}

fn refused(code: &str) -> PullError {
    let failure = Failure::new(
        Code::FailedPrecondition,
        "FOREIGN_REFUSED",
        "DingTalk refuses the request",
    );
    PullError::new(PullErrorKind::Unreadable, failure.with("code", code))
}

struct Token {
    http: Http,
    url: String,
    key: String,
    secret: String,
    old: bool,
}

#[async_trait]
impl Login for Token {
    async fn login(&self) -> Result<Session, PullError> {
        let body = serde_json::json!({"appKey": self.key, "appSecret": self.secret});
        let request = with_json(self.url.clone(), &body)?;
        // Whatever DingTalk has against the key or the secret, nobody should try again and again.
        let wrong = |answer: &Response| -> Option<Verdict<Body>> {
            if !matches!(answer.status.as_u16(), 400 | 401 | 403) {
                return None;
            }
            if let Some(Verdict::Throttled(time)) = by_code::<Body>(answer) {
                return Some(Verdict::Throttled(time));
            }
            Some(Verdict::Fail(PullError::new(
                PullErrorKind::Unauthorized,
                Failure::new(
                    Code::Unauthenticated,
                    "FOREIGN_UNAUTHORIZED",
                    "DingTalk does not accept the app key or secret",
                ),
            )))
        };
        let told = self
            .http
            .call_first(&request, Safety::Repeatable, wrong, object::<Body>)
            .await?;
        let token = told.get("accessToken").and_then(Value::as_str);
        let token = token
            .filter(|t| !t.is_empty() && t.len() <= 1_024)
            .ok_or_else(|| unreadable("the answer has no accessToken"))?;
        let seconds = told.get("expireIn").and_then(Value::as_u64).unwrap_or(0);
        let lives = std::time::Duration::from_secs(seconds.min(86_400)).saturating_sub(EARLY);
        let name = if self.old {
            "access_token"
        } else {
            "x-acs-dingtalk-access-token"
        };
        Ok(Session {
            headers: vec![(name.to_owned(), token.to_owned())],
            expires: (!lives.is_zero()).then(|| SystemClock.now().plus(lives)),
        })
    }
}

/// A list under `key`.
pub fn list<'a>(body: &'a Body, key: &str) -> Result<&'a [Value], PullError> {
    body.get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .ok_or_else(|| unreadable(format!("the answer has no list {key}")))
}

/// The object under `result`.
pub fn result(body: &Body) -> Result<&Body, PullError> {
    body.get("result")
        .and_then(Value::as_object)
        .ok_or_else(|| unreadable("the answer has no result"))
}
