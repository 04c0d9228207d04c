//! The one port of a process: finds the service a path belongs to. Health and reflection stand
//! beside the services, behind the same layers, and need no token: they say nothing that is not
//! in the published protos.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use jinke_proto::FILE_DESCRIPTOR_SET;
use jinke_types::{Code, Failure};
use tonic::{body::Body, service::Routes};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tower::Service;

use super::build::{Ready, Shared};
use crate::{
    Access,
    edge::Edge,
    methods::{Method, Methods, Needs},
    operations,
    status::status,
};

/// Name of the built-in services in metrics.
const BUILTIN: &str = "kit";

/// All services of a process by gRPC service name, and those with long-running operations by
/// their own.
#[derive(Clone)]
pub(super) struct Front(Arc<Places>);

struct Places {
    by_name: BTreeMap<String, Edge>,
    operated: BTreeMap<&'static str, Edge>,
}

impl Front {
    /// Puts the services together, with health and reflection.
    ///
    /// # Errors
    /// `INTERNAL` when two services have an RPC service in common.
    pub(super) fn new(
        shared: &Shared,
        services: &[Ready],
    ) -> Result<(Self, HealthReporter), Failure> {
        let mut by_name = BTreeMap::new();
        for service in services {
            for rpc in &service.rpcs {
                if by_name
                    .insert((*rpc).to_owned(), service.edge.clone())
                    .is_some()
                {
                    return Err(Failure::internal(format!("{rpc} is served twice")));
                }
            }
        }
        let reporter = HealthReporter::new();
        let health = HealthService::from_health_reporter(reporter.clone());
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let routes = Routes::new(HealthServer::new(health))
            .add_service(reflection().build_v1().map_err(Failure::internal)?)
            .add_service(reflection().build_v1alpha().map_err(Failure::internal)?);
        let methods = [
            ("/grpc.health.v1.Health/Check", false, false),
            ("/grpc.health.v1.Health/List", false, false),
            ("/grpc.health.v1.Health/Watch", false, true),
            (
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                true,
                true,
            ),
            (
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                true,
                true,
            ),
        ];
        let methods: Methods = methods
            .into_iter()
            .map(|(path, client_streaming, server_streaming)| {
                let needs = Needs::Nothing;
                (
                    path.to_owned(),
                    Method {
                        needs,
                        client_streaming,
                        server_streaming,
                    },
                )
            })
            .collect();
        let nobody = Access::new(BUILTIN, Arc::clone(&shared.clock), None);
        let builtin = shared.edge(BUILTIN, methods, routes, nobody, None);
        for name in [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ] {
            by_name.insert(name.to_owned(), builtin.clone());
        }
        let operated = services
            .iter()
            .filter(|s| s.operated)
            .map(|s| (s.name, s.edge.clone()))
            .collect();
        Ok((Self(Arc::new(Places { by_name, operated })), reporter))
    }

    /// Gives a call about long-running operations to the service its name begins with. The name
    /// stands in the body, which is small, so it is gathered and passed on as it came.
    async fn operations(self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let limit = operations::MAX_REQUEST + 5;
        let Ok(gathered) = Limited::new(body, limit).collect().await else {
            let large = Failure::new(
                Code::ResourceExhausted,
                "REQUEST_TOO_LARGE",
                format!("a request about operations is at most {limit} bytes"),
            );
            return status(large).into_http();
        };
        let bytes = gathered.to_bytes();
        let method = parts.uri.path().rsplit('/').next().unwrap_or_default();
        // A frame begins with a byte that says whether it is compressed and four of length.
        let name = match bytes.split_first_chunk::<5>() {
            Some(([0, ..], message)) => operations::service_of(method, message),
            _ => None,
        };
        let only = || {
            self.0
                .operated
                .values()
                .next()
                .filter(|_| self.0.operated.len() == 1)
        };
        let edge = name
            .as_deref()
            .and_then(|n| self.0.operated.get(n))
            .or_else(only);
        match edge {
            Some(edge) => {
                let request = Request::from_parts(parts, Body::new(Full::new(bytes)));
                edge.clone().answer(request).await
            }
            None => {
                let known: Vec<_> = self.0.operated.keys().copied().collect();
                let unknown = Failure::field(
                    "name",
                    format!("must begin with one of: {}", known.join(", ")),
                );
                status(unknown).into_http()
            }
        }
    }
}

impl<B> Service<Request<B>> for Front
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let name = request
            .uri()
            .path()
            .trim_start_matches('/')
            .split('/')
            .next();
        if name == Some(operations::SERVICE) {
            let front = self.clone();
            let request = request.map(Body::new);
            return Box::pin(async move { Ok(front.operations(request).await) });
        }
        match name.and_then(|n| self.0.by_name.get(n)) {
            Some(edge) => edge.clone().call(request),
            None => {
                let unknown = Failure::new(
                    Code::Unimplemented,
                    "UNKNOWN_SERVICE",
                    "this process does not serve such a service",
                );
                Box::pin(std::future::ready(Ok(status(unknown).into_http())))
            }
        }
    }
}
