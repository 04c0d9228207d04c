//! Churn episodes: opened once, ended by an order or a person, one task each.
//!
//! Orders are compared by the day in the business time zone where their time cannot tell more: see
//! [`ends`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jinke_store::counter;
use jinke_types::{Failure, RowScope};

use crate::{
    calendar::Period,
    churn::{self, Reason},
    core::{Core, RequestId},
    facts::{Frame, Transaction},
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
    /// Episodes open now.
    pub open: i64,
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

/// What to do to stored episodes.
#[derive(Debug, Default)]
struct Plan {
    looked_at: i64,
    /// Address, last order and reasons of those to be opened.
    open: Vec<(i64, Option<i64>, Vec<Reason>)>,
    change: Vec<EpisodeRow>,
    recovered: i64,
    still_open: i64,
}

/// Reasons of every customer that has any, by place, today.
fn signs(context: &Context<'_>) -> (i64, BTreeMap<u32, Vec<Reason>>) {
    let (mut looked_at, mut found) = (0, BTreeMap::new());
    for place in context.population() {
        looked_at += 1;
        let reasons = churn::reasons(context, place);
        if !reasons.is_empty() {
            found.insert(place, reasons);
        }
    }
    (looked_at, found)
}

/// What has to change, given the facts and the episodes so far.
fn plan(context: &Context<'_>, episodes: Vec<EpisodeRow>) -> Plan {
    let frame = context.frame;
    let (looked_at, signs) = signs(context);
    let mut plan = Plan {
        looked_at,
        ..Plan::default()
    };
    let mut seen: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    let mut open: BTreeSet<u32> = BTreeSet::new();
    let mut running = Vec::new();
    for episode in episodes {
        // An erased customer's episode stays as it is: there is nobody to ask about.
        let Some(place) = frame.resolve(episode.address) else {
            continue;
        };
        seen.entry(place)
            .or_default()
            .extend(episode.seen.split(' ').map(str::to_owned));
        if episode.state == episodes::OPEN {
            running.push((place, episode));
        }
    }
    for (place, mut episode) in running {
        let ended = churn::newest_order(context, place)
            .filter(|order| ends(context, &episode, order))
            .map(|order| order.time.max(episode.create_time));
        if ended.is_some() {
            episode.state = episodes::RECOVERED;
            episode.end_time = ended;
            episode.revision += 1;
            plan.recovered += 1;
            plan.change.push(episode);
            continue;
        }
        open.insert(place);
        plan.still_open += 1;
        let now: BTreeSet<String> = signs
            .get(&place)
            .into_iter()
            .flatten()
            .map(Reason::key)
            .collect();
        let mut all: BTreeSet<String> = episode.seen.split(' ').map(str::to_owned).collect();
        let before = all.len();
        all.extend(now);
        if all.len() > before {
            episode.seen = join(&all);
            plan.change.push(episode);
        }
    }
    for (place, reasons) in signs {
        let known = seen.get(&place);
        let news = reasons
            .iter()
            .any(|r| known.is_none_or(|seen| !seen.contains(&r.key())));
        if news && !open.contains(&place) {
            let order = churn::newest_order(context, place).map(|t| t.id);
            plan.open.push((frame.customer(place).id, order, reasons));
        }
    }
    plan
}

/// Whether the customer's newest order ends an episode: one that came after it opened, or one of the
/// same day that it did not know. Many systems date an order by day alone, which is midnight of the
/// business time zone, and before any episode of that day.
fn ends(context: &Context<'_>, episode: &EpisodeRow, order: &Transaction) -> bool {
    let zone = context.parameters.zone;
    order.time > episode.create_time
        || (zone.day(order.time) == zone.day(episode.create_time)
            && episode.last_order != Some(0)
            && episode.last_order != Some(order.id))
}

fn join(keys: &BTreeSet<String>) -> String {
    let keys: Vec<&str> = keys
        .iter()
        .map(String::as_str)
        .filter(|k| !k.is_empty())
        .collect();
    keys.join(" ")
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
            Ok(plan(&context, stored))
        })
        .await?
    };
    let mut done = Evaluation {
        customers: planned.looked_at,
        opened: i64::try_from(planned.open.len()).unwrap_or(i64::MAX),
        recovered: planned.recovered,
        open: planned.still_open,
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
            for episode in &planned.change {
                // Somebody may have closed it meanwhile; what he did stays.
                let stored = episodes::get(tx, episode.id).await?;
                if stored.is_some_and(|s| s.state == episodes::OPEN) {
                    episodes::put(tx, episode).await?;
                }
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
                    seen: join(&keys),
                    last_order: *last_order,
                };
                episodes::put(tx, &episode).await?;
            }
            core.complete(tx, request, "churnEpisodes/-", 0).await?;
            Ok(fresh)
        })
        .await?;
    done.opened = fresh;
    done.tasks = make_tasks(core, outside, rules).await?;
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

