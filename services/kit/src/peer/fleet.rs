//! The replicas of a service that runs elsewhere: which one takes a call, and when a call may be
//! sent a second time.
//!
//! Replicas take turns. A call that certainly reached none (no connection within
//! [`CONNECT_TIMEOUT`], TLS that was not made, a connection that closes and takes no new streams),
//! or only one that does not know its callers yet, goes to the next one, in up to three rounds with short pauses. A call that may have been
//! received is sent again only when its method has a `GET` rule, because then it changes nothing.
//! Everything else is the caller's to repeat, with the request id that makes it happen once.

use std::{
    error::Error,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper_util::client::legacy::connect::HttpConnector;
use jinke_types::{Code, Failure};
use tokio::time::Instant;
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::{Service, ServiceExt as _};

use crate::{
    deadline, methods,
    status::status,
    tls::{ClientTls, Watched},
};

/// For TCP and TLS together: a process that is stopped still accepts connections, and then says
/// nothing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection on which nothing comes is asked after this whether it lives, and given up when it
/// does not say so within [`PING_TIMEOUT`].
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// A replica that could not be reached is passed over for this long while there are others.
const REST: Duration = Duration::from_secs(1);
/// Pauses before the second and third round over all replicas.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];
/// Bytes of a request kept until it is answered, to be sent again. One that is larger is sent once.
const KEPT_BYTES: usize = 32 << 20;

/// The replicas of one service. Clones share connections.
#[derive(Clone)]
pub(crate) struct Fleet(Arc<Inner>);

struct Inner {
    replicas: Vec<Replica>,
    turn: AtomicUsize,
}

struct Replica {
    /// Made anew when the files of its TLS were replaced.
    channel: Watched<Channel>,
    rests_until: Mutex<Option<Instant>>,
}

impl Replica {
    fn rests(&self) -> bool {
        let until = self
            .rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
    fn rest(&self, until: Option<Instant>) {
        *self
            .rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = until;
    }
}

impl Fleet {
    /// The replicas at these URLs, separated by commas. Each is connected to on its first call, and
    /// again when a connection breaks.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, reason `CONFIG`, when one is no URL or the files of `tls` are unusable.
    pub(crate) fn new(urls: &str, tls: Option<&ClientTls>) -> Result<Self, Failure> {
        let replicas = urls
            .split(',')
            .map(|url| {
                Ok(Replica {
                    channel: watched(url.trim(), tls)?,
                    rests_until: Mutex::default(),
                })
            })
            .collect::<Result<_, Failure>>()?;
        let turn = AtomicUsize::new(0);
        Ok(Self(Arc::new(Inner { replicas, turn })))
    }

    /// How many replicas there are.
    pub(crate) fn len(&self) -> usize {
        self.0.replicas.len()
    }

    /// All replicas from the one whose turn it is; those that rest come last.
    fn order(&self) -> Vec<&Replica> {
        let all = &self.0.replicas;
        let first = self.0.turn.fetch_add(1, Ordering::Relaxed) % all.len();
        let (mut ready, resting): (Vec<_>, Vec<_>) = (0..all.len())
            .map(|n| &all[(first + n) % all.len()])
            .partition(|r| !r.rests());
        ready.extend(resting);
        ready
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let harmless = methods::changes_nothing(parts.uri.path());
        let kept = Arc::new(Mutex::new(Kept::of(body)));
        let mut last = None;
        for pause in std::iter::once(Duration::ZERO).chain(PAUSES) {
            tokio::time::sleep(pause).await;
            for replica in self.order() {
                let replay = Replay {
                    kept: Arc::clone(&kept),
                    at: 0,
                };
                let attempt = Request::from_parts(parts.clone(), Body::new(replay));
                let error = match replica.channel.current().oneshot(attempt).await {
                    Ok(response) => match knows_nobody(&response) {
                        Some(refusal) if !lock(&kept).gone => {
                            replica.rest(Some(Instant::now() + REST));
                            last = Some(refusal);
                            continue;
                        }
                        _ => {
                            replica.rest(None);
                            lock(&kept).forget();
                            return Ok(response);
                        }
                    },
                    Err(error) => error,
                };
                let fate = fate(&error);
                if fate == Fate::Elsewhere {
                    replica.rest(Some(Instant::now() + REST));
                }
                let again = match fate {
                    Fate::Elsewhere | Fate::Refused => true,
                    Fate::Unknown => harmless,
                    Fate::Final => false,
                };
                let failed = failed(error);
                if !again || lock(&kept).gone {
                    return Err(failed);
                }
                last = Some(failed);
            }
        }
        Err(last.unwrap_or_else(|| status(Failure::internal("a peer without a replica"))))
    }
}

impl Service<Request<Body>> for Fleet {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// A channel that follows the files of its TLS. Calls on one that is replaced go on.
fn watched(url: &str, tls: Option<&ClientTls>) -> Result<Watched<Channel>, Failure> {
    let (url, tls) = (url.to_owned(), tls.cloned());
    let files = tls.iter().flat_map(ClientTls::files);
    let secure = url.starts_with("https");
    Watched::new(
        files.filter(|_| secure).collect::<Vec<_>>(),
        Box::new(move || channel(&url, tls.as_ref())),
    )
}

fn channel(url: &str, tls: Option<&ClientTls>) -> Result<Channel, Failure> {
    let wrong = |e: &dyn std::fmt::Display| {
        Failure::new(
            Code::InvalidArgument,
            "CONFIG",
            format!("{url:?} is not a usable URL: {e}"),
        )
    };
    let mut endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|e| wrong(&e))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true);
    match endpoint.uri().scheme_str() {
        Some("https") => {
            let tls = tls.ok_or_else(|| wrong(&"no authorities are given for https"))?;
            endpoint = endpoint.tls_config(tls.load()?).map_err(|e| wrong(&e))?;
        }
        Some("http") => {}
        _ => return Err(wrong(&"it must begin with http:// or https://")),
    }
    // With a connector of its own the timeout covers TLS too.
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    Ok(endpoint.connect_with_connector_lazy(connector))
}

/// What became of a call that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The replica was not reached.
    Elsewhere,
    /// The connection was closing and took no new call.
    Refused,
    /// It may have been received, and even done.
    Unknown,
    /// Its own time is over.
    Final,
}

