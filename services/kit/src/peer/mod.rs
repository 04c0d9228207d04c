//! Calls to other services: one type for a service in this process and for one far away (D7).
//!
//! Every call carries what is left of the present deadline, the request id, the trace context and
//! the calling service's own token; acting for a user, the token exchanged for his. A local peer
//! is the same layers, codec and handler without a socket.

mod fleet;
mod tokens;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use jinke_types::{Clock, Code, Failure};
use tonic::{Status, body::Body};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};
use tracing::Instrument;

use crate::{
    Check,
    auth::{AUTHORIZATION, Bearer, SERVICE_TOKEN},
    deadline::{self, Call, GRPC_TIMEOUT, REQUEST_ID},
    edge::Edge,
    status::status,
    telemetry,
    tls::ClientTls,
};
pub(crate) use fleet::Fleet;
use tokens::Tokens;

/// What carries a request, local or remote.
pub(crate) type Wire = BoxCloneSyncService<Request<Body>, Response<Body>, Status>;

/// The services of this process, filled while they are built.
pub(crate) type Locals = Arc<RwLock<BTreeMap<String, Edge>>>;

/// Puts proof of the caller into the headers of a call.
#[async_trait::async_trait]
pub(crate) trait Credentials: Send + Sync {
    async fn put(&self, headers: &mut HeaderMap) -> Result<(), Failure>;
    /// The proof was refused; the next call must bring a new one.
    fn refused(&self);
}

/// Finds what carries a call, when it is made.
type Route = Arc<dyn Fn() -> Result<Wire, Failure> + Send + Sync>;

/// A service to call: give it to a generated client, `TokenServiceClient::new(peer)`.
#[derive(Clone)]
pub struct Peer {
    route: Route,
    credentials: Option<Arc<dyn Credentials>>,
    exchange: Option<(Arc<Tokens>, String)>,
}

impl Peer {
    pub(crate) fn over(
        route: impl Fn() -> Result<Wire, Failure> + Send + Sync + 'static,
        credentials: Option<Arc<dyn Credentials>>,
    ) -> Self {
        Self {
            route: Arc::new(route),
            credentials,
            exchange: None,
        }
    }

    /// The same peer, called for the user whose token this is: it is exchanged for one with the
    /// peer's audience, and both the user and this service must be allowed what is asked. A peer
    /// that was not got from [`Peers`] has nobody to exchange for and refuses every call.
    #[must_use]
    pub fn acting_for(&self, bearer: &Bearer) -> Self {
        let acting = Acting {
            exchange: self.exchange.clone(),
            bearer: bearer.clone(),
        };
        Self {
            credentials: Some(Arc::new(acting)),
            ..self.clone()
        }
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        if let Some(call) = Call::current() {
            if let Ok(id) = HeaderValue::from_str(&call.id) {
                request.headers_mut().entry(REQUEST_ID).or_insert(id);
            }
            if let Some(left) = call.remaining() {
                if left.is_zero() {
                    return Err(status(deadline::exceeded()));
                }
                let stated = deadline::timeout(request.headers()).map_err(status)?;
                let timeout = stated.map_or(left, |s| s.min(left));
                request
                    .headers_mut()
                    .insert(GRPC_TIMEOUT, deadline::timeout_value(timeout));
            }
        }
        telemetry::inject(request.headers_mut());
        if let Some(credentials) = &self.credentials {
            credentials
                .put(request.headers_mut())
                .await
                .map_err(status)?;
        }
        let wire = (self.route)().map_err(status)?;
        let outcome = wire.oneshot(request).await;
        let refused = match &outcome {
            Ok(r) => r.headers().get("grpc-status").is_some_and(|c| c == "16"),
            Err(s) => s.code() == tonic::Code::Unauthenticated,
        };
        if let (true, Some(credentials)) = (refused, &self.credentials) {
            credentials.refused();
        }
        outcome
    }
}

impl Service<Request<Body>> for Peer {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let name = request.uri().path().trim_start_matches('/').to_owned();
        let span = tracing::info_span!("peer", otel.name = name, otel.kind = "client");
        // A trace context that whoever calls put into the request comes before that of the span.
        telemetry::extract(request.headers(), &span);
        Box::pin(self.clone().send(request).instrument(span))
    }
}

/// Where a peer is: in this process, or at the URLs of its replicas, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Local,
    Remote(String),
}

struct Inner {
    service: String,
    places: BTreeMap<String, Place>,
    tls: ClientTls,
    locals: Locals,
    fleets: Mutex<BTreeMap<String, Fleet>>,
}

/// The other services, by name. Clones share connections and tokens.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
    tokens: Arc<Tokens>,
}

impl Peers {
    pub(crate) fn new(
        service: &str,
        places: BTreeMap<String, Place>,
        tls: ClientTls,
        locals: Locals,
        key_file: PathBuf,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let inner = Arc::new(Inner {
            service: service.to_owned(),
            places,
            tls,
            locals,
            fleets: Mutex::default(),
        });
        let route = Arc::clone(&inner);
        let identity = Peer::over(move || route.wire("identity"), None);
        Self {
            inner,
            tokens: Arc::new(Tokens::new(identity, key_file, clock)),
        }
    }

