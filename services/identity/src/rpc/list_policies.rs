//! `ListPolicies`: at most two hundred, to callers of the whole enterprise.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use crate::{access, convert, core::Core, store::grants};

pub(crate) async fn run(core: &Core, grant: &Grant) -> Result<pb::ListPoliciesResponse, Failure> {
    access::whole_enterprise(&grant.scope, "the list of policies")?;
    let mut conn = core.db.read().await?;
    let policies = grants::policies(&mut conn).await?;
    Ok(pb::ListPoliciesResponse {
        policies: policies.iter().map(convert::policy).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn only_to_the_whole_enterprise() {
        on_sqlite(async |house: &House| {
            assert_eq!(run(&house.core, &house.admin()).await.unwrap().policies, []);
            let refused = run(&house.core, &house.scoped(&["orgUnits/east"]))
                .await
                .unwrap_err();
            assert_eq!(refused.reason, "OUTSIDE_SCOPE");
        })
        .await;
    }
}
