//! A small Kingdee in memory: the part of its WebAPI that the connector speaks, with the habits
//! of the real server that matter. It shares no code with the client, so that a mistake in one
//! does not hide in the other.
//!
//! What it does like the real one, as far as that is known: everything is a POST answered with
//! 200, errors too; a query's error looks like one row of one cell; signatures are checked only
//! when a call brings no session that holds, and an expired session is renewed silently when the
//! call is signed; names of fields are taken only as the tenant spells them; entries multiply
//! rows; a query yields at most 2,000 rows; times are the server's own, without a zone; a review
//! moves only the time of review; a reviewed bill is not saved; a number is taken once.
//!
//! ```no_run
//! # async fn f() -> std::io::Result<()> {
//! let kingdee = jinke_kingdee::simulator::Simulator::start().await?;
//! kingdee.seed(1_000);
//! println!("{}", kingdee.url());
//! # Ok(()) }
//! ```

mod door;
mod filter;
mod query;
mod schema;
mod seed;
mod write;

pub use seed::NOW;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jinke_sdk::testing::{FakeRequest, FakeResponse, FakeServer};
use jinke_types::Timestamp;
use serde_json::{Map, Value, json};

use schema::{FIELDS, FORMS, Field, Form};

/// Id of the simulated data centre.
pub const ACCOUNT: &str = "dummyacct0001";
/// Its only user.
pub const USER: &str = "webapi";
/// The user's password.
pub const PASSWORD: &str = "sim-password";
/// Id of the only application.
pub const APP_ID: &str = "200000_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7";
/// Its secret.
pub const APP_SECRET: &str = "dummyappsecret00000000000000000";
/// Path under which the API stands.
pub const PATH: &str = "/k3cloud";

/// The head or one entry of a bill.
pub type Row = Map<String, Value>;

/// A bill or base record.
#[derive(Clone, Debug, Default)]
pub struct Bill {
    /// The head.
    pub head: Row,
    /// The entries with their ids.
    pub entries: Vec<(i64, Row)>,
}

/// A running simulator.
pub struct Simulator {
    world: Arc<Mutex<World>>,
    server: FakeServer,
}

/// The tables, sessions and scripted refusals.
pub(crate) struct World {
    tables: BTreeMap<&'static str, BTreeMap<i64, Bill>>,
    sessions: BTreeSet<String>,
    logins: u64,
    opened: u64,
    entry_ids: i64,
    drift: bool,
    capitals: bool,
    refusals: BTreeMap<String, u32>,
    calls: BTreeMap<String, u64>,
    now: Timestamp,
}

/// An error: its `MsgCode`, the field it is about, and what it says.
pub(crate) struct Refused(pub i64, pub String, pub String);

impl Simulator {
    /// An empty one with its organizations, currency and products.
    pub async fn start() -> io::Result<Self> {
        Self::start_at("127.0.0.1:0").await
    }

    /// The same at an address.
    pub async fn start_at(address: &str) -> io::Result<Self> {
        let world = Arc::new(Mutex::new(World {
            tables: BTreeMap::new(),
            sessions: BTreeSet::new(),
            logins: 0,
            opened: 0,
            entry_ids: 100_000,
            drift: false,
            capitals: false,
            refusals: BTreeMap::new(),
            calls: BTreeMap::new(),
            now: NOW,
        }));
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

    /// Address of the API.
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.server.url())
    }

    /// Creates a bill at `at` and tells its id. `head` holds plain fields and ids.
    pub fn create(&self, form: &str, head: Value, entries: &[Value], at: Timestamp) -> i64 {
        self.world().create(form, head, entries, at)
    }

    /// Changes fields of a head at `at`.
    pub fn write(&self, form: &str, id: i64, changes: Value, at: Timestamp) {
        let mut world = self.world();
        if let (Some(bill), Value::Object(changes)) = (world.bill(form, id), changes) {
            bill.head.extend(changes);
            bill.head.insert("FModifyDate".to_owned(), time(at));
        }
    }

    /// Reviews a bill at `at`: only its status and the time of review change.
    pub fn review(&self, form: &str, id: i64, at: Timestamp) {
        let mut world = self.world();
        let status = world.status_field(form);
        if let Some(bill) = world.bill(form, id) {
            bill.head.insert(status.to_owned(), json!("C"));
            bill.head.insert("FApproveDate".to_owned(), time(at));
        }
    }

    /// Deletes a bill without a trace.
    pub fn delete(&self, form: &str, id: i64) {
        self.world().table(form).remove(&id);
    }

    /// A copy of a bill.
    pub fn bill(&self, form: &str, id: i64) -> Option<Bill> {
        self.world().table(form).get(&id).cloned()
    }

    /// The ids of all bills of a form.
    pub fn ids(&self, form: &str) -> Vec<i64> {
        self.world().table(form).keys().copied().collect()
    }

    /// Ends all sessions.
    pub fn end_sessions(&self) {
        self.world().sessions.clear();
    }

    /// Logins so far.
    pub fn logins(&self) -> u64 {
        self.world().logins
    }

    /// Sessions that signed calls opened so far.
    pub fn opened(&self) -> u64 {
        self.world().opened
    }

    /// How often an operation was called: `Save`, `Submit`, ….
    pub fn calls(&self, operation: &str) -> u64 {
        self.world().calls.get(operation).copied().unwrap_or(0)
    }

    /// Takes a field of each form away, makes another binary and adds a new one.
    pub fn drift(&self, on: bool) {
        self.world().drift = on;
    }

    /// Spells all fields in capitals, as some tenants do, and takes no other spelling.
    pub fn capitals(&self, on: bool) {
        self.world().capitals = on;
    }

    /// Refuses the next `times` calls of an operation, as a tenant's own rule would.
    pub fn refuse(&self, operation: &str, times: u32) {
        self.world().refusals.insert(operation.to_owned(), times);
    }
}

