//! Measures of who came, stayed, left and came back.

use std::sync::Arc;

use super::{Context, Contribution, Subject};
use crate::{calendar::days_between, facts::Transaction, number::ONE};

/// Fields whose coverage is measured, in the order of the answer.
pub const FIELDS: [&str; 10] = [
    "name", "uscc", "phone", "email", "address", "industry", "size", "owner", "tag", "contact",
];

pub(super) fn customer_count(c: &Context<'_>) -> Vec<Contribution> {
    c.population()
        .map(|place| Contribution {
            den: 0,
            ..Contribution::of_customer(place, ONE)
        })
        .collect()
}

pub(super) fn new_customer_count(c: &Context<'_>) -> Vec<Contribution> {
    c.frame
        .by_customer()
        .filter(|(place, _)| c.counts(*place))
        .filter(|(_, all)| {
            all.iter()
                .find(|t| c.purchase(t))
                .is_some_and(|first| c.within(first.time))
        })
        .map(|(place, _)| Contribution {
            den: 0,
            ..Contribution::of_customer(place, ONE)
        })
        .collect()
}

/// Orders of one customer within `[from, to)`.
fn bought(
    c: &Context<'_>,
    all: &[Transaction],
    from: jinke_types::Timestamp,
    to: jinke_types::Timestamp,
) -> usize {
    all.iter()
        .filter(|t| t.time >= from && t.time < to && c.purchase(t))
        .count()
}

/// Of those who bought in the period before, the ones who bought in this one, or did not.
pub(super) fn retention(c: &Context<'_>, kept: bool) -> Vec<Contribution> {
    let before = c.period.before();
    let from = c.start_of(before.start);
    c.frame
        .by_customer()
        .filter(|(place, all)| c.counts(*place) && bought(c, all, from, c.from) > 0)
        .map(|(place, all)| {
            let again = bought(c, all, c.from, c.to) > 0;
            Contribution::of_customer(place, if again == kept { ONE } else { 0 })
        })
        .collect()
}

pub(super) fn activity(c: &Context<'_>) -> Vec<Contribution> {
    c.population()
        .map(|place| {
            let active = bought(c, c.frame.transactions_of(place), c.from, c.to) > 0
                || c.frame
                    .interactions_of(place)
                    .iter()
                    .any(|i| c.within(i.time));
            Contribution::of_customer(place, if active { ONE } else { 0 })
        })
        .collect()
}

pub(super) fn reactivation(c: &Context<'_>) -> Vec<Contribution> {
    let dormant = c.dormant();
    c.frame
        .by_customer()
        .filter(|(place, _)| c.counts(*place) && dormant[*place as usize])
        .map(|(place, all)| {
            let back = bought(c, all, c.from, c.to) > 0;
            Contribution::of_customer(place, if back { ONE } else { 0 })
        })
        .collect()
}

pub(super) fn repurchase(c: &Context<'_>) -> Vec<Contribution> {
    c.frame
        .by_customer()
        .filter(|(place, _)| c.counts(*place))
        .filter_map(|(place, all)| {
            let orders = bought(c, all, c.from, c.to);
            (orders > 0).then(|| Contribution::of_customer(place, if orders > 1 { ONE } else { 0 }))
        })
        .collect()
}

/// Days from one order to the next, where the next is in the period.
pub(super) fn repurchase_interval(c: &Context<'_>) -> Vec<Contribution> {
    let zone = c.parameters.zone;
    let mut out = Vec::new();
    let mut last: Option<(u32, jinke_types::Timestamp)> = None;
    for (n, t) in c.frame.transactions.iter().enumerate() {
        if !c.counts(t.customer) || !c.purchase(t) {
            continue;
        }
        if let Some((customer, before)) = last
            && customer == t.customer
            && c.within(t.time)
        {
            let days = days_between(zone.day(before), zone.day(t.time));
            out.push(Contribution {
                customer,
                subject: Subject::Transaction(u32::try_from(n).unwrap_or(u32::MAX)),
                num: i128::from(days) * ONE,
                den: ONE,
                label: None,
            });
        }
        last = Some((t.customer, t.time));
    }
    out
}

pub(super) fn field_coverage(c: &Context<'_>) -> Vec<Contribution> {
    let labels: Vec<Arc<str>> = FIELDS.iter().map(|f| Arc::from(*f)).collect();
    c.population()
        .flat_map(|place| {
            let filled = &c.frame.customer(place).filled;
            labels.iter().map(move |label| Contribution {
                label: Some(Arc::clone(label)),
                ..Contribution::of_customer(
                    place,
                    if filled.contains(&label.as_ref()) {
                        ONE
                    } else {
                        0
                    },
                )
            })
        })
        .collect()
}

fn interactions<'a>(
    c: &'a Context<'_>,
) -> impl Iterator<Item = (u32, &'a crate::facts::Interaction)> + 'a {
    c.frame
        .interactions
        .iter()
        .enumerate()
        .filter(|(_, i)| c.counts(i.customer) && c.within(i.time))
        .map(|(n, i)| (u32::try_from(n).unwrap_or(u32::MAX), i))
}

pub(super) fn interaction_count(c: &Context<'_>) -> Vec<Contribution> {
    interactions(c)
        .map(|(n, i)| Contribution {
            customer: i.customer,
            subject: Subject::Interaction(n),
            num: ONE,
            den: 0,
            label: None,
        })
        .collect()
}

/// Answers to surveys: the recommendation score (0 to 10: promoters from 9, detractors up to 6),
/// or the satisfaction as it was given.
pub(super) fn rating(c: &Context<'_>, nps: bool) -> Vec<Contribution> {
    interactions(c)
        .filter_map(|(n, i)| {
            let (is_nps, rating) = i.rating?;
            if is_nps != nps {
                return None;
            }
            let num = match nps {
                true if rating >= 9 * ONE => 100 * ONE,
                true if rating <= 6 * ONE => -100 * ONE,
                true => 0,
                false => rating,
            };
            Some(Contribution {
                customer: i.customer,
                subject: Subject::Interaction(n),
                num,
                den: ONE,
                label: None,
            })
        })
        .collect()
}
