//! `RefreshToken`: trades a refresh token for a new pair.
//!
//! Each works once. A second use ends the session: either the owner or a thief came second, and
//! nobody can say which.

use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::{Failure, Timestamp};

use crate::{
    convert,
    core::{Core, Tokens},
    domain::Member,
    error,
    secret::{self, Kind},
    store::{self, accounts, sessions, users},
};

enum Outcome {
    New(Tokens),
    Reused,
}

pub(crate) async fn run(
    core: &Core,
    request: pb::RefreshTokenRequest,
) -> Result<pb::RefreshTokenResponse, Failure> {
    let sent = secret::read(Kind::Refresh, &request.refresh_token)
        .ok_or_else(error::refresh_token_refused)?;
    let stored = sessions::refresh(&mut *core.db.read().await?, &sent.id).await?;
    let stored = stored.ok_or_else(error::refresh_token_refused)?;
    let now = core.now();
    let proven = core
        .vault
        .ring
        .verify(Kind::Refresh.purpose(), sent.text.as_bytes(), &stored.mac);
    if !proven || now >= stored.expire_time {
        return Err(error::refresh_token_refused());
    }
    let outcome = core
        .db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            let end = core.token_end(now, Timestamp(i64::MAX));
            // Also holds the session, so that two uses at one moment take turns.
            let session = sessions::prolong(tx, &stored.session, end, now)
                .await?
                .ok_or_else(error::refresh_token_refused)?;
            jinke_kit::audit::name_caller(&session.member.to_string());
            if !sessions::use_refresh(tx, &sent.id, now).await? {
                sessions::end(tx, &session.id, "refresh token reused", now).await?;
                store::log(tx, format!("sessions/{}", session.id), "revoked", 1, now);
                return Ok(Outcome::Reused);
            }
            let enabled = match &session.member {
                Member::User(id) => users::credential(tx, id)
                    .await?
                    .is_some_and(|c| !c.disabled),
                Member::ServiceAccount(id) => accounts::hold(tx, id).await?,
            };
            if !enabled {
                return Err(error::refresh_token_refused());
            }
            Ok(Outcome::New(core.tokens(tx, &session, now).await?))
        })
        .await?;
    match outcome {
        Outcome::New(tokens) => Ok(pb::RefreshTokenResponse {
            tokens: Some(convert::token_pair(tokens)),
        }),
        Outcome::Reused => {
            core.published().await;
            Err(error::refresh_token_reused())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{House, on, on_sqlite};

    async fn refresh(house: &House, token: &str) -> Result<pb::TokenPair, Failure> {
        let request = pb::RefreshTokenRequest {
            refresh_token: token.into(),
        };
        run(&house.core, request)
            .await
            .map(|answer| answer.tokens.expect("a pair"))
    }

    #[tokio::test]
    async fn a_second_use_ends_the_session_for_thief_and_owner() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let first = house.login("li.lei").await.unwrap();
            let other = house.login("li.lei").await.unwrap();
            let second = refresh(house, &first.refresh_token).await.unwrap();
            assert_ne!(second.refresh_token, first.refresh_token);
            assert!(house.authenticate(&second.access_token).is_ok());
            let reused = refresh(house, &first.refresh_token).await.unwrap_err();
            assert_eq!(reused.reason, "REFRESH_TOKEN_REUSED");
            for token in [&first.access_token, &second.access_token] {
                assert_eq!(
                    house.authenticate(token).unwrap_err().reason,
                    "SESSION_REVOKED"
                );
            }
            let owner = refresh(house, &second.refresh_token).await.unwrap_err();
            assert_eq!(owner.reason, "REFRESH_TOKEN_REFUSED");
            assert!(
                refresh(house, &other.refresh_token).await.is_ok(),
                "another session goes on"
            );
        })
        .await;
    }

    #[tokio::test]
    async fn two_uses_at_one_moment_are_one_use_and_one_reuse() {
        for engine in jinke_store::testing::ENGINES {
            on(engine, async |house: &House| {
                house.user("li.lei", "").await;
                let tokens = house.login("li.lei").await.unwrap();
                let (a, b) = tokio::join!(
                    refresh(house, &tokens.refresh_token),
                    refresh(house, &tokens.refresh_token)
                );
                let reasons: Vec<_> = [a, b].into_iter().filter_map(|r| r.err()).collect();
                assert_eq!(reasons.len(), 1);
                assert_eq!(reasons[0].reason, "REFRESH_TOKEN_REUSED");
            })
            .await;
        }
    }

    #[tokio::test]
    async fn a_guess_ends_nothing_and_time_ends_everything() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let mut tokens = house.login("li.lei").await.unwrap();
            let id = tokens.refresh_token.split('_').nth(1).unwrap();
            let guess = format!("jr_{id}_{}", "0".repeat(64));
            for wrong in ["", "jr_", guess.as_str(), tokens.access_token.as_str()] {
                let refused = refresh(house, wrong).await.unwrap_err();
                assert_eq!(refused.reason, "REFRESH_TOKEN_REFUSED");
            }
            // Refreshed every six days, the session lives for thirty.
            for _ in 0..5 {
                tokens = refresh(house, &tokens.refresh_token).await.unwrap();
                house.clock.advance(Duration::from_secs(6 * 86_400));
            }
            let over = refresh(house, &tokens.refresh_token).await.unwrap_err();
            assert_eq!(over.reason, "REFRESH_TOKEN_REFUSED");
            // Unused for seven days.
            let idle = house.login("li.lei").await.unwrap();
            house.clock.advance(Duration::from_secs(7 * 86_400));
            let refused = refresh(house, &idle.refresh_token).await.unwrap_err();
            assert_eq!(refused.reason, "REFRESH_TOKEN_REFUSED");
        })
        .await;
    }
}
