//! The listener: HTTP/1.1 and HTTP/2 on one port, TLS when there is a certificate.
//!
//! A connection that does not finish its TLS handshake, or does not begin to speak HTTP, or sends
//! the headers of a request too slowly, or carries no request, is closed after `head_seconds`.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use jinke_kit::{Shutdown, tls::ServerCertificates};
use jinke_types::{Code, Failure};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore, mpsc},
    task::JoinHandle,
};
use tonic::{Status, body::Body};

use crate::edge::Gateway;

/// How HTTP/2 begins when nothing else says that it will be spoken.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long connections are still taken, and wait for their first request, once the gateway drains:
/// whoever connected just before is answered, with `connection: close`, and not cut off.
const LINGER: Duration = Duration::from_millis(300);

/// A gateway that listens.
#[derive(Debug)]
pub struct Serving {
    addr: SocketAddr,
    task: JoinHandle<Result<(), Failure>>,
}

impl Serving {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
    /// Completes when it has drained.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED`, reason `DRAIN_CUT`, when requests in flight had to be cut.
    pub async fn wait(self) -> Result<(), Failure> {
        self.task.await.map_err(Failure::internal)?
    }
}

/// Begins to listen. Once `leaving` is triggered, connections of HTTP/1.1 are closed after the
/// request they carry, so that none is cut between two. Ends when `shutdown` is triggered,
/// connections that came just before had a moment for their first request, and requests in flight
/// are answered.
///
/// # Errors
/// `CONFIG` when the address cannot be had or a file of `tls` is unusable.
pub async fn listen(
    gateway: Gateway,
    leaving: Shutdown,
    shutdown: Shutdown,
) -> Result<Serving, Failure> {
    let address = &gateway.config().listen;
    let wrong = |e| {
        let message = format!("gateway.listen: {address}: {e}");
        Failure::new(Code::InvalidArgument, "CONFIG", message)
    };
    let listener = TcpListener::bind(address).await.map_err(wrong)?;
    let addr = listener.local_addr().map_err(Failure::internal)?;
    let tls = gateway
        .config()
        .tls
        .load("gateway.tls", &[b"h2", b"http/1.1"])?;
    tracing::info!(%addr, tls = tls.is_some(), "serving HTTP");
    let task = tokio::spawn(accept(listener, tls, gateway, leaving, shutdown));
    Ok(Serving { addr, task })
}

async fn accept(
    listener: TcpListener,
    tls: Option<ServerCertificates>,
    gateway: Gateway,
    leaving: Shutdown,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let places = Arc::new(Semaphore::new(gateway.config().connections));
    // Whoever connected just before the end was told nothing of it yet.
    let closing = async {
        shutdown.wait().await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::pin!(closing);
    // Each connection holds a sender, so that the last one to end is noticed.
    let (open, mut ended) = mpsc::channel::<()>(1);
    loop {
        let next = async {
            // Permits of a semaphore that is never closed always come.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            () = &mut closing => break,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let acceptor = tls.as_ref().map(ServerCertificates::acceptor);
        let (gateway, open) = (gateway.clone(), open.clone());
        let ends = Ends {
            leaving: leaving.child(),
            shutdown: shutdown.child(),
            asked: Arc::default(),
        };
        tokio::spawn(async move {
            let (_place, _open) = (place, open);
            let patience = Duration::from_secs(gateway.config().head_seconds);
            match acceptor {
                None => {
                    let begun = ends.begun(tokio::time::timeout(patience, begins(&stream)));
                    if let Some(Ok(Some(h2))) = begun.await {
                        connection(stream, h2, gateway, from, ends).await;
                    }
                }
                Some(acceptor) => {
                    let shaken = tokio::time::timeout(patience, acceptor.accept(stream));
                    if let Some(Ok(Ok(stream))) = ends.begun(shaken).await {
                        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        connection(stream, h2, gateway, from, ends).await;
                    }
                }
            }
        });
    }
    drop((listener, open));
    let grace = Duration::from_secs(gateway.config().grace_seconds);
    // Nothing is ever sent: it completes when the last connection is gone.
    match tokio::time::timeout(grace, ended.recv()).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::new(
            Code::DeadlineExceeded,
            "DRAIN_CUT",
            "requests in flight had to be cut",
        )),
    }
}

