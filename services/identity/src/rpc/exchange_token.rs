//! `ExchangeToken` (RFC 8693): gives a service a token that acts for its caller at another
//! service. It names both, and both must be allowed what it is used for.

use jinke_kit::{Grant, token};
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::{Code, Failure};

use crate::{
    access::RESERVED_PREFIX,
    convert,
    core::{Core, Tokens},
    domain::Member,
};

pub(crate) fn run(
    core: &Core,
    grant: &Grant,
    request: &pb::ExchangeTokenRequest,
) -> Result<pb::ExchangeTokenResponse, Failure> {
    if !core.areas.contains(&request.audience) {
        let known = core.areas.join(", ");
        return Err(Failure::field("audience", format!("is none of {known}")));
    }
    let Some(service) = grant.caller.name.strip_prefix("serviceAccounts/") else {
        return Err(not_a_service());
    };
    // A service asks as itself; one that passes on another's call has nothing to ask for.
    if grant.caller.actor.is_some() {
        return Err(not_a_service());
    }
    let now = core.now();
    let snapshot = core.publisher.access().fresh()?;
    let subject = token::verify_signature(&request.subject_token, snapshot.keys(), now)?;
    // A service of an area gets tokens that were meant for it, and may pass on no others.
    let area = service.strip_prefix(RESERVED_PREFIX).unwrap_or_default();
    let own = !core.areas.iter().any(|a| a == area) || subject.aud.iter().any(|a| a == area);
    if !own {
        return Err(refused(
            "TOKEN_WRONG_AUDIENCE",
            "the subject's token was for another service",
        ));
    }
    let member = Member::parse(&subject.sub)
        .ok_or_else(|| refused("TOKEN_INVALID", "the token is not valid"))?;
    let state = core.publisher.state();
    if state.disabled.contains(&member) {
        return Err(refused(
            "CALLER_DISABLED",
            "the subject of the token is disabled",
        ));
    }
    if state.revoked_sessions.contains(&subject.sid) {
        return Err(refused(
            "SESSION_REVOKED",
            "the session of the token was ended",
        ));
    }
    let end = core.token_end(now, jinke_types::Timestamp::from_secs(subject.exp));
    // Within the leeway of clocks a subject's token is accepted though it is over.
    if end <= now {
        return Err(refused("TOKEN_EXPIRED", "the token has expired"));
    }
    let audience = std::slice::from_ref(&request.audience);
    let actor = Some(grant.caller.name.as_str());
    let access = core.access_token(&member, &subject.sid, audience, actor, end, now)?;
    let life = std::time::Duration::from_secs(end.secs().abs_diff(now.secs()));
    let tokens = Tokens {
        access,
        refresh: String::new(),
        life,
    };
    Ok(pb::ExchangeTokenResponse {
        tokens: Some(convert::token_pair(tokens)),
    })
}

fn not_a_service() -> Failure {
    Failure::new(
        Code::PermissionDenied,
        "NOT_A_SERVICE",
        "only a service account, calling as itself, can act for its callers",
    )
}

fn refused(reason: &'static str, message: &str) -> Failure {
    Failure::new(Code::Unauthenticated, reason, message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        rpc::revoke_token,
        testing::{House, on_sqlite},
    };

    fn request(token: &str, audience: &str) -> pb::ExchangeTokenRequest {
        pb::ExchangeTokenRequest {
            subject_token: token.into(),
            audience: audience.into(),
        }
    }

    #[tokio::test]
    async fn it_names_both_and_lives_no_longer_than_the_subjects_token() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let tokens = house.login("li.lei").await.unwrap();
            house.clock.advance(Duration::from_secs(500));
            let service = house.service("service-customer", "identity.tokens.exchange");
            let answer = run(
                &house.core,
                &service,
                &request(&tokens.access_token, "identity"),
            )
            .unwrap();
            let pair = answer.tokens.unwrap();
            assert_eq!(pair.refresh_token, "");
            assert_eq!(pair.expires_in.unwrap().seconds, 100);
            let (caller, claims) = house.access().authenticate(&pair.access_token).unwrap();
            assert_eq!(caller.name, "users/li.lei");
            assert_eq!(
                caller.actor.as_deref(),
                Some("serviceAccounts/service-customer")
            );
            assert_eq!(claims.aud, ["identity"]);
            let (_, subject) = house.access().authenticate(&tokens.access_token).unwrap();
            assert_eq!(
                (claims.sid.as_str(), claims.exp),
                (subject.sid.as_str(), subject.exp)
            );

            revoke_token::run(&house.core, &subject.sid).await.unwrap();
            let ended = house.authenticate(&pair.access_token).unwrap_err();
            assert_eq!(ended.reason, "SESSION_REVOKED");
            let again = run(
                &house.core,
                &service,
                &request(&tokens.access_token, "identity"),
            )
            .unwrap_err();
            assert_eq!(again.reason, "SESSION_REVOKED");
        })
        .await;
    }

    #[tokio::test]
    async fn who_is_no_service_or_holds_no_fit_token_gets_none() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let tokens = house.login("li.lei").await.unwrap();
            let token = tokens.access_token.as_str();
            let service = house.service("service-customer", "identity.tokens.exchange");
            let reason = |grant: &Grant, token: &str, audience: &str| {
                run(&house.core, grant, &request(token, audience))
                    .unwrap_err()
                    .reason
            };
            assert_eq!(reason(&house.admin(), token, "customer"), "NOT_A_SERVICE");
            let mut acting = service.clone();
            acting.caller.actor = Some("serviceAccounts/service-connector".into());
            assert_eq!(reason(&acting, token, "customer"), "NOT_A_SERVICE");
            assert_eq!(reason(&service, token, "elsewhere"), "INVALID_FIELD");
            assert_eq!(reason(&service, "no token", "customer"), "TOKEN_INVALID");
            let request = pb::LoginRequest {
                user: "li.lei".into(),
                password: crate::testing::PASSWORD.into(),
                audiences: vec!["identity".into()],
                ..pb::LoginRequest::default()
            };
            let elsewhere = crate::rpc::login::run(&house.core, request).await.unwrap();
            let elsewhere = elsewhere.tokens.unwrap().access_token;
            assert_eq!(
                reason(&service, &elsewhere, "customer"),
                "TOKEN_WRONG_AUDIENCE"
            );
            house.clock.advance(Duration::from_secs(610));
            assert_eq!(reason(&service, token, "customer"), "TOKEN_EXPIRED");
        })
        .await;
    }
}
