//! Finding what is due, and leading one connection.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jinke_store::{
    lease::{self, Lease},
    request,
};
use jinke_types::{Code, Failure};
use tokio::{
    sync::Semaphore,
    task::{Id, JoinSet},
};

use super::{errors, events, outbox, run};
use crate::{
    core::Core,
    domain::{RunKind, Trigger},
    store::{connections, deliveries, events as stored_events, runs},
};

/// How often old requests are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(3_600);

/// A connection that this process leads.
#[derive(Clone, Debug)]
pub(super) struct Led {
    pub(super) core: Core,
    pub(super) id: String,
    /// Every write begins with [`lease::guard`] of it.
    pub(super) lease: Lease,
    /// Held from the delivery of records until what became of them is saved, so that two jobs of
    /// the connection never deliver two versions of one record the wrong way round.
    pub(super) versions: Arc<tokio::sync::Mutex<()>>,
}

/// Leads what is due until the process stops. Never fails: what goes wrong is logged and tried
/// again at the next turn.
pub async fn supervise(core: Core) {
    let places = Arc::new(Semaphore::new(core.limits.concurrent));
    let mut kept: BTreeMap<Id, String> = BTreeMap::new();
    let mut keepers: JoinSet<()> = JoinSet::new();
    let mut last = String::new();
    let mut cleaned = core.clock.now();
    while !core.shutdown.is_triggered() {
        while let Some(ended) = keepers.try_join_next_with_id() {
            let id = match ended {
                Ok((id, ())) => id,
                Err(panic) => panic.id(),
            };
            kept.remove(&id);
        }
        let ours: BTreeSet<&String> = kept.values().collect();
        match due(&core, &last).await {
            Ok(ids) => {
                for id in ids
                    .into_iter()
                    .filter(|id| !ours.contains(id))
                    .collect::<Vec<_>>()
                {
                    let Ok(place) = places.clone().try_acquire_owned() else {
                        break;
                    };
                    match lead(&core, &id).await {
                        Ok(Some(led)) => {
                            last.clone_from(&id);
                            let handle = keepers.spawn(async move {
                                keep(led).await;
                                drop(place);
                            });
                            kept.insert(handle.id(), id);
                        }
                        // Another replica leads it.
                        Ok(None) => {}
                        Err(failure) => tracing::warn!(%failure, "a connection cannot be led"),
                    }
                }
            }
            Err(failure) => tracing::warn!(%failure, "what is due cannot be read"),
        }
        core.numbers
            .leading
            .set(i64::try_from(kept.len()).unwrap_or(i64::MAX));
        let now = core.clock.now();
        if cleaned.plus(HOUSEKEEPING) < now {
            cleaned = now;
            let forgotten = core
                .db
                .write(async |mut tx| request::purge(&mut tx, now).await);
            if let Err(failure) = forgotten.await {
                tracing::warn!(%failure, "old requests were not forgotten");
            }
        }
        tokio::select! {
            () = core.shutdown.wait() => break,
            () = core.woken() => {}
            () = tokio::time::sleep(core.limits.poll) => {}
        }
    }
    // Keepers see the shutdown themselves and give their leases back.
    while keepers.join_next().await.is_some() {}
}

/// Ids of connections with something due, beginning behind the one that was led last, so that
/// none waits for ever when there are more than may be led at a time.
async fn due(core: &Core, last: &str) -> Result<Vec<String>, Failure> {
    let now = core.clock.now();
    let mut ids = connections::due(&mut *core.db.read().await?, now).await?;
    let at = ids.partition_point(|id| id.as_str() <= last);
    ids.rotate_left(at);
    Ok(ids)
}

async fn lead(core: &Core, id: &str) -> Result<Option<Led>, Failure> {
    let (name, now) = (format!("connection/{id}"), core.clock.now());
    let lease = core
        .db
        .write(async |mut tx| {
            lease::acquire(&mut tx, &name, core.holder(), core.limits.lease, now).await
        })
        .await?;
    Ok(lease.map(|lease| Led {
        core: core.clone(),
        id: id.to_owned(),
        lease,
        versions: Arc::default(),
    }))
}

/// Works until nothing is due, then gives the lease back.
async fn keep(led: Led) {
    // One task for both: whatever ends the work ends the renewing, a panic too.
    let worked = tokio::select! {
        worked = work(&led) => worked,
        () = renew(&led) => Ok(()),
    };
    if let Err(failure) = worked
        && failure.reason != "LEASE_LOST"
    {
        tracing::warn!(connection = led.id, %failure, "work at a connection was broken off");
        // What is due stays due; without a rest it would be taken up at once, again and again.
        tokio::select! {
            () = led.core.shutdown.wait() => {}
            () = tokio::time::sleep(led.core.limits.poll) => {}
        }
    }
    let released = led
        .core
        .db
        .write(async |mut tx| lease::release(&mut tx, &led.lease).await);
    if let Err(failure) = released.await {
        tracing::warn!(connection = led.id, %failure, "a lease was not given back");
    }
    led.core.wake();
}

