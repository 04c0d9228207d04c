//! Opening a database, reading and writing.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jinke_types::Failure;
use sqlx::PgPool;
use tokio::sync::watch;

use crate::{
    backup::Versions,
    changelog,
    config::{DatabaseConfig, Place},
    error::{from_sqlx, is_conflict, is_lost},
    holder::Holder,
    migrate::{self, Migrations},
    pools::{self, Pools, postgres_options},
    sql::{Conn, ConnInner, Engine, Session},
    tx::{Home, Reader, Tx},
};

/// How often a write is tried in all before its `WRITE_CONFLICT` is returned.
pub const WRITE_ATTEMPTS: u32 = 10;

/// How often a write is tried in all when its connection is lost before the commit.
pub const LOST_ATTEMPTS: u32 = 3;

/// How long [`Database::close`] waits for connections in use.
pub const CLOSE_WAIT: Duration = Duration::from_secs(20);

/// A service's database. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct Database(Arc<Shared>);

struct Shared {
    pools: Pools,
    service: String,
    statement_timeout: Duration,
    head: watch::Sender<i64>,
    conflicts: AtomicU64,
    // The last field, so that the file is given free after its connections.
    holder: Mutex<Option<Holder>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("service", &self.0.service)
            .field("engine", &self.engine())
            .finish_non_exhaustive()
    }
}

/// What the connections do just now, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolState {
    /// Connections that are open.
    pub open: u32,
    /// Of these, the ones nobody uses.
    pub idle: u32,
    /// The most there may be.
    pub max: u32,
    /// Transactions tried anew because of a conflict, since start.
    pub conflicts: u64,
}

impl Database {
    /// Opens the database, creating and migrating it as needed.
    ///
    /// Errors: `DATABASE_CONFIG` (a setting is wrong), `DATABASE_HELD` (another process has the
    /// SQLite file; metadata `holder`), `DATABASE_NEWER`, `MIGRATION_CHANGED`,
    /// `DATABASE_UNREACHABLE`.
    pub async fn open(
        config: DatabaseConfig,
        migrations: &'static Migrations,
    ) -> Result<Self, Failure> {
        Self::open_at(config, migrations, None).await
    }

    /// Opens the database and migrates it no further than `to`, for a copy of these versions.
    pub(crate) async fn open_at(
        config: DatabaseConfig,
        migrations: &'static Migrations,
        to: Option<Versions>,
    ) -> Result<Self, Failure> {
        let (pools, holder) = match config.place()? {
            Place::File(path) => {
                let (pools, holder) = pools::sqlite(&config, &path, migrations, to).await?;
                (pools, Some(holder))
            }
            Place::Server => {
                let options = postgres_options(&config)?;
                migrate::postgres(&options, config.schema.as_deref(), migrations, to).await?;
                (pools::postgres(&config, options).await?, None)
            }
        };
        Self::with(config, pools, holder).await
    }

    /// Opens the database beside whoever owns it: nothing is made, migrated or held, and nothing
    /// can be written. For copies.
    pub(crate) async fn open_beside(config: DatabaseConfig) -> Result<Self, Failure> {
        let pools = match config.place()? {
            Place::File(path) => pools::sqlite_beside(&config, &path).await?,
            Place::Server => pools::postgres(&config, postgres_options(&config)?).await?,
        };
        Self::with(config, pools, None).await
    }

    async fn with(
        config: DatabaseConfig,
        pools: Pools,
        holder: Option<Holder>,
    ) -> Result<Self, Failure> {
        let db = Self(Arc::new(Shared {
            pools,
            statement_timeout: config.statement_timeout,
            service: config.service,
            head: watch::Sender::new(0),
            conflicts: AtomicU64::new(0),
            holder: Mutex::new(holder),
        }));
        let head = changelog::head(&mut *db.read().await?).await?;
        db.0.head.send_replace(head);
        Ok(db)
    }

    /// Which engine this is.
    pub fn engine(&self) -> Engine {
        match self.0.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// The service the database belongs to.
    pub fn service(&self) -> &str {
        &self.0.service
    }

    /// Runs `work` in a write transaction and commits it durably before returning.
    ///
    /// ```ignore
    /// db.write(async |mut tx| {
    ///     tx.execute("UPDATE leads SET stage = $1 WHERE id = $2", args![stage, id]).await?;
    ///     counter::take(&mut tx, "transitions", 1).await
    /// })
    /// .await?
    /// ```
    ///
    /// On a conflict with another transaction (`WRITE_CONFLICT`) the whole work runs again, up
    /// to [`WRITE_ATTEMPTS`] times, and up to [`LOST_ATTEMPTS`] times when the connection is lost
    /// before the commit: it must have no effect outside the transaction, so the
    /// closure can read what is around it but not change it, and gives its result back. Any
    /// other error, a panic, or dropping the future rolls everything back.
    pub async fn write<T, Done>(&self, work: impl FnMut(Tx) -> Done) -> Result<T, Failure>
    where
        Done: Future<Output = Result<T, Failure>>,
    {
        Ok(self.write_positioned(work).await?.0)
    }

    /// Like [`Database::write`], and tells the position of the last change it logged.
    pub async fn write_positioned<T, Done>(
        &self,
        mut work: impl FnMut(Tx) -> Done,
    ) -> Result<(T, Option<i64>), Failure>
    where
        Done: Future<Output = Result<T, Failure>>,
    {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let home = Home::default();
            let worked = match self.begin().await {
                Ok(tx) => work(tx.lent(&home)).await,
                Err(failure) => Err(failure),
            };
            // After a commit without an answer nobody knows; before it nothing was done.
            let lost = |failure: &Failure| is_lost(failure) && attempt < LOST_ATTEMPTS;
            let (done, again) = match (worked, home.take()) {
                (Ok(value), Some(tx)) => {
                    let committed = self.commit(tx).await;
                    (committed.map(|position| (value, position)), false)
                }
                (Ok(_), None) => (
                    Err(Failure::internal("the work kept its transaction")),
                    false,
                ),
                (Err(failure), _) => {
                    let again = lost(&failure);
                    (Err(failure), again)
                }
            };
            match done {
                Err(failure) if again || is_conflict(&failure) && attempt < WRITE_ATTEMPTS => {
                    let nth = self.0.conflicts.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(pause(attempt, nth)).await;
                }
                other => return other,
            }
        }
    }

