//! The service's configuration; `config.default.toml` documents every value.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jinke_store::{DatabaseConfig, keys::KeyFiles};
use jinke_types::{Code, Failure};
use serde::Deserialize;

use crate::Backoff;

/// The section `[connector]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorConfig {
    /// Where the data is.
    pub database: DatabaseSection,
    /// Where the keys are.
    pub keys: KeysSection,
    /// Running connections.
    pub runs: RunsSection,
    /// Refused records.
    pub errors: ErrorsSection,
    /// What goes out.
    pub outbound: OutboundSection,
    /// Which files may be named.
    pub files: FilesSection,
    /// Where foreign systems call.
    pub callbacks: CallbacksSection,
}

/// `[connector.database]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct DatabaseSection {
    pub url: String,
    pub schema: String,
    pub max_connections: u32,
    pub cache_mib: u32,
    pub acquire_seconds: u64,
    pub statement_seconds: u64,
    pub lock_seconds: u64,
}

impl std::fmt::Debug for DatabaseSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("DatabaseSection").finish_non_exhaustive()
    }
}

/// `[connector.keys]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct KeysSection {
    pub folder: String,
}

/// `[connector.runs]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct RunsSection {
    pub poll_milliseconds: u64,
    pub lease_seconds: u64,
    pub concurrent: usize,
    pub attempts: u32,
    pub first_wait_seconds: u64,
    pub longest_wait_seconds: u64,
    pub kept: u32,
}

/// `[connector.errors]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct ErrorsSection {
    pub attempts: u32,
    pub first_wait_seconds: u64,
    pub kept: u32,
}

/// `[connector.outbound]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct OutboundSection {
    pub attempts: u32,
    pub first_wait_seconds: u64,
    pub longest_wait_seconds: u64,
    pub kept_days: u32,
}

/// `[connector.files]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct FilesSection {
    pub folders: Vec<String>,
}

/// `[connector.callbacks]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct CallbacksSection {
    pub listen: String,
    pub body_bytes: usize,
    pub concurrent: usize,
    pub read_seconds: u64,
    pub answer_milliseconds: u64,
}

/// The numbers the keepers work by.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How often the database is asked what is due.
    pub poll: Duration,
    /// How long a lease holds.
    pub lease: Duration,
    /// Connections worked on at a time.
    pub concurrent: usize,
    /// Waits between attempts of a run.
    pub run: Backoff,
    /// Ended runs kept of a connection.
    pub runs_kept: u32,
    /// Attempts at a refused record, in all.
    pub error_attempts: u32,
    /// The first wait before a refused record is sent again.
    pub error_wait: Duration,
    /// Errors kept of a connection.
    pub errors_kept: u32,
    /// Waits between attempts of a delivery.
    pub outbound: Backoff,
    /// How long ended deliveries and events are kept.
    pub outbound_kept: Duration,
    /// Waits between calls of the customer service within one attempt of a run.
    pub delivery: Backoff,
}

impl ConnectorConfig {
    /// Where the database is; in `data_dir` unless the configuration says otherwise.
    pub fn database(&self, data_dir: &Path) -> DatabaseConfig {
        let section = &self.database;
        let url = if section.url.is_empty() {
            format!("sqlite:{}", data_dir.join("connector.db").display())
        } else {
            section.url.clone()
        };
        let mut config = DatabaseConfig::new("connector", url);
        config.schema = Some(section.schema.clone()).filter(|schema| !schema.is_empty());
        config.max_connections = section.max_connections;
        config.cache_mib = section.cache_mib;
        config.acquire_timeout = Duration::from_secs(section.acquire_seconds);
        config.statement_timeout = Duration::from_secs(section.statement_seconds);
        config.lock_timeout = Duration::from_secs(section.lock_seconds);
        config
    }

    /// Where the keys are; in `data_dir` unless the configuration says otherwise.
    pub fn key_files(&self, data_dir: &Path) -> KeyFiles {
        let folder = if self.keys.folder.is_empty() {
            data_dir.join("keys").join("connector")
        } else {
            PathBuf::from(&self.keys.folder)
        };
        KeyFiles::in_folder(&folder)
    }

    /// The folders below which files must lie.
    pub fn folders(&self, data_dir: &Path) -> Vec<PathBuf> {
        if self.files.folders.is_empty() {
            return vec![data_dir.join("imports")];
        }
        self.files.folders.iter().map(PathBuf::from).collect()
    }

    /// The numbers; one of zero would spin or never begin and is refused.
    ///
    /// # Errors
    /// `CONFIG` names the key.
    pub fn limits(&self) -> Result<Limits, Failure> {
        let (runs, errors, out, calls) =
            (&self.runs, &self.errors, &self.outbound, &self.callbacks);
        for (name, value) in [
            ("runs.poll_milliseconds", runs.poll_milliseconds),
            ("runs.lease_seconds", runs.lease_seconds),
            ("runs.concurrent", runs.concurrent as u64),
            ("runs.attempts", u64::from(runs.attempts)),
            ("runs.first_wait_seconds", runs.first_wait_seconds),
            ("runs.longest_wait_seconds", runs.longest_wait_seconds),
            ("errors.attempts", u64::from(errors.attempts)),
            ("errors.first_wait_seconds", errors.first_wait_seconds),
            ("outbound.attempts", u64::from(out.attempts)),
            ("outbound.first_wait_seconds", out.first_wait_seconds),
            ("outbound.longest_wait_seconds", out.longest_wait_seconds),
            ("callbacks.body_bytes", calls.body_bytes as u64),
            ("callbacks.concurrent", calls.concurrent as u64),
            ("callbacks.read_seconds", calls.read_seconds),
            ("callbacks.answer_milliseconds", calls.answer_milliseconds),
        ] {
            if value == 0 {
                return Err(Failure::new(
                    Code::FailedPrecondition,
                    "CONFIG",
                    format!("connector.{name} must be at least 1"),
                ));
            }
        }
        let backoff = |attempts, first, longest| Backoff {
            first: Duration::from_secs(first),
            longest: Duration::from_secs(longest),
            attempts,
        };
        Ok(Limits {
            poll: Duration::from_millis(runs.poll_milliseconds),
            lease: Duration::from_secs(runs.lease_seconds),
            concurrent: runs.concurrent,
            run: backoff(
                runs.attempts,
                runs.first_wait_seconds,
                runs.longest_wait_seconds,
            ),
            runs_kept: runs.kept,
            error_attempts: errors.attempts,
            error_wait: Duration::from_secs(errors.first_wait_seconds),
            errors_kept: errors.kept,
            outbound: backoff(
                out.attempts,
                out.first_wait_seconds,
                out.longest_wait_seconds,
            ),
            outbound_kept: Duration::from_secs(u64::from(out.kept_days) * 86_400),
            delivery: Backoff::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        connector: ConnectorConfig,
    }

    #[test]
    fn the_default_file_is_read_and_a_zero_is_refused_by_name() {
        let file: File = toml::from_str(include_str!("config.default.toml")).unwrap();
        let mut config = file.connector;
        let place = config.database(Path::new("/data"));
        assert_eq!(place.url, "sqlite:/data/connector.db");
        assert_eq!(config.limits().unwrap().run.attempts, 20);
        assert_eq!(
            config.folders(Path::new("/data")),
            [PathBuf::from("/data/imports")]
        );
        config.runs.lease_seconds = 0;
        let refused = config.limits().unwrap_err();
        assert!(refused.message.contains("runs.lease_seconds"), "{refused}");
    }
}
