//! Migrating: twice, together, backwards, changed.

use std::sync::LazyLock;

use jinke_store::{
    Database, DatabaseConfig, Engine, Migrations, Survey, args, same_numbers, survey,
    testing::{ENGINES, Place, schema_faults},
};
use jinke_types::Code;
use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::MIGRATIONS;

fn migrations(texts: &[(i64, &'static str, &'static str)]) -> Migrations {
    let migrator = || {
        Migrator::with_migrations(
            texts
                .iter()
                .map(|(number, name, text)| {
                    let text = text.into_sql_str();
                    Migration::new(*number, (*name).into(), MigrationType::Simple, text, false)
                })
                .collect(),
        )
    };
    Migrations {
        sqlite: migrator(),
        postgres: migrator(),
    }
}

const ONE: (i64, &str, &str) = (
    1,
    "one",
    "CREATE TABLE one (id BIGINT NOT NULL PRIMARY KEY)",
);
const TWO: (i64, &str, &str) = (
    2,
    "two",
    "CREATE TABLE two (id BIGINT NOT NULL PRIMARY KEY)",
);

static V1: LazyLock<Migrations> = LazyLock::new(|| migrations(&[ONE]));
static V2: LazyLock<Migrations> = LazyLock::new(|| migrations(&[ONE, TWO]));
static CHANGED: LazyLock<Migrations> =
    LazyLock::new(|| migrations(&[(1, "one", "CREATE TABLE other (id BIGINT)")]));
static BROKEN: LazyLock<Migrations> = LazyLock::new(|| {
    migrations(&[
        ONE,
        (
            2,
            "two",
            "CREATE TABLE two (id BIGINT); CREATE TABLE one (id BIGINT)",
        ),
    ])
});