    /// A write transaction without retry, for work that a closure cannot hold. Commit it with
    /// [`Database::commit`].
    pub async fn begin(&self) -> Result<Tx, Failure> {
        let inner = match &self.0.pools {
            Pools::Sqlite { writer, .. } => ConnInner::SqliteTx(
                writer
                    .begin_with("BEGIN IMMEDIATE")
                    .await
                    .map_err(from_sqlx)?,
            ),
            Pools::Postgres(pool) => {
                ConnInner::Postgres(self.session(pool).await?.begin("BEGIN").await?)
            }
        };
        Ok(Tx::new(Conn(inner)))
    }

    async fn session(&self, pool: &PgPool) -> Result<Session, Failure> {
        Session::acquire(pool, self.0.statement_timeout).await
    }

    /// Commits, wakes whoever waits for changes, and gives the position of the last one.
    pub async fn commit(&self, tx: Tx) -> Result<Option<i64>, Failure> {
        let position = tx.commit().await?;
        if let Some(position) = position {
            // Commits may be reported out of order; the head never goes back.
            self.0.head.send_if_modified(|head| {
                let newer = position > *head;
                *head = position.max(*head);
                newer
            });
        }
        Ok(position)
    }

    /// A connection for reading. Each statement sees what is committed when it starts.
    pub async fn read(&self) -> Result<Reader, Failure> {
        let conn = match &self.0.pools {
            Pools::Sqlite { readers, .. } => Conn::of_sqlite(readers).await?,
            Pools::Postgres(pool) => Conn(ConnInner::Postgres(self.session(pool).await?)),
        };
        Ok(Reader(conn))
    }

    /// A connection for reading where all statements see the same moment: the one of the
    /// first statement. Keep it short: it holds back the clean-up of old rows.
    pub async fn snapshot(&self) -> Result<Reader, Failure> {
        let inner = match &self.0.pools {
            Pools::Sqlite { readers, .. } => ConnInner::SqliteTx(
                readers
                    .begin_with("BEGIN DEFERRED")
                    .await
                    .map_err(from_sqlx)?,
            ),
            Pools::Postgres(pool) => ConnInner::Postgres(
                self.session(pool)
                    .await?
                    .begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        };
        Ok(Reader(Conn(inner)))
    }

    /// Tells of changes committed by this process. The value is a position that exists; other
    /// replicas' changes don't show here, see [`changelog::wait`].
    pub fn changed(&self) -> watch::Receiver<i64> {
        self.0.head.subscribe()
    }

    /// Whether the database answers, for readiness.
    pub async fn ping(&self) -> Result<(), Failure> {
        self.read()
            .await?
            .fetch_one("SELECT 1 AS one", Vec::new())
            .await
            .map(drop)
    }

    /// What the connections do, for metrics.
    pub fn pool_state(&self) -> PoolState {
        let conflicts = self.0.conflicts.load(Ordering::Relaxed);
        let idle = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        match &self.0.pools {
            Pools::Sqlite { writer, readers } => PoolState {
                open: writer.size() + readers.size(),
                idle: idle(writer.num_idle() + readers.num_idle()),
                max: readers.options().get_max_connections() + 1,
                conflicts,
            },
            Pools::Postgres(pool) => PoolState {
                open: pool.size(),
                idle: idle(pool.num_idle()),
                max: pool.options().get_max_connections(),
                conflicts,
            },
        }
    }

    /// Waits for running work, at most [`CLOSE_WAIT`], closes every connection and gives a
    /// SQLite file free. Later calls get `DATABASE_CLOSED`.
    pub async fn close(&self) {
        let closed = async {
            match &self.0.pools {
                Pools::Sqlite { writer, readers } => {
                    readers.close().await;
                    writer.close().await;
                }
                Pools::Postgres(pool) => pool.close().await,
            }
        };
        if tokio::time::timeout(CLOSE_WAIT, closed).await.is_err() {
            // Whoever still holds a connection keeps the file: two processes on it would be
            // worse than one that must be killed.
            tracing::warn!("a connection was still in use when the database was closed");
            return;
        }
        self.0
            .holder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// Doubles from 1 ms to 128 ms; the spread keeps two losers from meeting again. It needs no
/// randomness: the count of conflicts differs between them.
fn pause(attempt: u32, nth: u64) -> Duration {
    let base = 1_000_u64 << attempt.min(7);
    let spread = nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    Duration::from_micros(base + spread % base)
}
