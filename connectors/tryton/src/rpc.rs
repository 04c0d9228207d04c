//! JSON-RPC calls with a session and the user's context.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jinke_sdk::{
    PullError, PullErrorKind,
    http::{
        Auth, Budget, Http, HttpParts, Login, Method, Request, Response, Safety, Session, Verdict,
        json, unreadable,
    },
};
use jinke_types::{Code, Failure, OsEntropy, SystemClock};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::config::TrytonConfig;

/// The language Tryton answers names in.
pub const LANGUAGE: &str = "zh_CN";
/// The method that opens a session.
pub const LOGIN: &str = "common.db.login";
/// The method that tells the user's company.
pub const PREFERENCES: &str = "model.res.user.get_preferences";

/// A Tryton server as one user.
#[derive(Clone)]
pub struct Rpc(Arc<Inner>);

struct Inner {
    http: Http,
    url: String,
    ids: AtomicU64,
    context: OnceCell<Value>,
}

impl Rpc {
    /// For a connection; does no I/O.
    pub fn new(config: &TrytonConfig) -> Result<Self, Failure> {
        let client = Http::client(&config.url, config.private_network, config.client.clone())?;
        let url = format!("{}/{}/rpc/", config.url, config.database);
        let budget = Arc::new(Budget::new(config.budget));
        let parts = |auth| HttpParts {
            client: client.clone(),
            auth,
            retry: config.retry,
            budget: budget.clone(),
            entropy: Arc::new(OsEntropy),
            clock: Arc::new(SystemClock),
        };
        let login = Password {
            http: Http::new(parts(Auth::None)),
            url: url.clone(),
            user: config.user.clone(),
            password: config.password.clone(),
        };
        Ok(Self(Arc::new(Inner {
            http: Http::new(parts(Auth::session(login))),
            url,
            ids: AtomicU64::new(1),
            context: OnceCell::new(),
        })))
    }

    /// Calls `model.<model>.<method>` with `params` and the user's context behind them. All
    /// methods called here read.
    pub async fn read(
        &self,
        model: &str,
        method: &str,
        params: Vec<Value>,
    ) -> Result<Value, PullError> {
        let context = self.context().await?.clone();
        let mut params = params;
        params.push(context);
        self.call(&format!("model.{model}.{method}"), params).await
    }

    /// The context: the user's company and language, and that inactive rows are wanted.
    async fn context(&self) -> Result<&Value, PullError> {
        let ask = || async {
            let told = self.call(PREFERENCES, vec![json!(true), json!({})]).await?;
            let told = told
                .as_object()
                .ok_or_else(|| unreadable("the user's preferences are no object"))?;
            let mut context = Map::new();
            for key in ["company", "companies", "company_filter", "language"] {
                if let Some(value) = told.get(key) {
                    context.insert(key.to_owned(), value.clone());
                }
            }
            context.insert("active_test".to_owned(), json!(false));
            Ok(Value::Object(context))
        };
        self.0.context.get_or_try_init(ask).await
    }

    async fn call(&self, method: &str, params: Vec<Value>) -> Result<Value, PullError> {
        let id = self.0.ids.fetch_add(1, Ordering::Relaxed);
        let request = request(&self.0.url, id, method, &Value::Array(params))?;
        let judge = |answer: &Response| judge(answer);
        self.0.http.call(&request, Safety::Repeatable, judge).await
    }
}

fn request(url: &str, id: u64, method: &str, params: &Value) -> Result<Request, PullError> {
    let body = json!({"id": id, "method": method, "params": params}).to_string();
    Request::new(Method::POST, url)
        .body(body)
        .header("content-type", "application/json")
        .map_err(|f| PullError::new(PullErrorKind::Unreadable, f))
}

/// Tryton answers 200 with an `error` list whose first item names the error.
fn judge(answer: &Response) -> Verdict<Value> {
    let mut body = match json(answer) {
        Ok(Value::Object(body)) => body,
        Ok(_) => return Verdict::Fail(unreadable("the answer is no JSON-RPC answer")),
        Err(error) => return Verdict::Fail(error),
    };
    if let Some(error) = body.get("error").filter(|e| !e.is_null()) {
        let name = error.get(0).and_then(Value::as_str).unwrap_or_default();
        return match name {
            // Two transactions met; the server asks to try again.
            "ConcurrencyException" => Verdict::Later(
                None,
                Failure::new(
                    Code::Unavailable,
                    "FOREIGN_UNAVAILABLE",
                    "the foreign system was busy with the same rows",
                ),
            ),
            "LoginException" | "RPCLoginException" => Verdict::Renew,
            _ => Verdict::Fail(refused(name)),
        };
    }
    match body.remove("result") {
        Some(result) => Verdict::Done(result),
        None => Verdict::Fail(unreadable("the answer has neither a result nor an error")),
    }
}

/// An error of Tryton. Its message may hold values of rows, so only a class name is passed on,
/// and only when it looks like one.
fn refused(name: &str) -> PullError {
    let class =
        name.len() <= 60 && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic());
    let failure = Failure::new(
        Code::FailedPrecondition,
        "FOREIGN_REFUSED",
        "Tryton answers the request with an error",
    )
    .with("error", if class { name } else { "another error" });
    PullError::new(PullErrorKind::Unreadable, failure)
}

struct Password {
    http: Http,
    url: String,
    user: String,
    password: String,
}

#[async_trait]
impl Login for Password {
    async fn login(&self) -> Result<Session, PullError> {
        let params = json!([self.user, {"password": self.password}, LANGUAGE]);
        let request = request(&self.url, 0, LOGIN, &params)?;
        let judge = |answer: &Response| judge(answer);
        let told = self.http.call(&request, Safety::Repeatable, judge).await?;
        // Older servers answer null to wrong credentials.
        if told.is_null() {
            return Err(PullError::new(
                PullErrorKind::Unauthorized,
                Failure::new(
                    Code::Unauthenticated,
                    "FOREIGN_UNAUTHORIZED",
                    "the foreign system does not accept the credentials",
                ),
            ));
        }
        let user = told.get(0).and_then(Value::as_i64);
        let token = told.get(1).and_then(Value::as_str);
        let (Some(user), Some(token)) = (user, token) else {
            return Err(unreadable("the answer to the login has no session"));
        };
        let secret = STANDARD.encode(format!("{}:{user}:{token}", self.user));
        Ok(Session {
            headers: vec![("authorization".to_owned(), format!("Session {secret}"))],
            expires: None,
        })
    }
}
