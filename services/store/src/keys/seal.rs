//! Sealing with AES-256-GCM: authenticated encryption with associated data.

use aes_gcm::{
    Aes256Gcm, KeyInit as _, Nonce,
    aead::{AeadInPlace as _, generic_array::GenericArray},
};
use jinke_types::{Code, Entropy, Failure};
use sha2::{Digest as _, Sha256};

use super::Secret;

/// Which algorithms made a sealed text. The number is stored; numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Suite {
    /// AES-256-GCM (NIST SP 800-38D), HMAC-SHA-256.
    Aes256Gcm = 1,
    /// SM4-GCM (GB/T 32907), HMAC-SM3 (GB/T 32905). Reserved: this build cannot open it.
    Sm4Gcm = 2,
}

const NONCE: usize = 12;
const TAG: usize = 16;
/// Bytes that tell which data key sealed a text.
const PRINT: usize = 4;
/// Suite, print of the data key, nonce.
const HEADER: usize = 1 + PRINT + NONCE;
/// Suite, sealing key's id, nonce.
const WRAP_HEADER: usize = 2 + NONCE;
/// Keeps a wrapped key from being taken for a sealed value.
const WRAP_AAD: &[u8] = b"jinke data key";

/// The key of one record. Wiped from memory when dropped.
pub struct DataKey(Secret);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(…)")
    }
}

impl DataKey {
    /// A new random key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = Secret::default();
        entropy.fill(key.as_mut_slice());
        Self(key)
    }

    /// Seals `plain`. Layout: suite (1 byte), print of this key (4), nonce (12), sealed text
    /// and tag (16 more than `plain`). `aad` says what and where it is (record number, use):
    /// the text opens only with the same, so it cannot be moved to another place.
    pub fn seal(&self, aad: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + plain.len() + TAG);
        out.push(Suite::Aes256Gcm as u8);
        out.extend_from_slice(&self.print());
        push_sealed(&self.0, &mut out, aad, plain, entropy);
        out
    }

    /// Opens what [`DataKey::seal`] made. `DATA_LOSS` with reason `SEALED_DAMAGED` (changed,
    /// cut short, or another `aad`), `SEALED_KEY` (sealed with another data key) or
    /// `SEALED_SUITE` (a suite this build does not have). It never tells the content.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Failure> {
        suite(sealed)?;
        if sealed.len() < HEADER + TAG {
            return Err(damaged());
        }
        if sealed[1..=PRINT] != self.print() {
            return Err(Failure::new(
                Code::DataLoss,
                "SEALED_KEY",
                "a sealed value belongs to another data key",
            ));
        }
        open(&self.0, aad, &sealed[1 + PRINT..])
    }

    fn print(&self) -> [u8; PRINT] {
        let mut hash = Sha256::new();
        hash.update(b"jinke data key print\0");
        hash.update(self.0.as_slice());
        let mut out = [0; PRINT];
        out.copy_from_slice(&hash.finalize()[..PRINT]);
        out
    }
}

pub(super) fn wrap(secret: &Secret, id: u8, key: &DataKey, entropy: &dyn Entropy) -> Vec<u8> {
    let mut out = Vec::with_capacity(WRAP_HEADER + 32 + TAG);
    out.extend_from_slice(&[Suite::Aes256Gcm as u8, id]);
    push_sealed(secret, &mut out, WRAP_AAD, key.0.as_slice(), entropy);
    out
}

pub(super) fn unwrap(secret: &Secret, wrapped: &[u8]) -> Result<DataKey, Failure> {
    suite(wrapped)?;
    if wrapped.len() != WRAP_HEADER + 32 + TAG {
        return Err(damaged());
    }
    let plain = zeroize::Zeroizing::new(open(secret, WRAP_AAD, &wrapped[2..])?);
    let mut key = Secret::default();
    key.copy_from_slice(&plain);
    Ok(DataKey(key))
}

