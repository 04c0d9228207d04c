//! Writes batches of ten rows and a change each into a SQLite file, for ever, and prints a
//! batch's number once it is committed. The fault tests kill it.

use std::{io::Write as _, process::ExitCode};

use jinke_store::{
    Database, DatabaseConfig, Migrations, Rows, args,
    changelog::{self, Entry},
};
use jinke_types::{Failure, Timestamp};

static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("tests/store/migrations/sqlite"),
    postgres: sqlx::migrate!("tests/store/migrations/postgres"),
};

#[tokio::main]
async fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        return ExitCode::FAILURE;
    };
    let Err(failure) = write(url).await;
    let _ = writeln!(std::io::stderr(), "{failure}");
    ExitCode::FAILURE
}

async fn write(url: String) -> Result<std::convert::Infallible, Failure> {
    let db = Database::open(DatabaseConfig::new("test", url), &MIGRATIONS).await?;
    let mut reader = db.read().await?;
    let row = reader
        .fetch_one("SELECT COALESCE(MAX(thing), 0) AS last FROM parts", args![])
        .await?;
    let mut batch = row.i64("last")?;
    drop(reader);
    loop {
        batch += 1;
        db.write(async |mut tx| {
            tx.execute("INSERT INTO things (id) VALUES ($1)", args![batch])
                .await?;
            let mut rows = Rows::new(&["thing", "number", "note"]);
            for number in 0..10_i64 {
                rows.push(args![batch, number, "x".repeat(200)]);
            }
            tx.insert_many("parts", rows, "").await?;
            let entry = Entry {
                feed: "things",
                subject: batch.to_string(),
                kind: "created",
                revision: 1,
                time: Timestamp(0),
                body: Vec::new(),
            };
            changelog::append(&mut tx, entry);
            Ok(())
        })
        .await?;
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{batch}").and_then(|()| out.flush());
    }
}
