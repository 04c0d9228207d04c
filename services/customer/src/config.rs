//! The service's configuration; `config.default.toml` documents every value.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jinke_resolution::{RuleSet, Rules, SurvivorshipPolicy};
use jinke_store::{DatabaseConfig, keys::KeyFiles};
use jinke_types::{Code, Failure, PartyKind};
use serde::Deserialize;

use crate::{engine::EngineConfig, rpc::limits::Limits};

/// The section `[customer]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerConfig {
    /// Where the data is.
    pub database: DatabaseSection,
    /// Where the keys are.
    pub keys: KeysSection,
    /// Which rules are in force.
    pub rules: RulesSection,
    /// Limits of the engine.
    pub engine: EngineSection,
    /// Limits of streams.
    pub streams: StreamsSection,
}

/// `[customer.database]`.
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
    pub idle_seconds: u64,
}

impl std::fmt::Debug for DatabaseSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("DatabaseSection").finish_non_exhaustive()
    }
}

/// `[customer.keys]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct KeysSection {
    pub folder: String,
}

/// `[customer.rules]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct RulesSection {
    pub organization: String,
    pub person: String,
    pub survivorship: String,
}

/// `[customer.engine]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct EngineSection {
    pub cached_records: usize,
    pub group_records: usize,
    pub queued_calls: usize,
}

/// `[customer.streams]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct StreamsSection {
    pub ingest_idle_seconds: u64,
    pub checkpoint_seconds: u64,
    pub poll_milliseconds: u64,
    pub watch_stalled_seconds: u64,
}

impl CustomerConfig {
    /// Where the database is; in `data_dir` unless the configuration says otherwise.
    pub fn database(&self, data_dir: &Path) -> DatabaseConfig {
        let section = &self.database;
        let url = if section.url.is_empty() {
            format!("sqlite:{}", data_dir.join("customer.db").display())
        } else {
            section.url.clone()
        };
        let mut config = DatabaseConfig::new("customer", url);
        config.schema = Some(section.schema.clone()).filter(|schema| !schema.is_empty());
        config.max_connections = section.max_connections;
        config.cache_mib = section.cache_mib;
        config.acquire_timeout = Duration::from_secs(section.acquire_seconds);
        config.statement_timeout = Duration::from_secs(section.statement_seconds);
        config.lock_timeout = Duration::from_secs(section.lock_seconds);
        config.idle_timeout = Duration::from_secs(section.idle_seconds.max(1));
        config
    }

    /// Where the keys are; in `data_dir` unless the configuration says otherwise.
    pub fn key_files(&self, data_dir: &Path) -> KeyFiles {
        let folder = if self.keys.folder.is_empty() {
            data_dir.join("keys").join("customer")
        } else {
            PathBuf::from(&self.keys.folder)
        };
        KeyFiles::in_folder(&folder)
    }

    /// The match rules; `RULES` names the file and line that is wrong.
    pub fn match_rules(&self) -> Result<Rules, Failure> {
        let set = |path: &str, embedded: fn() -> RuleSet, kind: PartyKind| {
            if path.is_empty() {
                return Ok(embedded());
            }
            let set = RuleSet::parse(&read(path)?).map_err(|e| wrong(path, e))?;
            if set.kind == kind {
                Ok(set)
            } else {
                Err(wrong(path, "is for the other kind of party"))
            }
        };
        Ok(Rules::new(
            set(
                &self.rules.organization,
                RuleSet::organization,
                PartyKind::Organization,
            )?,
            set(&self.rules.person, RuleSet::person, PartyKind::Person)?,
        ))
    }

    /// The survivorship policy; `RULES` names the file and what is wrong.
    pub fn survivorship(&self) -> Result<SurvivorshipPolicy, Failure> {
        let path = &self.rules.survivorship;
        if path.is_empty() {
            return Ok(SurvivorshipPolicy::embedded());
        }
        SurvivorshipPolicy::parse(&read(path)?).map_err(|e| wrong(path, e))
    }

    /// Limits of the engine.
    pub fn engine(&self) -> EngineConfig {
        EngineConfig {
            cached_records: self.engine.cached_records,
            group_records: self.engine.group_records,
            queued_calls: self.engine.queued_calls,
            ..EngineConfig::default()
        }
    }

    /// Limits of streams. One of zero would end or spin at once and is refused.
    pub fn limits(&self) -> Result<Limits, Failure> {
        let s = &self.streams;
        for (name, value) in [
            ("ingest_idle_seconds", s.ingest_idle_seconds),
            ("checkpoint_seconds", s.checkpoint_seconds),
            ("poll_milliseconds", s.poll_milliseconds),
            ("watch_stalled_seconds", s.watch_stalled_seconds),
        ] {
            if value == 0 {
                return Err(Failure::new(
                    Code::FailedPrecondition,
                    "CONFIG",
                    format!("customer.streams.{name} must be at least 1"),
                ));
            }
        }
        Ok(Limits {
            stream_idle: Duration::from_secs(s.ingest_idle_seconds),
            checkpoint: Duration::from_secs(s.checkpoint_seconds),
            poll: Duration::from_millis(s.poll_milliseconds),
            watch_stalled: Duration::from_secs(s.watch_stalled_seconds),
        })
    }
}

fn read(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| wrong(path, e.kind()))
}

fn wrong(path: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(Code::FailedPrecondition, "RULES", format!("{path}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        customer: CustomerConfig,
    }

    fn default() -> CustomerConfig {
        let file: File =
            toml::from_str(include_str!("config.default.toml")).expect("the default file is read");
        file.customer
    }

    #[test]
    fn the_default_file_is_the_default() {
        let config = default();
        let engine = EngineConfig::default();
        assert_eq!(config.engine().cached_records, engine.cached_records);
        assert_eq!(config.engine().group_records, engine.group_records);
        assert_eq!(config.engine().queued_calls, engine.queued_calls);
        assert_eq!(config.limits(), Ok(Limits::default()));
        let place = config.database(Path::new("/data"));
        assert_eq!(place.url, "sqlite:/data/customer.db");
        assert_eq!(place.schema, None);
        assert!(config.match_rules().is_ok() && config.survivorship().is_ok());
    }

    #[test]
    fn a_stream_limit_of_zero_and_a_missing_rule_file_are_refused_by_name() {
        let mut config = default();
        config.streams.poll_milliseconds = 0;
        let refused = config.limits().unwrap_err();
        assert!(refused.message.contains("poll_milliseconds"), "{refused}");
        config.rules.person = "/nowhere/person.toml".to_owned();
        let refused = config.match_rules().unwrap_err();
        assert!(
            refused.message.starts_with("/nowhere/person.toml"),
            "{refused}"
        );
    }
}
