//! The listener: HTTP/1.1 and HTTP/2 on one port, TLS when there is a certificate.
//!
//! A connection that does not finish its TLS handshake, or does not begin to speak HTTP, or sends
//! the headers of a request too slowly, is closed after `head_seconds`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, header};
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
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tonic::body::Body;

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
    let service = service_fn(move |request: http::Request<Incoming>| {
        asked.asked.store(true, Ordering::Release);
        let (gateway, ends) = (gateway.clone(), asked.clone());
        async move {
            let mut answer = gateway.answer(request.map(Body::new), from.ip()).await;
            if ends.leaving.is_triggered() && !h2 {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let serving = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    tokio::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = ends.now() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
