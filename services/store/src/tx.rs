//! A write transaction, and a reader.

use std::ops::{Deref, DerefMut};

use jinke_types::Failure;

use crate::sql::ConnInner;
use crate::{
    changelog::{self, Entry},
    error::from_sqlx,
    sql::{Arg, Conn, Engine, Rows, Sql},
};

/// A write transaction. Dropped without a commit it is rolled back, by a panic too.
///
/// SQLite has one at a time, so what it reads cannot change under it. PostgreSQL has many, at
/// READ COMMITTED: lock what a decision rests on, by updating the row or with [`Tx::lock`].
#[derive(Debug)]
pub struct Tx {
    conn: Conn,
    pub(crate) changes: Vec<Entry>,
}

impl Tx {
    pub(crate) const fn new(conn: Conn) -> Self {
        Self {
            conn,
            changes: Vec::new(),
        }
    }

    /// Runs a statement; the number of rows it touched.
    pub async fn execute(&mut self, sql: impl Into<Sql>, args: Vec<Arg>) -> Result<u64, Failure> {
        self.conn.execute(sql.into(), args).await
    }

    /// Inserts many rows in few statements; the number of rows touched.
    ///
    /// `conflict` is empty or an `ON CONFLICT …` clause. Two rows of one call must not meet
    /// the same conflict key with `DO UPDATE`: PostgreSQL refuses what SQLite would do twice.
    pub async fn insert_many(
        &mut self,
        table: &'static str,
        rows: Rows,
        conflict: &'static str,
    ) -> Result<u64, Failure> {
        self.conn.insert_many(table, rows, conflict).await
    }

    /// Holds the lock of this name until the transaction ends, on every replica.
    ///
    /// Take several in sorted order, or replicas deadlock (and are tried anew). On SQLite the
    /// transaction is the only writer already. Names stay in a small table: use few.
    pub async fn lock(&mut self, name: &str) -> Result<(), Failure> {
        if self.engine() == Engine::Sqlite {
            return Ok(());
        }
        let held = self
            .fetch_optional(
                "SELECT 1 FROM jinke_locks WHERE name = $1 FOR UPDATE",
                crate::args![name],
            )
            .await?;
        if held.is_none() {
            // The insert also waits for a replica that is just creating the same name.
            self.execute(
                "INSERT INTO jinke_locks (name) VALUES ($1) \
                 ON CONFLICT (name) DO UPDATE SET name = excluded.name",
                crate::args![name],
            )
            .await?;
        }
        Ok(())
    }

    /// Writes the buffered changes and makes everything durable; the position of the last
    /// change, when there was one.
    pub(crate) async fn commit(mut self) -> Result<Option<i64>, Failure> {
        let position = changelog::flush(&mut self).await?;
        match self.conn.0 {
            ConnInner::SqliteTx(tx) => tx.commit().await,
            ConnInner::PostgresTx(tx) => tx.commit().await,
            ConnInner::SqliteConn(_) | ConnInner::PostgresConn(_) => {
                return Err(Failure::internal("a write without a transaction"));
            }
        }
        .map_err(from_sqlx)?;
        Ok(position)
    }
}

impl Deref for Tx {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.conn
    }
}
impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

/// A connection for reading. Writes through it are refused by the engine.
#[derive(Debug)]
pub struct Reader(pub(crate) Conn);

impl Deref for Reader {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.0
    }
}
impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0
    }
}
