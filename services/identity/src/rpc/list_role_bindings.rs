//! `ListRoleBindings`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use super::create_role_binding::member_in;
use crate::{convert, core::Core, store::grants};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::ListRoleBindingsRequest,
) -> Result<pb::ListRoleBindingsResponse, Failure> {
    let member = match request.member.as_str() {
        "" => None,
        name => Some(member_in("member", name)?),
    };
    let mut conn = core.db.read().await?;
    let bindings = grants::list_bindings(&mut conn, &grant.scope).await?;
    Ok(pb::ListRoleBindingsResponse {
        role_bindings: bindings
            .iter()
            .filter(|binding| member.as_ref().is_none_or(|m| *m == binding.member))
            .map(convert::role_binding)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn of_all_or_of_one() {
        on_sqlite(async |house: &House| {
            let list = async |grant: &Grant, member: &str| {
                let request = pb::ListRoleBindingsRequest {
                    member: member.into(),
                };
                run(&house.core, grant, request)
                    .await
                    .map(|r| r.role_bindings)
            };
            let all = list(&house.admin(), "").await.unwrap();
            assert_eq!(
                all.len(),
                2 + crate::access::SERVICES.len(),
                "the administrator, the command line, the services"
            );
            let one = list(&house.admin(), "serviceAccounts/service-connector")
                .await
                .unwrap();
            assert_eq!(one.len(), 1);
            assert_eq!(one[0].role, "roles/service-connector");
            assert_eq!(
                list(&house.scoped(&["orgUnits/east"]), "").await.unwrap(),
                []
            );
            assert!(list(&house.admin(), "nobody").await.is_err());
        })
        .await;
    }
}
