//! `DisableServiceAccount`: its keys are refused and its sessions end at once.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::Failure;

use super::{get_service_account, once};
use crate::{
    access, convert,
    core::{Core, Once},
    domain::{Checks, Member, id_in},
    error,
    store::{self, accounts, grants, lock, sessions},
};

const METHOD: &str = "jinke.identity.v1.IdentityService/DisableServiceAccount";

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::DisableServiceAccountRequest,
) -> Result<pb::ServiceAccount, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    set_disabled(core, grant, &once, &request.name, &request.etag, true).await
}

/// Disables or enables an account; nothing happens when it is so already.
pub(super) async fn set_disabled(
    core: &Core,
    grant: &Grant,
    once: &Once<'_>,
    name: &str,
    etag: &str,
    disable: bool,
) -> Result<pb::ServiceAccount, Failure> {
    let id = id_in("name", "serviceAccounts", name)?;
    let mut checks = Checks::default();
    checks.request_id(once.id);
    checks.done()?;
    let now = core.now();
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        if let Some(done) = core.done_before(tx, grant, once).await? {
            return Ok(done);
        }
        tx.lock(lock::MEMBERS).await?;
        let mut account = accounts::get(tx, &grant.scope, id)
            .await?
            .ok_or_else(|| Failure::not_found(name))?;
        convert::check_etag(etag, account.revision, name)?;
        let member = Member::ServiceAccount(id.to_owned());
        access::no_wider(&grant.scope, &grants::bindings_of(tx, &member).await?)?;
        if account.disabled != disable {
            let was = account.revision;
            account.disabled = disable;
            account.revision = store::new_revision(tx).await?;
            account.update_time = now;
            if !accounts::update(tx, &account, was).await? {
                return Err(error::etag_mismatch(name));
            }
            if disable {
                sessions::end_of_member(tx, &member, "service account disabled", now).await?;
            }
            let kind = if disable { "disabled" } else { "enabled" };
            store::log(tx, name.to_owned(), kind, account.revision, now);
        }
        let outcome = Outcome {
            name: name.to_owned(),
            revision: account.revision,
        };
        core.completed(tx, grant, once, outcome).await
    })
    .await?;
    get_service_account::read(core, grant, id).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn its_tokens_and_keys_are_refused_from_then_on() {
        on_sqlite(async |house: &House| {
            let secret = house.key("erp-sync").await;
            let token = house.login_with_key(&secret).await.unwrap().access_token;
            assert!(house.authenticate(&token).is_ok());
            let stale = pb::DisableServiceAccountRequest {
                name: "serviceAccounts/erp-sync".into(),
                etag: "\"0\"".into(),
                request_id: String::new(),
            };
            let request = pb::DisableServiceAccountRequest {
                etag: String::new(),
                ..stale.clone()
            };
            let refused = run(&house.core, &house.admin(), stale).await.unwrap_err();
            assert_eq!(refused.reason, "ETAG_MISMATCH");
            assert!(
                run(&house.core, &house.admin(), request)
                    .await
                    .unwrap()
                    .disabled
            );
            assert!(house.authenticate(&token).is_err());
            let refused = house.login_with_key(&secret).await.unwrap_err();
            assert_eq!(refused.reason, "MEMBER_DISABLED");
        })
        .await;
    }
}
