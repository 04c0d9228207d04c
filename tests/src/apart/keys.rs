//! The keys of a house where nobody makes them by himself: what an administrator does once.

use anyhow::{Context as _, Result};
use jinke_kit::client::{Credential, write_secret};
use jinke_proto::jinke::identity::v1::{
    CreateRoleBindingRequest, CreateServiceAccountKeyRequest, CreateServiceAccountRequest,
    LoginRequest, RoleBinding, ServiceAccount, access_service_client::AccessServiceClient,
    identity_service_client::IdentityServiceClient, token_service_client::TokenServiceClient,
};

use super::{GATEWAY, House, KINDS};
use crate::suite::Authed;

/// Logs in with the one-time password, makes a key for every service and puts it where the service
/// looks for it. The key of a service account for the tests, which may do everything.
pub(super) async fn make(house: &House) -> Result<String> {
    let admin = house.admin_file()?;
    let password = admin.get("one_time_password").and_then(|p| p.as_str());
    let mut tokens = TokenServiceClient::new(house.connect("identity", Credential::None)?);
    let login = LoginRequest {
        user: "admin".to_owned(),
        password: password.context("a one-time password")?.to_owned(),
        new_password: "金客-mountain-47-river".to_owned(),
        audiences: Vec::new(),
    };
    let answer = tokens.login(login).await?.into_inner();
    let token = answer.tokens.context("tokens")?.access_token;
    let peer = house.connect("identity", Credential::Token(token))?;
    for kind in KINDS {
        if kind.name != "identity" && kind.name != GATEWAY {
            let account = format!("serviceAccounts/service-{}", kind.name);
            let secret = key_of(&peer, &account).await?;
            let file = house.key_dir().join(format!("service-{}.key", kind.name));
            write_secret(&file, secret.as_bytes())?;
        }
    }
    let request = CreateServiceAccountRequest {
        service_account_id: "tests".to_owned(),
        service_account: Some(ServiceAccount {
            display_name: "tests".to_owned(),
            ..ServiceAccount::default()
        }),
        ..CreateServiceAccountRequest::default()
    };
    let mut identity = IdentityServiceClient::new(peer.clone());
    let account = identity.create_service_account(request).await?;
    let account = account.into_inner().name;
    let request = CreateRoleBindingRequest {
        role_binding: Some(RoleBinding {
            member: account.clone(),
            role: "roles/administrator".to_owned(),
            ..RoleBinding::default()
        }),
        ..CreateRoleBindingRequest::default()
    };
    let mut access = AccessServiceClient::new(peer.clone());
    access.create_role_binding(request).await?;
    key_of(&peer, &account).await
}

async fn key_of(peer: &Authed, account: &str) -> Result<String> {
    let request = CreateServiceAccountKeyRequest {
        parent: account.to_owned(),
        key: None,
    };
    let mut identity = IdentityServiceClient::new(peer.clone());
    let made = identity.create_service_account_key(request).await?;
    Ok(made.into_inner().secret)
}
