//! Starting and stopping.

use std::time::Duration;

use jinke_kit::{Built, Config, Host, Service, ServiceContext, failure};
use jinke_proto::jinke::identity::v1::{
    WatchAccessSnapshotsRequest, access_service_client::AccessServiceClient,
};
use jinke_types::{Code, Failure};

use crate::fakes::{FakeConfig, FakeCustomer, act, party};
use crate::support::{config, get, matcher, remote, suite, user_token, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_finishes_calls_and_cuts_watches() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("drain", dir.path(), &[]).await;
    let world = world("drain");
    let mut client = matcher(remote(&running, Some(&user_token("users/mei"))));
    let call = tokio::spawn(async move { client.match_party(party(act::WAIT)).await });
    world.entered.notified().await;
    let mut watcher = AccessServiceClient::new(remote(&running, Some(&user_token("users/admin"))));
    let request = WatchAccessSnapshotsRequest { after_version: 1 };
    let mut watch = watcher
        .watch_access_snapshots(request)
        .await
        .unwrap()
        .into_inner();

    let addr = running.addr();
    running.drain();
    let status = watch.message().await.unwrap_err();
    assert_eq!(failure(&status).reason, "DRAINING");
    for _ in 0..100 {
        if get(&running, "/readyz").await.starts_with("HTTP/1.1 503") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(get(&running, "/readyz").await.contains("draining"));
    let refused = tokio::time::timeout(Duration::from_secs(5), async {
        while tokio::net::TcpStream::connect(addr).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    refused.await.expect("no new connections");
    let stopping = tokio::spawn(running.wait());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!stopping.is_finished(), "a call is in flight");
    world.release.notify_one();
    call.await.unwrap().unwrap();
    stopping.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_outlasts_the_grace_period_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("grace", dir.path(), &["server.grace_seconds=1"]).await;
    let world = world("grace");
    let mut client = matcher(remote(&running, Some(&user_token("users/mei"))));
    let call = tokio::spawn(async move { client.match_party(party(act::WAIT)).await });
    world.entered.notified().await;
    let begun = std::time::Instant::now();
    assert_eq!(running.stop().await.unwrap_err().reason, "DRAIN_CUT");
    assert!(begun.elapsed() < Duration::from_secs(4));
    drop(call);
}

/// A service whose task fails, and whose RPC is not of the contract when asked so.
struct Faulty;

impl Service for Faulty {
    const NAME: &'static str = "customer";
    type Config = FakeConfig;
    const DEFAULT_CONFIG: &'static str = FakeCustomer::DEFAULT_CONFIG;
    async fn build(_: ServiceContext<FakeConfig>) -> Result<Built, Failure> {
        Ok(Built::new().task("doomed", async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(Failure::new(Code::DataLoss, "BROKEN", "the table is gone"))
        }))
    }
}

struct Stray;

impl Service for Stray {
    const NAME: &'static str = "customer";
    type Config = FakeConfig;
    const DEFAULT_CONFIG: &'static str = FakeCustomer::DEFAULT_CONFIG;
    async fn build(_: ServiceContext<FakeConfig>) -> Result<Built, Failure> {
        Ok(Built::new().rpc(tonic_health::server::health_reporter().1))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_fails_drains_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let config = config("faulty", dir.path(), &["peers.identity=http://127.0.0.1:9"]);
    let running = Host::builder(config)
        .service::<Faulty>()
        .start()
        .await
        .unwrap();
    let failure = tokio::time::timeout(Duration::from_secs(10), running.wait())
        .await
        .unwrap();
    let failure = failure.unwrap_err();
    assert_eq!(
        (failure.reason, failure.message.as_str()),
        ("BROKEN", "customer doomed: the table is gone")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_serve_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let remote = "peers.identity=http://127.0.0.1:9";
    let start = |config: Config| Host::builder(config).service::<Stray>().start();
    let failure = start(config("stray", dir.path(), &[remote]))
        .await
        .err()
        .unwrap();
    assert!(
        failure.message.contains("grpc.health.v1.Health"),
        "{failure}"
    );
    // Identity is said to be here, and is not.
    let failure = start(config("stray", dir.path(), &[])).await.err().unwrap();
    assert!(failure.message.contains("peers.identity"), "{failure}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("server.listen={}", taken.local_addr().unwrap());
    let failure = start(config("stray", dir.path(), &[remote, &listen]))
        .await
        .err()
        .unwrap();
    assert_eq!(failure.reason, "LISTEN");
    let wrong = start(config(
        "stray",
        dir.path(),
        &[remote, "limits.concurrent_calls=0"],
    ))
    .await;
    assert!(
        wrong
            .err()
            .unwrap()
            .message
            .contains("limits.concurrent_calls")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_identity_nothing_is_ready_and_calls_are_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let config = config("alone", dir.path(), &["peers.identity=http://127.0.0.1:9"]);
    let running = Host::builder(config)
        .service::<FakeCustomer>()
        .start()
        .await
        .unwrap();
    let why = running.ready(Duration::from_millis(300)).await.unwrap_err();
    assert!(why.message.contains("no access snapshot yet"), "{why}");
    assert!(
        get(&running, "/readyz")
            .await
            .contains("no access snapshot yet")
    );
    assert!(get(&running, "/healthz").await.starts_with("HTTP/1.1 200"));
    let mut client = matcher(remote_to(&running));
    let failure = failure(&client.match_party(party(0)).await.unwrap_err());
    assert_eq!(
        (failure.code, failure.reason),
        (Code::Unavailable, "NO_ACCESS_SNAPSHOT")
    );
    running.stop().await.unwrap();
}

fn remote_to(running: &jinke_kit::Running) -> jinke_kit::Peer {
    remote(running, Some(&user_token("users/mei")))
}
