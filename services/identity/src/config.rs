//! The section `[identity]`; `config.default.toml` is its documentation.

use std::{path::Path, time::Duration};

use jinke_store::{DatabaseConfig, keys::KeyFiles};
use jinke_types::Failure;
use serde::Deserialize;

use crate::throttle::Limits;

/// The documented defaults.
pub const DEFAULT: &str = include_str!("config.default.toml");

/// The section `[identity]`. See `config.default.toml` for what each value means.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct Config {
    pub local_credentials: bool,
    pub provisioned_keys: String,
    pub poll_ms: u64,
    pub database: DatabaseSection,
    pub keys: KeysSection,
    pub password: PasswordConfig,
    pub tokens: TokensConfig,
    pub audit: AuditSection,
    pub throttle: ThrottleConfig,
}

/// `[identity.database]`
#[derive(Clone, Deserialize)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct DatabaseSection {
    pub url: String,
    pub schema: String,
    pub max_connections: u32,
    pub cache_mib: u32,
}

impl std::fmt::Debug for DatabaseSection {
    // The URL may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseSection")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// `[identity.keys]`
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct KeysSection {
    pub folder: String,
}

/// `[identity.password]`
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct PasswordConfig {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
    pub concurrency: usize,
    pub waiting: usize,
}

/// `[identity.tokens]`
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct TokensConfig {
    pub access_seconds: u32,
    pub refresh_seconds: u32,
    pub session_seconds: u32,
    pub rotate_seconds: u32,
    pub activation_seconds: u32,
}

/// `[identity.audit]`
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct AuditSection {
    pub keep_days: u32,
    pub most_events: i64,
}

/// `[identity.throttle]`
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct ThrottleConfig {
    pub failures: u32,
    pub longest_seconds: u32,
    pub all_failures: u32,
    pub all_per_minute: u32,
}

const fn seconds(n: u32) -> Duration {
    Duration::from_secs(n as u64)
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// `INVALID_FIELD` with the key.
    pub fn check(&self) -> Result<(), Failure> {
        let tokens = &self.tokens;
        let positive = [
            ("identity.tokens.access_seconds", tokens.access_seconds),
            ("identity.tokens.refresh_seconds", tokens.refresh_seconds),
            ("identity.tokens.rotate_seconds", tokens.rotate_seconds),
            (
                "identity.throttle.longest_seconds",
                self.throttle.longest_seconds,
            ),
            (
                "identity.throttle.all_per_minute",
                self.throttle.all_per_minute,
            ),
        ];
        for (key, value) in positive {
            if value == 0 {
                return Err(Failure::field(key, "must be at least 1"));
            }
        }
        if tokens.access_seconds > 86_400 {
            return Err(Failure::field(
                "identity.tokens.access_seconds",
                "must be at most 86400; use refresh tokens for longer sessions",
            ));
        }
        if tokens.session_seconds < tokens.access_seconds {
            return Err(Failure::field(
                "identity.tokens.session_seconds",
                "must not be less than access_seconds",
            ));
        }
        if tokens.activation_seconds >= tokens.rotate_seconds {
            return Err(Failure::field(
                "identity.tokens.activation_seconds",
                "must be less than rotate_seconds",
            ));
        }
        if self.audit.keep_days < 180 {
            return Err(Failure::field(
                "identity.audit.keep_days",
                "must be at least 180",
            ));
        }
        if self.audit.most_events < 1_000 {
            return Err(Failure::field(
                "identity.audit.most_events",
                "must be at least 1000",
            ));
        }
        if self.poll_ms == 0 {
            return Err(Failure::field("identity.poll_ms", "must be at least 1"));
        }
        Ok(())
    }

    /// Where the database is.
    pub fn database(&self, data_dir: &Path) -> DatabaseConfig {
        let url = if self.database.url.is_empty() {
            format!("sqlite:{}", data_dir.join("identity.db").display())
        } else {
            self.database.url.clone()
        };
        let mut config = DatabaseConfig::new("identity", url);
        if !self.database.schema.is_empty() {
            config.schema = Some(self.database.schema.clone());
        }
        config.max_connections = self.database.max_connections;
        config.cache_mib = self.database.cache_mib;
        config
    }

    /// Where the key files are.
    pub fn key_files(&self, data_dir: &Path) -> KeyFiles {
        if self.keys.folder.is_empty() {
            KeyFiles::in_folder(&data_dir.join("keys").join("identity"))
        } else {
            KeyFiles::in_folder(Path::new(&self.keys.folder))
        }
    }

    pub(crate) const fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }
    /// How long an event of the audit trail is kept.
    pub(crate) const fn audit_kept(&self) -> Duration {
        Duration::from_secs(self.audit.keep_days as u64 * 86_400)
    }
    pub(crate) const fn access_life(&self) -> Duration {
        seconds(self.tokens.access_seconds)
    }
    pub(crate) const fn refresh_life(&self) -> Duration {
        seconds(self.tokens.refresh_seconds)
    }
    pub(crate) const fn session_life(&self) -> Duration {
        seconds(self.tokens.session_seconds)
    }
    pub(crate) const fn rotate_after(&self) -> Duration {
        seconds(self.tokens.rotate_seconds)
    }
    pub(crate) const fn activation(&self) -> Duration {
        seconds(self.tokens.activation_seconds)
    }

    /// What one name may fail.
    pub(crate) const fn name_limits(&self) -> Limits {
        Limits {
            free: self.throttle.failures,
            first: Duration::from_secs(1),
            longest: seconds(self.throttle.longest_seconds),
            forgive: seconds(self.throttle.longest_seconds),
        }
    }

    /// What all names together may fail.
    pub(crate) const fn all_limits(&self) -> Limits {
        Limits {
            free: self.throttle.all_failures,
            first: Duration::from_millis(100),
            longest: Duration::from_secs(10),
            forgive: Duration::from_micros(60_000_000 / self.throttle.all_per_minute as u64),
        }
    }

    /// The defaults, for tests, with a hash that costs little.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        let mut whole: toml::Table = toml::from_str(DEFAULT).expect("the defaults are TOML");
        let section = whole.remove("identity").expect("the section");
        let mut config: Self = section.try_into().expect("the defaults fit");
        config.password = PasswordConfig {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
            concurrency: 2,
            waiting: 16,
        };
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_and_hold_and_wrong_values_are_named() {
        let config = Config::for_tests();
        assert_eq!(config.check(), Ok(()));
        let wrong = |change: fn(&mut Config)| {
            let mut config = Config::for_tests();
            change(&mut config);
            config.check().unwrap_err().violations.remove(0).field
        };
        assert_eq!(
            wrong(|c| c.tokens.access_seconds = 0),
            "identity.tokens.access_seconds"
        );
        assert_eq!(
            wrong(|c| c.tokens.access_seconds = 90_000),
            "identity.tokens.access_seconds"
        );
        assert_eq!(
            wrong(|c| c.tokens.session_seconds = 1),
            "identity.tokens.session_seconds"
        );
        assert_eq!(wrong(|c| c.poll_ms = 0), "identity.poll_ms");
        assert_eq!(
            wrong(|c| c.tokens.activation_seconds = c.tokens.rotate_seconds),
            "identity.tokens.activation_seconds"
        );
    }
}
