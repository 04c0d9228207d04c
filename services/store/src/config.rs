//! Where a service's database is, and its limits.

use std::{path::PathBuf, time::Duration};

use jinke_types::{Code, Failure};

/// Where a service's database is. Make one with [`DatabaseConfig::new`] and change fields.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// The service's name in lower-case letters, e.g. `customer`: shown to the server as the
    /// application's name, and the first part of its operations' names.
    pub service: String,
    /// `sqlite:path/to/file.db` (relative to the working directory, or absolute) or
    /// `postgres://user:password@host:port/database`. It may hold a password: never log it.
    pub url: String,
    /// PostgreSQL only: the schema that holds the service's tables, created when missing, so
    /// that several services can share one database. Lower-case letters, digits and `_`,
    /// at most 48, starting with a letter. Without one it is `public`.
    pub schema: Option<String>,
    /// Most connections at one time: PostgreSQL in all, SQLite for readers (beside the one
    /// writer). 1 to 1,000.
    pub max_connections: u32,
    /// SQLite only: most memory for the pages of this database, in MiB; 1 to 65,536. Half of it is
    /// the writer's, the readers share the rest.
    pub cache_mib: u32,
    /// How long a caller waits for a free connection before `DATABASE_BUSY`.
    pub acquire_timeout: Duration,
    /// PostgreSQL only: longest run of one statement before `STATEMENT_TIMEOUT`.
    pub statement_timeout: Duration,
    /// Longest wait for a lock before the transaction is tried anew.
    pub lock_timeout: Duration,
    /// PostgreSQL only: how long a transaction may do nothing before the server ends it and its
    /// locks are free. So long others wait for a process that was stopped in the middle, and
    /// when that process goes on, it finds its transaction gone. More than the longest
    /// computation between two statements.
    pub idle_timeout: Duration,
}

impl std::fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("service", &self.service)
            .field("schema", &self.schema)
            .field("max_connections", &self.max_connections)
            .field("cache_mib", &self.cache_mib)
            .finish_non_exhaustive()
    }
}

impl DatabaseConfig {
    /// The defaults: 8 connections, 64 MiB for pages, 30 s for a connection and a statement, 10 s for a lock, 20 s
    /// of doing nothing in a transaction.
    pub fn new(service: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            url: url.into(),
            schema: None,
            max_connections: 8,
            cache_mib: 64,
            acquire_timeout: Duration::from_secs(30),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(20),
        }
    }

    /// Which engine the URL names; `DATABASE_CONFIG` names the setting that is wrong.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        let service = &self.service;
        if service.is_empty() || !service.bytes().all(|b| b.is_ascii_lowercase()) {
            return Err(wrong("service", "is not a word of lower-case letters"));
        }
        if !(1..=1000).contains(&self.max_connections) {
            return Err(wrong("max_connections", "is not between 1 and 1000"));
        }
        if !(1..=65_536).contains(&self.cache_mib) {
            return Err(wrong("cache_mib", "is not between 1 and 65536"));
        }
        if self.schema.as_deref().is_some_and(|s| !is_schema(s)) {
            return Err(wrong(
                "schema",
                "is not a lower-case name of at most 48 characters",
            ));
        }
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(":memory:") || path.contains(['?', '\0']) {
                return Err(wrong(
                    "url",
                    "must name a file, as in sqlite:data/customer.db",
                ));
            }
            return Ok(Place::File(PathBuf::from(path)));
        }
        if self.url.starts_with("postgres://") || self.url.starts_with("postgresql://") {
            return Ok(Place::Server);
        }
        Err(wrong(
            "url",
            "starts neither with sqlite: nor with postgres://",
        ))
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    Server,
}

fn is_schema(name: &str) -> bool {
    name.len() <= 48
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn wrong(setting: &str, what: &str) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "DATABASE_CONFIG",
        format!("database {setting} {what}"),
    )
    .with("setting", setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_apart_and_wrong_settings_named() {
        let place = |url: &str| DatabaseConfig::new("customer", url).place();
        assert_eq!(place("sqlite:a/b.db"), Ok(Place::File("a/b.db".into())));
        assert_eq!(
            place("sqlite:///var/b.db"),
            Ok(Place::File("/var/b.db".into()))
        );
        assert_eq!(place("postgres://u@h/d"), Ok(Place::Server));
        for bad in [
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a.db?mode=ro",
            "mysql://h/d",
            "",
        ] {
            assert_eq!(place(bad).unwrap_err().metadata["setting"], "url", "{bad}");
        }
        let mut config = DatabaseConfig::new("customer", "postgres://u:secret@h/d");
        assert!(!format!("{config:?}").contains("secret"));
        config.schema = Some("a\"; drop".into());
        assert_eq!(config.place().unwrap_err().metadata["setting"], "schema");
        config.schema = None;
        config.max_connections = 0;
        assert_eq!(
            config.place().unwrap_err().metadata["setting"],
            "max_connections"
        );
        config.max_connections = 1;
        config.cache_mib = 0;
        assert_eq!(config.place().unwrap_err().metadata["setting"], "cache_mib");
    }
}
