//! Bringing a database to the binary's version: the kit's tables first, then the service's.

use std::time::Duration;

use jinke_types::{Code, Failure};
use sqlx::{
    Connection as _, PgConnection, Sqlite,
    migrate::{Migrate, MigrateError, Migrator},
    pool::PoolConnection,
    postgres::PgConnectOptions,
};

use crate::{backup::Versions, error::from_sqlx};

/// A service's migrations: the same numbers and names for both engines.
///
/// ```ignore
/// pub static MIGRATIONS: Migrations = Migrations {
///     sqlite: sqlx::migrate!("migrations/sqlite"),
///     postgres: sqlx::migrate!("migrations/postgres"),
/// };
/// ```
#[derive(Debug)]
pub struct Migrations {
    /// For SQLite.
    pub sqlite: Migrator,
    /// For PostgreSQL.
    pub postgres: Migrator,
}

/// The kit's own tables, present in every service's database.
pub(crate) static KIT: Migrations = Migrations {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};

pub(crate) const KIT_TABLE: &str = "jinke_kit_migrations";
pub(crate) const SERVICE_TABLE: &str = "jinke_service_migrations";
/// The tables that say which migrations were applied: the kit's, the service's.
pub(crate) const TABLES: [&str; 2] = [KIT_TABLE, SERVICE_TABLE];

/// The last versions that this program knows.
pub(crate) fn known(service: &Migrations) -> Versions {
    let last = |m: &Migrations| m.sqlite.iter().map(|m| m.version).max().unwrap_or(0);
    Versions {
        kit: last(&KIT),
        service: last(service),
    }
}

/// Checks that both engines have the same migrations by number and name, that there is at
/// least one and that numbers run 1, 2, 3…; the error says which differs. For tests.
pub fn same_numbers(migrations: &Migrations) -> Result<(), String> {
    let list = |m: &Migrator| -> Vec<(i64, String)> {
        m.iter()
            .map(|m| (m.version, m.description.to_string()))
            .collect()
    };
    let (sqlite, postgres) = (list(&migrations.sqlite), list(&migrations.postgres));
    for at in 0..sqlite.len().max(postgres.len()) {
        let (a, b) = (sqlite.get(at), postgres.get(at));
        if a != b {
            return Err(format!(
                "migration {} differs: sqlite {a:?}, postgres {b:?}",
                at + 1
            ));
        }
        if a.is_some_and(|(number, _)| usize::try_from(*number) != Ok(at + 1)) {
            return Err(format!("migration {} has another number: {a:?}", at + 1));
        }
    }
    if sqlite.is_empty() {
        Err("there is no migration".to_owned())
    } else {
        Ok(())
    }
}

/// Only one process has a SQLite file open, so nothing needs to be locked.
pub(crate) async fn sqlite(
    conn: &mut PoolConnection<Sqlite>,
    service: &Migrations,
    to: Option<Versions>,
) -> Result<(), Failure> {
    let (kit, own) = (to.map(|v| v.kit), to.map(|v| v.service));
    run(&KIT.sqlite, KIT_TABLE, kit, &mut **conn).await?;
    run(&service.sqlite, SERVICE_TABLE, own, &mut **conn).await
}

/// Replicas that start together take turns by an advisory lock. It is waited for without
/// limit on a connection of its own, because a long migration of the first replica must not
/// make the others fail.
pub(crate) async fn postgres(
    options: &PgConnectOptions,
    schema: Option<&str>,
    service: &Migrations,
    to: Option<Versions>,
) -> Result<(), Failure> {
    let (kit, own) = (to.map(|v| v.kit), to.map(|v| v.service));
    let patient = options
        .clone()
        .options([("statement_timeout", "0"), ("lock_timeout", "0")]);
    let mut conn = PgConnection::connect_with(&patient)
        .await
        .map_err(from_sqlx)?;
    let done = async {
        if let Some(schema) = schema {
            create_schema(&mut conn, schema).await?;
        }
        run(&KIT.postgres, KIT_TABLE, kit, &mut conn).await?;
        run(&service.postgres, SERVICE_TABLE, own, &mut conn).await
    }
    .await;
    // Closing also gives back the advisory lock when a migration failed half-way.
    let _ = tokio::time::timeout(Duration::from_secs(5), conn.close()).await;
    done
}

async fn create_schema(conn: &mut PgConnection, schema: &str) -> Result<(), Failure> {
    // The name was checked by `DatabaseConfig::place`. IF NOT EXISTS alone can lose a race
    // against another replica; the second attempt then finds the schema.
    let text = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
    for attempt in 0..2 {
        match sqlx::raw_sql(sqlx::AssertSqlSafe(text.clone()))
            .execute(&mut *conn)
            .await
        {
            Ok(_) => break,
            Err(_) if attempt == 0 => {}
            Err(e) => return Err(from_sqlx(e)),
        }
    }
    Ok(())
}

/// Applies what is missing, up to the migration `to` when one is named.
async fn run<C: Migrate>(
    migrator: &Migrator,
    table: &str,
    to: Option<i64>,
    conn: &mut C,
) -> Result<(), Failure> {
    let mut migrator = Migrator::with_migrations(migrator.iter().cloned().collect());
    migrator.dangerous_set_table_name(table.to_owned());
    migrator
        .run_direct(to, conn, false)
        .await
        .map_err(|e| failed(e, table))
}

fn failed(error: MigrateError, table: &str) -> Failure {
    match error {
        MigrateError::VersionMissing(n) => Failure::new(
            Code::FailedPrecondition,
            "DATABASE_NEWER",
            format!("the database has migration {n}, which this version does not know; upgrade"),
        )
        .with("migration", n),
        MigrateError::VersionMismatch(n) => Failure::new(
            Code::FailedPrecondition,
            "MIGRATION_CHANGED",
            format!("migration {n} was applied with another text; migrations never change"),
        )
        .with("migration", n),
        MigrateError::Dirty(n) => Failure::new(
            Code::FailedPrecondition,
            "MIGRATION_INCOMPLETE",
            format!("migration {n} was applied in part; restore the database from its backup"),
        )
        .with("migration", n),
        MigrateError::ExecuteMigration(e, n) => from_sqlx(e).with("migration", n),
        MigrateError::Execute(e) => from_sqlx(e),
        other => Failure::internal(other),
    }
    .with("table", table)
}
