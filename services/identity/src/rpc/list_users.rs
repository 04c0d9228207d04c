//! `ListUsers`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use crate::{convert, core::Core, store::users};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::ListUsersRequest,
) -> Result<pb::ListUsersResponse, Failure> {
    let size = convert::page_size(request.page_size)?;
    let after = convert::page_after("users", &request.page_token)?;
    let mut conn = core.db.read().await?;
    let rows = users::list(&mut conn, &core.vault, &grant.scope, &after, size + 1).await?;
    let (users, next_page_token) = convert::page("users", rows, size, |user| &user.id);
    let users = users
        .into_iter()
        .map(|user| convert::user(user, &grant.mask))
        .collect();
    Ok(pb::ListUsersResponse {
        users,
        next_page_token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn pages_follow_each_other_within_the_scope() {
        on_sqlite(async |house: &House| {
            house.org_unit("east", "").await;
            for id in ["u1", "u2", "u3"] {
                house.user(id, "east").await;
            }
            let mut seen = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = pb::ListUsersRequest {
                    page_size: 2,
                    page_token,
                };
                let page = run(&house.core, &house.admin(), request).await.unwrap();
                assert!(page.users.len() <= 2);
                seen.extend(page.users.into_iter().map(|u| u.name));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(seen, ["users/admin", "users/u1", "users/u2", "users/u3"]);
            let all = pb::ListUsersRequest::default();
            let east = run(&house.core, &house.scoped(&["orgUnits/east"]), all.clone()).await;
            assert_eq!(east.unwrap().users.len(), 3);
            let west = run(&house.core, &house.scoped(&["orgUnits/west"]), all).await;
            assert_eq!(west.unwrap().users, []);
            let wrong = pb::ListUsersRequest {
                page_size: 0,
                page_token: "x".into(),
            };
            let wrong = run(&house.core, &house.admin(), wrong).await.unwrap_err();
            assert_eq!(wrong.violations[0].field, "page_token");
        })
        .await;
    }
}
