//! An identity and a customer service as small as the tests allow.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
};

use jinke_kit::{
    Built, ResultExt, Service, ServiceContext,
    access::Access,
    deadline::Call,
    token::{self, Actor, Claims},
};
use jinke_proto::google::longrunning;
use jinke_proto::jinke::{
    customer::v1 as customer,
    identity::v1::{self as identity, access_service_server, token_service_server},
};
use jinke_types::{
    Clock, Code, Failure, Operation, OperationAnswer, OperationLog, OperationQuery, OperationState,
    SystemClock,
};
use serde::Deserialize;
use tonic::{Request, Response, Status};

use crate::support::{World, claims, sign, world};

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
    ($module:ident: $($name:ident($request:ident) -> $response:path;)*) => { $(
        fn $name<'life, 'answer>(
            &'life self,
            _: Request<$module::$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<$response>, Status>> + Send + 'answer>>
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
    unserved! { identity:
        login(LoginRequest) -> identity::LoginResponse;
        revoke_token(RevokeTokenRequest) -> identity::RevokeTokenResponse;
        list_signing_keys(ListSigningKeysRequest) -> identity::ListSigningKeysResponse;
        rotate_signing_key(RotateSigningKeyRequest) -> identity::RotateSigningKeyResponse;
    }
    async fn refresh_token(
        &self,
        request: Request<identity::RefreshTokenRequest>,
    ) -> Result<Response<identity::RefreshTokenResponse>, Status> {
        let used = self.world.refreshes.fetch_add(1, Ordering::SeqCst);
        if request.into_inner().refresh_token != format!("refresh-{used}") {
            return Err(Status::unauthenticated("used before"));
        }
        let claims = claims("users/mei", &["customer", "identity"], SystemClock.now());
        let tokens = tokens(&claims).map(|mut pair| {
            pair.refresh_token = format!("refresh-{}", used + 1);
            pair
        });
        Ok(Response::new(identity::RefreshTokenResponse { tokens }))
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
    unserved! { identity:
        list_roles(ListRolesRequest) -> identity::ListRolesResponse;
        create_role_binding(CreateRoleBindingRequest) -> identity::RoleBinding;
        list_role_bindings(ListRoleBindingsRequest) -> identity::ListRoleBindingsResponse;
        delete_role_binding(DeleteRoleBindingRequest) -> identity::DeleteRoleBindingResponse;
        create_policy(CreatePolicyRequest) -> identity::Policy;
        update_policy(UpdatePolicyRequest) -> identity::Policy;
        list_policies(ListPoliciesRequest) -> identity::ListPoliciesResponse;
        delete_policy(DeletePolicyRequest) -> identity::DeletePolicyResponse;
        check_access(CheckAccessRequest) -> identity::CheckAccessResponse;
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
        if after < 0 {
            return Err(Failure::field("after_version", "must not be negative")).or_status();
        }
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
        let world = world(&ctx.config.world);
        let audit = Arc::clone(&world.audit);
        let rpc = CustomerRpc {
            world,
            peers: ctx.peers,
        };
        let operations = Arc::new(FakeOperations::default());
        let server = customer::match_service_server::MatchServiceServer::new(rpc)
            .max_decoding_message_size(ctx.request_bytes);
        let shutdown = ctx.shutdown.clone();
        Ok(Built::new()
            .rpc(server)
            .audit(audit)
            .operations(operations)
            .task("idle", async move {
                shutdown.wait().await;
                Ok(())
            }))
    }
}

/// Three operations: two of mei's, one of which has ended, and one of wang's.
pub struct FakeOperations(std::sync::Mutex<Vec<Operation>>);

impl Default for FakeOperations {
    fn default() -> Self {
        let one = |id: i64, caller: &str, state: OperationState| Operation {
            id,
            kind: "rebuild".into(),
            state,
            caller: caller.into(),
            request: Vec::new(),
            result: (state == OperationState::Succeeded).then(|| {
                let report = customer::RebuildReport {
                    records: 7,
                    ..Default::default()
                };
                prost::Message::encode_to_vec(&jinke_kit::operations::pack(&report))
            }),
            failure: None,
            done: id,
            total: 10,
            checkpoint: None,
            cancel_requested: false,
            attempts: 1,
            create_time: jinke_types::Timestamp(0),
            update_time: jinke_types::Timestamp(0),
        };
        Self(std::sync::Mutex::new(vec![
            one(3, "users/wang", OperationState::Running),
            one(2, "users/mei", OperationState::Running),
            one(1, "users/mei", OperationState::Succeeded),
        ]))
    }
}

impl OperationLog for FakeOperations {
    fn get(&self, id: i64) -> OperationAnswer<'_, Operation> {
        let all = self.0.lock().unwrap();
        let found = all.iter().find(|o| o.id == id).cloned();
        Box::pin(async move { found.ok_or_else(|| Failure::not_found("the operation")) })
    }
    fn list(&self, query: OperationQuery) -> OperationAnswer<'_, Vec<Operation>> {
        let all = self.0.lock().unwrap();
        let mut found: Vec<Operation> = all
            .iter()
            .filter(|o| query.before.is_none_or(|b| o.id < b))
            .filter(|o| query.caller.as_ref().is_none_or(|c| *c == o.caller))
            .filter(|o| {
                query
                    .done
                    .is_none_or(|d| d == (o.state != OperationState::Running))
            })
            .cloned()
            .collect();
        found.truncate(query.limit as usize);
        Box::pin(async move { Ok(found) })
    }
    fn cancel(&self, id: i64) -> OperationAnswer<'_, Operation> {
        let mut all = self.0.lock().unwrap();
        let found = all.iter_mut().find(|o| o.id == id).unwrap();
        found.cancel_requested = true;
        let found = found.clone();
        Box::pin(async move { Ok(found) })
    }
    fn delete(&self, id: i64) -> OperationAnswer<'_, ()> {
        self.0.lock().unwrap().retain(|o| o.id != id);
        Box::pin(async { Ok(()) })
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
    pub const PHONE: i32 = 7;
    pub const FORBIDDEN: i32 = 8;
}

