//! Churn warnings: signs that a customer may leave (R135, R140).
//!
//! * **三个月没下单**: the day is on or after the last order's day plus `no_order_months`, and the
//!   customer is not lost yet. Months end where the month ends: an order of 30 November warns from
//!   28 or 29 February on.
//! * **近期投诉**: a ticket within the last `complaint_days` days, today included.
//! * **满意度下降**: the newest satisfaction rating is lower than the one before it and within the
//!   last `rating_days` days.
//! * **超出自身下单周期**: with `cycle_orders` orders and more, the days since the last one reach
//!   `cycle_percent` of the mean days between orders, and the customer is not lost yet.
//!
//! Each sign has an anchor: the fact it rests on. An episode answers for the anchors it saw; only a
//! sign with a new anchor opens another one.

use chrono::{Days, NaiveDate};
use jinke_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    calendar::{add_months, days_between},
    facts::{Transaction, kind},
    measures::{Context, profile::Stage},
    number,
};

/// What sort of sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// No order for months.
    NoOrder,
    /// A recent complaint.
    Complaint,
    /// Falling satisfaction.
    SatisfactionFalls,
    /// Overdue by the own cycle.
    Overdue,
}

impl Sign {
    /// All, in order.
    pub const ALL: [Self; 4] = [
        Self::NoOrder,
        Self::Complaint,
        Self::SatisfactionFalls,
        Self::Overdue,
    ];

    /// The word for people.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::NoOrder => "三个月没下单",
            Self::Complaint => "近期投诉",
            Self::SatisfactionFalls => "满意度下降",
            Self::Overdue => "超出自身下单周期",
        }
    }

    /// The word in English.
    pub const fn en(self) -> &'static str {
        match self {
            Self::NoOrder => "No order for months",
            Self::Complaint => "Recent complaint",
            Self::SatisfactionFalls => "Falling satisfaction",
            Self::Overdue => "Overdue by own cycle",
        }
    }
}

/// A sign with what it says and rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What sort.
    pub sign: Sign,
    /// In Chinese, with the numbers.
    pub text_zh: String,
    /// In English.
    pub text: String,
    /// When it became true.
    pub since: Timestamp,
    /// Record number of the fact it rests on.
    pub anchor: i64,
}

impl Reason {
    /// What an episode answers for.
    pub fn key(&self) -> String {
        format!("{:?}:{}", self.sign, self.anchor)
    }
}

/// The signs of one customer on the last day of the context.
pub fn reasons(context: &Context<'_>, place: u32) -> Vec<Reason> {
    let all = context.frame.transactions_of(place);
    let counted = &all[..all.partition_point(|t| t.time < context.to)];
    let mut out = Vec::new();
    let lost = context.profiles()[place as usize].stage == Stage::Lost;
    if !lost {
        out.extend(no_order(context, counted));
    }
    out.extend(complaint(context, counted));
    out.extend(satisfaction(context, place));
    if !lost {
        out.extend(overdue(context, counted));
    }
    out
}

/// The last order of a customer up to the last day of the context.
pub fn newest_order<'f>(context: &Context<'f>, place: u32) -> Option<&'f Transaction> {
    let all = context.frame.transactions_of(place);
    last_order(
        context,
        &all[..all.partition_point(|t| t.time < context.to)],
    )
}

fn last_order<'t>(context: &Context<'_>, counted: &'t [Transaction]) -> Option<&'t Transaction> {
    counted.iter().rev().find(|t| context.purchase(t))
}

fn no_order(context: &Context<'_>, counted: &[Transaction]) -> Option<Reason> {
    let p = context.parameters;
    let last = last_order(context, counted)?;
    let months = p.warning.no_order_months;
    let day = p.zone.day(last.time);
    let from = add_months(day, months);
    (context.period.end >= from).then(|| Reason {
        sign: Sign::NoOrder,
        text_zh: format!("自 {day} 起已满 {months} 个月没有下单"),
        text: format!("no order for {months} months since {day}"),
        since: p.zone.start(from),
        anchor: last.id,
    })
}

fn complaint(context: &Context<'_>, counted: &[Transaction]) -> Option<Reason> {
    let p = context.parameters;
    let days = p.warning.complaint_days;
    let recent: Vec<&Transaction> = counted
        .iter()
        .filter(|t| t.kind == kind::TICKET && !t.cancelled)
        .filter(|t| days_between(p.zone.day(t.time), context.period.end) < days)
        .collect();
    let last = recent.last()?;
    let count = recent.len();
    Some(Reason {
        sign: Sign::Complaint,
        text_zh: format!(
            "近 {days} 天内有 {count} 次投诉，最近一次在 {}",
            p.zone.day(last.time)
        ),
        text: format!(
            "complaints in the last {days} days: {count}, the last on {}",
            p.zone.day(last.time)
        ),
        since: last.time,
        anchor: last.id,
    })
}

fn satisfaction(context: &Context<'_>, place: u32) -> Option<Reason> {
    let p = context.parameters;
    let ratings: Vec<_> = context
        .frame
        .interactions_of(place)
        .iter()
        .filter(|i| i.time < context.to)
        .filter_map(|i| match i.rating {
            Some((false, rating)) => Some((i, rating)),
            _ => None,
        })
        .collect();
    let [.., (_, before), (last, now)] = ratings.as_slice() else {
        return None;
    };
    let age = days_between(p.zone.day(last.time), context.period.end);
    (now < before && age < p.warning.rating_days).then(|| Reason {
        sign: Sign::SatisfactionFalls,
        text_zh: format!(
            "满意度由 {} 降到 {}",
            number::text(*before),
            number::text(*now)
        ),
        text: format!(
            "satisfaction fell from {} to {}",
            number::text(*before),
            number::text(*now)
        ),
        since: last.time,
        anchor: last.id,
    })
}

fn overdue(context: &Context<'_>, counted: &[Transaction]) -> Option<Reason> {
    let p = context.parameters;
    let orders: Vec<&Transaction> = counted.iter().filter(|t| context.purchase(t)).collect();
    let (first, last) = (orders.first()?, orders.last()?);
    if orders.len() < p.warning.cycle_orders {
        return None;
    }
    let gaps = i64::try_from(orders.len() - 1).ok()?;
    let last_day = p.zone.day(last.time);
    let span = days_between(p.zone.day(first.time), last_day);
    if span == 0 {
        return None;
    }
    let idle = days_between(last_day, context.period.end);
    // idle >= percent/100 · span/gaps, over whole numbers.
    let (limit, unit) = (p.warning.cycle_percent.checked_mul(span)?, 100 * gaps);
    if idle.checked_mul(unit)? < limit {
        return None;
    }
    let after = u64::try_from((limit + unit - 1) / unit).ok()?;
    let since: NaiveDate = last_day.checked_add_days(Days::new(after))?;
    let cycle = (span + gaps / 2) / gaps;
    Some(Reason {
        sign: Sign::Overdue,
        text_zh: format!("平均约 {cycle} 天下一单，已 {idle} 天没有下单"),
        text: format!("orders about every {cycle} days, none for {idle} days"),
        since: p.zone.start(since),
        anchor: last.id,
    })
}
