//! A process of its own: signals, and what it writes to its log.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use jinke_kit::{
    Host, Peer,
    client::{Credential, connect},
};
use jinke_proto::jinke::customer::v1::{MatchPartyRequest, Party, Value};
use jinke_types::SystemClock;
use tonic::Request;

use crate::{
    fakes::{FakeCustomer, FakeIdentity, act, party},
    support::{config, matcher, user_token},
};

const DIR: &str = "JINKE_TEST_CHILD_DIR";

/// What the children of the tests below run.
#[test]
#[ignore = "started by the other tests of this file, in a process of its own"]
fn child() {
    let dir = std::env::var(DIR).expect("started by another test");
    let dir = Path::new(&dir);
    let config = config(
        "child",
        dir,
        &["telemetry.format=json", "server.grace_seconds=30"],
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = runtime.block_on(async {
        let telemetry = jinke_kit::telemetry::init(&config).unwrap();
        let host = Host::builder(config)
            .service::<FakeCustomer>()
            .service::<FakeIdentity>();
        let running = host.start().await.unwrap();
        running.ready(Duration::from_secs(20)).await.unwrap();
        let url = format!("http://{}", running.addr());
        std::fs::write(dir.join("url.new"), url).unwrap();
        std::fs::rename(dir.join("url.new"), dir.join("url")).unwrap();
        let outcome = running.wait().await;
        telemetry.flush();
        outcome
    });
    // A call that was cut is still in the runtime.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome.unwrap();
}

fn start(dir: &Path) -> (Child, Peer) {
    let log = std::fs::File::create(dir.join("log")).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::child", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let url = loop {
        if let Ok(url) = std::fs::read_to_string(dir.join("url")) {
            break url;
        }
        assert!(Instant::now() < until, "{}", log_of(dir));
        std::thread::sleep(Duration::from_millis(20));
    };
    let token = Credential::Token(user_token("users/mei"));
    (
        child,
        connect(&url, token, None, Arc::new(SystemClock)).unwrap(),
    )
}

fn log_of(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap()
}

fn terminate(child: &Child) {
    let kill = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
}

/// Waits until the log holds a text: the child has got that far.
async fn until_logged(dir: &Path, text: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while !log_of(dir).contains(text) {
        assert!(Instant::now() < until, "no {text:?} in {}", log_of(dir));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn exit(mut child: Child) -> bool {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("it does not end");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A call that stays in the handler until its deadline.
fn in_flight(
    peer: &Peer,
    deadline: Duration,
) -> tokio::task::JoinHandle<Result<(), tonic::Status>> {
    let mut client = matcher(peer.clone());
    let mut request = Request::new(party(act::WAIT));
    request.set_timeout(deadline);
    tokio::spawn(async move { client.match_party(request).await.map(|_| ()) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_drains_and_the_log_holds_nothing_personal() {
    let dir = tempfile::tempdir().unwrap();
    let (child, peer) = start(dir.path());
    let mut request = Request::new(MatchPartyRequest {
        party: Some(Party {
            values: vec![Value {
                attribute: "13800138000 王小梅".into(),
                ..Default::default()
            }],
            ..Default::default()
        }),
        page_size: act::INTERNAL,
    });
    request
        .metadata_mut()
        .insert("x-request-id", "call-1".parse().unwrap());
    matcher(peer.clone())
        .match_party(request)
        .await
        .unwrap_err();
    let call = in_flight(&peer, Duration::from_secs(3));
    tokio::time::sleep(Duration::from_millis(500)).await;
    terminate(&child);
    until_logged(dir.path(), "draining").await;
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(
        status.code(),
        tonic::Code::DeadlineExceeded,
        "served to its end: {status:?}"
    );
    assert!(exit(child).await, "{}", log_of(dir.path()));

    let log = log_of(dir.path());
    let mut seen = 0;
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        if line["method"] == "/jinke.customer.v1.MatchService/MatchParty"
            && line["span"]["request_id"] == "call-1"
        {
            seen += 1;
            assert_eq!(
                (&line["code"], &line["level"]),
                (&"INTERNAL".into(), &"WARN".into())
            );
            assert_eq!(line["caller"], "users/mei");
            assert!(line["milliseconds"].is_u64(), "{line}");
        }
    }
    assert_eq!(seen, 1, "{log}");
    for personal in ["13800138000", "王小梅", "eyJ"] {
        assert!(!log.contains(personal), "{personal} in {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_the_process_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (child, peer) = start(dir.path());
    let call = in_flight(&peer, Duration::from_secs(60));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    terminate(&child);
    until_logged(dir.path(), "draining").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    terminate(&child);
    assert!(!exit(child).await, "it was cut");
    assert!(begun.elapsed() < Duration::from_secs(10));
    call.await.unwrap().unwrap_err();
}