fn fate(error: &(dyn Error + 'static)) -> Fate {
    let mut unsent = false;
    let mut source = Some(error);
    while let Some(error) = source {
        if error.is::<tonic::TimeoutExpired>() || error.is::<Status>() {
            return Fate::Final;
        }
        if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
            // A call that still waited for its turn on a connection that then closed.
            if hyper.is_canceled() {
                return Fate::Refused;
            }
            let h2 = hyper.source().and_then(|e| e.downcast_ref::<h2::Error>());
            let refused = h2.is_some_and(|e| {
                // RFC 9113, 6.8 and 8.7: such a stream was not processed.
                e.reason() == Some(h2::Reason::REFUSED_STREAM)
                    || (e.is_go_away() && e.is_remote() && e.reason() == Some(h2::Reason::NO_ERROR))
            });
            return if refused {
                Fate::Refused
            } else {
                Fate::Unknown
            };
        }
        // The timer of the connector reports an error of I/O; an error on a connection that stands
        // comes inside one of hyper.
        unsent |= error.is::<tonic::ConnectError>() || error.is::<std::io::Error>();
        source = error.source();
    }
    if unsent {
        Fate::Elsewhere
    } else {
        Fate::Unknown
    }
}

/// The refusal of a replica that has not heard of identity, or not for too long, so that it knows
/// nobody: it comes before the handler, and another replica may know more. One that has just
/// started says so for a moment.
fn knows_nobody(response: &Response<Body>) -> Option<Status> {
    let status = Status::from_header_map(response.headers())?;
    let reason = crate::status::failure(&status).reason;
    let unheard = matches!(reason, "NO_ACCESS_SNAPSHOT" | "ACCESS_SNAPSHOT_STALE");
    (status.code() == tonic::Code::Unavailable && unheard).then_some(status)
}

fn failed(error: tonic::transport::Error) -> Status {
    let found = Status::from_error(Box::new(error));
    let failure = match found.code() {
        // The channel's own timer says so when `grpc-timeout` has passed without an answer.
        tonic::Code::Cancelled | tonic::Code::DeadlineExceeded => deadline::exceeded(),
        _ => Failure::new(Code::Unavailable, "PEER_UNREACHABLE", found.message()),
    };
    status(failure)
}

/// What of a request's body was read, and the rest of it.
struct Kept {
    frames: Vec<Bytes>,
    bytes: usize,
    rest: Option<Body>,
    /// Not all that was read is here, so that it cannot be sent again.
    gone: bool,
}

impl Kept {
    fn of(body: Body) -> Self {
        Self {
            frames: Vec::new(),
            bytes: 0,
            rest: Some(body),
            gone: false,
        }
    }
    fn keep(&mut self, data: &Bytes) {
        self.bytes = self.bytes.saturating_add(data.len());
        if self.bytes > KEPT_BYTES {
            self.forget();
        }
        if !self.gone {
            self.frames.push(data.clone());
        }
    }
    /// The answer has begun, or there is too much: nothing is sent again, so nothing is kept.
    fn forget(&mut self) {
        self.gone = true;
        self.frames = Vec::new();
    }
}

fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request's body, from its beginning. One reads at a time: an attempt is over before the next.
struct Replay {
    kept: Arc<Mutex<Kept>>,
    at: usize,
}

impl http_body::Body for Replay {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let mut kept = lock(&this.kept);
        if let Some(data) = kept.frames.get(this.at) {
            this.at += 1;
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        let Some(rest) = kept.rest.as_mut() else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(Pin::new(rest).poll_frame(cx));
        match &frame {
            None => kept.rest = None,
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) => {
                    kept.keep(data);
                    this.at += 1;
                }
                // A client of gRPC sends no trailers; one that does is not repeated.
                None => kept.forget(),
            },
            Some(Err(_)) => kept.forget(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let kept = lock(&self.kept);
        self.at >= kept.frames.len() && kept.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