/// Makes the task of every open episode that has none; how many. The episode's name is the task's
/// origin, so that one that was made and not noted is found again.
async fn make_tasks(
    core: &Core,
    outside: &Arc<dyn Outside>,
    rules: &TaskRules,
) -> Result<i64, Failure> {
    let waiting = episodes::without_task(&mut *core.db.read().await?, 10_000).await?;
    let mut made = 0;
    for episode in waiting {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        calendar::Zone,
        facts::{Customer, kind},
        parameters::Parameters,
    };
    use jinke_types::Timestamp;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// Whether an order of this number and time ends an episode that opened at noon of 26 July in
    /// China and knew `known`.
    fn ended(zone: &str, known: Option<i64>, id: i64, time: &str) -> bool {
        let order = Transaction {
            id,
            customer: 0,
            source: 0,
            currency: 0,
            kind: kind::ORDER,
            cancelled: false,
            has_amount: true,
            nanos: 0,
            units: 10,
            time: at(time),
        };
        let frame = Frame {
            customers: vec![Customer {
                id: 1,
                ..Customer::default()
            }],
            transactions: vec![order],
            currencies: vec!["CNY".to_owned()],
            ..Frame::default()
        };
        let p = Parameters {
            zone: Zone::parse(zone).unwrap(),
            ..Parameters::default()
        };
        let day = "2026-07-27".parse().unwrap();
        let period = Period {
            start: day,
            end: day,
        };
        let episode = EpisodeRow {
            id: 1,
            address: 1,
            state: episodes::OPEN,
            reasons: "[]".to_owned(),
            task: String::new(),
            cause: 0,
            comment: None,
            revision: 1,
            create_time: at("2026-07-26T04:00:00Z"),
            end_time: None,
            seen: String::new(),
            last_order: known,
        };
        let plan = plan(&Context::new(&frame, &p, period), vec![episode]);
        let changed = plan.change.first();
        if let Some(episode) = changed.filter(|e| e.state == episodes::RECOVERED) {
            // It never ends before it began.
            assert!(episode.end_time >= Some(episode.create_time));
        }
        plan.recovered == 1
    }

    #[test]
    fn an_order_dated_by_day_ends_an_episode_of_that_day() {
        let china = "Asia/Shanghai";
        // Midnight of the day, as systems that know no times write it: in China, or in UTC.
        assert!(ended(china, Some(5), 9, "2026-07-25T16:00:00Z"));
        assert!(ended(china, None, 9, "2026-07-26T00:00:00Z"));
        // Later, as ever, whatever was known.
        assert!(ended(china, Some(9), 9, "2026-07-26T04:00:01Z"));
        // The day before in China, although the same day in UTC.
        assert!(!ended(china, Some(5), 9, "2026-07-25T15:59:59Z"));
        assert!(ended("UTC", Some(5), 9, "2026-07-26T00:00:00Z"));
        assert!(!ended("UTC", Some(5), 9, "2026-07-25T16:00:00Z"));
        // An order of that day that it knew, a complaint about which opened it, does not end it.
        assert!(!ended(china, Some(9), 9, "2026-07-25T16:00:00Z"));
        // Of older episodes it is not known what they knew.
        assert!(!ended(china, Some(0), 9, "2026-07-25T16:00:00Z"));
    }
}
