//! The gRPC services. Every operation lives in a file of its own below.
//!
//! Whether the caller may call the method was decided before (`jinke_kit::auth`); an operation
//! still keeps to the rows of the grant's scope.

mod audit_service;
mod check_access;
mod create_org_unit;
mod create_policy;
mod create_role_binding;
mod create_service_account;
mod create_service_account_key;
mod create_user;
mod delete_policy;
mod delete_role_binding;
mod delete_service_account_key;
pub(crate) mod deliver_audit_events;
mod disable_service_account;
mod disable_user;
mod enable_service_account;
mod enable_user;
mod exchange_token;
mod get_access_snapshot;
mod get_caller;
mod get_org_unit;
mod get_service_account;
mod get_user;
mod link_user;
mod list_audit_events;
mod list_audit_trails;
mod list_directory_links;
mod list_org_units;
mod list_policies;
mod list_role_bindings;
mod list_roles;
mod list_service_account_keys;
mod list_service_accounts;
mod list_signing_keys;
mod list_users;
mod login;
mod login_with_key;
mod refresh_token;
mod reset_password;
mod revoke_token;
mod rotate_signing_key;
mod sync_directory;
mod update_org_unit;
mod update_policy;
mod update_service_account;
mod update_user;
mod verify_audit_trail;
mod watch_access_snapshots;

use std::{pin::Pin, sync::Arc};

use jinke_kit::{Built, Shutdown, claims, grant, status};
use jinke_proto::jinke::identity::v1::{
    self as pb,
    access_service_server::{AccessService, AccessServiceServer},
    directory_service_server::{DirectoryService, DirectoryServiceServer},
    identity_service_server::{IdentityService, IdentityServiceServer},
    token_service_server::{TokenService, TokenServiceServer},
};
use jinke_store::Conn;
use jinke_types::Failure;
use prost::Message;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use crate::{
    core::{Core, Once},
    error,
    store::org_units,
};

/// Adds the services to what is built.
pub(crate) fn add(
    built: Built,
    core: &Arc<Core>,
    shutdown: &Shutdown,
    request_bytes: usize,
) -> Built {
    let tokens = TokenServiceServer::new(Tokens(Arc::clone(core)));
    let identity = IdentityServiceServer::new(Members(Arc::clone(core)));
    let access = AccessServiceServer::new(Rights {
        core: Arc::clone(core),
        shutdown: shutdown.clone(),
    });
    let directories = DirectoryServiceServer::new(Directories(Arc::clone(core)));
    let trails = audit_service::server(core);
    built
        .rpc(trails.max_decoding_message_size(request_bytes))
        .rpc(directories.max_decoding_message_size(request_bytes))
        .rpc(tokens.max_decoding_message_size(request_bytes))
        .rpc(identity.max_decoding_message_size(request_bytes))
        .rpc(access.max_decoding_message_size(request_bytes))
}

/// `TokenService`.
struct Tokens(Arc<Core>);
/// `IdentityService`.
struct Members(Arc<Core>);
/// `DirectoryService`.
struct Directories(Arc<Core>);
/// `AccessService`.
struct Rights {
    core: Arc<Core>,
    shutdown: Shutdown,
}

fn answer<T>(result: Result<T, Failure>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(status)
}

/// A request that must not happen twice.
fn once<'a>(method: &'static str, id: &'a str, request: &impl Message) -> Once<'a> {
    Once {
        method,
        id,
        body: request.encode_to_vec(),
    }
}

/// Refuses a reference to an org unit that does not exist; empty is the enterprise itself.
async fn org_unit_exists(conn: &mut Conn, field: &str, id: &str) -> Result<(), Failure> {
    if id.is_empty() || org_units::exists(conn, id).await? {
        return Ok(());
    }
    Err(error::missing_reference(field, format!("orgUnits/{id}")))
}

#[tonic::async_trait]
impl TokenService for Tokens {
    async fn login(
        &self,
        request: Request<pb::LoginRequest>,
    ) -> Result<Response<pb::LoginResponse>, Status> {
        let result = login::run(&self.0, request.into_inner()).await;
        answer(self.0.counted("password", result))
    }

    async fn login_with_key(
        &self,
        request: Request<pb::LoginWithKeyRequest>,
    ) -> Result<Response<pb::LoginWithKeyResponse>, Status> {
        let result = login_with_key::run(&self.0, request.into_inner()).await;
        answer(self.0.counted("key", result))
    }

    async fn refresh_token(
        &self,
        request: Request<pb::RefreshTokenRequest>,
    ) -> Result<Response<pb::RefreshTokenResponse>, Status> {
        let result = refresh_token::run(&self.0, request.into_inner()).await;
        answer(self.0.counted("refresh", result))
    }

    async fn exchange_token(
        &self,
        request: Request<pb::ExchangeTokenRequest>,
    ) -> Result<Response<pb::ExchangeTokenResponse>, Status> {
        let grant = grant(&request)?;
        answer(exchange_token::run(&self.0, &grant, request.get_ref()))
    }

