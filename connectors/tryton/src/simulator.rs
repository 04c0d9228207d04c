//! A small Tryton in memory: the part of its JSON-RPC that the connector speaks, with the habits
//! of the real server that matter. It shares no code with the client, so that a mistake in one
//! does not hide in the other.
//!
//! What it does like the real one: sessions and 401 without one; errors with HTTP 200; 413 beyond
//! `records_limit`; `write_date` empty after a create; a change of an address, contact mechanism
//! or line touches only that row; `active_test`; nested reads under `field.`; domains with `OR`,
//! `where`, dotted names and typed times; yes and no as 1, 0 and null.
//!
//! ```no_run
//! # async fn f() -> std::io::Result<()> {
//! let tryton = jinke_tryton::simulator::Simulator::start().await?;
//! tryton.seed(1_000);
//! println!("{}", tryton.server().url());
//! # Ok(()) }
//! ```

mod domain;
pub mod population;
mod schema;
mod seed;

pub use seed::NOW;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jinke_sdk::testing::{FakeRequest, FakeResponse, FakeServer};
use jinke_types::Timestamp;
use serde_json::{Map, Value, json};

use crate::rpc::{LOGIN, PREFERENCES};
use schema::{FIELDS, Field, field};

/// Name of the simulated database.
pub const DATABASE: &str = "tryton";
/// Login of its only user.
pub const USER: &str = "admin";
/// Password of its only user.
pub const PASSWORD: &str = "sim-password";
/// A search for more rows than this answers 413.
pub const RECORDS_LIMIT: usize = 1_000;

/// A row: its columns, `id` among them.
pub type Row = Map<String, Value>;

/// A running simulator.
pub struct Simulator {
    world: Arc<Mutex<World>>,
    server: FakeServer,
}

/// The tables and sessions.
#[derive(Default)]
pub(crate) struct World {
    tables: BTreeMap<&'static str, BTreeMap<i64, Row>>,
    /// Rows by the row they belong to: (model, column, id of the owner).
    owned: BTreeMap<(&'static str, &'static str, i64), BTreeSet<i64>>,
    sessions: BTreeSet<String>,
    logins: u64,
    drift: bool,
}

