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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

/// Room for hashing. Clones are one place.
#[derive(Clone)]
pub(crate) struct Slot(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

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
        let slot = passwords.admit()?;
        passwords.dummy = passwords.hash(&slot, hex::encode(nobody), entropy).await?;
        Ok(passwords)
    }

    /// Takes a place among those who hash or wait for it. Ask for it before anything else is
    /// done for a caller, so that a crowd costs nothing.
    ///
    /// # Errors
    /// `LOGIN_BUSY`.
    pub(crate) fn admit(&self) -> Result<Slot, Failure> {
        let permit = Arc::clone(&self.admitted).try_acquire_owned();
        permit
            .map(|permit| Slot(Arc::new(permit)))
            .map_err(|_| error::login_busy())
    }

    /// The PHC string of a password, with a fresh salt.
    pub(crate) async fn hash(
        &self,
        slot: &Slot,
        password: String,
        entropy: &dyn Entropy,
    ) -> Result<String, Failure> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let salt = SaltString::encode_b64(&salt).map_err(Failure::internal)?;
        let hasher = self.hasher.clone();
        self.run(slot, move || {
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
    /// `DATA_LOSS` when the stored hash cannot be read.
    pub(crate) async fn verify(
        &self,
        slot: &Slot,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, Failure> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let hasher = self.hasher.clone();
        self.run(slot, move || {
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
        slot: &Slot,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let running = Arc::clone(&self.running).acquire_owned().await;
        let running = running.map_err(Failure::internal)?;
        // The place goes along: a caller who hangs up does not make room for another while his
        // own hash still runs.
        let held = (slot.clone(), running);
        tokio::task::spawn_blocking(move || {
            let _held = held;
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
        let slot = passwords.admit().unwrap();
        let a = passwords
            .hash(&slot, "correct horse".into(), &entropy)
            .await
            .unwrap();
        let b = passwords
            .hash(&slot, "correct horse".into(), &entropy)
            .await
            .unwrap();
        assert!(a.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{a}");
        assert_ne!(a, b);
        for (password, hash, expected) in [
            ("correct horse", Some(a.clone()), true),
            ("correct horse ", Some(a.clone()), false),
            ("correct horse", None, false),
        ] {
            assert_eq!(
                passwords.verify(&slot, password.into(), hash).await,
                Ok(expected)
            );
        }
        let damaged = passwords
            .verify(&slot, "x".into(), Some("$argon2id$".into()))
            .await;
        assert_eq!(damaged.unwrap_err().reason, "PASSWORD_HASH_DAMAGED");
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
        let (runs, waits) = (passwords.admit().unwrap(), passwords.admit().unwrap());
        let turned_away = || passwords.admit().err().map(|f| f.reason);
        assert_eq!(turned_away(), Some("LOGIN_BUSY"));
        let both = tokio::join!(
            passwords.verify(&runs, "x".into(), None),
            passwords.verify(&waits, "x".into(), None)
        );
        assert_eq!(both, (Ok(false), Ok(false)));
        drop(runs);
        assert_eq!(turned_away(), None);
    }

    /// The bound is loose, as the machine may be busy; leaving the hash out is a thousand times
    /// faster.
    #[tokio::test]
    async fn no_password_takes_as_long_as_a_wrong_one() {
        let entropy = SeededEntropy::new(1);
        let slow = PasswordConfig {
            memory_kib: 16_384,
            passes: 2,
            ..cheap()
        };
        let passwords = Passwords::new(&slow, &entropy).await.unwrap();
        let slot = passwords.admit().unwrap();
        let hash = passwords
            .hash(&slot, "correct horse".into(), &entropy)
            .await
            .unwrap();
        let fastest = async |hash: Option<String>| {
            let mut fastest = std::time::Duration::MAX;
            for _ in 0..3 {
                let start = std::time::Instant::now();
                let right = passwords.verify(&slot, "wrong".into(), hash.clone()).await;
                assert_eq!(right, Ok(false));
                fastest = fastest.min(start.elapsed());
            }
            fastest
        };
        let (known, unknown) = (fastest(Some(hash)).await, fastest(None).await);
        assert!(
            unknown * 5 > known && known * 5 > unknown,
            "{known:?} {unknown:?}"
        );
    }

    #[tokio::test]
    async fn who_hangs_up_keeps_his_place_until_his_hash_is_done() {
        let entropy = SeededEntropy::new(1);
        let slow = PasswordConfig {
            memory_kib: 65_536,
            passes: 2,
            waiting: 0,
            ..cheap()
        };
        let passwords = Passwords::new(&slow, &entropy).await.unwrap();
        let slot = passwords.admit().unwrap();
        let call = passwords.verify(&slot, "x".into(), None);
        let hung_up = tokio::time::timeout(std::time::Duration::from_millis(1), call).await;
        drop(slot);
        assert!(hung_up.is_err(), "the hash takes longer than this");
        assert!(passwords.admit().is_err());
        for _ in 0..1_000 {
            if passwords.admit().is_ok() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the place was never given back");
    }
}
