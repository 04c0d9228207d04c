//! A foreign system, a customer service, and the service between them.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use jinke_kit::Shutdown;
use jinke_proto::{
    google::rpc::{ErrorInfo, Status as RecordStatus},
    jinke::{connector::v1 as pb, customer::v1 as customer},
};
use jinke_runner::{
    Backoff, Door,
    config::Limits,
    core::{Core, Parts},
    numbers::Numbers,
    registry::{Registry, kind, kinds},
    rpc::{Api, Viewer, connections, page::Pages, runs},
    store::MIGRATIONS,
    work,
};
use jinke_sdk::{
    Callback, CallbackAnswer, CallbackEvent, CallbackOutcome, CallbackRequest, ConfigKey,
    Connector, Cursor, KnownRecords, Message, Outbound, Page, Part, PartKind, Progress, PullError,
    PullErrorKind, Push, PushState, PushStep, SendError, SendErrorKind, Sent, Settings, Spec,
    StreamSchema, SweepLimit, ValueType, Verification, sweep,
};
use jinke_store::{Database, keys::KeyRing, testing};
use jinke_types::{
    Body, Caller, Clock, Code, Completeness, Failure, FieldMask, OsEntropy, PartyKind, RecordKey,
    RowScope, SourceRecord, SystemClock, Timestamp, Value,
};
use prost::Message as _;
use tokio::task::JoinHandle;
use tonic::Status;

/// What a foreign system has and does.
#[derive(Default)]
pub struct State {
    /// Rows in the order of their changes: external id, name, second of the change.
    pub rows: Vec<(String, String, i64)>,
    /// Pulls under way now, and the most there were at a time.
    pub pulling: usize,
    pub most_pulling: usize,
    /// Pages given out.
    pub pages: usize,
    /// Waits before each page.
    pub slow: Duration,
    /// So many pulls fail at their second page.
    pub away: usize,
    pub unauthorized: bool,
    /// What the next sends end with; then they are taken.
    pub sends: Vec<SendErrorKind>,
    /// Sends hang instead of ending.
    pub hang: bool,
    pub messages: Vec<Message>,
    /// Names of the steps done there, of all pushes.
    pub steps: Vec<String>,
    /// The push dies after its step was done there, before it is told.
    pub die_after: Option<String>,
}

static SYSTEMS: LazyLock<Mutex<BTreeMap<String, Arc<Mutex<State>>>>> =
    LazyLock::new(Mutex::default);

/// The system of this name.
pub fn system(name: &str) -> Arc<Mutex<State>> {
    let mut all = SYSTEMS.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(name.to_owned()).or_default().clone()
}

pub const TOKEN: &str = "a-token-nobody-may-find-in-the-database";
const PAGE: usize = 10;

/// The connector to it.
pub struct Demo {
    system: Arc<Mutex<State>>,
    token: String,
    source: String,
}

