//! Requests nobody means well with.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use proptest::prelude::*;
use tonic::body::Body;

use crate::support::{house, request};

#[tokio::test]
async fn documents_that_are_no_json_or_too_much() {
    let house = house(&[]);
    let nested = |n: usize| format!("{}{}", "{\"inner\":".repeat(n) + "{}", "}".repeat(n));
    let deep = format!("{{\"nested\":{}}}", nested(70));
    let hopeless = "[".repeat(200_000);
    let wide = format!("{{\"int64List\":[{}1]}}", "1,".repeat(500_000));
    let cases: &[(&str, &str)] = &[
        ("{", "EOF"),
        ("[]", ""),
        ("null", ""),
        ("7", ""),
        ("{\"name\":\"\\ud800\"}", "hex escape"),
        ("{\"name\":\"a\nb\"}", "control character"),
        ("{\"int32Value\":1e400}", "number out of range"),
        ("{\"name\":\"a\",\"name\":\"b\"}", "given twice"),
        ("{\"byName\":{\"a\":{},\"a\":{}}}", "given twice"),
        ("{} {}", "trailing"),
        (&deep, "64 levels"),
        (&hopeless, "64 levels"),
        (&wide, "500000 values"),
    ];
    for (body, why) in cases {
        let reply = house.body("POST", "/v1/things", body).await;
        let shown: String = body.chars().take(40).collect();
        assert_eq!(reply.code, 400, "{shown}: {}", reply.text);
        assert!(reply.text.contains(why), "{shown}: {}", reply.text);
        assert!(reply.text.len() < 2000, "{shown}");
        assert_eq!(house.service.last().message, None, "{shown}");
    }
    assert_eq!(
        house
            .body(
                "POST",
                "/v1/things",
                &format!("{{\"nested\":{}}}", nested(60))
            )
            .await
            .code,
        200
    );
}

#[tokio::test]
async fn numbers_are_not_bent() {
    let house = house(&[]);
    let wrong = [
        ("int32Value", "2147483648"),
        ("int32Value", "1.5"),
        ("int32Value", "\"1.5\""),
        ("uint32Value", "-1"),
        ("int64Value", "9223372036854775808"),
        ("int64Value", "1e19"),
        ("int64Value", "1e300"),
        ("wrappedNumber", "9223372036854775808.0"),
        ("int64List", "[1,-1e19]"),
        ("byName", "{\"a\":{\"size\":1e19}}"),
        ("uint64Value", "-1"),
        ("uint64Value", "18446744073709551616"),
        ("floatValue", "1e39"),
        ("boolValue", "1"),
        ("boolValue", "\"true\""),
        ("name", "1"),
        ("bytesValue", "\"%\""),
        ("time", "1"),
        ("duration", "\"1m\""),
        ("texts", "\"a\""),
        ("nested", "[]"),
        ("nested", "\"\""),
    ];
    for (field, value) in wrong {
        let reply = house
            .body("POST", "/v1/things", &format!("{{\"{field}\":{value}}}"))
            .await;
        assert_eq!(reply.code, 400, "{field} {value}: {}", reply.text);
    }
}

#[tokio::test]
async fn a_mistake_does_not_repeat_what_was_sent() {
    let house = house(&[]);
    for (method, uri, body) in [
        ("POST", "/v1/things", "{\"int32Value\":\"王小明\"}"),
        ("POST", "/v1/things", "{\"boolValue\":\"王小明\"}"),
        ("POST", "/v1/things", "{\"kind\":\"王小明\"}"),
        ("POST", "/v1/things", "{\"time\":\"王小明\"}"),
        (
            "GET",
            "/v1/things?int32Value=%E7%8E%8B%E5%B0%8F%E6%98%8E",
            "",
        ),
    ] {
        let reply = house.body(method, uri, body).await;
        assert_eq!(reply.code, 400);
        assert!(!reply.text.contains("王小明"), "{}", reply.text);
    }
}

#[tokio::test]
async fn sizes_are_limited() {
    let house = house(&["body_bytes=2000", "uri_bytes=300"]);
    let long = format!("{{\"name\":\"{}\"}}", "a".repeat(2000));
    let reply = house.body("POST", "/v1/things", &long).await;
    assert_eq!(
        (reply.code, reply.reason().as_str()),
        (413, "MESSAGE_TOO_LARGE")
    );
    assert_eq!(reply.header("retry-after"), "");
    // The same without saying its length beforehand.
    let chunks = futures::stream::iter(
        (0..300).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"          ")))),
    );
    let chunked = Request::post("/v1/things")
        .header("content-type", "application/json")
        .body(Body::new(StreamBody::new(chunks)))
        .unwrap();
    assert_eq!(house.send(chunked).await.code, 413);
    let reply = house
        .get(&format!("/v1/things?name={}", "a".repeat(300)))
        .await;
    assert_eq!((reply.code, reply.reason().as_str()), (414, "URI_TOO_LONG"));
    // A method that needs no token takes little.
    let house = crate::support::house(&[]);
    let long = format!("{{\"left\":\"{}\"}}", "a".repeat(70_000));
    assert_eq!(
        house.body("POST", "/v1/things/1:poke", &long).await.code,
        413
    );
    assert_eq!(house.body("POST", "/v1/things", &long).await.code, 200);
    assert_eq!(
        house.send(request("GET", "/v1/things/1", "{}")).await.code,
        413
    );
}

