//! One process: builds services in order, serves them on one port, drains.

mod build;
mod clock;
mod front;
mod listen;
mod main;

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use jinke_types::{Clock, Code, Entropy, Failure, OsEntropy};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tonic::{service::Routes, transport::Server};

use crate::{
    Access, Config, Metrics, Peer, Peers, Service, Shutdown, admin,
    client::Credential,
    edge::Edge,
    follow::follow_access,
    health::{Readiness, Report, verdict},
    limits::Limits,
    peer, shutdown,
};
use build::{AccessConfig, Builder, IDENTITY, MetricsConfig, Ready, ServerConfig, Shared};
use front::Front;
pub use main::run;

/// A process that serves one or more services.
pub struct Host;

impl Host {
    /// Starts with a loaded configuration.
    pub fn builder(config: Config) -> HostBuilder {
        HostBuilder {
            config,
            clock: clock::of_process(),
            entropy: Arc::new(OsEntropy),
            services: Vec::new(),
        }
    }
}

/// Collects services.
pub struct HostBuilder {
    config: Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    services: Vec<(&'static str, Builder)>,
}

impl HostBuilder {
    /// Adds a service. Identity is built first, the others in the order added.
    #[must_use]
    pub fn service<S: Service>(mut self) -> Self {
        let builder: Builder = Box::new(|shared| Box::pin(shared.build::<S>()));
        let at = if S::NAME == IDENTITY {
            0
        } else {
            self.services.len()
        };
        self.services.insert(at, (S::NAME, builder));
        self
    }
    /// Another clock than the machine's, for tests.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
    /// Another generator than the system's, for tests.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Builds the services and begins to serve. Installs no logging: see [`crate::telemetry`].
    ///
    /// # Errors
    /// When a service cannot be built, a port is taken, a certificate unreadable, a method has no
    /// access option.
    pub async fn start(self) -> Result<Running, Failure> {
        let mut prefix = [0; 6];
        self.entropy.fill(&mut prefix);
        let draining = Shutdown::new();
        let shared = Shared {
            server: self.config.section::<ServerConfig>("server")?,
            limits: self.config.section::<Limits>("limits")?,
            access: self.config.section::<AccessConfig>("access")?,
            config: self.config,
            clock: self.clock,
            entropy: self.entropy,
            metrics: Metrics::new(),
            leaving: draining.child(),
            draining,
            locals: Arc::default(),
            id_prefix: prefix.iter().map(|b| format!("{b:02x}")).collect(),
            hosted: self.services.iter().map(|(name, _)| *name).collect(),
        };
        shared.limits.check()?;
        let admin = shared.config.section::<MetricsConfig>("metrics")?;
        let tls = shared.server.tls.load("server.tls", &[b"h2"])?;
        private_dir(&shared.server.data_dir)?;
        // Ports are taken first: a second process finds out before it touches the data.
        let listener = listen("server.listen", &shared.server.listen).await?;
        let addr = listener.local_addr().map_err(Failure::internal)?;
        let admin_listener = match admin.listen.as_str() {
            "" => None,
            address => Some(listen("metrics.listen", address).await?),
        };
        let admin_addr = admin_listener.as_ref().and_then(|l| l.local_addr().ok());

        let mut services = Vec::new();
        for (_, builder) in self.services {
            services.push(builder(&shared).await?);
        }
        let (front, reporter) = Front::new(&shared, &services)?;

        let mut server = Server::builder()
            .max_concurrent_streams(shared.limits.streams_per_connection)
            .http2_max_header_list_size(shared.limits.header_bytes)
            .http2_keepalive_interval(Some(Duration::from_secs(shared.limits.keepalive_seconds)))
            .http2_keepalive_timeout(Some(Duration::from_secs(
                shared.limits.keepalive_timeout_seconds,
            )));
        let handshake = Duration::from_secs(shared.limits.handshake_seconds);
        let incoming = listen::connections(
            listener,
            shared.limits.connections,
            handshake,
            shared.metrics.connections.clone(),
            tls,
        );
        let routes = Routes::from(
            Routes::default()
                .into_axum_router()
                .fallback_service(front.clone()),
        );
        let stopped = shared.draining.child();
        let serving =
            server
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, async move {
                    stopped.wait().await;
                });
        let server = tokio::spawn(async move {
            serving
                .await
                .map_err(|e| Failure::internal(format!("the server failed: {e}")))
        });

        let mut running = Running {
            addr,
            admin_addr,
            metrics: shared.metrics.clone(),
            leaving: shared.leaving.clone(),
            draining: shared.draining.clone(),
            ended: Shutdown::new(),
            leave: Duration::from_secs(shared.server.leave_seconds),
            grace: Duration::from_secs(shared.server.grace_seconds),
            listening: services
                .iter()
                .filter_map(|s| Some((s.name, s.listening?)))
                .collect(),
            report: watch::channel(None).1,
            front,
            services: Vec::new(),
            server,
            signals: shutdown::Signals::listen().map_err(Failure::internal)?,
            tasks: JoinSet::new(),
        };
        running.spawn_tasks(&shared, services, &admin, admin_listener, reporter);
        tracing::info!(%addr, services = ?shared.hosted, "serving");
        Ok(running)
    }

