//! Connections as they come in: counted, limited, with TLS where it is spoken, and closed when
//! they do not begin to speak.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::Stream;
use prometheus::IntGauge;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::Sleep,
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::tls::ServerCertificates;

/// Bytes of an HTTP/2 preface. A TLS hello is longer, so this many say that somebody talks.
const PREFACE: usize = 24;

/// The connections of a listener, at most `limit` at a time. With certificates each makes its TLS
/// first, within `handshake`, and holds up nobody else by it.
pub(super) fn connections(
    listener: TcpListener,
    limit: usize,
    handshake: Duration,
    open: IntGauge,
    tls: Option<ServerCertificates>,
) -> impl Stream<Item = io::Result<Wire>> {
    let door = Door {
        listener,
        places: Arc::new(Semaphore::new(limit)),
        handshake,
        open,
    };
    futures::stream::unfold(
        (door, tls, JoinSet::new()),
        |(door, tls, mut shaking)| async move {
            let wire = loop {
                tokio::select! {
                    connection = door.next() => match &tls {
                        None => break Wire::Plain(connection?),
                        Some(tls) => {
                            shaking.spawn(shake(tls.acceptor(), connection?, door.handshake));
                        }
                    },
                    Some(shaken) = shaking.join_next(), if !shaking.is_empty() => {
                        if let Ok(Some(wire)) = shaken {
                            break wire;
                        }
                    }
                }
            };
            Some((Ok(wire), (door, tls, shaking)))
        },
    )
}

/// Makes TLS, or gives the connection up.
async fn shake(
    acceptor: tokio_rustls::TlsAcceptor,
    connection: Connection,
    patience: Duration,
) -> Option<Wire> {
    match tokio::time::timeout(patience, acceptor.accept(connection)).await {
        Ok(Ok(stream)) => Some(Wire::Tls(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a client and this server could not agree on TLS");
            None
        }
        Err(_) => None,
    }
}

/// Where connections come in.
struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    handshake: Duration,
    open: IntGauge,
}

impl Door {
    /// The next connection. Dropped while it waits, it takes none away.
    async fn next(&self) -> Option<Connection> {
        // The semaphore is never closed, so a permit always comes.
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let stream = loop {
            match self.listener.accept().await {
                Ok((stream, _)) => break stream,
                // A connection that broke at once, or no file descriptors: go on after a pause.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        };
        let _ = stream.set_nodelay(true);
        self.open.inc();
        Some(Connection {
            stream,
            begin: Some(Box::pin(tokio::time::sleep(self.handshake))),
            heard: 0,
            _place: place,
            open: self.open.clone(),
        })
    }
}

/// What a call comes over.
pub(super) enum Wire {
    /// In the clear.
    Plain(Connection),
    /// Under TLS.
    Tls(Box<TlsStream<Connection>>),
}

impl Connected for Wire {
    type ConnectInfo = TcpConnectInfo;
    fn connect_info(&self) -> TcpConnectInfo {
        match self {
            Self::Plain(plain) => plain.connect_info(),
            Self::Tls(tls) => tls.get_ref().0.connect_info(),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(plain) => Pin::new(plain).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(plain) => Pin::new(plain).poll_write(cx, data),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, data),
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(plain) => Pin::new(plain).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(plain) => Pin::new(plain).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(plain) => Pin::new(plain).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }
    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }
}

/// A client's connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// Until the client has said enough.
    begin: Option<Pin<Box<Sleep>>>,
    heard: usize,
    _place: OwnedSemaphorePermit,
    open: IntGauge,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;
    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(outcome) => {
                self.heard = self.heard.saturating_add(buf.filled().len() - before);
                if self.heard >= PREFACE {
                    self.begin = None;
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => {
                if let Some(begin) = self.begin.as_mut() {
                    ready!(begin.as_mut().poll(cx));
                    let why = "the client did not begin to speak";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
                }
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
