//! A small world: signing key, snapshot, an identity and a customer service that live in it.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey};
use jinke_kit::{
    Built, Config, Host, ResultExt, Running, Service, ServiceContext,
    access::Access,
    deadline::Call,
    token::{self, Actor, Claims},
};
use jinke_proto::jinke::{
    customer::v1 as customer,
    identity::v1::{self as identity, access_service_server, token_service_server},
    r#type::v1::FieldClass,
};
use jinke_types::{Clock, Failure, SystemClock, Timestamp};
use serde::Deserialize;
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

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
    let all: Vec<C> = (1..=10).map(|n| C::try_from(n).unwrap()).collect();
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
    pub running: AtomicUsize,
    pub entered: Notify,
    pub release: Notify,
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

#[derive(Deserialize)]
pub struct FakeConfig {
    world: String,
}

pub struct FakeIdentity;

impl Service for FakeIdentity {
    const NAME: &'static str = "identity";
    type Config = FakeConfig;
    const DEFAULT_CONFIG: &'static str = "[identity]\n# Name of the world.\nworld = \"\"\n";
    async fn build(ctx: ServiceContext<FakeConfig>) -> Result<Built, Failure> {
        let world = world(&ctx.config.world);
        if let Some(snapshot) = &*world.snapshot.lock().unwrap() {
            ctx.access.publish(snapshot)?;
        }
        for service in ["customer", "identity"] {
            let path = jinke_kit::client::service_key_file(&ctx.data_dir, service);
            jinke_kit::client::write_secret(&path, format!("key-service-{service}\n").as_bytes())
                .map_err(Failure::internal)?;
        }
        let rpc = IdentityRpc {
            world,
            access: ctx.access,
        };
        Ok(Built::new()
            .rpc(token_service_server::TokenServiceServer::new(rpc.clone()))
            .rpc(access_service_server::AccessServiceServer::new(rpc)))
    }
}

#[derive(Clone)]
struct IdentityRpc {
    world: Arc<World>,
    access: Access,
}

fn tokens(claims: &Claims) -> Option<identity::TokenPair> {
    let expires_in = Some(prost_types::Duration {
        seconds: 300,
        nanos: 0,
    });
    Some(identity::TokenPair {
        access_token: sign(claims),
        refresh_token: String::new(),
        expires_in,
    })
}

