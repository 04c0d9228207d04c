//! Records in: versions, resolution and changes in one transaction.
//!
//! Calls are prepared where they arrive, then wait in a bounded queue. One worker takes what
//! waits, up to a number of records, into one transaction (group commit): many small calls cost
//! little more than one large one. When a group fails, its calls are tried one by one, so that
//! a call can only fail by itself.

use std::sync::Arc;

use jinke_types::{AuditIntent, Code, Failure, SourceRecord};
use tokio::sync::{mpsc, oneshot};

use super::{
    Core, Engine,
    apply::{self, Call},
    drain::Kick,
    prepare::{Prepared, prepare},
};
use crate::domain::{IngestResult, MAX_BATCH, RequestId};

/// A call that waits, and where its answer goes.
pub(crate) struct Waiting {
    call: Arc<Call>,
    answer: oneshot::Sender<Result<Vec<IngestResult>, Failure>>,
}

/// The waiting room of the worker.
pub(crate) type Queue = mpsc::Sender<Waiting>;

/// Starts the worker; it ends when the last [`Engine`] is gone.
pub(crate) fn start(core: Arc<Core>, kick: Kick) -> Queue {
    let (queue, mut waiting) = mpsc::channel::<Waiting>(core.config.queued_calls.max(1));
    tokio::spawn(async move {
        while let Some(first) = waiting.recv().await {
            let mut count = first.call.records.len();
            let mut group = vec![first];
            // The last call may go beyond the limit; calls are bounded themselves.
            while count < core.config.group_records {
                let Ok(next) = waiting.try_recv() else { break };
                count += next.call.records.len();
                group.push(next);
            }
            // A caller that went away needs no answer, and its records were not promised.
            group.retain(|w| !w.answer.is_closed());
            run_group(&core, &kick, group).await;
        }
    });
    queue
}

async fn run_group(core: &Arc<Core>, kick: &Kick, group: Vec<Waiting>) {
    let calls: Vec<Arc<Call>> = group.iter().map(|w| Arc::clone(&w.call)).collect();
    if calls.is_empty() {
        return;
    }
    match apply(core, kick, calls).await {
        Ok(results) => {
            for (w, result) in group.into_iter().zip(results) {
                let _ = w.answer.send(result);
            }
        }
        Err(failure) if group.len() == 1 => {
            for w in group {
                let _ = w.answer.send(Err(failure.clone()));
            }
        }
        Err(_) => {
            for w in group {
                let result = apply(core, kick, vec![Arc::clone(&w.call)]).await;
                let result = result.and_then(|mut r| {
                    r.pop()
                        .unwrap_or_else(|| Err(Failure::internal("a call without an answer")))
                });
                let _ = w.answer.send(result);
            }
        }
    }
}

/// Applies calls in a task of their own: a panic on one record, which is a bug, fails the call that
/// brought it (its transaction is rolled back) and not the worker, whose end would stop all
/// ingest until the process is started anew.
async fn apply(
    core: &Arc<Core>,
    kick: &Kick,
    calls: Vec<Arc<Call>>,
) -> Result<Vec<Result<Vec<IngestResult>, Failure>>, Failure> {
    let (core, kick) = (Arc::clone(core), kick.clone());
    tokio::spawn(async move { core.apply(&calls, &kick).await })
        .await
        .unwrap_or_else(|panic| Err(Failure::internal(format!("ingest failed: {panic}"))))
}

impl Core {
    /// Applies calls in one transaction; what the caches learn, they learn after the commit.
    async fn apply(
        &self,
        calls: &[Arc<Call>],
        kick: &Kick,
    ) -> Result<Vec<Result<Vec<IngestResult>, Failure>>, Failure> {
        let applied = self
            .db
            .write(async |mut tx| {
                self.lock(&mut tx).await?;
                for call in calls.iter().filter_map(|c| c.intent.as_ref()) {
                    tx.with_change_of(Arc::clone(call));
                }
                apply::run(self, &mut tx, calls, self.clock.now()).await
            })
            .await?;
        if applied.resolved.left {
            // A full channel means that the background was told already.
            let _ = kick.try_send(());
        }
        applied.resolved.learn(self);
        Ok(applied.results)
    }
}

impl Engine {
    /// Ingests up to [`MAX_BATCH`] records; one durable result per record, in order.
    /// Calls that wait at the same time share a transaction.
    ///
    /// A record that is refused does not stop the others. With a request id, the same call sent
    /// again answers what is known of its records and changes nothing; another one under the id
    /// is `REQUEST_ID_REUSED`.
    pub async fn ingest(
        &self,
        records: Vec<SourceRecord>,
        request: Option<RequestId>,
    ) -> Result<Vec<IngestResult>, Failure> {
        // While somebody waits for his records to be resolved, the background steps back.
        let _ordinary = self.core.ordinary.enter();
        self.queued(records, request, false).await
    }

    /// Like [`Engine::ingest`], but party records that are new are only stored when this returns:
    /// they have no customer yet, and are resolved in the background. For first loads.
    ///
    /// A record that was there before is resolved at once when it changes, unless it still waits
    /// itself. Versions of one record that come while it waits are resolved together.
    pub async fn ingest_later(
        &self,
        records: Vec<SourceRecord>,
        request: Option<RequestId>,
    ) -> Result<Vec<IngestResult>, Failure> {
        self.queued(records, request, true).await
    }

    async fn queued(
        &self,
        records: Vec<SourceRecord>,
        request: Option<RequestId>,
        later: bool,
    ) -> Result<Vec<IngestResult>, Failure> {
        let call = Arc::new(Call {
            records: self.prepare(records, later).await?,
            request,
            later,
            intent: AuditIntent::current(),
        });
        let (answer, answered) = oneshot::channel();
        let stopped = || {
            Failure::new(
                Code::Unavailable,
                "ENGINE_STOPPED",
                "the engine has stopped",
            )
        };
        self.queue
            .send(Waiting { call, answer })
            .await
            .map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// What [`Engine::ingest`] would answer, without storing anything.
    pub async fn check_ingest(
        &self,
        records: Vec<SourceRecord>,
    ) -> Result<Vec<IngestResult>, Failure> {
        let call = Arc::new(Call {
            records: self.prepare(records, false).await?,
            request: None,
            later: false,
            intent: None,
        });
        let core = &self.core;
        let mut tx = core.db.begin().await?;
        core.lock(&mut tx).await?;
        let now = core.clock.now();
        let applied = apply::run(core, &mut tx, &[call], now).await?;
        // Dropped without a commit, the transaction is rolled back.
        drop(tx);
        applied
            .results
            .into_iter()
            .next()
            .unwrap_or_else(|| Err(Failure::internal("a call without an answer")))
    }

    /// Checks, hashes and standardizes, which takes the processor for a while.
    async fn prepare(
        &self,
        records: Vec<SourceRecord>,
        later: bool,
    ) -> Result<Vec<Prepared>, Failure> {
        if records.is_empty() || records.len() > MAX_BATCH {
            return Err(Failure::field(
                "records",
                format!("must have 1 to {MAX_BATCH} records"),
            ));
        }
        let (ring, rules) = (Arc::clone(&self.core.ring), Arc::clone(&self.core.rules));
        tokio::task::spawn_blocking(move || {
            records
                .into_iter()
                .map(|r| prepare(&ring, &rules, r, later))
                .collect()
        })
        .await
        .map_err(Failure::internal)
    }
}
