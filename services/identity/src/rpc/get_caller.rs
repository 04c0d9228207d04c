//! `GetCaller`: who the token says is calling, and what he may do.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::{Failure, RowScope};

use crate::{
    convert,
    core::Core,
    domain::Member,
    store::{accounts, users},
};

pub(crate) async fn run(core: &Core, grant: &Grant) -> Result<pb::GetCallerResponse, Failure> {
    let name = grant.caller.name.as_str();
    let member = Member::parse(name).ok_or_else(|| Failure::not_found(name))?;
    let mut conn = core.db.read().await?;
    // A caller may read his own row, whatever his scope, and his own name, whatever his mask.
    let display_name = match &member {
        Member::User(id) => users::get(&mut conn, &core.vault, &RowScope::All, id)
            .await?
            .map(|user| user.display_name),
        Member::ServiceAccount(id) => accounts::get(&mut conn, &RowScope::All, id)
            .await?
            .map(|account| account.display_name),
    };
    let snapshot = core.publisher.access().fresh()?;
    Ok(pb::GetCallerResponse {
        name: name.to_owned(),
        display_name: display_name.ok_or_else(|| Failure::not_found(name))?,
        roles: snapshot.roles_of(name),
        field_classes: grant
            .mask
            .classes()
            .map(|c| convert::field_class(c).into())
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use jinke_proto::jinke::r#type::v1::FieldClass;

    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn he_sees_his_own_name_roles_and_classes() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            house.bind("users/li.lei", "roles/reader", "").await;
            let tokens = house.login("li.lei").await.unwrap();
            let (caller, _) = house.access().authenticate(&tokens.access_token).unwrap();
            let grant = house.access().self_service(&caller).unwrap();
            let answer = run(&house.core, &grant).await.unwrap();
            assert_eq!(
                (answer.name.as_str(), answer.display_name.as_str()),
                ("users/li.lei", "李雷")
            );
            assert_eq!(answer.roles, ["roles/reader"]);
            assert_eq!(
                answer.field_classes().collect::<Vec<_>>(),
                [FieldClass::Public]
            );
        })
        .await;
    }
}
