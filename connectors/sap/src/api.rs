//! The calls: lists with links to their next page, descriptions, and writes with the token
//! against forged requests.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jinke_sdk::{
    PullError, PullErrorKind,
    http::{
        Auth, Budget, Http, HttpParts, Login, Method, Request, Response, Safety, Session, Verdict,
        json, unreadable,
    },
};
use jinke_types::{Clock as _, Code, Failure, OsEntropy, SystemClock};
use serde_json::{Map, Value, json};

use crate::{
    config::{Proof, SapConfig},
    metadata::{self, EntitySet},
    wire::{escaped, follow},
};

/// A row of a set.
pub type Entity = Map<String, Value>;

/// One page of a list.
#[derive(Debug)]
pub struct List {
    /// Its rows.
    pub rows: Vec<Entity>,
    /// The link to the next page, as it came.
    pub next: Option<String>,
}

/// An SAP server as one user. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    http: Http,
    url: String,
    common: String,
}

/// What must be sent with a write.
#[derive(Clone, Debug)]
struct Ticket {
    token: String,
    cookies: String,
}

fn refused(failure: Failure) -> PullError {
    PullError::new(PullErrorKind::Unreadable, failure)
}

impl Api {
    /// For a connection; does no I/O.
    pub fn new(config: &SapConfig) -> Result<Self, Failure> {
        let client = Http::client(&config.url, config.private_network, config.client.clone())?;
        let budget = Arc::new(Budget::new(config.budget));
        let parts = |client, auth| HttpParts {
            client,
            auth,
            retry: config.retry,
            budget: budget.clone(),
            entropy: Arc::new(OsEntropy),
            clock: Arc::new(SystemClock),
        };
        let auth = match &config.proof {
            Proof::Basic { user, password } => {
                let secret = STANDARD.encode(format!("{user}:{password}"));
                Auth::Headers(vec![(
                    "authorization".to_owned(),
                    format!("Basic {secret}"),
                )])
            }
            Proof::Client {
                token_url,
                id,
                secret,
            } => {
                // Tokens may be given by another server, to which nothing else is sent.
                let giver = Http::client(token_url, config.private_network, config.client.clone())?;
                Auth::session(Tokens {
                    http: Http::new(parts(giver, Auth::None)),
                    url: token_url.clone(),
                    secret: STANDARD.encode(format!("{id}:{secret}")),
                })
            }
        };
        let mut common = format!("sap-language={}", escaped(&config.language));
        if !config.client_number.is_empty() {
            common.push_str(&format!("&sap-client={}", config.client_number));
        }
        Ok(Self(Arc::new(Inner {
            http: Http::new(parts(client, auth)),
            url: config.url.clone(),
            common,
        })))
    }

    fn service(&self, service: &str) -> String {
        format!("{}/{service}", self.0.url)
    }

    async fn get<T>(
        &self,
        url: &str,
        accept: &str,
        judge: impl Fn(&Response) -> Verdict<T>,
    ) -> Result<T, PullError> {
        let request = Request::new(Method::GET, url)
            .header("accept", accept)
            .map_err(refused)?;
        self.0.http.call(&request, Safety::Repeatable, judge).await
    }

    /// The first page of a list; `options` are names and values that are not escaped yet.
    pub async fn list(
        &self,
        service: &str,
        set: &str,
        options: &[(&str, String)],
    ) -> Result<List, PullError> {
        let mut url = format!(
            "{}/{set}?$format=json&{}",
            self.service(service),
            self.0.common
        );
        for (name, value) in options {
            url.push_str(&format!("&{name}={}", escaped(value)));
        }
        self.get(&url, "application/json", list).await
    }

    /// The page that a link leads to.
    pub async fn next(&self, service: &str, link: &str) -> Result<List, PullError> {
        let url = follow(&self.service(service), link)
            .ok_or_else(|| unreadable("the link to the next page leads out of the service"))?;
        self.get(&url, "application/json", list).await
    }

    /// How a service describes a set.
    pub async fn describe(&self, service: &str, set: &str) -> Result<EntitySet, PullError> {
        let url = format!("{}/$metadata?{}", self.service(service), self.0.common);
        let judge = |answer: &Response| {
            let text = std::str::from_utf8(&answer.body).ok();
            match text.and_then(|xml| metadata::read(xml, set)) {
                Some(read) => Verdict::Done(read),
                None => Verdict::Fail(unreadable(format!("the service does not describe {set}"))),
            }
        };
        self.get(&url, "application/xml", judge).await
    }

    /// The token for writes, with the session it belongs to. It is asked for before each write, so
    /// it never is too old.
    async fn ticket(&self, service: &str) -> Result<Ticket, PullError> {
        let url = format!("{}/?{}", self.service(service), self.0.common);
        let request = Request::new(Method::GET, url)
            .header("accept", "application/json")
            .and_then(|r| r.header("x-csrf-token", "Fetch"))
            .map_err(refused)?;
        let judge = |answer: &Response| {
            let Some(token) = answer.header("x-csrf-token") else {
                return Verdict::Fail(unreadable("the answer has no token for writes"));
            };
            let set = answer.headers.get_all("set-cookie").iter();
            let cookies: Vec<&str> = set
                .filter_map(|c| c.to_str().ok()?.split(';').next())
                .map(str::trim)
                .collect();
            Verdict::Done(Ticket {
                token: token.to_owned(),
                cookies: cookies.join("; "),
            })
        };
        self.0.http.call(&request, Safety::Repeatable, judge).await
    }

