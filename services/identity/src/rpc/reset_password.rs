//! `ResetPassword`: gives a user a password for one time and ends his sessions.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::Failure;

use crate::{
    access,
    core::Core,
    domain::{Member, id_in},
    secret,
    store::{self, grants, lock, sessions, users},
};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::ResetPasswordRequest,
) -> Result<pb::ResetPasswordResponse, Failure> {
    let id = id_in("name", "users", &request.name)?;
    let one_time_password = secret::one_time_password(core.entropy());
    let hash = core
        .passwords
        .hash(
            &core.passwords.admit()?,
            one_time_password.clone(),
            core.entropy(),
        )
        .await?;
    let now = core.now();
    core.db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            tx.lock(lock::MEMBERS).await?;
            if users::get(tx, &core.vault, &grant.scope, id)
                .await?
                .is_none()
            {
                return Err(Failure::not_found(&request.name));
            }
            let member = Member::User(id.to_owned());
            access::no_wider(&grant.scope, &grants::bindings_of(tx, &member).await?)?;
            let revision = store::new_revision(tx).await?;
            users::set_password(tx, id, &hash, true, revision, now).await?;
            sessions::end_of_member(tx, &member, "password reset", now).await?;
            // Whoever forgot his password has failed before.
            core.forget_failures(tx, id).await?;
            store::log(tx, request.name.clone(), "password reset", revision, now);
            Ok(())
        })
        .await?;
    core.published().await;
    Ok(pb::ResetPasswordResponse { one_time_password })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, PASSWORD, on_sqlite};

    #[tokio::test]
    async fn the_new_password_works_once_and_the_old_one_no_more() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let tokens = house.login("li.lei").await.unwrap();
            let request = pb::ResetPasswordRequest {
                name: "users/li.lei".into(),
            };
            let reset = run(&house.core, &house.admin(), request.clone())
                .await
                .unwrap();
            let once = reset.one_time_password.as_str();
            assert_eq!(
                house.authenticate(&tokens.access_token).unwrap_err().reason,
                "SESSION_REVOKED"
            );
            let old = house.login_with("li.lei", PASSWORD, "").await.unwrap_err();
            assert_eq!(old.reason, "LOGIN_FAILED");
            let bare = house.login_with("li.lei", once, "").await.unwrap_err();
            assert_eq!(bare.reason, "PASSWORD_CHANGE_REQUIRED");
            let same = house.login_with("li.lei", once, once).await.unwrap_err();
            assert_eq!(same.violations[0].field, "new_password");
            house
                .login_with("li.lei", once, "another password")
                .await
                .unwrap();
            let twice = house
                .login_with("li.lei", once, "a third password")
                .await
                .unwrap_err();
            assert_eq!(twice.reason, "LOGIN_FAILED");
            house
                .login_with("li.lei", "another password", "")
                .await
                .unwrap();

            let admin = pb::ResetPasswordRequest {
                name: "users/admin".into(),
            };
            let wider = run(&house.core, &house.scoped(&[""]), admin)
                .await
                .unwrap_err();
            assert_eq!(wider.reason, "OUTSIDE_SCOPE");
        })
        .await;
    }
}