    /// Installs logging, starts, and drains on SIGTERM or SIGINT. A second signal ends the process
    /// at once.
    ///
    /// # Errors
    /// As [`HostBuilder::start`], and when a task failed.
    pub async fn serve(self) -> Result<(), Failure> {
        let telemetry = crate::telemetry::init(&self.config)?;
        let outcome = match self.start().await {
            Ok(running) => running.wait().await,
            Err(failure) => Err(failure),
        };
        let _ = tokio::task::spawn_blocking(|| telemetry.flush()).await;
        outcome
    }
}

/// A serving host.
pub struct Running {
    addr: SocketAddr,
    admin_addr: Option<SocketAddr>,
    metrics: Metrics,
    /// Told to stop, and still taking calls.
    leaving: Shutdown,
    draining: Shutdown,
    /// Triggered when everything is over; ends the listener for operators.
    ended: Shutdown,
    leave: Duration,
    grace: Duration,
    listening: BTreeMap<&'static str, SocketAddr>,
    report: watch::Receiver<Option<Arc<Report>>>,
    front: Front,
    services: Vec<(&'static str, Access, Peers, Edge)>,
    server: JoinHandle<Result<(), Failure>>,
    signals: shutdown::Signals,
    tasks: JoinSet<(String, Result<(), Failure>)>,
}

impl Running {
    fn spawn_tasks(
        &mut self,
        shared: &Shared,
        services: Vec<Ready>,
        admin: &MetricsConfig,
        admin_listener: Option<TcpListener>,
        reporter: tonic_health::server::HealthReporter,
    ) {
        let (sender, receiver) = watch::channel(None);
        self.report = receiver.clone();
        if let Some(listener) = admin_listener {
            let (metrics, ended) = (self.metrics.clone(), self.ended.clone());
            tokio::spawn(admin::serve(listener, metrics, receiver, ended));
        }
        let mut checks = Vec::new();
        for service in services {
            for task in service.tasks {
                let name = format!("{} {}", service.name, task.name);
                self.tasks.spawn(async move { (name, task.future.await) });
            }
            if service.guarded && service.name != IDENTITY {
                let follow = follow_access(
                    service.access.clone(),
                    service.peers.get(IDENTITY),
                    Arc::clone(&shared.entropy),
                    Duration::from_secs((shared.access.max_staleness_seconds / 5).clamp(1, 60)),
                    shared.draining.child(),
                );
                let name = format!("{} access", service.name);
                self.tasks.spawn(async move {
                    follow.await;
                    (name, Ok(()))
                });
            }
            if service.guarded {
                let gauge = self
                    .metrics
                    .snapshot_version
                    .with_label_values(&[service.name]);
                let (access, draining) = (service.access.clone(), self.draining.child());
                tokio::spawn(async move {
                    let mut version = -1;
                    while let Some(newer) = draining.unless(access.newer_than(version)).await {
                        version = newer;
                        gauge.set(newer);
                    }
                });
            }
            checks.push((service.name, service.rpcs, service.checks));
            self.services
                .push((service.name, service.access, service.peers, service.edge));
        }
        let readiness = Readiness {
            services: checks,
            reporter,
            metrics: self.metrics.clone(),
            every: Duration::from_secs(admin.readiness_seconds.max(1)),
            timeout: Duration::from_secs(admin.check_timeout_seconds.max(1)),
            report: sender,
        };
        tokio::spawn(readiness.keep(self.leaving.child()));
    }

    /// Where gRPC is served.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
    /// Where metrics and health are served over HTTP; `None` when `metrics.listen` is empty.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }
    /// Where the service `name` listens beside the gRPC port: the gateway for HTTP.
    pub fn listening(&self, name: &str) -> Option<SocketAddr> {
        self.listening.get(name).copied()
    }
    /// The registry of the process.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
    /// A way to call any service of the host without a socket, with `token`, through all layers.
    pub fn local(&self, token: Option<&str>) -> Peer {
        let front = self.front.clone();
        let wire = move || Ok(peer::local(front.clone()));
        match token {
            None => Peer::over(wire, None),
            Some(token) => Peer::over(wire, Credential::Token(token.to_owned()).fixed()),
        }
    }
    /// The peers as the service `name` sees them.
    pub fn peers(&self, service: &str) -> Option<Peers> {
        self.services
            .iter()
            .find(|s| s.0 == service)
            .map(|s| s.2.clone())
    }
    /// The access snapshot of the service `name`.
    pub fn access(&self, service: &str) -> Option<Access> {
        self.services
            .iter()
            .find(|s| s.0 == service)
            .map(|s| s.1.clone())
    }
    /// Triggered when draining begins.
    pub fn shutdown(&self) -> Shutdown {
        self.draining.child()
    }
    /// Begins to drain; [`Running::wait`] then completes.
    pub fn drain(&self) {
        self.draining.trigger();
    }
    /// Completes once every check of every service holds.
    ///
    /// # Errors
    /// `UNAVAILABLE`, reason `NOT_READY`, and what does not hold, after `within`.
    pub async fn ready(&self, within: Duration) -> Result<(), Failure> {
        let mut report = self.report.clone();
        let waited = report.wait_for(|r| verdict(r.as_deref()).is_ok());
        if tokio::time::timeout(within, waited).await.is_ok() {
            return Ok(());
        }
        verdict(self.report.borrow().as_deref())
    }

