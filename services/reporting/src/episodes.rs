//! Churn episodes: opened once, ended by an order or a person, one task each.
//!
//! An episode stays at its address (D4). Of those open at a customer that was merged the oldest
//! [leads](leading): it speaks for the customer and only it is given a task. What an unmerge parts goes
//! with its record: each episode leads at its own customer again, and one that was ended by an order
//! that left is open again. See [`plan`].

mod plan;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jinke_store::counter;
use jinke_types::{Failure, RowScope};

use crate::{
    calendar::Period,
    churn::Reason,
    core::{Core, RequestId},
    facts::Frame,
    measures::Context,
    outside::{NewTask, Outside},
    store::episodes::{self, EpisodeRow},
};

/// What an evaluation found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// Customers looked at.
    pub customers: i64,
    /// Episodes opened.
    pub opened: i64,
    /// Episodes ended by an order.
    pub recovered: i64,
    /// Customers with an open episode now.
    pub open: i64,
    /// Episodes open again: the order that ended them is no longer the customer's.
    pub reopened: i64,
    /// Tasks made.
    pub tasks: i64,
}

/// How tasks are made.
#[derive(Clone, Debug)]
pub struct TaskRules {
    /// Days the owner has.
    pub days: u64,
    /// Who gets a task nobody else does.
    pub fallback_owner: String,
}

/// Looks at every customer; opens, continues and ends episodes in one transaction, then makes the
/// tasks that are missing. Doing it again changes nothing.
///
/// # Errors
/// Those of the store; a task that cannot be made is tried again next time.
pub async fn evaluate(
    core: &Core,
    outside: &Arc<dyn Outside>,
    rules: &TaskRules,
    validate_only: bool,
    request: Option<&RequestId>,
) -> Result<(Evaluation, Arc<Frame>), Failure> {
    let frame = core.frame(&RowScope::All, false).await?;
    let parameters = Arc::clone(&core.defaults);
    let today = core.today(&parameters);
    let stored = all(core).await?;
    let planned = {
        let frame = Arc::clone(&frame);
        core.compute(move || {
            let period = Period {
                start: today,
                end: today,
            };
            let context = Context::new(&frame, &parameters, period);
            Ok(plan::plan(&context, stored))
        })
        .await?
    };
    let mut done = Evaluation {
        customers: planned.looked_at,
        opened: i64::try_from(planned.open.len()).unwrap_or(i64::MAX),
        recovered: planned.recovered,
        open: planned.still_open,
        reopened: planned.reopened,
        tasks: 0,
    };
    done.open += done.opened;
    if validate_only {
        return Ok((done, frame));
    }
    let (now, planned) = (core.clock.now(), &planned);
    let fresh = core
        .db
        .write(async |mut tx| {
            let tx = &mut tx;
            tx.lock("churn").await?;
            if core.claim(tx, request, now).await?.is_some() {
                return Ok(0);
            }
            let mut fresh = 0;
            for (was, episode) in &planned.change {
                // Somebody may have closed it meanwhile, and its task may have been noted; what was
                // done stays.
                let Some(stored) = episodes::get(tx, episode.id).await? else {
                    continue;
                };
                let opens = episode.state == episodes::OPEN && *was != episodes::OPEN;
                if stored.state != *was
                    || (opens && episodes::is_open_at(tx, episode.address).await?)
                {
                    continue;
                }
                let changed = EpisodeRow {
                    task: stored.task,
                    revision: stored.revision + i64::from(episode.state != *was),
                    ..episode.clone()
                };
                episodes::put(tx, &changed).await?;
            }
            for (address, last_order, reasons) in &planned.open {
                // Another replica may have opened one meanwhile.
                if episodes::is_open_at(tx, *address).await? {
                    continue;
                }
                fresh += 1;
                let keys = reasons.iter().map(Reason::key).collect();
                let episode = EpisodeRow {
                    id: counter::take(tx, "churn_episodes", 1).await?,
                    address: *address,
                    state: episodes::OPEN,
                    reasons: serde_json::to_string(reasons).map_err(Failure::internal)?,
                    task: String::new(),
                    cause: 0,
                    comment: None,
                    revision: 1,
                    create_time: now,
                    end_time: None,
                    seen: plan::join(&keys),
                    last_order: *last_order,
                    end_order: None,
                };
                episodes::put(tx, &episode).await?;
            }
            core.complete(tx, request, "churnEpisodes/-", 0).await?;
            Ok(fresh)
        })
        .await?;
    done.opened = fresh;
    done.tasks = make_tasks(core, outside, rules, &frame).await?;
    Ok((done, frame))
}