/// Methods this world has no use for. (Written as `async_trait` expands them, which does not look
/// into macros.)
macro_rules! unserved {
    ($($name:ident($request:ident) -> $response:ident;)*) => { $(
        fn $name<'life, 'answer>(
            &'life self,
            _: Request<identity::$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<identity::$response>, Status>> + Send + 'answer>>
        where
            'life: 'answer,
            Self: 'answer,
        {
            Box::pin(async { Err(Status::unimplemented("not in this world")) })
        }
    )* };
}

#[tonic::async_trait]
impl token_service_server::TokenService for IdentityRpc {
    unserved! {
        login(LoginRequest) -> LoginResponse;
        refresh_token(RefreshTokenRequest) -> RefreshTokenResponse;
        revoke_token(RevokeTokenRequest) -> RevokeTokenResponse;
        list_signing_keys(ListSigningKeysRequest) -> ListSigningKeysResponse;
        rotate_signing_key(RotateSigningKeyRequest) -> RotateSigningKeyResponse;
    }
    async fn login_with_key(
        &self,
        request: Request<identity::LoginWithKeyRequest>,
    ) -> Result<Response<identity::LoginWithKeyResponse>, Status> {
        self.world.logins.fetch_add(1, Ordering::SeqCst);
        let request = request.into_inner();
        let Some(account) = request.key.strip_prefix("key-") else {
            return Err(Status::unauthenticated("no such key"));
        };
        let audiences: Vec<_> = request.audiences.iter().map(String::as_str).collect();
        let audiences = if audiences.is_empty() {
            vec!["customer", "identity"]
        } else {
            audiences
        };
        let claims = claims(
            &format!("serviceAccounts/{account}"),
            &audiences,
            SystemClock.now(),
        );
        Ok(Response::new(identity::LoginWithKeyResponse {
            tokens: tokens(&claims),
            service_account: None,
        }))
    }
    async fn exchange_token(
        &self,
        request: Request<identity::ExchangeTokenRequest>,
    ) -> Result<Response<identity::ExchangeTokenResponse>, Status> {
        self.world.exchanges.fetch_add(1, Ordering::SeqCst);
        let grant = jinke_kit::grant(&request)?;
        let request = request.into_inner();
        let snapshot = self.access.fresh().or_status()?;
        let now = SystemClock.now();
        let subject =
            token::verify_signature(&request.subject_token, snapshot.keys(), now).or_status()?;
        let act = Some(Actor {
            sub: grant.caller.name.clone(),
        });
        let claims = Claims {
            aud: vec![request.audience],
            act,
            ..subject
        };
        Ok(Response::new(identity::ExchangeTokenResponse {
            tokens: tokens(&claims),
        }))
    }
    async fn get_caller(
        &self,
        request: Request<identity::GetCallerRequest>,
    ) -> Result<Response<identity::GetCallerResponse>, Status> {
        let grant = jinke_kit::grant(&request)?;
        let claims = jinke_kit::claims(&request)?;
        let call = Call::current().unwrap();
        let left = call.remaining().map_or(0, |d| d.as_millis());
        Ok(Response::new(identity::GetCallerResponse {
            name: grant.caller.name.clone(),
            display_name: format!(
                "actor={} request={} left_ms={left} sid={}",
                grant.caller.actor.as_deref().unwrap_or("-"),
                call.id,
                claims.sid
            ),
            ..Default::default()
        }))
    }
}

type Watch<T> = Pin<Box<dyn futures::Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl access_service_server::AccessService for IdentityRpc {
    unserved! {
        list_roles(ListRolesRequest) -> ListRolesResponse;
        create_role_binding(CreateRoleBindingRequest) -> RoleBinding;
        list_role_bindings(ListRoleBindingsRequest) -> ListRoleBindingsResponse;
        delete_role_binding(DeleteRoleBindingRequest) -> DeleteRoleBindingResponse;
        create_policy(CreatePolicyRequest) -> Policy;
        list_policies(ListPoliciesRequest) -> ListPoliciesResponse;
        delete_policy(DeletePolicyRequest) -> DeletePolicyResponse;
        check_access(CheckAccessRequest) -> CheckAccessResponse;
    }
    async fn get_access_snapshot(
        &self,
        _: Request<identity::GetAccessSnapshotRequest>,
    ) -> Result<Response<identity::AccessSnapshot>, Status> {
        Ok(Response::new(
            self.world
                .snapshot
                .lock()
                .unwrap()
                .clone()
                .unwrap_or_default(),
        ))
    }
    type WatchAccessSnapshotsStream = Watch<identity::WatchAccessSnapshotsResponse>;
    async fn watch_access_snapshots(
        &self,
        request: Request<identity::WatchAccessSnapshotsRequest>,
    ) -> Result<Response<Self::WatchAccessSnapshotsStream>, Status> {
        let (this, after) = (self.clone(), request.into_inner().after_version);
        Ok(Response::new(Box::pin(futures::stream::unfold(
            after,
            move |after| {
                let this = this.clone();
                async move {
                    let version = this.access.newer_than(after).await;
                    let snapshot = this.world.snapshot.lock().unwrap().clone();
                    Some((
                        Ok(identity::WatchAccessSnapshotsResponse { snapshot }),
                        version,
                    ))
                }
            },
        ))))
    }
}

pub struct FakeCustomer;

impl Service for FakeCustomer {
    const NAME: &'static str = "customer";
    type Config = FakeConfig;
    const DEFAULT_CONFIG: &'static str = "[customer]\n# Name of the world.\nworld = \"\"\n";
    async fn build(ctx: ServiceContext<FakeConfig>) -> Result<Built, Failure> {
        let rpc = CustomerRpc {
            world: world(&ctx.config.world),
            peers: ctx.peers,
        };
        let server = customer::match_service_server::MatchServiceServer::new(rpc)
            .max_decoding_message_size(ctx.request_bytes);
        let shutdown = ctx.shutdown.clone();
        Ok(Built::new().rpc(server).task("idle", async move {
            shutdown.wait().await;
            Ok(())
        }))
    }
}

struct CustomerRpc {
    world: Arc<World>,
    peers: jinke_kit::Peers,
}

/// What `MatchParty` does, by its page size.
pub mod act {
    pub const WAIT: i32 = 1;
    pub const PANIC: i32 = 2;
    pub const INTERNAL: i32 = 3;
    pub const CALL_PEER: i32 = 4;
    pub const FIELDS: i32 = 5;
    pub const CALL_PEER_ALONE: i32 = 6;
}

#[tonic::async_trait]
impl customer::match_service_server::MatchService for CustomerRpc {
    /// Tells what the handler knows about the call.
    async fn list_rule_sets(
        &self,
        request: Request<customer::ListRuleSetsRequest>,
    ) -> Result<Response<customer::ListRuleSetsResponse>, Status> {
        let grant = jinke_kit::grant(&request)?;
        let classes: Vec<_> = grant
            .mask
            .classes()
            .map(jinke_types::FieldClass::as_str)
            .collect();
        let text = format!(
            "{} {:?} {}",
            grant.caller.name,
            grant.scope,
            classes.join(",")
        );
        let rule_set = customer::RuleSet {
            text,
            ..Default::default()
        };
        Ok(Response::new(customer::ListRuleSetsResponse {
            rule_sets: vec![rule_set],
        }))
    }
    async fn explain_match(
        &self,
        _: Request<customer::ExplainMatchRequest>,
    ) -> Result<Response<customer::MatchExplanation>, Status> {
        Ok(Response::new(customer::MatchExplanation::default()))
    }
    async fn match_party(
        &self,
        request: Request<customer::MatchPartyRequest>,
    ) -> Result<Response<customer::MatchPartyResponse>, Status> {
        let identity = self.peers.get("identity");
        let peer = match request.get_ref().page_size {
            act::WAIT => {
                self.world.running.fetch_add(1, Ordering::SeqCst);
                self.world.entered.notify_one();
                self.world.release.notified().await;
                return Ok(Response::new(customer::MatchPartyResponse::default()));
            }
            act::PANIC => panic!("as asked"),
            act::INTERNAL => return Err(Failure::internal("table 手机号 is broken")).or_status(),
            act::FIELDS => {
                return Err(Failure::field("party.values[2]", "is bad").with("n", 2)).or_status();
            }
            act::CALL_PEER => identity.acting_for(&jinke_kit::bearer(&request)?),
            act::CALL_PEER_ALONE => identity,
            _ => return Ok(Response::new(customer::MatchPartyResponse::default())),
        };
        let mut client = identity::token_service_client::TokenServiceClient::new(peer);
        let caller = client
            .get_caller(identity::GetCallerRequest {})
            .await?
            .into_inner();
        let customer = customer::Customer {
            name: caller.name,
            display_name: caller.display_name,
            ..Default::default()
        };
        let candidate = customer::match_party_response::Candidate {
            customer: Some(customer),
            ..Default::default()
        };
        Ok(Response::new(customer::MatchPartyResponse {
            candidates: vec![candidate],
        }))
    }
}

pub fn party(page_size: i32) -> customer::MatchPartyRequest {
    customer::MatchPartyRequest {
        party: None,
        page_size,
    }
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
