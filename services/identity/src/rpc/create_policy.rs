//! `CreatePolicy`: a policy in the Cedar language, checked against the schema before it is kept.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::{Code, Failure};

use super::once;
use crate::{
    access, convert,
    core::Core,
    domain::{Checks, MAX_CEDAR, MAX_POLICIES, Policy},
    error,
    store::{self, grants, lock},
};

const METHOD: &str = "jinke.identity.v1.AccessService/CreatePolicy";

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::CreatePolicyRequest,
) -> Result<pb::Policy, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    let id = request.policy_id.as_str();
    let asked = request.policy.clone().unwrap_or_default();
    access::whole_enterprise(&grant.scope, "a policy")?;
    let mut checks = Checks::default();
    checks.id("policy_id", id);
    checks.display_name("policy.display_name", &asked.display_name);
    checks.must(
        !asked.cedar.trim().is_empty(),
        "policy.cedar",
        "must be set",
    );
    checks.must(
        asked.cedar.len() <= MAX_CEDAR,
        "policy.cedar",
        format!("must have at most {MAX_CEDAR} bytes"),
    );
    checks.request_id(&request.request_id);
    checks.done()?;
    let snapshot = core.publisher.access().fresh()?;
    jinke_kit::access::check_policy(&asked.cedar, &snapshot).map_err(at_the_field)?;

    let now = core.now();
    let policy = Policy {
        id: id.to_owned(),
        display_name: asked.display_name,
        cedar: asked.cedar,
        revision: 0,
        create_time: now,
        update_time: now,
    };
    if request.validate_only {
        let mut conn = core.db.read().await?;
        if grants::get_policy(&mut conn, id).await?.is_some() {
            return Err(error::already_exists(format!("policies/{id}")));
        }
        let mut checked = convert::policy(&policy);
        checked.etag.clear();
        return Ok(checked);
    }
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        if let Some(done) = core.done_before(tx, grant, &once).await? {
            return Ok(done);
        }
        tx.lock(lock::POLICIES).await?;
        if grants::policies(tx).await?.len() >= MAX_POLICIES {
            return Err(error::too_many("policies", MAX_POLICIES));
        }
        let revision = store::new_revision(tx).await?;
        let policy = Policy {
            revision,
            ..policy.clone()
        };
        grants::insert_policy(tx, &policy).await?;
        let name = format!("policies/{id}");
        store::log(tx, name.clone(), "created", policy.revision, now);
        let outcome = Outcome {
            name,
            revision: policy.revision,
        };
        core.completed(tx, grant, &once, outcome).await
    })
    .await?;
    let mut conn = core.db.read().await?;
    let policy = grants::get_policy(&mut conn, id).await?;
    policy
        .as_ref()
        .map(convert::policy)
        .ok_or_else(|| Failure::not_found(format!("policies/{id}")))
}

/// The kit knows the policy's text, not where in the request it stood.
pub(super) fn at_the_field(mut failure: Failure) -> Failure {
    if failure.code == Code::InvalidArgument {
        for violation in &mut failure.violations {
            "policy.cedar".clone_into(&mut violation.field);
        }
        if failure.violations.is_empty() {
            return Failure::field("policy.cedar", failure.message);
        }
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    const FORBID: &str = "forbid (principal == User::\"li.lei\", action, resource);";

    fn request(id: &str, cedar: &str, validate_only: bool) -> pb::CreatePolicyRequest {
        pb::CreatePolicyRequest {
            policy_id: id.into(),
            policy: Some(pb::Policy {
                cedar: cedar.into(),
                ..pb::Policy::default()
            }),
            validate_only,
            request_id: String::new(),
        }
    }

    #[tokio::test]
    async fn a_policy_that_does_not_parse_is_refused_at_its_field() {
        on_sqlite(async |house: &House| {
            let (core, admin) = (&house.core, &house.admin());
            for cedar in [
                "permit",
                "",
                "permit (principal, action, resource); garbage",
            ] {
                let refused = run(core, admin, request("p1", cedar, false))
                    .await
                    .unwrap_err();
                assert_eq!(refused.code, Code::InvalidArgument, "{cedar}");
                assert_eq!(refused.violations[0].field, "policy.cedar", "{cedar}");
            }
            let scoped = house.scoped(&["orgUnits/east"]);
            let refused = run(core, &scoped, request("p1", FORBID, false))
                .await
                .unwrap_err();
            assert_eq!(refused.reason, "OUTSIDE_SCOPE");
        })
        .await;
    }

    #[tokio::test]
    async fn validate_only_keeps_nothing_and_forbid_wins() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            house.bind("users/li.lei", "roles/steward", "").await;
            let forbid = house.forbid("li.lei");
            let decide = || {
                let snapshot = house.access().snapshot().unwrap();
                snapshot
                    .decide("users/li.lei", "customer.customers.get", "")
                    .unwrap()
                    .allowed
            };
            let (core, admin) = (&house.core, &house.admin());
            let checked = run(core, admin, request("p1", &forbid, true))
                .await
                .unwrap();
            assert_eq!(checked.etag, "");
            assert!(decide());
            let made = run(core, admin, request("p1", &forbid, false))
                .await
                .unwrap();
            assert_eq!(
                (made.name.as_str(), made.cedar.as_str()),
                ("policies/p1", forbid.as_str())
            );
            assert!(!decide());
            let twice = run(core, admin, request("p1", &forbid, false))
                .await
                .unwrap_err();
            assert_eq!(twice.reason, "ALREADY_EXISTS");
        })
        .await;
    }
}
