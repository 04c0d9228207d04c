//! Churn episodes: opened once, one task each, ended by an order; and what merges and unmerges do to
//! them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jinke_reporting::{
    calendar::Period,
    churn,
    convert::pb,
    measures::Context,
    store::episodes::{self as rows, EpisodeRow, OPEN, RECOVERED},
};
use jinke_types::{RowScope, Timestamp};
use tonic::Code;

use crate::{
    generate::Dice,
    house::{House, on_each_engine},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_episode_opens_once_makes_one_task_and_ends_by_an_order() {
    on_each_engine(23, async |house| {
        let evaluate = async || {
            let request = pb::EvaluateChurnRequest::default();
            let done = house.insights("admin").evaluate_churn(request).await;
            done.unwrap().into_inner()
        };
        let first = evaluate().await;
        assert!(first.opened > 2, "{first:?}");
        assert_eq!(first.tasks, first.opened);
        let again = evaluate().await;
        assert_eq!(
            (again.opened, again.tasks, again.open),
            (0, 0, first.opened)
        );
        let listed = pb::ListChurnEpisodesRequest {
            page_size: 1_000,
            ..pb::ListChurnEpisodesRequest::default()
        };
        let all = house
            .insights("admin")
            .list_churn_episodes(listed.clone())
            .await;
        let all = all.unwrap().into_inner().episodes;
        assert_eq!(all.len() as i64, first.opened);
        let origins: BTreeSet<String> = {
            let made = house.tasks.0.lock().unwrap();
            made.iter().map(|t| t.origin.clone()).collect()
        };
        assert_eq!(origins.len(), all.len(), "each episode has one task");
        assert!(
            all.iter()
                .all(|e| !e.task.is_empty() && !e.reasons.is_empty())
        );
        // A person closes one: the same sign opens none again.
        let close = pb::CloseChurnEpisodeRequest {
            name: all[0].name.clone(),
            cause: pb::churn_episode::Cause::ProductPrice.into(),
            comment: "价格".to_owned(),
            etag: all[0].etag.clone(),
            request_id: "r1".to_owned(),
        };
        let closed = house
            .insights("admin")
            .close_churn_episode(close.clone())
            .await;
        assert_eq!(closed.unwrap().into_inner().comment, "价格");
        let replay = house
            .insights("admin")
            .close_churn_episode(close.clone())
            .await;
        assert_eq!(replay.unwrap().into_inner().name, close.name);
        let stale = pb::CloseChurnEpisodeRequest {
            request_id: String::new(),
            ..close
        };
        let stale = house.insights("admin").close_churn_episode(stale).await;
        assert_eq!(stale.unwrap_err().code(), Code::Aborted);
        assert_eq!(evaluate().await.opened, 0);
        // An order ends another one.
        let back: i64 = all[1].customer["customers/".len()..].parse().unwrap();
        house.clock.advance(Duration::from_secs(3_600));
        house.world.order(back, Timestamp::from_secs(1_785_003_000));
        house.settle().await;
        let done = evaluate().await;
        assert_eq!((done.recovered, done.opened), (1, 0));
        // One dated by day alone, midnight in China of the day on which they opened, ends it too;
        // one of the evening before does not.
        let midnight = 1_784_995_200;
        let by_day = |n: usize| all[n].customer["customers/".len()..].parse().unwrap();
        house.world.order(by_day(2), Timestamp::from_secs(midnight));
        house
            .world
            .order(by_day(3), Timestamp::from_secs(midnight - 1));
        house.settle().await;
        let done = evaluate().await;
        assert_eq!(done.recovered, 1, "{done:?}");
        // Who does not see the customer does not see the episode.
        let nobody = house.insights("nobody").list_churn_episodes(listed).await;
        assert!(nobody.unwrap().into_inner().episodes.is_empty());
        let refused = house
            .insights("finance")
            .evaluate_churn(pb::EvaluateChurnRequest::default())
            .await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    })
    .await;
}

/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

async fn evaluate(house: &House) -> pb::EvaluateChurnResponse {
    house.settle().await;
    let request = pb::EvaluateChurnRequest::default();
    let done = house.insights("admin").evaluate_churn(request).await;
    done.unwrap().into_inner()
}

/// The episodes at a customer, newest first.
async fn listed(house: &House, customer: i64) -> Vec<pb::ChurnEpisode> {
    let request = pb::ListChurnEpisodesRequest {
        page_size: 1_000,
        customer: format!("customers/{customer}"),
        ..pb::ListChurnEpisodesRequest::default()
    };
    let list = house.insights("admin").list_churn_episodes(request).await;
    list.unwrap().into_inner().episodes
}

fn is_open(episode: &pb::ChurnEpisode) -> bool {
    episode.state() == pb::churn_episode::State::Open
}

/// A customer whose last order was so many days ago.
fn idle(house: &House, days: i64) -> i64 {
    let customer = house.world.customer("erp");
    let now = jinke_types::Clock::now(&*house.clock);
    house.world.order(customer, Timestamp(now.0 - days * DAY));
    customer
}

fn now(house: &House) -> Timestamp {
    jinke_types::Clock::now(&*house.clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_are_merged_the_older_speaks_and_an_unmerge_parts_them() {
    on_each_engine(51, async |house| {
        let (a, b) = (idle(&house, 100), idle(&house, 120));
        evaluate(&house).await;
        let (one, two) = (listed(&house, a).await, listed(&house, b).await);
        assert!(one.len() == 1 && two.len() == 1 && is_open(&one[0]) && is_open(&two[0]));
        let tasks = house.tasks.0.lock().unwrap().len();
        house.world.merge(a, b);
        let merged = evaluate(&house).await;
        assert_eq!((merged.opened, merged.recovered, merged.tasks), (0, 0, 0));
        let both = listed(&house, a).await;
        assert_eq!(both.len(), 2, "each stays at its address");
        // The one with the smaller number was opened first.
        let number =
            |e: &pb::ChurnEpisode| e.name["churnEpisodes/".len()..].parse::<i64>().unwrap();
        let oldest = both.iter().min_by_key(|e| number(e)).unwrap().name.clone();
        for e in &both {
            assert_eq!(e.customer, format!("customers/{a}"));
            let speaker = if e.name == oldest { "" } else { &oldest };
            assert_eq!(e.joined_to, speaker);
        }
        // With three months more still nothing new: its last order is answered for.
        house.world.leave(b);
        let parted = evaluate(&house).await;
        assert_eq!((parted.opened, parted.recovered, parted.tasks), (0, 0, 0));
        assert_eq!(parted.open, merged.open + 1);
        for customer in [a, b] {
            let own = listed(&house, customer).await;
            assert!(own.len() == 1 && own[0].joined_to.is_empty() && is_open(&own[0]));
        }
        assert_eq!(house.tasks.0.lock().unwrap().len(), tasks);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_episode_that_a_foreign_order_ended_goes_on_when_the_order_leaves() {
    on_each_engine(52, async |house| {
        let silent = idle(&house, 100);
        evaluate(&house).await;
        let before = listed(&house, silent).await;
        let tasks = house.tasks.0.lock().unwrap().len();
        house.clock.advance(Duration::from_secs(5 * 86_400));
        // A customer that buys is merged with it: it has ordered again.
        let busy = idle(&house, 1);
        house.world.merge(silent, busy);
        let merged = evaluate(&house).await;
        assert_eq!((merged.recovered, merged.reopened), (1, 0));
        assert!(!is_open(&listed(&house, silent).await[0]));
        // It was a mistake: the episode goes on, with the task it has.
        house.world.leave(busy);
        let parted = evaluate(&house).await;
        assert_eq!((parted.reopened, parted.opened, parted.tasks), (1, 0, 0));
        let after = listed(&house, silent).await;
        assert_eq!(after.len(), 1);
        assert!(is_open(&after[0]) && after[0].end_time.is_none());
        assert_eq!(
            (&after[0].name, &after[0].task),
            (&before[0].name, &before[0].task)
        );
        assert_ne!(after[0].etag, before[0].etag, "it was changed twice");
        assert!(listed(&house, busy).await.is_empty());
        // An order of its own ends it; called off, it goes on; and again nothing is made twice.
        let order = house.world.order(silent, now(&house));
        assert_eq!(evaluate(&house).await.recovered, 1);
        house.world.call_off(order);
        let off = evaluate(&house).await;
        assert_eq!((off.reopened, off.opened), (1, 0));
        assert_eq!(evaluate(&house).await.reopened, 0);
        assert_eq!(house.tasks.0.lock().unwrap().len(), tasks);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opened_while_merged_stays_with_its_record_and_the_other_gets_its_own() {
    on_each_engine(53, async |house| {
        let first = idle(&house, 60);
        let second = idle(&house, 50);
        house.world.merge(first, second);
        evaluate(&house).await;
        assert!(listed(&house, first).await.is_empty());
        house.clock.advance(Duration::from_secs(60 * 86_400));
        evaluate(&house).await;
        let joint = listed(&house, first).await;
        assert_eq!(joint.len(), 1, "one customer, one episode");
        assert_eq!(joint[0].address, format!("customers/{first}"));
        house.world.leave(second);
        evaluate(&house).await;
        let (one, two) = (listed(&house, first).await, listed(&house, second).await);
        assert_eq!((one.len(), two.len()), (1, 1));
        assert!(is_open(&one[0]) && is_open(&two[0]));
        assert_eq!(one[0].name, joint[0].name);
        assert!(!one[0].task.is_empty() && !two[0].task.is_empty() && one[0].task != two[0].task);
    })
    .await;
}

/// All episodes as stored.
async fn stored(house: &House) -> Vec<EpisodeRow> {
    let mut conn = house.api.core.db.read().await.unwrap();
    rows::after(&mut conn, 0, 100_000).await.unwrap()
}

/// What must hold after every evaluation.
async fn check(house: &House) {
    let again = evaluate(house).await;
    let did = [again.opened, again.recovered, again.reopened, again.tasks];
    assert_eq!(did, [0; 4], "a second look does nothing: {again:?}");
    let frame = house.api.core.frame(&RowScope::All, false).await.unwrap();
    let p = house.api.core.defaults.clone();
    let today = house.api.core.today(&p);
    let period = Period {
        start: today,
        end: today,
    };
    let context = Context::new(&frame, &p, period);
    let mut at: BTreeMap<u32, Vec<EpisodeRow>> = BTreeMap::new();
    for episode in stored(house).await {
        if let Some(place) = frame.resolve(episode.address) {
            at.entry(place).or_default().push(episode);
        }
    }
    let mut open = 0;
    for place in 0..frame.customers.len() as u32 {
        let mine = at.remove(&place).unwrap_or_default();
        let running: Vec<&EpisodeRow> = mine.iter().filter(|e| e.state == OPEN).collect();
        open += i64::from(!running.is_empty());
        if let Some(speaker) = running.first() {
            assert!(
                !speaker.task.is_empty(),
                "who speaks has a task: {speaker:?}"
            );
        }
        // Every sign is answered for, by an open episode or one that saw it.
        let seen: BTreeSet<&str> = mine.iter().flat_map(|e| e.seen.split(' ')).collect();
        for reason in churn::reasons(&context, place) {
            let answered = !running.is_empty() || seen.contains(reason.key().as_str());
            assert!(answered, "{reason:?} of {:?}", frame.customer(place));
        }
        // What ended the latest one is an order of this customer.
        if let Some(last) = mine.last().filter(|e| e.state == RECOVERED) {
            let orders = frame.transactions_of(place);
            let id = last.end_order.unwrap();
            assert!(
                orders.iter().any(|t| t.id == id && context.purchase(t)),
                "{last:?}"
            );
        }
    }
    assert_eq!(again.open, open);
    let made = house.tasks.0.lock().unwrap();
    let origins: BTreeSet<&String> = made.iter().map(|t| &t.origin).collect();
    assert_eq!(origins.len(), made.len(), "no episode has two tasks");
}

#[tokio::test(flavor = "multi_thread")]
async fn through_any_history_each_customer_has_one_episode_that_speaks_and_one_task() {
    on_each_engine(54, async |house| {
        let dice = Dice::new(540);
        let mut parties: Vec<i64> = (0..8).map(|n| idle(&house, 20 + 15 * n)).collect();
        let mut orders = Vec::new();
        let (mut merges, mut reopened) = (0, 0);
        for _ in 0..60 {
            let some = parties[dice.below(parties.len() as u64) as usize];
            match dice.below(10) {
                0..2 => {
                    let time = Timestamp(now(&house).0 - dice.below(40) as i64 * DAY / 4);
                    orders.push(house.world.order(some, time));
                }
                2..4 => {
                    let other = parties[dice.below(parties.len() as u64) as usize];
                    merges += i32::from(house.world.merge(some, other));
                }
                4..6 => {
                    house.world.leave(some);
                }
                6 => {
                    if let Some(order) = orders.pop() {
                        house.world.call_off(order);
                    }
                }
                7 => parties.push(idle(&house, 80 + dice.below(20) as i64)),
                8 => {
                    if let Some(e) = listed(&house, house.world.holder(some)).await.first()
                        && is_open(e)
                    {
                        let close = pb::CloseChurnEpisodeRequest {
                            name: e.name.clone(),
                            cause: pb::churn_episode::Cause::Other.into(),
                            ..pb::CloseChurnEpisodeRequest::default()
                        };
                        let closed = house.insights("admin").close_churn_episode(close).await;
                        closed.unwrap();
                    }
                }
                _ => {
                    let days = 1 + dice.below(25);
                    house.clock.advance(Duration::from_secs(days * 86_400));
                }
            }
            reopened += evaluate(&house).await.reopened;
            check(&house).await;
        }
        assert!(merges > 4, "only {merges} merges");
        assert!(reopened > 0, "none was open again");
        // A merge that is taken back at once leaves nobody without the episode he had.
        for _ in 0..10 {
            let a = parties[dice.below(parties.len() as u64) as usize];
            let b = parties[dice.below(parties.len() as u64) as usize];
            for n in [a, b] {
                house.world.leave(n);
            }
            evaluate(&house).await;
            let open = async |n| {
                let list = listed(&house, house.world.holder(n)).await;
                list.iter().any(is_open)
            };
            let before = (open(a).await, open(b).await);
            if !house.world.merge(a, b) {
                continue;
            }
            evaluate(&house).await;
            house.world.leave(a.max(b));
            evaluate(&house).await;
            check(&house).await;
            let after = (open(a).await, open(b).await);
            assert!(
                before.0 <= after.0 && before.1 <= after.1,
                "{before:?} {after:?}"
            );
        }
    })
    .await;
}
