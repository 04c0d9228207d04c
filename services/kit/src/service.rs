//! What a service is to the kit: a name, a configuration section and a function that builds it.

use std::{convert::Infallible, net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc};

use jinke_types::{AuditLog, Clock, Entropy, Failure, OperationLog};
use serde::de::DeserializeOwned;
use tonic::{body::Body, server::NamedService, service::RoutesBuilder};

use crate::{Access, Check, Metrics, Peers, Shutdown};

/// One area of the suite: `identity`, `customer`, …
pub trait Service: Send + Sync + 'static {
    /// Name of the area: configuration section, token audience, metrics label, peer name.
    const NAME: &'static str;
    /// The service's configuration section, read from `[NAME]`.
    type Config: DeserializeOwned + Send + 'static;
    /// The documented default section as TOML, all tables under `[NAME]`. It is the schema too:
    /// a key that is not in it is refused, except below a table that is empty in it.
    const DEFAULT_CONFIG: &'static str;
    /// Whether the service decides about access, for which it follows identity's snapshots. Not so
    /// one that only passes calls on with the tokens of its callers; it needs no credential.
    const GUARDED: bool = true;
    /// Opens the database, makes the RPC services. Peers may not be there yet: take them from
    /// `ctx.peers` and call them only from handlers and tasks.
    fn build(
        ctx: ServiceContext<Self::Config>,
    ) -> impl Future<Output = Result<Built, Failure>> + Send;
}

/// What a service is given.
pub struct ServiceContext<C> {
    /// The service's section of the configuration.
    pub config: C,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// Directory for files of this process; exists, mode 0700.
    pub data_dir: PathBuf,
    /// Who may do what in this area. Identity publishes into it; others only follow.
    pub access: Access,
    /// The other services.
    pub peers: Peers,
    /// Triggered when the process has been told to stop and still takes calls, for
    /// `server.leave_seconds`: the time to send nobody here any more.
    pub leaving: Shutdown,
    /// Triggered when the process begins to drain.
    pub shutdown: Shutdown,
    /// Registry for the service's own metrics.
    pub metrics: Metrics,
    /// Largest request message in bytes (`limits.request_bytes`). Give it to every generated
    /// server: `FooServer::new(foo).max_decoding_message_size(ctx.request_bytes)`. The kit refuses
    /// larger ones by their announced length; the generated server also bounds what a compressed
    /// one unpacks to.
    pub request_bytes: usize,
}

/// A background future of a service.
pub(crate) struct Task {
    pub(crate) name: &'static str,
    pub(crate) future: Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>,
}

/// What a service built: RPC services, readiness checks, background tasks.
#[derive(Default)]
pub struct Built {
    pub(crate) routes: RoutesBuilder,
    pub(crate) names: Vec<&'static str>,
    pub(crate) checks: Vec<Box<dyn Check>>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) listening: Option<SocketAddr>,
    pub(crate) operations: Option<Arc<dyn OperationLog>>,
    pub(crate) audit: Option<Arc<dyn AuditLog>>,
}

impl Built {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds a generated gRPC server, e.g. `CustomerServiceServer::new(…)`. Every method of it must
    /// carry one of the options `permission`, `public`, `self_service`, or the host does not start.
    #[must_use]
    pub fn rpc<S>(mut self, server: S) -> Self
    where
        S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes.add_service(server);
        self
    }
    /// Serves the service's long-running operations as `google.longrunning.Operations`, e.g.
    /// `db.operations(clock)`.
    #[must_use]
    pub fn operations(mut self, log: Arc<dyn OperationLog>) -> Self {
        self.operations = Some(log);
        self
    }
    /// Keeps events of the audit trail in the service's database until identity has them, e.g.
    /// `db.audit(clock)`. From then on no answer that must be recorded leaves before its event is
    /// durable there; see [`crate::audit`].
    #[must_use]
    pub fn audit(mut self, log: Arc<dyn AuditLog>) -> Self {
        self.audit = Some(log);
        self
    }
    /// Adds something that must hold for the service to be ready, e.g. that its database answers.
    #[must_use]
    pub fn check(mut self, check: impl Check) -> Self {
        self.checks.push(Box::new(check));
        self
    }
    /// Says that the service also listens here, beside the gRPC port of the process; see
    /// [`crate::Running::listening`].
    #[must_use]
    pub fn listening(mut self, addr: SocketAddr) -> Self {
        self.listening = Some(addr);
        self
    }
    /// Adds a background task. It must end soon after `ctx.shutdown` is triggered; one that ends
    /// with an error, or panics, drains the process.
    #[must_use]
    pub fn task(
        mut self,
        name: &'static str,
        future: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) -> Self {
        self.tasks.push(Task {
            name,
            future: Box::pin(future),
        });
        self
    }
}
