//! Identity as others meet it: over the network, through the whole stack of the kit.

use std::{path::Path, sync::Arc, time::Duration};

use jinke_identity::Identity;
use jinke_kit::{
    Config, Host, Peer, Running,
    client::{Credential, connect},
    failure,
};
use jinke_proto::jinke::identity::v1::{
    self as pb, access_service_client::AccessServiceClient,
    identity_service_client::IdentityServiceClient, token_service_client::TokenServiceClient,
};
use jinke_store::testing::Folder;
use jinke_types::SystemClock;
use tonic::{Code, Status};

/// Starts identity on SQLite with its data in `folder`.
async fn start(folder: &Path) -> Running {
    let config = Config::builder()
        .service::<Identity>()
        .set([
            "server.listen=127.0.0.1:0".to_owned(),
            "metrics.listen=127.0.0.1:0".to_owned(),
            "metrics.readiness_seconds=1".to_owned(),
            format!("server.data_dir={}", folder.display()),
            "identity.password.memory_kib=64".to_owned(),
        ])
        .load()
        .expect("the configuration holds");
    let running = Host::builder(config)
        .service::<Identity>()
        .start()
        .await
        .expect("it starts");
    running
        .ready(Duration::from_secs(20))
        .await
        .expect("it is ready");
    running
}

fn client(running: &Running, credential: Credential) -> Peer {
    let endpoint = format!("http://{}", running.addr());
    connect(&endpoint, credential, None, Arc::new(SystemClock)).expect("an endpoint")
}

fn with_token(running: &Running, token: &str) -> Peer {
    client(running, Credential::Token(token.to_owned()))
}

/// A value of `credentials/admin.toml`.
fn admin_file(folder: &Path, key: &str) -> String {
    let text = std::fs::read_to_string(folder.join("credentials/admin.toml")).expect("the file");
    let table: toml::Table = text.parse().expect("is TOML");
    table[key].as_str().expect("is text").to_owned()
}

async fn admin(running: &Running, folder: &Path) -> String {
    let request = pb::LoginWithKeyRequest {
        key: admin_file(folder, "key"),
        audiences: Vec::new(),
    };
    let answer = TokenServiceClient::new(client(running, Credential::None))
        .login_with_key(request)
        .await
        .expect("the key opens");
    answer.into_inner().tokens.expect("a pair").access_token
}

async fn login(
    running: &Running,
    user: &str,
    password: &str,
    new_password: &str,
) -> Result<pb::TokenPair, Status> {
    let request = pb::LoginRequest {
        user: user.to_owned(),
        password: password.to_owned(),
        new_password: new_password.to_owned(),
        audiences: Vec::new(),
    };
    let mut client = TokenServiceClient::new(client(running, Credential::None));
    client
        .login(request)
        .await
        .map(|a| a.into_inner().tokens.expect("a pair"))
}

