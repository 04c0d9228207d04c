//! Takes up operations, keeps them claimed while they run, and ends them truthfully.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jinke_types::{Clock, Code, Entropy, Failure, Operation};
use tokio::sync::Notify;

use super::Work;
use crate::{database::Database, tx::Tx};

/// How long a claim holds without a sign of life. A crashed operation waits this long, at most,
/// until another worker goes on with it.
const TERM: Duration = Duration::from_secs(30);

/// How often a worker looks for operations that other processes created or left behind.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How often an operation is taken up anew after its process died, before it is taken for what
/// kills the process.
const MOST_ATTEMPTS: i64 = 20;

/// How long operations that ended are kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How a function that does the work of an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Well, with this result, which the worker now stores.
    With(Vec<u8>),
    /// Well; [`Job::finish`] stored the result in the transaction that had the effect.
    Already,
}

/// Does the work of operations of some kinds in the background.
#[derive(Clone)]
pub struct Worker {
    db: Database,
    clock: Arc<dyn Clock>,
    holder: Arc<str>,
    kinds: Arc<[&'static str]>,
    term: Duration,
    wake: Arc<Notify>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("kinds", &self.kinds)
            .finish_non_exhaustive()
    }
}

/// What the function of [`Worker::run`] gives back.
pub type Outcome = Pin<Box<dyn Future<Output = Result<Ended, Failure>> + Send>>;

impl Worker {
    /// For operations of these kinds in `db`.
    pub fn new(
        db: Database,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        kinds: &[&'static str],
    ) -> Self {
        let mut id = [0; 8];
        entropy.fill(&mut id);
        Self {
            db,
            clock,
            holder: hex::encode(id).into(),
            kinds: kinds.into(),
            term: TERM,
            wake: Arc::new(Notify::new()),
        }
    }

    /// With another term than 30 seconds, for tests.
    #[must_use]
    pub fn with_term(mut self, term: Duration) -> Self {
        self.term = term;
        self
    }

    /// Tells the worker that an operation was created, so that it starts at once.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Takes up one operation after another until `stop` completes; the one at work is then
    /// given back with its last checkpoint, and goes on at the next start. Run several of these
    /// to work on several at a time.
    ///
    /// `work` reports with [`Job::progress`], whose error it passes on. An error ends the
    /// operation as failed, `OPERATION_CANCELLED` as cancelled; a panic as failed.
    pub async fn run<F>(self, stop: impl Future<Output = ()>, work: F) -> Result<(), Failure>
    where
        F: Fn(Arc<Job>) -> Outcome,
    {
        let mut stop = std::pin::pin!(stop);
        loop {
            // An error here is a database that is away; the readiness check tells of it.
            let claimed = self.claim().await.unwrap_or_default();
            let Some(claimed) = claimed else {
                tokio::select! {
                    () = &mut stop => return Ok(()),
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                }
                continue;
            };
            let job = Arc::new(Job {
                db: self.db.clone(),
                clock: Arc::clone(&self.clock),
                work: claimed,
                term: self.term,
                cancelled: AtomicBool::new(false),
            });
            if job.work.fence > MOST_ATTEMPTS {
                let given_up = Failure::new(
                    Code::Internal,
                    "OPERATION_CRASHED",
                    format!("its process ended {MOST_ATTEMPTS} times while working on it"),
                );
                let _ = job.end(Err(given_up)).await;
                continue;
            }
            if job.work.operation.cancel_requested {
                job.note(true);
                let _ = job.end(job.check().map(|()| Ended::Already)).await;
                continue;
            }
            let mut running = tokio::spawn(work(Arc::clone(&job)));
            let ended = tokio::select! {
                ended = &mut running => Some(ended),
                lost = job.beat() => {
                    tracing::warn!(operation = job.work.operation.id, error = %lost, "operation lost");
                    None
                }
                () = &mut stop => {
                    running.abort();
                    // What it does right now must have ended before another goes on.
                    let _ = running.await;
                    let _ = job.release().await;
                    return Ok(());
                }
            };
            match ended {
                Some(outcome) => {
                    let outcome = outcome.unwrap_or_else(|panic| {
                        Err(Failure::internal(format!("the operation failed: {panic}")))
                    });
                    if let Err(failure) = job.end(outcome).await {
                        tracing::warn!(
                            operation = job.work.operation.id,
                            error = %failure,
                            "an operation's end could not be stored"
                        );
                    }
                }
                None => {
                    running.abort();
                    let _ = running.await;
                }
            }
        }
    }

    async fn claim(&self) -> Result<Option<Work>, Failure> {
        let now = self.clock.now();
        // A look costs no write, which on SQLite would wait for the one writer.
        let mut reader = self.db.read().await?;
        let waiting = super::waiting(&mut reader, &self.kinds, now).await?;
        drop(reader);
        if !waiting {
            return Ok(None);
        }
        self.db
            .write(async |mut tx| {
                super::purge(&mut tx, now.minus(KEPT)).await?;
                super::claim(&mut tx, &self.kinds, &self.holder, self.term, now).await
            })
            .await
    }
}

/// An operation at work.
pub struct Job {
    db: Database,
    clock: Arc<dyn Clock>,
    work: Work,
    term: Duration,
    cancelled: AtomicBool,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("work", &self.work)
            .finish_non_exhaustive()
    }
}

