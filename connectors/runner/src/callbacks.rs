//! The listener that foreign systems call: `/callbacks/{connection}` over plain HTTP/1.1.
//!
//! What comes in is not trusted. It is bounded before it is read (calls at a time, bytes of the
//! head and of the body, seconds for all of it), the connection's connector verifies it, and what
//! it tells is stored before the answer goes out. A repeated event is recognised by its key and
//! dropped; the answer is the same, so the foreign system stops repeating it.
//!
//! | answer | when |
//! |---|---|
//! | what the connector says | the request was verified, or refused by it |
//! | 404 | there is no such connection, or nothing calls it |
//! | 405, 408, 413, 414 | not GET or POST, too slow, too long |
//! | 503 | too many calls at a time, the service stops, or the events could not be stored in time |
//!
//! Platforms wait a second or two for an answer and then count the call as failed (DingTalk 1.5 s).
//! So what we take ourselves is bounded ([`Bounds::answer`]): with a database that hangs, the answer
//! is 503 while it still counts, and the platform calls again later. Should the events have been
//! stored after all, they are known by their keys then.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jinke_sdk::{
    CallbackAnswer, CallbackEvent, CallbackOutcome, CallbackRequest,
    callback::{MAX_CALLBACK_EVENTS, MAX_EVENT_KEY},
};
use jinke_types::{Code, Failure};
use percent_encoding::percent_decode_str;
use tokio::{net::TcpListener, sync::Semaphore, time::Instant};

use crate::{core::Core, domain::Connection, store::events};

/// Bytes of a request's head.
const HEAD_BYTES: usize = 32 * 1024;
/// Bytes of a query.
const QUERY_BYTES: usize = 8 * 1024;
/// Pairs of a query.
const QUERY_PAIRS: usize = 100;

/// What one call may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Calls at a time.
    pub concurrent: usize,
    /// From the first byte of a call to the last of its request.
    pub read: Duration,
    /// What we take for an answer, without the time in which the request comes in.
    pub answer: Duration,
}

/// Opens the listener.
///
/// # Errors
/// `CONFIG` when the address cannot be listened at.
pub async fn bind(listen: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let wrong = |e: std::io::Error| {
        Failure::new(
            Code::FailedPrecondition,
            "CONFIG",
            format!("connector.callbacks.listen: {listen} cannot be listened at: {e}"),
        )
    };
    let listener = TcpListener::bind(listen).await.map_err(wrong)?;
    let address = listener.local_addr().map_err(wrong)?;
    Ok((listener, address))
}

