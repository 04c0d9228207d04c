//! Long-running operations of this service: how they are started, and what does their work.
//!
//! A handler checks its request and calls [`Background::start`]; the operation's request is the
//! request itself. The work is a function of the engine; here its outcome becomes a message. To
//! add one: a kind, an arm in `work`.

use std::sync::Arc;

use jinke_kit::operations::{pack, to_message};
use jinke_proto::google::longrunning;
use jinke_store::{
    Database,
    operation::{self, Ended, Job, Outcome, Worker},
};
use jinke_types::{Clock, Code, Entropy, Failure, RowScope};
use prost::{Message, Name};

use super::{dry_run, rule_set};
use crate::{
    access::Viewer,
    convert::pb,
    engine::{Engine, rebuild::Progress},
};

/// `RebuildCustomers`.
pub const REBUILD: &str = "rebuild";

/// `TrainRuleSet`.
pub const TRAIN: &str = "train";
/// `EvaluateRuleSet`.
pub const EVALUATE: &str = "evaluate";
/// `DryRunRuleSet`.
pub const DRY_RUN: &str = "dry-run";
/// `ActivateRuleSet`.
pub const ACTIVATE: &str = "activate";

const KINDS: [&str; 5] = [REBUILD, TRAIN, EVALUATE, DRY_RUN, ACTIVATE];

/// Starts operations, and does their work.
#[derive(Clone)]
pub struct Background {
    db: Database,
    clock: Arc<dyn Clock>,
    worker: Worker,
}

impl Background {
    /// Over the engine's database.
    pub fn new(db: Database, clock: Arc<dyn Clock>, entropy: &dyn Entropy) -> Self {
        Self {
            worker: Worker::new(db.clone(), Arc::clone(&clock), entropy, &KINDS),
            db,
            clock,
        }
    }

    /// Creates an operation that works in the background.
    pub(super) async fn start(
        &self,
        viewer: &Viewer,
        kind: &'static str,
        request: &impl Message,
    ) -> Result<longrunning::Operation, Failure> {
        let (caller, request) = (&viewer.caller.name, request.encode_to_vec());
        let now = self.clock.now();
        let created = self
            .db
            .write(async |mut tx| operation::create(&mut tx, kind, caller, &request, now).await)
            .await?;
        self.worker.wake();
        Ok(to_message(self.db.service(), &created))
    }

    /// Works until `stop` completes.
    pub async fn run(self, engine: Engine, stop: impl Future<Output = ()>) -> Result<(), Failure> {
        self.worker
            .run(stop, move |job| -> Outcome {
                let engine = engine.clone();
                Box::pin(async move { work(&engine, &job).await })
            })
            .await
    }
}

/// Refuses a caller who does not see everything: what these operations tell is of all records.
pub(super) fn sees_all(viewer: &Viewer) -> Result<(), Failure> {
    if viewer.scope == RowScope::All {
        return Ok(());
    }
    Err(Failure::new(
        Code::PermissionDenied,
        "WHOLE_ENTERPRISE_NEEDED",
        "this concerns the records of every org unit; a permission for some is not enough",
    ))
}

fn ended<M: Message + Name>(message: &M) -> Ended {
    Ended::With(pack(message).encode_to_vec())
}

fn read<M: Message + Default>(job: &Job) -> Result<M, Failure> {
    M::decode(job.operation().request.as_slice()).map_err(|_| crate::domain::damaged("operation"))
}

/// Tells the operation how far it is.
pub(super) fn progress(job: &Arc<Job>) -> Progress {
    let job = Arc::clone(job);
    Arc::new(move |done, total| {
        let job = Arc::clone(&job);
        Box::pin(async move { job.progress(done, total, &[]).await })
    })
}

async fn work(engine: &Engine, job: &Arc<Job>) -> Result<Ended, Failure> {
    match job.operation().kind.as_str() {
        REBUILD => {
            let request: pb::RebuildCustomersRequest = read(job)?;
            let report = super::rebuild_customers::work(engine, &request, job).await?;
            Ok(ended(&report))
        }
        TRAIN => Ok(ended(
            &rule_set::work_train(engine, &read(job)?, job).await?,
        )),
        EVALUATE => Ok(ended(
            &rule_set::work_evaluate(engine, &read(job)?, job).await?,
        )),
        DRY_RUN => Ok(ended(&dry_run::work(engine, &read(job)?, job).await?)),
        ACTIVATE => rule_set::work_activate(engine, &read(job)?, job).await,
        kind => Err(Failure::internal(format!("no operation is called {kind}"))),
    }
}
