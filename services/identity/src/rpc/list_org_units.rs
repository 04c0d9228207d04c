//! `ListOrgUnits`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use crate::{convert, core::Core, store::org_units};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::ListOrgUnitsRequest,
) -> Result<pb::ListOrgUnitsResponse, Failure> {
    let size = convert::page_size(request.page_size)?;
    let after = convert::page_after("orgUnits", &request.page_token)?;
    let mut conn = core.db.read().await?;
    let rows = org_units::list(&mut conn, &grant.scope, &after, size + 1).await?;
    let (rows, next_page_token) = convert::page("orgUnits", rows, size, |unit| &unit.id);
    let org_units = rows.iter().map(convert::org_unit).collect();
    Ok(pb::ListOrgUnitsResponse {
        org_units,
        next_page_token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn by_id_and_within_the_scope() {
        on_sqlite(async |house: &House| {
            for (id, parent) in [("group", ""), ("east", "group"), ("west", "group")] {
                house.org_unit(id, parent).await;
            }
            let list = async |grant: &Grant, page_size, page_token: String| {
                let request = pb::ListOrgUnitsRequest {
                    page_size,
                    page_token,
                };
                run(&house.core, grant, request).await.unwrap()
            };
            let first = list(&house.admin(), 2, String::new()).await;
            let rest = list(&house.admin(), 2, first.next_page_token).await;
            assert_eq!((first.org_units.len(), rest.org_units.len()), (2, 1));
            assert_eq!(rest.org_units[0].name, "orgUnits/west");
            let east = list(&house.scoped(&["orgUnits/east"]), 0, String::new()).await;
            assert_eq!(east.org_units.len(), 1);
        })
        .await;
    }
}
