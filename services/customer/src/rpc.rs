//! The RPCs of this service: one operation, one file, with its checks, work and tests.
//!
//! A handler is a function `run(api, viewer, request) -> Result<answer, Failure>`. The four files
//! `*_service.rs` give each method of the contract its handler through [`Api::answer`], which
//!
//! 1. takes the grant that the kit left (authorization comes before validation),
//! 2. runs the handler with the [`Viewer`] made of it,
//! 3. masks the answer: an answer that is not [`Masked`] does not compile,
//! 4. maps a failure to a status.
//!
//! To add an RPC: see `docs/adding-an-rpc.md`.

pub mod filter;
pub mod limits;
pub mod numbers;
pub mod operations;
pub mod page;

mod conflict;
mod customer_service;
mod match_service;
mod source_service;
mod stewardship_service;
mod terms;

pub mod add_customer_tag;
pub mod batch_get_customers;
pub mod create_judgement;
pub mod create_source;
pub mod dry_run;
pub mod erase_customer;
pub mod explain_match;
pub mod get_customer;
pub mod get_customer_lineage;
pub mod get_customer_stats;
pub mod get_customer_totals;
pub mod get_source;
pub mod get_source_record;
pub mod ingest_source_records;
pub mod list_customer_changes;
pub mod list_customer_revisions;
pub mod list_customers;
pub mod list_judgements;
pub mod list_match_reviews;
pub mod list_relationships;
pub mod list_rule_sets;
pub mod list_source_records;
pub mod list_sources;
pub mod list_timeline_changes;
pub mod list_timeline_entries;
pub mod lookup_customers;
pub mod match_party;
pub mod merge_customers;
pub mod rebuild_customers;
pub mod remove_customer_tag;
pub mod retract_judgement;
pub mod rule_set;
pub mod search_customers;
pub mod stream_source_records;
pub mod unmerge_customer;
pub mod update_source;
pub mod watch_customer_changes;

use std::sync::Arc;

use jinke_kit::{Shutdown, grant, status};
use jinke_store::Reader;
use jinke_types::Failure;
use prost::Message;
use tonic::{Request, Response, Status};

use crate::{
    access::{Masked, Viewer, mask},
    domain::RequestId,
    engine::Engine,
    store::query::{self, Rows},
};
use limits::Limits;
use numbers::Numbers;
use page::Pages;

/// Asks again what a caller may do, for a call that lasts: `(viewer, permission)`.
pub type Regrant = Arc<dyn Fn(&Viewer, &'static str) -> Result<Viewer, Failure> + Send + Sync>;

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// Takes records in, gives customers out.
    pub engine: Engine,
    /// Page tokens.
    pub pages: Arc<Pages>,
    /// What one call may ask for.
    pub limits: Limits,
    /// Metrics.
    pub numbers: Numbers,
    /// The word to stop.
    pub shutdown: Shutdown,
    /// Long-running operations.
    pub background: operations::Background,
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
        let viewer = Viewer::from(grant(&request)?);
        let allowed = viewer.mask.clone();
        let mut answer = run(self.clone(), viewer, request.into_inner())
            .await
            .map_err(status)?;
        mask(&mut answer, &allowed);
        Ok(Response::new(answer))
    }

    /// A connection for reading and the rows the viewer sees.
    async fn read(&self, viewer: &Viewer) -> Result<(Reader, Rows), Failure> {
        let mut reader = self.engine.database().read().await?;
        let rows = query::rows(&mut reader, &viewer.scope).await?;
        Ok((reader, rows))
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
