//! A small SAP in memory: the part of OData V2 that the connector speaks, with the habits of the
//! real system that matter. It shares no code with the client, so that a mistake in one does not
//! hide in the other.
//!
//! What it does like the real one: a server's own page size, with a `__next` that names the
//! server by an inner name and carries a token that must come back unchanged; dates without a
//! time and times without a date; decimals as text; numbers with zeros before them; links that
//! are deferred unless expanded; writes only with the token against forged requests, and changes
//! only with `If-Match`; no last change on a row that was never changed.

mod filter;
mod schema;
mod seed;
mod write;

pub use seed::NOW;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jinke_sdk::testing::{FakeRequest, FakeResponse, FakeServer};
use jinke_types::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use schema::{LINKS, PROPERTIES, SETS};

/// Name of the only user.
pub const USER: &str = "JINKE";
/// The user's password.
pub const PASSWORD: &str = "sim-password";
/// Id of the only OAuth client.
pub const CLIENT: &str = "jinke-client";
/// Its secret.
pub const SECRET: &str = "sim-secret";
/// Path of the services.
pub const PATH: &str = "/sap/opu/odata/sap";
/// A page holds at most this many rows, whatever is asked for.
pub const PAGE: usize = 20;

/// A row; links hold lists of rows.
pub type Row = Map<String, Value>;

/// A running simulator.
pub struct Simulator {
    world: Arc<Mutex<World>>,
    server: FakeServer,
}

/// The sets, tokens and sessions.
#[derive(Default)]
pub(crate) struct World {
    sets: BTreeMap<&'static str, BTreeMap<String, Row>>,
    tokens: BTreeSet<String>,
    logins: u64,
    /// Sessions with their token against forged requests.
    sessions: BTreeMap<String, String>,
    versions: u64,
    creations: u64,
    drift: bool,
    now: Timestamp,
}

/// An error: status, code, text.
pub(crate) struct Refused(pub u16, pub &'static str, pub &'static str);

impl Simulator {
    /// An empty one.
    pub async fn start() -> io::Result<Self> {
        let world = Arc::new(Mutex::new(World {
            now: NOW,
            ..World::default()
        }));
        let inside = world.clone();
        let server = FakeServer::start(move |request| {
            let mut world = inside.lock().unwrap_or_else(PoisonError::into_inner);
            world.answer(request)
        })
        .await?;
        Ok(Self { world, server })
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server, to script faults.
    pub const fn server(&self) -> &FakeServer {
        &self.server
    }

    /// Address of the services.
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.server.url())
    }

    /// Where tokens are given.
    pub fn token_url(&self) -> String {
        format!("{}/oauth/token", self.server.url())
    }

    /// Changes properties of a row at `at`.
    pub fn write(&self, set: &str, number: &str, changes: Value, at: Timestamp) {
        let mut world = self.world();
        if let (Some(row), Value::Object(changes)) = (world.row(set, number), changes) {
            row.extend(changes);
            touch(row, at);
        }
    }

    /// Deletes a row without a trace.
    pub fn delete(&self, set: &str, number: &str) {
        if let Some(rows) = self.world().sets.get_mut(set) {
            rows.remove(number);
        }
    }

    /// A copy of a row.
    pub fn row(&self, set: &str, number: &str) -> Option<Row> {
        self.world().row(set, number).cloned()
    }

    /// How many rows a set has.
    pub fn count(&self, set: &str) -> usize {
        self.world().sets.get(set).map_or(0, BTreeMap::len)
    }

    /// Ends all sessions and tokens.
    pub fn end_sessions(&self) {
        let mut world = self.world();
        world.tokens.clear();
        world.sessions.clear();
    }

    /// Tokens given so far.
    pub fn logins(&self) -> u64 {
        self.world().logins
    }

    /// Rows created over the API so far.
    pub fn creations(&self) -> u64 {
        self.world().creations
    }

    /// Takes a property of each set away, makes another binary and adds a new one.
    pub fn drift(&self, on: bool) {
        self.world().drift = on;
    }
}

