//! Measures of opportunities: cycle, wins, conversion, forecast.

use std::sync::Arc;

use chrono::NaiveDate;

use super::{Context, Contribution, Subject};
use crate::{
    facts::{Opportunity, Outcome},
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
/// came back counts once; a win is beyond every stage that does not follow a win.
pub(super) fn stage_conversion(c: &Context<'_>) -> Vec<Contribution> {
    let mut out = Vec::new();
    for (n, o) in counted(c) {
        if !c.within(o.create_time) {
            continue;
        }
        let Some(stages) = c.frame.stages.get(&o.pipeline) else {
            continue;
        };
        let Some(last) = stages.iter().rposition(|s| !s.after_win) else {
            continue;
        };
        let reached = furthest(c, n, o);
        let Some(reached) = reached else { continue };
        let won = o.outcome == Outcome::Won;
        for (i, stage) in stages.iter().enumerate() {
            if reached < i || (i > last && i + 1 == stages.len()) {
                continue;
            }
            let beyond = reached > i || (won && i <= last);
            out.push(Contribution {
                label: Some(Arc::from(stage.id.as_str())),
                ..of(n, o, if beyond { ONE } else { 0 }, ONE)
            });
        }
    }
    out
}

/// The latest stage, in the order of the pipeline, that an opportunity was ever in.
pub fn furthest(c: &Context<'_>, place: u32, o: &Opportunity) -> Option<usize> {
    let stages = c.frame.stages.get(&o.pipeline)?;
    let position = |id: &str| stages.iter().position(|s| s.id == id);
    let all = &c.frame.transitions;
    let start = all.partition_point(|t| t.opportunity < place);
    all[start..]
        .iter()
        .take_while(|t| t.opportunity == place)
        .filter(|t| t.pipeline == o.pipeline)
        .filter_map(|t| position(&t.stage))
        .max()
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
