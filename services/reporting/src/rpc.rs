//! The RPCs of this service: a file per operation or per family of small ones.
//!
//! A handler is a function `run(api, viewer, request) -> Result<answer, Failure>`. The files
//! `*_service.rs` give each method of the contract its handler through [`Api::answer`], which takes
//! the grant that the kit left, runs the handler and masks the answer.

mod analytics_service;
mod insight_service;
mod projection_service;
mod report_service;
mod segment_service;

pub mod episodes;
pub mod insights;
mod labels;
pub mod list_metric_rows;
pub mod projections;
pub mod query_metrics;
pub mod reports;
pub mod segment_members;
pub mod segments;

use std::{collections::BTreeMap, sync::Arc};

use chrono::NaiveDate;
use jinke_kit::{grant, status};
use jinke_types::{Failure, Timestamp};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::{
    access::{Masked, Viewer},
    convert::{Check, pb},
    core::{Core, RequestId},
    episodes::TaskRules,
    facts::Frame,
    follow::Follower,
    measures::value,
    outside::Outside,
    parameters::Parameters,
};

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// Facts, computations, keys.
    pub core: Core,
    /// Follows the feeds.
    pub follower: Follower,
    /// The other services.
    pub outside: Arc<dyn Outside>,
    /// How tasks are made.
    pub tasks: Arc<TaskRules>,
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
        answer.mask(&allowed);
        Ok(Response::new(answer))
    }

    /// The day a question is about: the one it names, or today.
    fn day(
        &self,
        check: &mut Check,
        field: &str,
        date: Option<&jinke_proto::google::r#type::Date>,
        parameters: &Parameters,
    ) -> NaiveDate {
        check
            .date(field, date)
            .unwrap_or_else(|| self.core.today(parameters))
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

/// What revenue leaves out between two instants, as the contract states it.
pub(crate) fn excluded(
    frame: &Frame,
    parameters: &Parameters,
    from: Timestamp,
    to: Timestamp,
) -> Vec<pb::Excluded> {
    let (bare, by_currency): (i64, BTreeMap<String, i64>) =
        value::excluded(frame, parameters, from, to);
    let one = |reason: &str, currency: String, count| pb::Excluded {
        reason: reason.to_owned(),
        currency,
        count,
    };
    let mut out: Vec<_> = by_currency
        .into_iter()
        .map(|(currency, count)| one("NO_EXCHANGE_RATE", currency, count))
        .collect();
    if bare > 0 {
        out.push(one("NO_AMOUNT", String::new(), bare));
    }
    if frame.orphans > 0 {
        out.push(one("NO_CUSTOMER", String::new(), frame.orphans));
    }
    out
}
