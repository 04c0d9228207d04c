//! Service bootstrap: everything a Jinke service needs around its RPCs, once.
//!
//! A service implements [`Service`] and its binary is `jinke_kit::run::<Customer>()`. The suite
//! puts several services into one [`Host`]. Both give every RPC, in process or over the network,
//! the same stack, in this order: telemetry, limits, deadline, authentication, authorization,
//! handler. A caller that is not allowed is refused before the body of its request is decoded.
//!
//! | module | what it holds |
//! |---|---|
//! | [`service`] | the [`Service`] trait, what it is given and what it builds |
//! | [`host`] | one process: builds services, serves one port, drains; [`run`] |
//! | [`config`] | default file, file, environment, flags; every value knows its origin |
//! | [`access`] | snapshot, tokens to callers, permissions to [`Grant`]s (Cedar) |
//! | [`token`] | claims, signing and verifying of access tokens |
//! | [`audit`] | what is recorded of a call, and when its answer may go out |
//! | [`methods`] | which permission each method needs, from the descriptor set |
//! | [`auth`] | the layer that lets a call pass or not; [`grant`] |
//! | [`operations`] | long-running operations of a service, served |
//! | [`peer`] | calls to other services, local or remote |
//! | [`follow`] | keeps the access snapshot of a service fresh |
//! | [`client`] | an authenticated channel for programs outside the suite |
//! | [`status`] | [`jinke_types::Failure`] to `tonic::Status` and back |
//! | [`limits`], [`deadline`] | what one caller may ask for, and how long |
//! | [`telemetry`], [`metrics`], [`admin`] | logs, traces, numbers, and where they are read |
//! | [`health`] | liveness and readiness |
//! | [`shutdown`], [`tls`] | draining, certificates |

pub mod access;
pub mod admin;
pub mod audit;
pub mod auth;
pub mod client;
pub mod config;
pub mod deadline;
mod edge;
pub mod follow;
pub mod health;
pub mod host;
pub mod limits;
pub mod methods;
pub mod metrics;
pub mod operations;
pub mod peer;
pub mod service;
pub mod shutdown;
pub mod status;
pub mod telemetry;
pub mod tls;
pub mod token;

pub use access::{Access, Grant, Snapshot};
pub use auth::{Bearer, bearer, claims, grant};
pub use config::Config;
pub use health::Check;
pub use host::{Host, Running, run};
pub use metrics::Metrics;
pub use peer::{Peer, Peers};
pub use service::{Built, Service, ServiceContext};
pub use shutdown::Shutdown;
pub use status::{ResultExt, failure, status};