#[test]
fn both_engines_must_have_the_same_numbers() {
    assert_eq!(same_numbers(&MIGRATIONS), Ok(()));
    assert_eq!(same_numbers(&V2), Ok(()));
    let mixed = |sqlite: &[_], postgres: &[_]| Migrations {
        sqlite: migrations(sqlite).sqlite,
        postgres: migrations(postgres).postgres,
    };
    let renamed = (1, "uno", ONE.2);
    assert!(
        same_numbers(&mixed(&[ONE], &[renamed]))
            .unwrap_err()
            .contains("migration 1")
    );
    assert!(
        same_numbers(&mixed(&[ONE, TWO], &[ONE]))
            .unwrap_err()
            .contains("migration 2")
    );
    assert!(
        same_numbers(&mixed(&[TWO], &[TWO]))
            .unwrap_err()
            .contains("another number")
    );
    assert!(same_numbers(&mixed(&[], &[])).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_goes_forward_and_never_back() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let open = async |m: &'static Migrations| {
            let db = Database::open(place.config(), m).await?;
            db.close().await;
            Ok::<_, jinke_types::Failure>(())
        };
        open(&V1).await.unwrap();
        open(&V1).await.unwrap();
        let failure = open(&BROKEN).await.unwrap_err();
        assert_eq!(failure.metadata["migration"], "2", "{failure:?}");
        open(&V2)
            .await
            .expect("a migration that failed has left nothing");
        let newer = open(&V1).await.unwrap_err();
        assert_eq!(
            (newer.code, newer.reason),
            (Code::FailedPrecondition, "DATABASE_NEWER")
        );
        assert_eq!(newer.metadata["migration"], "2");
        assert_eq!(
            open(&CHANGED).await.unwrap_err().code,
            Code::FailedPrecondition
        );
        place.remove().await;

        let place = Place::new(engine).await;
        Database::open(place.config(), &V1)
            .await
            .unwrap()
            .close()
            .await;
        let changed = Database::open(place.config(), &CHANGED).await.unwrap_err();
        assert_eq!(changed.reason, "MIGRATION_CHANGED");
        place.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_together_migrate_once() {
    let place = Place::new(Engine::Postgres).await;
    for schema in [None, Some("customer".to_owned())] {
        let config = DatabaseConfig {
            schema,
            ..place.config()
        };
        let tasks: Vec<_> = (0..6)
            .map(|_| tokio::spawn(Database::open(config.clone(), &MIGRATIONS)))
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap().close().await;
        }
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_share_a_server_database_by_schema() {
    let place = Place::new(Engine::Postgres).await;
    let open = async |schema: &str| {
        let config = DatabaseConfig {
            schema: Some(schema.into()),
            ..place.config()
        };
        Database::open(config, &MIGRATIONS).await.unwrap()
    };
    let (customer, identity) = (open("customer").await, open("identity").await);
    customer
        .write(async |mut tx| {
            tx.execute("INSERT INTO things (id) VALUES (1)", args![])
                .await
        })
        .await
        .unwrap();
    for (db, expected) in [(&customer, 1), (&identity, 0)] {
        let mut reader = db.read().await.unwrap();
        let row = reader
            .fetch_one("SELECT COUNT(*) AS n FROM things", args![])
            .await
            .unwrap();
        assert_eq!(row.i64("n").unwrap(), expected);
    }
    let mut reader = customer.read().await.unwrap();
    let mut setting = async |sql: &'static str| {
        reader
            .fetch_one(sql, args![])
            .await
            .unwrap()
            .text("setting")
            .unwrap()
    };
    assert_eq!(
        setting("SELECT current_setting('TimeZone') AS setting").await,
        "UTC"
    );
    assert_eq!(
        setting("SELECT current_setting('statement_timeout') AS setting").await,
        "30s"
    );
    assert_eq!(
        setting("SELECT current_setting('lock_timeout') AS setting").await,
        "10s"
    );
    assert_eq!(
        setting("SELECT current_setting('application_name') AS setting").await,
        "jinke-test"
    );
    drop(reader);
    customer.close().await;
    identity.close().await;
    place.remove().await;
}

static FAULTY: LazyLock<Migrations> = LazyLock::new(|| {
    let text = "CREATE TABLE faulty (id BIGINT NOT NULL PRIMARY KEY, name TEXT)";
    migrations(&[(1, "faulty", text)])
});

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_on_which_engines_would_differ_is_found() {
    for (engine, expected) in ENGINES
        .into_iter()
        .zip(["faulty is not STRICT", "faulty.name is text"])
    {
        let place = Place::new(engine).await;
        let db = Database::open(place.config(), &FAULTY).await.unwrap();
        assert_eq!(schema_faults(&db).await, [expected]);
        db.close().await;
        place.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_said_so() {
    let config = DatabaseConfig::new("test", "postgres://nobody@127.0.0.1:1/none");
    let failure = Database::open(config, &MIGRATIONS).await.unwrap_err();
    assert_eq!(
        (failure.code, failure.reason),
        (Code::Unavailable, "DATABASE_UNREACHABLE")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_tells_how_far_a_database_is_and_changes_nothing() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let look = async |m: &Migrations| survey(&place.config(), m).await.unwrap();
        let empty = look(&V2).await;
        assert_eq!(empty.applied, 0);
        assert!(
            empty
                .missing
                .ends_with(&["0001 one".into(), "0002 two".into()]),
            "{empty:?}"
        );
        let open = async |m| Database::open(place.config(), m).await.unwrap();
        open(&V1).await.close().await;
        let present = look(&V1).await;
        assert!(present.applied > 1, "the kit's own count too");
        let whole = Survey {
            applied: present.applied,
            ..Survey::default()
        };
        assert_eq!(present, whole);
        assert_eq!(look(&V2).await.missing, ["0002 two"]);
        assert_eq!(look(&V2).await.applied, present.applied, "nothing changed");
        assert_eq!(look(&CHANGED).await.changed, ["0001 one"]);
        open(&V2).await.close().await;
        assert_eq!(look(&V1).await.unknown, [2]);
        place.remove().await;
    }
}
