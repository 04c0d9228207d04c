//! How fast the kit is on this machine: `cargo run --release -p jinke-store --example rates`,
//! with `JINKE_TEST_POSTGRES` set. Prints a line per measure; compare them with the bare
//! batched upsert, which is what the engine gives without the kit, in the same run.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use jinke_store::{
    Database, Engine, Migrations, Rows, args,
    changelog::{self, Entry, Filter},
    keys::{DataKey, KeyRing},
    testing::{ENGINES, Place},
};
use jinke_types::{Failure, OsEntropy, Timestamp};
use sqlx::Executor as _;

static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("tests/store/migrations/sqlite"),
    postgres: sqlx::migrate!("tests/store/migrations/postgres"),
};

const ROWS: i64 = 100_000;
const BATCH: i64 = 5_000;
const UPSERT: &str = "ON CONFLICT (thing, number) DO UPDATE SET note = excluded.note";

fn say(what: &str, count: i64, took: Duration) {
    let rate = u128::from(count.unsigned_abs()) * 1_000_000 / took.as_micros().max(1);
    let _ = writeln!(std::io::stdout(), "{what:<58}{rate:>12}/s");
}

fn batch(from: i64, note: &str) -> Rows {
    let mut rows = Rows::new(&["thing", "number", "note"]);
    for number in from..from + BATCH {
        rows.push(args![1_i64, number, format!("{note}{number}")]);
    }
    rows
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    sealing();
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let db = Database::open(place.config(), &MIGRATIONS).await?;
        bare(&place, engine)
            .await
            .map_err(jinke_store::error::from_sqlx)?;
        kit(&db, engine).await?;
        db.close().await;
        place.remove().await;
    }
    Ok(())
}

/// What the engine gives: batched upserts written by hand against the driver.
async fn bare(place: &Place, engine: Engine) -> Result<(), sqlx::Error> {
    // The same columns, key and reference as the table that the kit writes to.
    let ddl = "CREATE TABLE base (id BIGINT PRIMARY KEY); INSERT INTO base VALUES (1); \
               CREATE TABLE bare (thing BIGINT REFERENCES base (id), number BIGINT, note TEXT, \
               PRIMARY KEY (thing, number))";
    let what = format!("{engine:?}: bare batched upsert");
    let conflict = "ON CONFLICT (thing, number) DO UPDATE SET note = excluded.note";
    if engine == Engine::Sqlite {
        let file = place
            .file()
            .expect("SQLite has a file")
            .with_extension("bare");
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .synchronous(sqlx::sqlite::SqliteSynchronous::Full);
        let pool = sqlx::SqlitePool::connect_with(options).await?;
        pool.execute(ddl).await?;
        let start = Instant::now();
        for from in (0..ROWS).step_by(BATCH as usize) {
            let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
            for first in (from..from + BATCH).step_by(200) {
                let mut query = sqlx::QueryBuilder::<sqlx::Sqlite>::new("INSERT INTO bare VALUES ");
                for number in first..first + 200 {
                    query.push(if number == first { "(" } else { ",(" });
                    query.push_bind(1_i64).push(",").push_bind(number).push(",");
                    query.push_bind(format!("a{number}")).push(")");
                }
                query.push(conflict);
                query.build().execute(&mut *tx).await?;
            }
            tx.commit().await?;
        }
        say(&what, ROWS, start.elapsed());
        pool.close().await;
        return Ok(());
    }
    let pool = sqlx::PgPool::connect(&place.config().url).await?;
    pool.execute(ddl).await?;
    let start = Instant::now();
    for from in (0..ROWS).step_by(BATCH as usize) {
        let numbers: Vec<i64> = (from..from + BATCH).collect();
        let notes: Vec<String> = numbers.iter().map(|n| format!("a{n}")).collect();
        let text =
            format!("INSERT INTO bare SELECT 1, * FROM UNNEST($1::int8[], $2::text[]) {conflict}");
        let query = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(numbers)
            .bind(notes);
        query.execute(&pool).await?;
    }
    say(&what, ROWS, start.elapsed());
    pool.close().await;
    Ok(())
}

