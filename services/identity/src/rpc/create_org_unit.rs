//! `CreateOrgUnit`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::Failure;

use super::{get_org_unit, once};
use crate::{
    access,
    core::Core,
    domain::{Checks, MAX_ORG_UNITS, OrgUnit, check_parent, new_uid, reference_in},
    error,
    store::{self, lock, org_units},
};

const METHOD: &str = "jinke.identity.v1.IdentityService/CreateOrgUnit";

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::CreateOrgUnitRequest,
) -> Result<pb::OrgUnit, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    let id = request.org_unit_id.as_str();
    let asked = request.org_unit.clone().unwrap_or_default();
    let mut checks = Checks::default();
    checks.id("org_unit_id", id);
    checks.must(request.org_unit.is_some(), "org_unit", "must be set");
    checks.display_name("org_unit.display_name", &asked.display_name);
    let parent = checks.take(reference_in("org_unit.parent", "orgUnits", &asked.parent));
    checks.request_id(&request.request_id);
    checks.done()?;
    access::may_bind(&grant.scope, &parent)?;

    let now = core.now();
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        if let Some(done) = core.done_before(tx, grant, &once).await? {
            return Ok(done);
        }
        tx.lock(lock::ORG_UNITS).await?;
        let parents = org_units::parents(tx).await?;
        if parents.len() >= MAX_ORG_UNITS {
            return Err(error::too_many("org units", MAX_ORG_UNITS));
        }
        check_parent(&parents, id, &parent)?;
        let unit = OrgUnit {
            id: id.to_owned(),
            uid: new_uid(core.entropy()),
            display_name: asked.display_name.clone(),
            parent: parent.clone(),
            revision: store::new_revision(tx).await?,
            create_time: now,
            update_time: now,
        };
        org_units::insert(tx, &unit).await?;
        let name = format!("orgUnits/{id}");
        store::log(tx, name.clone(), "created", unit.revision, now);
        let outcome = Outcome {
            name,
            revision: unit.revision,
        };
        core.completed(tx, grant, &once, outcome).await
    })
    .await?;
    // The new unit is not in the scope of a caller who may only act above it.
    get_org_unit::read(core, &jinke_types::RowScope::All, id).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn a_unit_stands_below_one_that_exists() {
        on_sqlite(async |house: &House| {
            let request = |id: &str, parent: &str| pb::CreateOrgUnitRequest {
                org_unit_id: id.into(),
                org_unit: Some(pb::OrgUnit {
                    display_name: "华东公司".into(),
                    parent: parent.into(),
                    ..pb::OrgUnit::default()
                }),
                request_id: String::new(),
            };
            let (core, admin) = (&house.core, &house.admin());
            let top = run(core, admin, request("east", "")).await.unwrap();
            assert_eq!(
                (top.parent.as_str(), top.display_name.as_str()),
                ("", "华东公司")
            );
            let nowhere = run(core, admin, request("south", "orgUnits/nowhere")).await;
            assert_eq!(nowhere.unwrap_err().reason, "REFERENCE_NOT_FOUND");
            let twice = run(core, admin, request("east", "")).await.unwrap_err();
            assert_eq!(twice.reason, "ALREADY_EXISTS");
            let own = run(core, admin, request("west", "orgUnits/west"))
                .await
                .unwrap_err();
            assert_eq!(own.reason, "ORG_UNIT_CYCLE");
            let east = house.scoped(&["orgUnits/east"]);
            let below = run(core, &east, request("shanghai", "orgUnits/east"))
                .await
                .unwrap();
            assert_eq!(below.parent, "orgUnits/east");
            let above = run(core, &east, request("north", "")).await.unwrap_err();
            assert_eq!(above.reason, "OUTSIDE_SCOPE");
        })
        .await;
    }
}
