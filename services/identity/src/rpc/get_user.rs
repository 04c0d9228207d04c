//! `GetUser`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use crate::{convert, core::Core, domain::id_in, store::users};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::GetUserRequest,
) -> Result<pb::User, Failure> {
    read(core, grant, id_in("name", "users", &request.name)?).await
}

/// The user as this caller may see him.
pub(super) async fn read(core: &Core, grant: &Grant, id: &str) -> Result<pb::User, Failure> {
    let mut conn = core.db.read().await?;
    let user = users::get(&mut conn, &core.vault, &grant.scope, id).await?;
    let user = user.ok_or_else(|| Failure::not_found(format!("users/{id}")))?;
    Ok(convert::user(user, &grant.mask))
}

#[cfg(test)]
mod tests {
    use jinke_types::{FieldClass, FieldMask};

    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn rows_and_fields_are_shown_only_to_whom_they_may_be() {
        on_sqlite(async |house: &House| {
            house.org_unit("east", "").await;
            house.user("li.lei", "east").await;
            let get = async |grant: &Grant, name: &str| {
                run(&house.core, grant, pb::GetUserRequest { name: name.into() }).await
            };
            assert_eq!(
                get(&house.admin(), "users/li.lei")
                    .await
                    .unwrap()
                    .display_name,
                "李雷"
            );
            let east = house.scoped(&["orgUnits/east"]);
            assert!(get(&east, "users/li.lei").await.is_ok());
            assert_eq!(
                get(&east, "users/admin").await.unwrap_err().reason,
                "NOT_FOUND"
            );
            let mut masked = house.admin();
            masked.mask = FieldMask::of([FieldClass::Public]);
            let user = get(&masked, "users/li.lei").await.unwrap();
            assert_eq!(
                (user.display_name.as_str(), user.org_unit.as_str()),
                ("", "orgUnits/east")
            );
            assert_eq!(
                get(&masked, "li.lei").await.unwrap_err().violations[0].field,
                "name"
            );
        })
        .await;
    }
}
