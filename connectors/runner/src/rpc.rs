//! The operations of `ConnectorService`, a file for each family of them.
//!
//! A handler is a function `run(api, viewer, request) -> Result<answer, Failure>`; the kit has
//! authorized the call before. A connection that belongs to an org unit outside of the viewer's
//! rows does not exist for him. What is classed (values of records, recipients and texts of
//! messages) is put into an answer by [`answer`] only, which asks the viewer's mask.

pub mod answer;
pub mod check;
pub mod connections;
pub mod errors;
pub mod outbound;
pub mod page;
pub mod probe;
pub mod runs;
mod service;

use std::sync::Arc;

use jinke_kit::{Grant, grant, status};
use jinke_proto::jinke::connector::v1 as pb;
use jinke_store::request::{self, Claim, Outcome};
use jinke_types::{Caller, Failure, FieldMask, RowScope};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::{core::Core, domain::Connection};
use page::Pages;

/// What every handler works with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    /// Database, keys, connectors.
    pub core: Core,
    /// Page tokens.
    pub pages: Arc<Pages>,
}

/// Who asks, which rows he may see and which classes of fields.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Who calls.
    pub caller: Caller,
    /// Rows.
    pub scope: RowScope,
    /// Classes.
    pub mask: FieldMask,
}

impl From<Arc<Grant>> for Viewer {
    fn from(grant: Arc<Grant>) -> Self {
        Self {
            caller: grant.caller.clone(),
            scope: grant.scope.clone(),
            mask: grant.mask.clone(),
        }
    }
}

impl Api {
    /// From its parts.
    pub const fn new(core: Core, pages: Arc<Pages>) -> Self {
        Self { core, pages }
    }

    async fn answer<Q, A, Run, Done>(
        &self,
        request: Request<Q>,
        run: Run,
    ) -> Result<Response<A>, Status>
    where
        Run: FnOnce(Self, Viewer, Q) -> Done,
        Done: Future<Output = Result<A, Failure>>,
    {
        let viewer = Viewer::from(grant(&request)?);
        let answer = run(self.clone(), viewer, request.into_inner()).await;
        answer.map(Response::new).map_err(status)
    }

    /// A connection the viewer sees; NOT_FOUND alike for one that does not exist and one that is
    /// outside of his rows.
    pub async fn visible(&self, viewer: &Viewer, id: &str) -> Result<Connection, Failure> {
        let connection = self.core.connection(id).await?;
        if viewer.scope.sees(&connection.org_unit, false) {
            Ok(connection)
        } else {
            Err(Failure::not_found(format!("connections/{id}")))
        }
    }
}

/// A mutation with a request id: claimed, done, noted. `Claimed::Replay` names what it made.
#[derive(Clone, Debug)]
pub struct Once {
    caller: String,
    method: &'static str,
    id: String,
    body: Vec<u8>,
}

impl Once {
    /// None when the caller gave no id. The id was checked before.
    pub fn of(
        viewer: &Viewer,
        method: &'static str,
        id: &str,
        request: &impl Message,
    ) -> Option<Self> {
        (!id.is_empty()).then(|| Self {
            caller: viewer.caller.name.clone(),
            method,
            id: id.to_owned(),
            body: request.encode_to_vec(),
        })
    }

    const fn request(&self) -> request::Request<'_> {
        request::Request {
            caller: self.caller.as_str(),
            method: self.method,
            id: self.id.as_str(),
            body: self.body.as_slice(),
        }
    }
}

/// Whether this request was done before: then the name of what it made, empty for nothing.
pub async fn claim(
    api: &Api,
    tx: &mut jinke_store::Tx,
    once: Option<&Once>,
) -> Result<Option<String>, Failure> {
    let Some(once) = once else { return Ok(None) };
    let now = api.core.clock.now();
    match request::claim(tx, &api.core.ring, &once.request(), now).await? {
        Claim::New => Ok(None),
        Claim::Replay(outcomes) => Ok(Some(
            outcomes
                .into_iter()
                .next()
                .map(|o| o.name)
                .unwrap_or_default(),
        )),
    }
}

/// Notes that a claimed request made `name`.
pub async fn complete(
    tx: &mut jinke_store::Tx,
    once: Option<&Once>,
    name: &str,
) -> Result<(), Failure> {
    let Some(once) = once else { return Ok(()) };
    let outcome = Outcome {
        name: name.to_owned(),
        revision: 0,
    };
    request::complete(tx, &once.request(), &[outcome]).await
}
