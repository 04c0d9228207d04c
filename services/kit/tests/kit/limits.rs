//! What one caller may take.

use std::{sync::atomic::Ordering, time::Duration};

use jinke_kit::failure;
use jinke_proto::jinke::{
    customer::v1::{MatchPartyRequest, Party},
    identity::v1::{WatchAccessSnapshotsRequest, access_service_client::AccessServiceClient},
};
use jinke_types::Code;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fakes::{act, party};
use crate::support::{get, matcher, remote, suite, user_token, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_too_large_is_refused_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("large", dir.path(), &["limits.request_bytes=100000"]).await;
    let token = user_token("users/mei");
    let message = |bytes: usize| {
        let value = "长".repeat(bytes / 3);
        let value = jinke_proto::jinke::customer::v1::Value {
            attribute: value,
            ..Default::default()
        };
        MatchPartyRequest {
            party: Some(Party {
                values: vec![value],
                ..Default::default()
            }),
            page_size: 0,
        }
    };
    for peer in [running.local(Some(&token)), remote(&running, Some(&token))] {
        let mut client = matcher(peer);
        client.match_party(message(99_000)).await.unwrap();
        let status = client.match_party(message(101_000)).await.unwrap_err();
        let failure = failure(&status);
        assert_eq!(
            (failure.code, failure.reason),
            (Code::ResourceExhausted, "MESSAGE_TOO_LARGE")
        );
        assert_eq!(failure.metadata["max_bytes"], "100000");
    }
    // Only the head of a message of 1 GiB is sent, and the answer comes.
    let (sender, receiver) =
        tokio::sync::mpsc::channel::<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>(1);
    let body =
        http_body_util::StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let mut request = http::Request::post("/jinke.customer.v1.MatchService/MatchParty")
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::new(body))
        .unwrap();
    request
        .headers_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    let head = bytes::Bytes::from_static(&[0, 0x40, 0, 0, 0]);
    sender.send(Ok(http_body::Frame::data(head))).await.unwrap();
    let mut peer = running.local(None);
    let answer = tokio::time::timeout(
        Duration::from_secs(5),
        tower::Service::call(&mut peer, request),
    );
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.headers()["grpc-status"], "8");
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_calls_are_shed_at_once_and_the_rest_finish() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("shed", dir.path(), &["limits.concurrent_calls=3"]).await;
    let world = world("shed");
    let peer = remote(&running, Some(&user_token("users/mei")));
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut client = matcher(peer.clone());
        waiting.push(tokio::spawn(async move {
            client.match_party(party(act::WAIT)).await
        }));
        world.entered.notified().await;
    }
    for _ in 0..20 {
        let status = matcher(peer.clone())
            .match_party(party(0))
            .await
            .unwrap_err();
        let failure = failure(&status);
        assert_eq!(
            (failure.code, failure.reason),
            (Code::ResourceExhausted, "OVERLOADED")
        );
    }
    // Health is not shed with it.
    let mut health = tonic_health::pb::health_client::HealthClient::new(remote(&running, None));
    health
        .check(tonic_health::pb::HealthCheckRequest::default())
        .await
        .unwrap();
    for mut call in waiting {
        let answer = loop {
            world.release.notify_waiters();
            match tokio::time::timeout(Duration::from_millis(20), &mut call).await {
                Ok(answer) => break answer,
                Err(_) => continue,
            }
        };
        answer.unwrap().expect("a call that was let in finishes");
    }
    assert_eq!(world.running.load(Ordering::SeqCst), 3);
    matcher(peer).match_party(party(0)).await.unwrap();
    let metrics = get(&running, "/metrics").await;
    assert!(
        metrics.contains(r#"jinke_rpc_shed_total{limit="OVERLOADED",service="customer"}"#),
        "{metrics}"
    );
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_has_so_many_streams_and_gets_them_back() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("streams", dir.path(), &["limits.streams_per_caller=2"]).await;
    let watch = || WatchAccessSnapshotsRequest { after_version: 0 };
    let mut client = AccessServiceClient::new(remote(&running, Some(&user_token("users/admin"))));
    let first = client.watch_access_snapshots(watch()).await.unwrap();
    let _second = client.watch_access_snapshots(watch()).await.unwrap();
    let failure = failure(&client.watch_access_snapshots(watch()).await.unwrap_err());
    assert_eq!(
        (failure.code, failure.reason),
        (Code::ResourceExhausted, "TOO_MANY_STREAMS")
    );
    // Another caller has his own.
    let token = crate::support::user_token("serviceAccounts/service-identity");
    let mut other = AccessServiceClient::new(remote(&running, Some(&token)));
    other.watch_access_snapshots(watch()).await.unwrap();
    drop(first);
    let mut again = client.watch_access_snapshots(watch()).await;
    for _ in 0..100 {
        if again.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        again = client.watch_access_snapshots(watch()).await;
    }
    again.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_speak_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let set = [
        "limits.handshake_seconds=1",
        "limits.keepalive_seconds=1",
        "limits.keepalive_timeout_seconds=1",
    ];
    let running = suite("silent", dir.path(), &set).await;
    // Says nothing at all.
    let mut mute = tokio::net::TcpStream::connect(running.addr())
        .await
        .unwrap();
    // Says a little.
    let mut slow = tokio::net::TcpStream::connect(running.addr())
        .await
        .unwrap();
    slow.write_all(b"PRI * HTTP").await.unwrap();
    // Speaks HTTP/2, then neither answers a ping nor hangs up: half open.
    let mut half = tokio::net::TcpStream::connect(running.addr())
        .await
        .unwrap();
    half.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    for (name, socket) in [
        ("mute", &mut mute),
        ("slow", &mut slow),
        ("half", &mut half),
    ] {
        let mut all = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(6), socket.read_to_end(&mut all));
        assert!(closed.await.is_ok(), "{name} is still open");
    }
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_too_large_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("headers", dir.path(), &["limits.header_bytes=8192"]).await;
    let mut client = matcher(remote(&running, Some(&user_token("users/mei"))));
    let mut request = tonic::Request::new(party(0));
    request
        .metadata_mut()
        .insert("x-long", "a".repeat(20_000).parse().unwrap());
    client.match_party(request).await.unwrap_err();
    client.match_party(party(0)).await.unwrap();
    running.stop().await.unwrap();
}
