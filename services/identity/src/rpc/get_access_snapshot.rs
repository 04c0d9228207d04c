//! `GetAccessSnapshot`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use crate::{access, convert, core::Core};

pub(crate) fn run(core: &Core, grant: &Grant) -> Result<pb::AccessSnapshot, Failure> {
    access::whole_enterprise(&grant.scope, "the access snapshot")?;
    Ok(convert::snapshot(&core.publisher.state()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn it_holds_what_decisions_need_and_nothing_secret() {
        on_sqlite(async |house: &House| {
            house.org_unit("east", "").await;
            house.user("li.lei", "east").await;
            let snapshot = run(&house.core, &house.admin()).unwrap();
            assert_eq!(snapshot.roles.len(), access::ROLES.len());
            assert_eq!(snapshot.org_units.len(), 1);
            assert_eq!(snapshot.member_org_units["users/li.lei"], "orgUnits/east");
            assert_eq!(snapshot.signing_keys.len(), 1);
            assert!(snapshot.version > 0);
            assert!(!format!("{snapshot:?}").contains("李雷"));
            let refused = run(&house.core, &house.scoped(&["orgUnits/east"])).unwrap_err();
            assert_eq!(refused.reason, "OUTSIDE_SCOPE");
        })
        .await;
    }
}
