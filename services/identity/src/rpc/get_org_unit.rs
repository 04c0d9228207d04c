//! `GetOrgUnit`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::{Failure, RowScope};

use crate::{convert, core::Core, domain::id_in, store::org_units};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::GetOrgUnitRequest,
) -> Result<pb::OrgUnit, Failure> {
    read(
        core,
        &grant.scope,
        id_in("name", "orgUnits", &request.name)?,
    )
    .await
}

/// The unit, if this scope holds it.
pub(super) async fn read(core: &Core, scope: &RowScope, id: &str) -> Result<pb::OrgUnit, Failure> {
    let mut conn = core.db.read().await?;
    let unit = org_units::get(&mut conn, scope, id).await?;
    let unit = unit.ok_or_else(|| Failure::not_found(format!("orgUnits/{id}")))?;
    Ok(convert::org_unit(&unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn within_the_scope_only() {
        on_sqlite(async |house: &House| {
            house.org_unit("east", "").await;
            let get = async |grant: &Grant| {
                run(
                    &house.core,
                    grant,
                    pb::GetOrgUnitRequest {
                        name: "orgUnits/east".into(),
                    },
                )
                .await
            };
            assert_eq!(get(&house.admin()).await.unwrap().name, "orgUnits/east");
            assert!(get(&house.scoped(&["orgUnits/east"])).await.is_ok());
            let hidden = get(&house.scoped(&["orgUnits/west"])).await.unwrap_err();
            assert_eq!(hidden.reason, "NOT_FOUND");
        })
        .await;
    }
}
