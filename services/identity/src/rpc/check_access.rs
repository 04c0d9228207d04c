//! `CheckAccess`: whether a member has a permission somewhere, and through what.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use super::create_role_binding::member_in;
use crate::{
    access, convert,
    core::Core,
    domain::{Checks, reference_in},
};

pub(crate) fn run(
    core: &Core,
    grant: &Grant,
    request: &pb::CheckAccessRequest,
) -> Result<pb::CheckAccessResponse, Failure> {
    let mut checks = Checks::default();
    checks.take(member_in("member", &request.member).map(drop));
    let permission = request.permission.as_str();
    let words = permission
        .split('.')
        .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric()));
    checks.must(
        permission.len() <= 100 && words && permission.contains('.'),
        "permission",
        "must be words joined by dots, such as customer.customers.get",
    );
    let org_unit = checks.take(reference_in("org_unit", "orgUnits", &request.org_unit));
    checks.done()?;
    access::may_bind(&grant.scope, &org_unit)?;
    let decision = core.publisher.access().fresh()?.decide(
        &request.member,
        permission,
        &convert::org_unit_name(&org_unit),
    )?;
    Ok(pb::CheckAccessResponse {
        allowed: decision.allowed,
        determining_policies: decision.policies,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn a_role_in_a_unit_reaches_those_below_and_says_so() {
        on_sqlite(async |house: &House| {
            for (id, parent) in [("group", ""), ("east", "group"), ("shanghai", "east")] {
                house.org_unit(id, parent).await;
            }
            house.user("li.lei", "").await;
            let binding = house
                .bind("users/li.lei", "roles/sales", "orgUnits/east")
                .await;
            let check = |permission: &str, org_unit: &str| {
                let request = pb::CheckAccessRequest {
                    member: "users/li.lei".into(),
                    permission: permission.into(),
                    org_unit: org_unit.into(),
                };
                run(&house.core, &house.admin(), &request)
            };
            for unit in ["orgUnits/east", "orgUnits/shanghai"] {
                let answer = check("customer.customers.get", unit).unwrap();
                assert!(answer.allowed, "{unit}");
                assert_eq!(answer.determining_policies, [format!("role:{binding}")]);
            }
            for unit in ["", "orgUnits/group"] {
                assert!(
                    !check("customer.customers.get", unit).unwrap().allowed,
                    "{unit}"
                );
            }
            assert!(
                !check("customer.customers.merge", "orgUnits/east")
                    .unwrap()
                    .allowed
            );
            let wrong = check("everything", "east").unwrap_err();
            let fields: Vec<_> = wrong.violations.iter().map(|v| v.field.as_str()).collect();
            assert_eq!(fields, ["permission", "org_unit"]);
        })
        .await;
    }
}