/// A time as Kingdee writes it: of the server's own zone, +08:00, with no zone in it.
pub fn time(at: Timestamp) -> Value {
    let text = Timestamp(at.0 + 8 * 3_600_000_000).to_rfc3339();
    let plain = text.trim_end_matches('Z');
    json!(plain)
}

impl World {
    fn form(name: &str) -> Option<&'static Form> {
        FORMS.iter().find(|f| f.name.eq_ignore_ascii_case(name))
    }

    fn fields(form: &'static str) -> impl Iterator<Item = &'static Field> {
        FIELDS.iter().filter(move |f| f.form == form)
    }

    fn table(&mut self, form: &str) -> &mut BTreeMap<i64, Bill> {
        let name = Self::form(form).map_or("", |f| f.name);
        self.tables.entry(name).or_default()
    }

    fn bill(&mut self, form: &str, id: i64) -> Option<&mut Bill> {
        self.table(form).get_mut(&id)
    }

    /// Name of the field that holds the status of a form's bills.
    fn status_field(&self, form: &str) -> &'static str {
        let form = Self::form(form).map_or("", |f| f.name);
        let found = Self::fields(form).find(|f| f.key.eq_ignore_ascii_case("FDocumentStatus"));
        found.map_or("FDocumentStatus", |f| f.key)
    }

    fn create(&mut self, form: &str, head: Value, entries: &[Value], at: Timestamp) -> i64 {
        let Some(known) = Self::form(form) else {
            return 0;
        };
        let id = self
            .table(form)
            .keys()
            .next_back()
            .map_or(100_001, |last| last + 1);
        let mut bill = Bill::default();
        if let Value::Object(head) = head {
            bill.head = head;
        }
        bill.head.insert(known.id.to_owned(), json!(id));
        for column in ["FCreateDate", "FModifyDate"] {
            bill.head.insert(column.to_owned(), time(at));
        }
        let status = self.status_field(form);
        bill.head.entry(status).or_insert(json!("C"));
        for (column, value) in [
            ("FForbidStatus", "A"),
            ("FCancelStatus", "A"),
            ("FCloseStatus", "A"),
        ] {
            if Self::fields(known.name).any(|f| f.key == column) {
                bill.head.entry(column).or_insert(json!(value));
            }
        }
        if !known.prefix.is_empty() {
            let number = json!(format!("{}{id:06}", known.prefix));
            bill.head.entry(known.number).or_insert(number);
        }
        for entry in entries.iter().filter_map(Value::as_object) {
            self.entry_ids += 1;
            bill.entries.push((self.entry_ids, entry.clone()));
        }
        self.table(form).insert(id, bill);
        id
    }

    fn answer(&mut self, request: &FakeRequest) -> FakeResponse {
        if request.method != "POST" {
            return FakeResponse::status(405);
        }
        let service = request
            .target
            .strip_prefix(PATH)
            .and_then(|t| t.strip_prefix('/'))
            .and_then(|t| t.strip_suffix(".common.kdsvc"));
        let Some(service) = service else {
            return FakeResponse::status(404);
        };
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return FakeResponse::json(&failure(&Refused(
                8,
                String::new(),
                "请求参数不是有效的JSON".to_owned(),
            )));
        };
        if let Some(answer) = self.login(service, &body) {
            return answer;
        }
        let name = service
            .strip_prefix("Kingdee.BOS.WebApi.ServicesStub.DynamicFormService.")
            .unwrap_or_default()
            .to_owned();
        let queries = matches!(&*name, "ExecuteBillQuery" | "BillQuery");
        let shaped = |told: Result<Value, Refused>| match told {
            Ok(told) => told,
            Err(why) if queries => json!([[failure(&why)]]),
            Err(why) => failure(&why),
        };
        let session = match self.open(request) {
            Ok(session) => session,
            Err(why) => return FakeResponse::json(&shaped(Err(why))),
        };
        *self.calls.entry(name.clone()).or_default() += 1;
        let told = self.call(&name, &body);
        let mut response = FakeResponse::json(&shaped(told));
        let cookie = format!("kdservice-sessionid={session}; path=/");
        response.headers.push(("set-cookie".to_owned(), cookie));
        response
    }

    fn call(&mut self, name: &str, body: &Value) -> Result<Value, Refused> {
        if let Some(left) = self.refusals.get_mut(name)
            && *left > 0
        {
            *left -= 1;
            let why = "校验规则不通过：客户张三的信用额度不足".to_owned();
            return Err(Refused(11, "FCustId".to_owned(), why));
        }
        let data = &body["data"];
        match name {
            "ExecuteBillQuery" => self.execute_query(data),
            "BillQuery" => self.bill_query(data),
            "QueryBusinessInfo" => self.business_info(data["FormId"].as_str().unwrap_or_default()),
            "View" => self.view(body),
            "Save" => self.save(body),
            "Submit" | "Audit" | "UnAudit" | "Delete" => self.operate(name, body),
            _ => Err(Refused(3, String::new(), "操作未实现".to_owned())),
        }
    }
}

/// The body of an error.
pub(crate) fn failure(why: &Refused) -> Value {
    let Refused(code, field, message) = why;
    json!({"Result": {"ResponseStatus": {
        "ErrorCode": 500, "IsSuccess": false,
        "Errors": [{"FieldName": field, "Message": message, "DIndex": 0}],
        "SuccessEntitys": [], "SuccessMessages": [], "MsgCode": code,
    }}})
}
