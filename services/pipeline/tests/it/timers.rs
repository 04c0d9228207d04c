//! A year of virtual time on two replicas that crash: the timers fire exactly what an oracle says.
//!
//! `JINKE_SOAK=1` runs it with 100,000 timers and 200 crashes, as `make soak` does.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use jinke_pipeline::{
    access::Viewer,
    convert::pb,
    domain::{Escalation, Recurrence, Task, TaskPrivate, schedule},
    engine::{By, Core, leads::Look},
    store::MIGRATIONS,
};
use jinke_store::{Database, Engine, args, testing::Place};
use jinke_types::{Clock as _, ManualClock, Timestamp};

use crate::{
    house::{DAY, House, START, core, on_each_engine, time},
    outside::{FakeCustomers, FakeMessenger},
};

/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

/// Polls a future so often at most, then drops it where it stands: a crash.
struct Crash<F> {
    work: Pin<Box<F>>,
    polls: u64,
}

impl<F: Future> Future for Crash<F> {
    type Output = Option<F::Output>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        self.work.as_mut().poll(cx).map(Some)
    }
}

fn crash<F: Future>(work: F, polls: u64) -> Crash<F> {
    Crash {
        work: Box::pin(work),
        polls,
    }
}

const HOUR: i64 = 3_600_000_000;

/// The moments of a year at which there is something to see: an hour to three days apart.
fn steps(dice: &mut Dice) -> Vec<i64> {
    let mut times = Vec::new();
    let mut now = START * 1_000_000;
    while now < START * 1_000_000 + 366 * 24 * HOUR {
        now += HOUR * (1 + dice.below(72) as i64);
        times.push(now);
    }
    times
}

/// A task, and at which steps somebody completes its occurrence.
struct Plan {
    task: Task,
    completions: BTreeSet<usize>,
}

fn plans(dice: &mut Dice, count: usize, steps: usize) -> Vec<Plan> {
    (0..count)
        .map(|n| {
            let due = START * 1_000_000 + (dice.below(330 * 24) as i64) * HOUR;
            let recurrence = (dice.below(4) == 0).then(|| Recurrence {
                frequency: 1 + dice.below(3) as i64,
                interval: 1 + dice.below(20) as u32,
                count: 2 + dice.below(12) as i64,
                until: None,
                offset: 480,
            });
            let escalations = (0..dice.below(3))
                .map(|i| Escalation {
                    after: HOUR * (1 + 24 * i as i64 + dice.below(24) as i64),
                    to: format!("users/boss{i}"),
                    reassign: dice.below(2) == 0,
                })
                .collect();
            let completions = (0..dice.below(3))
                .map(|_| dice.below(steps as u64) as usize)
                .collect();
            let task = Task {
                kind: 1,
                priority: 2,
                owner: format!("users/u{}", n % 17),
                due_time: Timestamp(due),
                remind_before: HOUR * dice.below(72) as i64,
                recurrence,
                escalations,
                private: TaskPrivate {
                    subject: format!("任务{n}"),
                    ..TaskPrivate::default()
                },
                ..Task::default()
            };
            Plan { task, completions }
        })
        .collect()
}

/// A firing: (task, occurrence, kind, step, planned for, fired, reason).
type Fact = (i64, i64, i64, i64, i64, bool, String);

/// What should have happened to one task, by walking through the steps. It knows no database, no
/// batches and no crashes.
fn oracle(id: i64, plan: &Plan, clock: &[i64], facts: &mut BTreeSet<Fact>) {
    let t = &plan.task;
    let due = |n: i64| match &t.recurrence {
        None => (n == 1).then_some(t.due_time.0),
        Some(r) => r.due(t.due_time, n).map(|d| d.0),
    };
    let timers = |n: i64| -> Vec<(i64, i64, i64)> {
        let at = due(n).expect("this occurrence exists");
        let mut out = vec![(at - t.remind_before, 1, 0)];
        for (i, e) in t.escalations.iter().enumerate() {
            out.push((at + e.after, 2, i as i64));
        }
        if let Some(next) = due(n + 1) {
            out.push(((next - t.remind_before).max(at), 3, 0));
        }
        out.sort_by_key(|(at, kind, step)| (*at, *kind == 3, *step));
        out
    };
    let mut occurrence = 1;
    let mut waiting = timers(1);
    let mut open = true;
    for (step, now) in clock.iter().enumerate() {
        // A recurrence comes after what was planned for the same moment, as it was planned last.
        while let Some(first) = waiting.first().copied().filter(|(at, ..)| at <= now) {
            waiting.remove(0);
            let (at, kind, n) = first;
            facts.insert((id, occurrence, kind, n, at, true, String::new()));
            if kind == 3 {
                for (at, kind, n) in waiting.drain(..) {
                    let why = "next_occurrence".to_owned();
                    facts.insert((id, occurrence, kind, n, at, false, why));
                }
                occurrence += 1;
                waiting = timers(occurrence);
            }
        }
        if open && plan.completions.contains(&step) {
            for (at, kind, n) in waiting.drain(..) {
                let why = "task_done".to_owned();
                facts.insert((id, occurrence, kind, n, at, false, why));
            }
            if t.recurrence.is_some() && due(occurrence + 1).is_some() {
                occurrence += 1;
                waiting = timers(occurrence);
            } else {
                open = false;
            }
        }
    }
}

