//! A stream lasts no longer than what its caller was let in by.

use std::time::Duration;

use jinke_kit::{failure, token::LEEWAY_SECS};
use jinke_proto::jinke::identity::v1::{
    AccessSnapshot, WatchAccessSnapshotsRequest, WatchAccessSnapshotsResponse,
    access_service_client::AccessServiceClient,
};
use jinke_types::{Clock as _, SystemClock};
use tonic::{Code, Status, Streaming};

use crate::support::{claims, remote, sign, snapshot, suite};

async fn watch(
    running: &jinke_kit::Running,
    token: &str,
    after_version: i64,
) -> Streaming<WatchAccessSnapshotsResponse> {
    AccessServiceClient::new(remote(running, Some(token)))
        .watch_access_snapshots(WatchAccessSnapshotsRequest { after_version })
        .await
        .unwrap()
        .into_inner()
}

async fn end(stream: &mut Streaming<WatchAccessSnapshotsResponse>) -> Status {
    let end = async {
        loop {
            if let Err(status) = stream.message().await {
                return status;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), end)
        .await
        .expect("the stream ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_the_token_expires() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("lapse", dir.path(), &[]).await;
    let now = SystemClock.now();
    let mut short = claims("users/admin", &["identity"], now);
    short.exp = now.secs() - LEEWAY_SECS + 3;
    let mut ends = watch(&running, &sign(&short), 1).await;
    let long = claims("users/admin", &["identity"], now);
    let mut stays = watch(&running, &sign(&long), 1).await;
    let status = end(&mut ends).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(failure(&status).reason, "TOKEN_EXPIRED");
    let silence = tokio::time::timeout(Duration::from_millis(300), stays.message()).await;
    assert!(silence.is_err(), "another token still holds: {silence:?}");
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_session_is_revoked_or_its_caller_disabled() {
    type Take = fn(&mut AccessSnapshot);
    let cases: [(&str, Take, &str); 2] = [
        (
            "revoked",
            |s| s.revoked_sessions.push("session-of-users/admin".into()),
            "SESSION_REVOKED",
        ),
        (
            "disabled",
            |s| s.disabled_members.push("users/admin".into()),
            "CALLER_DISABLED",
        ),
    ];
    for (world, take, reason) in cases {
        let dir = tempfile::tempdir().unwrap();
        let running = suite(world, dir.path(), &[]).await;
        let token = sign(&claims("users/admin", &["identity"], SystemClock.now()));
        // It waits for a version that will not come, so only the end can wake it.
        let mut stream = watch(&running, &token, 1_000).await;
        let access = running.access("identity").unwrap();
        let mut next = snapshot();
        next.version = 2;
        access.publish(&next).unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(300), stream.message()).await;
        assert!(silence.is_err(), "{world}: {silence:?}");
        next.version = 3;
        take(&mut next);
        let begun = std::time::Instant::now();
        access.publish(&next).unwrap();
        let status = end(&mut stream).await;
        assert_eq!(status.code(), Code::Unauthenticated, "{world}");
        assert_eq!(failure(&status).reason, reason);
        assert!(begun.elapsed() < Duration::from_secs(5), "{world}");
        running.stop().await.unwrap();
    }
}
