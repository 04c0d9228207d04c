//! A foreign system, a customer service, and the service between them.

mod customers;
mod directory;
mod leads;
mod system;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jinke_kit::Shutdown;
use jinke_proto::jinke::connector::v1 as pb;
use jinke_runner::{
    Backoff,
    config::Limits,
    core::{Core, Parts},
    numbers::Numbers,
    registry::{Registry, kind, kinds},
    rpc::{Api, Viewer, connections, page::Pages, runs},
    store::MIGRATIONS,
    work,
};
use jinke_sdk::{Part, PartKind, Verification};
use jinke_store::{Database, keys::KeyRing, testing};
use jinke_types::{Caller, Clock, FieldMask, OsEntropy, RowScope, SystemClock};
use tokio::task::JoinHandle;

pub use customers::FakeDoor;
pub use directory::FakeDirectory;
pub use leads::FakeLeads;
pub use system::{Demo, State, TOKEN, record, system};

/// The service over one database.
pub struct World {
    pub api: Api,
    pub door: FakeDoor,
    pub directory: FakeDirectory,
    pub leads: FakeLeads,
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
        // Long enough that a busy machine renews it in time.
        lease: Duration::from_secs(6),
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
    let (directory, leads) = Default::default();
    replica_with(db, ring, (door, &directory, &leads), clock)
}

/// The same, with a directory and leads to look at.
fn replica_with(
    db: &Database,
    ring: &Arc<KeyRing>,
    (door, directory, leads): (&FakeDoor, &FakeDirectory, &FakeLeads),
    clock: Arc<dyn Clock>,
) -> Api {
    let mut all = kinds();
    all.push(kind::<Demo>());
    // The same system as one that keeps a directory.
    let mut chat = kind::<Demo>();
    chat.spec.kind = "chat";
    chat.spec.parts.push(Part {
        name: "directory",
        kind: PartKind::Directory,
        about: "for tests",
        verification: Verification::Unverified,
        evidence: "none",
    });
    all.push(chat);
    let core = Core::new(Parts {
        db: db.clone(),
        ring: ring.clone(),
        clock,
        entropy: Arc::new(OsEntropy),
        registry: Registry::new(all, vec![std::env::temp_dir()]),
        limits: limits(),
        door: Arc::new(door.clone()),
        leads: Arc::new(leads.clone()),
        directory: Some(Arc::new(directory.clone())),
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
        let directory = FakeDirectory::default();
        let leads = FakeLeads::default();
        let api = replica_with(db, &ring, (&door, &directory, &leads), clock);
        let name = format!("{:?}-{}", db.engine(), api.core.holder());
        Self {
            api,
            door,
            directory,
            leads,
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

/// What `look` sees at last; panics after two minutes.
pub async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..6_000 {
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
