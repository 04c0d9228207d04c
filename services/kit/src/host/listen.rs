//! Connections as they come in: counted, limited, and closed when they do not begin to speak.

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
    time::Sleep,
};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Bytes of an HTTP/2 preface. A TLS hello is longer, so this many say that somebody talks.
const PREFACE: usize = 24;

/// The connections of a listener, at most `limit` at a time.
pub(super) fn connections(
    listener: TcpListener,
    limit: usize,
    handshake: Duration,
    open: IntGauge,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(limit));
    futures::stream::unfold(
        (listener, places, open),
        move |(listener, places, open)| async move {
            // The semaphore is never closed, so a permit always comes.
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            let stream = loop {
                match listener.accept().await {
                    Ok((stream, _)) => break stream,
                    // A connection that broke at once, or no file descriptors: go on after a pause.
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            };
            let _ = stream.set_nodelay(true);
            open.inc();
            let begin = Some(Box::pin(tokio::time::sleep(handshake)));
            let connection = Connection {
                stream,
                begin,
                heard: 0,
                _place: place,
                open: open.clone(),
            };
            Some((Ok(connection), (listener, places, open)))
        },
    )
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