impl Demo {
    fn state(&self) -> MutexGuard<'_, State> {
        self.system.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn record(source: &str, id: &str, name: &str, second: i64) -> SourceRecord {
    SourceRecord {
        key: RecordKey::new(source, id),
        source_revision: None,
        update_time: Some(Timestamp::from_secs(second)),
        completeness: Completeness::Full,
        deleted: false,
        body: Body::Party {
            kind: PartyKind::Person,
            values: vec![Value::text("name", name)],
        },
    }
}

#[async_trait]
impl Connector for Demo {
    fn spec() -> Spec {
        let key = |name, secret| ConfigKey {
            name,
            about: "for tests",
            value: ValueType::Text,
            required: name != "source",
            secret,
            default: None,
        };
        let part = |name, kind| Part {
            name,
            kind,
            about: "for tests",
            verification: Verification::Unverified,
            evidence: "none",
        };
        Spec {
            kind: "demo",
            display_name: "演示",
            about: "A system of the tests.",
            keys: vec![
                key("system", false),
                key("token", true),
                key("source", false),
            ],
            parts: vec![
                part("people", PartKind::Stream),
                part("sweep", PartKind::Sweep),
                part("message", PartKind::Message),
                part("push", PartKind::Push),
                part("callback", PartKind::Callback),
            ],
        }
    }
    fn open(settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            system: system(settings.text("system").unwrap_or_default()),
            token: settings.text("token").unwrap_or_default().to_owned(),
            source: settings.text("source").unwrap_or_default().to_owned(),
        })
    }
    async fn check(&self) -> Result<(), Failure> {
        if self.state().unauthorized || self.token != TOKEN {
            return Err(Failure::new(
                Code::Unauthenticated,
                "FOREIGN_UNAUTHORIZED",
                "the credentials are wrong",
            ));
        }
        Ok(())
    }
    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure> {
        self.check().await?;
        Ok(vec![StreamSchema {
            stream: "people".to_owned(),
            kind: "person".to_owned(),
            columns: vec![],
            notes: vec![],
        }])
    }
    async fn pull(
        &self,
        _: &str,
        cursor: Option<Cursor>,
    ) -> BoxStream<'static, Result<Page, PullError>> {
        let from = cursor.map_or(0, |c| c.0.parse::<usize>().unwrap());
        let fails = {
            let mut state = self.state();
            let fails = state.away > 0;
            state.away = state.away.saturating_sub(1);
            state.pulling += 1;
            state.most_pulling = state.most_pulling.max(state.pulling);
            fails
        };
        let under_way = UnderWay(self.system.clone());
        let (system, source) = (self.system.clone(), self.source.clone());
        let begun = (from, 0_usize, under_way, system, source);
        futures::stream::unfold(Some(begun), move |begun| async move {
            let (from, nth, under_way, system, source) = begun?;
            let slow = system.lock().unwrap_or_else(PoisonError::into_inner).slow;
            tokio::time::sleep(slow).await;
            if fails && nth == 1 {
                let failure = Failure::new(Code::Unavailable, "FOREIGN_UNAVAILABLE", "away");
                return Some((
                    Err(PullError::new(PullErrorKind::Unavailable, failure)),
                    None,
                ));
            }
            let page = {
                let mut state = system.lock().unwrap_or_else(PoisonError::into_inner);
                let rows: Vec<_> = state.rows.iter().skip(from).take(PAGE).cloned().collect();
                if rows.is_empty() {
                    return None;
                }
                state.pages += 1;
                let done = from + rows.len();
                Page {
                    records: rows
                        .iter()
                        .map(|(id, n, t)| record(&source, id, n, *t))
                        .collect(),
                    cursor: Some(Cursor(done.to_string())),
                    progress: Progress {
                        done: done as u64,
                        total: Some(state.rows.len() as u64),
                    },
                    ..Page::default()
                }
            };
            let next = from + page.records.len();
            Some((Ok(page), Some((next, nth + 1, under_way, system, source))))
        })
        .boxed()
    }
    async fn sweep(
        &self,
        _: &str,
        known: Arc<dyn KnownRecords>,
        limit: SweepLimit,
    ) -> BoxStream<'static, Result<Page, PullError>> {
        let present = self
            .state()
            .rows
            .iter()
            .map(|(id, _, _)| id.clone())
            .collect();
        let recheck = |_| async { Ok(std::collections::BTreeSet::new()) };
        let swept = sweep::compare(&self.source, &present, &*known, limit, recheck).await;
        let pages = match swept {
            Ok(swept) => vec![Ok(Page {
                records: swept.deletions,
                ..Page::default()
            })],
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(pages).boxed()
    }
    fn outbound(&self) -> Option<&dyn Outbound> {
        Some(self)
    }
    fn callback(&self) -> Option<&dyn Callback> {
        Some(self)
    }
}

/// Counts a pull that was dropped, too.
struct UnderWay(Arc<Mutex<State>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.pulling -= 1;
    }
}

#[async_trait]
impl Outbound for Demo {
    async fn send(&self, message: &Message) -> Result<Sent, SendError> {
        let hang = {
            let mut state = self.state();
            state.messages.push(message.clone());
            if !state.sends.is_empty() {
                let failure = Failure::new(Code::Unavailable, "FOREIGN_REFUSED", "not now");
                return Err(SendError::new(state.sends.remove(0), failure));
            }
            state.hang
        };
        if hang {
            std::future::pending::<()>().await;
        }
        Ok(Sent {
            foreign_id: Some(format!("m-{}", message.key)),
        })
    }
    async fn push(&self, push: &Push, state: &PushState) -> Result<PushStep, SendError> {
        let steps = ["save", "submit", "audit"];
        let step = steps[state.done.len()];
        let dies = {
            let mut there = self.state();
            // A step looks first whether it was done already, as a connector must.
            let mark = format!("{step} {}", push.kind);
            if !there.steps.contains(&mark) {
                there.steps.push(mark);
            }
            there.die_after.as_deref() == Some(step)
        };
        if dies {
            std::future::pending::<()>().await;
        }
        let mut next = state.clone();
        next.done.push(step.to_owned());
        next.memory = serde_json::json!({"id": 7});
        Ok(if next.done.len() == steps.len() {
            let sent = Sent {
                foreign_id: Some("7".to_owned()),
            };
            PushStep::Done(next, sent)
        } else {
            PushStep::Next(next)
        })
    }
}