    /// Drains now.
    ///
    /// # Errors
    /// When a task failed or calls had to be cut.
    pub async fn stop(mut self) -> Result<(), Failure> {
        self.draining.trigger();
        // The signal that made somebody stop this is not the second one that cuts the calls.
        self.signals = shutdown::Signals::listen().map_err(Failure::internal)?;
        self.wait().await
    }

    /// Serves until SIGTERM, SIGINT, [`Running::drain`] or the failure of a task. After a signal the
    /// process says that it is not ready and goes on for `server.leave_seconds`, so that whoever
    /// spreads calls has seen it. Then it drains: no new connections, watch streams cut, calls in
    /// flight finish within the grace period, tasks end. A second signal ends the process at once.
    ///
    /// # Errors
    /// As [`Running::stop`].
    pub async fn wait(mut self) -> Result<(), Failure> {
        let draining = self.draining.clone();
        let mut outcome = Ok(());
        let mut tasks_ended = self.tasks.is_empty();
        while !draining.is_triggered() {
            tokio::select! {
                () = draining.wait() => {}
                signal = self.signals.next() => {
                    tracing::info!(signal, "leaving");
                    self.leaving.trigger();
                    tokio::select! {
                        () = tokio::time::sleep(self.leave) => {}
                        () = draining.wait() => {}
                        _ = self.signals.next() => {
                            self.server.abort();
                            self.tasks.abort_all();
                            return Err(cut("a second signal came while leaving"));
                        }
                    }
                    tracing::info!("draining");
                    draining.trigger();
                }
                ended = self.tasks.join_next(), if !tasks_ended => match ended {
                    None => tasks_ended = true,
                    Some(ended) => if let Err(failure) = task_outcome(ended) {
                        tracing::error!(error = %failure, "draining because a task failed");
                        outcome = Err(failure);
                        draining.trigger();
                    },
                },
                served = &mut self.server => {
                    self.ended.trigger();
                    draining.trigger();
                    return served.map_err(Failure::internal)?;
                }
            }
        }
        let drained = tokio::select! {
            drained = drained(&mut self.server, &mut self.tasks, self.grace) => drained,
            _ = self.signals.next() => {
                tracing::warn!("ended by a second signal");
                self.server.abort();
                self.tasks.abort_all();
                Err(cut("a second signal came while draining"))
            }
        };
        self.ended.trigger();
        outcome.and(drained)
    }
}

/// Waits for calls in flight and tasks, up to the grace period.
async fn drained(
    server: &mut JoinHandle<Result<(), Failure>>,
    tasks: &mut JoinSet<(String, Result<(), Failure>)>,
    grace: Duration,
) -> Result<(), Failure> {
    let until = tokio::time::Instant::now() + grace;
    let served = tokio::time::timeout_at(until, &mut *server).await;
    let mut outcome = match served {
        Ok(served) => served.map_err(Failure::internal).flatten(),
        Err(_) => {
            server.abort();
            Err(cut("calls in flight had to be cut"))
        }
    };
    // Tasks get at least a moment, also when calls took all of the grace period.
    let until = until.max(tokio::time::Instant::now() + Duration::from_secs(1));
    while let Ok(Some(ended)) = tokio::time::timeout_at(until, tasks.join_next()).await {
        outcome = outcome.and(task_outcome(ended));
    }
    if !tasks.is_empty() {
        tasks.abort_all();
        outcome = outcome.and(Err(cut("a task did not end in time")));
    }
    outcome
}

fn cut(what: &str) -> Failure {
    Failure::new(Code::DeadlineExceeded, "DRAIN_CUT", what)
}

fn task_outcome(
    ended: Result<(String, Result<(), Failure>), tokio::task::JoinError>,
) -> Result<(), Failure> {
    match ended {
        Ok((_, Ok(()))) => Ok(()),
        Ok((name, Err(mut failure))) => {
            failure.message = format!("{name}: {}", failure.message);
            Err(failure)
        }
        Err(error) => Err(Failure::internal(format!("a task panicked: {error}"))),
    }
}

async fn listen(key: &str, address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|e| {
        let message = format!("cannot listen on {address} ({key}): {e}");
        Failure::new(Code::FailedPrecondition, "LISTEN", message)
    })
}

/// Makes a directory that only its owner can enter; one that exists is left as it is.
fn private_dir(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| {
            let message = format!("cannot make server.data_dir {}: {e}", path.display());
            Failure::new(Code::FailedPrecondition, "DATA_DIR", message)
        })
}

impl Drop for Running {
    fn drop(&mut self) {
        self.draining.trigger();
        self.ended.trigger();
    }
}
