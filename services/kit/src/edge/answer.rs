//! An answer on its way: counted, logged, ended in time.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Response};
use http_body::Frame;
use jinke_types::{Code as FailureCode, Failure};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tracing::Span;

use crate::{
    Access, Metrics, Shutdown,
    deadline::{self, Call},
    limits::Place,
    status::status,
    token::Claims,
};

/// What is noted about one call. Dropped without being closed, the caller went away.
pub(super) struct Account {
    metrics: Metrics,
    service: &'static str,
    method: String,
    received: Instant,
    closed: bool,
    place: Option<Place>,
    /// Only the answer is a stream: it watches, and is cut when the process drains.
    pub(super) watches: bool,
    pub(super) stream: bool,
    pub(super) caller: String,
    /// What a stream was let in by: it ends when that holds no more.
    pub(super) proof: Option<(Access, Arc<Claims>)>,
    pub(super) span: Span,
}

impl Account {
    pub(super) fn open(
        metrics: &Metrics,
        service: &'static str,
        method: &str,
        span: Span,
        received: Instant,
    ) -> Self {
        metrics
            .in_flight
            .with_label_values(&[service, method])
            .inc();
        Self {
            metrics: metrics.clone(),
            service,
            method: method.to_owned(),
            received,
            closed: false,
            place: None,
            watches: false,
            stream: false,
            caller: String::new(),
            proof: None,
            span,
        }
    }

    pub(super) fn enter(&mut self, place: Place, watches: bool) {
        if self.stream {
            self.metrics
                .streams
                .with_label_values(&[self.service])
                .inc();
        }
        self.place = Some(place);
        self.watches = watches;
    }

    /// The call is over with this code.
    pub(super) fn close(mut self, code: Code) {
        self.note(code);
    }

    fn note(&mut self, code: Code) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let labels = [self.service, self.method.as_str()];
        let took = self.received.elapsed();
        self.metrics.in_flight.with_label_values(&labels).dec();
        self.metrics
            .seconds
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
        let code_name = name(code);
        self.metrics
            .requests
            .with_label_values(&[labels[0], labels[1], code_name])
            .inc();
        if self.place.take().is_some() && self.stream {
            self.metrics
                .streams
                .with_label_values(&[self.service])
                .dec();
        }
        self.span.record("rpc.grpc.status_code", code as i32);
        let _within = self.span.enter();
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match code {
            Code::Internal | Code::Unknown | Code::DataLoss | Code::Unavailable => tracing::warn!(
                method = self.method,
                code = code_name,
                milliseconds,
                caller = self.caller,
                "call"
            ),
            // Services ask each other for news all day; that it went well is no news.
            Code::Ok if self.caller.starts_with("serviceAccounts/service-") => tracing::debug!(
                method = self.method,
                code = code_name,
                milliseconds,
                caller = self.caller,
                "call"
            ),
            _ => tracing::info!(
                method = self.method,
                code = code_name,
                milliseconds,
                caller = self.caller,
                "call"
            ),
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.note(Code::Cancelled);
    }
}

/// The name of a code as metrics and logs have it.
pub(crate) const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// An answer's body that closes its account, and ends when its deadline passes; if it is a stream,
/// when its caller's token expires, his session is revoked or he is disabled; if it only watches,
/// when the process drains.
pub(super) struct WatchedBody {
    inner: Body,
    account: Option<Account>,
    call: Arc<Call>,
    /// Completes with why the body must end early.
    end: Option<BoxFuture<'static, Failure>>,
}

impl WatchedBody {
    pub(super) fn wrap(
        response: Response<Body>,
        mut account: Account,
        call: Arc<Call>,
        draining: Shutdown,
    ) -> Response<Body> {
        // An answer without a body holds its code in the headers.
        if let Some(code) = code(response.headers()) {
            account.close(code);
            return response;
        }
        let watches = account.watches;
        let proof = account.proof.take();
        let end: Option<BoxFuture<'static, Failure>> = match (call.deadline, watches, proof) {
            (None, false, None) => None,
            (deadline, watches, proof) => Some(Box::pin(async move {
                tokio::select! {
                    () = until(deadline) => deadline::exceeded(),
                    lapsed = lapsed(proof) => lapsed,
                    () = drained(draining, watches) => Failure::new(
                        FailureCode::Unavailable,
                        "DRAINING",
                        "the service is going down; open the stream again",
                    ),
                }
            })),
        };
        response.map(|inner| {
            Body::new(Self {
                inner,
                account: Some(account),
                call,
                end,
            })
        })
    }

    fn close(&mut self, code: Code) {
        if let Some(account) = self.account.take() {
            account.close(code);
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn lapsed(proof: Option<(Access, Arc<Claims>)>) -> Failure {
    match proof {
        Some((access, claims)) => access.lapsed(&claims).await,
        None => std::future::pending().await,
    }
}

async fn drained(draining: Shutdown, watches: bool) {
    if watches {
        draining.wait().await
    } else {
        std::future::pending().await
    }
}

pub(super) fn code(headers: &HeaderMap) -> Option<Code> {
    headers
        .get("grpc-status")
        .map(|v| Code::from_bytes(v.as_bytes()))
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.account.is_none() {
            return Poll::Ready(None);
        }
        let span = self.account.as_ref().map(|a| a.span.clone());
        let _within = span.as_ref().map(Span::enter);
        // The end comes first: a stream that always has something to say must end too.
        if let Some(Poll::Ready(failure)) = self.end.as_mut().map(|end| end.as_mut().poll(cx)) {
            let last = self.call.enter(|| status(failure));
            self.close(last.code());
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(match last.add_header(&mut trailers) {
                Ok(()) => Ok(Frame::trailers(trailers)),
                Err(status) => Err(status),
            }));
        }
        let call = Arc::clone(&self.call);
        let frame = std::task::ready!(call.enter(|| Pin::new(&mut self.inner).poll_frame(cx)));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.close(code(trailers).unwrap_or(Code::Unknown));
                }
            }
            Some(Err(status)) => self.close(status.code()),
            None => self.close(Code::Unknown),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.account.is_none()
    }
}