/// When one connection ends.
#[derive(Clone)]
struct Ends {
    leaving: Shutdown,
    shutdown: Shutdown,
    /// It has carried a request.
    asked: Arc<AtomicBool>,
}

impl Ends {
    /// Completes when the connection is to be closed behind what it carries: once the gateway
    /// drains, and a little later when nothing was asked yet, because a request may be on its way.
    async fn now(&self) {
        self.shutdown.wait().await;
        let end = tokio::time::Instant::now() + LINGER;
        while !self.asked.load(Ordering::Acquire) && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What a client that has not begun to speak does, unless it is time to close.
    async fn begun<T>(&self, begins: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            begun = begins => Some(begun),
            () = self.now() => None,
        }
    }
}

/// How many requests a connection of HTTP/2 carries.
#[derive(Default)]
struct Carried {
    now: AtomicUsize,
    changed: Notify,
}

impl Carried {
    fn one(self: &Arc<Self>) -> One {
        self.now.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_one();
        One(Arc::clone(self))
    }

    /// Completes when there has been none for so long.
    async fn none_for(&self, patience: Duration) {
        loop {
            let changed = self.changed.notified();
            if self.now.load(Ordering::Acquire) > 0 {
                changed.await;
            } else if tokio::time::timeout(patience, changed).await.is_err() {
                return;
            }
        }
    }
}

/// A request that is carried until this is dropped.
struct One(Arc<Carried>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_one();
    }
}

/// The body of an answer, whose request is carried until it has left.
struct Leaving {
    body: Body,
    _one: One,
}

impl http_body::Body for Leaving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether a client that has begun to speak speaks HTTP/2; `None` when it is gone.
async fn begins(stream: &TcpStream) -> Option<bool> {
    let mut seen = [0; PREFACE.len()];
    loop {
        let n = stream.peek(&mut seen).await.ok()?;
        if n == 0 {
            return None;
        }
        if seen[..n] != PREFACE[..n] {
            return Some(false);
        }
        if n == PREFACE.len() {
            return Some(true);
        }
        // Peeking again answers at once with the same, so wait for more of the preface.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn connection<S>(stream: S, h2: bool, gateway: Gateway, from: SocketAddr, ends: Ends)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = gateway.config();
    let head = Duration::from_secs(config.head_seconds);
    let header_bytes = config.header_bytes;
    let uri_bytes = config.uri_bytes;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder = if h2 {
        builder.http2_only()
    } else {
        builder.http1_only()
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        // The request line is in the same buffer. A little more than the limit on it, so that an
        // address that is too long by a little gets an answer of ours.
        .max_buf_size(usize::try_from(header_bytes).unwrap_or(usize::MAX) + 2 * uri_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.streams_per_connection)
        .max_header_list_size(header_bytes + u32::try_from(2 * uri_bytes).unwrap_or(0))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    let asked = ends.clone();
    let carried = Arc::new(Carried::default());
    let carries = Arc::clone(&carried);
    let service = service_fn(move |request: http::Request<Incoming>| {
        asked.asked.store(true, Ordering::Release);
        let (gateway, ends) = (gateway.clone(), asked.clone());
        let one = h2.then(|| carries.one());
        async move {
            let mut answer = gateway.answer(request.map(Body::new), from.ip()).await;
            if ends.leaving.is_triggered() && !h2 {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            if let Some(one) = one {
                answer = answer.map(|body| Body::new(Leaving { body, _one: one }));
            }
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let serving = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    tokio::pin!(serving);
    // Of HTTP/1.1 the listener itself bounds how long the next request may take to come.
    let idle = async {
        if h2 {
            carried.none_for(head).await;
        } else {
            std::future::pending().await
        }
    };
    let closing = async {
        tokio::select! {
            () = ends.now() => {}
            () = idle => {}
        }
    };
    let served = tokio::select! {
        served = serving.as_mut() => served,
        // A request that is on its way just then is still answered: HTTP/2 says which was the last.
        () = closing => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