/// Midnight of the day of `at` in the system's zone, +08:00, as SAP writes a date.
pub fn date(at: Timestamp) -> Value {
    let day = (at.secs() + 8 * 3_600).div_euclid(86_400);
    json!(format!("/Date({})/", day * 86_400_000))
}

/// The time of day of `at` in the system's zone.
pub fn time(at: Timestamp) -> Value {
    let s = (at.secs() + 8 * 3_600).rem_euclid(86_400);
    json!(format!(
        "PT{:02}H{:02}M{:02}S",
        s / 3_600,
        s / 60 % 60,
        s % 60
    ))
}

/// A moment.
pub fn moment(at: Timestamp) -> Value {
    json!(format!("/Date({}+0000)/", at.0.div_euclid(1_000)))
}

fn touch(row: &mut Row, at: Timestamp) {
    if row.contains_key("BusinessPartner") {
        row.insert("LastChangeDate".to_owned(), date(at));
        row.insert("LastChangeTime".to_owned(), time(at));
    } else {
        row.insert("LastChangeDateTime".to_owned(), moment(at));
    }
    let version = row.get("version").and_then(Value::as_u64).unwrap_or(0);
    row.insert("version".to_owned(), json!(version + 1));
}

fn error(refused: &Refused) -> FakeResponse {
    let Refused(status, code, text) = refused;
    let body = json!({"error": {
        "code": code, "message": {"lang": "zh", "value": text},
        "innererror": {"errordetails": [{"code": code, "message": text, "severity": "error"}]},
    }});
    FakeResponse {
        status: *status,
        ..FakeResponse::json(&body)
    }
}

