//! Transactions: all or nothing, snapshots, retry, locks.

use std::time::Duration;

use jinke_store::{Database, Engine, Sql, args, testing::on_each_engine};
use jinke_types::{Code, Failure};

use crate::{
    MIGRATIONS,
    sql::{count, put},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_or_panics_leaves_nothing() {
    on_each_engine(&MIGRATIONS, async |db| {
        let failed = db
            .write(async |mut tx| -> Result<(), Failure> {
                tx.execute("INSERT INTO things (id) VALUES (1)", args![])
                    .await?;
                Err(Failure::not_found("x"))
            })
            .await;
        assert_eq!(failed.unwrap_err().code, Code::NotFound);

        let other = db.clone();
        let panicked = tokio::spawn(async move {
            other
                .write(async |mut tx| -> Result<(), Failure> {
                    tx.execute("INSERT INTO things (id) VALUES (2)", args![])
                        .await?;
                    panic!("in the middle");
                })
                .await
        });
        assert!(panicked.await.unwrap_err().is_panic());

        let slow = db.write(async |mut tx| {
            tx.execute("INSERT INTO things (id) VALUES (3)", args![])
                .await?;
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(())
        });
        assert!(
            tokio::time::timeout(Duration::from_millis(200), slow)
                .await
                .is_err()
        );

        put(&db, 4, "after").await.unwrap();
        assert_eq!(count(&db).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_stands_still() {
    on_each_engine(&MIGRATIONS, async |db| {
        put(&db, 1, "a").await.unwrap();
        let mut snapshot = db.snapshot().await.unwrap();
        let text = "SELECT COUNT(*) AS n FROM things";
        let first = snapshot
            .fetch_one(text, args![])
            .await
            .unwrap()
            .i64("n")
            .unwrap();
        put(&db, 2, "b").await.unwrap();
        let second = snapshot
            .fetch_one(text, args![])
            .await
            .unwrap()
            .i64("n")
            .unwrap();
        assert_eq!((first, second), (1, 1));
        assert_eq!(count(&db).await, 2);
        let write = snapshot
            .fetch_all("INSERT INTO things (id) VALUES (9) RETURNING id", args![])
            .await;
        assert!(write.is_err(), "a reader cannot write");
        drop(snapshot);
        assert_eq!(count(&db).await, 2);
    })
    .await;
}

/// Handlers are spawned and boxed, so the write future must be `Send` with borrowed state.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_can_be_spawned_and_boxed() {
    async fn named(db: &Database, id: i64, name: &str) -> Result<i64, Failure> {
        db.write(async |mut tx| {
            tx.execute(
                "INSERT INTO things (id, name) VALUES ($1, $2)",
                args![id, name],
            )
            .await?;
            tx.fetch_one("SELECT COUNT(*) AS n FROM things", args![])
                .await?
                .i64("n")
        })
        .await
    }
    fn boxed<'a>(
        db: &'a Database,
        name: &'a str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<i64, Failure>> + Send + 'a>> {
        Box::pin(named(db, 1, name))
    }
    on_each_engine(&MIGRATIONS, async |db| {
        assert_eq!(boxed(&db, "a").await.unwrap(), 1);
        let db = db.clone();
        let name = String::from("b");
        assert_eq!(
            tokio::spawn(async move { named(&db, 2, &name).await })
                .await
                .unwrap(),
            Ok(2)
        );
    })
    .await;
}

/// On PostgreSQL transactions that meet are tried anew; on SQLite they queue.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_deadlock_all_succeed() {
    on_each_engine(&MIGRATIONS, async |db| {
        for id in 0..4 {
            put(&db, id, &id.to_string()).await.unwrap();
        }
        let tasks: Vec<_> = (0..4_i64)
            .map(|task| {
                let db = db.clone();
                tokio::spawn(async move {
                    for round in 0..2_i64 {
                        db.write(async |mut tx| {
                            for step in 0..4 {
                                // Every task locks the rows in another order.
                                let id = if task % 2 == 0 { step } else { 3 - step };
                                tx.execute(
                                    "UPDATE things SET revision = revision + 1 WHERE id = $1",
                                    args![(id + round) % 4],
                                )
                                .await?;
                            }
                            Ok(())
                        })
                        .await?;
                    }
                    Ok::<_, Failure>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let mut reader = db.read().await.unwrap();
        let rows = reader
            .fetch_all("SELECT revision FROM things ORDER BY id", args![])
            .await
            .unwrap();
        let revisions: Vec<i64> = rows.iter().map(|r| r.i64("revision").unwrap()).collect();
        assert_eq!(revisions, [8; 4]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_lock_lets_one_in() {
    on_each_engine(&MIGRATIONS, async |db| {
        put(&db, 1, "a").await.unwrap();
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move {
                    for _ in 0..5 {
                        db.write(async |mut tx| {
                            tx.lock("resolve").await?;
                            // Read, think, write: lost updates unless the lock holds.
                            let row = tx
                                .fetch_one("SELECT revision FROM things WHERE id = 1", args![])
                                .await?;
                            tokio::time::sleep(Duration::from_millis(1)).await;
                            let next = row.i64("revision")? + 1;
                            tx.execute("UPDATE things SET revision = $1 WHERE id = 1", args![next])
                                .await?;
                            Ok(())
                        })
                        .await?;
                    }
                    Ok::<_, Failure>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let text = Sql::assembled(String::from("SELECT revision FROM things WHERE id = 1"));
        let row = db
            .read()
            .await
            .unwrap()
            .fetch_one(text, args![])
            .await
            .unwrap();
        assert_eq!(row.i64("revision").unwrap(), 30);
        assert!(db.ping().await.is_ok());
        let state = db.pool_state();
        assert!(state.open >= 1 && state.open <= state.max && state.idle <= state.open);
        assert!(matches!(db.engine(), Engine::Sqlite | Engine::Postgres));
    })
    .await;
}
