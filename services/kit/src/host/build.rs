//! From configuration and services to what is served.

use std::{
    collections::BTreeMap, net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc, time::Duration,
};

use jinke_proto::FILE_DESCRIPTOR_SET;
use jinke_types::{AuditLog, Clock, Code, Entropy, Failure};
use serde::Deserialize;
use tonic::service::Routes;

use crate::{
    Access, Built, Check, Config, Metrics, Peers, Service, ServiceContext, Shutdown,
    audit::{AuditConfig, Desk, ship},
    client::service_key_file,
    edge::{Edge, Parts},
    health::AccessCheck,
    limits::Limits,
    methods::{self, Methods},
    operations::Operations,
    peer::{Locals, Place},
    service::Task,
    tls::{ClientTls, ServerTls},
};

/// The service that publishes access snapshots instead of following them.
pub(super) const IDENTITY: &str = "identity";

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerConfig {
    pub(super) listen: String,
    pub(super) data_dir: PathBuf,
    pub(super) leave_seconds: u64,
    pub(super) grace_seconds: u64,
    pub(super) tls: ServerTls,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsConfig {
    pub(super) listen: String,
    pub(super) readiness_seconds: u64,
    pub(super) check_timeout_seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessConfig {
    pub(super) max_staleness_seconds: u64,
    pub(super) key_dir: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
struct PeersConfig {
    tls: ClientTls,
    #[serde(flatten)]
    places: BTreeMap<String, String>,
}

/// What all services of a process share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) server: ServerConfig,
    pub(super) limits: Limits,
    pub(super) access: AccessConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) metrics: Metrics,
    pub(super) leaving: Shutdown,
    pub(super) draining: Shutdown,
    pub(super) locals: Locals,
    pub(super) id_prefix: String,
    pub(super) hosted: Vec<&'static str>,
}

/// One service, built.
pub(super) struct Ready {
    pub(super) name: &'static str,
    /// It follows identity's snapshots.
    pub(super) guarded: bool,
    pub(super) listening: Option<SocketAddr>,
    pub(super) rpcs: Vec<&'static str>,
    pub(super) checks: Vec<Box<dyn Check>>,
    pub(super) tasks: Vec<Task>,
    pub(super) access: Access,
    pub(super) peers: Peers,
    pub(super) edge: Edge,
    /// It serves long-running operations.
    pub(super) operated: bool,
}

/// Builds one service.
pub(super) type Builder = Box<
    dyn for<'a> FnOnce(
            &'a Shared,
        ) -> Pin<Box<dyn Future<Output = Result<Ready, Failure>> + Send + 'a>>
        + Send,
>;

impl Shared {
    /// Where the peers are. A local one must be in this process if it is one that every service
    /// needs.
    fn peers(&self, service: &str) -> Result<Peers, Failure> {
        let config: PeersConfig = self.config.section("peers")?;
        let places = config
            .places
            .into_iter()
            .map(|(name, place)| {
                let place = if place == "local" {
                    Place::Local
                } else {
                    Place::Remote(place)
                };
                (name, place)
            })
            .collect::<BTreeMap<_, _>>();
        if places.get(IDENTITY) == Some(&Place::Local) && !self.hosted.contains(&IDENTITY) {
            return Err(Failure::new(
                Code::InvalidArgument,
                "CONFIG",
                "peers.identity is \"local\", but identity is not in this process; give its URL",
            ));
        }
        let tls = ClientTls {
            ca_file: if config.tls.ca_file.as_os_str().is_empty() {
                self.server.tls.client_ca_file.clone()
            } else {
                config.tls.ca_file.clone()
            },
            ..config.tls
        };
        let key_file = if self.access.key_dir.as_os_str().is_empty() {
            service_key_file(&self.server.data_dir, service)
        } else {
            self.access.key_dir.join(format!("service-{service}.key"))
        };
        let locals = Arc::clone(&self.locals);
        Ok(Peers::new(
            service,
            places,
            tls,
            locals,
            key_file,
            Arc::clone(&self.clock),
        ))
    }

    pub(super) async fn build<S: Service>(&self) -> Result<Ready, Failure> {
        let name = S::NAME;
        let follows = name != IDENTITY && S::GUARDED;
        let staleness = follows.then(|| Duration::from_secs(self.access.max_staleness_seconds));
        let access = Access::new(name, Arc::clone(&self.clock), staleness);
        let peers = self.peers(name)?;
        let built = S::build(ServiceContext {
            config: self.config.section(name)?,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            data_dir: self.server.data_dir.clone(),
            access: access.clone(),
            peers: peers.clone(),
            leaving: self.leaving.child(),
            shutdown: self.draining.child(),
            metrics: self.metrics.clone(),
            request_bytes: self.limits.request_bytes,
        })
        .await?;
        let Built {
            mut routes,
            names: rpcs,
            mut checks,
            mut tasks,
            operations,
            listening,
            audit,
        } = built;
        if S::GUARDED {
            checks.insert(0, Box::new(AccessCheck(access.clone())));
        }
        let mut methods = Methods::of(FILE_DESCRIPTOR_SET, &rpcs)?;
        let operated = operations.is_some();
        if let Some(log) = operations {
            let area = rpcs.first().map_or(name, |rpc| methods::area(rpc));
            routes.add_service(Operations::server(name, area, log, access.clone()));
            methods = methods.with_operations();
        }
        let mut desk = None;
        if let Some(log) = audit {
            if name != IDENTITY {
                tasks.push(self.shipping(name, Arc::clone(&log), &peers));
            }
            let config = self.config.section::<AuditConfig>("audit")?;
            let clock = Arc::clone(&self.clock);
            let metrics = self.metrics.clone();
            desk = Some(Arc::new(Desk::new(name, log, clock, metrics, &config)?));
        }
        let edge = self.edge(name, methods, routes.routes(), access.clone(), desk);
        let mut locals = self
            .locals
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        locals.insert(name.to_owned(), edge.clone());
        drop(locals);
        Ok(Ready {
            name,
            guarded: S::GUARDED,
            listening,
            rpcs,
            checks,
            tasks,
            access,
            peers,
            edge,
            operated,
        })
    }

    pub(super) fn edge(
        &self,
        name: &'static str,
        methods: Methods,
        routes: Routes,
        access: Access,
        desk: Option<Arc<Desk>>,
    ) -> Edge {
        Edge::new(Parts {
            name,
            methods,
            routes,
            access,
            limits: self.limits.clone(),
            metrics: self.metrics.clone(),
            draining: self.draining.clone(),
            id_prefix: self.id_prefix.clone(),
            desk,
        })
    }

    /// Delivers the service's events to identity as long as the process serves.
    fn shipping(&self, name: &'static str, log: Arc<dyn AuditLog>, peers: &Peers) -> Task {
        let work = ship(
            name,
            log,
            peers.get(IDENTITY),
            self.metrics.clone(),
            Arc::clone(&self.clock),
        );
        let draining = self.draining.child();
        Task {
            name: "audit",
            future: Box::pin(async move {
                draining.unless(work).await;
                Ok(())
            }),
        }
    }
}
