//! `RotateSigningKey`.
//!
//! The new key is published at once and signs some seconds later (`activation_seconds`), so that
//! no service meets a token of a key it has not heard of. With `revoke_old` it signs at once, and
//! whoever holds a token must log in or refresh.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::Failure;

use crate::{access, convert, core::Core, store::lock, tasks};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::RotateSigningKeyRequest,
) -> Result<pb::RotateSigningKeyResponse, Failure> {
    access::whole_enterprise(&grant.scope, "the signing key")?;
    let now = core.now();
    let kid = core
        .db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            tx.lock(lock::SIGNING_KEYS).await?;
            tasks::rotate(core, tx, request.revoke_old, now).await
        })
        .await?;
    core.published().await;
    let mut conn = core.db.read().await?;
    let keys = crate::store::signing_keys::valid(&mut conn, now).await?;
    let key = keys
        .iter()
        .find(|key| key.kid == kid)
        .map(convert::signing_key);
    Ok(pb::RotateSigningKeyResponse { key })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        rpc::list_signing_keys,
        testing::{House, kid, on_sqlite},
    };

    #[tokio::test]
    async fn old_tokens_are_accepted_until_they_expire() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let before = house.login("li.lei").await.unwrap().access_token;
            let request = pb::RotateSigningKeyRequest { revoke_old: false };
            let key = run(&house.core, &house.admin(), request)
                .await
                .unwrap()
                .key
                .unwrap();
            assert_eq!(list_signing_keys::run(&house.core).keys.len(), 2);
            let early = house.login("li.lei").await.unwrap().access_token;
            assert_eq!(
                kid(&early),
                kid(&before),
                "the new key is published before it signs"
            );
            house.clock.advance(Duration::from_secs(10));
            let after = house.login("li.lei").await.unwrap().access_token;
            assert_eq!(kid(&after), key.kid);
            for token in [&before, &early, &after] {
                assert!(house.authenticate(token).is_ok());
            }
            // The early token lives until 600 s; its key must not expire before.
            house.clock.advance(Duration::from_secs(589));
            assert!(house.authenticate(&early).is_ok());
            house.clock.advance(Duration::from_secs(60));
            assert_eq!(
                house.authenticate(&early).unwrap_err().reason,
                "TOKEN_EXPIRED"
            );
            assert_eq!(list_signing_keys::run(&house.core).keys.len(), 1);
        })
        .await;
    }

    #[tokio::test]
    async fn revoking_refuses_old_tokens_at_once_and_sessions_go_on() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let before = house.login("li.lei").await.unwrap();
            let request = pb::RotateSigningKeyRequest { revoke_old: true };
            run(&house.core, &house.admin(), request).await.unwrap();
            let refused = house.authenticate(&before.access_token).unwrap_err();
            assert_eq!(refused.code, jinke_types::Code::Unauthenticated);
            let request = pb::RefreshTokenRequest {
                refresh_token: before.refresh_token,
            };
            let pair = crate::rpc::refresh_token::run(&house.core, request)
                .await
                .unwrap();
            assert!(
                house
                    .authenticate(&pair.tokens.unwrap().access_token)
                    .is_ok()
            );
        })
        .await;
    }

    #[tokio::test]
    async fn a_key_is_replaced_when_it_is_old() {
        on_sqlite(async |house: &House| {
            tasks::housekeeping(&house.core).await.unwrap();
            assert_eq!(list_signing_keys::run(&house.core).keys.len(), 1);
            house.clock.advance(Duration::from_secs(30 * 86_400));
            tasks::housekeeping(&house.core).await.unwrap();
            assert_eq!(list_signing_keys::run(&house.core).keys.len(), 2);
            tasks::housekeeping(&house.core).await.unwrap();
            assert_eq!(list_signing_keys::run(&house.core).keys.len(), 2);
        })
        .await;
    }
}
