//! What stands around the RPCs of one service, the same for a call over the network and from the
//! next service in this process. In order: request id and trace, method, limits, deadline,
//! authentication and authorization, the handler; then the answer is watched to its end.

mod answer;

pub(crate) use answer::name as code_name;

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Request, Response};
use jinke_types::{Caller, Code, Failure};
use tokio::time::Instant;
use tonic::{Status, body::Body, service::Routes};
use tower::{Service, ServiceExt};
use tracing::{Instrument, field};

use crate::{
    Access, Metrics, Shutdown,
    audit::{self, Desk, HeldBody, Subject},
    auth,
    deadline::{self, Call, REQUEST_ID},
    limits::{Gate, LimitedBody, Limits},
    methods::Methods,
    status::{grpc_code, status},
    telemetry,
    token::Claims,
};
use answer::{Account, WatchedBody};

/// One service with everything around it. Clones share limits and numbers.
#[derive(Clone)]
pub(crate) struct Edge(Arc<Inner>);

struct Inner {
    name: &'static str,
    methods: Methods,
    routes: Routes,
    access: Access,
    gate: Gate,
    limits: Limits,
    metrics: Metrics,
    draining: Shutdown,
    desk: Option<Arc<Desk>>,
    /// Begins every request id made here; differs from process to process.
    id_prefix: String,
    next_id: std::sync::atomic::AtomicU64,
}

/// What an [`Edge`] is made of.
pub(crate) struct Parts {
    pub(crate) name: &'static str,
    pub(crate) methods: Methods,
    pub(crate) routes: Routes,
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) draining: Shutdown,
    pub(crate) id_prefix: String,
    /// Where calls are recorded.
    pub(crate) desk: Option<Arc<Desk>>,
}

