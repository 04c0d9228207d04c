//! Errors of services and of the gateway, as a caller sees them.

use serde_json::json;

use crate::support::{house, request};

#[tokio::test]
async fn every_code_has_its_http_code() {
    let house = house(&[]);
    let table = [
        (1, 500),
        (2, 500),
        (3, 400),
        (4, 504),
        (5, 404),
        (6, 409),
        (7, 403),
        (8, 429),
        (9, 400),
        (10, 409),
        (11, 400),
        (12, 501),
        (13, 500),
        (14, 503),
        (15, 500),
        (16, 401),
    ];
    for (grpc, http) in table {
        let reply = house.get(&format!("/v1/things/error-{grpc}")).await;
        assert_eq!(reply.code, http, "{grpc}");
        assert_eq!(
            reply.json(),
            json!({
                "code": grpc,
                "message": "坏的 request",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "INVALID_FIELD", "domain": "jinke", "metadata": {"limit": "7"},
                    },
                    {
                        "@type": "type.googleapis.com/google.rpc.BadRequest",
                        "fieldViolations": [{"field": "nested.size", "description": "must be even"}],
                    },
                ],
            })
        );
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(
            reply.header("retry-after"),
            if [8, 14].contains(&grpc) { "1" } else { "" },
            "{grpc}"
        );
        assert_eq!(
            reply.header("www-authenticate"),
            if grpc == 16 { "Bearer" } else { "" }
        );
    }
}

#[tokio::test]
async fn who_may_not_call_learns_nothing_about_his_request() {
    let house = house(&[]);
    for (token, code, reason) in [
        ("Bearer expired", 401, "TOKEN_EXPIRED"),
        ("Bearer weak", 403, "PERMISSION_DENIED"),
    ] {
        for (method, uri, body) in [
            ("GET", "/v1/things/1", ""),
            ("GET", "/v1/things?nope=1", ""),
            ("POST", "/v1/things", "{"),
            ("POST", "/v1/things", "{}"),
        ] {
            let mut request = request(method, uri, body);
            request
                .headers_mut()
                .insert("authorization", token.parse().unwrap());
            let reply = house.send(request).await;
            assert_eq!(
                (reply.code, reply.reason().as_str()),
                (code, reason),
                "{uri} {body}"
            );
            assert_eq!(house.service.last().message, None);
        }
    }
}

#[tokio::test]
async fn a_service_nobody_knows_is_unavailable() {
    let metrics = jinke_kit::Metrics::new();
    let gateway = jinke_gateway::Gateway::new(
        &crate::support::SET,
        crate::support::section(&[]),
        jinke_gateway::Backends::new(),
        &metrics,
        &jinke_types::SeededEntropy::new(1),
        jinke_kit::Shutdown::new(),
    )
    .unwrap();
    let reply = gateway
        .answer(request("GET", "/v1/things/1", ""), crate::support::HOME)
        .await;
    assert_eq!(reply.status(), 503);
    assert_eq!(reply.headers()["retry-after"], "1");
}