#[tonic::async_trait]
impl customer::match_service_server::MatchService for CustomerRpc {
    unserved! { customer:
        get_rule_set(GetRuleSetRequest) -> customer::RuleSet;
        create_rule_set(CreateRuleSetRequest) -> customer::RuleSet;
        train_rule_set(TrainRuleSetRequest) -> longrunning::Operation;
        evaluate_rule_set(EvaluateRuleSetRequest) -> longrunning::Operation;
        dry_run_rule_set(DryRunRuleSetRequest) -> longrunning::Operation;
        get_dry_run(GetDryRunRequest) -> customer::DryRun;
        list_dry_run_differences(ListDryRunDifferencesRequest)
            -> customer::ListDryRunDifferencesResponse;
        delete_dry_run(DeleteDryRunRequest) -> customer::DeleteDryRunResponse;
        activate_rule_set(ActivateRuleSetRequest) -> longrunning::Operation;
        rebuild_customers(RebuildCustomersRequest) -> longrunning::Operation;
    }
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
            act::PHONE => return Ok(Response::new(with_phone())),
            act::FORBIDDEN => {
                let why = Failure::new(Code::PermissionDenied, "FIELD_CLASS_DENIED", "no");
                return Err(why).or_status();
            }
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

/// A candidate whose phone is shown.
fn with_phone() -> customer::MatchPartyResponse {
    let phone = customer::Value {
        attribute: "phone".into(),
        datum: Some(customer::value::Datum::Text("13800001111".into())),
        ..Default::default()
    };
    let customer = customer::Customer {
        name: "customers/7".into(),
        values: vec![customer::GoldenValue {
            value: Some(phone),
            ..Default::default()
        }],
        ..Default::default()
    };
    customer::MatchPartyResponse {
        candidates: vec![customer::match_party_response::Candidate {
            customer: Some(customer),
            ..Default::default()
        }],
    }
}

pub fn party(page_size: i32) -> customer::MatchPartyRequest {
    customer::MatchPartyRequest {
        party: None,
        page_size,
    }
}
