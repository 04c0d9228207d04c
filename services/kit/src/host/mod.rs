//! One process: builds services in order, serves them on one port, drains.
use crate::{Config, Metrics, Peer, Peers, Service, Shutdown};
use jinke_types::{Clock, Entropy, Failure};
use std::{net::SocketAddr, process::ExitCode, sync::Arc};

/// A process that serves one or more services.
pub struct Host;

impl Host {
    /// Starts with a loaded configuration.
    pub fn builder(_config: Config) -> HostBuilder {
        unimplemented!()
    }
}

/// Collects services.
pub struct HostBuilder {}

impl HostBuilder {
    /// Adds a service. Identity is built first, the others in the order added.
    #[must_use]
    pub fn service<S: Service>(self) -> Self {
        unimplemented!()
    }
    /// Another clock than the machine's, for tests.
    #[must_use]
    pub fn clock(self, _clock: Arc<dyn Clock>) -> Self {
        unimplemented!()
    }
    /// Another generator than the system's, for tests.
    #[must_use]
    pub fn entropy(self, _entropy: Arc<dyn Entropy>) -> Self {
        unimplemented!()
    }
    /// Builds the services and begins to serve.
    ///
    /// # Errors
    /// When a service cannot be built, a port is taken, a certificate unreadable, a method has no
    /// access option.
    pub async fn start(self) -> Result<Running, Failure> {
        unimplemented!()
    }
    /// Starts, and drains on SIGTERM or SIGINT.
    ///
    /// # Errors
    /// As [`HostBuilder::start`], and when a task failed.
    pub async fn serve(self) -> Result<(), Failure> {
        unimplemented!()
    }
}

/// A serving host.
pub struct Running {}

impl Running {
    /// Where gRPC is served.
    pub fn addr(&self) -> SocketAddr {
        unimplemented!()
    }
    /// Where metrics and health are served over HTTP; `None` when `metrics.listen` is empty.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        unimplemented!()
    }
    /// The registry of the process.
    pub fn metrics(&self) -> &Metrics {
        unimplemented!()
    }
    /// An in-process way to call any service of the host with `token`, through the whole stack.
    pub fn local(&self, _token: Option<&str>) -> Peer {
        unimplemented!()
    }
    /// The peers as the service `name` sees them.
    pub fn peers(&self, _service: &str) -> Option<Peers> {
        unimplemented!()
    }
    /// Triggered when draining begins.
    pub fn shutdown(&self) -> Shutdown {
        unimplemented!()
    }
    /// Completes once every service's checks hold.
    pub async fn ready(&self) {
        unimplemented!()
    }
    /// Drains: not ready, no new connections, calls in flight finish within the grace period.
    ///
    /// # Errors
    /// When a task failed or calls had to be cut.
    pub async fn stop(self) -> Result<(), Failure> {
        unimplemented!()
    }
    /// Completes when the host stops by itself or by a signal, drained.
    ///
    /// # Errors
    /// As [`Running::stop`].
    pub async fn wait(self) -> Result<(), Failure> {
        unimplemented!()
    }
}

/// The main function of a binary of one service.
pub fn run<S: Service>() -> ExitCode {
    unimplemented!()
}