impl Edge {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            gate: Gate::new(&parts.limits),
            name: parts.name,
            methods: parts.methods,
            routes: parts.routes.prepare(),
            access: parts.access,
            limits: parts.limits,
            metrics: parts.metrics,
            draining: parts.draining,
            id_prefix: parts.id_prefix,
            desk: parts.desk,
            next_id: std::sync::atomic::AtomicU64::new(0),
        }))
    }

    /// Answers a call. Every error is an answer too.
    pub(crate) async fn answer(self, request: Request<Body>) -> Response<Body> {
        let received = Instant::now();
        let this = &*self.0;
        // An unknown path must not make a label of its own: a scanner would grow the metrics.
        let path = request.uri().path().to_owned();
        let known = this.methods.get(&path);
        let label = known.map_or("unknown", |(path, _)| path);
        let id = this.request_id(request.headers());
        let span = tracing::info_span!(
            "rpc",
            otel.name = label.trim_start_matches('/'),
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.grpc.status_code = field::Empty,
            request_id = %id,
            caller = field::Empty,
        );
        let traceparent = telemetry::extract(request.headers(), &span);
        let account = Account::open(&this.metrics, this.name, label, span.clone(), received);
        let (parts, body) = request.into_parts();
        let call = Call {
            id,
            deadline: None,
            traceparent,
            proven: std::sync::OnceLock::new(),
            intent: std::sync::OnceLock::new(),
        };
        self.clone()
            .admitted(parts, body, call, received, account)
            .instrument(span)
            .await
    }

    async fn admitted(
        self,
        mut parts: http::request::Parts,
        body: Body,
        mut call: Call,
        received: Instant,
        mut account: Account,
    ) -> Response<Body> {
        let this = &*self.0;
        let id = call.id.clone();
        let mut caller = None;
        let checked = self.check(&mut parts, &mut call, received, &mut account, &mut caller);
        let call = Arc::new(call);
        let subject = this.desk.as_ref().map(|desk| {
            let path = parts.uri.path();
            Arc::new(Subject::new(desk, &call, caller, path, &parts.headers))
        });
        let deadline = match checked {
            Ok(deadline) => deadline,
            Err(failure) => {
                // The mapping runs within the call, so that a hidden message bears its id.
                let refused = Arc::clone(&call)
                    .scope(async { status(recorded(subject.as_deref(), failure).await) })
                    .await;
                return finished(refused, account, &id);
            }
        };
        let mut body = LimitedBody::wrap(body, this.limits.request_bytes);
        if let Some(subject) = &subject {
            body = subject.opened(body, account.stream);
        }
        let handler = this
            .routes
            .clone()
            .oneshot(Request::from_parts(parts, body));
        // A panic in a handler is a bug in it; it must not take the caller down with it when the
        // caller is the next service in this process.
        let handler = AssertUnwindSafe(Arc::clone(&call).scope(handler)).catch_unwind();
        let outcome = match deadline {
            Some(at) => tokio::time::timeout_at(at, handler).await,
            None => Ok(handler.await),
        };
        let failure = match outcome {
            Ok(Ok(Ok(response))) => {
                if let Some(subject) = subject {
                    // An answer without a body holds its error in the headers.
                    let Some(error) = Status::from_header_map(response.headers()) else {
                        let held = response.map(|body| HeldBody::wrap(body, subject));
                        return this.leaving(held, account, call);
                    };
                    let reason = audit::reason(&error);
                    if let Err(failure) = subject.failed(error.code(), &reason).await {
                        let refused = call.scope(async { status(failure) }).await;
                        return finished(refused, account, &id);
                    }
                }
                return this.leaving(response, account, call);
            }
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_panic)) => Failure::internal("the handler panicked"),
            Err(_elapsed) => deadline::exceeded(),
        };
        let refused = call
            .scope(async { status(recorded(subject.as_deref(), failure).await) })
            .await;
        finished(refused, account, &id)
    }

    /// Everything that is decided before the body is read. Returns when the call must end.
    fn check(
        &self,
        parts: &mut http::request::Parts,
        call: &mut Call,
        received: Instant,
        account: &mut Account,
        caller: &mut Option<Caller>,
    ) -> Result<Option<Instant>, Failure> {
        let this = &*self.0;
        let Some((_, method)) = this.methods.get(parts.uri.path()) else {
            return Err(Failure::new(
                Code::Unimplemented,
                "UNKNOWN_METHOD",
                "there is no such method",
            ));
        };
        let streams = method.client_streaming || method.server_streaming;
        account.stream = streams;
        let shed = |f: Failure| {
            this.metrics
                .shed
                .with_label_values(&[this.name, f.reason])
                .inc();
            f
        };
        let mut place = this.gate.enter(streams).map_err(shed)?;
        let longest = (!streams).then(|| this.limits.max_deadline());
        let stated = deadline::timeout(&parts.headers)?;
        let timeout = stated.into_iter().chain(longest).min();
        let deadline = timeout.map(|t| deadline::answer_by(received, t));
        call.deadline = deadline;
        if deadline.is_some_and(|d| d <= Instant::now()) {
            return Err(deadline::exceeded());
        }
        if let Some(grant) = auth::admit(&this.access, &method.needs, parts, caller)? {
            account.caller.clone_from(&grant.caller.name);
            account.span.record("caller", grant.caller.name.as_str());
            if streams {
                account.proof = parts
                    .extensions
                    .get::<Arc<Claims>>()
                    .map(|claims| (this.access.clone(), Arc::clone(claims)));
                this.gate
                    .count(&mut place, &grant.caller.name)
                    .map_err(shed)?;
            }
        }
        account.enter(place, method.server_streaming && !method.client_streaming);
        Ok(deadline)
    }
}

/// A failure once it is recorded, or why it cannot be.
async fn recorded(subject: Option<&Subject>, failure: Failure) -> Failure {
    let Some(subject) = subject else {
        return failure;
    };
    let code = grpc_code(failure.code);
    match subject.failed(code, failure.reason).await {
        Ok(()) => failure,
        Err(unrecorded) => unrecorded,
    }
}

impl Inner {
    /// An answer on its way, watched to its end.
    fn leaving(
        &self,
        mut response: Response<Body>,
        account: Account,
        call: Arc<Call>,
    ) -> Response<Body> {
        stamp(response.headers_mut(), &call.id);
        WatchedBody::wrap(response, account, call, self.draining.clone())
    }

    /// The caller's request id when it is well formed, else a new one.
    fn request_id(&self, headers: &HeaderMap) -> String {
        let stated = headers
            .get(REQUEST_ID)
            .and_then(|v| v.to_str().ok())
            .filter(|id| {
                (1..=64).contains(&id.len())
                    && id
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            });
        stated.map_or_else(
            || {
                let n = self
                    .next_id
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                format!("{}-{n:x}", self.id_prefix)
            },
            str::to_owned,
        )
    }
}

fn stamp(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
}

fn finished(status: Status, account: Account, id: &str) -> Response<Body> {
    account.close(status.code());
    let mut response = status.into_http();
    stamp(response.headers_mut(), id);
    response
}

impl<B> Service<Request<B>> for Edge
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
        Box::pin(self.clone().answer(request.map(Body::new)).map(Ok))
    }
}
