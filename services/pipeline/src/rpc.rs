//! The RPCs of this service. The five files `*_service.rs` give each method of the contract its
//! handler through [`Api::answer`], which takes the grant that the kit left (authorization comes
//! before validation), runs the handler, masks the answer (one that is not [`Masked`] does not
//! compile) and maps a failure to a status.
//!
//! | file | handlers of |
//! |---|---|
//! | [`pipelines`], [`changes`] | `PipelineService` |
//! | [`leads`], [`ingest`], [`rules`] | `LeadService` |
//! | [`opportunities`], [`moves`], [`board`] | `OpportunityService` |
//! | [`activities`] | `ActivityService` |
//! | [`tasks`] | `TaskService` |
//! | [`filter`], [`page`] | lists: filters, page tokens |

pub mod activities;
pub mod board;
pub mod changes;
pub mod filter;
pub mod ingest;
pub mod leads;
pub mod moves;
pub mod numbers;
pub mod opportunities;
pub mod page;
pub mod pipelines;
pub mod rules;
pub mod tasks;

mod activity_service;
mod lead_service;
mod opportunity_service;
mod pipeline_service;
mod task_service;

use std::sync::Arc;

use jinke_kit::{Shutdown, bearer, grant, status};
use jinke_types::Failure;
use prost::Message;
use tonic::{Request, Response, Status};

use crate::{
    access::{Masked, Viewer, mask},
    config::Limits,
    domain::RequestId,
    engine::Core,
    store::{crosswalk, list::Condition},
};
use numbers::Numbers;
use page::Pages;

/// Asks again what a caller may do, for a call that lasts: `(viewer, permission)`.
pub type Regrant = Arc<dyn Fn(&Viewer, &'static str) -> Result<Viewer, Failure> + Send + Sync>;

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// Does the work.
    pub core: Arc<Core>,
    /// Page tokens.
    pub pages: Arc<Pages>,
    /// What one watch may take.
    pub limits: Limits,
    /// Metrics.
    pub numbers: Numbers,
    /// The word to stop.
    pub shutdown: Shutdown,
    /// Asks again during a stream.
    pub regrant: Regrant,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// Runs a handler and masks its answer.
    async fn answer<Q, A, Run, Done>(
        &self,
        request: Request<Q>,
        run: Run,
    ) -> Result<Response<A>, Status>
    where
        A: Masked,
        Run: FnOnce(Self, Viewer, Q) -> Done,
        Done: Future<Output = Result<A, Failure>>,
    {
        let mut viewer = Viewer::from(grant(&request)?);
        viewer.bearer = bearer(&request).ok();
        let allowed = viewer.mask.clone();
        let mut answer = run(self.clone(), viewer, request.into_inner())
            .await
            .map_err(status)?;
        mask(&mut answer, &allowed);
        Ok(Response::new(answer))
    }

    /// A condition on rows of table `t` for the customer at this address: all addresses that the
    /// customer holds now.
    async fn of_customer(&self, address: i64) -> Result<Condition, Failure> {
        let mut reader = self.core.db.read().await?;
        let (_, all) = crosswalk::addresses(&mut reader, address).await?;
        Ok(("t.customer IN LIST(?)", vec![all.into()]))
    }
}

/// The request id of a mutation with everything it is bound to; none when the caller gave none.
fn request_id(
    id: Option<String>,
    viewer: &Viewer,
    method: &'static str,
    request: &impl Message,
) -> Option<RequestId> {
    id.map(|id| RequestId {
        caller: viewer.caller.name.clone(),
        method,
        id,
        body: request.encode_to_vec(),
    })
}
