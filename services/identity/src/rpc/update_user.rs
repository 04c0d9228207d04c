//! `UpdateUser`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::Failure;

use super::{get_user, once, org_unit_exists};
use crate::{
    access, convert,
    core::Core,
    domain::{Checks, id_in, reference_in},
    error,
    store::{self, users},
};

const METHOD: &str = "jinke.identity.v1.IdentityService/UpdateUser";
const FIELDS: &[&str] = &["display_name", "org_unit"];

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::UpdateUserRequest,
) -> Result<pb::User, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    let asked = request.user.unwrap_or_default();
    let id = id_in("user.name", "users", &asked.name)?;
    let mut checks = Checks::default();
    let fields = checks.take(convert::update_mask(request.update_mask.as_ref(), FIELDS));
    checks.display_name("user.display_name", &asked.display_name);
    let org_unit = checks.take(reference_in("user.org_unit", "orgUnits", &asked.org_unit));
    checks.request_id(&request.request_id);
    checks.done()?;

    let now = core.now();
    let name = format!("users/{id}");
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        if let Some(done) = core.done_before(tx, grant, &once).await? {
            return Ok(done);
        }
        let mut user = users::get(tx, &core.vault, &grant.scope, id)
            .await?
            .ok_or_else(|| Failure::not_found(&name))?;
        convert::check_etag(&asked.etag, user.revision, &name)?;
        let was = user.revision;
        if fields.contains(&"display_name") {
            user.display_name.clone_from(&asked.display_name);
        }
        let moves = fields.contains(&"org_unit") && user.org_unit != org_unit;
        if moves {
            access::within(&grant.scope, &org_unit)?;
            org_unit_exists(tx, "user.org_unit", &org_unit).await?;
            user.org_unit.clone_from(&org_unit);
        }
        user.revision = store::new_revision(tx).await?;
        user.update_time = now;
        if !users::update(tx, &core.vault, &user, was).await? {
            return Err(error::etag_mismatch(&name));
        }
        if moves {
            store::log(tx, name.clone(), "moved", user.revision, now);
        }
        let outcome = Outcome {
            name: name.clone(),
            revision: user.revision,
        };
        core.completed(tx, grant, &once, outcome).await
    })
    .await?;
    get_user::read(core, grant, id).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn only_named_fields_change_and_a_stale_etag_is_aborted() {
        on_sqlite(async |house: &House| {
            house.org_unit("east", "").await;
            house.user("li.lei", "").await;
            let core = &house.core;
            let before = get_user::read(core, &house.admin(), "li.lei")
                .await
                .unwrap();
            let request = |etag: &str, paths: &[&str]| pb::UpdateUserRequest {
                user: Some(pb::User {
                    name: "users/li.lei".into(),
                    display_name: "李磊".into(),
                    org_unit: "orgUnits/east".into(),
                    etag: etag.into(),
                    ..pb::User::default()
                }),
                update_mask: Some(prost_types::FieldMask {
                    paths: paths.iter().map(|p| (*p).to_owned()).collect(),
                }),
                request_id: String::new(),
            };
            let version = core.publisher.state().version;
            let named = run(
                core,
                &house.admin(),
                request(&before.etag, &["display_name"]),
            )
            .await
            .unwrap();
            assert_eq!(
                (named.display_name.as_str(), named.org_unit.as_str()),
                ("李磊", "")
            );
            assert_ne!(named.etag, before.etag);
            assert_eq!(
                core.publisher.state().version,
                version,
                "a name changes no access"
            );
            let stale = run(core, &house.admin(), request(&before.etag, &["org_unit"])).await;
            assert_eq!(stale.unwrap_err().reason, "ETAG_MISMATCH");
            let moved = run(core, &house.admin(), request(&named.etag, &[]))
                .await
                .unwrap();
            assert_eq!(moved.org_unit, "orgUnits/east");
            assert!(core.publisher.state().version > version);
            let unknown = run(core, &house.admin(), request("", &["uid"]))
                .await
                .unwrap_err();
            assert_eq!(unknown.violations[0].field, "update_mask.paths[0]");
        })
        .await;
    }
}
