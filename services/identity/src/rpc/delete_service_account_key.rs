//! `DeleteServiceAccountKey`: the key is refused and the sessions it began end at once.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::Failure;

use crate::{
    access,
    core::Core,
    domain::{Member, is_id},
    store::{self, accounts, grants, sessions},
};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::DeleteServiceAccountKeyRequest,
) -> Result<pb::DeleteServiceAccountKeyResponse, Failure> {
    let name = request.name.as_str();
    let (account, key) = name
        .strip_prefix("serviceAccounts/")
        .and_then(|rest| rest.split_once("/keys/"))
        .filter(|(account, key)| is_id(account) && !key.is_empty() && !key.contains('/'))
        .ok_or_else(|| Failure::field("name", "must be serviceAccounts/…/keys/…"))?;
    let now = core.now();
    core.db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            if accounts::get(tx, &grant.scope, account).await?.is_none() {
                return Err(Failure::not_found(name));
            }
            let member = Member::ServiceAccount(account.to_owned());
            access::no_wider(&grant.scope, &grants::bindings_of(tx, &member).await?)?;
            if !accounts::delete_key(tx, account, key).await? {
                return Err(Failure::not_found(name));
            }
            sessions::end_of_key(tx, key, "key deleted", now).await?;
            let revision = store::new_revision(tx).await?;
            store::log(tx, name.to_owned(), "deleted", revision, now);
            Ok(())
        })
        .await?;
    core.published().await;
    Ok(pb::DeleteServiceAccountKeyResponse {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn its_sessions_end_and_those_of_other_keys_go_on() {
        on_sqlite(async |house: &House| {
            let (first, second) = (house.key("erp-sync").await, house.key("erp-sync").await);
            let token = house.login_with_key(&first).await.unwrap().access_token;
            let other = house.login_with_key(&second).await.unwrap().access_token;
            let id = first.split('_').nth(1).unwrap();
            let request = pb::DeleteServiceAccountKeyRequest {
                name: format!("serviceAccounts/erp-sync/keys/{id}"),
            };
            run(&house.core, &house.admin(), request.clone())
                .await
                .unwrap();
            assert_eq!(
                house.authenticate(&token).unwrap_err().reason,
                "SESSION_REVOKED"
            );
            assert!(house.authenticate(&other).is_ok());
            assert_eq!(
                house.login_with_key(&first).await.unwrap_err().reason,
                "KEY_REFUSED"
            );
            let gone = run(&house.core, &house.admin(), request).await.unwrap_err();
            assert_eq!(gone.reason, "NOT_FOUND");
        })
        .await;
    }
}
