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
            let mut names = Vec::new();
            let mut token = String::new();
            loop {
                let page = list(token).await;
                assert!(page.service_accounts.len() <= 2);
                names.extend(page.service_accounts.into_iter().map(|a| a.name));
                token = page.next_page_token;
                if token.is_empty() {
                    break;
                }
            }
            let shipped = crate::access::SERVICES.iter().map(|s| s.id);
            let mut want: Vec<_> = shipped.chain(["jinke-cli"]).collect();
            want.sort_unstable();
            assert_eq!(
                names,
                want.iter()
                    .map(|id| format!("serviceAccounts/{id}"))
                    .collect::<Vec<_>>()
            );
        })
        .await;
    }
}
