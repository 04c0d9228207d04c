//! Rebuilding while others write: what is under way is never taken for damage.
//!
//! Nothing here depends on how fast anything is: each step of a rebuild lets the writers do some
//! things and waits until one of them is done. So there are writes between any two of its steps,
//! and the writers do not end before several rebuilds were made.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use jinke_customer::engine::{
    Engine,
    rebuild::{Progress, Rebuilt},
};
use jinke_types::{Code, RowScope, SourceRecord};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{attach::order, support::*};

const WRITERS: usize = 3;
const WRITES: usize = 30;
/// Writes that one step of a rebuild lets pass.
const EACH_STEP: usize = 4;
/// More than one page of each step of a rebuild.
const BEFORE: usize = 660;

/// What the n-th company of a source says; companies of several sources share what tells them.
fn company(source: &str, n: usize, revision: i64, chance: &Chance) -> SourceRecord {
    let firm = n % 220;
    let sign = |shift: usize| char::from_u32(0x4e00 + u32::try_from(firm * 7 + shift).unwrap());
    let name = format!(
        "上海{}{}科技有限公司",
        sign(0).unwrap(),
        sign(4_000).unwrap()
    );
    let (phone, code) = (
        format!("138{:08}", 10_000_000 + firm),
        uscc(u32::try_from(firm).unwrap()),
    );
    let mut said = vec![(NAME, name.as_str())];
    if !chance.once_in(4) {
        said.push((PHONE, phone.as_str()));
    }
    if chance.once_in(3) {
        said.push(("uscc", code.as_str()));
    }
    let record = org(&format!("{source}/{n}"), revision, &said);
    if revision > 1 && chance.once_in(8) {
        deleted(record)
    } else {
        record
    }
}

/// What keeps rebuilds and writers in step.
#[derive(Clone)]
struct Pace {
    /// Writes that may begin.
    free: Arc<Semaphore>,
    /// Writes that were done. The channel closes with the last writer.
    done: watch::Sender<u64>,
}

impl Pace {
    async fn begin(&self) {
        self.free.acquire().await.unwrap().forget();
    }
    fn end(&self) {
        self.done.send_modify(|n| *n += 1);
    }
}

/// New records, new versions and orders, of a source that only this writer writes.
async fn write(engine: Engine, source: &'static str, seed: u64, pace: Pace) {
    let chance = Chance::new(seed);
    for turn in 0..WRITES {
        let revision = i64::try_from(turn).unwrap() + 2;
        let mut batch = Vec::new();
        for _ in 0..=chance.below(4) {
            let n = chance.below(BEFORE / WRITERS + 60);
            // One version of a record in a batch.
            let record = company(source, n, revision, &chance);
            if !batch.iter().any(|r: &SourceRecord| r.key == record.key) {
                batch.push(record);
            }
            let id = format!("{source}/o{turn}-{n}");
            batch.push(order(&id, revision, &format!("{source}/{n}"), "12.50"));
        }
        pace.begin().await;
        for result in ingest(&engine, batch).await {
            assert_eq!(result.error, None);
        }
        pace.end();
    }
}

/// The two companies that the steward merges in a turn; nobody else writes them.
fn pair(turn: usize) -> [SourceRecord; 2] {
    let sign = char::from_u32(0x8000 + u32::try_from(turn * 11).unwrap()).unwrap();
    let (tea, fish) = (
        format!("杭州{sign}湖茶叶有限公司"),
        format!("青岛海{sign}渔业有限公司"),
    );
    [("a", tea), ("b", fish)]
        .map(|(at, name)| org(&format!("chat/{at}{turn}"), 1, &[(NAME, name.as_str())]))
}

