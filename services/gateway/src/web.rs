//! gRPC-Web for browsers, and gRPC itself, on the same port: the same methods as over REST, passed
//! on as they are.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use jinke_kit::{Shutdown, deadline};
use jinke_types::{Code, Failure};
use prost_reflect::DescriptorPool;
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};

use crate::{
    call::{Backends, FORWARDED},
    ending::Ending,
    error, table,
};

/// Headers of gRPC that go on besides [`FORWARDED`].
const OF_GRPC: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::TE,
    HeaderName::from_static(deadline::GRPC_TIMEOUT),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
    header::USER_AGENT,
];

/// What passes gRPC and gRPC-Web on.
pub type Pass = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Whether a request is gRPC or gRPC-Web.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    content_type.is_some_and(|t| t.starts_with("application/grpc"))
}

/// A refusal of the gateway's own as gRPC or gRPC-Web says it: the status in the head, no body.
/// `None` when the request is neither.
pub fn refused(headers: &HeaderMap, status: &tonic::Status) -> Option<Response<Body>> {
    if !is_grpc(headers) {
        return None;
    }
    let mut response = status.clone().into_http();
    let asked = headers.get(header::CONTENT_TYPE)?;
    if asked.as_bytes().starts_with(b"application/grpc-web") {
        // gRPC-Web clients accept an answer in the form they asked in.
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, asked.clone());
    }
    Some(response)
}

/// Passes calls of the services in the pool whose package begins with `jinke.` on to their areas,
/// and calls about long-running operations where one backend serves all areas. Streams end when
/// `draining` is triggered.
pub fn pass(pool: &DescriptorPool, backends: Backends, draining: Shutdown) -> Pass {
    let streams: BTreeSet<String> = pool
        .services()
        .flat_map(|s| s.methods().collect::<Vec<_>>())
        .filter(|m| m.is_server_streaming())
        .map(|m| format!("/{}/{}", m.parent_service().full_name(), m.name()))
        .collect();
    let known: Arc<std::collections::BTreeMap<String, String>> = Arc::new(
        pool.services()
            .filter(|s| {
                s.package_name().starts_with("jinke.") || s.full_name() == table::OPERATIONS
            })
            .map(|s| {
                (
                    s.full_name().to_owned(),
                    table::area(s.package_name()).to_owned(),
                )
            })
            .collect(),
    );
    let service = tower::service_fn(
        move |request: Request<Body>| -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
            let name = request.uri().path().split('/').nth(1).unwrap_or_default();
            let wire = known.get(name).ok_or_else(|| {
                let message = "the gateway does not know such a service";
                Failure::new(Code::Unimplemented, "UNKNOWN_SERVICE", message)
            });
            let wire = match wire.and_then(|area| backends.get(area)) {
                Ok(wire) => wire,
                Err(failure) => {
                    let refused = error::status(failure).into_http();
                    return std::future::ready(Ok(refused)).boxed();
                }
            };
            let draining = streams
                .contains(request.uri().path())
                .then(|| draining.clone());
            let call = wire.oneshot(stripped(request));
            call.map(|answer| {
                let answer = answer.unwrap_or_else(tonic::Status::into_http);
                Ok(match draining {
                    Some(draining) => answer.map(|body| Body::new(Ending::new(body, draining))),
                    None => answer,
                })
            })
            .boxed()
        },
    );
    BoxCloneSyncService::new(GrpcWebLayer::new().layer(service))
}

fn stripped(request: Request<Body>) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    let mut headers = HeaderMap::new();
    for name in FORWARDED.iter().chain(&OF_GRPC) {
        for value in parts.headers.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let path = parts
        .uri
        .path()
        .parse()
        .unwrap_or_else(|_| http::Uri::from_static("/"));
    parts.uri = path;
    parts.headers = headers;
    parts.version = http::Version::HTTP_2;
    // What the listener or a middleware left behind is not for the service.
    parts.extensions = http::Extensions::new();
    Request::from_parts(parts, body)
}
