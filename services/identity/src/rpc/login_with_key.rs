//! `LoginWithKey`: trades a service account key for a token. There is no refresh token: the key
//! itself can be used again.

use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::{Failure, RowScope};

use crate::{
    convert,
    core::Core,
    domain::Member,
    error,
    secret::{self, Kind},
    store::accounts,
};

pub(crate) async fn run(
    core: &Core,
    request: pb::LoginWithKeyRequest,
) -> Result<pb::LoginWithKeyResponse, Failure> {
    let audiences = core.audiences(&request.audiences)?;
    let sent = secret::read(Kind::Key, &request.key).ok_or_else(error::key_refused)?;
    let stored = accounts::get_key(&mut *core.db.read().await?, &sent.id).await?;
    let (key, mac) = stored.ok_or_else(error::key_refused)?;
    let now = core.now();
    let proven = core
        .vault
        .ring
        .verify(Kind::Key.purpose(), sent.text.as_bytes(), &mac);
    if !proven || key.expire_time.is_some_and(|end| now >= end) {
        return Err(error::key_refused());
    }
    let member = Member::ServiceAccount(key.account.clone());
    jinke_kit::audit::name_caller(&member.to_string());
    core.db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            if !accounts::hold(tx, &key.account).await? {
                return Err(error::member_disabled());
            }
            // Deleted meanwhile.
            if !accounts::hold_key(tx, &key.id).await? {
                return Err(error::key_refused());
            }
            let (_, tokens) = core
                .begin_session(tx, &member, &key.id, audiences.clone(), now)
                .await?;
            let account = accounts::get(tx, &RowScope::All, &key.account)
                .await?
                .ok_or_else(error::key_refused)?;
            Ok(pb::LoginWithKeyResponse {
                tokens: Some(convert::token_pair(tokens)),
                service_account: Some(convert::service_account(account)),
            })
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn a_key_opens_and_nothing_like_it_does() {
        on_sqlite(async |house: &House| {
            let key = house.key("erp-sync").await;
            let request = |key: &str| pb::LoginWithKeyRequest {
                key: key.into(),
                audiences: vec!["identity".into()],
            };
            let answer = run(&house.core, request(&key)).await.unwrap();
            let tokens = answer.tokens.unwrap();
            assert_eq!(
                answer.service_account.unwrap().name,
                "serviceAccounts/erp-sync"
            );
            assert_eq!(tokens.refresh_token, "");
            let (caller, _) = house.access().authenticate(&tokens.access_token).unwrap();
            assert_eq!(caller.name, "serviceAccounts/erp-sync");

            let mut altered = key.clone().into_bytes();
            let last = altered.len() - 1;
            altered[last] = if altered[last] == b'0' { b'1' } else { b'0' };
            let altered = String::from_utf8(altered).unwrap();
            let other = secret::make(Kind::Key, house.core.entropy()).text;
            let refresh = key.replacen("jk_", "jr_", 1);
            for wrong in [
                "",
                "jk_",
                altered.as_str(),
                other.as_str(),
                refresh.as_str(),
            ] {
                let refused = run(&house.core, request(wrong)).await.unwrap_err();
                assert_eq!(refused.reason, "KEY_REFUSED", "{wrong}");
            }
        })
        .await;
    }
}
