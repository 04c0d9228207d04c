//! The listener for operators: plain HTTP/1.1 without access control, on loopback by default.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | all metrics in Prometheus' text format |
//! | `/healthz` | 200 while the process lives |
//! | `/readyz` | 200 when every check holds, else 503 and what does not hold |
//!
//! At most 64 connections at a time, each with 10 seconds for the head of a request.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::{
    Metrics, Shutdown,
    health::{Report, verdict},
};

const CONNECTIONS: usize = 64;

/// Answers until `shutdown`.
pub(crate) async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    report: watch::Receiver<Option<Arc<Report>>>,
    shutdown: Shutdown,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            // Permits of a semaphore that is never closed always come.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let Some((accepted, place)) = shutdown.unless(accepted).await else {
            return;
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: a pause, so that it does not spin.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (metrics, report, shutdown) = (metrics.clone(), report.clone(), shutdown.child());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&request, &metrics, report.borrow().as_deref());
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), service);
            let _ = shutdown.unless(connection).await;
            drop(place);
        });
    }
}

fn answer(
    request: &Request<Incoming>,
    metrics: &Metrics,
    report: Option<&Report>,
) -> Response<Full<Bytes>> {
    let text = |status: StatusCode, kind: &str, body: String| {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        if let Ok(kind) = kind.parse() {
            response.headers_mut().insert(CONTENT_TYPE, kind);
        }
        response
    };
    const PLAIN: &str = "text/plain; charset=utf-8";
    if *request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET\n".into());
    }
    match request.uri().path() {
        "/metrics" => text(
            StatusCode::OK,
            "text/plain; version=0.0.4",
            metrics.render(),
        ),
        "/healthz" => text(StatusCode::OK, PLAIN, "alive\n".into()),
        "/readyz" => match verdict(report) {
            Ok(()) => text(StatusCode::OK, PLAIN, "ready\n".into()),
            Err(f) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                PLAIN,
                format!("{}\n", f.message),
            ),
        },
        _ => text(
            StatusCode::NOT_FOUND,
            PLAIN,
            "/metrics /healthz /readyz\n".into(),
        ),
    }
}
