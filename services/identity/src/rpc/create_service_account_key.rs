//! `CreateServiceAccountKey`: the secret is in this answer and nowhere else.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::{Code, Failure};

use crate::{
    access, convert,
    core::Core,
    domain::{Checks, MAX_KEYS, Member, ServiceAccountKey, id_in},
    error,
    secret::{self, Kind},
    store::{accounts, grants},
};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::CreateServiceAccountKeyRequest,
) -> Result<pb::CreateServiceAccountKeyResponse, Failure> {
    let id = id_in("parent", "serviceAccounts", &request.parent)?;
    let asked = request.key.unwrap_or_default();
    let now = core.now();
    let mut checks = Checks::default();
    checks.display_name("key.display_name", &asked.display_name);
    let expire_time = asked
        .expire_time
        .as_ref()
        .map(|t| checks.take(convert::time_in("key.expire_time", t)));
    checks.must(
        expire_time.is_none_or(|end| end > now),
        "key.expire_time",
        "must lie in the future",
    );
    checks.done()?;

    let made = secret::make(Kind::Key, core.entropy());
    let key = ServiceAccountKey {
        id: made.id,
        account: id.to_owned(),
        display_name: asked.display_name,
        create_time: now,
        expire_time,
    };
    let mac = core
        .vault
        .ring
        .hmac(Kind::Key.purpose(), made.text.as_bytes());
    core.db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            if accounts::get(tx, &grant.scope, id).await?.is_none() {
                return Err(Failure::not_found(&request.parent));
            }
            let member = Member::ServiceAccount(id.to_owned());
            access::no_wider(&grant.scope, &grants::bindings_of(tx, &member).await?)?;
            // Holding the row also makes the count of keys hold.
            if !accounts::hold(tx, id).await? {
                return Err(Failure::new(
                    Code::FailedPrecondition,
                    "MEMBER_DISABLED",
                    "a disabled service account gets no keys",
                ));
            }
            if accounts::keys(tx, id).await?.len() >= MAX_KEYS {
                return Err(error::too_many("keys of a service account", MAX_KEYS));
            }
            accounts::insert_key(tx, &key, mac.clone()).await
        })
        .await?;
    Ok(pb::CreateServiceAccountKeyResponse {
        key: Some(convert::service_account_key(key)),
        secret: made.text,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn a_key_opens_until_it_expires() {
        on_sqlite(async |house: &House| {
            house.key("erp-sync").await;
            let end = house.core.now().plus(Duration::from_secs(60));
            let request = |end| pb::CreateServiceAccountKeyRequest {
                parent: "serviceAccounts/erp-sync".into(),
                key: Some(pb::ServiceAccountKey {
                    expire_time: Some(convert::timestamp(end)),
                    ..pb::ServiceAccountKey::default()
                }),
            };
            let made = run(&house.core, &house.admin(), request(end))
                .await
                .unwrap();
            assert!(made.secret.starts_with("jk_"));
            assert!(house.login_with_key(&made.secret).await.is_ok());
            house.clock.advance(Duration::from_secs(60));
            let refused = house.login_with_key(&made.secret).await.unwrap_err();
            assert_eq!(refused.reason, "KEY_REFUSED");
            let past = run(&house.core, &house.admin(), request(end))
                .await
                .unwrap_err();
            assert_eq!(past.violations[0].field, "key.expire_time");
        })
        .await;
    }

    #[tokio::test]
    async fn keys_are_limited_and_not_for_scoped_callers_to_climb_with() {
        on_sqlite(async |house: &House| {
            let request = |id: &str| pb::CreateServiceAccountKeyRequest {
                parent: format!("serviceAccounts/{id}"),
                key: None,
            };
            house.key("erp-sync").await;
            for _ in 1..MAX_KEYS {
                run(&house.core, &house.admin(), request("erp-sync"))
                    .await
                    .unwrap();
            }
            let full = run(&house.core, &house.admin(), request("erp-sync"))
                .await
                .unwrap_err();
            assert_eq!(full.reason, "LIMIT_REACHED");
            let climb = run(&house.core, &house.scoped(&[""]), request("jinke-cli")).await;
            assert_eq!(climb.unwrap_err().reason, "OUTSIDE_SCOPE");
        })
        .await;
    }
}
