//! The HTTP edge: every RPC as JSON by its `google.api.http` rule, watches as server-sent events,
//! gRPC-Web and gRPC on the same port, and the OpenAPI document of all of it.
//!
//! Nothing here knows a single RPC: rules, fields, comments and access options are read from
//! [`jinke_proto::FILE_DESCRIPTOR_SET`], so that a new RPC is served with its proto. Nothing here
//! decides about access either: the caller's token goes to the service as it is, with its scopes
//! and masks, and the gateway holds none of its own.
//!
//! ```text
//! request → id, CORS, allowance → route → call opened with the caller's head
//!         → path, query, body → message → service → message → JSON
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`template`], [`table`] | path templates; which request line is which RPC |
//! | [`param`], [`json`], [`request`] | text and JSON to messages and back |
//! | [`body`], [`limit`] | what one request, and one caller, may take |
//! | [`call`], [`web`], [`sse`] | calls of services; gRPC-Web; event streams |
//! | [`error`], [`cors`] | errors as HTTP; pages of other origins |
//! | [`openapi`] | the document |
//! | [`edge`], [`serve`], [`config`] | one request; the listener; the settings |
//! | [`service`] | the gateway as a service of the kit |
//!
//! # Putting it into a process
//!
//! [`GatewayService`] is a service of the kit: `Host::builder(config).service::<GatewayService>()`
//! beside the others, or alone as the binary `jinke-gateway` before services that run elsewhere
//! (`peers.*`). [`start`] is for a process that has other backends than peers.

pub mod body;
pub mod call;
pub mod config;
pub mod cors;
pub mod edge;
mod ending;
pub mod error;
pub mod json;
pub mod limit;
pub mod openapi;
pub mod param;
pub mod request;
pub mod serve;
pub mod service;
pub mod sse;
pub mod table;
pub mod template;
pub mod web;

use jinke_kit::{Config, Metrics, Shutdown};
use jinke_types::{Failure, OsEntropy};

pub use call::Backends;
pub use config::{DEFAULT_CONFIG, GatewayConfig, SECTION};
pub use edge::Gateway;
pub use serve::Serving;
pub use service::GatewayService;

/// Starts the gateway as its section of the configuration says; `None` when `gateway.listen` is
/// empty. It drains when `shutdown` is triggered.
///
/// # Errors
/// `CONFIG` when a setting is wrong, the port taken, or a certificate unusable.
pub async fn start(
    config: &Config,
    backends: Backends,
    metrics: &Metrics,
    shutdown: Shutdown,
) -> Result<Option<Serving>, Failure> {
    let section: GatewayConfig = config.section(SECTION)?;
    if section.listen.is_empty() {
        return Ok(None);
    }
    let set = jinke_proto::FILE_DESCRIPTOR_SET;
    let gateway = Gateway::new(
        set,
        section,
        backends,
        metrics,
        &OsEntropy,
        shutdown.clone(),
    )?;
    serve::listen(gateway, shutdown.clone(), shutdown)
        .await
        .map(Some)
}
