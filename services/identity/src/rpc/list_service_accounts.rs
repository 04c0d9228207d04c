//! `ListServiceAccounts`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use crate::{convert, core::Core, store::accounts};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::ListServiceAccountsRequest,
) -> Result<pb::ListServiceAccountsResponse, Failure> {
    let size = convert::page_size(request.page_size)?;
    let after = convert::page_after("serviceAccounts", &request.page_token)?;
    let mut conn = core.db.read().await?;
    let rows = accounts::list(&mut conn, &grant.scope, &after, size + 1).await?;
    let (rows, next_page_token) = convert::page("serviceAccounts", rows, size, |a| &a.id);
    let service_accounts = rows.into_iter().map(convert::service_account).collect();
    Ok(pb::ListServiceAccountsResponse {
        service_accounts,
        next_page_token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn one_page_after_the_other() {
        on_sqlite(async |house: &House| {
            let list = async |page_token: String| {
                let request = pb::ListServiceAccountsRequest {
                    page_size: 2,
                    page_token,
                };
                run(&house.core, &house.admin(), request).await.unwrap()
            };
            let first = list(String::new()).await;
            let second = list(first.next_page_token.clone()).await;
            let names: Vec<_> = [first.service_accounts, second.service_accounts]
                .concat()
                .into_iter()
                .map(|a| a.name)
                .collect();
            assert_eq!(
                names,
                ["jinke-cli", "service-connector", "service-customer"]
                    .map(|id| format!("serviceAccounts/{id}"))
            );
            assert_eq!(second.next_page_token, "");
        })
        .await;
    }
}