/// An error as Tryton answers it: a list with a name and details.
type Refused = (&'static str, String);

impl Simulator {
    /// An empty one with its company and currency.
    pub async fn start() -> io::Result<Self> {
        Self::start_at("127.0.0.1:0").await
    }

    /// The same at an address.
    pub async fn start_at(address: &str) -> io::Result<Self> {
        let world = Arc::new(Mutex::new(World::default()));
        let inside = world.clone();
        let server = FakeServer::start_at(address, move |request| {
            let mut world = inside.lock().unwrap_or_else(PoisonError::into_inner);
            world.answer(request)
        })
        .await?;
        let simulator = Self { world, server };
        simulator.base();
        Ok(simulator)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server, to script faults.
    pub const fn server(&self) -> &FakeServer {
        &self.server
    }

    /// Creates a row at `at` and tells its id. `row` holds plain columns and ids.
    pub fn create(&self, model: &str, row: Value, at: Timestamp) -> i64 {
        self.world().create(model, row, at)
    }

    /// Changes columns of a row at `at`.
    pub fn write(&self, model: &str, id: i64, changes: Value, at: Timestamp) {
        let mut world = self.world();
        let row = world.table(model).get_mut(&id);
        if let (Some(row), Value::Object(changes)) = (row, changes) {
            row.extend(changes);
            row.insert("write_date".to_owned(), time(at));
        }
    }

    /// Deletes a row and those that belong to it, without a trace.
    pub fn delete(&self, model: &str, id: i64) {
        self.world().delete(model, id);
    }

    /// A copy of a row.
    pub fn row(&self, model: &str, id: i64) -> Option<Row> {
        self.world().table(model).get(&id).cloned()
    }

    /// How many rows a model has.
    pub fn count(&self, model: &str) -> usize {
        self.world().table(model).len()
    }

    /// Ids of the rows of `model` whose `column` points to `owner`.
    pub fn owned(&self, model: &str, column: &str, owner: i64) -> Vec<i64> {
        let world = self.world();
        let Some(field) = field(model, column) else {
            return Vec::new();
        };
        let key = (field.model, field.name, owner);
        world
            .owned
            .get(&key)
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }

    /// Ends all sessions.
    pub fn end_sessions(&self) {
        self.world().sessions.clear();
    }

    /// Sessions opened so far.
    pub fn logins(&self) -> u64 {
        self.world().logins
    }

    /// Takes a column of each model away, makes another a text and adds a new one.
    pub fn drift(&self, on: bool) {
        self.world().drift = on;
    }
}

/// A time as Tryton writes it.
pub fn time(at: Timestamp) -> Value {
    let text = at.to_rfc3339();
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap_or_default();
    json!({
        "__class__": "datetime", "year": number(0, 4), "month": number(5, 7), "day": number(8, 10),
        "hour": number(11, 13), "minute": number(14, 16), "second": number(17, 19),
        "microsecond": at.0.rem_euclid(1_000_000),
    })
}

/// A date as Tryton writes it.
pub fn date(year: i32, month: u8, day: u8) -> Value {
    json!({"__class__": "date", "year": year, "month": month, "day": day})
}

/// A decimal as Tryton writes it.
pub fn decimal(text: &str) -> Value {
    json!({"__class__": "Decimal", "decimal": text})
}

impl World {
    fn table(&mut self, model: &str) -> &mut BTreeMap<i64, Row> {
        let known = FIELDS.iter().find(|f| f.model == model);
        self.tables
            .entry(known.map_or("", |f| f.model))
            .or_default()
    }

    fn create(&mut self, model: &str, row: Value, at: Timestamp) -> i64 {
        let id = self
            .table(model)
            .keys()
            .next_back()
            .map_or(1, |last| last + 1);
        let mut row = match row {
            Value::Object(row) => row,
            _ => Row::new(),
        };
        row.insert("id".to_owned(), json!(id));
        row.insert("create_date".to_owned(), time(at));
        row.insert("write_date".to_owned(), Value::Null);
        if field(model, "active").is_some() {
            row.entry("active").or_insert(json!(1));
        }
        for column in FIELDS
            .iter()
            .filter(|f| f.model == model && f.kind == "many2one")
        {
            if let Some(owner) = row.get(column.name).and_then(Value::as_i64) {
                let key = (column.model, column.name, owner);
                self.owned.entry(key).or_default().insert(id);
            }
        }
        self.table(model).insert(id, row);
        id
    }

    fn delete(&mut self, model: &str, id: i64) {
        self.table(model).remove(&id);
        for (key, ids) in &mut self.owned {
            if key.0 == model {
                ids.remove(&id);
            }
        }
        let parts = FIELDS
            .iter()
            .filter(|f| f.model == model && f.kind == "one2many");
        for part in parts {
            let children = self.children(part, id);
            for child in children {
                self.delete(part.relation, child);
            }
        }
    }

    fn children(&self, part: &Field, id: i64) -> Vec<i64> {
        let Some(inverse) = field(part.relation, part.inverse) else {
            return Vec::new();
        };
        let key = (inverse.model, inverse.name, id);
        self.owned
            .get(&key)
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }

    fn answer(&mut self, request: &FakeRequest) -> FakeResponse {
        if request.target != format!("/{DATABASE}/rpc/") {
            return FakeResponse::status(404);
        }
        if request.method != "POST" {
            return FakeResponse::status(405);
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return FakeResponse::status(400);
        };
        let id = &body["id"];
        let method = body["method"].as_str().unwrap_or_default();
        let Some(params) = body["params"].as_array() else {
            return FakeResponse::status(400);
        };
        if method == LOGIN {
            let right = params.first() == Some(&json!(USER))
                && params.get(1).map(|p| &p["password"]) == Some(&json!(PASSWORD));
            if !right {
                return FakeResponse::status(401);
            }
            self.logins += 1;
            let token = format!("token{}", self.logins);
            self.sessions.insert(token.clone());
            return FakeResponse::json(&json!({"id": id, "result": [1, token, null]}));
        }
        if !self.open(request) {
            return FakeResponse::status(401);
        }
        match self.call(method, params) {
            Ok(result) => FakeResponse::json(&json!({"id": id, "result": result})),
            Err(("413", _)) => FakeResponse::status(413),
            Err((name, details)) => {
                FakeResponse::json(&json!({"id": id, "error": [name, details]}))
            }
        }
    }

    fn open(&self, request: &FakeRequest) -> bool {
        let header = request.header("authorization").unwrap_or_default();
        let secret = header.strip_prefix("Session ").unwrap_or_default();
        let text = STANDARD.decode(secret).ok();
        let text = text
            .and_then(|t| String::from_utf8(t).ok())
            .unwrap_or_default();
        let mut words = text.split(':');
        words.next() == Some(USER)
            && words.next() == Some("1")
            && words
                .next()
                .is_some_and(|token| self.sessions.contains(token))
    }

    fn call(&self, method: &str, params: &[Value]) -> Result<Value, Refused> {
        if method == PREFERENCES {
            return Ok(json!({
                "company": 1, "companies": [1], "company_filter": "one", "language": "zh_CN",
                "groups": [], "locale": {"date": "%Y-%m-%d"},
            }));
        }
        let path = method
            .strip_prefix("model.")
            .and_then(|m| m.rsplit_once('.'));
        let (model, method) = path.ok_or(("KeyError", method.to_owned()))?;
        if !FIELDS.iter().any(|f| f.model == model) {
            return Err(("KeyError", model.to_owned()));
        }
        let context = params.last().unwrap_or(&Value::Null);
        let active = context["active_test"] != json!(false);
        match method {
            "fields_get" => Ok(self.fields_get(model)),
            "search" => {
                let ids = self.search(model, params, active)?;
                Ok(json!(ids))
            }
            "search_read" => {
                let ids = self.search(model, params, active)?;
                let fields = params.get(4).and_then(Value::as_array);
                let fields: Vec<&str> = fields
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let rows: Result<Vec<_>, _> = ids
                    .iter()
                    .map(|id| self.read(model, *id, &fields, active))
                    .collect();
                Ok(json!(rows?))
            }
            _ => Err(("KeyError", method.to_owned())),
        }
    }

    /// The name a column has now, and its type; `None` when it has gone.
    fn column(&self, field: &Field) -> Option<&'static str> {
        match (self.drift, field.drift) {
            (true, "gone") => None,
            (true, "retyped") => Some("binary"),
            _ => Some(field.kind),
        }
    }

    fn fields_get(&self, model: &str) -> Value {
        let mut told = Map::new();
        for field in FIELDS.iter().filter(|f| f.model == model) {
            if let Some(kind) = self.column(field) {
                told.insert(
                    field.name.to_owned(),
                    json!({"type": kind, "name": field.name}),
                );
            }
        }
        if self.drift {
            told.insert("x_new_column".to_owned(), json!({"type": "char"}));
        }
        Value::Object(told)
    }

    fn search(&self, model: &str, params: &[Value], active: bool) -> Result<Vec<i64>, Refused> {
        let domain = params.first().unwrap_or(&Value::Null);
        let limit = params.get(2).and_then(Value::as_u64).unwrap_or(u64::MAX);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if limit > RECORDS_LIMIT {
            return Err(("413", String::new()));
        }
        let empty = BTreeMap::new();
        let table = self.tables.get(model).unwrap_or(&empty);
        let order = params.get(3).and_then(|o| o.get(0));
        let by = order
            .and_then(|o| o.get(0))
            .and_then(Value::as_str)
            .unwrap_or("id");
        let down = order.and_then(|o| o.get(1)).and_then(Value::as_str) == Some("DESC");
        // A lower bound of the id, so that walking by id stays quick.
        let above = domain.as_array().into_iter().flatten().find_map(|c| {
            (c.get(0) == Some(&json!("id")) && c.get(1) == Some(&json!(">")))
                .then(|| c[2].as_i64())?
        });
        let mut found = Vec::new();
        for (id, row) in table.range(above.map_or(i64::MIN, |a| a + 1)..) {
            if active && row.get("active") == Some(&json!(0)) {
                continue;
            }
            if self.meets(model, row, domain)? {
                found.push(*id);
                if by == "id" && !down && found.len() == limit {
                    break;
                }
            }
        }
        if by != "id" {
            found.sort_by_cached_key(|id| domain::key(table[id].get(by).unwrap_or(&Value::Null)));
        }
        if down {
            found.reverse();
        }
        found.truncate(limit);
        Ok(found)
    }

    fn read(&self, model: &str, id: i64, fields: &[&str], active: bool) -> Result<Row, Refused> {
        let mut out = Row::new();
        out.insert("id".to_owned(), json!(id));
        let Some(row) = self.tables.get(model).and_then(|t| t.get(&id)) else {
            return Ok(out);
        };
        let mut nested: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in fields {
            let head = name.split('.').next().unwrap_or_default();
            let known = field(model, head).filter(|f| self.column(f).is_some());
            let known = known.ok_or(("'nosuch'", String::new()))?;
            match name.split_once('.') {
                Some((head, rest)) => nested.entry(head).or_default().push(rest),
                None if known.kind == "one2many" => {
                    out.insert((*name).to_owned(), json!(self.children(known, id)));
                }
                None => {
                    let value = row.get(*name).cloned().unwrap_or(Value::Null);
                    out.insert((*name).to_owned(), value);
                }
            }
        }
        for (head, rest) in nested {
            let Some(field) = field(model, head) else {
                continue;
            };
            let value = if field.kind == "many2one" {
                match row.get(head).and_then(Value::as_i64) {
                    Some(to) => Value::Object(self.read(field.relation, to, &rest, active)?),
                    None => Value::Null,
                }
            } else {
                let rows: Result<Vec<_>, _> = self
                    .linked(field, row, id)
                    .into_iter()
                    .filter(|to| !active || self.is_active(field.relation, *to))
                    .map(|to| self.read(field.relation, to, &rest, active))
                    .collect();
                json!(rows?)
            };
            out.insert(format!("{head}."), value);
        }
        Ok(out)
    }

    fn is_active(&self, model: &str, id: i64) -> bool {
        let row = self.tables.get(model).and_then(|t| t.get(&id));
        row.is_none_or(|r| r.get("active") != Some(&json!(0)))
    }

    /// Ids of the rows that a column of a row lists.
    fn linked(&self, field: &Field, row: &Row, id: i64) -> Vec<i64> {
        if field.kind == "one2many" {
            return self.children(field, id);
        }
        let list = row.get(field.name).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_i64)
            .collect()
    }
}
