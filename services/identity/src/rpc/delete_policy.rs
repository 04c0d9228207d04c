//! `DeletePolicy`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::Failure;

use crate::{
    access, convert,
    core::Core,
    domain::id_in,
    error,
    store::{self, grants},
};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::DeletePolicyRequest,
) -> Result<pb::DeletePolicyResponse, Failure> {
    access::whole_enterprise(&grant.scope, "a policy")?;
    let name = request.name.as_str();
    let id = id_in("name", "policies", name)?;
    let now = core.now();
    core.db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            let policy = grants::get_policy(tx, id).await?;
            let policy = policy.ok_or_else(|| Failure::not_found(name))?;
            convert::check_etag(&request.etag, policy.revision, name)?;
            if !grants::delete_policy(tx, id, policy.revision).await? {
                return Err(error::etag_mismatch(name));
            }
            let revision = store::new_revision(tx).await?;
            store::log(tx, name.to_owned(), "deleted", revision, now);
            Ok(())
        })
        .await?;
    core.published().await;
    Ok(pb::DeletePolicyResponse {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rpc::create_policy,
        testing::{House, on_sqlite},
    };

    #[tokio::test]
    async fn a_stale_etag_is_aborted_also_after_the_policy_was_made_anew() {
        on_sqlite(async |house: &House| {
            let (core, admin) = (&house.core, &house.admin());
            let create = async || {
                let request = pb::CreatePolicyRequest {
                    policy_id: "p1".into(),
                    policy: Some(pb::Policy {
                        cedar: house.forbid("admin2"),
                        ..pb::Policy::default()
                    }),
                    ..pb::CreatePolicyRequest::default()
                };
                create_policy::run(core, admin, request).await.unwrap().etag
            };
            let first = create().await;
            let delete = async |etag: &str| {
                let request = pb::DeletePolicyRequest {
                    name: "policies/p1".into(),
                    etag: etag.into(),
                };
                run(core, admin, request).await
            };
            delete(&first).await.unwrap();
            assert_eq!(delete(&first).await.unwrap_err().reason, "NOT_FOUND");
            let second = create().await;
            assert_eq!(delete(&first).await.unwrap_err().reason, "ETAG_MISMATCH");
            delete(&second).await.unwrap();
        })
        .await;
    }
}
