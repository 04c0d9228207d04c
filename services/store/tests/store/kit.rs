//! Cursors, counters, leases and operations.

use std::time::Duration;

use jinke_store::{counter, cursor, lease, operation, testing::on_each_engine};
use jinke_types::{Code, Failure, OperationQuery, OperationState as State};

use crate::{MIGRATIONS, at};

const TERM: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_moves_with_the_effect_or_not_at_all() {
    on_each_engine(&MIGRATIONS, async |db| {
        let load = async || {
            let mut reader = db.read().await.unwrap();
            cursor::load(&mut reader, "reporting", "customers")
                .await
                .unwrap()
        };
        assert_eq!(load().await, None);
        let failed = db
            .write(async |mut tx| -> Result<(), Failure> {
                cursor::save(&mut tx, "reporting", "customers", "5", at(1)).await?;
                Err(Failure::internal("the effect failed"))
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(load().await, None);
        db.write(async |mut tx| {
            cursor::save(&mut tx, "reporting", "customers", "5", at(1)).await?;
            cursor::save(&mut tx, "reporting", "orders", "x", at(1)).await?;
            cursor::save(&mut tx, "reporting", "customers", "6", at(2)).await
        })
        .await
        .unwrap();
        let saved = load().await.unwrap();
        assert_eq!((saved.position().unwrap(), saved.time), (6, at(2)));

        let advance = async |from: Option<&str>, to: &str| {
            db.write(async |mut tx| {
                cursor::advance(&mut tx, "reporting", "customers", from, to, at(3)).await
            })
            .await
            .map_err(|f| f.reason)
        };
        assert_eq!(advance(None, "7").await, Err("CURSOR_MOVED"));
        assert_eq!(advance(Some("5"), "7").await, Err("CURSOR_MOVED"));
        assert_eq!(advance(Some("6"), "7").await, Ok(()));
        db.write(async |mut tx| cursor::reset(&mut tx, "reporting", "customers").await)
            .await
            .unwrap();
        assert_eq!(load().await, None);
        assert_eq!(advance(None, "1").await, Ok(()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_give_each_number_once_without_gaps() {
    on_each_engine(&MIGRATIONS, async |db| {
        let tasks: Vec<_> = (0..5)
            .map(|n| {
                let db = db.clone();
                tokio::spawn(async move {
                    let mut taken = Vec::new();
                    for round in 0..10 {
                        let first = db
                            .write(async |mut tx| counter::take(&mut tx, "record", 3).await)
                            .await?;
                        taken.extend(first..first + 3);
                        // A rolled back taking leaves no gap.
                        let _ = db
                            .write(async |mut tx| -> Result<(), Failure> {
                                counter::take(&mut tx, "record", n + round + 1).await?;
                                Err(Failure::internal("no"))
                            })
                            .await;
                    }
                    Ok::<_, Failure>(taken)
                })
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.unwrap().unwrap());
        }
        all.sort_unstable();
        assert_eq!(all, (1..=150).collect::<Vec<i64>>());
        assert!(
            db.write(async |mut tx| counter::take(&mut tx, "record", 0).await)
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_one_holder_and_a_growing_fence() {
    on_each_engine(&MIGRATIONS, async |db| {
        let acquire = async |holder: &str, now: i64| {
            db.write(async |mut tx| lease::acquire(&mut tx, "sweep", holder, TERM, at(now)).await)
                .await
                .unwrap()
        };
        let guard = async |l: &lease::Lease| {
            db.write(async |mut tx| lease::guard(&mut tx, l).await)
                .await
                .map_err(|f| f.reason)
        };
        let renew = async |l: &lease::Lease, now: i64| {
            db.write(async |mut tx| lease::renew(&mut tx, l, TERM, at(now)).await)
                .await
                .map_err(|f| f.reason)
        };
        let first = acquire("a", 0).await.unwrap();
        assert_eq!((first.fence, first.end), (1, at(10)));
        assert_eq!(acquire("b", 9).await, None);
        let first = renew(&first, 9).await.unwrap();
        assert_eq!(acquire("b", 18).await, None);
        assert_eq!(
            renew(&first, 19).await,
            Err("LEASE_LOST"),
            "its term is over"
        );
        assert_eq!(guard(&first).await, Ok(()), "but nobody else has it");
        let second = acquire("b", 19).await.unwrap();
        assert_eq!(second.fence, 2);
        assert_eq!(guard(&first).await, Err("LEASE_LOST"));
        assert_eq!(renew(&first, 19).await, Err("LEASE_LOST"));
        db.write(async |mut tx| lease::release(&mut tx, &first).await)
            .await
            .unwrap();
        assert_eq!(
            acquire("a", 20).await,
            None,
            "a lost lease gives nothing free"
        );
        db.write(async |mut tx| lease::release(&mut tx, &second).await)
            .await
            .unwrap();
        assert_eq!(acquire("a", 20).await.unwrap().fence, 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_wanted_by_many_goes_to_one() {
    on_each_engine(&MIGRATIONS, async |db| {
        for now in [0, 100] {
            let tasks: Vec<_> = (0..8)
                .map(|n| {
                    let db = db.clone();
                    tokio::spawn(async move {
                        let holder = n.to_string();
                        db.write(async |mut tx| {
                            lease::acquire(&mut tx, "l", &holder, TERM, at(now)).await
                        })
                        .await
                        .unwrap()
                    })
                })
                .collect();
            let mut holders = 0;
            for task in tasks {
                holders += usize::from(task.await.unwrap().is_some());
            }
            assert_eq!(holders, 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_outlives_its_worker() {
    on_each_engine(&MIGRATIONS, async |db| {
        let created = db
            .write(async |mut tx| {
                operation::create(&mut tx, "import", "users/u1", b"req", at(0)).await
            })
            .await
            .unwrap();
        assert_eq!(operation::name(&db, created.id), "test/operations/1");
        assert_eq!(operation::parse_name(&db, "test/operations/1"), Ok(1));
        for bad in [
            "other/operations/1",
            "test/operations/",
            "test/operations/+1",
            "operations/1",
            "",
        ] {
            assert_eq!(
                operation::parse_name(&db, bad).unwrap_err().code,
                Code::NotFound
            );
        }
        let claim = async |kind: &str, holder: &str, now: i64| {
            db.write(async |mut tx| operation::claim(&mut tx, &[kind], holder, TERM, at(now)).await)
                .await
                .unwrap()
        };
        let progress = async |work: &operation::Work, done: i64, now: i64| {
            db.write(async |mut tx| {
                operation::progress(&mut tx, work, done, 9, b"here", TERM, at(now)).await
            })
            .await
            .map_err(|f| f.reason)
        };
        assert_eq!(claim("export", "w1", 0).await, None);
        let first = claim("import", "w1", 0).await.unwrap();
        assert_eq!(claim("import", "w2", 9).await, None);
        assert_eq!(progress(&first, 3, 9).await, Ok(false));
        assert_eq!(
            claim("import", "w2", 18).await,
            None,
            "progress prolongs the term"
        );

        // The first worker dies. The second goes on from its checkpoint.
        let second = claim("import", "w2", 19).await.unwrap();
        assert_eq!(second.operation.checkpoint.as_deref(), Some(&b"here"[..]));
        assert_eq!((second.operation.done, second.operation.total), (3, 9));
        assert_eq!(progress(&first, 4, 19).await, Err("OPERATION_LOST"));
        let late = db
            .write(async |mut tx| operation::finish(&mut tx, &first, b"", at(20)).await)
            .await;
        assert_eq!(late.unwrap_err().reason, "OPERATION_LOST");
        db.write(async |mut tx| operation::finish(&mut tx, &second, b"result", at(21)).await)
            .await
            .unwrap();
        let ended = operation::get(&mut db.read().await.unwrap(), 1)
            .await
            .unwrap();
        assert_eq!((ended.state, ended.update_time), (State::Succeeded, at(21)));
        assert_eq!(ended.result.as_deref(), Some(&b"result"[..]));
        assert_eq!(claim("import", "w3", 1000).await, None);
        let twice = db
            .write(async |mut tx| operation::finish(&mut tx, &second, b"", at(22)).await)
            .await;
        assert_eq!(twice.unwrap_err().reason, "OPERATION_LOST");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_fail_stop_and_are_listed() {
    on_each_engine(&MIGRATIONS, async |db| {
        for caller in ["users/a", "users/b", "users/a"] {
            db.write(async |mut tx| operation::create(&mut tx, "import", caller, b"", at(0)).await)
                .await
                .unwrap();
        }
        let cancel = async |id: i64| {
            db.write(async |mut tx| operation::cancel(&mut tx, id, at(2)).await)
                .await
                .map(|o| o.state)
        };
        let claim = async || {
            db.write(async |mut tx| operation::claim(&mut tx, &["import"], "w", TERM, at(1)).await)
                .await
                .unwrap()
                .unwrap()
        };
        assert_eq!(cancel(3).await, Ok(State::Cancelled), "nobody had begun");
        assert_eq!(cancel(9).await.unwrap_err().code, Code::NotFound);

        let first = claim().await;
        assert_eq!(
            cancel(first.operation.id).await,
            Ok(State::Running),
            "the worker is asked"
        );
        let asked = db
            .write(async |mut tx| {
                operation::progress(&mut tx, &first, 1, 2, b"", TERM, at(2)).await
            })
            .await;
        assert_eq!(asked, Ok(true));
        db.write(async |mut tx| operation::stopped(&mut tx, &first, at(3)).await)
            .await
            .unwrap();

        let second = claim().await;
        let why = Failure::new(Code::Unavailable, "SOURCE_DOWN", "the source is down");
        db.write(async |mut tx| operation::fail(&mut tx, &second, &why, at(4)).await)
            .await
            .unwrap();

        let mut reader = db.read().await.unwrap();
        let mut states = async |caller: Option<&str>, before: Option<i64>, limit: u32| {
            let query = OperationQuery {
                caller: caller.map(str::to_owned),
                before,
                limit,
                ..OperationQuery::default()
            };
            operation::list(&mut reader, &query)
                .await
                .map(|l| l.into_iter().map(|o| (o.id, o.state)).collect::<Vec<_>>())
        };
        use State::{Cancelled, Failed};
        let all = [(3, Cancelled), (2, Failed), (1, Cancelled)];
        assert_eq!(states(None, None, 10).await.unwrap(), all);
        assert_eq!(states(None, Some(3), 1).await.unwrap(), all[1..2]);
        assert_eq!(
            states(Some("users/a"), None, 10).await.unwrap(),
            [all[0], all[2]]
        );
        assert_eq!(
            states(None, None, 0).await.unwrap_err().reason,
            "INVALID_FIELD"
        );
        let failed = operation::get(&mut reader, 2).await.unwrap();
        let why = failed.failure.unwrap();
        assert_eq!(
            (why.code, why.reason.as_str(), why.message.as_str()),
            (Code::Unavailable, "SOURCE_DOWN", "the source is down")
        );
        let running = db
            .write(async |mut tx| {
                let o = operation::create(&mut tx, "import", "users/a", b"", at(5)).await?;
                operation::delete(&mut tx, o.id).await
            })
            .await;
        assert_eq!(running.unwrap_err().reason, "OPERATION_RUNNING");
        let purged = db
            .write(async |mut tx| operation::purge(&mut tx, at(4)).await)
            .await
            .unwrap();
        assert_eq!(purged, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_claim_together_share_the_operations() {
    on_each_engine(&MIGRATIONS, async |db| {
        for _ in 0..20 {
            db.write(async |mut tx| operation::create(&mut tx, "import", "c", b"", at(0)).await)
                .await
                .unwrap();
        }
        let workers: Vec<_> = (0..6)
            .map(|n| {
                let db = db.clone();
                tokio::spawn(async move {
                    let holder = n.to_string();
                    let mut mine = Vec::new();
                    while let Some(work) = db
                        .write(async |mut tx| {
                            operation::claim(&mut tx, &["import"], &holder, TERM, at(1)).await
                        })
                        .await
                        .unwrap()
                    {
                        mine.push(work.operation.id);
                    }
                    mine
                })
            })
            .collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.await.unwrap());
        }
        all.sort_unstable();
        assert_eq!(all, (1..=20).collect::<Vec<i64>>(), "each once, none left");
    })
    .await;
}
