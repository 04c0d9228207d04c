//! One request from its head to its answer: request id, CORS, limits, route, call, JSON.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{Full, StreamBody};
use jinke_kit::{
    Metrics, Shutdown,
    deadline::{self, Call, REQUEST_ID},
};
use jinke_types::{Code, Entropy, Failure};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tokio::time::Instant;
use tonic::{Status, body::Body};
use tower::ServiceExt;

use crate::{
    body::Buffer,
    call::{self, Backends},
    config::GatewayConfig,
    cors::Cors,
    error, json,
    limit::{Limiter, Rate},
    openapi,
    request::{self, Parts},
    sse::{self, Events, Open},
    table::{Binding, BodyRule, Found, Table},
    web::{self, Pass},
};

/// Bytes of the body of a method that needs no token.
pub const PUBLIC_BODY_BYTES: usize = 64 << 10;
/// From this size on JSON is read and written off the threads that serve connections.
const LARGE: usize = 64 << 10;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The gateway without its listener. Clones share everything.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    pool: DescriptorPool,
    table: Table,
    backends: Backends,
    pass: Pass,
    config: GatewayConfig,
    cors: Cors,
    limiter: Limiter,
    buffer: Buffer,
    document: Bytes,
    numbers: Numbers,
    draining: Shutdown,
    id_prefix: String,
    next_id: AtomicU64,
}

struct Numbers {
    requests: IntCounterVec,
    seconds: HistogramVec,
    limited: IntCounterVec,
    streams: IntGauge,
}

impl Numbers {
    fn new(metrics: &Metrics) -> Result<Self, Failure> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).map_err(Failure::internal)
        };
        let this = Self {
            requests: counter(
                "jinke_gateway_requests_total",
                "HTTP requests answered, by RPC and HTTP code.",
                &["rpc", "code"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new(
                    "jinke_gateway_seconds",
                    "Time from the head of an HTTP request to the head of its answer.",
                ),
                &["rpc"],
            )
            .map_err(Failure::internal)?,
            limited: counter(
                "jinke_gateway_limited_total",
                "HTTP requests refused because a caller asked too often.",
                &["caller"],
            )?,
            streams: IntGauge::new("jinke_gateway_streams_open", "Event streams open now.")
                .map_err(Failure::internal)?,
        };
        metrics.register(this.requests.clone())?;
        metrics.register(this.seconds.clone())?;
        metrics.register(this.limited.clone())?;
        metrics.register(this.streams.clone())?;
        Ok(this)
    }
}

/// What was decided about a request, and its name in metrics.
struct Answered {
    rpc: String,
    response: Response<Body>,
}

impl Gateway {
    /// A gateway for the services in an encoded descriptor set.
    ///
    /// # Errors
    /// `CONFIG` for settings out of range; `INTERNAL` when an HTTP rule of the set is wrong.
    pub fn new(
        descriptor_set: &[u8],
        config: GatewayConfig,
        backends: Backends,
        metrics: &Metrics,
        entropy: &dyn Entropy,
        draining: Shutdown,
    ) -> Result<Self, Failure> {
        config.check()?;
        let pool = DescriptorPool::decode(descriptor_set).map_err(Failure::internal)?;
        let table = Table::read(&pool)?;
        let document = openapi::text(&pool, &table);
        let mut prefix = [0; 6];
        entropy.fill(&mut prefix);
        let rate = |per_second, burst| Rate { per_second, burst };
        let rates = config.rate;
        Ok(Self(Arc::new(Inner {
            pass: web::pass(&pool, backends.clone(), draining.clone()),
            pool,
            table,
            backends,
            cors: Cors::new(&config.cors.origins),
            limiter: Limiter::new(
                rate(rates.caller_per_second, rates.caller_burst),
                rate(rates.address_per_second, rates.address_burst),
            ),
            buffer: Buffer::new(config.buffer_bytes),
            config,
            document: Bytes::from(document),
            numbers: Numbers::new(metrics)?,
            draining,
            id_prefix: prefix.iter().map(|b| format!("{b:02x}")).collect(),
            next_id: AtomicU64::new(0),
        })))
    }

