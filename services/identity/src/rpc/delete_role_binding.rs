//! `DeleteRoleBinding`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::Failure;

use crate::{
    access::{self, ADMINISTRATOR},
    core::Core,
    domain::id_in,
    error,
    store::{self, grants, lock},
};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::DeleteRoleBindingRequest,
) -> Result<pb::DeleteRoleBindingResponse, Failure> {
    let name = request.name.as_str();
    let id = id_in("name", "roleBindings", name)?;
    let now = core.now();
    core.db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            tx.lock(lock::MEMBERS).await?;
            let binding = grants::get_binding(tx, id).await?;
            let binding = binding
                .filter(|binding| access::sees(&grant.scope, &binding.org_unit))
                .ok_or_else(|| Failure::not_found(name))?;
            access::may_bind(&grant.scope, &binding.org_unit)?;
            grants::delete_binding(tx, id).await?;
            if binding.role == ADMINISTRATOR
                && binding.org_unit.is_empty()
                && grants::administrators(tx).await? == 0
            {
                return Err(error::last_administrator());
            }
            store::log(tx, name.to_owned(), "deleted", 2, now);
            Ok(())
        })
        .await?;
    core.published().await;
    Ok(pb::DeleteRoleBindingResponse {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn a_role_is_gone_at_once_but_the_last_administrator_stays() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let name = house.bind("users/li.lei", "roles/reader", "").await;
            let allowed = || {
                let snapshot = house.access().snapshot().unwrap();
                snapshot
                    .decide("users/li.lei", "customer.customers.get", "")
                    .unwrap()
                    .allowed
            };
            assert!(allowed());
            let request = pb::DeleteRoleBindingRequest { name };
            run(&house.core, &house.admin(), request.clone())
                .await
                .unwrap();
            assert!(!allowed());
            let gone = run(&house.core, &house.admin(), request).await.unwrap_err();
            assert_eq!(gone.reason, "NOT_FOUND");

            let mut conn = house.core.db.read().await.unwrap();
            let admin = crate::domain::Member::User("admin".into());
            let bindings = grants::bindings_of(&mut conn, &admin).await.unwrap();
            drop(conn);
            let request = pb::DeleteRoleBindingRequest {
                name: format!("roleBindings/{}", bindings[0].id),
            };
            let last = run(&house.core, &house.admin(), request.clone())
                .await
                .unwrap_err();
            assert_eq!(last.reason, "LAST_ADMINISTRATOR");
            house.bind("users/li.lei", "roles/administrator", "").await;
            assert!(run(&house.core, &house.admin(), request).await.is_ok());
        })
        .await;
    }
}
