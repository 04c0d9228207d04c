//! `CreateRoleBinding`.
//!
//! Who may bind roles within some org units is as good as administrator there: he can bind
//! himself. He cannot reach beyond them.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::{Failure, Violation};

use super::{once, org_unit_exists};
use crate::{
    access, convert,
    core::Core,
    domain::{Checks, MAX_BINDINGS, Member, RoleBinding, id_in, new_uid, reference_in},
    error,
    store::{self, accounts, grants, lock, users},
};

const METHOD: &str = "jinke.identity.v1.AccessService/CreateRoleBinding";

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::CreateRoleBindingRequest,
) -> Result<pb::RoleBinding, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    let asked = request.role_binding.clone().unwrap_or_default();
    let mut checks = Checks::default();
    let member = checks.take(member_in("role_binding.member", &asked.member).map(Some));
    let role = checks.take(id_in("role_binding.role", "roles", &asked.role).map(str::to_owned));
    let org_unit = checks.take(reference_in(
        "role_binding.org_unit",
        "orgUnits",
        &asked.org_unit,
    ));
    checks.request_id(&request.request_id);
    checks.done()?;
    let member = member.ok_or_else(|| Failure::internal("a member that was checked"))?;
    if access::role(&role).is_none() {
        return Err(error::missing_reference("role_binding.role", &asked.role));
    }
    access::may_bind(&grant.scope, &org_unit)?;

    let now = core.now();
    let id = format!("b{}", new_uid(core.entropy()));
    let outcome = core
        .change(async |mut tx: Tx| {
            let tx = &mut tx;
            if let Some(done) = core.done_before(tx, grant, &once).await? {
                return Ok(done);
            }
            tx.lock(lock::MEMBERS).await?;
            org_unit_exists(tx, "role_binding.org_unit", &org_unit).await?;
            let known = match &member {
                Member::User(id) => users::get(tx, &core.vault, &grant.scope, id)
                    .await?
                    .is_some(),
                Member::ServiceAccount(id) => accounts::get(tx, &grant.scope, id).await?.is_some(),
            };
            if !known {
                return Err(error::missing_reference("role_binding.member", &member));
            }
            if grants::bindings_of(tx, &member).await?.len() >= MAX_BINDINGS {
                return Err(error::too_many("role bindings of a member", MAX_BINDINGS));
            }
            let binding = RoleBinding {
                id: id.clone(),
                member: member.clone(),
                role: role.clone(),
                org_unit: org_unit.clone(),
                create_time: now,
            };
            grants::insert_binding(tx, &binding).await?;
            let name = format!("roleBindings/{id}");
            store::log(tx, name.clone(), "created", 1, now);
            let outcome = Outcome { name, revision: 1 };
            core.completed(tx, grant, &once, outcome).await
        })
        .await?;
    let mut conn = core.db.read().await?;
    let id = outcome.name.trim_start_matches("roleBindings/");
    let binding = grants::get_binding(&mut conn, id).await?;
    binding
        .as_ref()
        .map(convert::role_binding)
        .ok_or_else(|| Failure::not_found(&outcome.name))
}

/// A member in a request.
pub(super) fn member_in(field: &str, name: &str) -> Result<Member, Failure> {
    Member::parse(name).ok_or_else(|| {
        Failure::fields(vec![Violation {
            field: field.to_owned(),
            description: "must be users/ or serviceAccounts/ and an id".to_owned(),
        }])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    fn request(member: &str, role: &str, org_unit: &str) -> pb::CreateRoleBindingRequest {
        pb::CreateRoleBindingRequest {
            role_binding: Some(pb::RoleBinding {
                member: member.into(),
                role: role.into(),
                org_unit: org_unit.into(),
                ..pb::RoleBinding::default()
            }),
            request_id: String::new(),
        }
    }

    #[tokio::test]
    async fn a_role_works_at_once() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let allowed = || {
                let snapshot = house.access().snapshot().unwrap();
                snapshot
                    .decide("users/li.lei", "customer.customers.merge", "")
                    .unwrap()
                    .allowed
            };
            assert!(!allowed());
            let made = run(
                &house.core,
                &house.admin(),
                request("users/li.lei", "roles/steward", ""),
            )
            .await
            .unwrap();
            assert!(allowed());
            assert!(made.name.starts_with("roleBindings/"));
            let twice = run(
                &house.core,
                &house.admin(),
                request("users/li.lei", "roles/steward", ""),
            )
            .await;
            assert_eq!(twice.unwrap_err().reason, "ALREADY_EXISTS");
        })
        .await;
    }

    #[tokio::test]
    async fn what_does_not_exist_or_reaches_too_far_is_refused() {
        on_sqlite(async |house: &House| {
            house.org_unit("east", "").await;
            house.user("li.lei", "east").await;
            let bind = async |grant: &Grant, member: &str, role: &str, unit: &str| {
                run(&house.core, grant, request(member, role, unit))
                    .await
                    .unwrap_err()
            };
            let admin = &house.admin();
            for (member, role, unit) in [
                ("users/nobody", "roles/reader", ""),
                ("users/li.lei", "roles/wizard", ""),
                ("users/li.lei", "roles/reader", "orgUnits/nowhere"),
            ] {
                assert_eq!(
                    bind(admin, member, role, unit).await.reason,
                    "REFERENCE_NOT_FOUND"
                );
            }
            let wrong = bind(admin, "li.lei", "reader", "east").await;
            let fields: Vec<_> = wrong.violations.iter().map(|v| v.field.as_str()).collect();
            assert_eq!(
                fields,
                [
                    "role_binding.member",
                    "role_binding.role",
                    "role_binding.org_unit"
                ]
            );
            let east = house.scoped(&["orgUnits/east"]);
            let wide = bind(&east, "users/li.lei", "roles/administrator", "").await;
            assert_eq!(wide.reason, "OUTSIDE_SCOPE");
            let inside = request("users/li.lei", "roles/sales", "orgUnits/east");
            assert!(run(&house.core, &east, inside).await.is_ok());
        })
        .await;
    }
}
