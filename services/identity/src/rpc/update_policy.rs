//! `UpdatePolicy`: another text or name of a policy. Between the two texts there is no moment
//! without a policy, as there would be with deleting and creating.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::Failure;

use super::{create_policy::at_the_field, once};
use crate::{
    access, convert,
    core::Core,
    domain::{Checks, MAX_CEDAR, id_in},
    error,
    store::{self, grants, lock},
};

const METHOD: &str = "jinke.identity.v1.AccessService/UpdatePolicy";
const FIELDS: &[&str] = &["display_name", "cedar"];

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::UpdatePolicyRequest,
) -> Result<pb::Policy, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    access::whole_enterprise(&grant.scope, "a policy")?;
    let asked = request.policy.unwrap_or_default();
    let id = id_in("policy.name", "policies", &asked.name)?;
    let mut checks = Checks::default();
    let fields = checks.take(convert::update_mask(request.update_mask.as_ref(), FIELDS));
    checks.display_name("policy.display_name", &asked.display_name);
    let text = fields.contains(&"cedar");
    checks.must(
        !text || (!asked.cedar.trim().is_empty() && asked.cedar.len() <= MAX_CEDAR),
        "policy.cedar",
        format!("must be set and have at most {MAX_CEDAR} bytes"),
    );
    checks.request_id(&request.request_id);
    checks.done()?;
    if text {
        let snapshot = core.publisher.access().fresh()?;
        jinke_kit::access::check_policy(&asked.cedar, &snapshot).map_err(at_the_field)?;
    }
    let now = core.now();
    let name = format!("policies/{id}");
    let changed = |policy: &mut crate::domain::Policy| {
        if fields.contains(&"display_name") {
            policy.display_name.clone_from(&asked.display_name);
        }
        if text {
            policy.cedar.clone_from(&asked.cedar);
        }
    };
    if request.validate_only {
        let mut conn = core.db.read().await?;
        let policy = grants::get_policy(&mut conn, id).await?;
        let mut policy = policy.ok_or_else(|| Failure::not_found(&name))?;
        convert::check_etag(&asked.etag, policy.revision, &name)?;
        changed(&mut policy);
        return Ok(convert::policy(&policy));
    }
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        if let Some(done) = core.done_before(tx, grant, &once).await? {
            return Ok(done);
        }
        tx.lock(lock::POLICIES).await?;
        let mut policy = grants::get_policy(tx, id)
            .await?
            .ok_or_else(|| Failure::not_found(&name))?;
        convert::check_etag(&asked.etag, policy.revision, &name)?;
        let was = policy.revision;
        changed(&mut policy);
        policy.revision = store::new_revision(tx).await?;
        policy.update_time = now;
        if !grants::update_policy(tx, &policy, was).await? {
            return Err(error::etag_mismatch(&name));
        }
        store::log(tx, name.clone(), "updated", policy.revision, now);
        let outcome = Outcome {
            name: name.clone(),
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
        .ok_or_else(|| Failure::not_found(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rpc::create_policy,
        testing::{House, on_sqlite},
    };

    #[tokio::test]
    async fn another_text_counts_at_once_and_a_broken_one_never() {
        on_sqlite(async |house: &House| {
            let (core, admin) = (&house.core, &house.admin());
            let create = pb::CreatePolicyRequest {
                policy_id: "stop".into(),
                policy: Some(pb::Policy {
                    cedar: house.forbid("someone"),
                    ..pb::Policy::default()
                }),
                ..pb::CreatePolicyRequest::default()
            };
            let made = create_policy::run(core, admin, create).await.unwrap();
            let ask = |cedar: &str, etag: &str, only: bool| pb::UpdatePolicyRequest {
                policy: Some(pb::Policy {
                    name: "policies/stop".into(),
                    display_name: "停用".into(),
                    cedar: cedar.into(),
                    etag: etag.into(),
                    ..pb::Policy::default()
                }),
                validate_only: only,
                ..pb::UpdatePolicyRequest::default()
            };
            let other = house.forbid("somebody.else");
            let checked = run(core, admin, ask(&other, &made.etag, true))
                .await
                .unwrap();
            assert_eq!(
                (checked.cedar.as_str(), &checked.etag),
                (other.as_str(), &made.etag)
            );
            let changed = run(core, admin, ask(&other, &made.etag, false))
                .await
                .unwrap();
            assert_eq!(
                (changed.cedar.as_str(), changed.display_name.as_str()),
                (other.as_str(), "停用")
            );
            assert_ne!(changed.etag, made.etag);
            let stale = run(core, admin, ask(&other, &made.etag, false))
                .await
                .unwrap_err();
            assert_eq!(stale.reason, "ETAG_MISMATCH");
            let broken = run(core, admin, ask("permit (", "", false))
                .await
                .unwrap_err();
            assert_eq!(broken.violations[0].field, "policy.cedar");
            let scoped = house.scoped(&["orgUnits/east"]);
            assert!(run(core, &scoped, ask(&other, "", false)).await.is_err());
        })
        .await;
    }
}
