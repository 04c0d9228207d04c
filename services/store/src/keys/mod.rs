//! Sealing and tokens (decision D13).
//!
//! A record's personal values are sealed with its own [`DataKey`]; the data key is stored
//! wrapped by a key of the sealing file. Destroying the wrapped data key destroys the values,
//! in backups of the database too. What must be found while sealed is found by its token: a
//! keyed hash under a key of the token file.
//!
//! **What tokens leak.** Whoever reads the database without the token file sees which records
//! share a value and how often a value occurs, and so may guess frequent ones (a common
//! surname), but cannot compute the token of a value he guesses. Whoever has both has a
//! dictionary attack on small value spaces such as phone numbers: keep the token file apart.
//!
//! **Suites.** Every sealed text, wrapped key, token and hash names its suite or key id.
//! [`Suite::Aes256Gcm`] (with HMAC-SHA-256) is the one implemented; SM4-GCM with HMAC-SM3 has
//! its number reserved.
//!
//! **Rotation.** Add a key to a file and name it active. Old keys stay until nothing uses
//! them: [`KeyRing::tokens_for_lookup`] asks under all of them.

mod file;
mod seal;

use std::{collections::BTreeMap, fmt};

use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use jinke_types::{Code, Entropy, Failure};
use sha2::Sha256;
use zeroize::Zeroizing;

pub use file::KeyFiles;
pub use seal::{DataKey, Suite};

use crate::{args, tx::Tx};

type HmacSha256 = Hmac<Sha256>;

/// 32 secret bytes, wiped when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// The keys of one file: several, one of them active.
pub(crate) struct Keys {
    pub(crate) active: u8,
    pub(crate) secrets: BTreeMap<u8, Secret>,
}

/// The keys of a service, read from its key files.
pub struct KeyRing {
    sealing: Keys,
    tokens: BTreeMap<u8, HmacSha256>,
    digests: BTreeMap<u8, HmacSha256>,
    active_token: u8,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("sealing", &self.sealing.secrets.keys())
            .field("tokens", &self.tokens.keys())
            .finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Reads the key files.
    ///
    /// Errors: `KEY_FILE` (missing, unreadable, damaged, or an id outside 1 to 127),
    /// `KEY_FILE_OPEN` (readable by group or others; the message says how to mend it).
    pub fn open(files: &KeyFiles) -> Result<Self, Failure> {
        Ok(Self::of(
            file::read(&files.sealing)?,
            file::read(&files.tokens)?,
        ))
    }

    /// Reads the key files; makes those that are missing, readable by the owner alone.
    ///
    /// A made file holds one new key. Call [`KeyRing::check`] with the database next: it
    /// refuses new keys for a database that was written with others.
    pub fn open_or_create(files: &KeyFiles, entropy: &dyn Entropy) -> Result<Self, Failure> {
        file::create_missing(&files.sealing, entropy)?;
        file::create_missing(&files.tokens, entropy)?;
        Self::open(files)
    }

    /// A ring with one key of each kind that lives in memory only, for tests.
    pub fn in_memory(entropy: &dyn Entropy) -> Self {
        let one = || {
            let mut secret = Secret::default();
            entropy.fill(secret.as_mut_slice());
            Keys {
                active: 1,
                secrets: BTreeMap::from([(1, secret)]),
            }
        };
        Self::of(one(), one())
    }