    async fn revoke_token(
        &self,
        request: Request<pb::RevokeTokenRequest>,
    ) -> Result<Response<pb::RevokeTokenResponse>, Status> {
        let claims = claims(&request)?;
        answer(revoke_token::run(&self.0, &claims.sid).await)
    }

    async fn list_signing_keys(
        &self,
        _request: Request<pb::ListSigningKeysRequest>,
    ) -> Result<Response<pb::ListSigningKeysResponse>, Status> {
        answer(Ok(list_signing_keys::run(&self.0)))
    }

    async fn rotate_signing_key(
        &self,
        request: Request<pb::RotateSigningKeyRequest>,
    ) -> Result<Response<pb::RotateSigningKeyResponse>, Status> {
        let grant = grant(&request)?;
        answer(rotate_signing_key::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn get_caller(
        &self,
        request: Request<pb::GetCallerRequest>,
    ) -> Result<Response<pb::GetCallerResponse>, Status> {
        let grant = grant(&request)?;
        answer(get_caller::run(&self.0, &grant).await)
    }
}

#[tonic::async_trait]
impl IdentityService for Members {
    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::User>, Status> {
        let grant = grant(&request)?;
        answer(create_user::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn get_user(
        &self,
        request: Request<pb::GetUserRequest>,
    ) -> Result<Response<pb::User>, Status> {
        let grant = grant(&request)?;
        answer(get_user::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        let grant = grant(&request)?;
        answer(list_users::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn update_user(
        &self,
        request: Request<pb::UpdateUserRequest>,
    ) -> Result<Response<pb::User>, Status> {
        let grant = grant(&request)?;
        answer(update_user::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn disable_user(
        &self,
        request: Request<pb::DisableUserRequest>,
    ) -> Result<Response<pb::User>, Status> {
        let grant = grant(&request)?;
        answer(disable_user::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn enable_user(
        &self,
        request: Request<pb::EnableUserRequest>,
    ) -> Result<Response<pb::User>, Status> {
        let grant = grant(&request)?;
        answer(enable_user::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn reset_password(
        &self,
        request: Request<pb::ResetPasswordRequest>,
    ) -> Result<Response<pb::ResetPasswordResponse>, Status> {
        let grant = grant(&request)?;
        answer(reset_password::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn create_service_account(
        &self,
        request: Request<pb::CreateServiceAccountRequest>,
    ) -> Result<Response<pb::ServiceAccount>, Status> {
        let grant = grant(&request)?;
        answer(create_service_account::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn get_service_account(
        &self,
        request: Request<pb::GetServiceAccountRequest>,
    ) -> Result<Response<pb::ServiceAccount>, Status> {
        let grant = grant(&request)?;
        answer(get_service_account::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn list_service_accounts(
        &self,
        request: Request<pb::ListServiceAccountsRequest>,
    ) -> Result<Response<pb::ListServiceAccountsResponse>, Status> {
        let grant = grant(&request)?;
        answer(list_service_accounts::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn disable_service_account(
        &self,
        request: Request<pb::DisableServiceAccountRequest>,
    ) -> Result<Response<pb::ServiceAccount>, Status> {
        let grant = grant(&request)?;
        answer(disable_service_account::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn enable_service_account(
        &self,
        request: Request<pb::EnableServiceAccountRequest>,
    ) -> Result<Response<pb::ServiceAccount>, Status> {
        let grant = grant(&request)?;
        answer(enable_service_account::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn update_service_account(
        &self,
        request: Request<pb::UpdateServiceAccountRequest>,
    ) -> Result<Response<pb::ServiceAccount>, Status> {
        let grant = grant(&request)?;
        answer(update_service_account::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn create_service_account_key(
        &self,
        request: Request<pb::CreateServiceAccountKeyRequest>,
    ) -> Result<Response<pb::CreateServiceAccountKeyResponse>, Status> {
        let grant = grant(&request)?;
        answer(create_service_account_key::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn list_service_account_keys(
        &self,
        request: Request<pb::ListServiceAccountKeysRequest>,
    ) -> Result<Response<pb::ListServiceAccountKeysResponse>, Status> {
        let grant = grant(&request)?;
        answer(list_service_account_keys::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn delete_service_account_key(
        &self,
        request: Request<pb::DeleteServiceAccountKeyRequest>,
    ) -> Result<Response<pb::DeleteServiceAccountKeyResponse>, Status> {
        let grant = grant(&request)?;
        answer(delete_service_account_key::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn create_org_unit(
        &self,
        request: Request<pb::CreateOrgUnitRequest>,
    ) -> Result<Response<pb::OrgUnit>, Status> {
        let grant = grant(&request)?;
        answer(create_org_unit::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn get_org_unit(
        &self,
        request: Request<pb::GetOrgUnitRequest>,
    ) -> Result<Response<pb::OrgUnit>, Status> {
        let grant = grant(&request)?;
        answer(get_org_unit::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn list_org_units(
        &self,
        request: Request<pb::ListOrgUnitsRequest>,
    ) -> Result<Response<pb::ListOrgUnitsResponse>, Status> {
        let grant = grant(&request)?;
        answer(list_org_units::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn update_org_unit(
        &self,
        request: Request<pb::UpdateOrgUnitRequest>,
    ) -> Result<Response<pb::OrgUnit>, Status> {
        let grant = grant(&request)?;
        answer(update_org_unit::run(&self.0, &grant, request.into_inner()).await)
    }
}

#[tonic::async_trait]
impl DirectoryService for Directories {
    async fn sync_directory(
        &self,
        request: Request<pb::SyncDirectoryRequest>,
    ) -> Result<Response<pb::SyncDirectoryResponse>, Status> {
        let grant = grant(&request)?;
        answer(sync_directory::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn list_directory_links(
        &self,
        request: Request<pb::ListDirectoryLinksRequest>,
    ) -> Result<Response<pb::ListDirectoryLinksResponse>, Status> {
        let grant = grant(&request)?;
        answer(list_directory_links::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn link_user(
        &self,
        request: Request<pb::LinkUserRequest>,
    ) -> Result<Response<pb::DirectoryLink>, Status> {
        let grant = grant(&request)?;
        answer(link_user::run(&self.0, &grant, request.into_inner()).await)
    }
}

#[tonic::async_trait]
impl AccessService for Rights {
    type WatchAccessSnapshotsStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchAccessSnapshotsResponse, Status>> + Send>>;

    async fn list_roles(
        &self,
        _request: Request<pb::ListRolesRequest>,
    ) -> Result<Response<pb::ListRolesResponse>, Status> {
        answer(Ok(list_roles::run()))
    }

    async fn create_role_binding(
        &self,
        request: Request<pb::CreateRoleBindingRequest>,
    ) -> Result<Response<pb::RoleBinding>, Status> {
        let grant = grant(&request)?;
        answer(create_role_binding::run(&self.core, &grant, request.into_inner()).await)
    }

    async fn list_role_bindings(
        &self,
        request: Request<pb::ListRoleBindingsRequest>,
    ) -> Result<Response<pb::ListRoleBindingsResponse>, Status> {
        let grant = grant(&request)?;
        answer(list_role_bindings::run(&self.core, &grant, request.into_inner()).await)
    }

    async fn delete_role_binding(
        &self,
        request: Request<pb::DeleteRoleBindingRequest>,
    ) -> Result<Response<pb::DeleteRoleBindingResponse>, Status> {
        let grant = grant(&request)?;
        answer(delete_role_binding::run(&self.core, &grant, request.into_inner()).await)
    }

    async fn create_policy(
        &self,
        request: Request<pb::CreatePolicyRequest>,
    ) -> Result<Response<pb::Policy>, Status> {
        let grant = grant(&request)?;
        answer(create_policy::run(&self.core, &grant, request.into_inner()).await)
    }

    async fn update_policy(
        &self,
        request: Request<pb::UpdatePolicyRequest>,
    ) -> Result<Response<pb::Policy>, Status> {
        let grant = grant(&request)?;
        answer(update_policy::run(&self.core, &grant, request.into_inner()).await)
    }

    async fn delete_policy(
        &self,
        request: Request<pb::DeletePolicyRequest>,
    ) -> Result<Response<pb::DeletePolicyResponse>, Status> {
        let grant = grant(&request)?;
        answer(delete_policy::run(&self.core, &grant, request.into_inner()).await)
    }

    async fn list_policies(
        &self,
        request: Request<pb::ListPoliciesRequest>,
    ) -> Result<Response<pb::ListPoliciesResponse>, Status> {
        let grant = grant(&request)?;
        answer(list_policies::run(&self.core, &grant).await)
    }

    async fn check_access(
        &self,
        request: Request<pb::CheckAccessRequest>,
    ) -> Result<Response<pb::CheckAccessResponse>, Status> {
        let grant = grant(&request)?;
        answer(check_access::run(&self.core, &grant, request.get_ref()))
    }

    async fn get_access_snapshot(
        &self,
        request: Request<pb::GetAccessSnapshotRequest>,
    ) -> Result<Response<pb::AccessSnapshot>, Status> {
        let grant = grant(&request)?;
        answer(get_access_snapshot::run(&self.core, &grant))
    }

    async fn watch_access_snapshots(
        &self,
        request: Request<pb::WatchAccessSnapshotsRequest>,
    ) -> Result<Response<Self::WatchAccessSnapshotsStream>, Status> {
        let grant = grant(&request)?;
        let shutdown = self.shutdown.clone();
        let stream = watch_access_snapshots::run(&self.core, grant, shutdown, request.get_ref());
        answer(stream.map(|s| {
            let boxed: Self::WatchAccessSnapshotsStream = Box::pin(s.map(|i| i.map_err(status)));
            boxed
        }))
    }
}

/// Operations that tests of others begin with.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::{
        create_org_unit::run as create_org_unit, create_role_binding::run as create_role_binding,
        create_service_account::run as create_service_account,
        create_service_account_key::run as create_service_account_key,
        create_user::run as create_user, disable_user::run as disable_user, login::run as login,
        login_with_key::run as login_with_key, reset_password::run as reset_password,
    };
}