/// Prolongs the lease until it is lost or the process stops. A database that is away is asked
/// again while the term lasts.
async fn renew(led: &Led) {
    let core = &led.core;
    let third = core.limits.lease / 3;
    let mut good_until = led.lease.end;
    loop {
        tokio::select! {
            () = core.shutdown.wait() => break,
            () = tokio::time::sleep(third) => {}
        }
        let now = core.clock.now();
        let renewed = core
            .db
            .write(async |mut tx| lease::renew(&mut tx, &led.lease, core.limits.lease, now).await)
            .await;
        match renewed {
            Ok(lease) => good_until = lease.end,
            Err(failure) if failure.reason == "LEASE_LOST" || good_until <= core.clock.now() => {
                tracing::warn!(connection = led.id, %failure, "the lease is lost");
                break;
            }
            Err(failure) => tracing::warn!(connection = led.id, %failure, "the lease waits"),
        }
    }
}

/// The jobs of a connection that may go on at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    Run,
    Delivery,
    Event,
    Error,
}

async fn work(led: &Led) -> Result<(), Failure> {
    let core = &led.core;
    let mut jobs: JoinSet<Result<(), Failure>> = JoinSet::new();
    let mut busy: BTreeMap<Id, Job> = BTreeMap::new();
    loop {
        let wishes = runs::wishes(&mut *core.db.read().await?, &led.id, 0).await?;
        if wishes.deleted {
            core.close(&led.id);
            return Ok(());
        }
        if !wishes.paused {
            schedule(led).await?;
        }
        let now = core.clock.now();
        let mut due = connections::due_of(&mut *core.db.read().await?, &led.id, now).await?;
        if wishes.paused {
            // Only runs are looked at: they note that they stop.
            due = connections::Due {
                run: runs::next(&mut *core.db.read().await?, &led.id, now)
                    .await?
                    .is_some_and(|run| run.cancel),
                ..connections::Due::default()
            };
        }
        for (wanted, job) in [
            (due.run, Job::Run),
            (due.delivery, Job::Delivery),
            (due.event, Job::Event),
            (due.error, Job::Error),
        ] {
            if wanted && !busy.values().any(|b| *b == job) {
                let led = led.clone();
                let handle = match job {
                    Job::Run => jobs.spawn(async move { run::next(&led).await }),
                    Job::Delivery => jobs.spawn(async move { outbox::next(&led).await }),
                    Job::Event => jobs.spawn(async move { events::next(&led).await }),
                    Job::Error => jobs.spawn(async move { errors::next(&led).await }),
                };
                busy.insert(handle.id(), job);
            }
        }
        if busy.is_empty() {
            return prune(led).await;
        }
        tokio::select! {
            Some(ended) = jobs.join_next_with_id() => {
                let (id, result) = match ended {
                    Ok(ended) => ended,
                    Err(e) => (e.id(), Err(Failure::internal(format!("a job stopped: {e}")))),
                };
                busy.remove(&id);
                result?;
            }
            () = tokio::time::sleep(core.limits.poll) => {}
        }
    }
}

/// Puts a run into the queue when its time has come. One that is still under way is not doubled.
async fn schedule(led: &Led) -> Result<(), Failure> {
    let core = &led.core;
    let connection = match core.connection(&led.id).await {
        Ok(connection) => connection,
        Err(failure) if failure.code == Code::NotFound => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let now = core.clock.now();
    let come = |time: Option<jinke_types::Timestamp>| time.is_some_and(|t| t <= now);
    let (pull, sweep) = (come(connection.next_run), come(connection.next_sweep));
    if !pull && !sweep {
        return Ok(());
    }
    let after = |schedule: &Option<crate::schedule::Schedule>, due: bool, old| {
        if due {
            schedule.as_ref().and_then(|s| s.next(now))
        } else {
            old
        }
    };
    let next_run = after(&connection.schedule, pull, connection.next_run);
    let next_sweep = after(&connection.sweep.schedule, sweep, connection.next_sweep);
    core.db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            for (due, kind) in [(pull, RunKind::Pull), (sweep, RunKind::Sweep)] {
                if due && runs::open(&mut tx, &led.id, kind, &[]).await?.is_none() {
                    let by = Trigger::Schedule;
                    runs::create(&mut tx, &led.id, kind, by, &[], "", now).await?;
                }
            }
            let of = (led.id.as_str(), connection.revision);
            connections::set_next(&mut tx, of, next_run, next_sweep).await
        })
        .await
}

/// Forgets what is older than it is kept.
async fn prune(led: &Led) -> Result<(), Failure> {
    let core = &led.core;
    let old = core.clock.now().minus(core.limits.outbound_kept);
    core.db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            runs::prune(&mut tx, &led.id, core.limits.runs_kept).await?;
            deliveries::prune(&mut tx, &led.id, old).await?;
            stored_events::prune(&mut tx, &led.id, old).await?;
            Ok(())
        })
        .await
}
