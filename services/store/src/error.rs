//! One mapping from what a driver reports to a [`Failure`].
//!
//! Messages of a database can quote stored values (`invalid input syntax for type bigint:
//! "…"`), and values may be personal. Only what is known to speak of the schema is passed on:
//! the error code, the constraint, and the text of SQLSTATE class 42 (the statement is wrong).

use jinke_types::{Code, Failure};

/// Reason of a failure that a new attempt of the whole transaction may cure.
/// [`crate::Database::write`] retries it a bounded number of times.
pub const WRITE_CONFLICT: &str = "WRITE_CONFLICT";

/// Whether a new attempt of the whole transaction may succeed.
pub fn is_conflict(failure: &Failure) -> bool {
    failure.code == Code::Aborted && failure.reason == WRITE_CONFLICT
}

/// Whether a new attempt of the whole transaction may succeed because it was the connection that
/// failed, before anything was committed.
pub(crate) fn is_lost(failure: &Failure) -> bool {
    failure.code == Code::Unavailable && failure.reason == "DATABASE_UNREACHABLE"
}

/// Whether the connection cannot be used after this error.
pub(crate) fn ends_session(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(e) => {
            let code = e.code().unwrap_or_default();
            // Idle in a transaction, idle at all, transaction too long; then what shutting down,
            // crashes and lost connections are reported as. 57014 is a cancelled statement.
            matches!(&*code, "25P03" | "25P04" | "57P05")
                || code.starts_with("08")
                || code.starts_with("57P")
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// The failure that stands for a driver's error. It never holds a stored value.
pub fn from_sqlx(error: sqlx::Error) -> Failure {
    match &error {
        sqlx::Error::Database(e) => from_database(e.as_ref()),
        sqlx::Error::PoolTimedOut => Failure::new(
            Code::Unavailable,
            "DATABASE_BUSY",
            "no database connection became free in time",
        ),
        sqlx::Error::PoolClosed => Failure::new(
            Code::Unavailable,
            "DATABASE_CLOSED",
            "the database is shutting down",
        ),
        sqlx::Error::Io(e) => unreachable_database(e.kind()),
        sqlx::Error::Tls(_) => unreachable_database("tls handshake failed"),
        sqlx::Error::WorkerCrashed => Failure::new(
            Code::Unavailable,
            "DATABASE_UNREACHABLE",
            "the connection's worker has stopped",
        ),
        sqlx::Error::RowNotFound => {
            Failure::new(Code::NotFound, "ROW_NOT_FOUND", "the row does not exist")
        }
        sqlx::Error::Configuration(_) => Failure::new(
            Code::FailedPrecondition,
            "DATABASE_CONFIG",
            "the database url cannot be read",
        ),
        sqlx::Error::ColumnNotFound(c) => Failure::internal(format!("no column {c} in the result")),
        sqlx::Error::ColumnDecode { index, .. } => {
            Failure::internal(format!("column {index} has another type"))
        }
        sqlx::Error::Protocol(_) => Failure::internal("the database broke its protocol"),
        _ => Failure::internal("the database driver failed"),
    }
}

fn unreachable_database(why: impl std::fmt::Display) -> Failure {
    Failure::new(
        Code::Unavailable,
        "DATABASE_UNREACHABLE",
        format!("the database cannot be reached: {why}"),
    )
}

fn from_database(e: &dyn sqlx::error::DatabaseError) -> Failure {
    let code = e.code().unwrap_or_default().into_owned();
    let failure = if e
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        .is_some()
    {
        from_postgres(&code, e)
    } else {
        from_sqlite(&code, e)
    };
    failure.with("database_code", code)
}

fn from_postgres(code: &str, e: &dyn sqlx::error::DatabaseError) -> Failure {
    let constraint = e.constraint().unwrap_or("unnamed");
    match code {
        "40001" | "40P01" | "55P03" => conflict(),
        "23505" => exists(constraint),
        "23503" => broken_reference(constraint),
        // The server ended a session that did nothing in its transaction: this process was stopped.
        "25P03" | "25P04" => unreachable_database(format!("sqlstate {code}")),
        "57014" => Failure::new(
            Code::DeadlineExceeded,
            "STATEMENT_TIMEOUT",
            "a statement took too long",
        ),
        "53100" => disk_full(),
        "22021" => nul_in_text(),
        // PostgreSQL's indexes hold values up to some 2,700 bytes, SQLite's of any length.
        "54000" => Failure::new(
            Code::InvalidArgument,
            "VALUE_TOO_LONG",
            "a value is too long for the index it belongs to",
        ),
        "42501" => Failure::new(
            Code::FailedPrecondition,
            "DATABASE_RIGHTS",
            "the database user lacks a right",
        ),
        _ => match code.get(..2).unwrap_or_default() {
            "08" | "53" | "57" => unreachable_database(format!("sqlstate {code}")),
            "23" => Failure::internal(format!("constraint {constraint} refused a row")),
            "28" | "3D" => Failure::new(
                Code::FailedPrecondition,
                "DATABASE_RIGHTS",
                format!("the server refused the user or the database, sqlstate {code}"),
            ),
            "42" => Failure::internal(format!("wrong statement: {}", e.message())),
            "XX" => data_loss(code),
            _ => Failure::internal(format!("the database refused a statement, sqlstate {code}")),
        },
    }
}

fn from_sqlite(code: &str, e: &dyn sqlx::error::DatabaseError) -> Failure {
    // Extended result codes keep the primary code in the low byte.
    let number: i32 = code.parse().unwrap_or(0);
    match (number, number & 0xff) {
        (2067 | 1555, _) => exists(constraint_of(e.message())),
        (787, _) => broken_reference("foreign key"),
        (_, 5 | 6) => conflict(),
        (_, 8) => Failure::internal("a write through a read connection"),
        (_, 11 | 26) => data_loss(code),
        (_, 10) => unreachable_database("disk error"),
        (_, 13) => disk_full(),
        (_, 14) => unreachable_database("the file cannot be opened"),
        (_, 19) => Failure::internal(format!("a constraint refused a row: {}", e.message())),
        // SQLite's plain errors speak of the statement, not of stored values.
        (_, 1) => Failure::internal(format!("wrong statement: {}", e.message())),
        _ => Failure::internal(format!("the database refused a statement, code {code}")),
    }
}

/// `UNIQUE constraint failed: parties.name` names columns only.
fn constraint_of(message: &str) -> &str {
    message
        .rsplit_once(": ")
        .map_or("unnamed", |(_, columns)| columns)
}

fn conflict() -> Failure {
    Failure::new(
        Code::Aborted,
        WRITE_CONFLICT,
        "another transaction got in between",
    )
}
fn exists(constraint: &str) -> Failure {
    Failure::new(
        Code::AlreadyExists,
        "ROW_EXISTS",
        "a row with this key exists already",
    )
    .with("constraint", constraint)
}
fn broken_reference(constraint: &str) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "REFERENCE_BROKEN",
        "a referenced row is missing or used",
    )
    .with("constraint", constraint)
}
fn disk_full() -> Failure {
    Failure::new(
        Code::ResourceExhausted,
        "DISK_FULL",
        "the database's disk is full",
    )
}
fn data_loss(code: &str) -> Failure {
    Failure::new(
        Code::DataLoss,
        "DATABASE_DAMAGED",
        format!("the database is damaged, code {code}"),
    )
}

/// Text with a NUL character is refused on both engines, because PostgreSQL cannot store it.
pub(crate) fn nul_in_text() -> Failure {
    Failure::new(
        Code::InvalidArgument,
        "NUL_IN_TEXT",
        "text holds a NUL character, which cannot be stored",
    )
}