    /// Creates a row, with rows that hang on it. It is not repeated when nobody knows what became
    /// of it.
    pub async fn create(&self, service: &str, set: &str, row: &Value) -> Result<Entity, PullError> {
        let ticket = self.ticket(service).await?;
        let url = format!("{}/{set}?{}", self.service(service), self.0.common);
        let request = write(Method::POST, &url, &ticket, row)?;
        self.0.http.call(&request, Safety::Once, one).await
    }

    /// Changes properties of a row, if it still is what `etag` says.
    pub async fn change(
        &self,
        service: &str,
        row: &str,
        etag: &str,
        changes: &Value,
    ) -> Result<(), PullError> {
        let ticket = self.ticket(service).await?;
        let url = format!("{}/{row}?{}", self.service(service), self.0.common);
        let request = write(Method::PATCH, &url, &ticket, changes)?
            .header("if-match", etag)
            .map_err(refused)?;
        let judge = |_: &Response| Verdict::Done(());
        // Sent again it would meet the row it changed itself; the next attempt reads the row anew.
        self.0.http.call(&request, Safety::Once, judge).await
    }
}

fn write(method: Method, url: &str, ticket: &Ticket, body: &Value) -> Result<Request, PullError> {
    let mut request = Request::new(method, url)
        .body(body.to_string())
        .header("accept", "application/json")
        .and_then(|r| r.header("content-type", "application/json"))
        .and_then(|r| r.header("x-csrf-token", &ticket.token))
        .map_err(refused)?;
    if !ticket.cookies.is_empty() {
        request = request.header("cookie", &ticket.cookies).map_err(refused)?;
    }
    Ok(request)
}

/// A list; a server may leave out `results` of an old style.
fn list(answer: &Response) -> Verdict<List> {
    let read = || {
        let mut body = json(answer)?;
        let d = body
            .get_mut("d")
            .map(Value::take)
            .ok_or_else(|| unreadable("the answer has no d"))?;
        let (rows, next) = match d {
            Value::Array(rows) => (rows, None),
            Value::Object(mut d) => {
                let next = match d.remove("__next") {
                    Some(Value::String(link)) => Some(link).filter(|l| !l.is_empty()),
                    None | Some(Value::Null) => None,
                    Some(_) => return Err(unreadable("the link to the next page is no text")),
                };
                match d.remove("results") {
                    Some(Value::Array(rows)) => (rows, next),
                    _ => return Err(unreadable("the answer has no list of rows")),
                }
            }
            _ => return Err(unreadable("the answer has no list of rows")),
        };
        let row = |row| match row {
            Value::Object(row) => Ok(row),
            _ => Err(unreadable("a row is no object")),
        };
        Ok(List {
            rows: rows.into_iter().map(row).collect::<Result<_, _>>()?,
            next,
        })
    };
    read().map_or_else(Verdict::Fail, Verdict::Done)
}

/// One row.
fn one(answer: &Response) -> Verdict<Entity> {
    match json(answer).map(|mut body| body.get_mut("d").map(Value::take)) {
        Ok(Some(Value::Object(row))) => Verdict::Done(row),
        Ok(_) => Verdict::Fail(unreadable("the answer has no row")),
        Err(error) => Verdict::Fail(error),
    }
}

/// Gets tokens by the grant `client_credentials` (RFC 6749, 4.4).
struct Tokens {
    http: Http,
    url: String,
    secret: String,
}

/// A token is renewed this much before it ends.
const EARLY: std::time::Duration = std::time::Duration::from_secs(30);

#[async_trait]
impl Login for Tokens {
    async fn login(&self) -> Result<Session, PullError> {
        let request = Request::new(Method::POST, &self.url)
            .body("grant_type=client_credentials")
            .header("content-type", "application/x-www-form-urlencoded")
            .and_then(|r| r.header("authorization", &format!("Basic {}", self.secret)))
            .map_err(refused)?;
        let judge = |answer: &Response| match json(answer) {
            Ok(told) => Verdict::Done(told),
            Err(error) => Verdict::Fail(error),
        };
        let told = self.http.call(&request, Safety::Repeatable, judge).await;
        let told = told.map_err(|error| match error.failure.metadata.get("status") {
            // RFC 6749, 5.2: wrong credentials of the client.
            Some(status) if status == "400" => PullError::new(
                PullErrorKind::Unauthorized,
                Failure::new(
                    Code::Unauthenticated,
                    "FOREIGN_UNAUTHORIZED",
                    "the foreign system does not accept the credentials",
                ),
            ),
            _ => error,
        })?;
        let token = told.get("access_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| unreadable("the answer to the login has no token"))?;
        let lasts = told.get("expires_in").and_then(Value::as_u64);
        let expires = lasts.map(|seconds| {
            let lasts = std::time::Duration::from_secs(seconds.min(86_400 * 365));
            SystemClock.now().plus(lasts).minus(EARLY)
        });
        Ok(Session {
            headers: vec![("authorization".to_owned(), format!("Bearer {token}"))],
            expires,
        })
    }
}

/// What a row that is to be sent is made of: properties that are not blank.
pub fn properties(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let filled = pairs.into_iter().filter(|(_, v)| !v.is_null());
    json!(
        filled
            .map(|(k, v)| (k.to_owned(), v))
            .collect::<Map<_, _>>()
    )
}
