//! The envelope in which WeCom and DingTalk send callbacks: an encrypted message and a signature.
//!
//! The scheme, as both vendors document it and their own libraries do it:
//!
//! - signature: SHA-1, in hex, over token, timestamp, nonce and the encrypted text, sorted as
//!   texts and joined without anything between;
//! - key: the 43 characters of the *EncodingAESKey* with `=` behind them, base64, 32 bytes;
//! - AES-256-CBC, the first 16 bytes of the key as initialisation vector, padded to a multiple
//!   of 32 bytes with bytes that hold the number of padding bytes (1 to 32);
//! - plain text: 16 random bytes, the length of the message as four bytes (big endian), the
//!   message, and whom it is for (`receiver`).
//!
//! The scheme's signature is no HMAC and its initialisation vector never changes; both are the
//! vendors' choice. What a receiver can do is done here: the signature is compared in constant
//! time and before anything is decrypted, so a forged message never reaches the padding check,
//! and every failure looks the same.

use aes::{
    Aes256,
    cipher::{BlockDecrypt as _, BlockEncrypt as _, KeyInit as _, generic_array::GenericArray},
};
use base64::{
    Engine as _,
    alphabet::STANDARD as ALPHABET,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use jinke_types::{Code, Entropy, Failure};
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

/// An encrypted text is at most this many bytes of base64.
pub const MAX_ENCRYPTED: usize = 1 << 20;
/// Padding goes to a multiple of this.
const PAD: usize = 32;
/// Block of AES.
const BLOCK: usize = 16;

/// An account's callback keys.
#[derive(Clone)]
pub struct Envelope {
    token: String,
    key: [u8; 32],
    receiver: String,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope").finish_non_exhaustive()
    }
}

impl Envelope {
    /// From the token, the 43 characters of the *EncodingAESKey*, and whom messages are for.
    /// `SETTINGS_INVALID` when the key is not 43 characters of base64 or the token is blank.
    pub fn new(token: &str, encoding_key: &str, receiver: &str) -> Result<Self, Failure> {
        let wrong = |why| Failure::new(Code::InvalidArgument, "SETTINGS_INVALID", why);
        // The last character holds two bits more than the key has; vendors fill them at random.
        let lenient = GeneralPurpose::new(
            &ALPHABET,
            GeneralPurposeConfig::new()
                .with_decode_allow_trailing_bits(true)
                .with_decode_padding_mode(DecodePaddingMode::RequireNone),
        );
        let bytes = lenient.decode(encoding_key).ok();
        let key: Option<[u8; 32]> = bytes.and_then(|b| b.try_into().ok());
        let key = key.ok_or_else(|| wrong("the callback key is not 43 characters of base64"))?;
        if token.trim().is_empty() {
            return Err(wrong("the callback token is blank"));
        }
        Ok(Self {
            token: token.to_owned(),
            key,
            receiver: receiver.to_owned(),
        })
    }

    /// The signature of an encrypted text.
    pub fn signature(&self, timestamp: &str, nonce: &str, encrypted: &str) -> String {
        let mut parts = [self.token.as_str(), timestamp, nonce, encrypted];
        parts.sort_unstable();
        let mut sha = Sha1::new();
        for part in parts {
            sha.update(part.as_bytes());
        }
        hex::encode(sha.finalize())
    }

    /// Checks the signature and opens the message. Whatever is wrong, the failure is
    /// `CALLBACK_REFUSED`.
    pub fn open(
        &self,
        signature: &str,
        timestamp: &str,
        nonce: &str,
        encrypted: &str,
    ) -> Result<Vec<u8>, Failure> {
        if encrypted.len() > MAX_ENCRYPTED {
            return Err(refused());
        }
        let right = self.signature(timestamp, nonce, encrypted);
        if !bool::from(right.as_bytes().ct_eq(signature.as_bytes())) {
            return Err(refused());
        }
        self.decrypt(encrypted).ok_or_else(refused)
    }

