//! `DisableUser`: the user cannot log in any more and his sessions end at once.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::Failure;

use super::{get_user, once};
use crate::{
    access, convert,
    core::{Core, Once},
    domain::{Checks, Member, id_in},
    error,
    store::{self, grants, lock, sessions, users},
};

const METHOD: &str = "jinke.identity.v1.IdentityService/DisableUser";

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::DisableUserRequest,
) -> Result<pb::User, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    set_disabled(core, grant, &once, &request.name, &request.etag, true).await
}

/// Disables or enables a user; nothing happens when he is so already.
pub(super) async fn set_disabled(
    core: &Core,
    grant: &Grant,
    once: &Once<'_>,
    name: &str,
    etag: &str,
    disable: bool,
) -> Result<pb::User, Failure> {
    let id = id_in("name", "users", name)?;
    let mut checks = Checks::default();
    checks.request_id(once.id);
    checks.done()?;
    let now = core.now();
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        if let Some(done) = core.done_before(tx, grant, once).await? {
            return Ok(done);
        }
        tx.lock(lock::MEMBERS).await?;
        let mut user = users::get(tx, &core.vault, &grant.scope, id)
            .await?
            .ok_or_else(|| Failure::not_found(name))?;
        convert::check_etag(etag, user.revision, name)?;
        let member = Member::User(id.to_owned());
        access::no_wider(&grant.scope, &grants::bindings_of(tx, &member).await?)?;
        if user.disabled != disable {
            let was = user.revision;
            user.disabled = disable;
            user.revision = store::new_revision(tx).await?;
            user.update_time = now;
            if !users::update(tx, &core.vault, &user, was).await? {
                return Err(error::etag_mismatch(name));
            }
            if disable {
                sessions::end_of_member(tx, &member, "user disabled", now).await?;
                if grants::administrators(tx).await? == 0 {
                    return Err(error::last_administrator());
                }
            }
            let kind = if disable { "disabled" } else { "enabled" };
            store::log(tx, name.to_owned(), kind, user.revision, now);
        }
        let outcome = Outcome {
            name: name.to_owned(),
            revision: user.revision,
        };
        core.completed(tx, grant, once, outcome).await
    })
    .await?;
    get_user::read(core, grant, id).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rpc::enable_user,
        testing::{House, on_sqlite},
    };

    #[tokio::test]
    async fn sessions_end_at_once_and_do_not_come_back() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let tokens = house.login("li.lei").await.unwrap();
            assert!(house.authenticate(&tokens.access_token).is_ok());
            let request = pb::DisableUserRequest {
                name: "users/li.lei".into(),
                ..pb::DisableUserRequest::default()
            };
            let disabled = run(&house.core, &house.admin(), request.clone())
                .await
                .unwrap();
            assert!(disabled.disabled);
            let refused = house.authenticate(&tokens.access_token).unwrap_err();
            assert!(["CALLER_DISABLED", "SESSION_REVOKED"].contains(&refused.reason));
            assert_eq!(
                house.login("li.lei").await.unwrap_err().reason,
                "MEMBER_DISABLED"
            );
            let again = run(&house.core, &house.admin(), request).await.unwrap();
            assert_eq!(again.etag, disabled.etag, "nothing happens twice");

            let enable = pb::EnableUserRequest {
                name: "users/li.lei".into(),
                etag: disabled.etag,
                request_id: String::new(),
            };
            assert!(
                !enable_user::run(&house.core, &house.admin(), enable)
                    .await
                    .unwrap()
                    .disabled
            );
            let refused = house.authenticate(&tokens.access_token).unwrap_err();
            assert_eq!(refused.reason, "SESSION_REVOKED");
            assert!(house.login("li.lei").await.is_ok());
        })
        .await;
    }

    #[tokio::test]
    async fn the_last_administrator_stays_and_a_scoped_caller_cannot_touch_him() {
        on_sqlite(async |house: &House| {
            let request = pb::DisableUserRequest {
                name: "users/admin".into(),
                ..pb::DisableUserRequest::default()
            };
            let last = run(&house.core, &house.admin(), request.clone())
                .await
                .unwrap_err();
            assert_eq!(last.reason, "LAST_ADMINISTRATOR");
            // The row is visible to this caller, yet the binding reaches further than he does.
            let scoped = house.scoped(&[""]);
            let wider = run(&house.core, &scoped, request).await.unwrap_err();
            assert_eq!(wider.reason, "OUTSIDE_SCOPE");
        })
        .await;
    }
}