async fn complete(core: &Core, id: i64) {
    let viewer = Viewer::service();
    let by = By {
        viewer: &viewer,
        request: None,
    };
    match core.close_task(&by, id, "", Some("done"), "").await {
        Ok(()) => {}
        Err(f) => assert_eq!(f.reason, "TASK_CLOSED"),
    }
}

/// Two replicas work until nothing is due; some of their work is cut short while `crashes`, the
/// crashes still to come, is not zero. Work that ended before it could be cut was no crash.
async fn drain(replicas: &[Arc<Core>; 2], dice: &mut Dice, crashes: &mut u64) {
    loop {
        let [a, b] = replicas;
        let mut polls = || {
            if *crashes > 0 && dice.below(2) == 0 {
                // Short work is cut as well as long.
                let most = [6, 30, 120][dice.below(3) as usize];
                1 + dice.below(most)
            } else {
                u64::MAX
            }
        };
        let (one, two) = (crash(a.fire_due(), polls()), crash(b.fire_due(), polls()));
        let (one, two) = tokio::join!(one, two);
        let happened = u64::from(one.is_none()) + u64::from(two.is_none());
        *crashes = crashes.saturating_sub(happened);
        let left = |done: Option<Result<usize, _>>| match done {
            None => true,
            Some(done) => done.expect("timers fire") > 0,
        };
        if !(left(one) | left(two)) {
            return;
        }
    }
}

#[expect(clippy::print_stdout, reason = "a soak tells how much it did")]
async fn year(engine: Engine, tasks: usize, asked: u64, seed: u64) {
    let mut crashes = asked;
    let place = Place::new(engine).await;
    let db = Database::open(place.config(), &MIGRATIONS)
        .await
        .expect("opens");
    // A SQLite file has one process; its replicas share it as two tasks of one would.
    let other = match engine {
        Engine::Sqlite => db.clone(),
        Engine::Postgres => Database::open(place.config(), &MIGRATIONS)
            .await
            .expect("opens"),
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let (customers, messenger) = (FakeCustomers::default(), FakeMessenger::default());
    messenger.loses_every(7);
    let replica = |db: &Database, seed| core(db.clone(), seed, &clock, &customers, &messenger);
    let mut replicas = [replica(&db, 11), replica(&other, 12)];
    let mut dice = Dice(seed);

    // Now and then the clock falls back and comes again.
    let times = steps(&mut dice);
    let plans = plans(&mut dice, tasks, times.len());
    let viewer = Viewer::service();
    let by = By {
        viewer: &viewer,
        request: None,
    };
    let mut ids = Vec::new();
    for plan in &plans {
        let id = replicas[0]
            .create_task(&by, plan.task.clone(), &Look::default())
            .await
            .expect("made");
        ids.push(id);
    }
    let mut expected = BTreeSet::new();
    for (id, plan) in ids.iter().zip(&plans) {
        oracle(*id, plan, &times, &mut expected);
    }

    for (step, at) in times.iter().enumerate() {
        clock.set(Timestamp(*at));
        drain(&replicas, &mut dice, &mut crashes).await;
        for (id, plan) in ids.iter().zip(&plans) {
            if plan.completions.contains(&step) {
                complete(&replicas[dice.below(2) as usize], *id).await;
            }
        }
        if dice.below(10) == 0 {
            // A clock that jumps back: nothing fires twice.
            clock.set(Timestamp(*at - 5 * 24 * HOUR));
            drain(&replicas, &mut dice, &mut crashes).await;
            clock.set(Timestamp(*at));
        }
        if dice.below(20) == 0 {
            // A restart: all a replica knew by heart is gone.
            replicas = [
                replica(&db, 100 + step as u64),
                replica(&other, 9_000 + step as u64),
            ];
        }
        drain(&replicas, &mut dice, &mut crashes).await;
        let polls = if dice.below(4) == 0 {
            dice.below(60)
        } else {
            u64::MAX
        };
        let _ = crash(replicas[0].deliver_due(), polls).await;
    }
    // Where work ended faster than it was cut, replicas die while they look for more.
    for _ in 0..1_000 {
        if crashes > 0 {
            drain(&replicas, &mut dice, &mut crashes).await;
        }
    }
    assert_eq!(crashes, 0, "so many crashes did not happen");
    for _ in 0..200_000 {
        clock.advance(std::time::Duration::from_secs(3_600));
        if replicas[0].deliver_due().await.expect("delivered") == 0 && waiting(&db).await == 0 {
            break;
        }
    }
    compare(&db, &expected, times.last().copied().unwrap_or_default()).await;
    let fired = expected.iter().filter(|f| f.5 && f.2 != 3).count();
    assert_eq!(messenger.sent().len(), fired, "each message is one message");
    let timers = expected.len();
    println!("{engine:?}: {tasks} tasks, {timers} timers, {fired} messages, {asked} crashes");
    assert!(!soak() || timers >= MANY_TIMERS, "only {timers} timers");
    db.close().await;
    other.close().await;
    place.remove().await;
}

async fn waiting(db: &Database) -> i64 {
    let mut reader = db.read().await.unwrap();
    let row = reader
        .fetch_one("SELECT COUNT(*) AS n FROM deliveries", args![])
        .await
        .unwrap();
    row.i64("n").unwrap()
}

async fn compare(db: &Database, expected: &BTreeSet<Fact>, end: i64) {
    let mut reader = db.read().await.unwrap();
    let rows = reader
        .fetch_all(
            "SELECT task, no, occurrence, kind, step, plan_time, result, reason FROM firings \
             ORDER BY task, no",
            args![],
        )
        .await
        .unwrap();
    let mut found = BTreeSet::new();
    let mut numbers = BTreeMap::<i64, i64>::new();
    for row in &rows {
        let n = |column: &str| row.i64(column).unwrap();
        let last = numbers.entry(n("task")).or_default();
        assert_eq!(n("no"), *last + 1, "numbers have no gaps");
        *last += 1;
        let fact = (
            n("task"),
            n("occurrence"),
            n("kind"),
            n("step"),
            n("plan_time"),
            n("result") == 1,
            row.text("reason").unwrap(),
        );
        assert!(found.insert(fact.clone()), "fired twice: {fact:?}");
    }
    let missing: Vec<_> = expected.difference(&found).take(5).collect();
    let extra: Vec<_> = found.difference(expected).take(5).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing {missing:?}, extra {extra:?}"
    );
    let left = reader
        .fetch_one(
            "SELECT COUNT(*) AS n FROM timers WHERE plan_time <= $1",
            args![end],
        )
        .await
        .unwrap();
    assert_eq!(left.i64("n").unwrap(), 0);
}

