//! `ListServiceAccountKeys`: at most twenty, without their secrets.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use crate::{convert, core::Core, domain::id_in, store::accounts};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::ListServiceAccountKeysRequest,
) -> Result<pb::ListServiceAccountKeysResponse, Failure> {
    let id = id_in("parent", "serviceAccounts", &request.parent)?;
    let mut conn = core.db.read().await?;
    if accounts::get(&mut conn, &grant.scope, id).await?.is_none() {
        return Err(Failure::not_found(&request.parent));
    }
    let keys = accounts::keys(&mut conn, id).await?;
    Ok(pb::ListServiceAccountKeysResponse {
        keys: keys.into_iter().map(convert::service_account_key).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn keys_of_one_account() {
        on_sqlite(async |house: &House| {
            let secret = house.key("erp-sync").await;
            house.key("other").await;
            let list = async |parent: &str| {
                let request = pb::ListServiceAccountKeysRequest {
                    parent: parent.into(),
                };
                run(&house.core, &house.admin(), request).await
            };
            let keys = list("serviceAccounts/erp-sync").await.unwrap().keys;
            let id = secret.split('_').nth(1).unwrap();
            assert_eq!(keys.len(), 1);
            assert_eq!(keys[0].name, format!("serviceAccounts/erp-sync/keys/{id}"));
            assert_eq!(
                list("serviceAccounts/nobody").await.unwrap_err().reason,
                "NOT_FOUND"
            );
        })
        .await;
    }
}
