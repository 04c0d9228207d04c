//! A stream of answers as server-sent events.
//!
//! Every message is one event: `id:` is its `next_page_token`, `data:` its canonical JSON. A
//! client that lost the connection sends the last id as `Last-Event-ID` (browsers do by
//! themselves) and goes on from there. A comment is sent when nothing happens. A stream that ends
//! with an error ends with `event: error` and `google.rpc.Status` as data; one that has lasted for
//! `gateway.stream_seconds` just ends, and is gone on with. When the client goes away the call
//! behind the stream is dropped.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use http_body::Frame;
use jinke_kit::Shutdown;
use jinke_types::Failure;
use prometheus::IntGauge;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::{error, json};

/// What a stream is made of.
pub struct Events {
    /// The messages.
    pub answer: Streaming<Bytes>,
    /// What they are.
    pub output: MessageDescriptor,
    /// For errors.
    pub pool: DescriptorPool,
    /// Silence before a comment.
    pub heartbeat: Duration,
    /// When it has lasted long enough; never when absent.
    pub until: Option<Instant>,
    /// When the process goes down.
    pub draining: Shutdown,
    /// Counts open streams.
    pub open: Open,
}

/// A place in the count of open streams.
pub struct Open(IntGauge);

impl Open {
    /// Counts one more until dropped.
    pub fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

struct State {
    events: Events,
    ready: VecDeque<Bytes>,
    over: bool,
}

/// The events as frames of a body.
pub fn body(events: Events) -> impl Stream<Item = Result<Frame<Bytes>, Status>> + Send {
    // How long a browser waits before it comes back.
    let ready = VecDeque::from([Bytes::from_static(b"retry: 2000\n\n")]);
    stream::unfold(
        State {
            events,
            ready,
            over: false,
        },
        |mut state| async {
            let bytes = match state.ready.pop_front() {
                Some(bytes) => bytes,
                None if state.over => return None,
                None => state.next().await?,
            };
            Some((Ok(Frame::data(bytes)), state))
        },
    )
}

impl State {
    async fn next(&mut self) -> Option<Bytes> {
        let events = &mut self.events;
        let next = tokio::select! {
            biased;
            () = events.draining.wait() => Err(error::draining()),
            () = reached(events.until) => return None,
            next = events.answer.message() => next,
            () = tokio::time::sleep(events.heartbeat) => {
                return Some(Bytes::from_static(b": nothing new\n\n"));
            }
        };
        let event = match next {
            Ok(None) => return None,
            Ok(Some(message)) => event(&events.output, &message),
            Err(status) => Err(status),
        };
        Some(event.unwrap_or_else(|status| {
            self.over = true;
            let body = error::answer(&status, &self.events.pool).body;
            let text = String::from_utf8_lossy(&body);
            Bytes::from(format!("event: error\ndata: {text}\n\n"))
        }))
    }
}

/// Waits for a moment; for ever when there is none.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn event(output: &MessageDescriptor, message: &Bytes) -> Result<Bytes, Status> {
    let unreadable = |e| error::status(Failure::internal(format!("a message of a stream: {e}")));
    let message = DynamicMessage::decode(output.clone(), message.clone()).map_err(unreadable)?;
    // JSON on one line: the text within is escaped.
    let data = json::text(&message).map_err(error::status)?;
    let token = message.get_field_by_name("next_page_token");
    let token = token.as_deref().and_then(Value::as_str).unwrap_or_default();
    let mut out = Vec::with_capacity(data.len() + token.len() + 16);
    // A token that would break the line is not one of ours; such an event cannot be resumed from.
    if !token.is_empty() && !token.contains(['\r', '\n', '\0']) {
        out.extend_from_slice(format!("id: {token}\n").as_bytes());
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\n\n");
    Ok(Bytes::from(out))
}