impl Callback for Demo {
    fn receive(&self, request: &CallbackRequest) -> CallbackOutcome {
        if request.header("x-token") != Some(self.token.as_str()) {
            return CallbackOutcome::refused("SIGNATURE");
        }
        let events: Vec<CallbackEvent> = match request.body.is_empty() {
            true => vec![],
            false => match serde_json::from_slice(&request.body) {
                Ok(events) => events,
                Err(_) => return CallbackOutcome::refused("BODY"),
            },
        };
        CallbackOutcome::Verified {
            answer: CallbackAnswer::text(request.query("echo").unwrap_or("success")),
            events,
        }
    }
}

/// One version that the customer service has of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    pub second_micros: i64,
    pub deleted: bool,
    pub bytes: Vec<u8>,
}

/// What the customer service has and does.
#[derive(Default)]
pub struct Customers {
    pub sources: BTreeMap<String, customer::Source>,
    /// Versions by external id, distinct ones.
    pub records: BTreeMap<String, Vec<Version>>,
    /// External ids that are refused.
    pub refused: Vec<String>,
    /// So many calls are answered with this code.
    pub away: usize,
    pub calls: usize,
}

impl Customers {
    /// The version of a record that counts.
    pub fn newest(&self, id: &str) -> Option<&Version> {
        self.records.get(id)?.iter().max_by_key(|v| v.second_micros)
    }
    pub fn alive(&self) -> usize {
        let ids = self.records.keys();
        ids.filter(|id| self.newest(id).is_some_and(|v| !v.deleted))
            .count()
    }
}

/// The door to it; clones share it.
#[derive(Clone, Default)]
pub struct FakeDoor(pub Arc<Mutex<Customers>>);

impl FakeDoor {
    pub fn lock(&self) -> MutexGuard<'_, Customers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Door for FakeDoor {
    async fn get_source(&self, name: String) -> Result<customer::Source, Status> {
        let found = self.lock().sources.get(&name).cloned();
        found.ok_or_else(|| Status::not_found("no such source"))
    }
    async fn create_source(
        &self,
        request: customer::CreateSourceRequest,
    ) -> Result<customer::Source, Status> {
        let name = format!("sources/{}", request.source_id);
        let source = request.source.unwrap_or_default();
        self.lock().sources.insert(name, source.clone());
        Ok(source)
    }
    async fn ingest(
        &self,
        request: customer::IngestSourceRecordsRequest,
    ) -> Result<customer::IngestSourceRecordsResponse, Status> {
        use customer::ingest_result::Outcome;
        let mut all = self.lock();
        all.calls += 1;
        if all.away > 0 {
            all.away -= 1;
            return Err(Status::unavailable("away"));
        }
        let mut results = Vec::new();
        for record in request.records {
            let key = record.key.clone().unwrap_or_default();
            let mut result = customer::IngestResult {
                key: Some(key.clone()),
                ..Default::default()
            };
            if all.refused.contains(&key.external_id) {
                let info = ErrorInfo {
                    reason: "INVALID_FIELD".to_owned(),
                    ..ErrorInfo::default()
                };
                result.outcome = Outcome::Rejected.into();
                result.error = Some(RecordStatus {
                    code: 3,
                    message: "the name is not to our liking".to_owned(),
                    details: vec![prost_types::Any {
                        type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
                        value: info.encode_to_vec(),
                    }],
                });
                results.push(result);
                continue;
            }
            let time = record.source_update_time.unwrap_or_default();
            let version = Version {
                second_micros: time.seconds * 1_000_000 + i64::from(time.nanos / 1_000),
                deleted: record.deleted,
                bytes: record.encode_to_vec(),
            };
            let versions = all.records.entry(key.external_id.clone()).or_default();
            let outcome = if versions.contains(&version) {
                Outcome::Unchanged
            } else if versions.is_empty() {
                Outcome::Created
            } else if versions
                .iter()
                .any(|v| v.second_micros > version.second_micros)
            {
                Outcome::Superseded
            } else {
                Outcome::Updated
            };
            if outcome != Outcome::Unchanged {
                versions.push(version);
            }
            result.outcome = outcome.into();
            results.push(result);
        }
        Ok(customer::IngestSourceRecordsResponse { results })
    }
}

/// The service over one database.
pub struct World {
    pub api: Api,
    pub door: FakeDoor,
    pub system: Arc<Mutex<State>>,
    pub name: String,
    tasks: Vec<JoinHandle<()>>,
}

