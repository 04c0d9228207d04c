//! What one caller, connection or message may take, so that no one of them starves the others.
//!
//! | limit | default | what happens beyond it |
//! |---|---|---|
//! | bytes of a request message | 16 MiB | `RESOURCE_EXHAUSTED`, `MESSAGE_TOO_LARGE`, before it is read |
//! | unary calls at a time, per service | 256 | `RESOURCE_EXHAUSTED`, `OVERLOADED`, at once |
//! | streams at a time, per service | 1,000 | `RESOURCE_EXHAUSTED`, `TOO_MANY_STREAMS` |
//! | streams at a time, per caller | 32 | `RESOURCE_EXHAUSTED`, `TOO_MANY_STREAMS` |
//! | connections | 1,000 | wait to be accepted |
//! | streams per connection | 200 | the client waits (HTTP/2) |
//! | bytes of headers | 32 KiB | refused by HTTP/2 |
//! | time to begin speaking HTTP/2 | 10 s | closed |
//! | silence without answer to a ping | 30 s + 10 s | closed |
//! | duration of a unary call | 120 s | `DEADLINE_EXCEEDED` |

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use jinke_types::{Code, Failure};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};

use crate::status::status;

/// The section `limits`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one request message.
    pub request_bytes: usize,
    /// Unary calls answered at a time by one service.
    pub concurrent_calls: usize,
    /// Streams open at a time in one service.
    pub streams: usize,
    /// Streams of one caller open at a time in one service.
    pub streams_per_caller: usize,
    /// Connections open at a time.
    pub connections: usize,
    /// HTTP/2 streams on one connection.
    pub streams_per_connection: u32,
    /// Bytes of the headers of one request.
    pub header_bytes: u32,
    /// Seconds a connection has to begin speaking HTTP/2.
    pub handshake_seconds: u64,
    /// Seconds of silence before a ping.
    pub keepalive_seconds: u64,
    /// Seconds a ping may stay unanswered.
    pub keepalive_timeout_seconds: u64,
    /// Longest duration of a unary call in seconds.
    pub max_deadline_seconds: u64,
}

impl Limits {
    /// The longest duration of a unary call.
    pub fn max_deadline(&self) -> Duration {
        Duration::from_secs(self.max_deadline_seconds)
    }

    /// Refuses settings that would let nothing through.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |key: &str, why: &str| {
            Err(Failure::new(
                Code::InvalidArgument,
                "CONFIG",
                format!("limits.{key} {why}"),
            ))
        };
        if !(1024..=1 << 30).contains(&self.request_bytes) {
            return wrong("request_bytes", "must be from 1024 to 1073741824");
        }
        // More permits than this and the semaphore refuses to be made.
        let counts = [
            ("concurrent_calls", self.concurrent_calls),
            ("streams", self.streams),
            ("streams_per_caller", self.streams_per_caller),
            ("connections", self.connections),
        ];
        for (key, n) in counts {
            if !(1..=1_000_000).contains(&n) {
                return wrong(key, "must be from 1 to 1000000");
            }
        }
        if !(4096..=1 << 20).contains(&self.header_bytes) {
            return wrong("header_bytes", "must be from 4096 to 1048576");
        }
        if self.streams_per_connection == 0 {
            return wrong("streams_per_connection", "must be at least 1");
        }
        if self.max_deadline_seconds == 0 || self.keepalive_seconds == 0 {
            return wrong(
                "max_deadline_seconds and limits.keepalive_seconds",
                "must be at least 1",
            );
        }
        Ok(())
    }
}

/// How many streams each caller has open.
type Open = Arc<Mutex<HashMap<String, usize>>>;

/// Counts what one service is doing now.
#[derive(Debug)]
pub(crate) struct Gate {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    per_caller: Open,
    streams_per_caller: usize,
}

/// A place in a [`Gate`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    caller: Option<(String, Open)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((caller, open)) = self.caller.take() {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(n) = open.get_mut(&caller) {
                *n -= 1;
                if *n == 0 {
                    open.remove(&caller);
                }
            }
        }
    }
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            calls: Arc::new(Semaphore::new(limits.concurrent_calls)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            per_caller: Arc::default(),
            streams_per_caller: limits.streams_per_caller,
        }
    }

    /// Takes a place for a call, without waiting.
    pub(crate) fn enter(&self, stream: bool) -> Result<Place, Failure> {
        let (semaphore, reason, message) = if stream {
            (
                &self.streams,
                "TOO_MANY_STREAMS",
                "too many streams are open in this service",
            )
        } else {
            (
                &self.calls,
                "OVERLOADED",
                "the service is answering as many calls as it can",
            )
        };
        match Arc::clone(semaphore).try_acquire_owned() {
            Ok(permit) => Ok(Place {
                _permit: permit,
                caller: None,
            }),
            Err(_) => Err(Failure::new(Code::ResourceExhausted, reason, message)
                .with("retry", "after a pause with jitter")),
        }
    }

    /// Counts a stream for its caller once he is known.
    pub(crate) fn count(&self, place: &mut Place, caller: &str) -> Result<(), Failure> {
        let mut open = self
            .per_caller
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let n = open.entry(caller.to_owned()).or_insert(0);
        if *n >= self.streams_per_caller {
            return Err(Failure::new(
                Code::ResourceExhausted,
                "TOO_MANY_STREAMS",
                "the caller has too many streams open in this service",
            ));
        }
        *n += 1;
        place.caller = Some((caller.to_owned(), Arc::clone(&self.per_caller)));
        Ok(())
    }
}

/// A request body that ends with an error as soon as the head of a message announces more bytes
/// than allowed. (A gRPC message is a byte of flags, four of length, then the message.)
pub(crate) struct LimitedBody {
    inner: Body,
    max: usize,
    head: [u8; 5],
    head_len: usize,
    left: usize,
}

impl LimitedBody {
    pub(crate) fn wrap(inner: Body, max: usize) -> Body {
        Body::new(Self {
            inner,
            max,
            head: [0; 5],
            head_len: 0,
            left: 0,
        })
    }

    fn look(&mut self, mut data: &[u8]) -> Result<(), Failure> {
        while !data.is_empty() {
            if self.left > 0 {
                let n = self.left.min(data.len());
                self.left -= n;
                data = &data[n..];
                continue;
            }
            let n = (self.head.len() - self.head_len).min(data.len());
            self.head[self.head_len..self.head_len + n].copy_from_slice(&data[..n]);
            self.head_len += n;
            data = &data[n..];
            if self.head_len == self.head.len() {
                self.head_len = 0;
                let [_, a, b, c, d] = self.head;
                self.left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                if self.left > self.max {
                    return Err(Failure::new(
                        Code::ResourceExhausted,
                        "MESSAGE_TOO_LARGE",
                        format!("a request message may have up to {} bytes", self.max),
                    )
                    .with("max_bytes", self.max));
                }
            }
        }
        Ok(())
    }
}

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(failure) = self.look(data)
        {
            return Poll::Ready(Some(Err(status(failure))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}
