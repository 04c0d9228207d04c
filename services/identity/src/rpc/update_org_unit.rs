//! `UpdateOrgUnit`: renames or moves a unit, with everything below it.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::{Failure, RowScope};

use super::{get_org_unit, once};
use crate::{
    access, convert,
    core::Core,
    domain::{Checks, check_parent, id_in, reference_in},
    error,
    store::{self, lock, org_units},
};

const METHOD: &str = "jinke.identity.v1.IdentityService/UpdateOrgUnit";
const FIELDS: &[&str] = &["display_name", "parent"];

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::UpdateOrgUnitRequest,
) -> Result<pb::OrgUnit, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    let asked = request.org_unit.unwrap_or_default();
    let id = id_in("org_unit.name", "orgUnits", &asked.name)?;
    let mut checks = Checks::default();
    let fields = checks.take(convert::update_mask(request.update_mask.as_ref(), FIELDS));
    checks.display_name("org_unit.display_name", &asked.display_name);
    let parent = checks.take(reference_in("org_unit.parent", "orgUnits", &asked.parent));
    checks.request_id(&request.request_id);
    checks.done()?;

    let now = core.now();
    let name = format!("orgUnits/{id}");
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        if let Some(done) = core.done_before(tx, grant, &once).await? {
            return Ok(done);
        }
        tx.lock(lock::ORG_UNITS).await?;
        let mut unit = org_units::get(tx, &grant.scope, id)
            .await?
            .ok_or_else(|| Failure::not_found(&name))?;
        convert::check_etag(&asked.etag, unit.revision, &name)?;
        let was = unit.revision;
        if fields.contains(&"display_name") {
            unit.display_name.clone_from(&asked.display_name);
        }
        if fields.contains(&"parent") && unit.parent != parent {
            // Both ends: taking a unit away from above changes who reaches it, too.
            access::may_bind(&grant.scope, &unit.parent)?;
            access::may_bind(&grant.scope, &parent)?;
            check_parent(&org_units::parents(tx).await?, id, &parent)?;
            unit.parent.clone_from(&parent);
        }
        unit.revision = store::new_revision(tx).await?;
        unit.update_time = now;
        if !org_units::update(tx, &unit, was).await? {
            return Err(error::etag_mismatch(&name));
        }
        store::log(tx, name.clone(), "updated", unit.revision, now);
        let outcome = Outcome {
            name: name.clone(),
            revision: unit.revision,
        };
        core.completed(tx, grant, &once, outcome).await
    })
    .await?;
    get_org_unit::read(core, &RowScope::All, id).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn a_unit_moves_but_never_below_itself() {
        on_sqlite(async |house: &House| {
            for (id, parent) in [("group", ""), ("east", "group"), ("shanghai", "east")] {
                house.org_unit(id, parent).await;
            }
            let update = async |grant: &Grant, id: &str, parent: &str, etag: &str| {
                let request = pb::UpdateOrgUnitRequest {
                    org_unit: Some(pb::OrgUnit {
                        name: format!("orgUnits/{id}"),
                        parent: parent.into(),
                        etag: etag.into(),
                        ..pb::OrgUnit::default()
                    }),
                    update_mask: Some(prost_types::FieldMask {
                        paths: vec!["parent".into()],
                    }),
                    request_id: String::new(),
                };
                run(&house.core, grant, request).await
            };
            let admin = &house.admin();
            let cycle = update(admin, "group", "orgUnits/shanghai", "")
                .await
                .unwrap_err();
            assert_eq!(cycle.reason, "ORG_UNIT_CYCLE");
            let moved = update(admin, "shanghai", "orgUnits/group", "")
                .await
                .unwrap();
            assert_eq!(moved.parent, "orgUnits/group");
            assert_eq!(moved.display_name, "单位 shanghai", "the mask left it out");
            let stale = update(admin, "shanghai", "orgUnits/east", "\"1\"")
                .await
                .unwrap_err();
            assert_eq!(stale.reason, "ETAG_MISMATCH");
            let east = house.scoped(&["orgUnits/east"]);
            let away = update(&east, "east", "", "").await.unwrap_err();
            assert_eq!(away.reason, "OUTSIDE_SCOPE");
        })
        .await;
    }
}
