//! `RevokeToken`: ends the caller's session.

use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::Failure;

use crate::{
    core::Core,
    store::{self, sessions},
};

/// Ends the session with this id, the `sid` of the caller's token.
pub(crate) async fn run(core: &Core, session: &str) -> Result<pb::RevokeTokenResponse, Failure> {
    let now = core.now();
    let ((), position) = core
        .db
        .write_positioned(async |mut tx: Tx| {
            let tx = &mut tx;
            if sessions::end(tx, session, "revoked", now).await? {
                store::log(tx, format!("sessions/{session}"), "revoked", 1, now);
            }
            Ok(())
        })
        .await?;
    if position.is_some() {
        core.published().await;
    }
    Ok(pb::RevokeTokenResponse {})
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn access_and_refresh_tokens_are_refused_and_forgotten_when_they_are_over() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let tokens = house.login("li.lei").await.unwrap();
            let (_, claims) = house.access().authenticate(&tokens.access_token).unwrap();
            run(&house.core, &claims.sid).await.unwrap();
            run(&house.core, &claims.sid).await.unwrap();
            let refused = house.authenticate(&tokens.access_token).unwrap_err();
            assert_eq!(refused.reason, "SESSION_REVOKED");
            let request = pb::RefreshTokenRequest {
                refresh_token: tokens.refresh_token,
            };
            let refused = crate::rpc::refresh_token::run(&house.core, request)
                .await
                .unwrap_err();
            assert_eq!(refused.reason, "REFRESH_TOKEN_REFUSED");
            assert_eq!(house.core.publisher.state().revoked_sessions.len(), 1);

            house.clock.advance(Duration::from_secs(600 + 30));
            house.core.published().await;
            assert!(house.core.publisher.state().revoked_sessions.is_empty());
            let refused = house.authenticate(&tokens.access_token).unwrap_err();
            assert_eq!(refused.reason, "TOKEN_EXPIRED", "no gap between the two");
        })
        .await;
    }
}