    fn of(sealing: Keys, tokens: Keys) -> Self {
        // Tokens and digests never share a key: each is derived for its use.
        let derive = |usage: &'static [u8]| {
            tokens
                .secrets
                .iter()
                .map(|(id, s)| (*id, subkey(s, usage)))
                .collect()
        };
        Self {
            sealing,
            tokens: derive(b"jinke token"),
            digests: derive(b"jinke digest"),
            active_token: tokens.active,
        }
    }

    /// Wraps a data key under the active sealing key. Layout: suite (1 byte), key id (1),
    /// nonce (12), sealed key (48). Nonces are random: rotate the sealing key before 2^32
    /// wraps.
    pub fn wrap(&self, key: &DataKey, entropy: &dyn Entropy) -> Vec<u8> {
        let id = self.sealing.active;
        seal::wrap(&self.sealing.secrets[&id], id, key, entropy)
    }

    /// Unwraps a data key. `KEY_MISSING` when its sealing key is not in the file, else
    /// `SEALED_DAMAGED`; both `DATA_LOSS`.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<DataKey, Failure> {
        let id = wrapped.get(1).copied().unwrap_or(0);
        let secret = self
            .sealing
            .secrets
            .get(&id)
            .ok_or_else(|| missing("sealing", id))?;
        seal::unwrap(secret, wrapped)
    }

    /// Whether a wrapped data key should be wrapped anew, because another key is active now.
    pub fn is_stale(&self, wrapped: &[u8]) -> bool {
        wrapped.get(1) != Some(&self.sealing.active)
    }

    /// The token of a value under the active key: key id in the top byte, then 56 bits of
    /// HMAC-SHA-256(key, kind || 0 || value). Positive. `kind` holds no NUL byte; values of
    /// different kinds never share a token by design, and two values of one kind by chance
    /// once in 2^56: compare the opened values before believing a token.
    pub fn token(&self, kind: &str, value: &str) -> i64 {
        token_under(
            self.active_token,
            &self.tokens[&self.active_token],
            kind,
            value,
        )
    }

    /// The value's tokens under every key in the file, the active one first: for a look-up
    /// while a rotation is under way.
    pub fn tokens_for_lookup(&self, kind: &str, value: &str) -> Vec<i64> {
        let mut out = vec![self.token(kind, value)];
        out.extend(
            self.tokens
                .iter()
                .filter(|(id, _)| **id != self.active_token)
                .map(|(id, mac)| token_under(*id, mac, kind, value)),
        );
        out
    }

    /// A keyed hash: suite (1 byte), key id (1), HMAC-SHA-256 of `purpose || 0 || bytes` (32).
    pub fn hmac(&self, purpose: &str, bytes: &[u8]) -> Vec<u8> {
        let id = self.active_token;
        let mut out = vec![Suite::Aes256Gcm as u8, id];
        out.extend_from_slice(
            &digest(&self.digests[&id], purpose, bytes)
                .finalize()
                .into_bytes(),
        );
        out
    }

    /// Whether `tag` is the keyed hash of these bytes, under the key it names; in constant time.
    pub fn verify(&self, purpose: &str, bytes: &[u8], tag: &[u8]) -> bool {
        let [suite, id, mac @ ..] = tag else {
            return false;
        };
        let Some(key) = self.digests.get(id) else {
            return false;
        };
        *suite == Suite::Aes256Gcm as u8 && digest(key, purpose, bytes).verify_slice(mac).is_ok()
    }

    /// Binds the ring to a database: notes new keys and refuses a ring that lacks a key the
    /// database was written with (`KEY_MISSING`) or has another under its id (`KEY_CHANGED`).
    /// Call it when the service starts.
    pub async fn check(&self, tx: &mut Tx) -> Result<(), Failure> {
        let mut known = BTreeMap::new();
        for row in tx
            .fetch_all(
                "SELECT purpose, key_id, fingerprint FROM jinke_keys",
                args![],
            )
            .await?
        {
            known.insert(
                (row.text("purpose")?, row.i64("key_id")?),
                row.bytes("fingerprint")?,
            );
        }
        let mut ours = BTreeMap::new();
        for (id, secret) in &self.sealing.secrets {
            ours.insert(("sealing".to_owned(), i64::from(*id)), fingerprint(secret));
        }
        for (id, key) in &self.digests {
            let print = digest(key, "fingerprint", b"").finalize().into_bytes();
            ours.insert(("tokens".to_owned(), i64::from(*id)), print[..8].to_vec());
        }
        for ((purpose, id), print) in &known {
            match ours.get(&(purpose.clone(), *id)) {
                Some(p) if p == print => {}
                Some(_) => {
                    return Err(refused(
                        "KEY_CHANGED",
                        purpose,
                        *id,
                        "is another key than before",
                    ));
                }
                None => {
                    return Err(refused(
                        "KEY_MISSING",
                        purpose,
                        *id,
                        "is not in the key file",
                    ));
                }
            }
        }
        for ((purpose, id), print) in ours {
            tx.execute(
                "INSERT INTO jinke_keys (purpose, key_id, fingerprint) VALUES ($1, $2, $3) \
                 ON CONFLICT (purpose, key_id) DO NOTHING",
                args![purpose, id, print],
            )
            .await?;
        }
        Ok(())
    }
}

fn token_under(id: u8, mac: &HmacSha256, kind: &str, value: &str) -> i64 {
    let mut mac = mac.clone();
    mac.update(kind.as_bytes());
    mac.update(&[0]);
    mac.update(value.as_bytes());
    let hash = mac.finalize().into_bytes();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    bytes[0] = id;
    i64::from_be_bytes(bytes)
}

fn digest(mac: &HmacSha256, purpose: &str, bytes: &[u8]) -> HmacSha256 {
    let mut mac = mac.clone();
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(bytes);
    mac
}

fn subkey(secret: &Secret, usage: &[u8]) -> HmacSha256 {
    let mut key = Secret::default();
    Hkdf::<Sha256>::new(None, secret.as_slice())
        .expand(usage, key.as_mut_slice())
        .expect("32 bytes are within what HKDF gives");
    HmacSha256::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length")
}

/// Tells keys apart without telling anything about them.
fn fingerprint(secret: &Secret) -> Vec<u8> {
    let mac = subkey(secret, b"jinke fingerprint");
    digest(&mac, "fingerprint", b"").finalize().into_bytes()[..8].to_vec()
}

fn missing(purpose: &str, id: u8) -> Failure {
    Failure::new(
        Code::DataLoss,
        "KEY_MISSING",
        format!("{purpose} key {id} is not in the key file"),
    )
    .with("key_id", id)
}

fn refused(reason: &'static str, purpose: &str, id: i64, what: &str) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        reason,
        format!("{purpose} key {id} {what}; restore the key file from its backup"),
    )
    .with("key_id", id)
}
