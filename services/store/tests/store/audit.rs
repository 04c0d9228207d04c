//! The outbox of the audit trail: durable, shared commits, delivered once, bounded.

use std::{sync::Arc, time::Duration};

use jinke_store::{Database, Engine, args, audit::AuditOutbox, testing::on_each_engine};
use jinke_types::{AuditIntent, AuditLog as _, Failure, ManualClock, SeededEntropy};

use crate::{MIGRATIONS, at};

async fn sequences(db: &Database) -> Vec<(i64, Vec<u8>)> {
    let mut reader = db.read().await.unwrap();
    let rows = reader
        .fetch_all(
            "SELECT sequence, body FROM jinke_audit ORDER BY sequence",
            Vec::new(),
        )
        .await
        .unwrap();
    rows.iter()
        .map(|r| (r.i64("sequence").unwrap(), r.bytes("body").unwrap()))
        .collect()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(at(0)))
}

/// The outbox of a process of its own for each seed.
fn process(db: &Database, clock: Arc<ManualClock>, seed: u64) -> AuditOutbox {
    db.audit(clock, &SeededEntropy::new(seed))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_at_one_time_has_one_row_each_without_gaps() {
    on_each_engine(&MIGRATIONS, async |db| {
        // Two outboxes are two replicas.
        let outboxes = [process(&db, clock(), 1), process(&db, clock(), 2)];
        let mut all = tokio::task::JoinSet::new();
        for n in 0..200_u8 {
            let outbox = outboxes[usize::from(n % 2)].clone();
            all.spawn(async move { outbox.record(vec![n], None).await });
        }
        while let Some(recorded) = all.join_next().await {
            recorded.unwrap().unwrap();
        }
        let rows = sequences(&db).await;
        let numbers: Vec<i64> = rows.iter().map(|r| r.0).collect();
        assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
        let mut bodies: Vec<u8> = rows.iter().map(|r| r.1[0]).collect();
        bodies.sort_unstable();
        assert_eq!(bodies, (0..200).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_takes_nobody_along() {
    on_each_engine(&MIGRATIONS, async |db| {
        let outbox = process(&db, clock(), 1);
        for n in 0..20_u8 {
            let one = outbox.clone();
            let gone = tokio::spawn(async move { one.record(vec![n], None).await });
            if n % 2 == 0 {
                gone.abort();
            }
            let _ = gone.await;
            outbox.record(vec![100 + n], None).await.unwrap();
        }
        let bodies: Vec<u8> = sequences(&db).await.iter().map(|r| r.1[0]).collect();
        for n in 0..20 {
            assert!(bodies.contains(&(100 + n)), "{n}");
        }
        let numbers: Vec<i64> = sequences(&db).await.iter().map(|r| r.0).collect();
        let whole: Vec<i64> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, whole);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_goes_and_a_restart_goes_on() {
    on_each_engine(&MIGRATIONS, async |db| {
        let outbox = process(&db, clock(), 1);
        for n in 1..=5_u8 {
            outbox.record(vec![n], None).await.unwrap();
        }
        let waiting = outbox.waiting(3).await.unwrap();
        assert_eq!(waiting.count, 5);
        assert_eq!(
            waiting.events,
            [(1, vec![1]), (2, vec![2]), (3, vec![3])].to_vec()
        );
        outbox.delivered(3).await.unwrap();
        // An answer that comes late and again changes nothing.
        outbox.delivered(2).await.unwrap();
        let again = process(&db, clock(), 1);
        let waiting = again.waiting(10).await.unwrap();
        assert_eq!((waiting.count, waiting.events.len()), (2, 2));
        again.record(vec![6], None).await.unwrap();
        assert_eq!(sequences(&db).await.last(), Some(&(6, vec![6])));
        again.delivered(6).await.unwrap();
        assert_eq!(again.waiting(10).await.unwrap(), Default::default());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_delivers_and_another_takes_over_when_it_is_gone() {
    on_each_engine(&MIGRATIONS, async |db| {
        let clock = clock();
        let (one, two) = (
            process(&db, clock.clone(), 1),
            process(&db, clock.clone(), 2),
        );
        one.record(vec![1], None).await.unwrap();
        assert_eq!(one.waiting(10).await.unwrap().events.len(), 1);
        let other = two.waiting(10).await.unwrap();
        // One process has a SQLite file, so nobody else is there to deliver.
        let alone = db.engine() == Engine::Sqlite;
        assert_eq!((other.count, other.events.len()), (1, usize::from(alone)));
        clock.advance(Duration::from_secs(60));
        assert_eq!(two.waiting(10).await.unwrap().events.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_set_back_numbers_what_waits_anew() {
    on_each_engine(&MIGRATIONS, async |db| {
        let outbox = process(&db, clock(), 1);
        for n in 1..=4_u8 {
            outbox.record(vec![n], None).await.unwrap();
        }
        outbox.delivered(1).await.unwrap();
        // The trail has events up to 3 from before: these become 4 to 6, although 4 was one of them.
        outbox.renumber(3).await.unwrap();
        let moved = [(4, vec![2]), (5, vec![3]), (6, vec![4])].to_vec();
        assert_eq!(sequences(&db).await, moved);
        // Told again, it stays.
        outbox.renumber(3).await.unwrap();
        outbox.renumber(1).await.unwrap();
        assert_eq!(sequences(&db).await, moved);
        outbox.record(vec![9], None).await.unwrap();
        assert_eq!(sequences(&db).await.last(), Some(&(7, vec![9])));
        assert_eq!(outbox.waiting(1).await.unwrap().count, 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_bound_is_refused_until_some_were_delivered() {
    on_each_engine(&MIGRATIONS, async |db| {
        let outbox = db.audit_of(clock(), &SeededEntropy::new(1), 3);
        for n in 1..=3_u8 {
            outbox.record(vec![n], None).await.unwrap();
        }
        let refused = outbox.record(vec![4], None).await.unwrap_err();
        assert_eq!(refused.reason, "AUDIT_BACKLOG_FULL");
        assert_eq!(sequences(&db).await.len(), 3);
        outbox.delivered(1).await.unwrap();
        outbox.record(vec![5], None).await.unwrap();
        assert_eq!(sequences(&db).await.last(), Some(&(4, vec![5])));
    })
    .await;
}

async fn change(db: &Database, name: &'static str) -> Result<(), Failure> {
    db.write(async |mut tx| {
        let sql = "INSERT INTO jinke_counters (name, value) VALUES ($1, 1)";
        tx.execute(sql, args![name]).await.map(drop)
    })
    .await
}

async fn intents(db: &Database) -> Vec<Vec<u8>> {
    let mut reader = db.read().await.unwrap();
    let sql = "SELECT body FROM jinke_audit_intents ORDER BY number";
    let rows = reader.fetch_all(sql, args![]).await.unwrap();
    rows.iter().map(|r| r.bytes("body").unwrap()).collect()
}

fn says(body: u8) -> jinke_types::EventOf {
    Box::new(move || Some(vec![body]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_has_its_intent_beside_it_until_its_end_is_recorded() {
    on_each_engine(&MIGRATIONS, async |db| {
        let outbox = process(&db, clock(), 1);
        let call = outbox.intent(says(1));
        assert!(!call.is_owed());
        // What is rolled back leaves nothing.
        let refused = Arc::clone(&call)
            .scope(db.write(async |mut tx| {
                let sql = "INSERT INTO jinke_counters (name, value) VALUES ('a', 1)";
                tx.execute(sql, args![]).await?;
                Err::<(), _>(Failure::internal("no"))
            }))
            .await;
        assert!(refused.is_err());
        assert_eq!(intents(&db).await, Vec::<Vec<u8>>::new());
        // A call writes it once, however many transactions it has.
        for name in ["a", "b"] {
            Arc::clone(&call).scope(change(&db, name)).await.unwrap();
        }
        assert_eq!(intents(&db).await, [vec![1]]);
        assert!(call.is_owed());
        // Outside of the call nothing is written, and another call has its own.
        change(&db, "c").await.unwrap();
        let other = outbox.intent(says(2));
        db.write(async |mut tx| {
            tx.with_change_of(Arc::clone(&other));
            let sql = "INSERT INTO jinke_counters (name, value) VALUES ('d', 1)";
            tx.execute(sql, args![]).await.map(drop)
        })
        .await
        .unwrap();
        assert_eq!(intents(&db).await, [vec![1], vec![2]]);
        outbox.record(vec![10], Some(&call)).await.unwrap();
        assert_eq!(intents(&db).await, [vec![2]]);
        assert_eq!(sequences(&db).await, [(1, vec![10])]);
        outbox.close(&other).await.unwrap();
        assert_eq!(intents(&db).await, Vec::<Vec<u8>>::new());
        assert_eq!(sequences(&db).await.len(), 1);
        // After its end nothing is left behind any more.
        call.scope(change(&db, "e")).await.unwrap();
        assert_eq!(intents(&db).await, Vec::<Vec<u8>>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_that_is_gone_left_becomes_an_event() {
    on_each_engine(&MIGRATIONS, async |db| {
        let clock = clock();
        let (gone, alive) = (
            process(&db, clock.clone(), 1),
            process(&db, clock.clone(), 2),
        );
        let mut calls: Vec<Arc<AuditIntent>> = Vec::new();
        for (outbox, body, name) in [(&gone, 1, "a"), (&gone, 2, "b"), (&alive, 3, "c")] {
            let call = outbox.intent(says(body));
            Arc::clone(&call).scope(change(&db, name)).await.unwrap();
            calls.push(call);
        }
        // Some seconds of silence say nothing yet, but for SQLite, which has one process.
        clock.advance(Duration::from_secs(29));
        if db.engine() == Engine::Postgres {
            assert_eq!(alive.waiting(10).await.unwrap().count, 0);
        }
        clock.advance(Duration::from_secs(6));
        let waiting = alive.waiting(10).await.unwrap();
        assert_eq!(waiting.events, [(1, vec![1]), (2, vec![2])].to_vec());
        // The one that lives keeps its own, for hours.
        for _ in 0..100 {
            clock.advance(Duration::from_mins(1));
            assert_eq!(alive.waiting(10).await.unwrap().count, 2);
        }
        assert_eq!(intents(&db).await, [vec![3]]);
        // It was not gone but stood still: how the call ended is recorded as well.
        gone.record(vec![11], Some(&calls[0])).await.unwrap();
        alive.record(vec![13], Some(&calls[2])).await.unwrap();
        let bodies: Vec<_> = sequences(&db).await.into_iter().map(|r| r.1).collect();
        assert_eq!(bodies, [vec![1], vec![2], vec![11], vec![13]]);
        assert_eq!(intents(&db).await, Vec::<Vec<u8>>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_not_recorded_leaves_the_intent() {
    on_each_engine(&MIGRATIONS, async |db| {
        let outbox = db.audit_of(clock(), &SeededEntropy::new(1), 1);
        let (one, two) = (outbox.intent(says(1)), outbox.intent(says(2)));
        Arc::clone(&one).scope(change(&db, "a")).await.unwrap();
        Arc::clone(&two).scope(change(&db, "b")).await.unwrap();
        outbox.record(vec![11], Some(&one)).await.unwrap();
        let full = outbox.record(vec![12], Some(&two)).await.unwrap_err();
        assert_eq!(full.reason, "AUDIT_BACKLOG_FULL");
        assert!(two.is_owed());
        assert_eq!(intents(&db).await, [vec![2]]);
        outbox.delivered(1).await.unwrap();
        outbox.record(vec![12], Some(&two)).await.unwrap();
        assert_eq!(intents(&db).await, Vec::<Vec<u8>>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_trail_is_delivered_before_what_was_left() {
    on_each_engine(&MIGRATIONS, async |db| {
        let clock = clock();
        let gone = process(&db, clock.clone(), 1);
        let call = gone.intent(says(1));
        call.scope(change(&db, "a")).await.unwrap();
        clock.advance(Duration::from_mins(1));
        let alive = db.audit_of(clock.clone(), &SeededEntropy::new(2), 1);
        alive.record(vec![2], None).await.unwrap();
        let waiting = alive.waiting(10).await.unwrap();
        assert_eq!(waiting.events, [(1, vec![2])].to_vec());
        assert_eq!(intents(&db).await, [vec![1]]);
        alive.delivered(1).await.unwrap();
        clock.advance(Duration::from_secs(6));
        let waiting = alive.waiting(10).await.unwrap();
        assert_eq!(waiting.events, [(2, vec![1])].to_vec());
        assert_eq!(intents(&db).await, Vec::<Vec<u8>>::new());
    })
    .await;
}