pub fn limits() -> Limits {
    let backoff = |attempts| Backoff {
        first: Duration::from_millis(20),
        longest: Duration::from_millis(100),
        attempts,
    };
    Limits {
        poll: Duration::from_millis(20),
        lease: Duration::from_millis(900),
        concurrent: 8,
        // A server that is started anew takes a while.
        run: backoff(2_000),
        runs_kept: 50,
        error_attempts: 3,
        error_wait: Duration::from_millis(30),
        errors_kept: 1_000,
        outbound: backoff(4),
        outbound_kept: Duration::from_secs(86_400),
        delivery: backoff(3),
    }
}

/// A replica over a database; those over one share its keys.
pub fn replica(db: &Database, ring: &Arc<KeyRing>, door: &FakeDoor, clock: Arc<dyn Clock>) -> Api {
    let mut all = kinds();
    all.push(kind::<Demo>());
    let core = Core::new(Parts {
        db: db.clone(),
        ring: ring.clone(),
        clock,
        entropy: Arc::new(OsEntropy),
        registry: Registry::new(all, vec![std::env::temp_dir()]),
        limits: limits(),
        door: Arc::new(door.clone()),
        directory: None,
        numbers: Numbers::unregistered().unwrap(),
        shutdown: Shutdown::new(),
    });
    Api::new(core, Arc::new(Pages::new(ring.clone())))
}

pub fn viewer() -> Viewer {
    Viewer {
        caller: Caller {
            name: "users/ana".to_owned(),
            actor: None,
        },
        scope: RowScope::All,
        mask: FieldMask::all(),
    }
}

impl World {
    pub fn over(db: &Database) -> Self {
        Self::with_clock(db, Arc::new(SystemClock))
    }

    pub fn with_clock(db: &Database, clock: Arc<dyn Clock>) -> Self {
        let ring = Arc::new(KeyRing::in_memory(&OsEntropy));
        let door = FakeDoor::default();
        let api = replica(db, &ring, &door, clock);
        let name = format!("{:?}-{}", db.engine(), api.core.holder());
        Self {
            api,
            door,
            system: system(&name),
            name,
            tasks: Vec::new(),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.system.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins supervising.
    pub fn start(&mut self) {
        let core = self.api.core.clone();
        self.tasks.push(tokio::spawn(work::supervise(core)));
    }

    /// Rows `from..to`, changed a second after one another.
    pub fn rows(&self, from: i64, to: i64) {
        let rows = (from..to).map(|i| (format!("p-{i:04}"), format!("张{i}"), 1_000 + i));
        self.state().rows.extend(rows);
    }

    /// A connection called `demo` to the system.
    pub async fn connect(&self) -> pb::Connection {
        connections::create(self.api.clone(), viewer(), self.request("demo"))
            .await
            .unwrap()
    }

    pub fn request(&self, id: &str) -> pb::CreateConnectionRequest {
        let text = prost_types::value::Kind::StringValue(self.name.clone());
        let value = prost_types::Value { kind: Some(text) };
        pb::CreateConnectionRequest {
            connection_id: id.to_owned(),
            connection: Some(pb::Connection {
                connector: "connectors/demo".to_owned(),
                settings: Some(prost_types::Struct {
                    fields: [("system".to_owned(), value)].into(),
                }),
                secrets: [("token".to_owned(), TOKEN.to_owned())].into(),
                ..pb::Connection::default()
            }),
            ..pb::CreateConnectionRequest::default()
        }
    }

    pub async fn run(&self, kind: pb::run::Kind) -> pb::Run {
        let request = pb::RunConnectionRequest {
            name: "connections/demo".to_owned(),
            kind: kind.into(),
            ..pb::RunConnectionRequest::default()
        };
        let run = runs::start(self.api.clone(), viewer(), request)
            .await
            .unwrap();
        self.ended(&run.name).await
    }

    pub async fn get(&self, name: &str) -> pb::Run {
        let request = pb::GetRunRequest {
            name: name.to_owned(),
        };
        runs::get(self.api.clone(), viewer(), request)
            .await
            .unwrap()
    }

    /// The run when it has ended or waits for approval.
    pub async fn ended(&self, name: &str) -> pb::Run {
        until(async || {
            let run = self.get(name).await;
            (run.end_time.is_some() || run.state() == pb::run::State::NeedsApproval).then_some(run)
        })
        .await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.api.core.shutdown.trigger();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What `look` sees at last; panics after half a minute.
pub async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..1_500 {
        if let Some(seen) = look().await {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come about");
}

/// Runs a case on a fresh database of each engine.
pub async fn on_each(case: impl AsyncFn(Database) -> ()) {
    testing::on_each_engine(&MIGRATIONS, case).await;
}