    /// The settings.
    pub fn config(&self) -> &GatewayConfig {
        &self.0.config
    }

    /// Answers one request that came over a connection from this address. Every error is an answer
    /// too.
    pub async fn answer(&self, request: Request<Body>, connection: IpAddr) -> Response<Body> {
        let this = &*self.0;
        let received = Instant::now();
        let (parts, body) = request.into_parts();
        let id = this.request_id(&parts.headers);
        let call = Arc::new(Call {
            id: id.to_str().unwrap_or_default().to_owned(),
            deadline: None,
            traceparent: parts.headers.get("traceparent").cloned(),
            proven: std::sync::OnceLock::new(),
            intent: std::sync::OnceLock::new(),
        });
        let from = address(&parts.headers, connection, this.config.forwarded_hops);
        let incoming = parts.headers.clone();
        let work = this.route(parts, body, &id, from);
        let Answered { rpc, mut response } = Arc::clone(&call).scope(work).await;
        let headers = response.headers_mut();
        let fixed = |text| HeaderValue::from_static(text);
        headers.insert(REQUEST_ID, id);
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(fixed("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
        this.cors.allow(&incoming, headers);
        let (took, code) = (received.elapsed(), response.status().as_u16());
        this.numbers
            .requests
            .with_label_values(&[rpc.as_str(), &code.to_string()])
            .inc();
        this.numbers
            .seconds
            .with_label_values(&[rpc.as_str()])
            .observe(took.as_secs_f64());
        // The path is not logged: it may hold what a person typed into a search.
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(rpc, code, milliseconds, request_id = call.id, "http");
        response
    }
}

impl Inner {
    async fn route(
        &self,
        parts: http::request::Parts,
        body: Body,
        id: &HeaderValue,
        from: IpAddr,
    ) -> Answered {
        let named = |rpc: &str, response| Answered {
            rpc: rpc.to_owned(),
            response,
        };
        if let Some(response) = self.cors.preflight(&parts.method, &parts.headers) {
            return named("preflight", response);
        }
        let path = parts.uri.path();
        if parts.method == Method::GET && path == "/healthz" {
            return named(
                "healthz",
                text("text/plain; charset=utf-8", Bytes::from_static(b"ok\n")),
            );
        }
        let token = bearer(&parts.headers);
        // Whoever speaks gRPC is refused in gRPC: its clients read no JSON.
        let refuse = |status: Status| match web::refused(&parts.headers, &status) {
            Some(response) => response,
            None => self.refuse(&status),
        };
        if let Err(status) = self.allowance(token.as_deref(), from) {
            return named("limited", refuse(status));
        }
        let uri_bytes = parts.uri.path_and_query().map_or(0, |p| p.as_str().len());
        if uri_bytes > self.config.uri_bytes {
            let max = self.config.uri_bytes;
            let message = format!("path and query may have up to {max} bytes");
            let failure = Failure::new(Code::InvalidArgument, "URI_TOO_LONG", message);
            return named("other", refuse(error::status(failure)));
        }
        if parts.method == Method::GET && path == "/openapi.json" {
            return named("openapi", text("application/json", self.document.clone()));
        }
        if web::is_grpc(&parts.headers) {
            return named("grpc", self.passed(parts, body, id, token.as_deref()).await);
        }
        let (binding, captured) = match self.table.find(&parts.method, path) {
            Found::Binding(binding, captured) => (binding, captured),
            Found::OtherMethods(methods) => return named("other", self.other_method(&methods)),
            Found::Nothing => {
                let failure =
                    Failure::new(Code::NotFound, "ROUTE_UNKNOWN", "there is no such path");
                return named("other", self.refuse(&error::status(failure)));
            }
        };
        let answered = self.call(binding, captured, parts, body, id, token.as_deref());
        // The service keeps the same deadline; this one is for a service that does not.
        let patience = Duration::from_secs(self.config.call_seconds + 2);
        let outcome = tokio::time::timeout(patience, answered).await;
        let outcome = outcome.unwrap_or_else(|_| Err(error::status(deadline::exceeded())));
        named(
            &binding.rpc,
            outcome.unwrap_or_else(|status| self.refuse(&status)),
        )
    }

    fn allowance(&self, token: Option<&str>, from: IpAddr) -> Result<(), Status> {
        let caller = self.limiter.caller(token, from);
        self.limiter.take(&caller).map_err(|wait| {
            let kind = match caller {
                crate::limit::Caller::Subject(_) => "subject",
                crate::limit::Caller::Address(_) => "address",
            };
            self.numbers.limited.with_label_values(&[kind]).inc();
            let message = "the caller asks more often than he may";
            let failure = Failure::new(Code::ResourceExhausted, "RATE_LIMITED", message);
            error::retry_in(failure, wait.as_secs() + 1)
        })
    }

    fn other_method(&self, methods: &[Method]) -> Response<Body> {
        let message = "this path is called with another method";
        let failure = Failure::new(Code::Unimplemented, "METHOD_NOT_ALLOWED", message);
        let mut response = self.refuse(&error::status(failure));
        let names: Vec<_> = methods.iter().map(Method::as_str).collect();
        if let Ok(allow) = HeaderValue::try_from(names.join(", ")) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }

    async fn call(
        &self,
        binding: &Binding,
        captured: Vec<Option<String>>,
        parts: http::request::Parts,
        body: Body,
        id: &HeaderValue,
        token: Option<&str>,
    ) -> Result<Response<Body>, Status> {
        let place = binding.place(&captured);
        let wire = self.backends.get(place).map_err(|failure| {
            // The service in the path of an operation is the caller's word.
            error::status(if place == binding.area {
                failure
            } else {
                Failure::not_found("operation")
            })
        })?;
        let timeout = (!binding.streams()).then(|| Duration::from_secs(self.config.call_seconds));
        let headers = call::headers(&parts.headers, id, timeout);
        let resume = parts
            .headers
            .get(LAST_EVENT_ID)
            .filter(|_| binding.streams());
        let what = Parts {
            captured,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            resume: resume.and_then(|v| v.to_str().ok()).map(str::to_owned),
        };
        let message = async {
            let max = match binding.body {
                BodyRule::None => 0,
                _ if binding.public => PUBLIC_BODY_BYTES.min(self.config.body_bytes),
                _ => self.config.body_bytes,
            };
            let within = Duration::from_secs(self.config.body_seconds);
            let held = self.buffer.read(&parts.headers, body, max, within).await?;
            if held.bytes.len() < LARGE {
                return request::build(binding, &what, &held.bytes)
                    .map(|m| m.encode_to_vec().into());
            }
            let binding = binding.clone();
            let work =
                move || request::build(&binding, &what, &held.bytes).map(|m| m.encode_to_vec());
            let built = tokio::task::spawn_blocking(work).await;
            built.map_err(Failure::internal)?.map(Bytes::from)
        };
        let opened = call::open(wire, &binding.rpc, headers, message).await;
        if let (Some(token), false) = (token, binding.public) {
            match &opened.answer {
                _ if opened.admitted => self.limiter.accept(token),
                Err(s) if s.code() == tonic::Code::Unauthenticated => self.limiter.refuse(token),
                _ => {}
            }
        }
        let answer = opened.answer?;
        if binding.streams() {
            let events = sse::body(Events {
                answer,
                output: binding.method.output(),
                pool: self.pool.clone(),
                heartbeat: Duration::from_secs(self.config.heartbeat_seconds),
                until: match self.config.stream_seconds {
                    0 => None,
                    seconds => Some(Instant::now() + Duration::from_secs(seconds)),
                },
                draining: self.draining.clone(),
                open: Open::new(&self.numbers.streams),
            });
            let mut response = Response::new(Body::new(StreamBody::new(Box::pin(events))));
            let headers = response.headers_mut();
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/event-stream"),
            );
            // Reverse proxies would hold events back otherwise.
            headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
            return Ok(response);
        }
        let message = call::only(answer).await?;
        let json = if message.len() < LARGE {
            write(binding, message)
        } else {
            let binding = binding.clone();
            let written = tokio::task::spawn_blocking(move || write(&binding, message)).await;
            written.map_err(|e| error::status(Failure::internal(e)))?
        };
        Ok(text(
            "application/json",
            Bytes::from(json.map_err(error::status)?),
        ))
    }

    /// Passes gRPC and gRPC-Web on.
    async fn passed(
        &self,
        mut parts: http::request::Parts,
        body: Body,
        id: &HeaderValue,
        token: Option<&str>,
    ) -> Response<Body> {
        parts.headers.insert(REQUEST_ID, id.clone());
        let public = self
            .table
            .iter()
            .any(|b| b.public && b.rpc == parts.uri.path());
        let request = Request::from_parts(parts, body);
        let response = match self.pass.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        // A refusal by the head has its status there, and no body.
        let admitted =
            response.status().is_success() && !response.headers().contains_key("grpc-status");
        if let (Some(token), true, false) = (token, admitted, public) {
            self.limiter.accept(token);
        }
        response
    }

    /// An error as it is sent.
    fn refuse(&self, status: &Status) -> Response<Body> {
        let answer = error::answer(status, &self.pool);
        let mut response = text("application/json", Bytes::from(answer.body));
        *response.status_mut() = answer.code;
        let headers = response.headers_mut();
        if let Some(seconds) = answer.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if answer.code == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    /// The caller's request id when it is well formed, else a new one.
    fn request_id(&self, headers: &HeaderMap) -> HeaderValue {
        let stated = headers.get(REQUEST_ID).filter(|id| {
            (1..=64).contains(&id.len())
                && id
                    .as_bytes()
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
        });
        stated.cloned().unwrap_or_else(|| {
            let n = self.next_id.fetch_add(1, Ordering::Relaxed);
            HeaderValue::try_from(format!("{}-{n:x}", self.id_prefix))
                .unwrap_or_else(|_| HeaderValue::from(n))
        })
    }
}

fn write(binding: &Binding, message: Bytes) -> Result<Vec<u8>, Failure> {
    let message = DynamicMessage::decode(binding.method.output(), message)
        .map_err(|e| Failure::internal(format!("the answer of {}: {e}", binding.rpc)))?;
    match &binding.response_body {
        None => json::text(&message),
        Some(field) => json::field_text(&message, field),
    }
}

fn text(content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(body)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The caller's token; `None` when there is none, or more than one.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

/// The address of a caller behind so many reverse proxies, each of which adds the address it was
/// called from to the end of `X-Forwarded-For`. What stands before those is the caller's own word.
fn address(headers: &HeaderMap, connection: IpAddr, hops: usize) -> IpAddr {
    if hops == 0 {
        return connection;
    }
    let lines = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|v| v.to_str().ok());
    let all: Vec<&str> = lines.flat_map(|l| l.split(',')).map(str::trim).collect();
    let nth = all.len().checked_sub(hops).and_then(|at| all.get(at));
    nth.and_then(|a| a.parse().ok()).unwrap_or(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_say_where_a_caller_is() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "1.1.1.1, 2.2.2.2".parse().unwrap());
        headers.append("x-forwarded-for", "3.3.3.3".parse().unwrap());
        let home: IpAddr = "9.9.9.9".parse().unwrap();
        let of = |hops| address(&headers, home, hops).to_string();
        assert_eq!(
            [of(0), of(1), of(2), of(3), of(4)],
            ["9.9.9.9", "3.3.3.3", "2.2.2.2", "1.1.1.1", "9.9.9.9"]
        );
    }
}
