//! A small world: signing key, snapshot, an identity and a customer service that live in it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, atomic::AtomicUsize},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey};
use jinke_kit::{
    Config, Host, Running,
    token::{self, Claims},
};
use jinke_proto::jinke::{
    customer::v1 as customer, identity::v1 as identity, r#type::v1::FieldClass,
};
use jinke_types::{Clock, SystemClock, Timestamp};
use tokio::sync::Notify;

use crate::fakes::{FakeCustomer, FakeIdentity};

/// A signing key that is the same in every run.
pub fn signing_key(seed: u8) -> (Vec<u8>, identity::SigningKey) {
    let key = SigningKey::from_bytes(&[seed; 32]);
    let public = identity::SigningKey {
        kid: format!("k{seed}"),
        kty: "OKP".into(),
        crv: "Ed25519".into(),
        alg: "EdDSA".into(),
        x: URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes()),
        expire_time: None,
    };
    (key.to_pkcs8_der().unwrap().as_bytes().to_vec(), public)
}

pub fn claims(sub: &str, aud: &[&str], now: Timestamp) -> Claims {
    Claims {
        iss: token::ISSUER.into(),
        sub: sub.into(),
        aud: aud.iter().map(|a| (*a).to_owned()).collect(),
        exp: now.secs() + 300,
        nbf: now.secs(),
        iat: now.secs(),
        jti: "t1".into(),
        sid: format!("session-of-{sub}"),
        act: None,
    }
}

pub fn sign(claims: &Claims) -> String {
    token::sign(claims, "k1", &signing_key(1).0).unwrap()
}

pub fn user_token(sub: &str) -> String {
    sign(&claims(sub, &["customer", "identity"], SystemClock.now()))
}

pub fn role(name: &str, permissions: &[&str], classes: &[FieldClass]) -> identity::Role {
    identity::Role {
        name: format!("roles/{name}"),
        permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
        field_classes: classes.iter().map(|c| *c as i32).collect(),
        ..Default::default()
    }
}

pub fn binding(n: usize, member: &str, role: &str, unit: &str) -> identity::RoleBinding {
    identity::RoleBinding {
        name: format!("roleBindings/b{n}"),
        member: member.into(),
        role: format!("roles/{role}"),
        org_unit: unit.into(),
        create_time: None,
    }
}

pub fn org_unit(id: &str, parent: &str) -> identity::OrgUnit {
    identity::OrgUnit {
        name: format!("orgUnits/{id}"),
        parent: if parent.is_empty() {
            String::new()
        } else {
            format!("orgUnits/{parent}")
        },
        ..Default::default()
    }
}

pub fn policy(id: &str, cedar: &str) -> identity::Policy {
    identity::Policy {
        name: format!("policies/{id}"),
        cedar: cedar.into(),
        ..Default::default()
    }
}

/// Four roles, six members, three org units.
///
/// ```text
/// group (enterprise) ── east ── shanghai
///                    └─ west
/// ```
pub fn snapshot() -> identity::AccessSnapshot {
    use FieldClass as C;
    let all: Vec<C> = (1..=11).map(|n| C::try_from(n).unwrap()).collect();
    identity::AccessSnapshot {
        version: 1,
        roles: vec![
            role("administrator", &["*"], &all),
            role(
                "steward",
                &["customer.*"],
                &[C::Public, C::PersonName, C::Contact],
            ),
            role(
                "sales",
                &["customer.customers.get", "customer.customers.list"],
                &[C::Public],
            ),
            role(
                "service",
                &[
                    "customer.*",
                    "identity.tokens.exchange",
                    "identity.access.follow",
                ],
                &all,
            ),
            role(
                "exporter",
                &["customer.customers.*"],
                &[C::Public, C::Financial],
            ),
        ],
        role_bindings: vec![
            binding(1, "users/admin", "administrator", ""),
            binding(2, "users/mei", "steward", ""),
            binding(3, "users/wang", "sales", "orgUnits/east"),
            binding(4, "serviceAccounts/service-customer", "service", ""),
            binding(5, "serviceAccounts/service-identity", "service", ""),
            binding(6, "users/li", "steward", ""),
            binding(
                7,
                "serviceAccounts/exporter",
                "exporter",
                "orgUnits/shanghai",
            ),
        ],
        policies: vec![policy(
            "no-merge-in-west",
            r#"forbid(principal in Role::"steward", action == Action::"customer.customers.merge",
               resource in OrgUnit::"west");"#,
        )],
        org_units: vec![
            org_unit("east", ""),
            org_unit("shanghai", "east"),
            org_unit("west", ""),
        ],
        disabled_members: vec!["users/li".into()],
        signing_keys: vec![signing_key(1).1],
        revoked_sessions: vec!["stolen".into()],
        member_org_units: [("users/wang".to_owned(), "orgUnits/east".to_owned())].into(),
    }
}

