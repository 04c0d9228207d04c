//! `GetServiceAccount`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use crate::{convert, core::Core, domain::id_in, store::accounts};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::GetServiceAccountRequest,
) -> Result<pb::ServiceAccount, Failure> {
    read(
        core,
        grant,
        id_in("name", "serviceAccounts", &request.name)?,
    )
    .await
}

/// The account, if this caller may see it.
pub(super) async fn read(
    core: &Core,
    grant: &Grant,
    id: &str,
) -> Result<pb::ServiceAccount, Failure> {
    let mut conn = core.db.read().await?;
    let account = accounts::get(&mut conn, &grant.scope, id).await?;
    let account = account.ok_or_else(|| Failure::not_found(format!("serviceAccounts/{id}")))?;
    Ok(convert::service_account(account))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn shipped_accounts_are_there_and_a_scope_hides_them() {
        on_sqlite(async |house: &House| {
            let request = pb::GetServiceAccountRequest {
                name: "serviceAccounts/service-customer".into(),
            };
            let account = run(&house.core, &house.admin(), request.clone())
                .await
                .unwrap();
            assert!(!account.disabled);
            let hidden = run(&house.core, &house.scoped(&["orgUnits/east"]), request).await;
            assert_eq!(hidden.unwrap_err().reason, "NOT_FOUND");
        })
        .await;
    }
}
