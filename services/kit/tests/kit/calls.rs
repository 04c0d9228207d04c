//! Calls as callers see them: equal over the network and in process.

use std::time::Duration;

use jinke_kit::{Peer, Running, failure};
use jinke_proto::jinke::{customer::v1::ListRuleSetsRequest, identity::v1 as identity};
use jinke_types::Code;
use tonic::Request;

use crate::fakes::{act, party};
use crate::support::{claims, get, matcher, remote, sign, suite, user_token};

/// Both ways to call with a token.
fn ways(running: &Running, token: Option<&str>) -> [(&'static str, Peer); 2] {
    [
        ("local", running.local(token)),
        ("remote", remote(running, token)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_sees_his_grant_either_way() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("grants", dir.path(), &[]).await;
    let table = [
        (
            "users/admin",
            "users/admin All public,person_name,contact,address,person_identifier,financial,sensitive,remark,conversation,custom,sales_amount",
        ),
        ("users/mei", "users/mei All public,person_name,contact"),
    ];
    for (user, expected) in table {
        for (way, peer) in ways(&running, Some(&user_token(user))) {
            let answer = matcher(peer)
                .list_rule_sets(ListRuleSetsRequest {})
                .await
                .unwrap();
            assert_eq!(answer.get_ref().rule_sets[0].text, expected, "{way}");
            assert!(answer.metadata().contains_key("x-request-id"), "{way}");
        }
    }
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_the_same_either_way_and_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("errors", dir.path(), &[]).await;
    let now = jinke_types::Clock::now(&jinke_types::SystemClock);
    let expired = {
        let mut c = claims("users/mei", &["customer"], now);
        c.exp = now.secs() - 60;
        sign(&c)
    };
    let table = [
        (None, 0, Code::Unauthenticated, "TOKEN_MISSING"),
        (
            Some("garbage".to_owned()),
            0,
            Code::Unauthenticated,
            "TOKEN_INVALID",
        ),
        (Some(expired), 0, Code::Unauthenticated, "TOKEN_EXPIRED"),
        (
            Some(sign(&claims("users/mei", &["pipeline"], now))),
            0,
            Code::Unauthenticated,
            "TOKEN_WRONG_AUDIENCE",
        ),
        (
            Some(user_token("users/li")),
            0,
            Code::Unauthenticated,
            "CALLER_DISABLED",
        ),
        (
            Some(user_token("users/wang")),
            0,
            Code::PermissionDenied,
            "PERMISSION_DENIED",
        ),
        (
            Some(user_token("users/nobody")),
            0,
            Code::PermissionDenied,
            "PERMISSION_DENIED",
        ),
        (
            Some(user_token("users/mei")),
            act::FIELDS,
            Code::InvalidArgument,
            "INVALID_FIELD",
        ),
        (
            Some(user_token("users/mei")),
            act::INTERNAL,
            Code::Internal,
            "INTERNAL",
        ),
        (
            Some(user_token("users/mei")),
            act::PANIC,
            Code::Internal,
            "INTERNAL",
        ),
    ];
    for (token, page_size, code, reason) in table {
        for (way, peer) in ways(&running, token.as_deref()) {
            let status = matcher(peer)
                .match_party(party(page_size))
                .await
                .unwrap_err();
            let failure = failure(&status);
            assert_eq!(
                (failure.code, failure.reason),
                (code, reason),
                "{way} {page_size}"
            );
            assert!(!failure.message.contains("手机号"), "{failure}");
            match page_size {
                act::FIELDS => assert_eq!(failure.violations[0].field, "party.values[2]"),
                act::INTERNAL | act::PANIC => {
                    let id = &failure.metadata["request_id"];
                    assert!(failure.message.ends_with(id), "{failure}");
                }
                _ => {}
            }
        }
    }
    // A panic took nothing with it.
    let mut client = matcher(remote(&running, Some(&user_token("users/mei"))));
    client.match_party(party(0)).await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorization_comes_before_the_body_is_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("order", dir.path(), &[]).await;
    // A message that does not parse: whoever is refused for it got too far.
    let send = |token: Option<String>| {
        let mut request = http::Request::post("/jinke.customer.v1.MatchService/MatchParty")
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::new(http_body_util::Full::new(
                bytes::Bytes::from_static(&[0, 0, 0, 0, 2, 0xff, 0xff]),
            )))
            .unwrap();
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        let mut peer = running.local(None);
        async move {
            let response = tower::Service::call(&mut peer, request).await.unwrap();
            response.headers()["grpc-status"]
                .to_str()
                .unwrap()
                .to_owned()
        }
    };
    assert_eq!(send(None).await, "16");
    assert_eq!(send(Some(user_token("users/wang"))).await, "7");
    assert_eq!(send(Some(user_token("users/mei"))).await, "13");
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_are_kept_and_answered() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("deadlines", dir.path(), &["limits.max_deadline_seconds=1"]).await;
    for (way, peer) in ways(&running, Some(&user_token("users/mei"))) {
        let mut client = matcher(peer);
        let mut request = Request::new(party(act::WAIT));
        request.set_timeout(Duration::from_millis(200));
        let begun = std::time::Instant::now();
        let status = client.match_party(request).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded, "{way}");
        assert_eq!(failure(&status).reason, "DEADLINE_EXCEEDED", "{way}");
        assert!(begun.elapsed() < Duration::from_millis(900), "{way}");
        // Without one the longest holds.
        let status = client.match_party(party(act::WAIT)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded, "{way}");
        // A wrong one is refused.
        let mut request = Request::new(party(0));
        request
            .metadata_mut()
            .insert("grpc-timeout", "5x".parse().unwrap());
        let status = client.match_party(request).await.unwrap_err();
        assert_eq!(failure(&status).reason, "TIMEOUT_MALFORMED", "{way}");
    }
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_stream_outlives_the_longest_deadline_but_not_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("watches", dir.path(), &["limits.max_deadline_seconds=1"]).await;
    for (way, peer) in ways(&running, Some(&user_token("users/admin"))) {
        let mut client = identity::access_service_client::AccessServiceClient::new(peer);
        let watch = || identity::WatchAccessSnapshotsRequest { after_version: 0 };
        let mut stream = client
            .watch_access_snapshots(watch())
            .await
            .unwrap()
            .into_inner();
        stream.message().await.unwrap().unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(1500), stream.message()).await;
        assert!(silence.is_err(), "{way}: {silence:?}");
        let mut request = Request::new(watch());
        request.set_timeout(Duration::from_millis(400));
        let mut stream = client
            .watch_access_snapshots(request)
            .await
            .unwrap()
            .into_inner();
        stream.message().await.unwrap().unwrap();
        let status = stream.message().await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded, "{way}");
    }
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_reflection_need_no_token() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::{v1, v1alpha};
    let dir = tempfile::tempdir().unwrap();
    let running = suite("reflection", dir.path(), &[]).await;
    let mut health = HealthClient::new(remote(&running, None));
    for service in ["", "customer", "jinke.customer.v1.MatchService", "identity"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        assert_eq!(
            health.check(request).await.unwrap().into_inner().status,
            1,
            "{service}"
        );
    }
    let mut client =
        v1::server_reflection_client::ServerReflectionClient::new(remote(&running, None));
    let ask = v1::ServerReflectionRequest {
        message_request: Some(
            v1::server_reflection_request::MessageRequest::FileContainingSymbol(
                "jinke.customer.v1.MatchService".into(),
            ),
        ),
        ..Default::default()
    };
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([ask]))
        .await
        .unwrap()
        .into_inner();
    let answer = format!("{:?}", answers.message().await.unwrap().unwrap());
    assert!(answer.contains("FileDescriptorResponse"), "{answer}");
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(remote(&running, None));
    let ask = v1alpha::ServerReflectionRequest {
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
        ..Default::default()
    };
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([ask]))
        .await
        .unwrap()
        .into_inner();
    let answer = format!("{:?}", answers.message().await.unwrap().unwrap());
    assert!(
        answer.contains("jinke.identity.v1.TokenService"),
        "{answer}"
    );
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_readiness_and_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("operators", dir.path(), &[]).await;
    let mut client = matcher(remote(&running, Some(&user_token("users/mei"))));
    client.match_party(party(0)).await.unwrap();
    client.match_party(party(act::INTERNAL)).await.unwrap_err();
    let mut unknown = tonic::client::Grpc::new(remote(&running, None));
    unknown.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/jinke.customer.v1.MatchService/Scan1");
    let codec = tonic_prost::ProstCodec::<ListRuleSetsRequest, ListRuleSetsRequest>::default();
    let status = unknown
        .unary(Request::new(ListRuleSetsRequest {}), path, codec)
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    let metrics = get(&running, "/metrics").await;
    for line in [
        r#"jinke_rpc_requests_total{code="OK",method="/jinke.customer.v1.MatchService/MatchParty",service="customer"} 1"#,
        r#"jinke_rpc_requests_total{code="INTERNAL",method="/jinke.customer.v1.MatchService/MatchParty",service="customer"} 1"#,
        r#"jinke_rpc_requests_total{code="UNIMPLEMENTED",method="unknown",service="customer"} 1"#,
        r#"jinke_rpc_in_flight{method="/jinke.customer.v1.MatchService/MatchParty",service="customer"} 0"#,
        r#"jinke_ready{check="access",service="customer"} 1"#,
        r#"jinke_access_snapshot_version{service="customer"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("Scan1"));
    assert!(get(&running, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&running, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&running, "/other").await.starts_with("HTTP/1.1 404"));
    running.stop().await.unwrap();
}
