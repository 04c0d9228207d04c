//! Connections: what each is told when it is opened, and how much memory it may take.

use std::{path::Path, str::FromStr as _, time::Duration};

use jinke_types::{Clock as _, Code, Failure, SystemClock};
use sqlx::{
    PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    backup::Versions,
    config::DatabaseConfig,
    error::from_sqlx,
    holder::{Holder, private},
    migrate::{self, Migrations},
};

/// The connections of a database.
pub(crate) enum Pools {
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

/// How the memory for pages is shared. A connection that changes pages keeps them from one
/// transaction to the next; one that reads forgets all when somebody else has written. So the writer
/// gets half, and the readers share the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Caches {
    writer_kib: u32,
    reader_kib: u32,
}

impl Caches {
    /// The size of a page.
    const PAGE_KIB: u32 = 4;

    fn of(config: &DatabaseConfig) -> Self {
        let half = config.cache_mib.saturating_mul(1_024) / 2;
        Self {
            writer_kib: half.max(Self::PAGE_KIB),
            reader_kib: (half / config.max_connections.max(1)).max(Self::PAGE_KIB),
        }
    }
}

/// How many rows the thread of a connection reads before it waits for who asked: a look-up reads a
/// thousand or so, and each wait is a change of threads, which costs more than the rows.
const ROWS_AHEAD: usize = 1_024;

/// What `cache_size` takes for an amount of memory: less than nothing means KiB, not pages.
fn kib(kib: u32) -> String {
    format!("-{kib}")
}

/// The connections to a file that somebody else owns.
pub(crate) async fn sqlite_beside(config: &DatabaseConfig, path: &Path) -> Result<Pools, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(config.lock_timeout)
        .pragma("query_only", "ON");
    let pool = SqlitePoolOptions::new()
        .max_connections(2)
        .acquire_timeout(config.acquire_timeout)
        .connect_with(options)
        .await
        .map_err(|_| {
            Failure::new(
                Code::FailedPrecondition,
                "DATABASE_FILE",
                format!("cannot use {}", path.display()),
            )
        })?;
    Ok(Pools::Sqlite {
        writer: pool.clone(),
        readers: pool,
    })
}

/// Takes a file, brings it to the version wanted and opens the connections to it.
pub(crate) async fn sqlite(
    config: &DatabaseConfig,
    path: &Path,
    migrations: &Migrations,
    to: Option<Versions>,
) -> Result<(Pools, Holder), Failure> {
    let cannot = |e: std::io::Error| {
        Failure::new(
            Code::FailedPrecondition,
            "DATABASE_FILE",
            format!("cannot use {}: {}", path.display(), e.kind()),
        )
    };
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    let holder = Holder::take(path, SystemClock.now())?;
    // SQLite gives its journal files the rights of the database file.
    let mut create = std::fs::OpenOptions::new();
    create.read(true).write(true).create(true).truncate(false);
    private(&mut create);
    create.open(path).map_err(cannot)?;

    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(config.lock_timeout)
        .statement_cache_capacity(256)
        .row_buffer_size(ROWS_AHEAD)
        // An erased value must leave the file, and no temporary file may keep one.
        .pragma("secure_delete", "ON")
        .pragma("temp_store", "MEMORY")
        .pragma("journal_size_limit", "67108864");
    let pool = || {
        SqlitePoolOptions::new()
            .acquire_timeout(config.acquire_timeout)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
    };
    let caches = Caches::of(config);
    // Keys are hashes, so a batch changes pages all over its indexes, and the next one many of the
    // same: they stay in memory, and go from the write-ahead log to the file once for several batches.
    let writing = options
        .clone()
        .pragma("cache_size", kib(caches.writer_kib))
        .pragma("wal_autocheckpoint", "10000");
    let writer = pool()
        .max_connections(1)
        .connect_with(writing)
        .await
        .map_err(from_sqlx)?;
    {
        let mut conn = writer.acquire().await.map_err(from_sqlx)?;
        migrate::sqlite(&mut conn, migrations, to).await?;
    }
    let readers = pool()
        .max_connections(config.max_connections)
        .connect_with(
            options
                .pragma("cache_size", kib(caches.reader_kib))
                .pragma("query_only", "ON"),
        )
        .await
        .map_err(from_sqlx)?;
    Ok((Pools::Sqlite { writer, readers }, holder))
}

/// The one handshake with a PostgreSQL server: everything a session needs is set here.
pub(crate) fn postgres_options(config: &DatabaseConfig) -> Result<PgConnectOptions, Failure> {
    let schema = config.schema.as_deref().unwrap_or("public");
    Ok(PgConnectOptions::from_str(&config.url)
        .map_err(from_sqlx)?
        .application_name(&format!("jinke-{}", config.service))
        .statement_cache_capacity(512)
        .options([
            ("search_path", schema.to_owned()),
            (
                "statement_timeout",
                config.statement_timeout.as_millis().to_string(),
            ),
            ("lock_timeout", config.lock_timeout.as_millis().to_string()),
            (
                "idle_in_transaction_session_timeout",
                config.idle_timeout.as_millis().to_string(),
            ),
            ("timezone", "UTC".to_owned()),
            ("synchronous_commit", "on".to_owned()),
        ]))
}

/// How long a connection that was idle may take to say that it lives.
const PING: Duration = Duration::from_secs(2);

/// Lets the server notice that a client is gone without a word, so that its locks do not stay: TCP
/// of its own accord asks after two hours. Relatives of PostgreSQL know some of these settings.
const SERVER_WATCHES: &str = "SELECT set_config(wanted.name, wanted.value, false) \
     FROM (VALUES ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'), \
     ('tcp_keepalives_count', '4'), ('tcp_user_timeout', '30000')) AS wanted (name, value) \
     JOIN pg_settings ON pg_settings.name = wanted.name";

pub(crate) async fn postgres(
    config: &DatabaseConfig,
    options: PgConnectOptions,
) -> Result<Pools, Failure> {
    let pool = PgPoolOptions::new()
        .acquire_timeout(config.acquire_timeout)
        .max_connections(config.max_connections)
        // A connection in steady use is not asked first whether it lives: that would cost a
        // round trip each time.
        .test_before_acquire(false)
        .before_acquire(|conn, state| {
            Box::pin(async move {
                if state.idle_for > Duration::from_secs(1) {
                    let answer = tokio::time::timeout(PING, sqlx::Connection::ping(conn)).await;
                    answer.unwrap_or_else(|_| {
                        Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
                    })?;
                }
                Ok(true)
            })
        })
        .after_connect(|conn, _| {
            Box::pin(async move {
                sqlx::Executor::execute(conn, SERVER_WATCHES).await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await
        .map_err(from_sqlx)?;
    Ok(Pools::Postgres(pool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caches_together_stay_within_what_they_may_take() {
        let mut config = DatabaseConfig::new("customer", "sqlite:a.db");
        for (cache_mib, max_connections, writer_kib, reader_kib) in [
            (64, 8, 32_768, 4_096),
            (256, 8, 131_072, 16_384),
            (1, 1, 512, 512),
            // No connection works without a page.
            (1, 1_000, 512, 4),
        ] {
            (config.cache_mib, config.max_connections) = (cache_mib, max_connections);
            let found = Caches::of(&config);
            assert_eq!(
                (found.writer_kib, found.reader_kib),
                (writer_kib, reader_kib)
            );
        }
        assert_eq!(kib(512), "-512");
    }
}
