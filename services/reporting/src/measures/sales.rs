//! Measures of opportunities: cycle, wins, conversion, forecast.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::NaiveDate;

use super::{Context, Contribution, Subject};
use crate::{
    facts::{Opportunity, Outcome, Stages},
    number::{self, ONE},
};

/// Microseconds of a day.
const DAY: i128 = 86_400_000_000;

fn counted<'a>(c: &'a Context<'_>) -> impl Iterator<Item = (u32, &'a Opportunity)> + 'a {
    (0..)
        .zip(&c.frame.opportunities)
        .filter(|(_, o)| c.counts(o.customer))
}

fn of(place: u32, o: &Opportunity, num: i128, den: i128) -> Contribution {
    Contribution {
        customer: o.customer,
        subject: Subject::Opportunity(place),
        num,
        den,
        label: None,
    }
}

pub(super) fn win_rate(c: &Context<'_>) -> Vec<Contribution> {
    counted(c)
        .filter(|(_, o)| o.outcome != Outcome::Open && o.outcome_time.is_some_and(|t| c.within(t)))
        .map(|(n, o)| {
            let num = if o.outcome == Outcome::Won { ONE } else { 0 };
            of(n, o, num, ONE)
        })
        .collect()
}

/// Days from beginning to win of what was won in the period.
pub(super) fn sales_cycle(c: &Context<'_>) -> Vec<Contribution> {
    counted(c)
        .filter_map(|(n, o)| {
            let won = o.outcome_time.filter(|_| o.outcome == Outcome::Won)?;
            if !c.within(won) {
                return None;
            }
            let micros = i128::from(won.0) - i128::from(o.create_time.0);
            Some(of(n, o, number::divide(micros * ONE, DAY)?, ONE))
        })
        .collect()
}

/// Of the opportunities that began in the period: which reached a stage, and of these, which went
/// beyond it. One that skipped a stage and reached a later one counts as having reached it; one that
/// came back counts once; a win is beyond every stage that does not follow a win. The order of
/// stages is that of the version an opportunity ran on when it stood there; where it ran on several,
/// it reached what it reached on any of them. A stage of the same id is the same stage.
pub(super) fn stage_conversion(c: &Context<'_>) -> Vec<Contribution> {
    let mut out = Vec::new();
    for (n, o) in counted(c) {
        if !c.within(o.create_time) {
            continue;
        }
        let won = o.outcome == Outcome::Won;
        let mut stages: Vec<(&str, bool)> = Vec::new();
        for (version, reached) in path(c, n, o) {
            let Some(last) = version.iter().rposition(|s| !s.after_win) else {
                continue;
            };
            for (i, stage) in version.iter().enumerate().take(reached + 1) {
                // Nothing is beyond the end of what follows a win.
                if i > last && i + 1 == version.len() {
                    continue;
                }
                let beyond = reached > i || (won && i <= last);
                match stages.iter_mut().find(|s| s.0 == stage.id) {
                    Some(known) => known.1 |= beyond,
                    None => stages.push((&stage.id, beyond)),
                }
            }
        }
        for (stage, beyond) in stages {
            out.push(Contribution {
                label: Some(Arc::from(stage)),
                ..of(n, o, if beyond { ONE } else { 0 }, ONE)
            });
        }
    }
    out
}

/// The versions of its present pipeline that an opportunity ran on, newest first, each with the
/// place of the latest stage that it was in there.
fn path<'a>(c: &Context<'a>, place: u32, o: &Opportunity) -> Vec<(&'a Stages, usize)> {
    let frame = c.frame;
    let all = &frame.transitions;
    let start = all.partition_point(|t| t.opportunity < place);
    let mut furthest: BTreeMap<i64, usize> = BTreeMap::new();
    for t in all[start..].iter().take_while(|t| t.opportunity == place) {
        if t.pipeline != o.pipeline {
            continue;
        }
        let Some(stages) = frame.stages_of(&t.pipeline, t.version) else {
            continue;
        };
        if let Some(at) = stages.iter().position(|s| s.id == t.stage) {
            let far = furthest.entry(t.version).or_insert(at);
            *far = at.max(*far);
        }
    }
    furthest
        .into_iter()
        .rev()
        .filter_map(|(version, at)| Some((frame.stages_of(&o.pipeline, version)?, at)))
        .collect()
}

/// Ids of the stages that an opportunity was in, or passed over on its way to a later one.
pub fn reached<'a>(c: &Context<'a>, place: u32, o: &Opportunity) -> BTreeSet<&'a str> {
    path(c, place, o)
        .into_iter()
        .flat_map(|(stages, at)| stages.iter().take(at + 1))
        .map(|stage| stage.id.as_str())
        .collect()
}

/// Amount times probability of open opportunities that should close in the period.
pub(super) fn forecast(c: &Context<'_>) -> Vec<Contribution> {
    let epoch = NaiveDate::default();
    counted(c)
        .filter(|(_, o)| o.outcome == Outcome::Open)
        .filter_map(|(n, o)| {
            let close = epoch + chrono::TimeDelta::days(i64::from(o.close_day?));
            if close < c.period.start || close > c.period.end {
                return None;
            }
            let (amount, currency) = o.amount?;
            let amount = c.rates.convert(amount, currency)?;
            let weighted = number::divide(amount.checked_mul(i128::from(o.probability))?, 100)?;
            Some(of(n, o, weighted, 0))
        })
        .collect()
}
