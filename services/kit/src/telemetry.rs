//! Logs and traces.
//!
//! Logs go to standard error. A line of the kit about a call holds method, code, duration, caller
//! name and request id; never anything from a request or answer. Services keep to the same rule.
//!
//! Traces go by OTLP to `telemetry.otlp_endpoint` when it is set. The trace context of a caller
//! (W3C `traceparent`) is taken over and passed on to peers, with or without an endpoint.

use http::{HeaderMap, HeaderValue};
use jinke_types::{Code, Failure};
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use serde::Deserialize;
use tracing::{Dispatch, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, layer::SubscriberExt};

use crate::{Config, deadline::Call};

const TRACEPARENT: &str = "traceparent";

/// The section `telemetry`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Filter of log lines.
    pub level: String,
    /// How lines are written.
    pub format: Format,
    /// Where traces go; empty for nowhere.
    pub otlp_endpoint: String,
    /// Name of the process in traces; empty for `jinke`.
    pub service_name: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Keeps the exporter alive. Call [`Telemetry::flush`] before the process ends.
#[derive(Debug, Default)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sends the spans that have not been sent. Waits up to five seconds and blocks the thread;
    /// within a runtime call it from `spawn_blocking`.
    pub fn flush(self) {
        if let Some(provider) = self.provider
            && let Err(error) = provider.shutdown_with_timeout(std::time::Duration::from_secs(5))
        {
            tracing::warn!(%error, "traces could not all be sent");
        }
    }
}

/// Makes logging and tracing of the section `telemetry` the process's own. Call it once, within a
/// tokio runtime.
///
/// # Errors
/// `INVALID_ARGUMENT`, reason `CONFIG`; `FAILED_PRECONDITION`, reason `TELEMETRY`, when the process
/// has logging already.
pub fn init(config: &Config) -> Result<Telemetry, Failure> {
    let (dispatch, telemetry) = build(&config.section("telemetry")?)?;
    tracing::dispatcher::set_global_default(dispatch)
        .map_err(|e| Failure::new(Code::FailedPrecondition, "TELEMETRY", e.to_string()))?;
    Ok(telemetry)
}

/// What [`init`] installs.
///
/// # Errors
/// `INVALID_ARGUMENT`, reason `CONFIG`, for a level or endpoint that cannot be read.
pub fn build(config: &TelemetryConfig) -> Result<(Dispatch, Telemetry), Failure> {
    let wrong = |key: &str, e: &dyn std::fmt::Display| {
        Failure::new(
            Code::InvalidArgument,
            "CONFIG",
            format!("telemetry.{key}: {e}"),
        )
    };
    let filter = EnvFilter::builder()
        .parse(&config.level)
        .map_err(|e| wrong("level", &e))?;
    let lines = match config.format {
        Format::Text => fmt::layer()
            // Colours are for eyes; a file or a pipe gets plain text.
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_writer(std::io::stderr)
            .boxed(),
        Format::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let mut telemetry = Telemetry::default();
    let mut spans = None;
    if !config.otlp_endpoint.is_empty() {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&config.otlp_endpoint)
            .build()
            .map_err(|e| wrong("otlp_endpoint", &e))?;
        let name = Some(config.service_name.clone()).filter(|n| !n.is_empty());
        let resource = Resource::builder()
            .with_service_name(name.unwrap_or_else(|| "jinke".into()))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        // Spans of the exporter's own calls would make it export for ever.
        let own = EnvFilter::new("info,h2=off,hyper=off,tonic=off,tower=off,opentelemetry=off");
        let tracer = provider.tracer("jinke");
        spans = Some(
            tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_filter(own),
        );
        telemetry.provider = Some(provider);
    }
    let registry = Registry::default()
        .with(spans)
        .with(lines.with_filter(filter));
    Ok((Dispatch::new(registry), telemetry))
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|v| v.to_str().ok())
    }
    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::try_from(key),
            HeaderValue::try_from(value),
        ) {
            self.0.insert(name, value);
        }
    }
}

/// Makes the caller's span the parent of `span`, and returns his `traceparent`.
pub(crate) fn extract(headers: &HeaderMap, span: &Span) -> Option<HeaderValue> {
    let parent =
        TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
    if !parent.span().span_context().is_valid() {
        return None;
    }
    // Without a tracer there is no span to set a parent for; the header is passed on as it is.
    let _ = span.set_parent(parent);
    headers.get(TRACEPARENT).cloned()
}

/// Puts the present span into the headers of a call to a peer, or, without a tracer, what the
/// caller sent.
pub(crate) fn inject(headers: &mut HeaderMap) {
    let present = Span::current().context();
    if present.span().span_context().is_valid() {
        TraceContextPropagator::new().inject_context(&present, &mut HeadersMut(headers));
    } else if let Some(parent) = Call::current().and_then(|c| c.traceparent.clone()) {
        headers.insert(TRACEPARENT, parent);
    }
}

/// The trace id of the present span in 32 hex digits, for messages that help to find it.
pub fn trace_id() -> Option<String> {
    let present = Span::current().context();
    let context = present.span().span_context().clone();
    context.is_valid().then(|| context.trace_id().to_string())
}
