//! Signing keys: Ed25519 (RFC 8032), published as JWK (RFC 8037).
//!
//! A new key is published before it signs, so that services know it when they meet its first
//! token. The old one is accepted until the last token it signed has expired.

use std::fmt;

use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};
use jinke_kit::token::{self, Claims};
use jinke_types::{Entropy, Failure, Timestamp};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::domain::PublicKey;

/// A key with its private half, in memory.
pub(crate) struct Signer {
    key: PublicKey,
    /// PKCS#8 DER.
    private: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("kid", &self.key.kid)
            .finish_non_exhaustive()
    }
}

impl Signer {
    pub(crate) fn new(key: PublicKey, private: Vec<u8>) -> Self {
        Self {
            key,
            private: Zeroizing::new(private),
        }
    }
    /// Signs claims.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Failure> {
        token::sign(claims, &self.key.kid, &self.private)
    }
}

/// Makes a key that signs from `active_time` on: its public half and its PKCS#8 DER.
pub(crate) fn generate(
    entropy: &dyn Entropy,
    active_time: Timestamp,
) -> Result<(PublicKey, Zeroizing<Vec<u8>>), Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    entropy.fill(seed.as_mut_slice());
    let private = SigningKey::from_bytes(&seed);
    let public_key = private.verifying_key().to_bytes().to_vec();
    let kid = hex::encode(&Sha256::digest(&public_key)[..8]);
    let der = private.to_pkcs8_der().map_err(Failure::internal)?;
    let key = PublicKey {
        kid,
        public_key,
        active_time,
        expire_time: None,
    };
    Ok((key, Zeroizing::new(der.as_bytes().to_vec())))
}

/// The key that signs at `now`: the newest that is active. `signers` are in order of activity.
pub(crate) fn active(signers: &[Signer], now: Timestamp) -> Option<&Signer> {
    let usable = |s: &&Signer| s.key.expire_time.is_none_or(|end| now < end);
    signers
        .iter()
        .rev()
        .filter(usable)
        .find(|s| s.key.active_time <= now)
        // A clock that was set back makes every key look young; the oldest is known best.
        .or_else(|| signers.iter().find(usable))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jinke_types::SeededEntropy;

    use super::*;

    #[test]
    fn the_newest_active_key_signs() {
        let entropy = SeededEntropy::new(1);
        let now = Timestamp::from_secs(1_000);
        let signer = |active, expire_time| {
            let (key, private) = generate(&entropy, active).unwrap();
            Signer::new(PublicKey { expire_time, ..key }, private.to_vec())
        };
        let later = now.plus(Duration::from_secs(10));
        let keys = [signer(Timestamp::default(), Some(later)), signer(now, None)];
        assert_eq!(active(&keys, now).unwrap().key.kid, keys[1].key.kid);
        assert_eq!(
            active(&keys, Timestamp(1)).unwrap().key.kid,
            keys[0].key.kid
        );
        assert_eq!(active(&keys, later).unwrap().key.kid, keys[1].key.kid);
        assert_eq!(
            active(&keys, Timestamp(-1)).unwrap().key.kid,
            keys[0].key.kid
        );
        assert!(active(&[], now).is_none());
    }
}
