//! Reading a request body within limits of size, of time, and of what all bodies take together.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use jinke_types::{Code, Failure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;

/// Bytes that one permit of the buffer stands for.
const UNIT: usize = 1024;

/// Room for all bodies together.
#[derive(Clone)]
pub struct Buffer(Arc<Semaphore>);

/// A body that has been read, and its room.
pub struct Held {
    /// The bytes.
    pub bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Buffer {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(
            (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS),
        )))
    }

    /// Reads a body.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`, reasons `MESSAGE_TOO_LARGE` and `OVERLOADED`; `DEADLINE_EXCEEDED`,
    /// reason `BODY_TIMEOUT`; `CANCELLED` when the caller breaks off; `INVALID_ARGUMENT`, reason
    /// `CONTENT_TYPE_UNSUPPORTED`, when there are bytes that are not said to be JSON.
    pub async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        max: usize,
        within: Duration,
    ) -> Result<Held, Failure> {
        let stated = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok());
        if stated
            .and_then(|v| v.parse::<u64>().ok())
            .is_some_and(|n| n > max as u64)
        {
            return Err(too_large(max));
        }
        if http_body::Body::is_end_stream(&body) {
            return Ok(Held {
                bytes: Bytes::new(),
                _room: None,
            });
        }
        let late = || {
            let message = "the body of the request did not come in time";
            Failure::new(Code::DeadlineExceeded, "BODY_TIMEOUT", message)
        };
        let held = tokio::time::timeout(within, self.gather(body, max))
            .await
            .map_err(|_| late())??;
        if held.bytes.is_empty() || is_json(headers) {
            return Ok(held);
        }
        let message = "the body must be application/json in UTF-8, without content-encoding";
        Err(Failure::new(
            Code::InvalidArgument,
            "CONTENT_TYPE_UNSUPPORTED",
            message,
        ))
    }

    async fn gather(&self, mut body: Body, max: usize) -> Result<Held, Failure> {
        let mut bytes = BytesMut::new();
        let mut room: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let gone = |e| {
                Failure::new(
                    Code::Cancelled,
                    "CANCELLED",
                    format!("no whole body came: {e}"),
                )
            };
            let Ok(data) = frame.map_err(gone)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > max {
                return Err(too_large(max));
            }
            bytes.extend_from_slice(&data);
            let had = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let need = bytes.len().div_ceil(UNIT).saturating_sub(had);
            if need > 0 {
                let need = u32::try_from(need).unwrap_or(u32::MAX);
                let more = Arc::clone(&self.0)
                    .try_acquire_many_owned(need)
                    .map_err(|_| {
                        let message = "the gateway holds as many request bodies as it can";
                        Failure::new(Code::ResourceExhausted, "OVERLOADED", message)
                    })?;
                match &mut room {
                    Some(room) => room.merge(more),
                    None => room = Some(more),
                }
            }
        }
        Ok(Held {
            bytes: bytes.freeze(),
            _room: room,
        })
    }
}

fn too_large(max: usize) -> Failure {
    let message = format!("the body of this request may have up to {max} bytes");
    Failure::new(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message).with("max_bytes", max)
}

/// Whether the body is said to be JSON. Other types are refused: a web page may send them to
/// another origin without asking.
fn is_json(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    };
    let encoding = text(header::CONTENT_ENCODING);
    let content_type = text(header::CONTENT_TYPE).to_ascii_lowercase();
    let mut parts = content_type.split(';').map(str::trim);
    parts.next() == Some("application/json")
        && parts.all(|p| {
            p.strip_prefix("charset=")
                .is_none_or(|c| c.trim_matches('"') == "utf-8")
        })
        && (encoding.is_empty() || encoding.eq_ignore_ascii_case("identity"))
}
