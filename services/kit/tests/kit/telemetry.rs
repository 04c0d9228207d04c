//! One trace through every hop, sent by OTLP to a collector of our own.

use std::sync::{Arc, Mutex};

use jinke_kit::telemetry::{Format, TelemetryConfig, build};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tonic::{Request, Response, Status};

use crate::fakes::{act, party};
use crate::support::{matcher, remote, suite, user_token};

/// Trace, span, parent, name.
type Span = (String, String, String, String);

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let hex = |b: &[u8]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let request = request.into_inner();
        let scopes = request
            .resource_spans
            .into_iter()
            .flat_map(|r| r.scope_spans);
        for span in scopes.flat_map(|s| s.spans) {
            let ids = (
                hex(&span.trace_id),
                hex(&span.span_id),
                hex(&span.parent_span_id),
            );
            self.0
                .lock()
                .unwrap()
                .push((ids.0, ids.1, ids.2, span.name));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn runtime(threads: usize) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap()
}

/// The collector has a runtime of its own, and the tracer that of one thread, so that what is
/// installed for this thread sees every span and other tests see none of it.
#[test]
fn a_trace_survives_every_hop() {
    // In a process of its own: spans that other tests make first can be remembered as unwanted
    // by the process, and would then be missing here.
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "telemetry::child_of_the_trace",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&child.stderr)
    );
}

#[test]
#[ignore = "run by a_trace_survives_every_hop, in a process of its own"]
fn child_of_the_trace() {
    let collector = Collector::default();
    let far = runtime(1);
    let endpoint = far.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        tokio::spawn(server);
        format!("http://{addr}")
    });
    let config = TelemetryConfig {
        level: "off".into(),
        format: Format::Json,
        otlp_endpoint: endpoint,
        service_name: "test".into(),
    };
    let entered = far.enter();
    let (dispatch, telemetry) = build(&config).unwrap();
    drop(entered);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    tracing::dispatcher::with_default(&dispatch, || {
        let near = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        near.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let running = suite("traces", dir.path(), &[]).await;
            let mut client = matcher(remote(&running, Some(&user_token("users/mei"))));
            let mut request = Request::new(party(act::CALL_PEER));
            let parent = format!("00-{trace}-b7ad6b7169203331-01");
            request
                .metadata_mut()
                .insert("traceparent", parent.parse().unwrap());
            client.match_party(request).await.unwrap();
            running.stop().await.unwrap();
        });
    });
    telemetry.flush();
    let spans = collector.0.lock().unwrap().clone();
    let ours: Vec<_> = spans.iter().filter(|s| s.0 == trace).collect();
    let find = |name: &str, parent: &str| {
        let found = ours.iter().find(|s| s.3 == name && s.2 == parent);
        found
            .unwrap_or_else(|| panic!("no {name} below {parent:?} in {ours:#?}"))
            .1
            .clone()
    };
    // The test's client is a peer too and has a span of its own.
    let client = find(
        "jinke.customer.v1.MatchService/MatchParty",
        "b7ad6b7169203331",
    );
    let handler = find("jinke.customer.v1.MatchService/MatchParty", &client);
    let peer = ours
        .iter()
        .filter(|s| s.3 == "jinke.identity.v1.TokenService/GetCaller");
    let chain: Vec<_> = peer.collect();
    assert_eq!(
        chain.len(),
        2,
        "the call to the peer and its answer: {ours:#?}"
    );
    let call = chain
        .iter()
        .find(|s| s.2 == handler)
        .expect("the peer call is below the handler");
    assert!(
        chain.iter().any(|s| s.2 == call.1),
        "and identity's span below that"
    );
}

#[test]
fn wrong_settings_are_refused() {
    let config = |level: &str, endpoint: &str| TelemetryConfig {
        level: level.into(),
        format: Format::Text,
        otlp_endpoint: endpoint.into(),
        service_name: String::new(),
    };
    let failure = build(&config("loud=very", "")).err().unwrap();
    assert!(failure.message.contains("telemetry.level"), "{failure}");
    let runtime = runtime(1);
    let _entered = runtime.enter();
    assert_eq!(
        build(&config("info", "not a url")).err().unwrap().reason,
        "CONFIG"
    );
}
