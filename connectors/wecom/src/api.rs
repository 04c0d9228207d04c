//! Calls with an access token, and what WeCom's error codes mean.
//!
//! WeCom answers 200 to almost everything; `errcode` in the body says what became of it.
//!
//! | errcode | what becomes of it |
//! |---|---|
//! | 0 | the answer |
//! | 40014, 42001, and 40001 of a call that carried a token | a new token, once |
//! | 40001, 40013 of `gettoken` | `FOREIGN_UNAUTHORIZED` |
//! | 45009, 45011, 45033 | waited for and repeated |
//! | -1 | busy: repeated when the call may be |
//! | 48001, 48002, 60011, 84014, 301002 | `FOREIGN_FORBIDDEN` |
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

use crate::config::WecomConfig;

/// A token is renewed this long before it ends, so that no call carries one that ends on the way.
const EARLY: std::time::Duration = std::time::Duration::from_secs(300);
/// No external contact of that id, or nobody follows it (any more).
pub const NO_CONTACT: i64 = 84061;
/// The member has no external contact.
pub const NO_CONTACTS: i64 = 84061;
/// No member of that id.
pub const NO_MEMBER: i64 = 60111;
/// No department of that id.
pub const NO_DEPARTMENT: i64 = 60123;
/// No department of that id, as older interfaces say it.
pub const NO_PARTY: i64 = 60003;

/// A corp as one app.
#[derive(Clone)]
pub struct Api {
    http: Http,
    base: Arc<str>,
}

impl Api {
    /// For a connection; does no I/O.
    pub fn new(config: &WecomConfig) -> Result<Self, Failure> {
        let client = Http::client(&config.url, config.private_network, config.client.clone())?;
        let base: Arc<str> = format!("{}/cgi-bin/", config.url).into();
        let budget = Arc::new(Budget::new(config.budget));
        let parts = |auth| HttpParts {
            client: client.clone(),
            auth,
            retry: config.retry,
            budget: budget.clone(),
            entropy: Arc::new(OsEntropy),
            clock: Arc::new(SystemClock),
        };
        let login = Token {
            http: Http::new(parts(Auth::None)),
            request: Request::new(Method::GET, format!("{base}gettoken"))
                .query("corpid", &config.corp_id)
                .query("corpsecret", &config.secret),
        };
        Ok(Self {
            http: Http::new(parts(Auth::session_in_query(login))),
            base,
        })
    }

    /// `GET path?query`.
    pub async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Map<String, Value>, PullError> {
        let mut request = Request::new(Method::GET, format!("{}{path}", self.base));
        for (name, value) in query {
            request = request.query(name, value);
        }
        self.call(&request, Safety::Repeatable).await
    }

    /// `POST path` with a JSON body.
    pub async fn post(
        &self,
        path: &str,
        body: &Value,
        safety: Safety,
    ) -> Result<Map<String, Value>, PullError> {
        let request = Request::new(Method::POST, format!("{}{path}", self.base))
            .body(body.to_string())
            .header("content-type", "application/json")
            .map_err(|f| PullError::new(PullErrorKind::Unreadable, f))?;
        self.call(&request, safety).await
    }

    async fn call(
        &self,
        request: &Request,
        safety: Safety,
    ) -> Result<Map<String, Value>, PullError> {
        self.http
            .call(request, safety, |answer: &Response| judge(answer, false))
            .await
    }
}

/// The errcode with which WeCom refused a call.
pub fn errcode(error: &PullError) -> Option<i64> {
    if error.failure.reason != "FOREIGN_REFUSED" {
        return None;
    }
    error.failure.metadata.get("errcode")?.parse().ok()
}

fn judge(answer: &Response, login: bool) -> Verdict<Map<String, Value>> {
    let body = match json(answer) {
        Ok(Value::Object(body)) => body,
        Ok(_) => return Verdict::Fail(unreadable("the answer is no object")),
        Err(error) => return Verdict::Fail(error),
    };
    let Some(code) = body.get("errcode").and_then(Value::as_i64) else {
        return Verdict::Fail(unreadable("the answer has no errcode"));
    };
    let refuse = |kind, code, reason, message: &str| {
        let failure = Failure::new(code, reason, message);
        let told = body.get("errcode").map(ToString::to_string);
        Verdict::Fail(PullError::new(
            kind,
            failure.with("errcode", told.unwrap_or_default()),
        ))
    };
    match code {
        0 => Verdict::Done(body),
        40001 | 40013 if login => refuse(
            PullErrorKind::Unauthorized,
            Code::Unauthenticated,
            "FOREIGN_UNAUTHORIZED",
            "WeCom does not accept the corp id or the secret",
        ),
        40001 | 40014 | 42001 => Verdict::Renew,
        45009 | 45011 | 45033 => Verdict::Throttled(None),
        -1 => Verdict::Later(
            None,
            Failure::new(
                Code::Unavailable,
                "FOREIGN_UNAVAILABLE",
                "WeCom is busy; it did nothing",
            )
            .with("errcode", -1),
        ),
        48001 | 48002 | 60011 | 84014 | 301002 => refuse(
            PullErrorKind::Unauthorized,
            Code::PermissionDenied,
            "FOREIGN_FORBIDDEN",
            "the app may not do this, or does not see these members",
        ),
        _ => refuse(
            PullErrorKind::Unreadable,
            Code::FailedPrecondition,
            "FOREIGN_REFUSED",
            "WeCom refuses the request",
        ),
    }
}

struct Token {
    http: Http,
    request: Request,
}

#[async_trait]
impl Login for Token {
    async fn login(&self) -> Result<Session, PullError> {
        let told = self
            .http
            .call(&self.request, Safety::Repeatable, |a: &Response| {
                judge(a, true)
            })
            .await?;
        let token = told.get("access_token").and_then(Value::as_str);
        let token = token
            .filter(|t| !t.is_empty() && t.len() <= 1_024)
            .ok_or_else(|| unreadable("the answer to gettoken has no access_token"))?;
        let seconds = told.get("expires_in").and_then(Value::as_u64).unwrap_or(0);
        let lives = std::time::Duration::from_secs(seconds.min(86_400)).saturating_sub(EARLY);
        Ok(Session {
            headers: vec![("access_token".to_owned(), token.to_owned())],
            // A token of unknown or very short life is used until it is refused.
            expires: (!lives.is_zero()).then(|| SystemClock.now().plus(lives)),
        })
    }
}

/// A list of texts under `key`.
pub fn texts(body: &Map<String, Value>, key: &str) -> Result<Vec<String>, PullError> {
    let list = list(body, key)?;
    let texts: Option<Vec<String>> = list.iter().map(|v| v.as_str().map(str::to_owned)).collect();
    texts.ok_or_else(|| unreadable(format!("{key} holds what is no text")))
}

/// A list under `key`.
pub fn list<'a>(body: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], PullError> {
    body.get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .ok_or_else(|| unreadable(format!("the answer has no list {key}")))
}
