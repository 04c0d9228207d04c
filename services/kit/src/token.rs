//! Access tokens: JWTs signed with Ed25519 (RFC 7519, RFC 8037). Identity signs, everybody
//! verifies, with the keys of the access snapshot.

use std::collections::BTreeMap;

use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::{Code, Failure, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// The `iss` of every token of the suite.
pub const ISSUER: &str = "jinke-identity";
/// Clocks of two machines may differ by this much: a token is accepted up to 30 s before `nbf`
/// and after `exp`.
pub const LEEWAY_SECS: i64 = 30;
/// Longest token looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it: [`ISSUER`].
    pub iss: String,
    /// Whom it speaks for: `users/…` or `serviceAccounts/…`.
    pub sub: String,
    /// Areas it is for: `customer`, `identity`…
    pub aud: Vec<String>,
    /// Seconds since the epoch after which it is refused.
    pub exp: i64,
    /// Seconds since the epoch before which it is refused.
    #[serde(default)]
    pub nbf: i64,
    /// Seconds since the epoch at which it was made.
    pub iat: i64,
    /// Names this token.
    pub jti: String,
    /// Names the session it belongs to; revoking the session ends all its tokens.
    pub sid: String,
    /// The service that acts for `sub`, when the token was exchanged (RFC 8693).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
}

/// The acting party of an exchanged token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `serviceAccounts/…`.
    pub sub: String,
}

/// Signs claims. `pkcs8_der` is the private Ed25519 key as PKCS#8 DER, `kid` its id, as in the
/// snapshot's signing keys.
///
/// # Errors
/// `INTERNAL` when the key is not an Ed25519 key.
pub fn sign(claims: &Claims, kid: &str, pkcs8_der: &[u8]) -> Result<String, Failure> {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(pkcs8_der))
        .map_err(|e| Failure::internal(format!("cannot sign a token: {e}")))
}

/// Public keys by id.
#[derive(Clone, Default)]
pub struct KeyRing(BTreeMap<String, (DecodingKey, Option<Timestamp>)>);

impl KeyRing {
    /// Takes the keys of a snapshot, or of `ListSigningKeys`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a key that is not an Ed25519 key.
    pub fn new(keys: &[pb::SigningKey]) -> Result<Self, Failure> {
        let mut ring = BTreeMap::new();
        for (i, k) in keys.iter().enumerate() {
            if (k.kty.as_str(), k.crv.as_str(), k.alg.as_str()) != ("OKP", "Ed25519", "EdDSA") {
                return Err(Failure::field(
                    format!("signing_keys[{i}]"),
                    "is not Ed25519",
                ));
            }
            let key = DecodingKey::from_ed_components(&k.x)
                .map_err(|_| Failure::field(format!("signing_keys[{i}].x"), "is not base64url"))?;
            let expires = k.expire_time.as_ref().map(|t| {
                Timestamp(t.seconds.saturating_mul(1_000_000) + i64::from(t.nanos) / 1_000)
            });
            ring.insert(k.kid.clone(), (key, expires));
        }
        Ok(Self(ring))
    }
}

/// Checks signature, issuer, audience and times of a token at `now`.
///
/// # Errors
/// `UNAUTHENTICATED` with reason `TOKEN_INVALID` (form, key, signature, issuer), `TOKEN_EXPIRED`,
/// `TOKEN_NOT_YET_VALID` or `TOKEN_WRONG_AUDIENCE`.
pub fn verify(
    token: &str,
    keys: &KeyRing,
    audience: &str,
    now: Timestamp,
) -> Result<Claims, Failure> {
    let claims = verify_signature(token, keys, now)?;
    if !claims.aud.iter().any(|a| a == audience) {
        return Err(
            refused("TOKEN_WRONG_AUDIENCE", "the token is not for this service")
                .with("audience", audience),
        );
    }
    Ok(claims)
}

/// Like [`verify`] for any audience. For identity, which exchanges tokens meant for others.
///
/// # Errors
/// As [`verify`], without `TOKEN_WRONG_AUDIENCE`.
pub fn verify_signature(token: &str, keys: &KeyRing, now: Timestamp) -> Result<Claims, Failure> {
    let invalid = || refused("TOKEN_INVALID", "the token is not valid");
    if token.len() > MAX_TOKEN_BYTES {
        return Err(invalid());
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
    let (key, key_expires) = header
        .kid
        .as_deref()
        .and_then(|kid| keys.0.get(kid))
        .ok_or_else(invalid)?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    // Times and audience are checked below: the library would read the machine's clock.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.set_issuer(&[ISSUER]);
    let claims = jsonwebtoken::decode::<Claims>(token, key, &validation)
        .map_err(|_| invalid())?
        .claims;
    if claims.iss != ISSUER || claims.sub.is_empty() || claims.sid.is_empty() {
        return Err(invalid());
    }
    if key_expires.is_some_and(|t| now >= t) {
        return Err(refused("TOKEN_EXPIRED", "the key of the token has expired"));
    }
    still_valid(&claims, now)?;
    if now.secs() < claims.nbf.saturating_sub(LEEWAY_SECS) {
        return Err(refused("TOKEN_NOT_YET_VALID", "the token is not valid yet"));
    }
    Ok(claims)
}

/// The first second, since the epoch, in which a token is refused for its age.
pub(crate) const fn first_refused_second(claims: &Claims) -> i64 {
    claims.exp.saturating_add(LEEWAY_SECS)
}

/// Whether claims that were verified before have not expired at `now`.
///
/// # Errors
/// `UNAUTHENTICATED` with reason `TOKEN_EXPIRED`.
pub(crate) fn still_valid(claims: &Claims, now: Timestamp) -> Result<(), Failure> {
    if now.secs() >= first_refused_second(claims) {
        return Err(refused("TOKEN_EXPIRED", "the token has expired"));
    }
    Ok(())
}

fn refused(reason: &'static str, message: &str) -> Failure {
    Failure::new(Code::Unauthenticated, reason, message)
}
