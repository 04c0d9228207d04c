//! `UpdateServiceAccount`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::Failure;

use super::{get_service_account, once, org_unit_exists};
use crate::{
    access, convert,
    core::Core,
    domain::{Checks, Member, id_in, reference_in},
    error,
    store::{self, accounts, grants, lock},
};

const METHOD: &str = "jinke.identity.v1.IdentityService/UpdateServiceAccount";
const FIELDS: &[&str] = &["display_name", "org_unit"];

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::UpdateServiceAccountRequest,
) -> Result<pb::ServiceAccount, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    let asked = request.service_account.unwrap_or_default();
    let id = id_in("service_account.name", "serviceAccounts", &asked.name)?;
    let mut checks = Checks::default();
    let fields = checks.take(convert::update_mask(request.update_mask.as_ref(), FIELDS));
    checks.display_name("service_account.display_name", &asked.display_name);
    let unit = reference_in("service_account.org_unit", "orgUnits", &asked.org_unit);
    let org_unit = checks.take(unit);
    checks.request_id(&request.request_id);
    checks.done()?;
    let now = core.now();
    let name = format!("serviceAccounts/{id}");
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        if let Some(done) = core.done_before(tx, grant, &once).await? {
            return Ok(done);
        }
        tx.lock(lock::MEMBERS).await?;
        let mut account = accounts::get(tx, &grant.scope, id)
            .await?
            .ok_or_else(|| Failure::not_found(&name))?;
        convert::check_etag(&asked.etag, account.revision, &name)?;
        let was = account.revision;
        if fields.contains(&"display_name") {
            account.display_name.clone_from(&asked.display_name);
        }
        let moves = fields.contains(&"org_unit") && account.org_unit != org_unit;
        if moves {
            // Whoever moves an account decides for whom its rows count.
            let member = Member::ServiceAccount(id.to_owned());
            access::no_wider(&grant.scope, &grants::bindings_of(tx, &member).await?)?;
            access::within(&grant.scope, &org_unit)?;
            org_unit_exists(tx, "service_account.org_unit", &org_unit).await?;
            account.org_unit.clone_from(&org_unit);
        }
        account.revision = store::new_revision(tx).await?;
        account.update_time = now;
        if !accounts::update(tx, &account, was).await? {
            return Err(error::etag_mismatch(&name));
        }
        if moves {
            store::log(tx, name.clone(), "moved", account.revision, now);
        }
        let outcome = Outcome {
            name: name.clone(),
            revision: account.revision,
        };
        core.completed(tx, grant, &once, outcome).await
    })
    .await?;
    get_service_account::read(core, grant, id).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn name_and_unit_change_one_by_one() {
        on_sqlite(async |house: &House| {
            house.key("erp-sync").await;
            house.org_unit("east", "").await;
            let (core, admin) = (&house.core, &house.admin());
            let ask = |name: &str, unit: &str, mask: &[&str], etag: &str| {
                pb::UpdateServiceAccountRequest {
                    service_account: Some(pb::ServiceAccount {
                        name: "serviceAccounts/erp-sync".into(),
                        display_name: name.into(),
                        org_unit: unit.into(),
                        etag: etag.into(),
                        ..pb::ServiceAccount::default()
                    }),
                    update_mask: Some(prost_types::FieldMask {
                        paths: mask.iter().map(|m| (*m).to_owned()).collect(),
                    }),
                    request_id: String::new(),
                }
            };
            let named = run(
                core,
                admin,
                ask("ERP 同步", "orgUnits/east", &["display_name"], ""),
            )
            .await
            .unwrap();
            assert_eq!(
                (named.display_name.as_str(), named.org_unit.as_str()),
                ("ERP 同步", "")
            );
            let moved = run(
                core,
                admin,
                ask("x", "orgUnits/east", &["org_unit"], &named.etag),
            )
            .await
            .unwrap();
            assert_eq!(
                (moved.display_name.as_str(), moved.org_unit.as_str()),
                ("ERP 同步", "orgUnits/east")
            );
            let stale = run(core, admin, ask("y", "", &["display_name"], &named.etag)).await;
            assert_eq!(stale.unwrap_err().reason, "ETAG_MISMATCH");
            let nowhere = run(core, admin, ask("y", "orgUnits/west", &["org_unit"], "")).await;
            assert_eq!(nowhere.unwrap_err().reason, "REFERENCE_NOT_FOUND");
            let scoped = house.scoped(&["orgUnits/east"]);
            let out = run(core, &scoped, ask("y", "", &["org_unit"], "")).await;
            assert_eq!(out.unwrap_err().reason, "OUTSIDE_SCOPE");
        })
        .await;
    }
}