    /// The service called `name`, called as the service itself. Resolved when first called, so
    /// that it may be built later than the one that asks; calls answer `UNAVAILABLE`, reason
    /// `PEER_UNKNOWN`, as long as there is none.
    pub fn get(&self, name: &str) -> Peer {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        let own = Own {
            tokens: Arc::clone(&self.tokens),
            audience: name.clone(),
        };
        let exchange = Some((Arc::clone(&self.tokens), name.clone()));
        let route: Route = Arc::new(move || inner.wire(&name));
        Peer {
            route,
            credentials: Some(Arc::new(own)),
            exchange,
        }
    }

    /// The service called `name`, called without a credential: for whoever passes on the token of
    /// the caller it serves, as the gateway does, and for public methods.
    pub fn plain(&self, name: &str) -> Peer {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        Peer::over(move || inner.wire(&name), None)
    }

    /// The names of the peers that are configured, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.inner.places.keys().map(String::as_str)
    }

    /// A readiness check. A peer far away must answer `grpc.health.v1.Health/Check` that it
    /// serves, at least one replica of it;
    /// one in this process must have been built, and says itself whether it is ready.
    pub fn check(&self, name: &str) -> impl Check + use<> {
        PeerCheck {
            name: format!("peer:{name}"),
            peer: name.to_owned(),
            inner: Arc::clone(&self.inner),
        }
    }
}

impl Inner {
    /// The replicas of a peer that is far away.
    fn fleet(&self, name: &str) -> Result<Fleet, Failure> {
        let mut fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fleet) = fleets.get(name) {
            return Ok(fleet.clone());
        }
        let Some(Place::Remote(urls)) = self.places.get(name) else {
            return Err(Failure::internal(format!("{name} is not far away")));
        };
        let fleet = Fleet::new(urls, Some(&self.tls))?;
        fleets.insert(name.to_owned(), fleet.clone());
        Ok(fleet)
    }

    fn wire(&self, name: &str) -> Result<Wire, Failure> {
        let unknown = |why: &str| {
            Failure::new(Code::Unavailable, "PEER_UNKNOWN", format!("{name} {why}"))
                .with("peer", name)
                .with("service", &self.service)
        };
        match self.places.get(name) {
            Some(Place::Remote(_)) => Ok(remote(self.fleet(name)?)),
            Some(Place::Local) => {
                let locals = self.locals.read().unwrap_or_else(PoisonError::into_inner);
                locals
                    .get(name)
                    .cloned()
                    .map(local)
                    .ok_or_else(|| unknown("is not in this process"))
            }
            None => Err(unknown("is not a peer that is configured")),
        }
    }
}

pub(crate) fn local<S>(service: S) -> Wire
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    BoxCloneSyncService::new(ServiceExt::<Request<Body>>::map_err(
        service,
        |never| match never {},
    ))
}

pub(crate) fn remote(fleet: Fleet) -> Wire {
    BoxCloneSyncService::new(fleet)
}

/// The service's own token.
struct Own {
    tokens: Arc<Tokens>,
    audience: String,
}

#[async_trait::async_trait]
impl Credentials for Own {
    async fn put(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        set(
            headers,
            AUTHORIZATION,
            &self.tokens.own(&self.audience).await?,
        )
    }
    fn refused(&self) {
        self.tokens.forget(&self.audience, None);
    }
}

/// The user's exchanged token, and the service's own beside it.
struct Acting {
    exchange: Option<(Arc<Tokens>, String)>,
    bearer: Bearer,
}

#[async_trait::async_trait]
impl Credentials for Acting {
    async fn put(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        let Some((tokens, audience)) = &self.exchange else {
            return Err(Failure::internal("this peer cannot act for others"));
        };
        let exchanged = tokens.exchanged(&self.bearer, audience).await?;
        set(headers, AUTHORIZATION, &exchanged)?;
        set(headers, SERVICE_TOKEN, &tokens.own(audience).await?)
    }
    fn refused(&self) {
        if let Some((tokens, audience)) = &self.exchange {
            tokens.forget(audience, Some(&self.bearer));
        }
    }
}

/// Puts a token into a header that is never printed.
pub(crate) fn set(headers: &mut HeaderMap, name: &'static str, token: &str) -> Result<(), Failure> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Failure::internal("a token holds characters no header can"))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

struct PeerCheck {
    name: String,
    peer: String,
    inner: Arc<Inner>,
}

#[async_trait::async_trait]
impl Check for PeerCheck {
    fn name(&self) -> &str {
        &self.name
    }
    async fn check(&self) -> Result<(), Failure> {
        use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
        if self.inner.places.get(&self.peer) == Some(&Place::Local) {
            return self.inner.wire(&self.peer).map(drop);
        }
        let fleet = self.inner.fleet(&self.peer)?;
        let mut answer = Ok(());
        for _ in 0..fleet.len() {
            let wire = remote(fleet.clone());
            let mut client = HealthClient::new(Peer::over(move || Ok(wire.clone()), None));
            answer = match client.check(HealthCheckRequest::default()).await {
                Ok(answer) if answer.get_ref().status == 1 => return Ok(()),
                Ok(_) => Err(Failure::new(
                    Code::Unavailable,
                    "PEER_NOT_SERVING",
                    "it does not serve",
                )),
                Err(status) => Err(crate::status::failure(&status)),
            };
        }
        answer
    }
}
