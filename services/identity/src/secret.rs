//! Secrets that identity makes up: keys of service accounts, refresh tokens, one-time passwords.
//!
//! A key is `jk_<id>_<secret>`, a refresh token `jr_<id>_<secret>`: 64 random bits that name the
//! row and 256 random bits that prove it. At rest there is only a keyed hash (`KeyRing::hmac`,
//! which names its algorithm and key), compared in constant time. A slow hash would add nothing:
//! nobody guesses 256 bits.

use jinke_types::Entropy;

/// What a secret is for; also keeps one kind from being taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Key of a service account.
    Key,
    /// Refresh token.
    Refresh,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Key => "jk_",
            Self::Refresh => "jr_",
        }
    }
    /// The purpose of the keyed hash.
    pub(crate) const fn purpose(self) -> &'static str {
        match self {
            Self::Key => "service account key",
            Self::Refresh => "refresh token",
        }
    }
}

/// A secret just made, or one a caller sent.
pub(crate) struct Secret {
    /// Names the row.
    pub(crate) id: String,
    /// The whole text, which is what is hashed.
    pub(crate) text: String,
}

/// Makes a secret.
pub(crate) fn make(kind: Kind, entropy: &dyn Entropy) -> Secret {
    let (mut id, mut secret) = ([0; 8], [0; 32]);
    entropy.fill(&mut id);
    entropy.fill(&mut secret);
    let id = hex::encode(id);
    let text = format!("{}{id}_{}", kind.prefix(), hex::encode(secret));
    Secret { id, text }
}

/// Reads a secret a caller sent; none when it cannot be one.
pub(crate) fn read(kind: Kind, text: &str) -> Option<Secret> {
    let is_hex =
        |s: &str, len| s.len() == len && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let (id, secret) = text.strip_prefix(kind.prefix())?.split_once('_')?;
    (is_hex(id, 16) && is_hex(secret, 64)).then(|| Secret {
        id: id.to_owned(),
        text: text.to_owned(),
    })
}

/// A password for one time: 20 letters and digits that cannot be mistaken for each other, in
/// groups of five; 100 random bits.
pub(crate) fn one_time_password(entropy: &dyn Entropy) -> String {
    // 32 characters, so that five bits choose one without bias.
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 20];
    entropy.fill(&mut bytes);
    let mut out = String::with_capacity(23);
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && at % 5 == 0 {
            out.push('-');
        }
        out.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    out
}

#[cfg(test)]
mod tests {
    use jinke_types::SeededEntropy;

    use super::*;

    #[test]
    fn what_is_made_can_be_read_and_kinds_do_not_mix() {
        let entropy = SeededEntropy::new(1);
        let key = make(Kind::Key, &entropy);
        let read_back = read(Kind::Key, &key.text).expect("a key");
        assert_eq!((read_back.id, read_back.text), (key.id, key.text.clone()));
        assert!(read(Kind::Refresh, &key.text).is_none());
        let upper = key.text.to_uppercase();
        let long = format!("{}0", key.text);
        for bad in [
            "",
            "jk_",
            "jk__",
            "jk_0_0",
            &upper,
            &long,
            &"jk_".repeat(100_000),
        ] {
            assert!(read(Kind::Key, bad).is_none());
        }
        assert_ne!(make(Kind::Key, &entropy).text, key.text);
    }

    #[test]
    fn one_time_passwords_differ_and_keep_their_shape() {
        let entropy = SeededEntropy::new(1);
        let (a, b) = (one_time_password(&entropy), one_time_password(&entropy));
        assert_ne!(a, b);
        assert_eq!(a.split('-').map(str::len).collect::<Vec<_>>(), [5, 5, 5, 5]);
        assert_eq!(crate::password::check("admin", &a), Ok(()));
    }
}
