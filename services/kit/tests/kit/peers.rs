//! Calls from service to service, in one process and in two.

use std::{sync::atomic::Ordering, time::Duration};

use jinke_kit::{Check as _, Host, Running, failure};
use jinke_proto::jinke::identity::v1::{
    GetCallerRequest, token_service_client::TokenServiceClient,
};
use tonic::Request;

use crate::fakes::{FakeCustomer, FakeIdentity, act, party};
use crate::support::{World, config, matcher, remote, suite, user_token, world};

/// What a handler of the customer service sees of identity, called for the user and alone.
async fn story(customer: &Running, world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    let mut client = matcher(remote(customer, Some(&user_token("users/mei"))));
    for page_size in [act::CALL_PEER, act::CALL_PEER_ALONE] {
        let mut request = Request::new(party(page_size));
        request.set_timeout(Duration::from_secs(5));
        request
            .metadata_mut()
            .insert("x-request-id", "order-7".parse().unwrap());
        let answer = client.match_party(request).await.unwrap().into_inner();
        let seen = answer.candidates[0].customer.clone().unwrap();
        let (before, after) = seen.display_name.split_once("left_ms=").unwrap();
        let (left, after) = after.split_once(' ').unwrap();
        let left: u64 = left.parse().unwrap();
        assert!(
            (3_000..5_000).contains(&left),
            "the deadline goes on: {left}"
        );
        lines.push(format!("{} {before}{after}", seen.name));
    }
    // Tokens are kept.
    let (logins, exchanges) = (
        world.logins.load(Ordering::SeqCst),
        world.exchanges.load(Ordering::SeqCst),
    );
    client.match_party(party(act::CALL_PEER)).await.unwrap();
    assert_eq!(world.logins.load(Ordering::SeqCst), logins);
    assert_eq!(world.exchanges.load(Ordering::SeqCst), exchanges);
    lines
}