async fn all(core: &Core) -> Result<Vec<EpisodeRow>, Failure> {
    let mut conn = core.db.read().await?;
    let (mut list, mut last) = (Vec::new(), 0);
    loop {
        let page = episodes::after(&mut conn, last, 5_000).await?;
        let Some(end) = page.last() else {
            return Ok(list);
        };
        last = end.id;
        list.extend(page);
    }
}

/// The open episode that speaks for each customer, by place: the oldest of those open there. `open` are
/// numbers and addresses.
pub fn leading(frame: &Frame, open: &[(i64, i64)]) -> BTreeMap<u32, i64> {
    let mut leading = BTreeMap::new();
    for (id, address) in open {
        if let Some(place) = frame.resolve(*address) {
            let first = leading.entry(place).or_insert(*id);
            *first = (*id).min(*first);
        }
    }
    leading
}

/// Makes the task of every open episode that has none; how many. The episode's name is the task's
/// origin, so that one that was made and not noted is found again.
async fn make_tasks(
    core: &Core,
    outside: &Arc<dyn Outside>,
    rules: &TaskRules,
    frame: &Frame,
) -> Result<i64, Failure> {
    let (waiting, leading) = {
        let mut conn = core.db.read().await?;
        let waiting = episodes::without_task(&mut conn, 10_000).await?;
        (waiting, leading(frame, &episodes::open(&mut conn).await?))
    };
    let mut made = 0;
    for episode in waiting {
        // While another speaks for the customer, its task is the customer's.
        let place = frame.resolve(episode.address);
        if place.is_some_and(|p| leading.get(&p).is_some_and(|id| *id != episode.id)) {
            continue;
        }
        let reasons: Vec<Reason> =
            serde_json::from_str(&episode.reasons).map_err(Failure::internal)?;
        let words: Vec<&str> = reasons.iter().map(|r| r.sign.zh()).collect();
        let lines: Vec<&str> = reasons.iter().map(|r| r.text_zh.as_str()).collect();
        let days = Duration::from_secs(rules.days * 86_400);
        let task = NewTask {
            customer: format!("customers/{}", episode.address),
            subject: format!("流失预警：{}", words.join("、")),
            text: lines.join("\n"),
            due: core.clock.now().plus(days),
            origin: format!("churnEpisodes/{}", episode.id),
            owner: String::new(),
        };
        let name = match outside.create_task(task.clone()).await {
            Err(e) if !rules.fallback_owner.is_empty() && is_about_owner(&e) => {
                outside
                    .create_task(NewTask {
                        owner: rules.fallback_owner.clone(),
                        ..task
                    })
                    .await
            }
            other => other,
        };
        let name = match name {
            Ok(name) => name,
            Err(e) => {
                // The next evaluation tries again; one that fails must not keep the others back.
                tracing::warn!(episode = episode.id, error = %e, "no task could be made");
                continue;
            }
        };
        let (id, name) = (episode.id, &name);
        core.db
            .write(async |mut tx| episodes::note_task(&mut tx, id, name).await)
            .await?;
        made += 1;
    }
    Ok(made)
}

/// Nobody owns the customer, and pipeline takes no task without an owner.
fn is_about_owner(failure: &Failure) -> bool {
    failure
        .violations
        .iter()
        .any(|v| v.field.ends_with("owner"))
        || failure.reason.contains("OWNER")
}
