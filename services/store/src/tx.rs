//! A write transaction, and a reader.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use jinke_types::{AuditIntent, Failure};

use crate::sql::ConnInner;
use crate::{
    audit::intents,
    changelog::{self, Entry},
    error::from_sqlx,
    sql::{Arg, Conn, Engine, Rows, Sql},
};

/// A write transaction. Dropped without a commit it is rolled back, by a panic too.
///
/// SQLite has one at a time, so what it reads cannot change under it. PostgreSQL has many, at
/// READ COMMITTED: lock what a decision rests on, by updating the row or with [`Tx::lock`].
///
/// [`crate::Database::write`] hands it to its closure by value, which keeps lifetimes out of
/// the closure's type, so that its future is `Send` whatever it borrows. When the closure lets
/// go of it, it goes back to `write`, which commits or rolls back.
#[derive(Debug)]
pub struct Tx {
    /// There until the transaction is handed on, which consumes `self`.
    state: Option<State>,
    /// Where it goes back to when dropped, if it was only lent.
    home: Option<Home>,
}

#[derive(Debug)]
pub(crate) struct State {
    conn: Conn,
    changes: Vec<Entry>,
    /// Calls whose changes are in the transaction beside the one that the task answers.
    calls: Vec<Arc<AuditIntent>>,
}

/// Where a lent transaction comes back to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Home(Arc<Mutex<Option<State>>>);

impl Home {
    /// What came back; nothing while it is still lent.
    pub(crate) fn take(&self) -> Option<Tx> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        state.map(|state| Tx {
            state: Some(state),
            home: None,
        })
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let (Some(home), Some(state)) = (&self.home, self.state.take()) {
            *home.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        }
    }
}

impl Tx {
    pub(crate) const fn new(conn: Conn) -> Self {
        Self {
            state: Some(State {
                conn,
                changes: Vec::new(),
                calls: Vec::new(),
            }),
            home: None,
        }
    }

    /// The transaction, to be given back to `home`.
    pub(crate) fn lent(mut self, home: &Home) -> Self {
        self.home = Some(home.clone());
        self
    }

    const fn state(&self) -> &State {
        self.state
            .as_ref()
            .expect("a transaction is whole until it is handed on")
    }

    const fn state_mut(&mut self) -> &mut State {
        self.state
            .as_mut()
            .expect("a transaction is whole until it is handed on")
    }

    /// The changes to be written at commit.
    pub(crate) const fn changes(&mut self) -> &mut Vec<Entry> {
        &mut self.state_mut().changes
    }

    /// The transaction also holds the change of this call, which another task answers: its intent
    /// is written with it. That of the present task's call is without this.
    pub fn with_change_of(&mut self, call: Arc<AuditIntent>) {
        self.state_mut().calls.push(call);
    }

    /// Takes the calls whose changes are in the transaction.
    pub(crate) fn take_calls(&mut self) -> Vec<Arc<AuditIntent>> {
        let mut calls = std::mem::take(&mut self.state_mut().calls);
        calls.extend(AuditIntent::current());
        calls
    }

    /// Runs a statement; the number of rows it touched.
    pub async fn execute(&mut self, sql: impl Into<Sql>, args: Vec<Arg>) -> Result<u64, Failure> {
        self.state_mut().conn.execute(sql.into(), args).await
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
        self.state_mut()
            .conn
            .insert_many(table, rows, conflict)
            .await
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
        if self.home.is_some() {
            return Err(Failure::internal("write commits by itself"));
        }
        let position = changelog::flush(&mut self).await?;
        let intents = intents::write(&mut self).await?;
        let state = self
            .state
            .take()
            .expect("a transaction is whole until it is handed on");
        match state.conn.0 {
            ConnInner::SqliteTx(tx) => tx.commit().await.map_err(from_sqlx)?,
            ConnInner::Postgres(session) => session.commit().await?,
            ConnInner::SqliteConn(_) => {
                return Err(Failure::internal("a write without a transaction"));
            }
        }
        for intent in intents {
            intent.committed();
        }
        Ok(position)
    }
}

impl Deref for Tx {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.state().conn
    }
}
impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.state_mut().conn
    }
}

/// A connection for reading. It has no way to run a statement that gives no rows; one that
/// writes and gives rows is refused by SQLite, and by PostgreSQL in a snapshot.
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