/// Answers until the process stops.
pub async fn serve(core: Core, listener: TcpListener, bounds: Bounds) {
    let places = Arc::new(Semaphore::new(bounds.concurrent));
    loop {
        let Some(accepted) = core.shutdown.unless(listener.accept()).await else {
            return;
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: a pause, so that it does not spin.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let place = places.clone().try_acquire_owned();
        let core = core.clone();
        tokio::spawn(async move {
            let full = place.is_err();
            let answering = core.clone();
            let service = service_fn(move |request| {
                let core = answering.clone();
                async move {
                    let answer = if full {
                        count(&core, "busy");
                        plain(StatusCode::SERVICE_UNAVAILABLE)
                    } else {
                        answer(&core, request, bounds).await
                    };
                    Ok::<_, Infallible>(answer)
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(bounds.read)
                .max_buf_size(HEAD_BYTES)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // Twice the time to read: one for the request, one for whoever takes our answer.
            let all = tokio::time::timeout(bounds.read * 3, connection);
            let _ = core.shutdown.unless(all).await;
            drop(place);
        });
    }
}

fn count(core: &Core, outcome: &str) {
    core.numbers.callbacks.with_label_values(&[outcome]).inc();
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn sent(answer: CallbackAnswer) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = status;
    if let Ok(kind) = answer.content_type.parse() {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

async fn answer(core: &Core, request: Request<Incoming>, bounds: Bounds) -> Response<Full<Bytes>> {
    match receive(core, request, bounds).await {
        Ok((label, answer)) => {
            count(core, label);
            answer
        }
        Err(failure) => {
            count(core, "failed");
            tracing::warn!(%failure, "a callback was not answered");
            plain(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

type Answer = (&'static str, Response<Full<Bytes>>);

/// What is left of the time for an answer.
struct Left(Duration);

impl Left {
    /// Waits for some work of ours as long as there is time.
    async fn spend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let began = Instant::now();
        let done = tokio::time::timeout(self.0, work).await;
        self.0 = self.0.saturating_sub(began.elapsed());
        done.map_err(|_| {
            Failure::new(
                Code::DeadlineExceeded,
                "DEADLINE_EXCEEDED",
                "the callback could not be worked off before its caller stops waiting",
            )
        })
    }
}

async fn receive(
    core: &Core,
    request: Request<Incoming>,
    bounds: Bounds,
) -> Result<Answer, Failure> {
    let refuse = |status| Ok(("refused", plain(status)));
    let id = request.uri().path().strip_prefix("/callbacks/");
    let Some(id) = id.filter(|id| is_id(id)).map(str::to_owned) else {
        return refuse(StatusCode::NOT_FOUND);
    };
    let method = request.method().clone();
    if method != Method::GET && method != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED);
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    if query.len() > QUERY_BYTES {
        return refuse(StatusCode::URI_TOO_LONG);
    }
    // A connection that is not there costs a stranger's request one read of a row.
    let mut left = Left(bounds.answer);
    let connection = match left.spend(core.connection(&id)).await? {
        Ok(connection) => connection,
        Err(failure) if failure.code == Code::NotFound => return refuse(StatusCode::NOT_FOUND),
        Err(failure) => return Err(failure),
    };
    let Ok(connector) = core.open(&connection) else {
        return refuse(StatusCode::NOT_FOUND);
    };
    if connector.callback().is_none() {
        return refuse(StatusCode::NOT_FOUND);
    }
    let announced = request.headers().get(http::header::CONTENT_LENGTH);
    let announced = announced.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n| n > bounds.body_bytes as u64) {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let headers = request
        .headers()
        .iter()
        .filter_map(|(k, v)| Some((k.as_str().to_owned(), v.to_str().ok()?.to_owned())))
        .collect();
    let body = Limited::new(request.into_body(), bounds.body_bytes).collect();
    let body = match tokio::time::timeout(bounds.read, body).await {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        Ok(Err(_)) => return refuse(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT),
    };
    let request = CallbackRequest {
        method: method.as_str().to_owned(),
        query: pairs(&query),
        headers,
        body,
        time: core.clock.now(),
    };
    // Decrypting is not free: it may not hold up the threads that serve others. A connector that
    // panics on a hostile body fails this call and nothing else.
    let judged = tokio::task::spawn_blocking(move || {
        connector
            .callback()
            .map(|callback| callback.receive(&request))
    });
    let Ok(Some(outcome)) = left.spend(judged).await? else {
        return Err(Failure::internal("a connector stopped at a callback"));
    };
    match outcome {
        CallbackOutcome::Refused { answer, reason } => {
            tracing::info!(connection = id, reason, "a callback was refused");
            Ok(("refused", sent(answer)))
        }
        CallbackOutcome::Verified { answer, events } => {
            left.spend(store(core, &connection, events)).await??;
            Ok(("taken", sent(answer)))
        }
    }
}

/// Stores events that are new, before they are answered.
pub(crate) async fn store(
    core: &Core,
    connection: &Connection,
    list: Vec<CallbackEvent>,
) -> Result<(), Failure> {
    if list.is_empty() {
        return Ok(());
    }
    if list.len() > MAX_CALLBACK_EVENTS
        || list
            .iter()
            .any(|e| e.key.is_empty() || e.key.len() > MAX_EVENT_KEY)
    {
        return Err(Failure::internal("a connector told events out of bounds"));
    }
    let sealer = core.sealer(connection)?;
    let now = core.clock.now();
    core.db
        .write(async |mut tx| {
            for event in &list {
                let number = events::number(&mut tx, &connection.id).await?;
                let sealed = sealer.seal_event(number, event)?;
                let (id, key, topic) = (&connection.id, &event.key, &event.topic);
                events::insert(&mut tx, id, number, key, topic, sealed, now).await?;
            }
            Ok(())
        })
        .await?;
    core.wake();
    Ok(())
}

fn is_id(id: &str) -> bool {
    id.len() <= 63
        && id.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The pairs of a query, decoded as HTML forms are.
fn pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .take(QUERY_PAIRS)
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_in_its_order() {
        let told = pairs("msg_signature=a%2Bb&timestamp=1&echostr=x+y&&flag");
        let told: Vec<_> = told.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            told,
            [
                ("msg_signature", "a+b"),
                ("timestamp", "1"),
                ("echostr", "x y"),
                ("flag", "")
            ]
        );
        assert_eq!(pairs(&"a=1&".repeat(1_000)).len(), QUERY_PAIRS);
        assert!(is_id("wecom-1") && !is_id("WeCom") && !is_id("../x") && !is_id(""));
    }
}
