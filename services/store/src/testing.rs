//! Fresh databases for tests, on both engines.
//!
//! ```ignore
//! #[tokio::test(flavor = "multi_thread")]
//! async fn a_lead_is_kept() {
//!     testing::on_each_engine(&MIGRATIONS, async |db| { … }).await;
//! }
//! ```

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::atomic::{AtomicU64, Ordering},
};

use futures::FutureExt as _;
use jinke_types::{Clock as _, SystemClock};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

use crate::{Database, DatabaseConfig, Engine, Migrations, args};

/// The variable that names a PostgreSQL server whose user may create databases.
pub const POSTGRES_VARIABLE: &str = "JINKE_TEST_POSTGRES";

/// Both engines, SQLite first.
pub const ENGINES: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

/// A fresh, empty place for a database. [`Place::remove`] takes it away; a folder also goes
/// when the value is dropped.
#[derive(Debug)]
pub struct Place {
    url: String,
    folder: Option<Folder>,
    server: Option<(PgConnectOptions, String)>,
}

impl Place {
    /// Makes one: a temporary folder, or a new database on the server of
    /// [`POSTGRES_VARIABLE`]. Panics when that is not set.
    pub async fn new(engine: Engine) -> Self {
        let unique = unique();
        match engine {
            Engine::Sqlite => {
                let folder = Folder::new(&unique);
                let url = format!("sqlite:{}", folder.path().join("test.db").display());
                Self {
                    url,
                    folder: Some(folder),
                    server: None,
                }
            }
            Engine::Postgres => {
                let server = std::env::var(POSTGRES_VARIABLE).unwrap_or_else(|_| {
                    panic!("{POSTGRES_VARIABLE} is not set: run through make test")
                });
                let options = PgConnectOptions::from_str(&server).expect("a PostgreSQL URL");
                let (base, query) = server.split_once('?').unwrap_or((&server, ""));
                let host = base.rsplit_once('/').map_or(base, |(host, _)| host);
                // A locale that does not sort by bytes shows where COLLATE "C" is missing.
                admin(
                    &options,
                    &format!("CREATE DATABASE {unique} TEMPLATE template0"),
                )
                .await;
                let url = format!("{host}/{unique}?{query}");
                Self {
                    url,
                    folder: None,
                    server: Some((options, unique)),
                }
            }
        }
    }

    /// A configuration for this place, of the service `test`.
    pub fn config(&self) -> DatabaseConfig {
        DatabaseConfig::new("test", self.url.clone())
    }

    /// The database file, on SQLite.
    pub fn file(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|f| f.path().join("test.db"))
    }

    /// Takes the place away, with whatever is still connected.
    pub async fn remove(self) {
        if let Some((options, name)) = &self.server {
            admin(
                options,
                &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            )
            .await;
        }
    }
}

async fn admin(options: &PgConnectOptions, statement: &str) {
    let mut conn = PgConnection::connect_with(options)
        .await
        .expect("the test server answers");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(&mut conn)
        .await
        .expect("the test user may create databases");
    conn.close().await.expect("the test server says good-bye");
}

/// Runs a case on a fresh database of each engine and checks [`schema_faults`] before.
pub async fn on_each_engine(migrations: &'static Migrations, case: impl AsyncFn(Database) -> ()) {
    for engine in ENGINES {
        on_engine(engine, migrations, &case).await;
    }
}

/// Runs a case on a fresh database of one engine; the database goes also when it panics.
pub async fn on_engine(
    engine: Engine,
    migrations: &'static Migrations,
    case: impl AsyncFn(Database) -> (),
) {
    let place = Place::new(engine).await;
    let outcome = AssertUnwindSafe(async {
        let db = Database::open(place.config(), migrations)
            .await
            .expect("the database opens");
        assert_eq!(schema_faults(&db).await, Vec::<String>::new());
        case(db.clone()).await;
        db.close().await;
    })
    .catch_unwind()
    .await;
    place.remove().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// What in the schema would make the engines differ: on PostgreSQL text columns without
/// `COLLATE "C"` and columns that are not BIGINT, TEXT or BYTEA; on SQLite tables that are
/// not STRICT. The migrations' own tables are left out.
pub async fn schema_faults(db: &Database) -> Vec<String> {
    let text = match db.engine() {
        Engine::Sqlite => {
            "SELECT name || ' is not STRICT' AS fault FROM pragma_table_list \
             WHERE schema = 'main' AND type = 'table' AND strict = 0 \
             AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'jinke%migrations' ORDER BY 1"
        }
        Engine::Postgres => {
            "SELECT table_name || '.' || column_name || ' is ' || data_type || \
             COALESCE(' collated ' || collation_name, '') AS fault \
             FROM information_schema.columns WHERE table_schema = current_schema() \
             AND table_name NOT LIKE 'jinke%migrations' \
             AND NOT (data_type IN ('bigint', 'bytea') \
             OR (data_type = 'text' AND collation_name IS NOT DISTINCT FROM 'C')) ORDER BY 1"
        }
    };
    let mut reader = db.read().await.expect("a connection");
    let rows = reader
        .fetch_all(text, args![])
        .await
        .expect("the catalogue can be read");
    rows.iter()
        .map(|r| r.text("fault").expect("text"))
        .collect()
}

fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    format!(
        "jinke_test_{}_{}_{nth}",
        std::process::id(),
        SystemClock.now().0
    )
}

/// A temporary folder that goes when it is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
    /// A fresh one.
    pub fn fresh() -> Self {
        Self::new(&unique())
    }
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
