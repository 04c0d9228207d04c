//! A small DingTalk in memory: the part of its interfaces that the connector speaks, with the
//! habits of the real one that matter. It shares no code with the client, so that a mistake in
//! one does not hide in the other; DingTalk's own SDKs are held against it in the rig tests.
//!
//! What it does like the real one: new interfaces with a token in a header and 4xx with a `code`,
//! old ones with a token in the query and 200 with an `errcode`; pages with tokens; equal work
//! notices shown once; robots whose signature must be right and fresh; encrypted callbacks whose
//! answer must be an encrypted `success` within 1.5 s; channels that send an event again until it
//! is acknowledged.

mod calls;
mod channel;
mod interfaces;
mod seed;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jinke_sdk::testing::FakeServer;
use jinke_types::{Clock, Entropy, OsEntropy, SystemClock, Timestamp};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

pub use calls::{Answered, Delivery, Order};
pub use seed::{NOW, Sample};

/// Key of its app.
pub const APP_KEY: &str = "dingdummyappkey";
/// Secret of its app.
pub const APP_SECRET: &str = "dummysecret0000";
/// Agent id of its app.
pub const AGENT_ID: i64 = 900_001;
/// A user who sees all CRM rows.
pub const OPERATOR: &str = "manager01";
/// Token of the group's robot.
pub const ROBOT_TOKEN: &str = "dummyrobot";
/// Signing secret of the group's robot.
pub const ROBOT_SECRET: &str = "SECdummy";
/// Token of its callbacks.
pub const CALLBACK_TOKEN: &str = "dummytoken";
/// The aes_key of its callbacks: the bytes 0 to 31.
pub const CALLBACK_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
/// A token lives this long, in seconds.
const TOKEN_LIFE: i64 = 7_200;

/// A running simulator.
pub struct Simulator {
    world: Arc<Mutex<World>>,
    server: FakeServer,
    _channels: JoinSet<()>,
}

/// A CRM row.
#[derive(Clone, Debug)]
struct Row {
    object: String,
    data: Map<String, Value>,
    extended: Map<String, Value>,
    owner: String,
    created: Timestamp,
    modified: Timestamp,
}

/// An event that happened.
#[derive(Clone, Debug)]
struct Event {
    id: String,
    kind: String,
    data: Map<String, Value>,
    millis: i64,
}

#[derive(Default)]
struct World {
    /// Further keys and secrets that are accepted.
    accepted: BTreeMap<String, String>,
    token: Option<(String, i64)>,
    old_tokens: BTreeSet<String>,
    logins: u64,
    departments: BTreeMap<i64, (i64, String)>,
    members: BTreeMap<String, Map<String, Value>>,
    rows: BTreeMap<String, Row>,
    /// Notices that were shown: (recipient, message).
    notices: Vec<(String, Value)>,
    /// Messages that came to the robot's group.
    group: Vec<Value>,
    events: VecDeque<Event>,
    /// Answers that the next calls get: a status and a code of the new interfaces, or status 200
    /// and an errcode of the old ones.
    refusals: VecDeque<(u16, String)>,
    drift: bool,
    made: u64,
    /// Where channels are opened.
    channel: String,
    tickets: BTreeSet<String>,
    /// Acknowledgements that came over channels: (event id, whether it was taken).
    acknowledged: Vec<(String, bool)>,
    /// Channels that are open.
    open: u64,
    /// Every channel that is open is told to disconnect when this grows.
    disconnects: u64,
}

impl Simulator {
    /// An empty one on ports of its own.
    pub async fn start() -> io::Result<Self> {
        Self::start_at("127.0.0.1:0").await
    }

