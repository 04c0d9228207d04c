//! A small WeCom in memory: the part of its interfaces that the connector speaks, with the habits
//! of the real one that matter. It shares no code with the client, so that a mistake in one does
//! not hide in the other; wechatpy, a client others wrote, is held against it in the rig tests.
//!
//! What it does like the real one: 200 with an `errcode`; a token that stays the same while it is
//! valid and ends with 42001; pages of at most 100 contacts with a cursor; a limit of calls per
//! minute (45009); contacts told once per member who follows them; messages longer than 2,048
//! bytes cut without a word; equal requests dropped when that was asked for; encrypted callbacks,
//! the first of them a `GET` with an `echostr`.
//!
//! ```no_run
//! # async fn f() -> std::io::Result<()> {
//! let wecom = jinke_wecom::simulator::Simulator::start().await?;
//! wecom.seed(60);
//! println!("{}", wecom.server().url());
//! # Ok(()) }
//! ```

mod calls;
mod interfaces;
mod seed;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jinke_sdk::testing::{FakeServer, Fault};
use jinke_types::{Clock, Entropy, OsEntropy, SystemClock};
use serde_json::{Value, json};

pub use calls::{Delivery, Order};
pub use seed::{NOW, Sample};

/// The corp id.
pub const CORP_ID: &str = "wwdummycorp0000001";
/// The secret of its app.
pub const SECRET: &str = "dummysecret0000";
/// The agent id of the app.
pub const AGENT_ID: i64 = 1_000_002;
/// The token of its callbacks.
pub const CALLBACK_TOKEN: &str = "dummytoken";
/// The EncodingAESKey of its callbacks: the bytes 0 to 31.
pub const CALLBACK_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
/// A token lives this long, in seconds.
const TOKEN_LIFE: i64 = 7_200;

/// A running simulator.
pub struct Simulator {
    world: Arc<Mutex<World>>,
    server: FakeServer,
}

/// What a member noted of a contact: the columns of `follow_info`.
type Notes = serde_json::Map<String, Value>;

/// A contact: the columns of `external_contact`, and who follows it.
#[derive(Clone, Debug, Default)]
struct Contact {
    row: serde_json::Map<String, Value>,
    follows: BTreeMap<String, Notes>,
}

/// An event that happened: its message, and when.
#[derive(Clone, Debug)]
struct Event {
    message: String,
    second: i64,
}

#[derive(Default)]
struct World {
    token: Option<(String, i64)>,
    old_tokens: BTreeSet<String>,
    logins: u64,
    departments: BTreeMap<i64, (i64, String)>,
    members: BTreeMap<String, serde_json::Map<String, Value>>,
    contacts: BTreeMap<String, Contact>,
    /// Tags: id to (group, name).
    tags: BTreeMap<String, (String, String)>,
    messages: Vec<Value>,
    /// Requests of messages, and when they came.
    requests: Vec<(Value, i64)>,
    events: VecDeque<Event>,
    /// Codes that the next calls answer with.
    refusals: VecDeque<i64>,
    per_minute: Option<u32>,
    calls: BTreeMap<String, (i64, u32)>,
    drift: bool,
    made: u64,
}

impl Simulator {
    /// An empty one on a port of its own.
    pub async fn start() -> io::Result<Self> {
        Self::start_at("127.0.0.1:0").await
    }

    /// An empty one at an address.
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
        Ok(Self { world, server })
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server, to script faults of the network.
    pub const fn server(&self) -> &FakeServer {
        &self.server
    }

    /// The next request is done and its answer lost; requests are counted from here on.
    pub fn lose_answer(&self) {
        self.server.script([(1, Fault::Lost)]);
    }

    /// The next calls that carry a token answer with these codes, one each: 45009 throttled,
    /// 42001 expired, -1 busy, or any other.
    pub fn refuse(&self, codes: impl IntoIterator<Item = i64>) {
        self.world().refusals.extend(codes);
    }

    /// At most so many calls of one interface a minute; more answer 45009.
    pub fn limit(&self, per_minute: Option<u32>) {
        self.world().per_minute = per_minute;
    }

    /// Ends the token; calls with it answer 42001.
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

    /// Messages that arrived: the bodies of their requests, texts cut as WeCom cuts them.
    pub fn messages(&self) -> Vec<Value> {
        self.world().messages.clone()
    }

