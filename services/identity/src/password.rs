//! Passwords: the rules for new ones, and Argon2id (RFC 9106) off the runtime's threads.
//!
//! A check costs `memory_kib` of memory and tens of milliseconds. So at most `concurrency`
//! run at one time and at most `waiting` more wait; whoever comes then is refused with
//! `LOGIN_BUSY`. Other calls never wait behind a login.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{PasswordHash, SaltString},
};
use jinke_types::{Entropy, Failure};
use tokio::sync::Semaphore;

use crate::{config::PasswordConfig, error};

/// Shortest new password in characters.
pub(crate) const MIN_CHARACTERS: usize = 10;
/// Longest password in bytes, so that hashing a huge one is no weapon.
pub(crate) const MAX_BYTES: usize = 1_000;

/// The rules for a new password of the user `name`; the error says which is broken.
pub(crate) fn check(name: &str, password: &str) -> Result<(), &'static str> {
    if password.len() > MAX_BYTES {
        return Err("must have at most 1000 bytes");
    }
    if password.chars().count() < MIN_CHARACTERS {
        return Err("must have at least 10 characters");
    }
    if password.to_lowercase() == name.to_lowercase() {
        return Err("must differ from the login name");
    }
    Ok(())
}

/// Hashes and verifies.
pub(crate) struct Passwords {
    hasher: Argon2<'static>,
    /// How many may run.
    running: Arc<Semaphore>,
    /// How many may run or wait.
    admitted: Arc<Semaphore>,
    /// Checked when there is no password to check, so that both cases take equally long.
    dummy: String,
}

impl Passwords {
    /// Sets up hashing; computes one hash.
    ///
    /// # Errors
    /// `INVALID_FIELD` for parameters that Argon2 refuses.
    pub(crate) async fn new(
        config: &PasswordConfig,
        entropy: &dyn Entropy,
    ) -> Result<Self, Failure> {
        let params = Params::new(config.memory_kib, config.passes, config.lanes, None)
            .map_err(|e| Failure::field("identity.password", e.to_string()))?;
        if config.concurrency == 0 {
            return Err(Failure::field(
                "identity.password.concurrency",
                "must be at least 1",
            ));
        }
        let mut passwords = Self {
            hasher: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            running: Arc::new(Semaphore::new(config.concurrency)),
            admitted: Arc::new(Semaphore::new(config.concurrency + config.waiting)),
            dummy: String::new(),
        };
        let mut nobody = [0; 32];
        entropy.fill(&mut nobody);
        passwords.dummy = passwords.hash(hex::encode(nobody), entropy).await?;
        Ok(passwords)
    }

    /// The PHC string of a password, with a fresh salt.
    ///
    /// # Errors
    /// `LOGIN_BUSY`.
    pub(crate) async fn hash(
        &self,
        password: String,
        entropy: &dyn Entropy,
    ) -> Result<String, Failure> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let salt = SaltString::encode_b64(&salt).map_err(Failure::internal)?;
        let hasher = self.hasher.clone();
        self.run(move || {
            hasher
                .hash_password(password.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(Failure::internal)
        })
        .await?
    }

    /// Whether `password` belongs to `hash`. Without a hash it takes as long and says no.
    ///
    /// # Errors
    /// `LOGIN_BUSY`; `DATA_LOSS` when the stored hash cannot be read.
    pub(crate) async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, Failure> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let hasher = self.hasher.clone();
        self.run(move || {
            let parsed = PasswordHash::new(&hash).map_err(|_| {
                Failure::new(
                    jinke_types::Code::DataLoss,
                    "PASSWORD_HASH_DAMAGED",
                    "a stored password hash cannot be read",
                )
            })?;
            let same = hasher.verify_password(password.as_bytes(), &parsed).is_ok();
            Ok(same && known)
        })
        .await?
    }

    /// Whether a stored hash was made with other parameters than are set now.
    pub(crate) fn is_stale(&self, hash: &str) -> bool {
        PasswordHash::new(hash)
            .ok()
            .and_then(|parsed| Params::try_from(&parsed).ok())
            .is_none_or(|params| {
                let ours = self.hasher.params();
                (params.m_cost(), params.t_cost(), params.p_cost())
                    != (ours.m_cost(), ours.t_cost(), ours.p_cost())
            })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let admitted = Arc::clone(&self.admitted)
            .try_acquire_owned()
            .map_err(|_| error::login_busy())?;
        let running = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(Failure::internal)?;
        // The permits go along: a caller who hangs up does not make room for another hash
        // while his own still runs.
        tokio::task::spawn_blocking(move || {
            let _held = (admitted, running);
            work()
        })
        .await
        .map_err(Failure::internal)
    }
}

#[cfg(test)]
mod tests {
    use jinke_types::SeededEntropy;

    use super::*;

    fn cheap() -> PasswordConfig {
        PasswordConfig {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
            concurrency: 1,
            waiting: 1,
        }
    }

    #[test]
    fn rules() {
        assert_eq!(check("li.lei", "correct horse"), Ok(()));
        assert_eq!(check("li.lei", "密码要十个字以上才行呀"), Ok(()));
        assert!(check("li.lei", "123456789").is_err());
        assert!(check("wang.xiaoming", "Wang.XiaoMing").is_err());
        assert!(check("li.lei", &"x".repeat(1_001)).is_err());
    }

    #[tokio::test]
    async fn a_hash_names_its_algorithm_and_is_salted() {
        let entropy = SeededEntropy::new(1);
        let passwords = Passwords::new(&cheap(), &entropy).await.unwrap();
        let a = passwords
            .hash("correct horse".into(), &entropy)
            .await
            .unwrap();
        let b = passwords
            .hash("correct horse".into(), &entropy)
            .await
            .unwrap();
        assert!(a.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{a}");
        assert_ne!(a, b);
        for (password, hash, expected) in [
            ("correct horse", Some(a.clone()), true),
            ("correct horse ", Some(a.clone()), false),
            ("correct horse", None, false),
        ] {
            assert_eq!(passwords.verify(password.into(), hash).await, Ok(expected));
        }
        let damaged = passwords
            .verify("x".into(), Some("$argon2id$".into()))
            .await
            .unwrap_err();
        assert_eq!(damaged.reason, "PASSWORD_HASH_DAMAGED");
        assert!(!passwords.is_stale(&a));
        let stronger = PasswordConfig {
            memory_kib: 16,
            ..cheap()
        };
        assert!(
            Passwords::new(&stronger, &entropy)
                .await
                .unwrap()
                .is_stale(&a)
        );
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away_and_not_queued() {
        let entropy = SeededEntropy::new(1);
        let passwords = Passwords::new(&cheap(), &entropy).await.unwrap();
        let running = passwords.running.acquire().await.unwrap();
        let waiting = passwords.verify("x".into(), None);
        let turned_away = async {
            tokio::task::yield_now().await;
            let first = passwords.verify("x".into(), None);
            let second = passwords.verify("x".into(), None);
            let (a, b) = tokio::join!(first, async {
                let refused = second.await;
                drop(running);
                refused
            });
            (a, b)
        };
        let (first, (second, third)) = tokio::join!(waiting, turned_away);
        assert_eq!((first, second), (Ok(false), Ok(false)));
        assert_eq!(third.unwrap_err().reason, "LOGIN_BUSY");
    }
}
