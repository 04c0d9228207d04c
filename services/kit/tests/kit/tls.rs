//! TLS and mTLS with certificates made for the test.

use std::{path::Path, sync::Arc};

use jinke_kit::{
    client::{Credential, connect},
    tls::ClientTls,
};
use jinke_types::SystemClock;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::fakes::party;
use crate::support::{config, matcher, suite, user_token};

/// Writes an authority `<name>.pem`, and below it certificates and keys of a server and a client.
fn authority(dir: &Path, name: &str) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(dir.join(format!("{name}.pem")), ca.pem()).unwrap();
    for who in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["jinke.test".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &ca).unwrap();
        std::fs::write(dir.join(format!("{name}-{who}.pem")), cert.pem()).unwrap();
        std::fs::write(dir.join(format!("{name}-{who}.key")), key.serialize_pem()).unwrap();
    }
}

fn tls(dir: &Path, ca: &str, client: Option<&str>) -> ClientTls {
    let file = |name: Option<String>| name.map_or_else(Default::default, |n| dir.join(n));
    ClientTls {
        ca_file: dir.join(format!("{ca}.pem")),
        cert_file: file(client.map(|c| format!("{c}-client.pem"))),
        key_file: file(client.map(|c| format!("{c}-client.key"))),
        domain: "jinke.test".into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_decide_who_gets_through() {
    let dir = tempfile::tempdir().unwrap();
    authority(dir.path(), "ours");
    authority(dir.path(), "theirs");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let set = |client_ca: bool| {
        let mut set = vec![
            format!("server.tls.cert_file={}", path("ours-server.pem")),
            format!("server.tls.key_file={}", path("ours-server.key")),
        ];
        if client_ca {
            set.push(format!("server.tls.client_ca_file={}", path("ours.pem")));
        }
        set
    };
    for (mutual, ca, client, through) in [
        (false, "ours", None, true),
        (false, "theirs", None, false),
        (true, "ours", Some("ours"), true),
        (true, "ours", None, false),
        (true, "ours", Some("theirs"), false),
    ] {
        let set = set(mutual);
        let set: Vec<_> = set.iter().map(String::as_str).collect();
        let name = format!("tls-{mutual}-{ca}-{client:?}");
        let data = dir.path().join(&name);
        let running = suite(&name, &data, &set).await;
        let endpoint = format!("https://{}", running.addr());
        let token = Credential::Token(user_token("users/mei"));
        let tls = tls(dir.path(), ca, client);
        let peer = connect(&endpoint, token.clone(), Some(&tls), Arc::new(SystemClock)).unwrap();
        let outcome = matcher(peer).match_party(party(0)).await;
        assert_eq!(outcome.is_ok(), through, "{name}: {outcome:?}");
        // In the clear nobody gets through.
        let plain = endpoint.replace("https", "http");
        let peer = connect(&plain, token, None, Arc::new(SystemClock)).unwrap();
        matcher(peer).match_party(party(0)).await.unwrap_err();
        running.stop().await.unwrap();
    }
}

/// Servers and clients go over to renewed certificates, and to a new authority, without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewed_certificates_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    authority(dir.path(), "ours");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let set = [
        format!("server.tls.cert_file={}", path("ours-server.pem")),
        format!("server.tls.key_file={}", path("ours-server.key")),
        format!("server.tls.client_ca_file={}", path("ours.pem")),
    ];
    let set: Vec<_> = set.iter().map(String::as_str).collect();
    let running = suite("tls-renewed", &dir.path().join("data"), &set).await;
    let endpoint = format!("https://{}", running.addr());
    let token = Credential::Token(user_token("users/mei"));
    let connected = |tls: &ClientTls| {
        connect(&endpoint, token.clone(), Some(tls), Arc::new(SystemClock)).unwrap()
    };
    let follows = tls(dir.path(), "ours", Some("ours"));
    let peer = connected(&follows);
    matcher(peer.clone()).match_party(party(0)).await.unwrap();
    // What one client held before stays what it was.
    let old = dir.path().join("old");
    std::fs::create_dir(&old).unwrap();
    for name in ["ours.pem", "ours-client.pem", "ours-client.key"] {
        std::fs::copy(dir.path().join(name), old.join(name)).unwrap();
    }
    let stale = tls(&old, "ours", Some("ours"));

    authority(dir.path(), "ours");
    tokio::time::sleep(jinke_kit::tls::LOOK_AGAIN).await;
    // The peer that follows the files has a new channel, the other is neither trusted nor trusts.
    matcher(peer).match_party(party(0)).await.unwrap();
    let outcome = matcher(connected(&stale)).match_party(party(0)).await;
    assert!(outcome.is_err(), "{outcome:?}");

    // Files that cannot be used leave in force what was read before.
    std::fs::write(dir.path().join("ours-server.pem"), "no certificate").unwrap();
    tokio::time::sleep(jinke_kit::tls::LOOK_AGAIN).await;
    let fresh = connected(&follows);
    matcher(fresh).match_party(party(0)).await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn files_that_are_wrong_are_named() {
    let dir = tempfile::tempdir().unwrap();
    authority(dir.path(), "ours");
    let cert = format!(
        "server.tls.cert_file={}",
        dir.path().join("ours-server.pem").display()
    );
    for (set, part) in [
        (vec![cert.as_str()], "go together"),
        (
            vec![cert.as_str(), "server.tls.key_file=/nowhere.key"],
            "/nowhere.key",
        ),
        (
            vec!["server.tls.client_ca_file=/nowhere.pem"],
            "needs server.tls.cert_file",
        ),
    ] {
        let config = config("tls-files", dir.path(), &set);
        let failure = jinke_kit::Host::builder(config)
            .service::<crate::fakes::FakeIdentity>()
            .start()
            .await
            .err()
            .unwrap();
        assert_eq!(failure.reason, "CONFIG");
        assert!(failure.message.contains(part), "{failure}");
    }
}
