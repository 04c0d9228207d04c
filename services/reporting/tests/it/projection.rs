//! Projections: killed and started again while they tail and rebuild, they equal a fresh rebuild, and
//! numbers follow merges, unmerges and erasures.

use std::{
    collections::BTreeSet,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use jinke_reporting::{
    facts::Frame,
    follow::Follower,
    store::{MIGRATIONS, load, projection},
};
use jinke_store::{Database, testing};
use jinke_types::{ManualClock, RowScope, Timestamp};

use crate::{generate::Dice, world::World};

fn follower(db: &Database, world: &Arc<World>) -> Follower {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let poll = Duration::from_secs(1);
    Follower::new(db.clone(), world.clone(), clock, BTreeSet::new(), poll)
}

async fn frame(db: &Database, scope: &RowScope) -> Frame {
    let (_, frame) = load::frame(db, scope, true, 1_000_000).await.unwrap();
    let mut frame = (*frame).clone();
    // Where feeds stand and how parties were numbered is no content.
    frame.positions = [0; 3];
    frame
}

/// Runs a future for some polls and then drops it, wherever it stands: a process that is killed.
/// What was in a transaction is rolled back. Whether it ended.
async fn killed_after<T>(polls: u64, work: impl Future<Output = T>) -> bool {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(|cx| {
        if work.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        Poll::Pending
    })
    .await
}

async fn settle(db: &Database, world: &Arc<World>) {
    let follower = follower(db, world);
    for _ in 0..3_000 {
        // Feeds fail now and then; the follower tries again.
        if let Ok(jinke_reporting::follow::Step::Idle) = follower.step().await {
            return;
        }
    }
    panic!("the follower did not come to rest");
}

fn kills() -> u64 {
    std::env::var("JINKE_SOAK_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(10)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_it_equals_a_fresh_rebuild() {
    testing::on_each_engine(&MIGRATIONS, async |db| {
        for seed in 0..2 {
            let world = Arc::new(World::new(seed, 10));
            let dice = Dice::new(seed + 77);
            // What is left of the world before belongs to another one.
            let now = Timestamp::from_secs(1);
            follower(&db, &world).begin().await.unwrap();
            let (mut dead, mut round) = (0, 0);
            // Until so many have really been killed in their work, and for as many rounds.
            while dead < kills() || round < kills() {
                assert!(
                    round < 50 * kills(),
                    "only {dead} were killed in their work"
                );
                round += 1;
                world.happen(1 + dice.below(25) as usize);
                if round % 3 == 1 {
                    db.write(async |mut tx| projection::begin_building(&mut tx, now).await)
                        .await
                        .unwrap();
                }
                for _ in 0..1 + dice.below(12) {
                    let follower = follower(&db, &world);
                    if !killed_after(dice.below(40), follower.step()).await {
                        dead += 1;
                    }
                }
            }
            settle(&db, &world).await;
            let before = frame(&db, &RowScope::All).await;
            let generations = projection::list(&mut db.read().await.unwrap())
                .await
                .unwrap();
            assert_eq!(generations.len(), 1, "{generations:?}");
            // A fresh rebuild, undisturbed.
            let fresh = db
                .write(async |mut tx| projection::begin_building(&mut tx, now).await)
                .await
                .unwrap();
            settle(&db, &world).await;
            let serving = projection::serving(&mut db.read().await.unwrap())
                .await
                .unwrap();
            assert_eq!(serving.no, fresh, "the rebuilt one serves");
            let after = frame(&db, &RowScope::All).await;
            assert_eq!(before, after);
            assert!(!after.customers.is_empty() && !after.transactions.is_empty());
            assert!(!after.opportunities.is_empty() && !after.transitions.is_empty());
            // The next world begins anew.
            if seed == 0 {
                let old = serving.no;
                db.write(async |mut tx| {
                    tx.execute(
                        "UPDATE projections SET state = 3 WHERE generation = $1",
                        jinke_store::args![old],
                    )
                    .await?;
                    while !projection::remove_some(&mut tx, old, 10_000).await? {}
                    Ok(())
                })
                .await
                .unwrap();
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_unmerges_and_erasures_move_the_numbers() {
    testing::on_each_engine(&MIGRATIONS, async |db| {
        let world = Arc::new(World::new(5, 0));
        follower(&db, &world).begin().await.unwrap();
        for _ in 0..25 {
            world.happen(12);
            settle(&db, &world).await;
            let frame = frame(&db, &RowScope::All).await;
            let mut got = std::collections::BTreeMap::new();
            for t in &frame.transactions {
                *got.entry(frame.customer(t.customer).id).or_default() += t.amount().unwrap();
            }
            assert_eq!(got, world.revenue());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_sees_what_its_sources_tell_and_nothing_else() {
    testing::on_each_engine(&MIGRATIONS, async |db| {
        let world = Arc::new(World::new(9, 0));
        follower(&db, &world).begin().await.unwrap();
        world.happen(250);
        settle(&db, &world).await;
        let all = frame(&db, &RowScope::All).await;
        let east = RowScope::OrgUnits(BTreeSet::from(["orgUnits/east".to_owned()]));
        let seen = frame(&db, &east).await;
        let ids: Vec<&str> = seen.sources.iter().map(|s| s.id.as_str()).collect();
        assert_eq!(ids, ["east", "erp"]);
        assert!(seen.transactions.len() < all.transactions.len());
        assert!(seen.customers.len() < all.customers.len());
        // The opportunities of the world belong to east, but some of its customers are not seen.
        assert!(seen.opportunities.len() < all.opportunities.len());
        let west = RowScope::OrgUnits(BTreeSet::from(["orgUnits/west".to_owned()]));
        assert!(frame(&db, &west).await.opportunities.is_empty());
        let nobody = frame(&db, &RowScope::None).await;
        assert!(nobody.customers.is_empty() && nobody.transactions.is_empty());
        assert!(nobody.interactions.is_empty() && nobody.opportunities.is_empty());
        // Names of walled records are not shown where another record is the reason to see him.
        for customer in &seen.customers {
            let place = all.find(customer.id).unwrap();
            let whole = all.customer(place);
            assert!(customer.name.is_empty() || customer.name == whole.name);
        }
    })
    .await;
}
