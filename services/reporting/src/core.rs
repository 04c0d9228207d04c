//! What every handler works with: facts for a caller, kept while they stay the same, and a bounded
//! number of computations at a time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::NaiveDate;
use jinke_store::{Database, Tx, keys::KeyRing, request};
use jinke_types::{Clock, Code, Entropy, Failure, RowScope, Timestamp};
use tokio::sync::Semaphore;

use crate::{
    config::QuestionsSection,
    facts::Frame,
    page::Pages,
    parameters::Parameters,
    store::load::{self, Version},
};

/// A request id with everything it is bound to.
#[derive(Clone, Debug)]
pub struct RequestId {
    /// Who calls.
    pub caller: String,
    /// What.
    pub method: &'static str,
    /// The id.
    pub id: String,
    /// The encoded request.
    pub body: Vec<u8>,
}

impl RequestId {
    /// As the store takes it.
    pub fn as_request(&self) -> request::Request<'_> {
        request::Request {
            caller: &self.caller,
            method: self.method,
            id: &self.id,
            body: &self.body,
        }
    }
}

/// Frames kept for the next question, oldest first.
type Kept = Vec<(Version, Arc<Frame>)>;

/// Shared by all handlers and tasks. Cheap to clone.
#[derive(Clone)]
pub struct Core {
    /// The database.
    pub db: Database,
    /// Keys.
    pub ring: Arc<KeyRing>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What questions leave open.
    pub defaults: Arc<Parameters>,
    /// Page tokens.
    pub pages: Pages,
    limits: QuestionsSection,
    frames: Arc<Mutex<Kept>>,
    permits: Arc<Semaphore>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

impl Core {
    /// Over a database.
    pub fn new(
        db: Database,
        ring: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        defaults: Parameters,
        limits: QuestionsSection,
        database_id: String,
    ) -> Self {
        Self {
            pages: Pages::new(Arc::clone(&ring), database_id),
            permits: Arc::new(Semaphore::new(limits.parallel)),
            frames: Arc::new(Mutex::new(Vec::new())),
            defaults: Arc::new(defaults),
            db,
            ring,
            clock,
            entropy,
            limits,
        }
    }

    /// The facts that `scope` sees now.
    ///
    /// # Errors
    /// `TOO_MANY_FACTS`, `PROJECTION_MISSING`, `QUESTIONS_WAIT`.
    pub async fn frame(&self, scope: &RowScope, lines: bool) -> Result<Arc<Frame>, Failure> {
        if let Some(known) = self.known(scope, lines).await? {
            return Ok(known);
        }
        // One after the other: whoever waited may find what the one before has loaded.
        let _permit = self.permit().await?;
        if let Some(known) = self.known(scope, lines).await? {
            return Ok(known);
        }
        let (version, frame) = load::frame(&self.db, scope, lines, self.limits.max_facts).await?;
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        // What is of the same rows and older will not be asked for again.
        frames.retain(|(v, _)| {
            v.sources != version.sources || v.org_units != version.org_units || v.lines != lines
        });
        while frames.len() >= self.limits.cached_frames {
            frames.remove(0);
        }
        frames.push((version, Arc::clone(&frame)));
        Ok(frame)
    }

    async fn known(&self, scope: &RowScope, lines: bool) -> Result<Option<Arc<Frame>>, Failure> {
        let mut conn = self.db.read().await?;
        let version = load::version(&mut conn, scope, lines).await?;
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let found = frames.iter().find(|(v, _)| *v == version);
        Ok(found.map(|(_, frame)| Arc::clone(frame)))
    }

    async fn permit(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Failure> {
        let waited = tokio::time::timeout(Duration::from_secs(30), self.permits.acquire()).await;
        match waited {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Failure::new(
                Code::ResourceExhausted,
                "QUESTIONS_WAIT",
                "too many questions are being computed; ask again",
            )),
        }
    }

    /// Computes away from the threads that answer others, a bounded number at a time.
    ///
    /// # Errors
    /// `QUESTIONS_WAIT`, and what `work` returns.
    pub async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let _permit = self.permit().await?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(Failure::internal)?
    }

    /// The day it is now, in the zone of a question.
    pub fn today(&self, parameters: &Parameters) -> NaiveDate {
        parameters.zone.day(self.clock.now())
    }

    /// Claims a request id; the first name of what the first call made, when this is a replay.
    pub async fn claim(
        &self,
        tx: &mut Tx,
        id: Option<&RequestId>,
        now: Timestamp,
    ) -> Result<Option<String>, Failure> {
        let Some(id) = id else { return Ok(None) };
        match request::claim(tx, &self.ring, &id.as_request(), now).await? {
            request::Claim::New => Ok(None),
            request::Claim::Replay(outcomes) => Ok(Some(
                outcomes
                    .into_iter()
                    .next()
                    .map(|o| o.name)
                    .unwrap_or_default(),
            )),
        }
    }

    /// Notes what a request made.
    pub async fn complete(
        &self,
        tx: &mut Tx,
        id: Option<&RequestId>,
        name: &str,
        revision: i64,
    ) -> Result<(), Failure> {
        let Some(id) = id else { return Ok(()) };
        let outcome = request::Outcome {
            name: name.to_owned(),
            revision,
        };
        request::complete(tx, &id.as_request(), &[outcome]).await
    }
}

/// The etag of a revision.
pub fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// Refuses a stale etag; an empty one is none.
///
/// # Errors
/// `ETAG_MISMATCH`.
pub fn check_etag(given: &str, revision: i64) -> Result<(), Failure> {
    if given.is_empty() || given == etag(revision) {
        return Ok(());
    }
    Err(Failure::new(
        Code::Aborted,
        "ETAG_MISMATCH",
        "it was changed meanwhile; read it again",
    ))
}
