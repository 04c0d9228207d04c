//! Bodies on their way in and out.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::Frame;
use jinke_types::{AuditIntent, Failure};
use tonic::{Status, body::Body};

use super::Subject;
use crate::status::status;

/// Bytes of a request that are looked at for names.
const MAX_TAKEN: usize = 64 << 10;

/// Notes the begin of a request.
#[derive(Clone, Default)]
pub(crate) struct Tap(Arc<Mutex<Vec<u8>>>);

impl Tap {
    pub(super) fn on(&self, inner: Body) -> Body {
        Body::new(TappedBody {
            inner,
            tap: self.clone(),
        })
    }

    /// What was noted.
    pub(super) fn taken(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, data: &[u8]) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_TAKEN.saturating_sub(taken.len());
        taken.extend_from_slice(&data[..data.len().min(room)]);
    }
}

struct TappedBody {
    inner: Body,
    tap: Tap,
}

impl http_body::Body for TappedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.tap.note(data);
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

/// A frame that waits for its event to be durable.
struct Waiting {
    frame: Option<Frame<Bytes>>,
    recorded: BoxFuture<'static, Result<(), Failure>>,
}

/// An answer of which nothing leaves before what must be recorded of it is durable.
pub(crate) struct HeldBody {
    inner: Body,
    subject: Arc<Subject>,
    waiting: Option<Waiting>,
    over: bool,
}

impl HeldBody {
    pub(crate) fn wrap(inner: Body, subject: Arc<Subject>) -> Body {
        Body::new(Self {
            inner,
            subject,
            waiting: None,
            over: false,
        })
    }

    /// What must be recorded before this frame leaves.
    fn must(&self, frame: &Frame<Bytes>) -> Option<BoxFuture<'static, Result<(), Failure>>> {
        let subject = Arc::clone(&self.subject);
        if let Some(data) = frame.data_ref() {
            let event = subject.answered(data)?;
            return Some(Box::pin(async move { subject.record_answer(event).await }));
        }
        let ended = Status::from_header_map(frame.trailers_ref()?)?;
        if ended.code() == tonic::Code::Ok {
            let event = subject.ended_well();
            if event.is_none() && !subject.intent().is_some_and(AuditIntent::is_owed) {
                return None;
            }
            return Some(Box::pin(async move { subject.record_end(event).await }));
        }
        Some(Box::pin(async move {
            subject.ended(ended.code(), &reason(&ended), true).await
        }))
    }
}

/// The reason of an error; empty when it has none.
pub(crate) fn reason(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if self.waiting.is_none() {
            let frame = match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            match self.must(&frame) {
                Some(recorded) => {
                    self.waiting = Some(Waiting {
                        frame: Some(frame),
                        recorded,
                    });
                }
                None => return Poll::Ready(Some(Ok(frame))),
            }
        }
        let Some(waiting) = &mut self.waiting else {
            return Poll::Ready(None);
        };
        let recorded = std::task::ready!(waiting.recorded.as_mut().poll(cx));
        let frame = waiting.frame.take();
        self.waiting = None;
        match recorded {
            Ok(()) => Poll::Ready(frame.map(Ok)),
            Err(failure) => {
                self.over = true;
                let mut trailers = HeaderMap::new();
                Poll::Ready(Some(match status(failure).add_header(&mut trailers) {
                    Ok(()) => Ok(Frame::trailers(trailers)),
                    Err(status) => Err(status),
                }))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over || (self.waiting.is_none() && self.inner.is_end_stream())
    }
}
