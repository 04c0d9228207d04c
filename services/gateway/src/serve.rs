//! The listener: HTTP/1.1 and HTTP/2 on one port, TLS when there is a certificate.
//!
//! A connection that does not finish its TLS handshake, or does not begin to speak HTTP, or sends
//! the headers of a request too slowly, is closed after `head_seconds`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderValue, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use jinke_kit::Shutdown;
use jinke_types::{Code, Failure};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;

use crate::{config::Tls, edge::Gateway};

/// How HTTP/2 begins when nothing else says that it will be spoken.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

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
/// request they carry, so that none is cut between two. Ends when `shutdown` is triggered and
/// requests in flight are answered.
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
    let tls = acceptor(&gateway.config().tls)?;
    tracing::info!(%addr, tls = tls.is_some(), "serving HTTP");
    let task = tokio::spawn(accept(listener, tls, gateway, leaving, shutdown));
    Ok(Serving { addr, task })
}

fn acceptor(tls: &Tls) -> Result<Option<TlsAcceptor>, Failure> {
    if tls.cert_file.as_os_str().is_empty() {
        return Ok(None);
    }
    let wrong = |key: &str, path: &std::path::Path, e: &dyn std::fmt::Display| {
        let message = format!("gateway.tls.{key}: {}: {e}", path.display());
        Failure::new(Code::InvalidArgument, "CONFIG", message)
    };
    let certs = CertificateDer::pem_file_iter(&tls.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong("cert_file", &tls.cert_file, &e))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key_file)
        .map_err(|e| wrong("key_file", &tls.key_file, &e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Failure::internal)?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(|e| wrong("cert_file", &tls.cert_file, &e))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    gateway: Gateway,
    leaving: Shutdown,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let places = Arc::new(Semaphore::new(gateway.config().connections));
    let open = GracefulShutdown::new();
    loop {
        let next = async {
            // Permits of a semaphore that is never closed always come.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let Some((accepted, place)) = shutdown.unless(next).await else {
            break;
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
        let (tls, gateway, watcher) = (tls.clone(), gateway.clone(), open.watcher());
        let leaving = leaving.child();
        tokio::spawn(async move {
            let _place = place;
            let patience = Duration::from_secs(gateway.config().head_seconds);
            match tls {
                None => {
                    if let Ok(Some(h2)) = tokio::time::timeout(patience, begins(&stream)).await {
                        connection(stream, h2, gateway, from, leaving, watcher).await;
                    }
                }
                Some(tls) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(patience, tls.accept(stream)).await
                    {
                        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        connection(stream, h2, gateway, from, leaving, watcher).await;
                    }
                }
            }
        });
    }
    drop(listener);
    let grace = Duration::from_secs(gateway.config().grace_seconds);
    tokio::time::timeout(grace, open.shutdown())
        .await
        .map_err(|_| {
            Failure::new(
                Code::DeadlineExceeded,
                "DRAIN_CUT",
                "requests in flight had to be cut",
            )
        })
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

async fn connection<S>(
    stream: S,
    h2: bool,
    gateway: Gateway,
    from: SocketAddr,
    leaving: Shutdown,
    watcher: hyper_util::server::graceful::Watcher,
) where
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
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (gateway, leaving) = (gateway.clone(), leaving.clone());
        async move {
            let mut answer = gateway.answer(request.map(Body::new), from.ip()).await;
            if leaving.is_triggered() && !h2 {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let serving = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    if let Err(error) = watcher.watch(serving).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