#[tokio::test]
async fn parameters_are_counted() {
    let house = house(&["uri_bytes=60000"]);
    let many = "texts=a&".repeat(1001);
    let reply = house.get(&format!("/v1/things?{many}")).await;
    assert_eq!(reply.code, 400);
    assert!(reply.text.contains("one parameter more"), "{}", reply.text);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let house = house(&["body_seconds=5"]);
    let first = futures::stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"{")))]);
    let never = futures::StreamExt::chain(first, futures::stream::pending());
    let slow = Request::post("/v1/things")
        .header("authorization", "Bearer good")
        .header("content-type", "application/json")
        .body(Body::new(StreamBody::new(Box::pin(never))))
        .unwrap();
    let begun = tokio::time::Instant::now();
    let reply = house.send(slow).await;
    assert_eq!((reply.code, reply.reason().as_str()), (408, "BODY_TIMEOUT"));
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn a_refused_caller_is_answered_before_his_body_comes() {
    let house = house(&[]);
    let never = futures::stream::pending::<Result<Frame<Bytes>, Infallible>>();
    let slow = Request::post("/v1/things")
        .header("authorization", "Bearer expired")
        .body(Body::new(StreamBody::new(never)))
        .unwrap();
    let reply = tokio::time::timeout(Duration::from_secs(2), house.send(slow))
        .await
        .unwrap();
    assert_eq!(reply.code, 401);
}

#[tokio::test]
async fn all_bodies_together_are_limited() {
    let house = house(&["buffer_bytes=1048576", "body_bytes=1048576"]);
    let half = Bytes::from(vec![b' '; 600 * 1024]);
    let stuck = || {
        let first = futures::stream::iter([Ok::<_, Infallible>(Frame::data(half.clone()))]);
        let never = futures::StreamExt::chain(first, futures::stream::pending());
        Request::post("/v1/things")
            .header("content-type", "application/json")
            .body(Body::new(StreamBody::new(Box::pin(never))))
            .unwrap()
    };
    let held = tokio::spawn({
        let (gateway, request) = (house.gateway.clone(), stuck());
        async move { gateway.answer(request, crate::support::HOME).await }
    });
    while house.service.calls() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    let reply = house.send(stuck()).await;
    assert_eq!((reply.code, reply.reason().as_str()), (429, "OVERLOADED"));
    held.abort();
    let _ = held.await;
    assert_eq!(house.body("POST", "/v1/things", "{}").await.code, 200);
}

#[tokio::test]
async fn only_json_is_taken() {
    let house = house(&[]);
    for kind in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=gbk",
        "application/jsonx",
    ] {
        let mut request = request("POST", "/v1/things", "{}");
        request
            .headers_mut()
            .insert("content-type", kind.parse().unwrap());
        let reply = house.send(request).await;
        assert_eq!(
            (reply.code, reply.reason().as_str()),
            (415, "CONTENT_TYPE_UNSUPPORTED"),
            "{kind}"
        );
    }
    for kind in ["application/json; charset=UTF-8", "Application/JSON"] {
        let mut request = request("POST", "/v1/things", "{}");
        request
            .headers_mut()
            .insert("content-type", kind.parse().unwrap());
        assert_eq!(house.send(request).await.code, 200, "{kind}");
    }
    let mut packed = request("POST", "/v1/things", "{}");
    packed
        .headers_mut()
        .insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(house.send(packed).await.code, 415);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is asked, an answer comes, and it blames the caller.
    #[test]
    fn nothing_makes_the_gateway_fail(
        path in "/v1/(things|files|numbers|shelves)[/a-zA-Z0-9%:*{}.=_~-]{0,40}",
        query in "[a-zA-Z0-9.&=%+_-]{0,60}",
        body in prop_oneof![
            "[\\[\\]{}\",:0-9a-z. -]{0,60}",
            any::<Vec<u8>>().prop_map(|b| String::from_utf8_lossy(&b).into_owned()),
        ],
        method in prop_oneof![Just("GET"), Just("POST"), Just("PATCH"), Just("PUT"), Just("DELETE")],
    ) {
        let Ok(uri) = format!("{path}?{query}").parse::<http::Uri>() else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let reply = runtime.block_on(async {
            house(&[]).send(request(method, &uri.to_string(), &body)).await
        });
        prop_assert!(reply.code < 500, "{method} {uri} {body}: {}", reply.text);
        if !reply.header("content-type").starts_with("text/event-stream") {
            reply.json();
        }
    }
}