fn new_user(id: &str, password: &str) -> pb::CreateUserRequest {
    pb::CreateUserRequest {
        user_id: id.to_owned(),
        user: Some(pb::User {
            display_name: "韩梅梅".to_owned(),
            ..pb::User::default()
        }),
        password: password.to_owned(),
        request_id: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_first_start_to_a_second_one() {
    let folder = Folder::fresh();
    let running = start(folder.path()).await;
    let once = admin_file(folder.path(), "one_time_password");
    let refused = login(&running, "admin", &once, "").await.unwrap_err();
    assert_eq!(failure(&refused).reason, "PASSWORD_CHANGE_REQUIRED");
    let pair = login(&running, "users/admin", &once, "my own password")
        .await
        .expect("logs in");
    let me = TokenServiceClient::new(with_token(&running, &pair.access_token))
        .get_caller(pb::GetCallerRequest {})
        .await
        .expect("he is somebody")
        .into_inner();
    assert_eq!(
        (me.name.as_str(), me.display_name.as_str()),
        ("users/admin", "管理员")
    );
    assert_eq!(me.roles, ["roles/administrator"]);
    assert_eq!(me.field_classes.len(), 11);
    let metrics = running.metrics().render();
    assert!(
        metrics.contains(
            r#"jinke_identity_logins_total{method="password",outcome="PASSWORD_CHANGE_REQUIRED"} 1"#
        ),
        "{metrics}"
    );
    running.stop().await.expect("it drains");

    let running = start(folder.path()).await;
    let again = TokenServiceClient::new(with_token(&running, &pair.access_token))
        .get_caller(pb::GetCallerRequest {})
        .await;
    assert!(again.is_ok(), "tokens outlive a restart");
    let refreshed = TokenServiceClient::new(client(&running, Credential::None))
        .refresh_token(pb::RefreshTokenRequest {
            refresh_token: pair.refresh_token,
        })
        .await;
    assert!(refreshed.is_ok(), "sessions outlive a restart");
    let old = login(&running, "admin", &once, "yet another one")
        .await
        .unwrap_err();
    assert_eq!(failure(&old).reason, "LOGIN_FAILED");
    running.stop().await.expect("it drains");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_fit_token_only_the_public_methods_answer() {
    let folder = Folder::fresh();
    let running = start(folder.path()).await;
    let keys = TokenServiceClient::new(client(&running, Credential::None))
        .list_signing_keys(pb::ListSigningKeysRequest {})
        .await;
    assert_eq!(keys.expect("is public").into_inner().keys.len(), 1);
    let list = async |peer: Peer| {
        IdentityServiceClient::new(peer)
            .list_users(pb::ListUsersRequest::default())
            .await
    };
    let nobody = list(client(&running, Credential::None)).await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unauthenticated);

    let token = admin(&running, folder.path()).await;
    assert_eq!(
        list(with_token(&running, &token))
            .await
            .unwrap()
            .into_inner()
            .users
            .len(),
        1
    );
    // The same claims under no signature, another algorithm, another key.
    let (header, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let other = start(Folder::fresh().path()).await;
    let foreign = {
        // A token of another enterprise: the same words, another key.
        let folder = Folder::fresh();
        let running = start(folder.path()).await;
        let token = admin(&running, folder.path()).await;
        running.stop().await.expect("it drains");
        token
    };
    other.stop().await.expect("it drains");
    for forged in [
        format!("{header}.{claims}."),
        format!("eyJhbGciOiJub25lIn0.{claims}."),
        format!(
            "{header}.{claims}.{}",
            signature.chars().rev().collect::<String>()
        ),
        foreign,
        "x".repeat(20_000),
    ] {
        let refused = list(with_token(&running, &forged)).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::Unauthenticated,
            "{}",
            refused.message()
        );
    }

    // A user without the permission, and a token for another area.
    IdentityServiceClient::new(with_token(&running, &token))
        .create_user(new_user("han.mei", "correct horse"))
        .await
        .expect("an administrator may");
    let pair = login(&running, "han.mei", "correct horse", "")
        .await
        .expect("logs in");
    let denied = list(with_token(&running, &pair.access_token))
        .await
        .unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let request = pb::LoginRequest {
        user: "han.mei".to_owned(),
        password: "correct horse".to_owned(),
        audiences: vec!["customer".to_owned()],
        ..pb::LoginRequest::default()
    };
    let elsewhere = TokenServiceClient::new(client(&running, Credential::None))
        .login(request)
        .await
        .expect("logs in")
        .into_inner();
    let elsewhere = elsewhere.tokens.expect("a pair").access_token;
    let refused = list(with_token(&running, &elsewhere)).await.unwrap_err();
    assert_eq!(failure(&refused).reason, "TOKEN_WRONG_AUDIENCE");
    running.stop().await.expect("it drains");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_hears_of_a_revocation_over_the_network() {
    let folder = Folder::fresh();
    let running = start(folder.path()).await;
    let key = std::fs::read_to_string(folder.path().join("credentials/service-customer.key"));
    let service = client(&running, Credential::Key(key.expect("the service's key")));
    let mut access = AccessServiceClient::new(service.clone());
    let present = access
        .get_access_snapshot(pb::GetAccessSnapshotRequest {})
        .await
        .expect("a service follows")
        .into_inner();
    let request = pb::WatchAccessSnapshotsRequest {
        after_version: present.version,
    };
    let mut stream = access
        .watch_access_snapshots(request)
        .await
        .expect("watches")
        .into_inner();

    let pair = login(
        &running,
        "admin",
        &admin_file(folder.path(), "one_time_password"),
        "own password 1",
    )
    .await
    .expect("logs in");
    let mut tokens = TokenServiceClient::new(with_token(&running, &pair.access_token));
    tokens
        .revoke_token(pb::RevokeTokenRequest {})
        .await
        .expect("ends his own session");
    let refused = tokens
        .get_caller(pb::GetCallerRequest {})
        .await
        .unwrap_err();
    assert_eq!(failure(&refused).reason, "SESSION_REVOKED");
    let revoked = async {
        loop {
            let next = stream
                .message()
                .await
                .expect("goes on")
                .expect("does not end");
            let snapshot = next.snapshot.expect("a snapshot");
            assert!(snapshot.version > present.version);
            if !snapshot.revoked_sessions.is_empty() {
                return snapshot.revoked_sessions.len();
            }
        }
    };
    let revoked = tokio::time::timeout(Duration::from_secs(10), revoked).await;
    assert_eq!(revoked.expect("soon"), 1);
    // Least privilege: following is all it may do here.
    let denied = IdentityServiceClient::new(service)
        .list_users(pb::ListUsersRequest::default())
        .await;
    assert_eq!(denied.unwrap_err().code(), Code::PermissionDenied);
    running
        .stop()
        .await
        .expect("it drains, the open stream notwithstanding");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_input_is_refused_by_name_and_the_service_stays_up() {
    let folder = Folder::fresh();
    let running = start(folder.path()).await;
    let token = admin(&running, folder.path()).await;
    let mut users = IdentityServiceClient::new(with_token(&running, &token));
    let mut named = async |change: &dyn Fn(&mut pb::CreateUserRequest)| {
        let mut request = new_user("han.mei", "correct horse");
        change(&mut request);
        let refused = users.create_user(request).await.expect_err("is refused");
        assert_eq!(
            refused.code(),
            Code::InvalidArgument,
            "{}",
            refused.message()
        );
        failure(&refused)
            .violations
            .into_iter()
            .map(|v| v.field)
            .collect::<Vec<_>>()
    };
    let huge = "名".repeat(3_500_000);
    assert_eq!(
        named(&|r| r.user.as_mut().unwrap().display_name = huge.clone()).await,
        ["user.display_name"]
    );
    assert_eq!(
        named(&|r| r.user.as_mut().unwrap().display_name = "a\0b".into()).await,
        ["user.display_name"]
    );
    assert_eq!(named(&|r| r.user_id = "../admin".into()).await, ["user_id"]);
    assert_eq!(
        named(&|r| r.password = "x".repeat(1_000_000)).await,
        ["password"]
    );
    assert_eq!(
        named(&|r| r.request_id = "\u{202e}".into()).await,
        ["request_id"]
    );
    assert_eq!(named(&|r| r.user = None).await, ["user"]);

    for (user, password) in [
        ("x".repeat(1_000_000), "y".to_owned()),
        ("a".into(), "\0".into()),
    ] {
        let refused = login(&running, &user, &password, "").await.unwrap_err();
        assert!([Code::InvalidArgument, Code::Unauthenticated].contains(&refused.code()));
    }
    let mut tokens = TokenServiceClient::new(client(&running, Credential::None));
    for text in [
        String::new(),
        "jr_".repeat(100_000),
        "jr_0000000000000000_\0".into(),
    ] {
        let request = pb::RefreshTokenRequest {
            refresh_token: text,
        };
        let refused = tokens.refresh_token(request).await.unwrap_err();
        assert_eq!(failure(&refused).reason, "REFRESH_TOKEN_REFUSED");
    }
    let mut access = AccessServiceClient::new(with_token(&running, &token));
    let policy = |cedar: String| pb::CreatePolicyRequest {
        policy_id: "p1".into(),
        policy: Some(pb::Policy {
            cedar,
            ..pb::Policy::default()
        }),
        ..pb::CreatePolicyRequest::default()
    };
    // Nesting that a parser without a limit would not survive.
    let deep = format!(
        "permit (principal, action, resource) when {{ {} }};",
        "(".repeat(60_000)
    );
    for cedar in ["x".repeat(100_000), deep] {
        let refused = access.create_policy(policy(cedar)).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::InvalidArgument,
            "{}",
            refused.message()
        );
    }
    assert!(
        users
            .list_users(pb::ListUsersRequest::default())
            .await
            .is_ok()
    );
    running.stop().await.expect("it drains");
}
