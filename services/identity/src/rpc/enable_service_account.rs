//! `EnableServiceAccount`: takes `DisableServiceAccount` back. Its keys open again; sessions that
//! were ended stay ended.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use super::{disable_service_account, once};
use crate::core::Core;

const METHOD: &str = "jinke.identity.v1.IdentityService/EnableServiceAccount";

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::EnableServiceAccountRequest,
) -> Result<pb::ServiceAccount, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    let (name, etag) = (&request.name, &request.etag);
    disable_service_account::set_disabled(core, grant, &once, name, etag, false).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn its_keys_open_again_and_old_sessions_stay_ended() {
        on_sqlite(async |house: &House| {
            let secret = house.key("erp-sync").await;
            let token = house.login_with_key(&secret).await.unwrap().access_token;
            let disable = pb::DisableServiceAccountRequest {
                name: "serviceAccounts/erp-sync".into(),
                ..pb::DisableServiceAccountRequest::default()
            };
            let (core, admin) = (&house.core, &house.admin());
            let off = disable_service_account::run(core, admin, disable)
                .await
                .unwrap();
            assert!(off.disabled && house.login_with_key(&secret).await.is_err());
            let enable = pb::EnableServiceAccountRequest {
                name: "serviceAccounts/erp-sync".into(),
                etag: "stale".into(),
                request_id: String::new(),
            };
            let stale = run(core, admin, enable.clone()).await.unwrap_err();
            assert_eq!(stale.reason, "ETAG_MISMATCH");
            let enable = pb::EnableServiceAccountRequest {
                etag: off.etag,
                ..enable
            };
            assert!(!run(core, admin, enable).await.unwrap().disabled);
            assert!(house.login_with_key(&secret).await.is_ok());
            assert_eq!(
                house.authenticate(&token).unwrap_err().reason,
                "SESSION_REVOKED"
            );
        })
        .await;
    }
}
