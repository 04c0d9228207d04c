//! `CreateServiceAccount`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::Failure;

use super::{get_service_account, once, org_unit_exists};
use crate::{
    access::{self, RESERVED_PREFIX},
    core::Core,
    domain::{Checks, ServiceAccount, new_uid, reference_in},
    store::{self, accounts},
};

const METHOD: &str = "jinke.identity.v1.IdentityService/CreateServiceAccount";

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::CreateServiceAccountRequest,
) -> Result<pb::ServiceAccount, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    let id = request.service_account_id.as_str();
    let asked = request.service_account.clone().unwrap_or_default();
    let mut checks = Checks::default();
    checks.id("service_account_id", id);
    checks.must(
        !id.starts_with(RESERVED_PREFIX),
        "service_account_id",
        format!("must not begin with {RESERVED_PREFIX}, which is for the suite's own services"),
    );
    checks.must(
        request.service_account.is_some(),
        "service_account",
        "must be set",
    );
    checks.display_name("service_account.display_name", &asked.display_name);
    let org_unit = checks.take(reference_in(
        "service_account.org_unit",
        "orgUnits",
        &asked.org_unit,
    ));
    checks.request_id(&request.request_id);
    checks.done()?;
    access::within(&grant.scope, &org_unit)?;

    let now = core.now();
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        if let Some(done) = core.done_before(tx, grant, &once).await? {
            return Ok(done);
        }
        org_unit_exists(tx, "service_account.org_unit", &org_unit).await?;
        let account = ServiceAccount {
            id: id.to_owned(),
            uid: new_uid(core.entropy()),
            display_name: asked.display_name.clone(),
            org_unit: org_unit.clone(),
            disabled: false,
            revision: store::new_revision(tx).await?,
            create_time: now,
            update_time: now,
        };
        accounts::insert(tx, &account).await?;
        let name = format!("serviceAccounts/{id}");
        if !org_unit.is_empty() {
            store::log(tx, name.clone(), "created", account.revision, now);
        }
        let outcome = Outcome {
            name,
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
    async fn names_of_services_are_reserved() {
        on_sqlite(async |house: &House| {
            let request = |id: &str| pb::CreateServiceAccountRequest {
                service_account_id: id.into(),
                service_account: Some(pb::ServiceAccount::default()),
                request_id: "r1".into(),
            };
            let made = run(&house.core, &house.admin(), request("erp-sync"))
                .await
                .unwrap();
            assert_eq!(made.name, "serviceAccounts/erp-sync");
            let again = run(&house.core, &house.admin(), request("erp-sync"))
                .await
                .unwrap();
            assert_eq!(again, made);
            let reserved = run(&house.core, &house.admin(), request("service-x")).await;
            assert_eq!(
                reserved.unwrap_err().violations[0].field,
                "service_account_id"
            );
        })
        .await;
    }
}