/// What a test sees of its services.
#[derive(Default)]
pub struct World {
    pub snapshot: Mutex<Option<identity::AccessSnapshot>>,
    pub logins: AtomicUsize,
    pub exchanges: AtomicUsize,
    pub refreshes: AtomicUsize,
    pub running: AtomicUsize,
    pub entered: Notify,
    pub release: Notify,
    pub audit: Arc<crate::audit::Kept>,
}

/// Worlds by name: a service is built from its configuration alone.
fn worlds() -> &'static Mutex<BTreeMap<String, Arc<World>>> {
    static WORLDS: OnceLock<Mutex<BTreeMap<String, Arc<World>>>> = OnceLock::new();
    WORLDS.get_or_init(Mutex::default)
}

pub fn world(name: &str) -> Arc<World> {
    let mut worlds = worlds().lock().unwrap();
    Arc::clone(worlds.entry(name.to_owned()).or_insert_with(|| {
        Arc::new(World {
            snapshot: Mutex::new(Some(snapshot())),
            ..World::default()
        })
    }))
}

/// A configuration for tests: free ports, a directory of its own, the world `name`.
pub fn config(name: &str, data_dir: &std::path::Path, set: &[&str]) -> Config {
    let mut flags = vec![
        "server.listen=127.0.0.1:0".to_owned(),
        "metrics.listen=127.0.0.1:0".to_owned(),
        "metrics.readiness_seconds=1".to_owned(),
        format!("server.data_dir={}", data_dir.display()),
        format!("identity.world={name}"),
        format!("customer.world={name}"),
    ];
    flags.extend(set.iter().map(|s| (*s).to_owned()));
    Config::builder()
        .service::<FakeIdentity>()
        .service::<FakeCustomer>()
        .set(flags)
        .load()
        .unwrap()
}

/// Both services in one process, ready.
pub async fn suite(name: &str, data_dir: &std::path::Path, set: &[&str]) -> Running {
    let running = Host::builder(config(name, data_dir, set))
        .service::<FakeCustomer>()
        .service::<FakeIdentity>()
        .start()
        .await
        .unwrap();
    running.ready(Duration::from_secs(20)).await.unwrap();
    running
}

/// A client over the network.
pub fn remote(running: &Running, token: Option<&str>) -> jinke_kit::Peer {
    let credential = token.map_or(jinke_kit::client::Credential::None, |t| {
        jinke_kit::client::Credential::Token(t.to_owned())
    });
    let endpoint = format!("http://{}", running.addr());
    jinke_kit::client::connect(&endpoint, credential, None, Arc::new(SystemClock)).unwrap()
}

pub fn matcher(
    peer: jinke_kit::Peer,
) -> customer::match_service_client::MatchServiceClient<jinke_kit::Peer> {
    customer::match_service_client::MatchServiceClient::new(peer)
}

/// What a plain HTTP/1.1 GET of the operators' listener answers.
pub async fn get(running: &Running, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = tokio::net::TcpStream::connect(running.admin_addr().unwrap())
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}
