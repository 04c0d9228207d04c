//! `Login`: trades a user name and password for tokens.
//!
//! Wrong name and wrong password look alike, in the answer and in time: a name that does not
//! exist costs the same look-up, the same hash and the same count of failures. That an account
//! is disabled, or wants a new password, is only told to someone who knew the password.

use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::{Failure, FieldMask, RowScope};

use crate::{
    convert,
    core::Core,
    domain::{Checks, Member, is_id},
    error, password,
    store::{self, sessions, users},
};

pub(crate) async fn run(
    core: &Core,
    request: pb::LoginRequest,
) -> Result<pb::LoginResponse, Failure> {
    let name = request.user.strip_prefix("users/").unwrap_or(&request.user);
    let new = request.new_password.as_str();
    let mut checks = Checks::default();
    checks.must(
        !name.is_empty() && name.len() <= 256,
        "user",
        "must have 1 to 256 bytes",
    );
    checks.must(
        !name.chars().any(char::is_control),
        "user",
        "must not hold control characters",
    );
    let length = 1..=password::MAX_BYTES;
    checks.must(
        length.contains(&request.password.len()),
        "password",
        "must have 1 to 1000 bytes",
    );
    if !new.is_empty() {
        let verdict = password::check(name, new);
        checks.must(
            verdict.is_ok(),
            "new_password",
            verdict.err().unwrap_or_default(),
        );
        checks.must(
            new != request.password,
            "new_password",
            "must differ from the present one",
        );
    }
    let audiences = checks.take(core.audiences(&request.audiences));
    checks.done()?;

    let slot = core.passwords.admit()?;
    core.charge_login(name).await?;
    let checked = check(core, &slot, name, &request.password).await;
    let credential = match checked {
        Ok(credential) => credential.ok_or_else(error::login_failed)?,
        Err(failure) => {
            // Nothing was learned about the password, so it does not count.
            core.uncharge_login(name).await?;
            return Err(failure);
        }
    };
    jinke_kit::audit::name_caller(&format!("users/{name}"));
    let refused = if credential.disabled {
        Some(error::member_disabled())
    } else if credential.password_change && new.is_empty() {
        Some(error::password_change_required())
    } else {
        None
    };
    if let Some(refused) = refused {
        core.db
            .write(async |mut tx: Tx| core.forgive_login(&mut tx, name).await)
            .await?;
        return Err(refused);
    }
    let hash = match new {
        "" if !core.passwords.is_stale(&credential.hash) => None,
        "" => Some(
            core.passwords
                .hash(&slot, request.password.clone(), core.entropy())
                .await?,
        ),
        new => Some(
            core.passwords
                .hash(&slot, new.to_owned(), core.entropy())
                .await?,
        ),
    };

    let member = Member::User(name.to_owned());
    let now = core.now();
    let (done, position) = core
        .db
        .write_positioned(async |mut tx: Tx| {
            let tx = &mut tx;
            if !users::hold(tx, name, &credential.hash).await? {
                return Ok(None);
            }
            match &hash {
                Some(hash) if new.is_empty() => {
                    users::rehash(tx, name, &credential.hash, hash).await?;
                }
                Some(hash) => {
                    // Whoever else had the old password is out.
                    let revision = store::new_revision(tx).await?;
                    users::set_password(tx, name, hash, false, revision, now).await?;
                    sessions::end_of_member(tx, &member, "password changed", now).await?;
                    store::log(tx, member.to_string(), "password changed", revision, now);
                }
                None => {}
            }
            core.forgive_login(tx, name).await?;
            let (_, tokens) = core
                .begin_session(tx, &member, "", audiences.clone(), now)
                .await?;
            let user = users::get(tx, &core.vault, &RowScope::All, name).await?;
            Ok(user.map(|user| (tokens, user)))
        })
        .await?;
    if position.is_some() {
        core.published().await;
    }
    // Meanwhile the password was changed or the user disabled.
    let (tokens, user) = done.ok_or_else(error::login_failed)?;
    Ok(pb::LoginResponse {
        tokens: Some(convert::token_pair(tokens)),
        // He may see his own name.
        user: Some(convert::user(user, &FieldMask::all())),
    })
}

