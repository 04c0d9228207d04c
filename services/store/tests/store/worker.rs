//! Workers of long-running operations: progress, cancelling, crashes, restarts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jinke_store::{
    Database,
    operation::{self, Ended, Job, Outcome, Worker},
    testing::on_each_engine,
};
use jinke_types::{
    Code, Failure, Operation, OperationState as State, SeededEntropy, SystemClock, Timestamp,
};

use crate::MIGRATIONS;

fn worker(db: &Database, seed: u64) -> Worker {
    Worker::new(
        db.clone(),
        Arc::new(SystemClock),
        &SeededEntropy::new(seed),
        &["count"],
    )
    .with_term(Duration::from_secs(2))
}

async fn create(db: &Database, request: &[u8]) -> i64 {
    let now = jinke_types::Clock::now(&SystemClock);
    db.write(async |mut tx| operation::create(&mut tx, "count", "users/a", request, now).await)
        .await
        .unwrap()
        .id
}

async fn ended(db: &Database, id: i64) -> Operation {
    until(db, id, |o| o.state != State::Running).await
}

/// The operation when it is so at last; panics after two minutes.
async fn until(db: &Database, id: i64, holds: impl Fn(&Operation) -> bool) -> Operation {
    for _ in 0..2_400 {
        let found = operation::get(&mut db.read().await.unwrap(), id)
            .await
            .unwrap();
        if holds(&found) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come about");
}

/// Counts to ten from its checkpoint; `request` says what goes wrong on the way.
fn count(job: Arc<Job>) -> Outcome {
    Box::pin(async move {
        let from = job
            .operation()
            .checkpoint
            .as_deref()
            .map_or(0, |c| i64::from(c[0]));
        for n in from + 1..=10 {
            job.progress(n, 10, &[u8::try_from(n).unwrap()]).await?;
            match job.operation().request.as_slice() {
                b"fail" if n == 3 => {
                    return Err(Failure::new(Code::Unavailable, "SOURCE_DOWN", "it is down"));
                }
                b"panic" if n == 3 => panic!("a bug"),
                b"slow" => tokio::time::sleep(Duration::from_millis(500)).await,
                _ => {}
            }
        }
        Ok(Ended::With(vec![u8::try_from(from).unwrap()]))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_ends_operations_truthfully() {
    on_each_engine(&MIGRATIONS, async |db| {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(worker(&db, 1).run(
            async {
                let _ = stopped.await;
            },
            count,
        ));
        let well = create(&db, b"").await;
        let failing = create(&db, b"fail").await;
        let panicking = create(&db, b"panic").await;
        let slow = create(&db, b"slow").await;
        let well = ended(&db, well).await;
        assert_eq!(
            (well.state, well.done, well.total),
            (State::Succeeded, 10, 10)
        );
        assert_eq!(well.attempts, 1);
        let failing = ended(&db, failing).await;
        let why = failing.failure.unwrap();
        assert_eq!((failing.state, failing.done), (State::Failed, 3));
        assert_eq!(
            (why.code, why.reason.as_str()),
            (Code::Unavailable, "SOURCE_DOWN")
        );
        let panicking = ended(&db, panicking).await;
        assert_eq!(panicking.failure.unwrap().code, Code::Internal);
        // It runs for longer than a term, held by the beat, and stops when asked to.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = Timestamp(0);
        db.write(async |mut tx| operation::cancel(&mut tx, slow, now).await)
            .await
            .unwrap();
        let slow = ended(&db, slow).await;
        assert_eq!((slow.state, slow.attempts), (State::Cancelled, 1));
        assert!(slow.done < 10);
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_goes_on_after_a_restart_and_after_a_crash() {
    on_each_engine(&MIGRATIONS, async |db| {
        let id = create(&db, b"slow").await;
        // Stopped in order: given back at once.
        let first = worker(&db, 1).run(async { drop(until(&db, id, |o| o.done > 0).await) }, count);
        first.await.unwrap();
        // Killed: it never says anything again.
        let killed = tokio::spawn(worker(&db, 2).run(std::future::pending(), |job| {
            Box::pin(async move {
                assert!(job.operation().done > 0, "where the first one stopped");
                std::future::pending().await
            })
        }));
        until(&db, id, |o| o.attempts == 2).await;
        killed.abort();
        let third = tokio::spawn(worker(&db, 3).run(std::future::pending(), count));
        let found = ended(&db, id).await;
        third.abort();
        assert_eq!((found.state, found.attempts), (State::Succeeded, 3));
        assert!(found.result.unwrap()[0] > 0, "not from the beginning");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kills_its_process_again_and_again_is_given_up() {
    on_each_engine(&MIGRATIONS, async |db| {
        let id = create(&db, b"").await;
        let holder = "w";
        for n in 0..20 {
            let now = Timestamp(n);
            let term = Duration::ZERO;
            db.write(async |mut tx| operation::claim(&mut tx, &["count"], holder, term, now).await)
                .await
                .unwrap()
                .unwrap();
        }
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let running = tokio::spawn(worker(&db, 1).run(std::future::pending(), move |job| {
            counted.fetch_add(1, Ordering::Relaxed);
            count(job)
        }));
        let found = ended(&db, id).await;
        running.abort();
        assert_eq!(found.failure.unwrap().reason, "OPERATION_CRASHED");
        assert_eq!(begun.load(Ordering::Relaxed), 0);
    })
    .await;
}