fn soak() -> bool {
    std::env::var_os("JINKE_SOAK").is_some()
}

/// Tasks of a soak, and how many timers they have at least.
const MANY_TASKS: usize = 30_000;
const MANY_TIMERS: usize = 100_000;

#[test]
fn a_soak_has_as_many_timers_as_it_says() {
    for seed in [1, 2] {
        let mut dice = Dice(seed);
        let times = steps(&mut dice);
        let mut facts = BTreeSet::new();
        for (id, plan) in (1..).zip(plans(&mut dice, MANY_TASKS, times.len())) {
            oracle(id, &plan, &times, &mut facts);
        }
        assert!(facts.len() >= MANY_TIMERS, "only {}", facts.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_a_year_on_sqlite_fires_what_the_oracle_says() {
    let (tasks, crashes) = if soak() { (MANY_TASKS, 200) } else { (150, 40) };
    year(Engine::Sqlite, tasks, crashes, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_a_year_on_postgres_fires_what_the_oracle_says() {
    let (tasks, crashes) = if soak() { (MANY_TASKS, 200) } else { (100, 40) };
    year(Engine::Postgres, tasks, crashes, 2).await;
}

#[test]
fn the_oracle_counts_months_by_itself() {
    // The oracle shares the calendar with the service, so the calendar is checked against days
    // counted one by one.
    let base = Timestamp::parse("2026-01-31T01:00:00Z").unwrap();
    let monthly = Recurrence {
        frequency: schedule::MONTHLY,
        interval: 1,
        count: 0,
        until: None,
        offset: 480,
    };
    let days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut at = base.0;
    for (n, pair) in days.windows(2).enumerate() {
        // From the last of a month to the last of the next one.
        at += i64::from(pair[1]) * 24 * HOUR;
        assert_eq!(monthly.due(base, n as i64 + 2).unwrap().0, at, "{n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_outage_old_reminders_are_skipped_and_say_why() {
    on_each_engine(async |house: House| {
        let request = pb::CreateTaskRequest {
            task: Some(pb::Task {
                subject: "旧提醒".to_owned(),
                due_time: time(START + 3_600),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = house
            .tasks("admin")
            .create_task(request)
            .await
            .unwrap()
            .into_inner();
        let mut late = core(
            house.core.db.clone(),
            5,
            &house.clock,
            &house.customers,
            &house.messenger,
        );
        Arc::get_mut(&mut late).unwrap().timers.late_hours = 168;
        house.clock.advance(DAY * 30);
        assert!(house.clock.now() > Timestamp::from_secs(START));
        late.fire_due().await.unwrap();
        let request = pb::ListFiringsRequest {
            parent: made.name,
            ..Default::default()
        };
        let fired = house
            .tasks("admin")
            .list_firings(request)
            .await
            .unwrap()
            .into_inner()
            .firings;
        assert_eq!(
            (fired[0].result(), fired[0].reason.as_str()),
            (pb::firing::Result::Skipped, "too_late")
        );
        assert_eq!(fired[0].delivery(), pb::firing::Delivery::Unspecified);
    })
    .await;
}