/// What is kept about the user, if the password is his.
async fn check(
    core: &Core,
    slot: &password::Slot,
    name: &str,
    password: &str,
) -> Result<Option<crate::domain::Credential>, Failure> {
    let credential = users::credential(&mut *core.db.read().await?, name).await?;
    let credential = credential.filter(|c| is_id(name) && !c.hash.is_empty());
    let hash = credential.as_ref().map(|c| c.hash.clone());
    let right = core
        .passwords
        .verify(slot, password.to_owned(), hash)
        .await?;
    Ok(credential.filter(|_| right))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jinke_types::Code;

    use super::*;
    use crate::testing::{House, PASSWORD, on_sqlite};

    #[tokio::test]
    async fn the_table_of_logins() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            house.user_with("no.password", "", "").await;
            house.user("gone", "").await;
            house.disable("gone").await;
            let one_time = house.reset("han.mei").await;
            let long = "x".repeat(1_001);
            for (user, password, new, reason) in [
                ("li.lei", PASSWORD, "", None),
                ("users/li.lei", PASSWORD, "", None),
                ("li.lei", "wrong password", "", Some("LOGIN_FAILED")),
                ("nobody", PASSWORD, "", Some("LOGIN_FAILED")),
                ("Not A Name", PASSWORD, "", Some("LOGIN_FAILED")),
                ("no.password", PASSWORD, "", Some("LOGIN_FAILED")),
                ("gone", "wrong password", "", Some("LOGIN_FAILED")),
                ("gone", PASSWORD, "", Some("MEMBER_DISABLED")),
                (
                    "han.mei",
                    one_time.as_str(),
                    "",
                    Some("PASSWORD_CHANGE_REQUIRED"),
                ),
                ("han.mei", one_time.as_str(), "short", Some("INVALID_FIELD")),
                ("han.mei", one_time.as_str(), "my own password", None),
                ("han.mei", one_time.as_str(), "", Some("LOGIN_FAILED")),
                ("li.lei", PASSWORD, PASSWORD, Some("INVALID_FIELD")),
                ("li.lei", long.as_str(), "", Some("INVALID_FIELD")),
                ("", PASSWORD, "", Some("INVALID_FIELD")),
                ("a\0b", PASSWORD, "", Some("INVALID_FIELD")),
            ] {
                let answer = house.login_with(user, password, new).await;
                assert_eq!(
                    answer.err().map(|f| f.reason),
                    reason,
                    "{user:?} {password:?}"
                );
            }
        })
        .await;
    }

    #[tokio::test]
    async fn tokens_carry_what_was_asked_for_and_expire() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let request = |audiences: &[&str]| pb::LoginRequest {
                user: "li.lei".into(),
                password: PASSWORD.into(),
                audiences: audiences.iter().map(|a| (*a).to_owned()).collect(),
                ..pb::LoginRequest::default()
            };
            let all = run(&house.core, request(&[]))
                .await
                .unwrap()
                .tokens
                .unwrap();
            assert_eq!(all.expires_in.unwrap().seconds, 600);
            let (caller, claims) = house.access().authenticate(&all.access_token).unwrap();
            assert_eq!((caller.name.as_str(), caller.actor), ("users/li.lei", None));
            assert_eq!(claims.aud, crate::convert::areas().unwrap());

            let other = run(&house.core, request(&["customer"]))
                .await
                .unwrap()
                .tokens
                .unwrap();
            let refused = house.authenticate(&other.access_token).unwrap_err();
            assert_eq!(refused.reason, "TOKEN_WRONG_AUDIENCE");
            let unknown = run(&house.core, request(&["customer", "x"]))
                .await
                .unwrap_err();
            assert_eq!(unknown.violations[0].field, "audiences[1]");

            let mut forged = all.access_token.clone().into_bytes();
            let last = forged.len() - 10;
            forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(
                house.authenticate(&forged).unwrap_err().reason,
                "TOKEN_INVALID"
            );
            house.clock.advance(Duration::from_secs(600 + 31));
            let old = house.authenticate(&all.access_token).unwrap_err();
            assert_eq!(old.reason, "TOKEN_EXPIRED");
        })
        .await;
    }

    #[tokio::test]
    async fn failures_slow_a_name_down_whether_it_exists_or_not() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            for name in ["li.lei", "nobody"] {
                for _ in 0..6 {
                    let failed = house
                        .login_with(name, "wrong password", "")
                        .await
                        .unwrap_err();
                    assert_eq!(failed.reason, "LOGIN_FAILED", "{name}");
                }
                let slowed = house.login_with(name, PASSWORD, "").await.unwrap_err();
                assert_eq!(
                    (slowed.code, slowed.reason),
                    (Code::ResourceExhausted, "LOGIN_THROTTLED")
                );
                assert_eq!(slowed.metadata["retry_after_seconds"], "1");
            }
            house.clock.advance(Duration::from_secs(1));
            let failed = house
                .login_with("li.lei", "wrong password", "")
                .await
                .unwrap_err();
            assert_eq!(failed.reason, "LOGIN_FAILED");
            let slowed = house.login_with("li.lei", PASSWORD, "").await.unwrap_err();
            assert_eq!(slowed.metadata["retry_after_seconds"], "2");
            house.clock.advance(Duration::from_secs(2));
            house.login("li.lei").await.unwrap();
            for _ in 0..5 {
                let failed = house
                    .login_with("li.lei", "wrong password", "")
                    .await
                    .unwrap_err();
                assert_eq!(failed.reason, "LOGIN_FAILED", "a right one wiped the slate");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_new_password_ends_other_sessions() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let before = house.login("li.lei").await.unwrap();
            let after = house
                .login_with("li.lei", PASSWORD, "a new password")
                .await
                .unwrap();
            let ended = house.authenticate(&before.access_token).unwrap_err();
            assert_eq!(ended.reason, "SESSION_REVOKED");
            assert!(house.authenticate(&after.access_token).is_ok());
        })
        .await;
    }
}
