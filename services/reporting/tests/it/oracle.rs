//! A slow second opinion on every measure, written from the definitions: days are compared as days,
//! numbers are fractions of whole numbers, everything is counted pair by pair.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};
use chrono_tz::Tz;
use jinke_reporting::{
    facts::{Frame, Interaction, Transaction},
    parameters::{Parameters, Scoring},
};
use jinke_types::Timestamp;

use crate::fraction::Fraction;

/// The facts with what is asked of them.
pub struct Oracle<'a> {
    pub frame: &'a Frame,
    pub p: &'a Parameters,
    pub zone: Tz,
    pub start: NaiveDate,
    pub end: NaiveDate,
}

/// Scores of one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scores {
    pub r: i32,
    pub f: i32,
    pub m: i32,
    pub points: i32,
    pub grade: u8,
}

pub fn last_of_month(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 => 29,
        2 => 28,
        _ => 31,
    }
}

pub fn months_later(day: NaiveDate, months: i32) -> NaiveDate {
    let count = day.year() * 12 + day.month0() as i32 + months;
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) as u32 + 1);
    NaiveDate::from_ymd_opt(year, month, day.day().min(last_of_month(year, month))).unwrap()
}

impl Oracle<'_> {
    pub fn day(&self, t: Timestamp) -> NaiveDate {
        DateTime::from_timestamp_micros(t.0)
            .unwrap()
            .with_timezone(&self.zone)
            .date_naive()
    }
    pub fn within(&self, t: Timestamp) -> bool {
        (self.start..=self.end).contains(&self.day(t))
    }
    pub fn of(&self, customer: u32) -> Vec<&Transaction> {
        let all = self.frame.transactions.iter();
        all.filter(|t| t.customer == customer).collect()
    }
    pub fn orders(&self, customer: u32) -> Vec<&Transaction> {
        let mut list = self.of(customer);
        list.retain(|t| self.is_order(t));
        list
    }
    fn is_order(&self, t: &Transaction) -> bool {
        !t.cancelled && t.kind == self.p.basis && !(t.has_amount && (t.units < 0 || t.nanos < 0))
    }
    /// What it adds to revenue, rounded to billionths.
    fn revenue(&self, t: &Transaction) -> Option<i128> {
        if t.cancelled || !t.has_amount {
            return None;
        }
        let refund = t.kind == 4 || (t.kind == self.p.basis && (t.units < 0 || t.nanos < 0));
        if !refund && t.kind != self.p.basis {
            return None;
        }
        let amount = i128::from(t.units) * 1_000_000_000 + i128::from(t.nanos);
        let amount = if refund { -amount.abs() } else { amount };
        self.converted(amount, t.currency)
    }
    pub fn converted(&self, amount: i128, currency: u16) -> Option<i128> {
        let code = &self.frame.currencies[usize::from(currency)];
        if *code == self.p.currency {
            return Some(amount);
        }
        let rate = *self.p.rates.get(code)?;
        Some(
            Fraction::nanos(amount)
                .times(&Fraction::nanos(rate))
                .rounded(),
        )
    }
    pub fn counts(&self, customer: u32) -> bool {
        self.p
            .counts(self.frame.customers[customer as usize].person)
    }
    fn customers(&self) -> Vec<u32> {
        (0..self.frame.customers.len() as u32)
            .filter(|c| self.counts(*c))
            .collect()
    }
    pub fn interactions(&self, customer: u32) -> Vec<&Interaction> {
        let all = self.frame.interactions.iter();
        all.filter(|i| i.customer == customer).collect()
    }
    fn known(&self) -> Vec<u32> {
        let mut list = self.customers();
        list.retain(|c| {
            let customer = &self.frame.customers[*c as usize];
            !customer.deleted
                && (self.day(customer.create_time) <= self.end
                    || self.of(*c).iter().any(|t| self.day(t.time) <= self.end)
                    || self
                        .interactions(*c)
                        .iter()
                        .any(|i| self.day(i.time) <= self.end))
        });
        list
    }
    fn ordered(&self, customer: u32, from: NaiveDate, to: NaiveDate) -> usize {
        let list = self.orders(customer);
        list.iter()
            .filter(|t| (from..=to).contains(&self.day(t.time)))
            .count()
    }
    fn before(&self) -> (NaiveDate, NaiveDate) {
        let end = self.start - TimeDelta::days(1);
        let after = self.end + TimeDelta::days(1);
        if self.start.day() == 1 && after.day() == 1 {
            let months = (after.year() - self.start.year()) * 12 + after.month() as i32
                - self.start.month() as i32;
            return (months_later(self.start, -months), end);
        }
        (end - (self.end - self.start), end)
    }
    fn dormant(&self, customer: u32) -> bool {
        let eve = self.start - TimeDelta::days(1);
        let last = self
            .orders(customer)
            .iter()
            .map(|t| self.day(t.time))
            .filter(|d| *d <= eve)
            .max();
        last.is_some_and(|last| months_later(last, self.p.dormant_months) <= eve)
    }

    /// Orders of a customer in the window of RFM, whether they have amounts or not.
    pub fn window_orders(&self, customer: u32) -> i64 {
        let start = months_later(self.end, -self.p.rfm_months);
        let days = self.orders(customer).into_iter().map(|t| self.day(t.time));
        days.filter(|day| *day > start && *day <= self.end).count() as i64
    }

    /// Recency, frequency, monetary of a customer, when it has them.
    fn rfm(&self, customer: u32) -> Option<(i64, i64, i128)> {
        let start = months_later(self.end, -self.p.rfm_months);
        let within = |t: &&&Transaction| {
            let day = self.day(t.time);
            day > start && day <= self.end
        };
        let orders = self.orders(customer);
        let frequency = orders.iter().filter(within).count() as i64;
        let last = orders
            .iter()
            .map(|t| self.day(t.time))
            .filter(|d| *d <= self.end)
            .max()?;
        let all = self.of(customer);
        let amounts: Vec<i128> = all
            .iter()
            .filter(within)
            .filter_map(|t| self.revenue(t))
            .collect();
        if frequency == 0 || amounts.is_empty() {
            return None;
        }
        Some((
            (self.end - last).num_days(),
            frequency,
            amounts.iter().sum(),
        ))
    }

    pub fn scores(&self, customer: u32) -> Option<Scores> {
        let mine = self.rfm(customer)?;
        let all: Vec<_> = self
            .customers()
            .into_iter()
            .filter_map(|c| self.rfm(c))
            .collect();
        let fifth = |worse: &dyn Fn(&(i64, i64, i128)) -> bool| {
            1 + (5 * all.iter().filter(|o| worse(o)).count() / all.len()) as i32
        };
        // The best score whose limit is reached.
        let best = |reached: &dyn Fn(usize) -> bool| {
            let found = (0..4_usize).rev().find(|n| reached(*n));
            found.map_or(1, |n| n as i32 + 2)
        };
        let (r, f, m) = match &self.p.scoring {
            Scoring::Quantiles => (
                fifth(&|o| o.0 > mine.0),
                fifth(&|o| o.1 < mine.1),
                fifth(&|o| o.2 < mine.2),
            ),
            Scoring::Thresholds {
                recency,
                frequency,
                monetary,
            } => (
                best(&|n| mine.0 <= recency[n].into()),
                best(&|n| mine.1 >= frequency[n].into()),
                best(&|n| mine.2 >= monetary[n]),
            ),
        };
        let g = self.p.grading;
        let points = g.recency * r + g.frequency * f + g.monetary * m;
        let grade = if points >= g.a {
            1
        } else if points >= g.b {
            2
        } else {
            3
        };
        Some(Scores {
            r,
            f,
            m,
            points,
            grade,
        })
    }

    pub fn stage(&self, customer: u32) -> &'static str {
        let days: Vec<NaiveDate> = self
            .orders(customer)
            .iter()
            .map(|t| self.day(t.time))
            .filter(|d| *d <= self.end)
            .collect();
        let (Some(first), Some(last)) = (days.iter().min(), days.iter().max()) else {
            return "potential";
        };
        if months_later(*last, self.p.lost_months) <= self.end {
            "lost"
        } else if months_later(*last, self.p.dormant_months) <= self.end {
            "dormant"
        } else if days.len() >= self.p.loyal_orders {
            "loyal"
        } else if self.end < months_later(*first, self.p.new_months) {
            "new"
        } else {
            "active"
        }
    }

    pub fn clv_simple(&self, customer: u32) -> Option<i128> {
        let (_, frequency, monetary) = self.rfm(customer)?;
        let order_value = Fraction::nanos(monetary).over(&Fraction::whole(frequency.into()))?;
        let a_year = Fraction::whole(i128::from(frequency) * 12)
            .over(&Fraction::whole(self.p.rfm_months.into()))?;
        let value = order_value
            .times(&a_year)
            .times(&Fraction::nanos(self.p.lifetime_years))
            .times(&Fraction::nanos(self.p.margin.unwrap_or(1_000_000_000)));
        Some(value.rounded())
    }

    pub fn clv_discounted(&self, customer: u32) -> Option<i128> {
        let first = self
            .orders(customer)
            .iter()
            .map(|t| self.day(t.time))
            .filter(|d| *d <= self.end)
            .min()?;
        let amounts: Vec<(NaiveDate, i128)> = self
            .of(customer)
            .iter()
            .filter(|t| self.day(t.time) <= self.end)
            .filter_map(|t| Some((self.day(t.time), self.revenue(t)?)))
            .collect();
        if amounts.is_empty() {
            return None;
        }
        let mut value = Fraction::whole(0);
        let mut factor = Fraction::whole(1);
        let growth = Fraction::nanos(1_000_000_000 + self.p.discount_rate);
        for year in 0..=self.p.discount_years {
            let (from, to) = (
                months_later(first, 12 * year as i32),
                months_later(first, 12 * (year as i32 + 1)),
            );
            if year > 0 && from > self.end {
                break;
            }
            // What came before the first order belongs to the first year.
            let sum: i128 = amounts
                .iter()
                .filter(|(day, _)| (*day >= from || year == 0) && *day < to)
                .map(|a| a.1)
                .sum();
            let flow = match self.p.margin {
                None => sum,
                Some(margin) => Fraction::nanos(sum)
                    .times(&Fraction::nanos(margin))
                    .rounded(),
            };
            value = value.plus(&Fraction::nanos(flow).times(&factor));
            factor = factor.over(&growth)?;
        }
        Some(value.rounded())
    }

    /// The value of a measure.
    pub fn value(&self, measure: &str) -> Option<i128> {
        let one = |yes: bool| i128::from(yes);
        let share = |list: Vec<bool>| {
            let yes = list.iter().filter(|y| **y).count() as i128;
            Fraction::whole(yes).over(&Fraction::whole(list.len() as i128))
        };
        let mean = |list: Vec<i128>| {
            let sum = Fraction::nanos(list.iter().sum());
            sum.over(&Fraction::whole(list.len() as i128))
        };
        let total =
            |list: Vec<i128>| (!list.is_empty()).then(|| Fraction::nanos(list.iter().sum()));
        let (was, eve) = self.before();
        let counted = || {
            let all = self.frame.transactions.iter();
            all.filter(|t| self.within(t.time) && self.counts(t.customer))
        };
        let revenue = || {
            counted()
                .filter_map(|t| self.revenue(t))
                .collect::<Vec<_>>()
        };
        let orders = || counted().filter(|t| self.is_order(t)).count() as i128;
        let in_period = |c: u32| self.ordered(c, self.start, self.end);
        let clv = |of: &dyn Fn(u32) -> Option<i128>| {
            self.customers()
                .into_iter()
                .filter_map(of)
                .collect::<Vec<_>>()
        };
        let cohort = || {
            let list = self.customers().into_iter();
            list.filter(|c| self.ordered(*c, was, eve) > 0)
        };
        let found: Option<Fraction> = match measure {
            "customer_count" => Some(Fraction::whole(self.known().len() as i128)),
            "new_customer_count" => {
                let new = self.customers().into_iter().filter(|c| {
                    let first = self.orders(*c).iter().map(|t| self.day(t.time)).min();
                    first.is_some_and(|d| (self.start..=self.end).contains(&d))
                });
                Some(Fraction::whole(new.count() as i128))
            }
            "retention_rate" => share(cohort().map(|c| in_period(c) > 0).collect()),
            "churn_rate" => share(cohort().map(|c| in_period(c) == 0).collect()),
            "activity_rate" => share(
                self.known()
                    .into_iter()
                    .map(|c| {
                        in_period(c) > 0 || self.interactions(c).iter().any(|i| self.within(i.time))
                    })
                    .collect(),
            ),
            "reactivation_rate" => {
                let list = self.customers().into_iter().filter(|c| self.dormant(*c));
                share(list.map(|c| in_period(c) > 0).collect())
            }
            "reactivated_value_share" => {
                let back: i128 = counted()
                    .filter(|t| self.dormant(t.customer))
                    .filter_map(|t| self.revenue(t))
                    .sum();
                total(revenue()).and_then(|all| Fraction::nanos(back).over(&all))
            }
            "repurchase_rate" => {
                let list = self.customers().into_iter().filter(|c| in_period(*c) > 0);
                share(list.map(|c| in_period(c) > 1).collect())
            }
            "repurchase_interval_days" => {
                let mut gaps = Vec::new();
                for c in self.customers() {
                    let mut list = self.orders(c);
                    list.sort_by_key(|t| (t.time, t.id));
                    for pair in list.windows(2) {
                        if self.within(pair[1].time) {
                            let days = self.day(pair[1].time) - self.day(pair[0].time);
                            gaps.push(i128::from(days.num_days()) * 1_000_000_000);
                        }
                    }
                }
                mean(gaps)
            }
            "field_coverage" => {
                let known = self.known();
                let filled: usize = known
                    .iter()
                    .map(|c| self.frame.customers[*c as usize].filled.len())
                    .sum();
                Fraction::whole(filled as i128).over(&Fraction::whole(known.len() as i128 * 10))
            }
            "net_revenue" => total(revenue()),
            "order_count" => Some(Fraction::whole(orders())),
            "average_order_value" => {
                let orders = counted().filter(|t| self.is_order(t) && self.revenue(t).is_some());
                let count = orders.count() as i128;
                total(revenue()).and_then(|all| all.over(&Fraction::whole(count)))
            }
            "clv_simple" => mean(clv(&|c| self.clv_simple(c))),
            "clv_simple_total" => total(clv(&|c| self.clv_simple(c))),
            "clv_discounted" => mean(clv(&|c| self.clv_discounted(c))),
            "clv_discounted_total" => total(clv(&|c| self.clv_discounted(c))),
            "complaint_count" => Some(Fraction::whole(
                counted().filter(|t| t.kind == 6 && !t.cancelled).count() as i128,
            )),
            "interaction_count" => Some(Fraction::whole(self.met().count() as i128)),
            "nps" => mean(
                self.met()
                    .filter_map(|i| i.rating)
                    .filter(|r| r.0)
                    .map(|r| {
                        let tenths = r.1 / 1_000_000_000;
                        (one(tenths >= 9) - one(tenths <= 6)) * 100_000_000_000
                    })
                    .collect(),
            ),
            "csat" => mean(
                self.met()
                    .filter_map(|i| i.rating)
                    .filter(|r| !r.0)
                    .map(|r| r.1)
                    .collect(),
            ),
            _ => self.sales(measure),
        };
        found.map(|f| f.rounded())
    }

    fn met(&self) -> impl Iterator<Item = &Interaction> {
        let all = self.frame.interactions.iter();
        all.filter(|i| self.counts(i.customer) && self.within(i.time))
    }
}
