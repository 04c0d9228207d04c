//! What stands around a call: ids, traces, allowances, pages of other origins.

use std::time::Duration;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use http::Request;
use tonic::body::Body;

use crate::support::{House, house, request};

#[tokio::test]
async fn a_request_is_named_and_traced() {
    let house = house(&[]);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut named = request("GET", "/v1/things/1", "");
    for (name, value) in [
        ("x-request-id", "oa-42"),
        ("traceparent", trace),
        ("tracestate", "a=b"),
        ("x-jinke-service-token", "Bearer stolen"),
        ("grpc-timeout", "1n"),
        ("cookie", "a=b"),
    ] {
        named.headers_mut().insert(name, value.parse().unwrap());
    }
    let reply = house.send(named).await;
    assert_eq!((reply.code, reply.header("x-request-id")), (200, "oa-42"));
    let seen = house.service.last().headers;
    assert_eq!(seen["x-request-id"], "oa-42");
    assert_eq!(seen["traceparent"], trace);
    assert_eq!(seen["tracestate"], "a=b");
    assert_eq!(seen["authorization"], "Bearer good");
    assert_eq!(seen["grpc-timeout"], "60000000u");
    assert!(!seen.contains_key("x-jinke-service-token") && !seen.contains_key("cookie"));
    for odd in ["", "a b", "金", &"a".repeat(65)] {
        let mut request = request("GET", "/v1/nothing", "");
        request.headers_mut().insert(
            "x-request-id",
            http::HeaderValue::from_bytes(odd.as_bytes()).unwrap(),
        );
        let id = house.send(request).await.header("x-request-id").to_owned();
        assert!(id.len() > 10 && id != odd, "{id}");
    }
    let reply = house.get("/v1/things/1").await;
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
}

fn token(subject: &str, n: u32) -> String {
    let payload = URL_SAFE_NO_PAD.encode(format!("{{\"sub\":\"{subject}\",\"jti\":\"{n}\"}}"));
    format!("e30.{payload}.c2ln")
}

