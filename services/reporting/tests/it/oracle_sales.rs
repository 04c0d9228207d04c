//! The oracle's opinion on sales and on churn signs.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use jinke_reporting::{churn::Sign, facts::Outcome};

use crate::{
    fraction::{Fraction, big},
    oracle::{Oracle, months_later},
};

impl Oracle<'_> {
    /// The signs of a customer on the last day with the records they rest on, in order.
    pub fn signs(&self, customer: u32) -> Vec<(Sign, i64)> {
        let w = self.p.warning;
        let idle = |day: NaiveDate| (self.end - day).num_days();
        let mut orders = self.orders(customer);
        orders.retain(|t| self.day(t.time) <= self.end);
        orders.sort_by_key(|t| (t.time, t.id));
        let lost = self.stage(customer) == "lost";
        let mut found = Vec::new();
        if let (Some(first), Some(last), false) = (orders.first(), orders.last(), lost) {
            let day = self.day(last.time);
            if self.end >= months_later(day, w.no_order_months) {
                found.push((Sign::NoOrder, last.id));
            }
            let span = Fraction::whole((day - self.day(first.time)).num_days().into());
            let cycle = span.over(&Fraction::whole(orders.len() as i128 - 1));
            if let (Some(cycle), true) = (cycle, orders.len() >= w.cycle_orders) {
                // How many hundredths of the cycle have passed; none when it has no length.
                let passed = Fraction::whole(i128::from(idle(day)) * 100).over(&cycle);
                if passed.is_some_and(|p| p.at_least(&Fraction::whole(w.cycle_percent.into()))) {
                    found.push((Sign::Overdue, last.id));
                }
            }
        }
        let recent = |day: NaiveDate, days: i64| day <= self.end && idle(day) < days;
        let complaints = self
            .of(customer)
            .into_iter()
            .filter(|t| t.kind == 6 && !t.cancelled && recent(self.day(t.time), w.complaint_days));
        if let Some(last) = complaints.max_by_key(|t| (t.time, t.id)) {
            found.push((Sign::Complaint, last.id));
        }
        let mut rated: Vec<_> = self
            .interactions(customer)
            .into_iter()
            .filter(|i| self.day(i.time) <= self.end)
            .filter_map(|i| Some((i.time, i.id, i.rating.filter(|r| !r.0)?.1)))
            .collect();
        rated.sort_unstable();
        if let [.., before, last] = rated.as_slice()
            && last.2 < before.2
            && recent(self.day(last.0), w.rating_days)
        {
            found.push((Sign::SatisfactionFalls, last.1));
        }
        let order = [
            Sign::NoOrder,
            Sign::Complaint,
            Sign::SatisfactionFalls,
            Sign::Overdue,
        ];
        found.sort_by_key(|(sign, _)| order.iter().position(|s| s == sign));
        found
    }

    /// The stages that an opportunity reached, and whether it went beyond each: every stage of every
    /// version is asked, each move that stood in that version is looked at.
    pub fn conversion(&self, opportunity: u32) -> BTreeMap<String, bool> {
        let frame = self.frame;
        let o = &frame.opportunities[opportunity as usize];
        let mut found = BTreeMap::new();
        for ((pipeline, version), stages) in &frame.versions {
            if *pipeline != o.pipeline {
                continue;
            }
            let stood: Vec<usize> = frame
                .transitions
                .iter()
                .filter(|t| t.opportunity == opportunity)
                .filter(|t| t.pipeline == *pipeline && t.version == *version)
                .map(|t| stages.iter().position(|s| s.id == t.stage).unwrap())
                .collect();
            for (i, stage) in stages.iter().enumerate() {
                let end_of_all = stage.after_win && i + 1 == stages.len();
                if end_of_all || !stood.iter().any(|at| *at >= i) {
                    continue;
                }
                let won = o.outcome == Outcome::Won && !stage.after_win;
                let beyond = won || stood.iter().any(|at| *at > i);
                *found.entry(stage.id.clone()).or_insert(false) |= beyond;
            }
        }
        found
    }

    /// The value of a measure of sales.
    pub fn sales(&self, measure: &str) -> Option<Fraction> {
        let frame = self.frame;
        let mine = || {
            (0_u32..)
                .zip(&frame.opportunities)
                .filter(|(_, o)| self.counts(o.customer))
        };
        match measure {
            "win_rate" => {
                let ended: Vec<bool> = mine()
                    .filter(|(_, o)| o.outcome_time.is_some_and(|t| self.within(t)))
                    .map(|(_, o)| o.outcome == Outcome::Won)
                    .collect();
                let won = ended.iter().filter(|w| **w).count() as i128;
                Fraction::whole(won).over(&Fraction::whole(ended.len() as i128))
            }
            "sales_cycle_days_median" | "sales_cycle_days_p90" => {
                let mut days: Vec<i128> = mine()
                    .filter(|(_, o)| o.outcome == Outcome::Won)
                    .filter_map(|(_, o)| Some((o, o.outcome_time?)))
                    .filter(|(_, t)| self.within(*t))
                    .map(|(o, t)| {
                        let micros = Fraction::whole(i128::from(t.0 - o.create_time.0));
                        micros
                            .over(&Fraction::whole(86_400_000_000))
                            .unwrap()
                            .rounded()
                    })
                    .collect();
                days.sort_unstable();
                if days.is_empty() {
                    return None;
                }
                if measure.ends_with("median") {
                    let (a, b) = (days[(days.len() - 1) / 2], days[days.len() / 2]);
                    return Fraction::nanos(a + b).over(&Fraction::whole(2));
                }
                let rank = days
                    .iter()
                    .find(|d| days.iter().filter(|o| o <= d).count() * 10 >= days.len() * 9);
                rank.map(|d| Fraction::nanos(*d))
            }
            "stage_conversion_rate" => {
                let all = mine()
                    .filter(|(_, o)| self.within(o.create_time))
                    .flat_map(|(n, _)| self.conversion(n));
                let beyond: Vec<bool> = all.map(|(_, beyond)| beyond).collect();
                let went = beyond.iter().filter(|b| **b).count() as i128;
                Fraction::whole(went).over(&Fraction::whole(beyond.len() as i128))
            }
            "forecast_amount" => {
                let list: Vec<i128> = mine()
                    .filter(|(_, o)| o.outcome == Outcome::Open)
                    .filter_map(|(_, o)| {
                        let day = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap()
                            + TimeDelta::days(o.close_day?.into());
                        if !(self.start..=self.end).contains(&day) {
                            return None;
                        }
                        let (amount, currency) = o.amount?;
                        let amount = Fraction::nanos(self.converted(amount, currency)?);
                        let percent = Fraction(big(o.probability.into()), big(100));
                        Some(amount.times(&percent).rounded())
                    })
                    .collect();
                (!list.is_empty()).then(|| Fraction::nanos(list.iter().sum()))
            }
            other => panic!("the oracle knows no {other}"),
        }
    }
}
