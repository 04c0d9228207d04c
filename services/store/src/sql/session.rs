//! A PostgreSQL connection out of the pool, with a time for every statement.
//!
//! The server ends a statement that runs too long, but a server that is stopped, or behind a
//! network that swallows packets, ends nothing and answers nothing. So each statement is also
//! given up here, a little later than the server would. Whatever then comes on the connection
//! could belong to anything, so it is closed, and never goes back to the pool; neither does one
//! that the server has ended.

use std::time::Duration;

use jinke_types::{Code, Failure};
use sqlx::{Executor as _, PgPool, Postgres, pool::PoolConnection, postgres::PgConnection};
use tokio::{
    runtime::Handle,
    time::{error::Elapsed, timeout},
};

use crate::error::{ends_session, from_sqlx};

/// How much later than the server a statement is given up here.
const LATER: Duration = Duration::from_secs(5);
/// For what happens behind a dropped session: rolling back, a sign of life.
const TIDY: Duration = Duration::from_secs(5);

/// A connection, in a transaction or not. Dropped in a transaction, it is rolled back.
#[derive(Debug)]
pub(crate) struct Session {
    /// There until it is dropped.
    conn: Option<PoolConnection<Postgres>>,
    patience: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No transaction.
    Free,
    /// In a transaction.
    Open,
    /// In a transaction that a statement has failed in: all it can do is roll back.
    Failed,
    /// Cannot be used any more.
    Broken,
}

impl Session {
    /// Takes a connection from the pool. `statement_timeout` is the server's.
    pub(crate) async fn acquire(
        pool: &PgPool,
        statement_timeout: Duration,
    ) -> Result<Self, Failure> {
        Ok(Self {
            conn: Some(pool.acquire().await.map_err(from_sqlx)?),
            patience: statement_timeout.saturating_add(LATER),
            state: State::Free,
        })
    }

    /// Begins a transaction with this statement.
    pub(crate) async fn begin(mut self, statement: &'static str) -> Result<Self, Failure> {
        let began = timeout(self.patience, self.link().execute(statement)).await;
        self.done(began)?;
        self.state = State::Open;
        Ok(self)
    }

    /// Commits. Without an answer nobody knows whether it was.
    pub(crate) async fn commit(mut self) -> Result<(), Failure> {
        if self.state != State::Open {
            // The server would answer a commit of a failed transaction by rolling back, with success.
            return Err(Failure::internal("a transaction went on after an error"));
        }
        let committed = timeout(self.patience, self.link().execute("COMMIT")).await;
        self.done(committed)?;
        self.state = State::Free;
        Ok(())
    }

    /// How long one statement may take.
    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    /// The connection, for one statement, whose outcome goes to [`Session::done`].
    pub(crate) fn link(&mut self) -> &mut PgConnection {
        self.conn
            .as_mut()
            .expect("a session has its connection until it is dropped")
    }

    /// What a statement ended in.
    pub(crate) fn done<T>(
        &mut self,
        outcome: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, Failure> {
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                self.state = match self.state {
                    _ if ends_session(&error) => State::Broken,
                    State::Open => State::Failed,
                    other => other,
                };
                Err(from_sqlx(error))
            }
            Err(_) => {
                self.state = State::Broken;
                Err(Failure::new(
                    Code::Unavailable,
                    "DATABASE_UNREACHABLE",
                    "the database does not answer",
                ))
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            // The program is ending; the server rolls back when the connection falls.
            drop(conn.leak());
            return;
        };
        let state = self.state;
        runtime.spawn(async move {
            let sound = match state {
                State::Broken => false,
                State::Free => true,
                State::Open | State::Failed => {
                    // Of a statement that was dropped half-way the rest is read first.
                    let rolled_back = timeout(TIDY, conn.execute("ROLLBACK")).await;
                    matches!(rolled_back, Ok(Ok(_)))
                }
            };
            if !sound {
                // Closes the socket without a word; saying good-bye could wait for ever.
                drop(conn.detach());
            } else if timeout(TIDY, conn.return_to_pool()).await.is_err() {
                tracing::warn!("a connection that does not answer was given up");
            }
        });
    }
}
