//! One call of a service: a raw gRPC message out, raw messages back.
//!
//! The call is opened before the request is read. A service decides by the head who may call, so
//! a caller it refuses learns that and nothing about his request, and his body is not gathered
//! first. When the request then turns out to be unusable, the service must not run: it is told of
//! a message larger than any it takes, which it refuses unread, after it has refused the caller
//! if that was to be.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body::Frame;
use http_body_util::StreamBody;
use jinke_kit::{Peers, audit, deadline, status};
use jinke_types::{Code, Failure};
use tokio::sync::oneshot;
use tonic::{
    Status, Streaming,
    body::Body,
    codec::{DecodeBuf, Decoder},
};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

/// Bytes of one answer that are taken from a service.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Headers that go on to a service. Nothing else does, above all not the token of a service.
pub const FORWARDED: [HeaderName; 5] = [
    header::AUTHORIZATION,
    HeaderName::from_static(deadline::REQUEST_ID),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static(audit::PURPOSE),
];

/// What carries a call to a service.
pub type Wire = BoxCloneSyncService<Request<Body>, Response<Body>, Status>;

/// Where the services are, by area.
#[derive(Clone, Default)]
pub struct Backends {
    areas: Arc<BTreeMap<String, Wire>>,
    others: Option<Wire>,
}

impl Backends {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// The peers of a process, each the area of its name, called without a credential of the
    /// gateway's own.
    pub fn peers(peers: &Peers) -> Self {
        peers.names().fold(Self::new(), |backends, name| {
            backends.area(name, peers.plain(name))
        })
    }

    /// All areas behind one service, e.g. `running.local(None)`. It must pass on the
    /// `authorization` header it is given.
    pub fn everywhere<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S::Future: Send + 'static,
    {
        Self {
            areas: Arc::default(),
            others: Some(wire(service)),
        }
    }

    /// Adds the service of an area, `customer`, e.g.
    /// `client::connect(url, Credential::None, tls, clock)`.
    #[must_use]
    pub fn area<S>(mut self, name: &str, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S::Future: Send + 'static,
    {
        Arc::make_mut(&mut self.areas).insert(name.to_owned(), wire(service));
        self
    }

    /// What carries calls to an area.
    ///
    /// # Errors
    /// `UNAVAILABLE`, reason `PEER_UNKNOWN`.
    pub fn get(&self, area: &str) -> Result<Wire, Failure> {
        let found = self.areas.get(area).or(self.others.as_ref()).cloned();
        found.ok_or_else(|| {
            let message = format!("the gateway knows no address of the service {area}");
            Failure::new(Code::Unavailable, "PEER_UNKNOWN", message).with("peer", area)
        })
    }
}

fn wire<S>(service: S) -> Wire
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service.map_err(|e| Status::from_error(e.into())))
}

/// The headers of a call on behalf of a request.
pub fn headers(
    incoming: &HeaderMap,
    request_id: &HeaderValue,
    timeout: Option<Duration>,
) -> HeaderMap {
    let mut out = HeaderMap::new();
    for name in &FORWARDED {
        // Every value: a service refuses two tokens, and must see both to do so.
        for value in incoming.get_all(name) {
            out.append(name, value.clone());
        }
    }
    out.insert(deadline::REQUEST_ID, request_id.clone());
    out.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    out.insert(header::TE, HeaderValue::from_static("trailers"));
    if let Some(timeout) = timeout {
        out.insert(deadline::GRPC_TIMEOUT, deadline::timeout_value(timeout));
    }
    out
}

/// An opened call.
pub struct Opened {
    /// The service accepted the caller's token.
    pub admitted: bool,
    /// The answers, or why there are none.
    pub answer: Result<Streaming<Bytes>, Status>,
}

/// Calls `rpc` and sends the message once it is known.
pub async fn open(
    wire: Wire,
    rpc: &str,
    headers: HeaderMap,
    message: impl Future<Output = Result<Bytes, Failure>>,
) -> Opened {
    let (sender, receiver) = oneshot::channel::<Bytes>();
    let frames = stream::once(receiver);
    let frames = futures::StreamExt::filter_map(frames, |bytes| async {
        // The sender is only dropped together with the call.
        bytes.ok().map(|b| Ok::<_, Status>(Frame::data(b)))
    });
    let mut request = Request::new(Body::new(StreamBody::new(Box::pin(frames))));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = match rpc.parse() {
        Ok(uri) => uri,
        Err(_) => return refused(status(Failure::internal("an RPC has no path"))),
    };
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = headers;
    let mut response = pin!(wire.oneshot(request));
    let mut message = pin!(message);
    let unusable = tokio::select! {
        biased;
        response = &mut response => return head(response),
        message = &mut message => {
            let (bytes, unusable) = match message {
                Ok(bytes) => (frame(&bytes), None),
                Err(failure) => (Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]), Some(failure)),
            };
            // A receiver that is gone has answered already.
            let _ = sender.send(bytes);
            unusable
        }
    };
    let opened = head(response.await);
    let Some(failure) = unusable else {
        return opened;
    };
    match opened.answer {
        Err(s)
            if matches!(
                s.code(),
                tonic::Code::Unauthenticated | tonic::Code::PermissionDenied
            ) =>
        {
            Opened {
                admitted: opened.admitted,
                answer: Err(s),
            }
        }
        _ => refused(status(failure)),
    }
}

fn refused(status: Status) -> Opened {
    Opened {
        admitted: false,
        answer: Err(status),
    }
}

fn head(response: Result<Response<Body>, Status>) -> Opened {
    let response = match response {
        Ok(response) => response,
        Err(status) => return refused(status),
    };
    let (parts, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&parts.headers)
        && status.code() != tonic::Code::Ok
    {
        use tonic::Code as C;
        // These come from behind authentication.
        let admitted = matches!(
            status.code(),
            C::PermissionDenied
                | C::NotFound
                | C::AlreadyExists
                | C::FailedPrecondition
                | C::Aborted
        );
        return Opened {
            admitted,
            answer: Err(status),
        };
    }
    let answer = Streaming::new_response(Raw, body, parts.status, None, Some(MAX_ANSWER_BYTES));
    Opened {
        admitted: parts.status.is_success(),
        answer: Ok(answer),
    }
}

/// The one message of a unary answer.
///
/// # Errors
/// The status of the call; `INTERNAL` when there is not exactly one message.
pub async fn only(mut answer: Streaming<Bytes>) -> Result<Bytes, Status> {
    let one = answer.message().await?;
    let one = one.ok_or_else(|| status(Failure::internal("a service answered nothing")))?;
    // The status stands behind the message.
    match answer.message().await? {
        None => Ok(one),
        Some(_) => Err(status(Failure::internal("a service answered twice"))),
    }
}

fn frame(message: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + 5);
    out.put_u8(0);
    // The largest body is 1 GiB, so the length of a message fits.
    out.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    out.put_slice(message);
    out.freeze()
}

/// Leaves messages as they are.
struct Raw;

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        use bytes::Buf;
        let n = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(n)))
    }
}
