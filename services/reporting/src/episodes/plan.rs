//! What has to change about the stored episodes, given the facts: a pure function.
//!
//! * A sign whose anchor no episode of the customer has seen opens one, unless one is open there.
//! * A new order ends an open one; see [`ends`].
//! * One that was ended by an order that is the customer's no longer, because records were unmerged or
//!   the order was called off, goes on as if it had not been ended, unless another order ends it or a
//!   later episode of the customer has taken its place.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    churn::{self, Reason},
    facts::Transaction,
    measures::Context,
    store::episodes::{self, EpisodeRow},
};

/// What to do to stored episodes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Customers looked at.
    pub(super) looked_at: i64,
    /// Address, last order and reasons of those to be opened.
    pub(super) open: Vec<(i64, Option<i64>, Vec<Reason>)>,
    /// The state each one is in, and what it shall be.
    pub(super) change: Vec<(i64, EpisodeRow)>,
    /// Ended by an order.
    pub(super) recovered: i64,
    /// Open again.
    pub(super) reopened: i64,
    /// Customers whose episode stays open, or is open again.
    pub(super) still_open: i64,
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

/// What has to change, given the facts and the episodes so far, oldest first.
pub(super) fn plan(context: &Context<'_>, episodes: Vec<EpisodeRow>) -> Plan {
    let frame = context.frame;
    let (looked_at, signs) = signs(context);
    let mut plan = Plan {
        looked_at,
        ..Plan::default()
    };
    let mut seen: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    let mut latest: BTreeMap<u32, i64> = BTreeMap::new();
    let mut at = Vec::new();
    for episode in episodes {
        // An erased customer's episode stays as it is: there is nobody to ask about.
        let Some(place) = frame.resolve(episode.address) else {
            continue;
        };
        seen.entry(place)
            .or_default()
            .extend(episode.seen.split(' ').map(str::to_owned));
        let newest = latest.entry(place).or_insert(episode.id);
        *newest = episode.id.max(*newest);
        at.push((place, episode));
    }
    let mut open: BTreeSet<u32> = BTreeSet::new();
    for (place, mut episode) in at {
        let (was, before) = (episode.state, episode.clone());
        match was {
            episodes::OPEN => {}
            episodes::RECOVERED if !ended_still(context, place, &episode) => {
                if latest.get(&place) != Some(&episode.id) {
                    continue;
                }
                episode.state = episodes::OPEN;
                episode.end_time = None;
                episode.end_order = None;
            }
            _ => continue,
        }
        let ending =
            churn::newest_order(context, place).filter(|order| ends(context, &episode, order));
        if let Some(order) = ending {
            episode.state = episodes::RECOVERED;
            episode.end_time = Some(order.time.max(episode.create_time));
            episode.end_order = Some(order.id);
            plan.recovered += i64::from(was == episodes::OPEN);
        } else {
            open.insert(place);
            plan.reopened += i64::from(was != episodes::OPEN);
            let now = signs.get(&place).into_iter().flatten().map(Reason::key);
            let mut all: BTreeSet<String> = episode.seen.split(' ').map(str::to_owned).collect();
            all.extend(now);
            episode.seen = join(&all);
        }
        if episode != before {
            plan.change.push((was, episode));
        }
    }
    plan.still_open = i64::try_from(open.len()).unwrap_or(i64::MAX);
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

/// Whether the order that ended an episode is still an order of its customer. Of episodes that ended
/// before that was noted it is taken as given.
fn ended_still(context: &Context<'_>, place: u32, episode: &EpisodeRow) -> bool {
    let all = context.frame.transactions_of(place);
    episode
        .end_order
        .is_none_or(|id| all.iter().any(|t| t.id == id && context.purchase(t)))
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

/// Keys of signs as one text.
pub(super) fn join(keys: &BTreeSet<String>) -> String {
    let keys: Vec<&str> = keys
        .iter()
        .map(String::as_str)
        .filter(|k| !k.is_empty())
        .collect();
    keys.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        calendar::{Period, Zone},
        facts::{Customer, Frame, kind},
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
            person: 0,
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
            end_order: None,
        };
        let plan = plan(&Context::new(&frame, &p, period), vec![episode]);
        if let Some((_, episode)) = plan.change.first()
            && episode.state == episodes::RECOVERED
        {
            // It never ends before it began.
            assert!(episode.end_time >= Some(episode.create_time));
            assert_eq!(episode.end_order, Some(id));
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
