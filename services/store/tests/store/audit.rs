//! The outbox of the audit trail: durable, shared commits, delivered once, bounded.

use std::{sync::Arc, time::Duration};

use jinke_store::{Database, testing::on_each_engine};
use jinke_types::{AuditLog as _, ManualClock};

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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_at_one_time_has_one_row_each_without_gaps() {
    on_each_engine(&MIGRATIONS, async |db| {
        // Two outboxes are two replicas.
        let outboxes = [db.audit(clock()), db.audit(clock())];
        let mut all = tokio::task::JoinSet::new();
        for n in 0..200_u8 {
            let outbox = outboxes[usize::from(n % 2)].clone();
            all.spawn(async move { outbox.record(vec![n]).await });
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
        let outbox = db.audit(clock());
        for n in 0..20_u8 {
            let one = outbox.clone();
            let gone = tokio::spawn(async move { one.record(vec![n]).await });
            if n % 2 == 0 {
                gone.abort();
            }
            let _ = gone.await;
            outbox.record(vec![100 + n]).await.unwrap();
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
        let outbox = db.audit(clock());
        for n in 1..=5_u8 {
            outbox.record(vec![n]).await.unwrap();
        }
        let waiting = outbox.waiting("one", 3).await.unwrap();
        assert_eq!(waiting.count, 5);
        assert_eq!(
            waiting.events,
            [(1, vec![1]), (2, vec![2]), (3, vec![3])].to_vec()
        );
        outbox.delivered(3).await.unwrap();
        // An answer that comes late and again changes nothing.
        outbox.delivered(2).await.unwrap();
        let again = db.audit(clock());
        let waiting = again.waiting("one", 10).await.unwrap();
        assert_eq!((waiting.count, waiting.events.len()), (2, 2));
        again.record(vec![6]).await.unwrap();
        assert_eq!(sequences(&db).await.last(), Some(&(6, vec![6])));
        again.delivered(6).await.unwrap();
        assert_eq!(again.waiting("one", 10).await.unwrap(), Default::default());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_delivers_and_another_takes_over_when_it_is_gone() {
    on_each_engine(&MIGRATIONS, async |db| {
        let clock = clock();
        let outbox = db.audit(clock.clone());
        outbox.record(vec![1]).await.unwrap();
        assert_eq!(outbox.waiting("one", 10).await.unwrap().events.len(), 1);
        let other = outbox.waiting("two", 10).await.unwrap();
        // One process has a SQLite file, so nobody else is there to deliver.
        let alone = db.engine() == jinke_store::Engine::Sqlite;
        assert_eq!((other.count, other.events.len()), (1, usize::from(alone)));
        clock.advance(Duration::from_secs(60));
        assert_eq!(outbox.waiting("two", 10).await.unwrap().events.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_set_back_numbers_what_waits_anew() {
    on_each_engine(&MIGRATIONS, async |db| {
        let outbox = db.audit(clock());
        for n in 1..=4_u8 {
            outbox.record(vec![n]).await.unwrap();
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
        outbox.record(vec![9]).await.unwrap();
        assert_eq!(sequences(&db).await.last(), Some(&(7, vec![9])));
        assert_eq!(outbox.waiting("one", 1).await.unwrap().count, 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_bound_is_refused_until_some_were_delivered() {
    on_each_engine(&MIGRATIONS, async |db| {
        let outbox = db.audit_of(clock(), 3);
        for n in 1..=3_u8 {
            outbox.record(vec![n]).await.unwrap();
        }
        let refused = outbox.record(vec![4]).await.unwrap_err();
        assert_eq!(refused.reason, "AUDIT_BACKLOG_FULL");
        assert_eq!(sequences(&db).await.len(), 3);
        outbox.delivered(1).await.unwrap();
        outbox.record(vec![5]).await.unwrap();
        assert_eq!(sequences(&db).await.last(), Some(&(4, vec![5])));
    })
    .await;
}