/// The options of a query.
fn options(query: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

impl World {
    fn row(&mut self, set: &str, number: &str) -> Option<&mut Row> {
        self.sets.get_mut(set)?.get_mut(number)
    }

    fn answer(&mut self, request: &FakeRequest) -> FakeResponse {
        if request.target == "/oauth/token" {
            return self.give_token(request);
        }
        if !self.known(request) {
            let mut response = FakeResponse::status(401);
            let header = (
                "www-authenticate".to_owned(),
                "Basic realm=\"SAP\"".to_owned(),
            );
            response.headers.push(header);
            return response;
        }
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let rest = path.strip_prefix(PATH).and_then(|p| p.strip_prefix('/'));
        let Some((service, rest)) = rest.and_then(|r| r.split_once('/')) else {
            return error(&Refused(404, "/IWFND/MED/170", "找不到服务"));
        };
        if !SETS.iter().any(|s| s.service == service) {
            return error(&Refused(403, "/IWFND/MED/170", "没有服务的权限"));
        }
        let told = match (&*request.method, rest) {
            ("GET", "$metadata") => Ok(self.metadata(service)),
            ("GET", "") => Ok(self.root(request)),
            ("GET", set) => self.list(service, set, query),
            ("POST" | "PATCH" | "MERGE", _) if !self.genuine(request) => {
                let mut response = FakeResponse::status(403);
                let header = ("x-csrf-token".to_owned(), "Required".to_owned());
                response.headers.push(header);
                Ok(response)
            }
            ("POST", set) => self.create(set, &request.body),
            ("PATCH" | "MERGE", row) => self.change(row, request),
            _ => Err(Refused(
                405,
                "005056A509B11EE1B9A8FEC11C21578E",
                "方法不允许",
            )),
        };
        told.unwrap_or_else(|refused| error(&refused))
    }

    fn give_token(&mut self, request: &FakeRequest) -> FakeResponse {
        let want = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
        let granted = request.body == b"grant_type=client_credentials";
        if request.header("authorization") != Some(&want) || !granted {
            let body = json!({"error": "invalid_client"});
            return FakeResponse {
                status: 401,
                ..FakeResponse::json(&body)
            };
        }
        self.logins += 1;
        let token = format!("token{}", self.logins);
        self.tokens.insert(token.clone());
        let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": 43_199});
        FakeResponse::json(&body)
    }

    fn known(&self, request: &FakeRequest) -> bool {
        let header = request.header("authorization").unwrap_or_default();
        let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
        let token = header.strip_prefix("Bearer ").unwrap_or_default();
        header == basic || self.tokens.contains(token)
    }

    fn session(request: &FakeRequest) -> &str {
        let cookies = request.header("cookie").unwrap_or_default().split(';');
        let mut found = cookies.filter_map(|c| c.trim().strip_prefix("SAP_SESSIONID="));
        found.next().unwrap_or_default()
    }

    fn genuine(&self, request: &FakeRequest) -> bool {
        let token = self.sessions.get(Self::session(request));
        token.is_some() && token.map(String::as_str) == request.header("x-csrf-token")
    }

    fn root(&mut self, request: &FakeRequest) -> FakeResponse {
        let mut response = FakeResponse::json(&json!({"d": {"EntitySets": []}}));
        if request
            .header("x-csrf-token")
            .is_some_and(|t| t.eq_ignore_ascii_case("fetch"))
        {
            self.versions += 1;
            let id = format!("s{:08}", self.versions);
            let token = STANDARD.encode(format!("csrf{}", self.versions));
            self.sessions.insert(id.clone(), token.clone());
            let cookie = format!("SAP_SESSIONID={id}; path=/; HttpOnly");
            response.headers.push(("set-cookie".to_owned(), cookie));
            let other = "sap-usercontext=sap-client=100; path=/".to_owned();
            response.headers.push(("set-cookie".to_owned(), other));
            response.headers.push(("x-csrf-token".to_owned(), token));
        }
        response
    }

    fn metadata(&self, service: &str) -> FakeResponse {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><edmx:Edmx><Schema>");
        for set in SETS.iter().filter(|s| s.service == service) {
            xml.push_str(&format!("<EntityType Name=\"{}Type\"><Key/>", set.name));
            for p in PROPERTIES.iter().filter(|p| p.set == set.name) {
                let kind = match (self.drift, p.drift) {
                    (true, "gone") => continue,
                    (true, "retyped") => "Binary",
                    _ => p.kind,
                };
                xml.push_str(&format!(
                    "<Property Name=\"{}\" Type=\"Edm.{kind}\"/>",
                    p.name
                ));
            }
            if self.drift {
                xml.push_str("<Property Name=\"YY1_New_bus\" Type=\"Edm.String\"/>");
            }
            for (of, link) in LINKS.iter().filter(|(of, _)| *of == set.name) {
                xml.push_str(&format!(
                    "<NavigationProperty Name=\"{link}\" Relationship=\"{of}\"/>"
                ));
            }
            xml.push_str("</EntityType>");
        }
        xml.push_str("<EntityContainer>");
        for set in SETS.iter().filter(|s| s.service == service) {
            xml.push_str(&format!(
                "<EntitySet Name=\"{0}\" EntityType=\"{service}.{0}Type\"/>",
                set.name
            ));
        }
        xml.push_str("</EntityContainer></Schema></edmx:Edmx>");
        FakeResponse {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/xml".to_owned())],
            body: xml.into_bytes(),
        }
    }

    fn list(&self, service: &str, name: &str, query: &str) -> Result<FakeResponse, Refused> {
        let set = SETS.iter().find(|s| s.name == name && s.service == service);
        let set = set.ok_or(Refused(
            404,
            "005056A509B11EE1B9A8FEC11C21578E",
            "找不到资源",
        ))?;
        let options = options(query);
        let option = |name: &str| options.get(name).map(String::as_str).unwrap_or_default();
        let filter = filter::parse(option("$filter")).ok_or(Refused(
            400,
            "005056A509B11ED19BEB6513D2A1E2E0",
            "过滤条件无效",
        ))?;
        let columns = |name: &str| {
            let known = PROPERTIES
                .iter()
                .find(|p| p.set == set.name && p.name == name);
            known.is_some_and(|p| !(self.drift && p.drift == "gone"))
        };
        let wrong = Refused(400, "005056A509B11EE1B9A8FEC11C21D78E", "属性不存在");
        let order = option("$orderby");
        let by: Vec<(&str, bool)> = order
            .split(',')
            .filter(|b| !b.is_empty())
            .map(|b| {
                b.trim()
                    .split_once(' ')
                    .map_or((b.trim(), false), |(n, d)| (n, d == "desc"))
            })
            .collect();
        let named = filter.names().into_iter().chain(by.iter().map(|(n, _)| *n));
        if !named.into_iter().all(columns) {
            return Err(wrong);
        }
        let empty = BTreeMap::new();
        let rows = self.sets.get(set.name).unwrap_or(&empty).values();
        let mut rows: Vec<&Row> = rows.filter(|row| filter.holds(row)).collect();
        for (name, down) in by.iter().rev() {
            let key = |row: &&Row| filter::key(row.get(*name).unwrap_or(&Value::Null));
            rows.sort_by_key(key);
            if *down {
                rows.reverse();
            }
        }
        let all = rows.len();
        let top = option("$top").parse().unwrap_or(usize::MAX);
        // The token says where to go on, and has signs that must come back as they are.
        let start = match options.get("$skiptoken") {
            Some(token) => token
                .strip_prefix("D/+=")
                .and_then(|t| t.parse().ok())
                .ok_or(Refused(400, "005056A509B11EE1B9A8FEC11C21578E", "令牌无效"))?,
            None => 0,
        };
        let page: Vec<Value> = rows
            .iter()
            .take(top)
            .skip(start)
            .take(PAGE)
            .map(|row| self.shown(set.name, row, option("$expand"), option("$select")))
            .collect();
        let to = start + page.len();
        let mut d = json!({"results": page});
        if option("$inlinecount") == "allpages" {
            d["__count"] = json!(all.to_string());
        }
        if to < all.min(top) && to > start {
            let kept: Vec<&str> = query
                .split('&')
                .filter(|p| !p.starts_with("$skiptoken="))
                .collect();
            let kept = kept.join("&");
            d["__next"] = json!(format!(
                "http://inner-sap:8000{PATH}/{service}/{name}?{kept}&$skiptoken=D%2F%2B%3D{to}"
            ));
        }
        Ok(FakeResponse::json(&json!({"d": d})))
    }

    /// A row as it is answered: links deferred unless they are expanded.
    fn shown(&self, set: &str, row: &Row, expand: &str, select: &str) -> Value {
        let mut out = Row::new();
        let selected: Vec<&str> = select.split(',').filter(|s| !s.is_empty()).collect();
        for (name, value) in row.iter().filter(|(name, _)| *name != "version") {
            if value.is_array() {
                let wanted = expand
                    .split(',')
                    .any(|e| e == name || e.starts_with(&format!("{name}/")));
                let inner: Vec<&str> = expand
                    .split(',')
                    .filter_map(|e| e.strip_prefix(name.as_str())?.strip_prefix('/'))
                    .collect();
                let value = if wanted {
                    let rows = value
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_object);
                    let rows: Vec<Value> = rows
                        .map(|r| self.shown("", r, &inner.join(","), ""))
                        .collect();
                    json!({"results": rows})
                } else {
                    json!({"__deferred": {"uri": format!("http://inner-sap:8000/x/{name}")}})
                };
                out.insert(name.clone(), value);
                continue;
            }
            let known = PROPERTIES.iter().find(|p| p.set == set && p.name == name);
            let drifted = known
                .map(|p| p.drift)
                .filter(|_| self.drift)
                .unwrap_or_default();
            let value = match drifted {
                "gone" => continue,
                "retyped" => json!({"binary": true}),
                _ => value.clone(),
            };
            if selected.is_empty() || selected.contains(&&**name) {
                out.insert(name.clone(), value);
            }
        }
        let version = row.get("version").cloned().unwrap_or(json!(0));
        let etag = json!(format!("W/\"{version}\""));
        out.insert(
            "__metadata".to_owned(),
            json!({"uri": "http://inner-sap:8000/x", "etag": etag}),
        );
        Value::Object(out)
    }
}
