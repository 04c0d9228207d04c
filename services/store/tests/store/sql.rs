//! One SQL text, one behaviour.

use std::time::Duration;

use jinke_store::{Arg, Database, Engine, Rows, Sql, args, testing::on_each_engine};
use jinke_types::{Code, Failure};

use crate::MIGRATIONS;

async fn put(db: &Database, id: i64, name: &str) -> Result<(), Failure> {
    db.write(async |mut tx| {
        tx.execute(
            "INSERT INTO things (id, name) VALUES ($1, $2)",
            args![id, name],
        )
        .await?;
        Ok(())
    })
    .await
}

async fn count(db: &Database) -> i64 {
    let mut reader = db.read().await.unwrap();
    reader
        .fetch_one("SELECT COUNT(*) AS n FROM things", args![])
        .await
        .unwrap()
        .i64("n")
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_back_as_they_went() {
    on_each_engine(&MIGRATIONS, async |db| {
        let cells: [(Arg, Arg, Arg); 4] = [
            (i64::MIN.into(), "".into(), Vec::<u8>::new().into()),
            (
                i64::MAX.into(),
                "金客 𠮷🙂 Ä a\u{301}\n\t'\"\\".into(),
                vec![0_u8, 255, 0].into(),
            ),
            (0_i64.into(), None::<&str>.into(), None::<&[u8]>.into()),
            (
                7_i64.into(),
                "x".repeat(2_000).into(),
                vec![7_u8; 3_000_000].into(),
            ),
        ];
        db.write(async |mut tx| {
            for (id, name, data) in &cells {
                let args = vec![id.clone(), name.clone(), data.clone()];
                tx.execute(
                    "INSERT INTO things (id, name, data) VALUES ($1, $2, $3)",
                    args,
                )
                .await?;
            }
            Ok(())
        })
        .await
        .unwrap();
        let mut reader = db.read().await.unwrap();
        for (id, name, data) in cells {
            let row = reader
                .fetch_one(
                    "SELECT id, name, data FROM things WHERE id = $1",
                    vec![id.clone()],
                )
                .await
                .unwrap();
            assert_eq!(Arg::from(row.i64("id").unwrap()), id);
            assert_eq!(Arg::from(row.opt_text("name").unwrap()), name);
            assert_eq!(Arg::from(row.opt_bytes("data").unwrap()), data);
        }
        let row = reader
            .fetch_one(
                "SELECT CAST(1 AS BIGINT) AS yes, CAST(NULL AS BIGINT) AS none, \
                 MAX(id) AS most, COUNT(*) AS n FROM things WHERE id < $1",
                args![0_i64],
            )
            .await
            .unwrap();
        assert!(row.bool("yes").unwrap());
        assert_eq!(row.opt_i64("none").unwrap(), None);
        assert_eq!(
            (row.i64("most").unwrap(), row.i64("n").unwrap()),
            (i64::MIN, 1)
        );
        assert_eq!(row.i64("none").unwrap_err().code, Code::Internal);
        assert_eq!(row.i64("absent").unwrap_err().code, Code::Internal);
        assert_eq!(
            row.text("n").unwrap_err().code,
            Code::Internal,
            "a wrong type is no guess"
        );

        let long = "长".repeat(700_000);
        db.write(async |mut tx| {
            let insert = "INSERT INTO parts (thing, number, note) VALUES (0, 1, $1)";
            tx.execute(insert, args![&long]).await
        })
        .await
        .unwrap();
        let row = reader
            .fetch_one("SELECT note FROM parts", args![])
            .await
            .unwrap();
        assert!(
            row.text("note").unwrap() == long,
            "long text that no index holds"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_with_nul_is_refused_alike() {
    on_each_engine(&MIGRATIONS, async |db| {
        let failure = put(&db, 1, "a\0b").await.unwrap_err();
        assert_eq!(
            (failure.code, failure.reason),
            (Code::InvalidArgument, "NUL_IN_TEXT")
        );
        let mut rows = Rows::new(&["id", "name"]);
        rows.push(args![1_i64, "a\0"]);
        let failure = db
            .write(async |mut tx| tx.insert_many("things", rows.clone(), "").await)
            .await
            .unwrap_err();
        assert_eq!(failure.reason, "NUL_IN_TEXT");
        assert_eq!(count(&db).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_compares_by_bytes() {
    on_each_engine(&MIGRATIONS, async |db| {
        let names = [
            "b", "B", "a", "A", "Ä", "é", "e\u{301}", "中", "丁", "-", " ", "𠮷", "\u{ffff}",
        ];
        for (id, name) in (0..).zip(names) {
            put(&db, id, name).await.unwrap();
        }
        let mut sorted = names.map(str::to_owned).to_vec();
        sorted.sort();
        let mut reader = db.read().await.unwrap();
        let rows = reader
            .fetch_all("SELECT name FROM things ORDER BY name", args![])
            .await
            .unwrap();
        let found: Vec<String> = rows.iter().map(|r| r.text("name").unwrap()).collect();
        assert_eq!(found, sorted);
        let rows = reader
            .fetch_all(
                "SELECT name FROM things WHERE name > $1 ORDER BY name DESC",
                args!["é"],
            )
            .await
            .unwrap();
        let found: Vec<String> = rows.iter().map(|r| r.text("name").unwrap()).collect();
        let greater: Vec<String> = sorted
            .iter()
            .rev()
            .filter(|n| n.as_str() > "é")
            .cloned()
            .collect();
        assert_eq!(found, greater);
        let one = reader
            .fetch_all("SELECT id FROM things WHERE name = $1", args!["a"])
            .await
            .unwrap();
        assert_eq!(one.len(), 1, "case counts");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_rules_have_one_reason() {
    on_each_engine(&MIGRATIONS, async |db| {
        put(&db, 1, "张伟13800138000").await.unwrap();
        for (id, name) in [(1, "other"), (2, "张伟13800138000")] {
            let failure = put(&db, id, name).await.unwrap_err();
            assert_eq!(
                (failure.code, failure.reason),
                (Code::AlreadyExists, "ROW_EXISTS")
            );
            assert!(
                !format!("{failure:?}").contains("138001"),
                "no stored value in an error"
            );
        }
        let failure = db
            .write(async |mut tx| {
                tx.execute("INSERT INTO parts (thing, number) VALUES (99, 1)", args![])
                    .await
            })
            .await
            .unwrap_err();
        assert_eq!(
            (failure.code, failure.reason),
            (Code::FailedPrecondition, "REFERENCE_BROKEN")
        );
        let failure = db
            .write(async |mut tx| {
                tx.execute(
                    "INSERT INTO things (id, revision) VALUES (3, NULL)",
                    args![],
                )
                .await
            })
            .await
            .unwrap_err();
        assert_eq!(failure.code, Code::Internal);
        let failure = db
            .read()
            .await
            .unwrap()
            .fetch_all("SELEC 1", args![])
            .await
            .unwrap_err();
        assert_eq!(failure.code, Code::Internal);
        assert!(failure.message.contains("wrong statement"), "{failure}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upsert_and_returning_share_their_text() {
    on_each_engine(&MIGRATIONS, async |db| {
        for expected in 1..=3_i64 {
            let revision = db
                .write(async |mut tx| {
                    tx.fetch_one(
                        "INSERT INTO things (id, name, revision) VALUES ($1, $2, 1) \
                         ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
                         revision = things.revision + 1 RETURNING revision",
                        args![5_i64, "n"],
                    )
                    .await?
                    .i64("revision")
                })
                .await
                .unwrap();
            assert_eq!(revision, expected);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_go_in_whole_for_any_number() {
    on_each_engine(&MIGRATIONS, async |db| {
        let mut next = 0_i64;
        for size in [0, 1, 2, 255, 256, 257, 1_000, 10_001] {
            let mut rows = Rows::new(&["id", "name", "data"]);
            for id in next..next + size {
                let name = (id % 3 != 0).then(|| format!("名{id}"));
                rows.push(args![
                    id,
                    name,
                    (id % 2 == 0).then(|| id.to_be_bytes().to_vec())
                ]);
            }
            let touched = db
                .write(async |mut tx| tx.insert_many("things", rows.clone(), "").await)
                .await
                .unwrap();
            assert_eq!(i64::try_from(touched).unwrap(), size);
            next += size;
        }
        assert_eq!(count(&db).await, next);
        let mut reader = db.read().await.unwrap();
        for id in [0, 1, 2, 3, next - 1] {
            let row = reader
                .fetch_one("SELECT name, data FROM things WHERE id = $1", args![id])
                .await
                .unwrap();
            let name = (id % 3 != 0).then(|| format!("名{id}"));
            let data = (id % 2 == 0).then(|| id.to_be_bytes().to_vec());
            assert_eq!(row.opt_text("name").unwrap(), name);
            assert_eq!(row.opt_bytes("data").unwrap(), data);
        }

        let mut again = Rows::new(&["id", "name"]);
        again.push(args![1_i64, "changed"]);
        again.push(args![next, "new"]);
        let upsert = "ON CONFLICT (id) DO UPDATE SET name = excluded.name";
        db.write(async |mut tx| tx.insert_many("things", again.clone(), upsert).await)
            .await
            .unwrap();
        assert_eq!(count(&db).await, next + 1);
        let touched = db
            .write(async |mut tx| {
                tx.insert_many("things", again.clone(), "ON CONFLICT DO NOTHING")
                    .await
            })
            .await
            .unwrap();
        assert_eq!(touched, 0);

        let mut ragged = Rows::new(&["id", "name"]);
        ragged.push(args![1_i64]);
        ragged.push(args![1_i64, "b", "c"]);
        let failure = db
            .write(async |mut tx| tx.insert_many("things", ragged.clone(), "").await)
            .await
            .unwrap_err();
        assert_eq!(failure.code, Code::Internal);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_finds_its_members() {
    on_each_engine(&MIGRATIONS, async |db| {
        for (id, name) in [(i64::MIN, "a"), (-1, "B"), (3, "引\"号\\"), (i64::MAX, "d")] {
            put(&db, id, name).await.unwrap();
        }
        let mut reader = db.read().await.unwrap();
        let mut ids = async |sql: &'static str, arg: Arg| -> Vec<i64> {
            let rows = reader.fetch_all(sql, vec![arg]).await.unwrap();
            rows.iter().map(|r| r.i64("id").unwrap()).collect()
        };
        let by_id = "SELECT id FROM things WHERE id IN LIST($1) ORDER BY id";
        let by_name = "SELECT id FROM things WHERE name IN LIST($1) ORDER BY id";
        let not = "SELECT id FROM things WHERE id NOT IN LIST($1) ORDER BY id";
        assert_eq!(
            ids(by_id, vec![i64::MAX, 8, i64::MIN, i64::MAX].into()).await,
            [i64::MIN, i64::MAX]
        );
        assert_eq!(
            ids(by_id, Vec::<i64>::new().into()).await,
            Vec::<i64>::new()
        );
        assert_eq!(ids(by_name, vec!["引\"号\\", "b"].into()).await, [3]);
        assert_eq!(ids(not, vec![-1_i64, 3].into()).await, [i64::MIN, i64::MAX]);
        assert_eq!(
            ids(by_id, (0..100_000).collect::<Vec<i64>>().into()).await,
            [3]
        );
    })
    .await;
}

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
                    for round in 0..5_i64 {
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
        assert_eq!(revisions, [20; 4]);
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