async fn ask(house: &House, token: &str) -> u16 {
    let mut request = request("GET", "/v1/things/1", "");
    request
        .headers_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    let reply = house.send(request).await;
    if reply.code == 429 {
        assert_eq!(reply.reason(), "RATE_LIMITED");
        assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    reply.code
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_asks_too_often_waits() {
    let house = house(&[
        "rate.address_per_second=1",
        "rate.address_burst=6",
        "rate.caller_per_second=1",
        "rate.caller_burst=3",
    ]);
    let (li, mei) = (token("users/li", 1), token("users/mei", 1));
    // The first request counts for the address, those after it for the caller.
    assert_eq!(ask(&house, &li).await, 200);
    for _ in 0..3 {
        assert_eq!(ask(&house, &li).await, 200);
    }
    assert_eq!(ask(&house, &li).await, 429);
    assert_eq!(ask(&house, &mei).await, 200);
    // Another token of the same caller has the same allowance.
    let second = token("users/li", 2);
    assert_eq!(ask(&house, &second).await, 200);
    assert_eq!(ask(&house, &second).await, 429);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(ask(&house, &li).await, 200);
    assert!(
        house
            .metrics
            .render()
            .contains("jinke_gateway_limited_total{caller=\"subject\"} 2")
    );
}

/// Clients of gRPC make of a plain 429 that the service is away, and read no JSON.
#[tokio::test(start_paused = true)]
async fn who_speaks_grpc_is_refused_in_grpc() {
    let house = house(&[
        "uri_bytes=300",
        "rate.address_per_second=1",
        "rate.address_burst=2",
    ]);
    let ask = async |uri: &str, content_type: &str| {
        let mut call = request("POST", uri, "");
        let headers = call.headers_mut();
        headers.insert("content-type", content_type.parse().unwrap());
        headers.insert("authorization", "Bearer made-up".parse().unwrap());
        let reply = house.send(call).await;
        assert_eq!(reply.code, 200);
        assert_eq!(reply.header("content-type"), content_type);
        assert_eq!(reply.text, "");
        // google.rpc.Status in bytes; its texts can be read in there.
        let details = reply
            .header("grpc-status-details-bin")
            .trim_end_matches('=');
        let details = STANDARD_NO_PAD.decode(details).unwrap();
        let details = String::from_utf8_lossy(&details).into_owned();
        (reply.header("grpc-status").to_owned(), details)
    };
    let long = format!("/jinke.testing.v1.Things/{}", "a".repeat(300));
    let (status, details) = ask(&long, "application/grpc").await;
    assert_eq!(status, (tonic::Code::InvalidArgument as i32).to_string());
    assert!(details.contains("URI_TOO_LONG"), "{details}");
    let (_, details) = ask(&long, "application/grpc-web+proto").await;
    assert!(details.contains("URI_TOO_LONG"), "{details}");
    for content_type in ["application/grpc", "application/grpc-web+proto"] {
        let (status, details) = ask("/jinke.testing.v1.Things/Get", content_type).await;
        assert_eq!(status, (tonic::Code::ResourceExhausted as i32).to_string());
        assert!(details.contains("RATE_LIMITED"), "{details}");
        assert!(details.contains("RetryInfo"), "{details}");
    }
}

#[tokio::test(start_paused = true)]
async fn made_up_tokens_share_the_allowance_of_their_address() {
    let house = house(&["rate.address_per_second=1", "rate.address_burst=3"]);
    let li = token("users/li", 1);
    assert_eq!(ask(&house, &li).await, 200);
    for n in 0..2 {
        assert_eq!(
            ask(&house, &format!("expired{n}.{}", token("users/li", n))).await,
            401
        );
    }
    assert_eq!(ask(&house, "expired9").await, 429);
    // He whose name they bore is not held up by them.
    assert_eq!(ask(&house, &li).await, 200);
}

fn from_page(method: &str, uri: &str, origin: &str) -> Request<Body> {
    let mut page = request(method, uri, "");
    page.headers_mut().insert("origin", origin.parse().unwrap());
    if method == "OPTIONS" {
        page.headers_mut()
            .insert("access-control-request-method", "GET".parse().unwrap());
    }
    page
}

#[tokio::test]
async fn pages_of_other_origins_may_not_call_unless_listed() {
    let closed = house(&[]);
    let reply = closed
        .send(from_page(
            "OPTIONS",
            "/v1/things/1",
            "https://oa.example.com",
        ))
        .await;
    assert_eq!(reply.code, 405);
    let reply = closed
        .send(from_page("GET", "/v1/things/1", "https://oa.example.com"))
        .await;
    assert!(
        !reply
            .headers
            .keys()
            .any(|k| k.as_str().starts_with("access-control")),
        "{:?}",
        reply.headers
    );

    let open = house(&["cors.origins=[\"https://oa.example.com\"]"]);
    let reply = open
        .send(from_page(
            "OPTIONS",
            "/v1/things/1",
            "https://oa.example.com",
        ))
        .await;
    assert_eq!(reply.code, 204);
    assert_eq!(
        reply.header("access-control-allow-origin"),
        "https://oa.example.com"
    );
    for header in ["authorization", "x-jinke-purpose", "last-event-id"] {
        let allowed = reply.header("access-control-allow-headers");
        assert!(allowed.split(", ").any(|h| h == header), "{header}");
    }
    let reply = open
        .send(from_page("GET", "/v1/things/1", "https://oa.example.com"))
        .await;
    assert_eq!(
        reply.header("access-control-allow-origin"),
        "https://oa.example.com"
    );
    assert_eq!(reply.header("vary"), "origin");
    for other in [
        "https://evil.example.com",
        "http://oa.example.com",
        "null",
        "https://oa.example.com.evil.com",
    ] {
        let reply = open.send(from_page("OPTIONS", "/v1/things/1", other)).await;
        assert_eq!(
            (reply.code, reply.header("access-control-allow-origin")),
            (405, ""),
            "{other}"
        );
        let reply = open.send(from_page("GET", "/v1/things/1", other)).await;
        assert_eq!(reply.header("access-control-allow-origin"), "", "{other}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for wrong in [
        "body_bytes=0",
        "buffer_bytes=1024",
        "uri_bytes=1",
        "connections=0",
        "call_seconds=0",
        "stream_seconds=86401",
        "streams_per_connection=0",
        "tls.cert_file=a.pem",
        "cors.origins=[\"*\"]",
        "cors.origins=[\"https://a.b/c\"]",
    ] {
        assert_eq!(
            crate::support::section(&[wrong])
                .check()
                .unwrap_err()
                .reason,
            "CONFIG",
            "{wrong}"
        );
    }
    crate::support::section(&[]).check().unwrap();
}

#[tokio::test]
async fn requests_are_counted_by_rpc() {
    let house = house(&[]);
    house.get("/v1/things/1").await;
    house.get("/v1/things/error-5").await;
    house.get("/secret/path").await;
    let text = house.metrics.render();
    for line in [
        "jinke_gateway_requests_total{code=\"200\",rpc=\"/jinke.test.v1.ThingService/GetThing\"} 1",
        "jinke_gateway_requests_total{code=\"404\",rpc=\"/jinke.test.v1.ThingService/GetThing\"} 1",
        "jinke_gateway_requests_total{code=\"404\",rpc=\"other\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("secret"));
}