impl Job {
    /// The operation as it was when taken up: its request, and where an earlier worker stopped.
    pub fn operation(&self) -> &Operation {
        &self.work.operation
    }

    /// Reports `done` of `total` steps (0: not known) and where to go on after a crash.
    ///
    /// # Errors
    /// `OPERATION_CANCELLED` when somebody asked to stop, `OPERATION_LOST` when another worker
    /// has it. Both are to be passed on.
    pub async fn progress(&self, done: i64, total: i64, checkpoint: &[u8]) -> Result<(), Failure> {
        let now = self.clock.now();
        let asked = self
            .db
            .write(async |mut tx| {
                super::progress(&mut tx, &self.work, done, total, checkpoint, self.term, now).await
            })
            .await?;
        self.note(asked);
        self.check()
    }

    /// Whether the work should go on; cheap, for loops that do not report every step.
    ///
    /// # Errors
    /// `OPERATION_CANCELLED`.
    pub fn check(&self) -> Result<(), Failure> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Failure::new(
                Code::Cancelled,
                "OPERATION_CANCELLED",
                "the operation was cancelled",
            ));
        }
        Ok(())
    }

    /// Stores the result in the transaction that has the effect, so that both happen or neither;
    /// the function then answers [`Ended::Already`].
    ///
    /// # Errors
    /// `OPERATION_LOST`.
    pub async fn finish(&self, tx: &mut Tx, result: &[u8]) -> Result<(), Failure> {
        super::finish(tx, &self.work, result, self.clock.now()).await
    }

    fn note(&self, asked: bool) {
        if asked {
            self.cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// Keeps the claim; completes when it was lost.
    async fn beat(&self) -> Failure {
        let mut failures = 0;
        loop {
            tokio::time::sleep(self.term / 4).await;
            let now = self.clock.now();
            let renewed = self
                .db
                .write(async |mut tx| super::renew(&mut tx, &self.work, self.term, now).await)
                .await;
            match renewed {
                Ok(asked) => {
                    failures = 0;
                    self.note(asked);
                }
                // Ended by `finish` a moment ago, or taken over: not to be told apart here, so
                // the work is left to end by itself or to find out at its next report.
                Err(failure) if failure.reason == "OPERATION_LOST" => {
                    tokio::time::sleep(self.term).await;
                    return failure;
                }
                Err(failure) => {
                    failures += 1;
                    if failures == 4 {
                        return failure;
                    }
                }
            }
        }
    }

    async fn release(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        self.db
            .write(async |mut tx| super::release(&mut tx, &self.work, now).await)
            .await
    }

    async fn end(&self, outcome: Result<Ended, Failure>) -> Result<(), Failure> {
        let now = self.clock.now();
        let work = &self.work;
        match outcome {
            Ok(Ended::Already) => Ok(()),
            Ok(Ended::With(result)) => {
                self.db
                    .write(async |mut tx| super::finish(&mut tx, work, &result, now).await)
                    .await
            }
            Err(failure) if failure.reason == "OPERATION_LOST" => Err(failure),
            Err(failure) if failure.reason == "OPERATION_CANCELLED" => {
                self.db
                    .write(async |mut tx| super::stopped(&mut tx, work, now).await)
                    .await
            }
            Err(failure) => {
                // The reason is shown to whoever asks; what was hidden in it goes to the log.
                tracing::warn!(
                    operation = work.operation.id,
                    kind = work.operation.kind,
                    error = %failure,
                    "an operation failed"
                );
                self.db
                    .write(async |mut tx| super::fail(&mut tx, work, &failure, now).await)
                    .await
            }
        }
    }
}
