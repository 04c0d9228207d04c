//! The service's configuration; `config.default.toml` documents every value.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jinke_store::{DatabaseConfig, keys::KeyFiles};
use jinke_types::{Code, Failure};
use serde::Deserialize;

/// The section `[pipeline]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineConfig {
    /// Where the data is.
    pub database: DatabaseSection,
    /// Where the keys are.
    pub keys: KeysSection,
    /// Timers.
    pub timers: TimersSection,
    /// Reminders as messages.
    pub delivery: DeliverySection,
    /// Following customers.
    pub follow: FollowSection,
    /// Limits of streams.
    pub streams: StreamsSection,
}

/// `[pipeline.database]`.
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

/// `[pipeline.keys]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct KeysSection {
    pub folder: String,
}

/// `[pipeline.timers]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct TimersSection {
    pub poll_milliseconds: u64,
    pub batch: u32,
    pub late_hours: u64,
}

/// `[pipeline.delivery]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct DeliverySection {
    pub connection: String,
    pub attempts: u32,
    pub pause_seconds: u64,
}

/// `[pipeline.follow]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct FollowSection {
    pub poll_milliseconds: u64,
    pub page: i32,
}

/// `[pipeline.streams]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct StreamsSection {
    pub checkpoint_seconds: u64,
    pub poll_milliseconds: u64,
    pub watch_stalled_seconds: u64,
}

/// What one watch may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A checkpoint after silence for so long.
    pub checkpoint: Duration,
    /// How often the feed is read for other replicas' changes.
    pub poll: Duration,
    /// A client that takes nothing for so long is cut off.
    pub watch_stalled: Duration,
}

impl PipelineConfig {
    /// Where the database is; in `data_dir` unless the configuration says otherwise.
    pub fn database(&self, data_dir: &Path) -> DatabaseConfig {
        let section = &self.database;
        let url = if section.url.is_empty() {
            format!("sqlite:{}", data_dir.join("pipeline.db").display())
        } else {
            section.url.clone()
        };
        let mut config = DatabaseConfig::new("pipeline", url);
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
            data_dir.join("keys").join("pipeline")
        } else {
            PathBuf::from(&self.keys.folder)
        };
        KeyFiles::in_folder(&folder)
    }

    /// Limits of streams.
    pub const fn limits(&self) -> Limits {
        let s = &self.streams;
        Limits {
            checkpoint: Duration::from_secs(s.checkpoint_seconds),
            poll: Duration::from_millis(s.poll_milliseconds),
            watch_stalled: Duration::from_secs(s.watch_stalled_seconds),
        }
    }

    /// Refuses values that would spin, or never do anything.
    ///
    /// # Errors
    /// `CONFIG`, naming the key.
    pub fn check(&self) -> Result<(), Failure> {
        let wrong = |key: &str, why: &str| {
            Err(Failure::new(
                Code::FailedPrecondition,
                "CONFIG",
                format!("pipeline.{key} {why}"),
            ))
        };
        for (key, value) in [
            ("timers.poll_milliseconds", self.timers.poll_milliseconds),
            ("timers.batch", u64::from(self.timers.batch)),
            ("delivery.attempts", u64::from(self.delivery.attempts)),
            ("delivery.pause_seconds", self.delivery.pause_seconds),
            ("follow.poll_milliseconds", self.follow.poll_milliseconds),
            (
                "streams.checkpoint_seconds",
                self.streams.checkpoint_seconds,
            ),
            ("streams.poll_milliseconds", self.streams.poll_milliseconds),
            (
                "streams.watch_stalled_seconds",
                self.streams.watch_stalled_seconds,
            ),
        ] {
            if value == 0 {
                return wrong(key, "must be at least 1");
            }
        }
        if !(1..=100).contains(&self.follow.page) {
            return wrong("follow.page", "must be between 1 and 100");
        }
        let connection = &self.delivery.connection;
        if !connection.is_empty() && !connection.starts_with("connections/") {
            return wrong(
                "delivery.connection",
                "has the form connections/{connection}",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        pipeline: PipelineConfig,
    }

    fn default() -> PipelineConfig {
        let file: File =
            toml::from_str(include_str!("config.default.toml")).expect("the default file is read");
        file.pipeline
    }

    #[test]
    fn the_default_file_is_read_and_holds() {
        let config = default();
        assert_eq!(config.check(), Ok(()));
        let place = config.database(Path::new("/data"));
        assert_eq!(place.url, "sqlite:/data/pipeline.db");
        assert_eq!(config.limits().checkpoint, Duration::from_secs(5));
    }

    #[test]
    fn values_that_would_spin_are_refused_by_name() {
        let mut config = default();
        config.timers.poll_milliseconds = 0;
        let refused = config.check().unwrap_err();
        assert!(refused.message.contains("timers.poll_milliseconds"));
        let mut config = default();
        config.delivery.connection = "wecom".into();
        assert!(
            config
                .check()
                .unwrap_err()
                .message
                .contains("delivery.connection")
        );
    }
}
