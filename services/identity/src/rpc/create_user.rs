//! `CreateUser`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::Failure;

use super::{get_user, once, org_unit_exists};
use crate::{
    access,
    core::Core,
    domain::{Checks, User, new_uid, reference_in},
    password,
    store::{self, users},
};

const METHOD: &str = "jinke.identity.v1.IdentityService/CreateUser";

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::CreateUserRequest,
) -> Result<pb::User, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    let id = request.user_id.as_str();
    let asked = request.user.clone().unwrap_or_default();
    let mut checks = Checks::default();
    checks.id("user_id", id);
    checks.must(request.user.is_some(), "user", "must be set");
    checks.display_name("user.display_name", &asked.display_name);
    let org_unit = checks.take(reference_in("user.org_unit", "orgUnits", &asked.org_unit));
    if !request.password.is_empty() {
        let verdict = password::check(id, &request.password);
        checks.must(
            verdict.is_ok(),
            "password",
            verdict.err().unwrap_or_default(),
        );
    }
    checks.request_id(&request.request_id);
    checks.done()?;
    access::within(&grant.scope, &org_unit)?;

    let hash = if request.password.is_empty() {
        String::new()
    } else {
        core.passwords
            .hash(
                &core.passwords.admit()?,
                request.password.clone(),
                core.entropy(),
            )
            .await?
    };
    let now = core.now();
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        if let Some(done) = core.done_before(tx, grant, &once).await? {
            return Ok(done);
        }
        org_unit_exists(tx, "user.org_unit", &org_unit).await?;
        let user = User {
            id: id.to_owned(),
            uid: new_uid(core.entropy()),
            display_name: asked.display_name.clone(),
            org_unit: org_unit.clone(),
            disabled: false,
            password_change: hash.is_empty(),
            revision: store::new_revision(tx).await?,
            create_time: now,
            update_time: now,
        };
        users::insert(tx, &core.vault, &user, &hash).await?;
        let name = format!("users/{id}");
        if !org_unit.is_empty() {
            store::log(tx, name.clone(), "created", user.revision, now);
        }
        let outcome = Outcome {
            name,
            revision: user.revision,
        };
        core.completed(tx, grant, &once, outcome).await
    })
    .await?;
    get_user::read(core, grant, id).await
}

#[cfg(test)]
mod tests {
    use jinke_types::Code;

    use super::*;
    use crate::testing::{House, on_sqlite};

    fn request(id: &str, password: &str, request_id: &str) -> pb::CreateUserRequest {
        pb::CreateUserRequest {
            user_id: id.into(),
            user: Some(pb::User {
                display_name: "李雷".into(),
                ..pb::User::default()
            }),
            password: password.into(),
            request_id: request_id.into(),
        }
    }

    #[tokio::test]
    async fn a_retry_has_the_effect_once_and_another_body_is_refused() {
        on_sqlite(async |house: &House| {
            let (core, admin) = (&house.core, &house.admin());
            let made = run(core, admin, request("li.lei", "correct horse", "r1"))
                .await
                .unwrap();
            assert_eq!(made.name, "users/li.lei");
            assert_eq!(made.display_name, "李雷");
            assert!(!made.password_change_required);
            let again = run(core, admin, request("li.lei", "correct horse", "r1"))
                .await
                .unwrap();
            assert_eq!(again, made);
            let other = run(core, admin, request("li.lei", "other password", "r1")).await;
            assert_eq!(other.unwrap_err().reason, "REQUEST_ID_REUSED");
            let twice = run(core, admin, request("li.lei", "correct horse", "")).await;
            assert_eq!(twice.unwrap_err().code, Code::AlreadyExists);
        })
        .await;
    }

    #[tokio::test]
    async fn everything_wrong_is_named_and_a_missing_org_unit_refused() {
        on_sqlite(async |house: &House| {
            let (core, admin) = (&house.core, &house.admin());
            let mut wrong = request("X", "short", "two words");
            wrong.user.as_mut().unwrap().org_unit = "units/a".into();
            let failure = run(core, admin, wrong).await.unwrap_err();
            let fields: Vec<_> = failure
                .violations
                .iter()
                .map(|v| v.field.as_str())
                .collect();
            assert_eq!(
                fields,
                ["user_id", "user.org_unit", "password", "request_id"]
            );
            let mut nowhere = request("li.lei", "", "");
            nowhere.user.as_mut().unwrap().org_unit = "orgUnits/nowhere".into();
            let failure = run(core, admin, nowhere).await.unwrap_err();
            assert_eq!(failure.reason, "REFERENCE_NOT_FOUND");
            let scoped = house.scoped(&["orgUnits/east"]);
            let failure = run(core, &scoped, request("li.lei", "", ""))
                .await
                .unwrap_err();
            assert_eq!(failure.reason, "OUTSIDE_SCOPE");
        })
        .await;
    }
}
