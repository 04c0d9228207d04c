//! The storage kit: what every service's database has in common.
//!
//! Each service owns one database. It is a SQLite file (the default: one file, one process) or
//! a PostgreSQL database or schema (production, several replicas). A service writes its SQL
//! once; this crate opens, migrates, binds, retries, seals and logs alike on both.
//!
//! | module or type | what it is for |
//! |---|---|
//! | [`Database`] | open; [`Database::write`], [`Database::read`], [`Database::snapshot`] |
//! | [`Tx`], [`Reader`], [`Conn`] | a write transaction, a connection for reading, what both can do |
//! | [`args!`], [`Row`], [`Rows`] | arguments, a row of a result, many rows to insert |
//! | [`changelog`] | the change feed and its three promises (decision D8) |
//! | [`cursor`] | where a follower stands, saved with its effect |
//! | [`request`] | request ids: a mutation sent twice happens once (decision D10) |
//! | [`operation`] | long-running operations that outlive their process |
//! | [`audit`] | events of the audit trail, until identity has them |
//! | [`lease`] | one holder at a time, with a fence |
//! | [`counter`] | numbers without gaps |
//! | [`backup`] | copying a whole database out and in, alike on both engines |
//! | [`survey`] | which migrations a database has, without opening it |
//! | [`keys`] | key files, sealing, tokens, keyed hashes (decision D13) |
//! | [`testing`] | fresh databases of both engines for a service's tests |
//! | [`error`] | how a driver's error becomes a [`jinke_types::Failure`] |
//!
//! # How a service adds a table
//!
//! 1. Write `migrations/sqlite/0003_add_visits.sql` and
//!    `migrations/postgres/0003_add_visits.sql`: the next number, the same name in both. A
//!    migration that was released never changes; a mistake gets a new one.
//!
//!    ```sql
//!    -- sqlite                                  -- postgres
//!    CREATE TABLE visits (                      CREATE TABLE visits (
//!        id INTEGER NOT NULL PRIMARY KEY,           id BIGINT NOT NULL PRIMARY KEY,
//!        customer TEXT NOT NULL,                    customer TEXT COLLATE "C" NOT NULL,
//!        note BLOB,                                 note BYTEA,
//!        time INTEGER NOT NULL                      time BIGINT NOT NULL
//!    ) STRICT;                                  );
//!    ```
//!
//! 2. Have three types of columns only: `INTEGER`/`BIGINT` (numbers, truth values as 0 and 1,
//!    times in microseconds, money in minor units), `TEXT` and `BLOB`/`BYTEA`. SQLite tables
//!    are `STRICT`, PostgreSQL text is `COLLATE "C"`: then both compare text by its bytes, sort
//!    alike and tell case apart. [`testing::schema_faults`] finds what was forgotten, and
//!    [`testing::on_each_engine`] calls it.
//! 3. Index no text that may grow over 2,000 bytes (PostgreSQL refuses it: `VALUE_TOO_LONG`).
//!    Personal values are `BLOB`, sealed with [`keys::DataKey`], and found by a token in an
//!    integer column.
//! 4. Embed the folders once, and test that they match:
//!
//!    ```ignore
//!    pub static MIGRATIONS: Migrations = Migrations {
//!        sqlite: sqlx::migrate!("migrations/sqlite"),
//!        postgres: sqlx::migrate!("migrations/postgres"),
//!    };
//!    #[test]
//!    fn migrations_match() { assert_eq!(same_numbers(&MIGRATIONS), Ok(())); }
//!    ```
//!
//! 5. Write the queries in the service's `store` module and run its cases with
//!    [`testing::on_each_engine`].
//!
//! Adding a column: `ALTER TABLE … ADD COLUMN` with a default works on both. Old replicas run
//! beside new ones while a deployment rolls, so add first and use later; drop one release on.
//!
//! # How SQL is written
//!
//! ```ignore
//! let moved = db.write(async |mut tx| {
//!     let row = tx.fetch_one("UPDATE visits SET time = $1 WHERE id = $2 RETURNING customer",
//!         args![now, id]).await?;
//!     changelog::append(&mut tx, Entry { feed: "visits", … });
//!     row.text("customer")
//! }).await?;
//!
//! let mut reader = db.read().await?;
//! let rows = reader.fetch_all("SELECT id FROM visits WHERE customer IN LIST($1) AND id > $2 \
//!     ORDER BY id LIMIT 100", args![customers, after]).await?;
//! ```
//!
//! * Parameters are `$1, $2, …`, also used twice; lists are `IN LIST($n)`.
//! * Shared by both engines: `INSERT … ON CONFLICT … DO UPDATE/NOTHING`, `RETURNING`, `WITH`,
//!   window functions, `COALESCE`, `CASE`, `CAST`, `substr`, `lower` for ASCII. Not shared, so
//!   not used: `FOR UPDATE` (update the row, or [`Tx::lock`]), `ILIKE`, `NOW()`, arrays, JSON
//!   operators, `SUM` without `CAST(… AS BIGINT)`, `LIKE` on letters (SQLite ignores case).
//! * On PostgreSQL an untyped `$1` takes its type from its place; where it has none, as in
//!   `SELECT $1`, write `CAST($1 AS BIGINT)`.
//! * Text put together at run time goes through [`Sql::assembled`] and holds literals only.
//! * In `write`, take locks in one order (by id), change the log last, and have no effect
//!   outside: the closure may run again. Never call the network within it.
//! * PostgreSQL runs writes at READ COMMITTED: what is read may be changed by another before
//!   it is written, unless the row was updated or a [`Tx::lock`] is held.
//! * Many rows go with [`Tx::insert_many`]: one statement per thousands of rows.
//!
//! # Adding a relative of PostgreSQL
//!
//! The kit asks of a server: the statements above, `UNNEST` of `BIGINT`, `TEXT` and `BYTEA`
//! arrays, `= ANY(array)`, `COLLATE "C"`, `SELECT … FOR UPDATE`, session settings at connect
//! (all in `database.rs`), schemas by `search_path`, and `pg_advisory_lock` while migrating.
//! No extensions, no `LISTEN`/`NOTIFY`, no stored procedures. Its test is this crate's suite
//! with `JINKE_TEST_POSTGRES` set to the server.

pub mod audit;
pub mod backup;
pub mod changelog;
mod config;
pub mod counter;
pub mod cursor;
mod database;
pub mod error;
mod holder;
pub mod keys;
pub mod lease;
mod migrate;
pub mod operation;
mod pools;
pub mod request;
mod sql;
mod survey;
pub mod testing;
mod tx;

pub use config::DatabaseConfig;
pub use database::{CLOSE_WAIT, Database, LOST_ATTEMPTS, PoolState, WRITE_ATTEMPTS};
pub use migrate::{Migrations, same_numbers};
pub use sql::{Arg, Conn, Engine, Row, Rows, Sql};
pub use survey::{Survey, survey};
pub use tx::{Reader, Tx};
