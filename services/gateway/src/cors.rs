//! Web pages of other origins: none, unless the configuration lists them.
//!
//! Callers prove themselves with a header, never with cookies, so credentials are not allowed.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tonic::body::Body;

const ALLOW_HEADERS: &str = "authorization, content-type, x-request-id, traceparent, tracestate, \
                             last-event-id, x-jinke-purpose, x-grpc-web, x-user-agent, \
                             grpc-timeout";
const EXPOSE_HEADERS: &str =
    "x-request-id, retry-after, grpc-status, grpc-message, grpc-status-details-bin";

/// The origins whose pages may call.
#[derive(Clone, Debug, Default)]
pub struct Cors(BTreeSet<String>);

impl Cors {
    /// These origins.
    pub fn new(origins: &[String]) -> Self {
        Self(
            origins
                .iter()
                .map(|o| o.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
        )
    }

    fn origin<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.0
            .contains(&origin.to_str().ok()?.to_ascii_lowercase())
            .then_some(origin)
    }

    /// The answer to a browser that asks beforehand; `None` when it is no such question or the
    /// origin may not call.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
        let asks = *method == Method::OPTIONS
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.origin(headers).is_none() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let out = response.headers_mut();
        let fixed = |text| HeaderValue::from_static(text);
        out.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            fixed("GET, POST, PUT, PATCH, DELETE"),
        );
        out.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fixed(ALLOW_HEADERS));
        out.insert(header::ACCESS_CONTROL_MAX_AGE, fixed("600"));
        Some(response)
    }

    /// Lets the page read an answer when its origin may call.
    pub fn allow(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        // A cache must not give one origin the answer for another.
        response.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = self.origin(request) {
            response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            response.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(EXPOSE_HEADERS),
            );
        }
    }
}
