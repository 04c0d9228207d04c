//! How far a database is, seen without changing anything in it.

use std::{collections::BTreeMap, time::Duration};

use jinke_types::{Code, Failure};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection, migrate::Migrator,
    sqlite::SqliteConnectOptions,
};

use crate::{
    config::{DatabaseConfig, Place},
    error::from_sqlx,
    migrate::{KIT, KIT_TABLE, Migrations, SERVICE_TABLE},
    pools::postgres_options,
};

/// A server that does not answer by then is away.
const ANSWERS: Duration = Duration::from_secs(5);

/// What stands against what this program knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many migrations have been applied; 0 for a database that is empty or not there.
    pub applied: usize,
    /// Migrations this program would apply at its next start, as `0002 blocks`.
    pub missing: Vec<String>,
    /// Numbers of migrations that this program does not know: a newer one was here.
    pub unknown: Vec<i64>,
    /// Those that were applied with another text.
    pub changed: Vec<String>,
    /// Those that were applied in part.
    pub broken: Vec<String>,
}

/// An applied migration: its checksum, and whether it came to its end.
type Applied = BTreeMap<i64, (Vec<u8>, bool)>;

/// Looks at a database. On SQLite nobody may be using it.
///
/// Errors: `DATABASE_CONFIG`, `DATABASE_UNREACHABLE`, `DATABASE_RIGHTS`.
pub async fn survey(config: &DatabaseConfig, migrations: &Migrations) -> Result<Survey, Failure> {
    let looked = async {
        match config.place()? {
            Place::File(path) if !path.exists() => Ok(compare(
                &migrations.sqlite,
                &KIT.sqlite,
                &Default::default(),
            )),
            Place::File(path) => {
                // Immutable: no lock is taken, no journal made or played back.
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .read_only(true)
                    .immutable(true);
                let mut conn = SqliteConnection::connect_with(&options)
                    .await
                    .map_err(from_sqlx)?;
                let mut found = [Applied::new(), Applied::new()];
                for (at, table) in [KIT_TABLE, SERVICE_TABLE].into_iter().enumerate() {
                    let there = "SELECT name FROM sqlite_schema WHERE name = ?";
                    let there = sqlx::query(there).bind(table).fetch_optional(&mut conn);
                    if there.await.map_err(from_sqlx)?.is_some() {
                        let rows = sqlx::query(AssertSqlSafe(applied(table)));
                        let rows = rows.fetch_all(&mut conn).await.map_err(from_sqlx)?;
                        found[at] = rows
                            .iter()
                            .map(|r| (r.get(0), (r.get(1), r.get(2))))
                            .collect();
                    }
                }
                Ok(compare(&migrations.sqlite, &KIT.sqlite, &found))
            }
            Place::Server => {
                let options = postgres_options(config)?;
                let mut conn = PgConnection::connect_with(&options)
                    .await
                    .map_err(from_sqlx)?;
                let mut found = [Applied::new(), Applied::new()];
                for (at, table) in [KIT_TABLE, SERVICE_TABLE].into_iter().enumerate() {
                    let there = "SELECT 1 FROM information_schema.tables \
                                 WHERE table_schema = $1 AND table_name = $2";
                    let schema = config.schema.as_deref().unwrap_or("public");
                    let there = sqlx::query(there).bind(schema).bind(table);
                    let there = there.fetch_optional(&mut conn).await.map_err(from_sqlx)?;
                    if there.is_some() {
                        let rows = sqlx::query(AssertSqlSafe(applied(table)));
                        let rows = rows.fetch_all(&mut conn).await.map_err(from_sqlx)?;
                        found[at] = rows
                            .iter()
                            .map(|r| (r.get(0), (r.get(1), r.get(2))))
                            .collect();
                    }
                }
                Ok(compare(&migrations.postgres, &KIT.postgres, &found))
            }
        }
    };
    let silent = |_| {
        Err(Failure::new(
            Code::Unavailable,
            "DATABASE_UNREACHABLE",
            "the database does not answer",
        ))
    };
    tokio::time::timeout(ANSWERS, looked)
        .await
        .unwrap_or_else(silent)
}

fn applied(table: &str) -> String {
    format!("SELECT version, checksum, success FROM {table} ORDER BY version")
}

fn compare(service: &Migrator, kit: &Migrator, found: &[Applied; 2]) -> Survey {
    let mut out = Survey::default();
    for (known, found) in [kit, service].into_iter().zip(found) {
        out.applied += found.len();
        for migration in known.iter() {
            let name = format!("{:04} {}", migration.version, migration.description);
            match found.get(&migration.version) {
                None => out.missing.push(name),
                Some((_, false)) => out.broken.push(name),
                Some((checksum, _)) if checksum[..] != migration.checksum[..] => {
                    out.changed.push(name);
                }
                Some(_) => {}
            }
        }
        let last = known.iter().map(|m| m.version).max().unwrap_or(0);
        out.unknown.extend(found.keys().filter(|n| **n > last));
    }
    out
}
