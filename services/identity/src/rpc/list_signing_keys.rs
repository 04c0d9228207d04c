//! `ListSigningKeys`: the public keys tokens are signed with. Public.

use jinke_proto::jinke::identity::v1 as pb;

use crate::{convert, core::Core};

pub(crate) fn run(core: &Core) -> pb::ListSigningKeysResponse {
    let state = core.publisher.state();
    let now = core.now();
    let valid = |end: Option<jinke_types::Timestamp>| end.is_none_or(|end| now < end);
    pb::ListSigningKeysResponse {
        keys: state
            .signing_keys
            .iter()
            .filter(|key| valid(key.expire_time))
            .map(convert::signing_key)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, on_sqlite};

    #[tokio::test]
    async fn a_token_can_be_checked_with_what_is_listed() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let tokens = house.login("li.lei").await.unwrap();
            let keys = run(&house.core).keys;
            assert_eq!(keys.len(), 1);
            assert_eq!(
                (
                    keys[0].kty.as_str(),
                    keys[0].crv.as_str(),
                    keys[0].alg.as_str()
                ),
                ("OKP", "Ed25519", "EdDSA")
            );
            let ring = jinke_kit::token::KeyRing::new(&keys).unwrap();
            let claims =
                jinke_kit::token::verify(&tokens.access_token, &ring, "customer", house.core.now());
            assert_eq!(claims.unwrap().sub, "users/li.lei");
        })
        .await;
    }
}