const STORY: [&str; 2] = [
    "users/mei actor=serviceAccounts/service-customer request=order-7 sid=session-of-users/mei",
    "serviceAccounts/service-customer actor=- request=order-7 \
     sid=session-of-serviceAccounts/service-customer",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_and_remote_peers_tell_the_same_story() {
    let dir = tempfile::tempdir().unwrap();
    let together = suite("together", dir.path(), &[]).await;
    assert_eq!(story(&together, &world("together")).await, STORY);
    together.stop().await.unwrap();

    let dir = tempfile::tempdir().unwrap();
    let identity = Host::builder(config("apart", dir.path(), &[]));
    let identity = identity.service::<FakeIdentity>().start().await.unwrap();
    let url = format!("peers.identity=http://{}", identity.addr());
    let customer = Host::builder(config("apart", dir.path(), &[&url]));
    let customer = customer.service::<FakeCustomer>().start().await.unwrap();
    customer.ready(Duration::from_secs(20)).await.unwrap();
    assert_eq!(story(&customer, &world("apart")).await, STORY);
    customer.stop().await.unwrap();
    identity.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchanged_token_is_worth_nothing_without_its_service() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("binding", dir.path(), &[]).await;
    let now = jinke_types::Clock::now(&jinke_types::SystemClock);
    let mut exchanged = crate::support::claims("users/mei", &["identity"], now);
    exchanged.act = Some(jinke_kit::token::Actor {
        sub: "serviceAccounts/service-customer".into(),
    });
    let exchanged = crate::support::sign(&exchanged);
    let mut client = TokenServiceClient::new(remote(&running, Some(&exchanged)));
    let refused = failure(&client.get_caller(GetCallerRequest {}).await.unwrap_err());
    assert_eq!(refused.reason, "SERVICE_TOKEN_INVALID");
    let with = |token: String| {
        let mut request = Request::new(GetCallerRequest {});
        let value = format!("Bearer {token}").parse().unwrap();
        request
            .metadata_mut()
            .insert("x-jinke-service-token", value);
        request
    };
    let other = with(user_token("serviceAccounts/service-identity"));
    let refused = failure(&client.get_caller(other).await.unwrap_err());
    assert_eq!(refused.reason, "SERVICE_TOKEN_INVALID");
    client
        .get_caller(with(user_token("serviceAccounts/service-customer")))
        .await
        .unwrap();
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_follow_the_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("follow", dir.path(), &[]).await;
    let mut client = matcher(remote(&running, Some(&user_token("users/wang"))));
    client.match_party(party(0)).await.unwrap_err();
    let mut changed = crate::support::snapshot();
    changed.version = 2;
    changed
        .role_bindings
        .push(crate::support::binding(9, "users/wang", "steward", ""));
    *world("follow").snapshot.lock().unwrap() = Some(changed.clone());
    running
        .access("identity")
        .unwrap()
        .publish(&changed)
        .unwrap();
    let seen = running.access("customer").unwrap();
    tokio::time::timeout(Duration::from_secs(10), seen.newer_than(1))
        .await
        .unwrap();
    client.match_party(party(0)).await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_not_there_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite(
        "absent",
        dir.path(),
        &["peers.reporting=http://127.0.0.1:9"],
    )
    .await;
    let peers = running.peers("customer").unwrap();
    for (name, reason) in [
        ("pipeline", "PEER_UNKNOWN"),
        ("nonsense", "PEER_UNKNOWN"),
        ("reporting", "PEER_UNREACHABLE"),
    ] {
        let mut client = TokenServiceClient::new(peers.get(name));
        let failure = failure(&client.get_caller(GetCallerRequest {}).await.unwrap_err());
        assert_eq!(
            (failure.code, failure.reason),
            (jinke_types::Code::Unavailable, reason),
            "{name}"
        );
    }
    for (name, ready) in [
        ("identity", true),
        ("pipeline", false),
        ("reporting", false),
    ] {
        let check = peers.check(name);
        assert_eq!(check.name(), format!("peer:{name}"));
        assert_eq!(check.check().await.is_ok(), ready, "{name}");
    }
    let url = format!("peers.reporting=http://{}", running.addr());
    let other_dir = tempfile::tempdir().unwrap();
    let other = suite("absent-other", other_dir.path(), &[&url]).await;
    other
        .peers("customer")
        .unwrap()
        .check("reporting")
        .check()
        .await
        .unwrap();
    other.stop().await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_file_is_used_and_kept_private() {
    use jinke_kit::client::{Credential, Stored, connect, load, store};
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let running = suite("files", dir.path(), &[]).await;
    let endpoint = format!("http://{}", running.addr());
    let path = dir.path().join("home/credential.json");
    let stored = Stored {
        endpoint: endpoint.clone(),
        name: "serviceAccounts/service-customer".into(),
        access_token: String::new(),
        refresh_token: String::new(),
        key: "key-service-customer".into(),
    };
    store(&path, &stored).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(!format!("{stored:?}").contains("key-service"));
    let clock = std::sync::Arc::new(jinke_types::SystemClock);
    for _ in 0..2 {
        let peer = connect(
            &endpoint,
            Credential::File(path.clone()),
            None,
            clock.clone(),
        )
        .unwrap();
        let mut client = TokenServiceClient::new(peer);
        let caller = client
            .get_caller(GetCallerRequest {})
            .await
            .unwrap()
            .into_inner();
        assert_eq!(caller.name, "serviceAccounts/service-customer");
    }
    let written = load(&path).unwrap();
    assert!(
        written.access_token.starts_with("ey"),
        "the second program uses the first's token"
    );
    std::fs::write(&path, "{").unwrap();
    assert_eq!(load(&path).unwrap_err().reason, "CREDENTIAL_FILE");
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_programs_one_refreshes() {
    use jinke_kit::client::{Credential, Stored, connect, load, store};
    let dir = tempfile::tempdir().unwrap();
    let running = suite("refresh", dir.path(), &[]).await;
    let endpoint = format!("http://{}", running.addr());
    let path = dir.path().join("credential.json");
    let now = jinke_types::Clock::now(&jinke_types::SystemClock);
    let mut old = crate::support::claims("users/mei", &["identity"], now);
    old.exp = now.secs() + 5;
    let stored = Stored {
        endpoint: endpoint.clone(),
        name: "users/mei".into(),
        access_token: crate::support::sign(&old),
        refresh_token: "refresh-0".into(),
        key: String::new(),
    };
    store(&path, &stored).unwrap();
    let programs: Vec<_> = (0..8)
        .map(|_| {
            let clock = std::sync::Arc::new(jinke_types::SystemClock);
            let peer = connect(&endpoint, Credential::File(path.clone()), None, clock).unwrap();
            tokio::spawn(async move {
                TokenServiceClient::new(peer)
                    .get_caller(GetCallerRequest {})
                    .await
            })
        })
        .collect();
    for program in programs {
        assert_eq!(
            program.await.unwrap().unwrap().into_inner().name,
            "users/mei"
        );
    }
    // The identity of this world refuses a refresh token that was used.
    assert_eq!(load(&path).unwrap().refresh_token, "refresh-1");
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_asked_about_and_a_lost_identity_closes_the_door() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Host::builder(config("lost", dir.path(), &[]));
    let identity = identity.service::<FakeIdentity>().start().await.unwrap();
    let url = format!("peers.identity=http://{}", identity.addr());
    let set = [url.as_str(), "access.max_staleness_seconds=2"];
    let customer = Host::builder(config("lost", dir.path(), &set));
    let customer = customer.service::<FakeCustomer>().start().await.unwrap();
    customer.ready(Duration::from_secs(20)).await.unwrap();
    let mut client = matcher(remote(&customer, Some(&user_token("users/mei"))));
    // Nothing changes for twice the longest staleness, and calls go on.
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        client.match_party(party(0)).await.unwrap();
    }
    identity.stop().await.unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(8);
    let refused = loop {
        match client.match_party(party(0)).await {
            Ok(_) => assert!(std::time::Instant::now() < until, "the door stays open"),
            Err(status) => break status,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // Read off the wire: another test of this process fills the table of known reasons.
    let info = tonic_types::StatusExt::get_details_error_info(&refused).unwrap();
    assert_eq!(info.reason, "ACCESS_SNAPSHOT_STALE");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    customer.ready(Duration::ZERO).await.unwrap_err();
    customer.stop().await.unwrap();
}