/// Merges two companies that nobody else writes and parts them again, and does the same to any
/// two records of the others, where a refusal or a change in between is no fault.
async fn steward(engine: Engine, pace: Pace) {
    let chance = Chance::new(77);
    let all = &RowScope::All;
    for turn in 0..WRITES {
        let (left, right) = (format!("chat/a{turn}"), format!("chat/b{turn}"));
        let (a, b) = (holder(&engine, &left).await, holder(&engine, &right).await);
        assert_ne!(a, b, "turn {turn}");
        pace.begin().await;
        let whole = engine.merge(merge(a, b), all, None).await.unwrap();
        pace.end();
        assert_eq!(holder(&engine, &right).await, whole);
        let parted = unmerge(whole, &[right.as_str()]);
        pace.begin().await;
        engine.unmerge(parted, all, None).await.unwrap();
        pace.end();
        assert_ne!(holder(&engine, &right).await, holder(&engine, &left).await);
        let any = || {
            let source = *chance.pick(&["erp", "crm", "chat"]);
            format!("{source}/{}", chance.below(BEFORE / WRITERS))
        };
        let (left, right) = (any(), any());
        let (a, b) = (holder(&engine, &left).await, holder(&engine, &right).await);
        pace.begin().await;
        let ended = if chance.once_in(2) {
            engine.merge(merge(a, b), all, None).await.map(drop)
        } else {
            let parted = unmerge(a, &[left.as_str()]);
            engine.unmerge(parted, all, None).await.map(drop)
        };
        if let Err(refused) = ended {
            let known = [
                Code::FailedPrecondition,
                Code::InvalidArgument,
                Code::NotFound,
                Code::Aborted,
            ];
            assert!(known.contains(&refused.code), "turn {turn}: {refused:?}");
        }
        pace.end();
    }
}

/// What a rebuild knows of the writers.
#[derive(Clone)]
struct Writers {
    free: Arc<Semaphore>,
    done: watch::Receiver<u64>,
    over: Arc<AtomicBool>,
}

/// One rebuild among writers, as long as there are any.
async fn rebuild(engine: &Engine, writers: &Writers) -> Rebuilt {
    let writers = writers.clone();
    let progress: Progress = Arc::new(move |done, total| {
        assert!(done <= total, "{done} of {total}");
        let mut writers = writers.clone();
        Box::pin(async move {
            let before = *writers.done.borrow_and_update();
            writers.free.add_permits(EACH_STEP);
            if writers.done.wait_for(|n| *n > before).await.is_err() {
                writers.over.store(true, Ordering::SeqCst);
            }
            Ok(())
        })
    });
    engine.rebuild(false, progress).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_among_writers_finds_nothing() {
    on_both(async |house| {
        let engine = house.engine().await;
        let chance = Chance::new(5);
        let sources = ["erp", "crm", "chat"];
        let mut before: Vec<SourceRecord> = (0..BEFORE)
            .map(|n| company(sources[n % WRITERS], n / WRITERS, 1, &chance))
            .collect();
        before.extend((0..WRITES).flat_map(pair));
        for chunk in before.chunks(200) {
            ingest(&engine, chunk.to_vec()).await;
        }
        let (done, seen) = watch::channel(0_u64);
        let writers = Writers {
            free: Arc::new(Semaphore::new(0)),
            done: seen,
            over: Arc::new(AtomicBool::new(false)),
        };
        let pace = Pace {
            free: Arc::clone(&writers.free),
            done,
        };
        let mut tasks = JoinSet::new();
        for (seed, source) in (1..).zip(sources) {
            tasks.spawn(write(engine.clone(), source, seed, pace.clone()));
        }
        tasks.spawn(steward(engine.clone(), pace));
        let mut rebuilds = 0;
        while !writers.over.load(Ordering::SeqCst) {
            let found = rebuild(&engine, &writers).await;
            assert_eq!(found.differences, [], "rebuild {rebuilds}");
            assert_eq!(found.count, 0, "rebuild {rebuilds}");
            assert!(found.records >= i64::try_from(before.len()).unwrap());
            rebuilds += 1;
        }
        assert!(rebuilds > 1, "{rebuilds} rebuilds among the writers");
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        assert_sound(&engine).await;
        let right = engine.state_hash().await.unwrap();
        let last = rebuild(&engine, &writers).await;
        assert_eq!((last.differences, last.count), (Vec::new(), 0));
        assert_eq!(engine.state_hash().await.unwrap(), right);
        // What a rebuild changes is nothing, so a repair changes nothing either.
        let still: Progress = Arc::new(|_, _| Box::pin(async { Ok(()) }));
        let repaired = engine.rebuild(true, still).await.unwrap();
        assert_eq!((repaired.count, repaired.repaired), (0, false));
        assert_eq!(engine.state_hash().await.unwrap(), right);
    })
    .await;
}