fn push_sealed(
    secret: &Secret,
    out: &mut Vec<u8>,
    aad: &[u8],
    plain: &[u8],
    entropy: &dyn Entropy,
) {
    let mut nonce = [0; NONCE];
    entropy.fill(&mut nonce);
    out.extend_from_slice(&nonce);
    let start = out.len();
    out.extend_from_slice(plain);
    let tag = cipher(secret)
        .encrypt_in_place_detached(Nonce::from_slice(&nonce), aad, &mut out[start..])
        .expect("AES-GCM seals up to 64 GiB, more than memory holds in one value");
    out.extend_from_slice(&tag);
}

/// Opens nonce, sealed text, tag.
fn open(secret: &Secret, aad: &[u8], rest: &[u8]) -> Result<Vec<u8>, Failure> {
    let (nonce, rest) = rest.split_at(NONCE);
    let (text, tag) = rest.split_at(rest.len() - TAG);
    let mut plain = text.to_vec();
    cipher(secret)
        .decrypt_in_place_detached(
            Nonce::from_slice(nonce),
            aad,
            &mut plain,
            GenericArray::from_slice(tag),
        )
        .map_err(|_| damaged())?;
    Ok(plain)
}

fn cipher(secret: &Secret) -> Aes256Gcm {
    Aes256Gcm::new(GenericArray::from_slice(secret.as_slice()))
}

fn suite(sealed: &[u8]) -> Result<(), Failure> {
    match sealed.first() {
        Some(1) => Ok(()),
        Some(n) => Err(Failure::new(
            Code::DataLoss,
            "SEALED_SUITE",
            format!("a value is sealed with suite {n}, which this build does not have"),
        )),
        None => Err(damaged()),
    }
}

fn damaged() -> Failure {
    Failure::new(
        Code::DataLoss,
        "SEALED_DAMAGED",
        "a sealed value is damaged or out of place",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyRing;
    use jinke_types::SeededEntropy;
    use proptest::prelude::*;

    #[test]
    fn what_is_sealed_opens_only_in_its_place() {
        let entropy = SeededEntropy::new(1);
        let (key, other) = (DataKey::generate(&entropy), DataKey::generate(&entropy));
        let sealed = key.seal(b"record 7 name", "张伟".as_bytes(), &entropy);
        assert_eq!(
            key.open(b"record 7 name", &sealed).unwrap(),
            "张伟".as_bytes()
        );
        assert_eq!(
            key.open(b"record 8 name", &sealed).unwrap_err().reason,
            "SEALED_DAMAGED"
        );
        assert_eq!(
            other.open(b"record 7 name", &sealed).unwrap_err().reason,
            "SEALED_KEY"
        );
        assert_eq!(key.open(b"", &[2; 64]).unwrap_err().reason, "SEALED_SUITE");
        assert_ne!(
            sealed,
            key.seal(b"record 7 name", "张伟".as_bytes(), &entropy)
        );
    }

    #[test]
    fn a_known_answer_pins_the_layout() {
        // AES-256-GCM with an all-zero key, nonce and block: test case 14 of the GCM
        // specification by McGrew and Viega.
        struct Zero;
        impl Entropy for Zero {
            fn fill(&self, out: &mut [u8]) {
                out.fill(0);
            }
        }
        let sealed = DataKey::generate(&Zero).seal(b"", &[0; 16], &Zero);
        assert_eq!(
            hex::encode(&sealed[HEADER..]),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
        );
    }

    proptest! {
        #[test]
        fn any_change_or_cut_is_noticed(plain: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let entropy = SeededEntropy::new(2);
            let key = DataKey::generate(&entropy);
            let sealed = key.seal(b"a", &plain, &entropy);
            prop_assert_eq!(key.open(b"a", &sealed).unwrap(), plain);
            let at = at.index(sealed.len());
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            prop_assert_eq!(key.open(b"a", &changed).unwrap_err().code, Code::DataLoss);
            prop_assert_eq!(key.open(b"a", &sealed[..at]).unwrap_err().code, Code::DataLoss);
        }

        #[test]
        fn no_bytes_make_unwrap_panic(bytes: Vec<u8>) {
            let ring = KeyRing::in_memory(&SeededEntropy::new(3));
            prop_assert_eq!(ring.unwrap(&bytes).unwrap_err().code, Code::DataLoss);
            let mut near = vec![1, 1];
            near.extend(bytes);
            prop_assert_eq!(ring.unwrap(&near).unwrap_err().code, Code::DataLoss);
        }
    }
}