async fn kit(db: &Database, engine: Engine) -> Result<(), Failure> {
    db.write(async |mut tx| {
        tx.execute("INSERT INTO things (id) VALUES (1)", args![])
            .await
    })
    .await?;
    for (what, note) in [
        ("insert_many, new rows", "a"),
        ("insert_many, rows that exist", "b"),
    ] {
        let start = Instant::now();
        for from in (0..ROWS).step_by(BATCH as usize) {
            db.write(async |mut tx| tx.insert_many("parts", batch(from, note), UPSERT).await)
                .await?;
        }
        say(&format!("{engine:?}: {what}"), ROWS, start.elapsed());
    }

    let start = Instant::now();
    for id in 2..502_i64 {
        db.write(async |mut tx| {
            tx.execute("INSERT INTO things (id) VALUES ($1)", args![id])
                .await?;
            changelog::append(&mut tx, change(id));
            Ok(())
        })
        .await?;
    }
    say(
        &format!("{engine:?}: durable transactions, a row and a change"),
        500,
        start.elapsed(),
    );

    let start = Instant::now();
    for _ in 0..20 {
        db.write(async |mut tx| {
            (0..BATCH).for_each(|n| changelog::append(&mut tx, change(n)));
            Ok(())
        })
        .await?;
    }
    say(
        &format!("{engine:?}: changes logged"),
        20 * BATCH,
        start.elapsed(),
    );

    let mut reader = db.read().await?;
    let (start, mut after, mut read) = (Instant::now(), 0, 0);
    loop {
        let page = changelog::list(&mut reader, after, 1_000, &Filter::feed("things")).await?;
        if page.changes.is_empty() {
            break;
        }
        read += i64::try_from(page.changes.len()).map_err(Failure::internal)?;
        after = page.position;
    }
    say(
        &format!("{engine:?}: changes listed"),
        read,
        start.elapsed(),
    );

    let start = Instant::now();
    for n in 0..5_000_i64 {
        let text = "SELECT note FROM parts WHERE thing = 1 AND number = $1";
        reader.fetch_one(text, args![n]).await?;
    }
    say(
        &format!("{engine:?}: rows read one by one"),
        5_000,
        start.elapsed(),
    );

    let start = Instant::now();
    for n in 0..100_i64 {
        let numbers: Vec<i64> = (n * 1_000..(n + 1) * 1_000).collect();
        let text = "SELECT number, note FROM parts WHERE thing = 1 AND number IN LIST($1)";
        reader.fetch_all(text, args![numbers]).await?;
    }
    say(
        &format!("{engine:?}: rows read by lists of 1,000"),
        100_000,
        start.elapsed(),
    );
    Ok(())
}

fn change(subject: i64) -> Entry {
    Entry {
        feed: "things",
        subject: subject.to_string(),
        kind: "updated",
        revision: 1,
        time: Timestamp(0),
        body: vec![0; 40],
    }
}

fn sealing() {
    let ring = KeyRing::in_memory(&OsEntropy);
    let start = Instant::now();
    let mut sum = 0_i64;
    for n in 0..1_000_000_i64 {
        sum ^= ring.token(
            "phone",
            if n % 2 == 0 {
                "13800138000"
            } else {
                "13900139000"
            },
        );
    }
    std::hint::black_box(sum);
    say("tokens", 1_000_000, start.elapsed());

    let plain = [7; 500];
    let start = Instant::now();
    for n in 0..100_000_i64 {
        let key = DataKey::generate(&OsEntropy);
        let wrapped = ring.wrap(&key, &OsEntropy);
        std::hint::black_box((wrapped, key.seal(&n.to_be_bytes(), &plain, &OsEntropy)));
    }
    say(
        "records sealed: new data key, wrap, seal 500 bytes",
        100_000,
        start.elapsed(),
    );

    let key = DataKey::generate(&OsEntropy);
    let (wrapped, sealed) = (
        ring.wrap(&key, &OsEntropy),
        key.seal(b"", &plain, &OsEntropy),
    );
    let start = Instant::now();
    for _ in 0..100_000 {
        let opened = ring.unwrap(&wrapped).and_then(|key| key.open(b"", &sealed));
        std::hint::black_box(opened.expect("what was sealed opens"));
    }
    say(
        "records opened: unwrap, open 500 bytes",
        100_000,
        start.elapsed(),
    );
}
