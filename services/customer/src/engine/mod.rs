//! The engine: records in, customers out. See [`Engine`].

mod activity;
mod apply;
mod attachments;
mod cache;
mod drain;
pub mod dry_run;
pub mod erase;
pub mod evaluate;
mod explain;
mod first_load;
mod golden;
mod ingest;
mod judged;
mod judgements;
mod load;
mod mutate;
pub(crate) mod prepare;
pub mod rebuild;
mod record;
mod reindex;
mod resolve;
pub mod rule_sets;
mod sources;
mod state;
pub mod train;
mod verify;

use std::sync::Arc;

use jinke_resolution::{Rules, SurvivorshipPolicy};
use jinke_store::{Conn, Database, Tx, keys::KeyRing};
use jinke_types::{Clock, Entropy, Failure};

pub use prepare::{lookup_text, token};

use crate::store;
use cache::{Cache, GenericCache, GenericKeys};

/// Limits of the engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Most standardized records kept in memory; about 2 KiB each.
    pub cached_records: usize,
    /// Most records that one transaction takes from waiting calls.
    pub group_records: usize,
    /// Most calls that wait for a transaction; further ones wait outside.
    pub queued_calls: usize,
    /// Records that a training looks at, about 2 KiB each: half of them drawn, the others their
    /// partners.
    pub training_records: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            cached_records: 50_000,
            group_records: 2_000,
            queued_calls: 64,
            training_records: 20_000,
        }
    }
}

/// Takes source records, resolves them and answers with customers. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    core: Arc<Core>,
    queue: ingest::Queue,
    /// Held so that the background ends with the last engine.
    _kick: drain::Kick,
}

/// What all parts of the engine share.
pub(crate) struct Core {
    pub(crate) db: Database,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) policy: Arc<SurvivorshipPolicy>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) config: EngineConfig,
    pub(crate) cache: Cache,
    pub(crate) generic: GenericCache,
    pub(crate) versions: rule_sets::Versions,
    /// Calls that wait for their records to be resolved.
    pub(crate) ordinary: first_load::Ordinary,
}

/// The lock that whoever writes holds until the transaction ends: one writer resolves at a time.
const LOCK: &str = "resolve";

impl Core {
    /// Waits for the turn to write. On SQLite the transaction itself is the turn.
    pub(crate) async fn lock(&self, tx: &mut Tx) -> Result<(), Failure> {
        tx.lock(LOCK).await
    }

    /// The keys that are generic now.
    pub(crate) async fn generic_keys(&self, conn: &mut Conn) -> Result<GenericKeys, Failure> {
        let revision = store::state::generic_revision(conn).await?;
        if let Some(known) = self.generic.get(revision) {
            return Ok(known);
        }
        let tokens = Arc::new(store::state::generic(conn).await?);
        Ok(GenericKeys { revision, tokens })
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over a database that was opened with [`crate::store::MIGRATIONS`].
    ///
    /// Call it within a tokio runtime. When the rules, the token key or the way this program derives
    /// have changed since the database was written, everything derived is made anew first.
    pub async fn new(
        db: Database,
        ring: Arc<KeyRing>,
        rules: Arc<Rules>,
        policy: Arc<SurvivorshipPolicy>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        config: EngineConfig,
    ) -> Result<Self, Failure> {
        let cache = Cache::new(config.cached_records);
        let core = Arc::new(Core {
            db,
            ring,
            rules,
            policy,
            clock,
            entropy,
            config,
            cache,
            generic: GenericCache::default(),
            versions: rule_sets::Versions::default(),
            ordinary: first_load::Ordinary::default(),
        });
        core.configure().await?;
        core.reindex().await?;
        let kick = drain::start(Arc::clone(&core));
        let queue = ingest::start(Arc::clone(&core), kick.clone());
        Ok(Self {
            core,
            queue,
            _kick: kick,
        })
    }
    /// The database, for queries.
    pub fn database(&self) -> &Database {
        &self.core.db
    }
    /// The keys.
    pub fn ring(&self) -> &KeyRing {
        &self.core.ring
    }
    /// The survivorship policy in force.
    pub fn policy(&self) -> &SurvivorshipPolicy {
        &self.core.policy
    }
}