    /// An empty one at an address; channels are at a port of their own.
    pub async fn start_at(address: &str) -> io::Result<Self> {
        let mut world = World::default();
        world.departments.insert(1, (0, "金客示例集团".to_owned()));
        let world = Arc::new(Mutex::new(world));
        let inside = world.clone();
        let server = FakeServer::start_at(address, move |request| {
            let mut world = inside.lock().unwrap_or_else(PoisonError::into_inner);
            world.answer(request)
        })
        .await?;
        let mut channels = JoinSet::new();
        let endpoint = channel::listen(world.clone(), &mut channels).await?;
        world.lock().unwrap_or_else(PoisonError::into_inner).channel = endpoint;
        Ok(Self {
            world,
            server,
            _channels: channels,
        })
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server, to script faults of the network.
    pub const fn server(&self) -> &FakeServer {
        &self.server
    }

    /// Accepts another app too.
    pub fn accept(&self, key: &str, secret: &str) {
        let mut world = self.world();
        world.accepted.insert(key.to_owned(), secret.to_owned());
    }

    /// The next calls with a token are answered like this, one each: a status and a code of the
    /// new interfaces, or 200 and an errcode of the old ones.
    pub fn refuse<'a>(&self, answers: impl IntoIterator<Item = (u16, &'a str)>) {
        let answers = answers.into_iter().map(|(s, c)| (s, c.to_owned()));
        self.world().refusals.extend(answers);
    }

    /// Ends the token.
    pub fn end_sessions(&self) {
        let mut world = self.world();
        if let Some((token, _)) = world.token.take() {
            world.old_tokens.insert(token);
        }
    }

    /// Tokens given so far, not counting those given again.
    pub fn logins(&self) -> u64 {
        self.world().logins
    }

    /// Notices that were shown: whom, and the message.
    pub fn notices(&self) -> Vec<(String, Value)> {
        self.world().notices.clone()
    }

    /// Messages that came to the robot's group.
    pub fn group(&self) -> Vec<Value> {
        self.world().group.clone()
    }

    /// Takes the column `creatorUserId` away, makes numbers of `gmtCreate`, and adds a column;
    /// undoes it with `false`.
    pub fn drift(&self, on: bool) {
        self.world().drift = on;
    }

    /// Makes or changes a department.
    pub fn department(&self, id: i64, parent: i64, name: &str) {
        let mut world = self.world();
        let new = world
            .departments
            .insert(id, (parent, name.to_owned()))
            .is_none();
        let kind = if new {
            "org_dept_create"
        } else {
            "org_dept_modify"
        };
        world.happened(kind, json!({"deptId": [id]}));
    }

    /// Makes or changes a member. `more` holds further columns.
    pub fn member(&self, id: &str, name: &str, departments: &[i64], more: Value) {
        let mut world = self.world();
        let mut row = json!({
            "userid": id, "unionid": format!("union-{id}"), "name": name,
            "dept_id_list": departments, "active": true, "mobile": "", "org_email": "",
        });
        if let (Some(row), Value::Object(more)) = (row.as_object_mut(), more) {
            row.extend(more);
        }
        let Value::Object(row) = row else { return };
        let new = world.members.insert(id.to_owned(), row).is_none();
        let kind = if new {
            "user_add_org"
        } else {
            "user_modify_org"
        };
        world.happened(kind, json!({"userId": [id]}));
    }

    /// A member leaves: he is gone from all lists.
    pub fn leave(&self, id: &str) {
        let mut world = self.world();
        world.members.remove(id);
        world.happened("user_leave_org", json!({"userId": [id]}));
    }

    /// Makes a CRM row, or writes fields of one, at a time; tells nobody.
    pub fn row(&self, object: &str, id: &str, data: Value, at: Timestamp) {
        let mut world = self.world();
        let row = world.rows.entry(id.to_owned()).or_insert_with(|| Row {
            object: object.to_owned(),
            data: Map::new(),
            extended: Map::new(),
            owner: OPERATOR.to_owned(),
            created: at,
            modified: at,
        });
        if let Value::Object(data) = data {
            row.data.extend(data);
        }
        row.modified = at;
    }

    /// Lets a contact's field name a customer.
    pub fn belongs(&self, contact: &str, customer: &str) {
        let mut world = self.world();
        let name = world
            .rows
            .get(customer)
            .and_then(|r| r.data.get("customer_name").cloned());
        if let Some(row) = world.rows.get_mut(contact) {
            let value = json!({"list": [{"instanceId": customer}]}).to_string();
            row.extended
                .insert("contact_related_customer".to_owned(), json!(value));
            row.data.insert(
                "contact_related_customer".to_owned(),
                name.unwrap_or_default(),
            );
        }
    }

    /// Deletes a CRM row without a trace.
    pub fn delete(&self, id: &str) {
        self.world().rows.remove(id);
    }

    /// Acknowledgements that came over channels: event id, and whether the event was taken.
    pub fn acknowledged(&self) -> Vec<(String, bool)> {
        self.world().acknowledged.clone()
    }

    /// Channels that are open now.
    pub fn channels(&self) -> u64 {
        self.world().open
    }

    /// Tells every open channel to disconnect.
    pub fn disconnect(&self) {
        self.world().disconnects += 1;
    }

    /// Forgets the events that wait.
    pub fn drop_events(&self) {
        self.world().events.clear();
    }
}

impl World {
    fn now() -> Timestamp {
        SystemClock.now()
    }

    fn random(prefix: &str) -> String {
        let mut bytes = [0; 16];
        OsEntropy.fill(&mut bytes);
        format!("{prefix}{}", hex::encode(bytes))
    }

    fn knows(&self, key: &str, secret: &str) -> bool {
        (key, secret) == (APP_KEY, APP_SECRET)
            || self.accepted.get(key).is_some_and(|s| s == secret)
    }

    /// A new token, or the valid one again.
    fn login(&mut self) -> String {
        let now = Self::now().secs();
        if let Some((token, ends)) = &self.token
            && *ends > now
        {
            return token.clone();
        }
        self.logins += 1;
        let token = Self::random("sim");
        if let Some((old, _)) = self.token.replace((token.clone(), now + TOKEN_LIFE)) {
            self.old_tokens.insert(old);
        }
        token
    }

    fn happened(&mut self, kind: &str, data: Value) {
        self.made += 1;
        let mut data = data.as_object().cloned().unwrap_or_default();
        let millis = Self::now().0 / 1_000;
        data.insert("timeStamp".to_owned(), json!(millis));
        data.insert("corpId".to_owned(), json!("dingcorp1"));
        self.events.push_back(Event {
            id: Self::random("ev"),
            kind: kind.to_owned(),
            data,
            millis,
        });
        // Who seeds thousands of rows and never delivers must not fill the memory.
        while self.events.len() > 10_000 {
            self.events.pop_front();
        }
    }
}