    fn decrypt(&self, encrypted: &str) -> Option<Vec<u8>> {
        let mut data = STANDARD.decode(encrypted).ok()?;
        if data.is_empty() || data.len() % BLOCK != 0 {
            return None;
        }
        let cipher = Aes256::new(GenericArray::from_slice(&self.key));
        let mut before: [u8; BLOCK] = self.key[..BLOCK].try_into().ok()?;
        for block in data.chunks_exact_mut(BLOCK) {
            let received: [u8; BLOCK] = (&*block).try_into().ok()?;
            cipher.decrypt_block(GenericArray::from_mut_slice(block));
            for (byte, other) in block.iter_mut().zip(before) {
                *byte ^= other;
            }
            before = received;
        }
        let padding = usize::from(*data.last()?);
        if !(1..=PAD).contains(&padding) || padding > data.len() {
            return None;
        }
        let plain = &data[..data.len() - padding];
        let length = u32::from_be_bytes(plain.get(16..20)?.try_into().ok()?);
        let end = 20_usize.checked_add(usize::try_from(length).ok()?)?;
        let (message, receiver) = (plain.get(20..end)?, plain.get(end..)?);
        (receiver == self.receiver.as_bytes()).then(|| message.to_vec())
    }

    /// Encrypts a message.
    pub fn seal(&self, message: &[u8], entropy: &dyn Entropy) -> String {
        let mut data = vec![0; 16];
        entropy.fill(&mut data);
        data.extend(
            u32::try_from(message.len())
                .unwrap_or(u32::MAX)
                .to_be_bytes(),
        );
        data.extend_from_slice(message);
        data.extend_from_slice(self.receiver.as_bytes());
        let padding = PAD - data.len() % PAD;
        data.resize(data.len() + padding, padding as u8);
        let cipher = Aes256::new(GenericArray::from_slice(&self.key));
        let mut before = self.key[..BLOCK].to_vec();
        for block in data.chunks_exact_mut(BLOCK) {
            for (byte, other) in block.iter_mut().zip(&before) {
                *byte ^= other;
            }
            cipher.encrypt_block(GenericArray::from_mut_slice(block));
            before = block.to_vec();
        }
        STANDARD.encode(data)
    }
}

fn refused() -> Failure {
    Failure::new(
        Code::PermissionDenied,
        "CALLBACK_REFUSED",
        "the callback is not one that the foreign system signed for this account",
    )
}

#[cfg(test)]
mod tests {
    use jinke_types::SeededEntropy;
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn envelope() -> Envelope {
        Envelope::new("dummytoken", KEY, "wwdummycorp0000001").unwrap()
    }

    #[test]
    fn keys_of_43_characters_only() {
        assert!(Envelope::new("t", &KEY[..42], "x").is_err());
        assert!(Envelope::new("t", &format!("{KEY}="), "x").is_err());
        assert!(Envelope::new(" ", KEY, "x").is_err());
        // The two bits too many may hold anything.
        let odd = format!("{}9", &KEY[..42]);
        assert!(Envelope::new("t", &odd, "x").is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn what_is_sealed_opens_and_what_is_changed_does_not(
            message in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0..8_u8,
        ) {
            let envelope = envelope();
            let sealed = envelope.seal(&message, &SeededEntropy::new(1));
            let sign = |e: &str| envelope.signature("1700000000", "n", e);
            let open = |s: &str, e: &str| envelope.open(s, "1700000000", "n", e);
            prop_assert_eq!(open(&sign(&sealed), &sealed).unwrap(), message);
            let mut bytes = sealed.clone().into_bytes();
            let i = at.index(bytes.len());
            bytes[i] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert_eq!(open(&sign(&sealed), &changed).unwrap_err().reason, "CALLBACK_REFUSED");
                // Even with a right signature nothing panics.
                let _ = open(&sign(&changed), &changed);
            }
            let other = Envelope::new("dummytoken", KEY, "another").unwrap();
            prop_assert!(other.open(&sign(&sealed), "1700000000", "n", &sealed).is_err());
        }

        #[test]
        fn arbitrary_text_is_refused(text in ".*") {
            let envelope = envelope();
            let signature = envelope.signature("1", "2", &text);
            prop_assert!(envelope.open(&signature, "1", "2", &text).is_err());
        }
    }
}