    /// Takes the column `gender` away, makes numbers of remarks, and adds a column; undoes it
    /// with `false`.
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
        let change = if new { "create_party" } else { "update_party" };
        let fields = format!("<Id>{id}</Id><ParentId>{parent}</ParentId>");
        world.happened("change_contact", change, &fields);
    }

    /// Makes or changes a member. `more` holds further columns of `user/get`.
    pub fn member(&self, id: &str, name: &str, departments: &[i64], more: Value) {
        let mut world = self.world();
        let mut row = json!({
            "userid": id, "name": name, "department": departments,
            "main_department": departments.first(), "status": 1, "enable": 1,
            "position": "销售顾问", "mobile": "", "biz_mail": "",
        });
        if let (Some(row), Value::Object(more)) = (row.as_object_mut(), more) {
            row.extend(more);
        }
        let Value::Object(row) = row else { return };
        let new = world.members.insert(id.to_owned(), row).is_none();
        let change = if new { "create_user" } else { "update_user" };
        let fields = format!("<UserID><![CDATA[{id}]]></UserID>");
        world.happened("change_contact", change, &fields);
    }

    /// A member leaves: he is gone from all lists.
    pub fn leave(&self, id: &str) {
        let mut world = self.world();
        world.members.remove(id);
        let fields = format!("<UserID><![CDATA[{id}]]></UserID>");
        world.happened("change_contact", "delete_user", &fields);
    }

    /// Makes a corp tag and tells its id.
    pub fn tag(&self, group: &str, name: &str) -> String {
        let mut world = self.world();
        let id = format!("et{:014}", world.tags.len() + 1);
        world
            .tags
            .insert(id.clone(), (group.to_owned(), name.to_owned()));
        id
    }

    /// A member adds a contact, or notes something else of it. `contact` and `notes` hold columns
    /// of `external_contact` and `follow_info`.
    pub fn follow(&self, user: &str, id: &str, contact: Value, notes: Value) {
        let mut world = self.world();
        let entry = world.contacts.entry(id.to_owned()).or_default();
        if entry.row.is_empty() {
            let row = json!({
                "external_userid": id, "name": "", "type": 1, "gender": 0,
                "avatar": "https://avatar.example/0",
            });
            entry.row = row.as_object().cloned().unwrap_or_default();
        }
        if let Value::Object(columns) = contact {
            entry.row.extend(columns);
        }
        let new = !entry.follows.contains_key(user);
        let follow = entry.follows.entry(user.to_owned()).or_insert_with(|| {
            let row = json!({
                "userid": user, "remark": "", "description": "", "createtime": seed::NOW,
                "tag_id": [], "add_way": 1, "oper_userid": user, "state": "",
            });
            row.as_object().cloned().unwrap_or_default()
        });
        if let Value::Object(columns) = notes {
            follow.extend(columns);
        }
        let change = if new {
            "add_external_contact"
        } else {
            "edit_external_contact"
        };
        world.contact_changed(change, user, id);
    }

    /// A member deletes a contact; nobody who follows it means that it is gone.
    pub fn unfollow(&self, user: &str, id: &str) {
        let mut world = self.world();
        if let Some(contact) = world.contacts.get_mut(id) {
            contact.follows.remove(user);
            if contact.follows.is_empty() {
                world.contacts.remove(id);
            }
        }
        world.contact_changed("del_external_contact", user, id);
    }

    /// Deletes a contact without an event.
    pub fn forget(&self, id: &str) {
        self.world().contacts.remove(id);
    }

    /// Who follows a contact.
    pub fn followers(&self, id: &str) -> Vec<String> {
        let world = self.world();
        let contact = world.contacts.get(id);
        contact.map_or_else(Vec::new, |c| c.follows.keys().cloned().collect())
    }

    /// How many contacts there are.
    pub fn contacts(&self) -> usize {
        self.world().contacts.len()
    }
}

impl World {
    fn now() -> i64 {
        SystemClock.now().secs()
    }

    fn random(prefix: &str) -> String {
        let mut bytes = [0; 16];
        OsEntropy.fill(&mut bytes);
        format!("{prefix}{}", hex::encode(bytes))
    }

    /// A new token, or the valid one again.
    fn login(&mut self) -> String {
        let now = Self::now();
        if let Some((token, ends)) = &self.token
            && *ends > now
        {
            return token.clone();
        }
        self.logins += 1;
        let token = Self::random("sim-");
        if let Some((old, _)) = self.token.replace((token.clone(), now + TOKEN_LIFE)) {
            self.old_tokens.insert(old);
        }
        token
    }

    fn contact_changed(&mut self, change: &str, user: &str, id: &str) {
        let fields = format!(
            "<UserID><![CDATA[{user}]]></UserID><ExternalUserID><![CDATA[{id}]]></ExternalUserID>"
        );
        self.happened("change_external_contact", change, &fields);
    }

    fn happened(&mut self, event: &str, change: &str, fields: &str) {
        let second = Self::now();
        let message = format!(
            "<xml><ToUserName><![CDATA[{CORP_ID}]]></ToUserName><FromUserName><![CDATA[sys]]>\
             </FromUserName><CreateTime>{second}</CreateTime><MsgType><![CDATA[event]]></MsgType>\
             <Event><![CDATA[{event}]]></Event><ChangeType><![CDATA[{change}]]></ChangeType>\
             {fields}</xml>"
        );
        self.events.push_back(Event { message, second });
        // Who seeds thousands of rows and never delivers must not fill the memory.
        while self.events.len() > 10_000 {
            self.events.pop_front();
        }
    }
}
