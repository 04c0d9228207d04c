//! One customer on one day: RFM, CLV, grade, lifecycle.
//!
//! Everything is computed from the transactions up to and with the day, in the zone of the
//! question. Definitions:
//!
//! * **Window** of RFM: the days after `day − rfm_months` up to `day`.
//! * **R** days from the last order to `day`; **F** orders in the window; **M** net revenue in it.
//!   Only customers with an order in the window are scored.
//! * **Quantile score** of a value: 1 + ⌊5 · (number of scored customers that are worse) / (their
//!   number)⌋. Equal values get equal scores, and the order of customers decides nothing.
//! * **Points**: weights in percent times scores, 100 to 500. **Grade** A, B or C by points; C for
//!   who bought before the window only; none for who never did.
//! * **CLV, simple** = (M / F) · (F · 12 / rfm_months) · years · margin: 平均客单价 × 年交易次数 × 年限.
//! * **CLV, discounted** = Σ (R_t − C_t) / (1 + d)^t over the years t = 0…n since the first order,
//!   year 0 not discounted, C_t = R_t · (1 − margin).
//! * **Lifecycle**: potential without an order; lost and dormant from the day `lost_months` and
//!   `dormant_months` after the last order on; else loyal with `loyal_orders` orders; else new
//!   until `new_months` after the first order; else active.

use chrono::NaiveDate;
use jinke_types::Timestamp;
use num_bigint::BigInt;

use super::value::{Rates, Role, revenue, role};
use crate::{
    calendar::{add_months, days_between, full_years},
    facts::{Frame, Transaction},
    number::{self, ONE},
    parameters::{Parameters, Scoring},
};

/// Lifecycle stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// 潜在.
    Potential,
    /// 新客.
    New,
    /// 活跃.
    Active,
    /// 忠诚.
    Loyal,
    /// 沉睡.
    Dormant,
    /// 流失.
    Lost,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 6] = [
        Self::Potential,
        Self::New,
        Self::Active,
        Self::Loyal,
        Self::Dormant,
        Self::Lost,
    ];

    /// The word in filters and dimensions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Potential => "potential",
            Self::New => "new",
            Self::Active => "active",
            Self::Loyal => "loyal",
            Self::Dormant => "dormant",
            Self::Lost => "lost",
        }
    }

    /// The word for people.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Potential => "潜在",
            Self::New => "新客",
            Self::Active => "活跃",
            Self::Loyal => "忠诚",
            Self::Dormant => "沉睡",
            Self::Lost => "流失",
        }
    }
}

/// Recency, frequency, monetary value with scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfm {
    /// Days since the last order.
    pub recency_days: i64,
    /// Orders in the window.
    pub frequency: i64,
    /// Net revenue in the window.
    pub monetary: i128,
    /// Scores 1 to 5.
    pub r: i32,
    /// See `r`.
    pub f: i32,
    /// See `r`.
    pub m: i32,
}

/// The eight classes by which scores reach 4, in order of (R, F, M) as binary digits, high first.
pub const CLASSES: [&str; 8] = [
    "重要价值",
    "一般价值",
    "重要发展",
    "一般发展",
    "重要保持",
    "一般保持",
    "重要挽留",
    "一般挽留",
];

impl Rfm {
    /// Which of [`CLASSES`].
    pub const fn class(&self) -> usize {
        const fn low(score: i32) -> usize {
            if score >= 4 { 0 } else { 1 }
        }
        low(self.r) * 4 + low(self.f) * 2 + low(self.m)
    }
}

/// What is known of one customer on the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// First and last order up to the day.
    pub first_order: Option<Timestamp>,
    /// See `first_order`.
    pub last_order: Option<Timestamp>,
    /// Orders up to the day.
    pub orders: i64,
    /// Orders in the window, also those without an amount.
    pub window_orders: i64,
    /// Net revenue up to the day; none when a sum does not fit.
    pub revenue: Option<i128>,
    /// Scores; none without an order in the window.
    pub rfm: Option<Rfm>,
    /// Weighted points, with `rfm`.
    pub points: Option<i32>,
    /// 1 A, 2 B, 3 C, 0 none.
    pub grade: u8,
    /// Lifecycle stage.
    pub stage: Stage,
    /// Day the stage began; none for potential ones.
    pub since: Option<NaiveDate>,
    /// CLV, simple.
    pub clv_simple: Option<i128>,
    /// CLV, discounted.
    pub clv_discounted: Option<i128>,
}

impl Profile {
    /// The letter of the grade; empty for none.
    pub const fn grade_letter(&self) -> &'static str {
        match self.grade {
            1 => "A",
            2 => "B",
            3 => "C",
            _ => "",
        }
    }

    fn empty() -> Self {
        Self {
            first_order: None,
            last_order: None,
            orders: 0,
            window_orders: 0,
            revenue: None,
            rfm: None,
            points: None,
            grade: 0,
            stage: Stage::Potential,
            since: None,
            clv_simple: None,
            clv_discounted: None,
        }
    }
}

/// Profiles of all customers of a frame on a day, by place.
pub fn profiles(frame: &Frame, parameters: &Parameters, day: NaiveDate) -> Vec<Profile> {
    let rates = Rates::new(frame, parameters);
    let work = Work {
        parameters,
        rates: &rates,
        day,
        until: parameters.zone.end(day),
        window: parameters.zone.end(add_months(day, -parameters.rfm_months)),
    };
    let mut profiles = vec![Profile::empty(); frame.customers.len()];
    for (place, transactions) in frame.by_customer() {
        profiles[place as usize] = work.profile(transactions);
    }
    let counted: Vec<usize> = (0..profiles.len())
        .filter(|i| parameters.counts(frame.customers[*i].person) && profiles[*i].rfm.is_some())
        .collect();
    score(&mut profiles, &counted, parameters);
    profiles
}

struct Work<'a> {
    parameters: &'a Parameters,
    rates: &'a Rates,
    day: NaiveDate,
    /// First instant that counts no more.
    until: Timestamp,
    /// First instant of the window.
    window: Timestamp,
}

impl Work<'_> {
    fn profile(&self, transactions: &[Transaction]) -> Profile {
        let p = self.parameters;
        let mut profile = Profile::empty();
        let (mut frequency, mut monetary, mut total) = (0, Some(0_i128), Some(0_i128));
        let (mut amounts, mut in_window) = (0, 0);
        let upto = transactions.partition_point(|t| t.time < self.until);
        let counted = &transactions[..upto];
        for t in counted {
            if role(t, p.basis) == Role::Purchase {
                profile.first_order.get_or_insert(t.time);
                profile.last_order = Some(t.time);
                profile.orders += 1;
                frequency += i64::from(t.time >= self.window);
            }
            if let Some(amount) = revenue(t, p.basis, self.rates) {
                amounts += 1;
                total = total.and_then(|sum| sum.checked_add(amount));
                if t.time >= self.window {
                    in_window += 1;
                    monetary = monetary.and_then(|sum| sum.checked_add(amount));
                }
            }
        }
        profile.window_orders = frequency;
        profile.revenue = if amounts > 0 { total } else { None };
        let (Some(first), Some(last)) = (profile.first_order, profile.last_order) else {
            return profile;
        };
        let (first, last) = (p.zone.day(first), p.zone.day(last));
        self.stage(&mut profile, first, last);
        profile.grade = 3;
        if amounts > 0 {
            profile.clv_discounted = self.discounted(counted, first);
        }
        // Orders without an amount say nothing of value: such a customer has no scores.
        if let (true, Some(monetary)) = (frequency > 0 && in_window > 0, monetary) {
            profile.rfm = Some(Rfm {
                recency_days: days_between(last, self.day),
                frequency,
                monetary,
                r: 0,
                f: 0,
                m: 0,
            });
            profile.clv_simple = self.simple(monetary);
        }
        profile
    }

    fn stage(&self, profile: &mut Profile, first: NaiveDate, last: NaiveDate) {
        let p = self.parameters;
        let dormant = add_months(last, p.dormant_months);
        let lost = add_months(last, p.lost_months);
        let settled = add_months(first, p.new_months);
        let (stage, since) = if self.day >= lost {
            (Stage::Lost, lost)
        } else if self.day >= dormant {
            (Stage::Dormant, dormant)
        } else if usize::try_from(profile.orders).unwrap_or_default() >= p.loyal_orders {
            (Stage::Loyal, last)
        } else if self.day < settled {
            (Stage::New, first)
        } else {
            (Stage::Active, settled.max(first))
        };
        profile.stage = stage;
        profile.since = Some(since);
    }

    /// (M / F) · (F · 12 / months) · years · margin, in which F cancels; rounded once.
    fn simple(&self, monetary: i128) -> Option<i128> {
        let p = self.parameters;
        let margin = p.margin.unwrap_or(ONE);
        let num =
            BigInt::from(monetary) * BigInt::from(12 * p.lifetime_years) * BigInt::from(margin);
        let den = BigInt::from(p.rfm_months) * BigInt::from(ONE) * BigInt::from(ONE);
        number::divide_big(&num, &den)
    }

    fn discounted(&self, counted: &[Transaction], first: NaiveDate) -> Option<i128> {
        let p = self.parameters;
        let years = full_years(first, self.day).min(p.discount_years);
        let mut flows = vec![0_i128; years + 1];
        // Anniversaries as instants, so that most transactions need no calendar.
        let limits: Vec<Timestamp> = (1..=years + 1)
            .map(|y| {
                let months = i32::try_from(12 * y).unwrap_or(i32::MAX);
                p.zone.start(add_months(first, months))
            })
            .collect();
        for t in counted {
            let Some(amount) = revenue(t, p.basis, self.rates) else {
                continue;
            };
            let year = limits.partition_point(|limit| *limit <= t.time);
            if let Some(flow) = flows.get_mut(year) {
                *flow = flow.checked_add(amount)?;
            }
        }
        let flows: Option<Vec<i128>> = flows
            .into_iter()
            .map(|flow| p.margin.map_or(Some(flow), |m| number::product(flow, m)))
            .collect();
        number::present_value(&flows?, p.discount_rate)
    }
}

/// Puts scores, points and grades into the profiles that have recency, frequency, monetary value.
fn score(profiles: &mut [Profile], counted: &[usize], parameters: &Parameters) {
    let of = |i: &usize| profiles[*i].rfm;
    let found: Vec<Rfm> = counted.iter().filter_map(of).collect();
    let sorted = |key: &dyn Fn(&Rfm) -> i128| {
        let mut values: Vec<i128> = found.iter().map(key).collect();
        values.sort_unstable();
        values
    };
    // Greater is better: a later last order has fewer days.
    let recency = sorted(&|x| -i128::from(x.recency_days));
    let frequency = sorted(&|x| i128::from(x.frequency));
    let monetary = sorted(&|x| x.monetary);
    for i in counted {
        let Some(mut rfm) = profiles[*i].rfm else {
            continue;
        };
        match &parameters.scoring {
            Scoring::Quantiles => {
                rfm.r = fifth(&recency, -i128::from(rfm.recency_days));
                rfm.f = fifth(&frequency, i128::from(rfm.frequency));
                rfm.m = fifth(&monetary, rfm.monetary);
            }
            Scoring::Thresholds {
                recency,
                frequency,
                monetary,
            } => {
                let reached = |n: usize| i32::try_from(n).unwrap_or_default() + 1;
                rfm.r = reached(
                    recency
                        .iter()
                        .filter(|d| rfm.recency_days <= i64::from(**d))
                        .count(),
                );
                rfm.f = reached(
                    frequency
                        .iter()
                        .filter(|n| rfm.frequency >= i64::from(**n))
                        .count(),
                );
                rfm.m = reached(monetary.iter().filter(|m| rfm.monetary >= **m).count());
            }
        }
        let g = parameters.grading;
        let points = g.recency * rfm.r + g.frequency * rfm.f + g.monetary * rfm.m;
        let profile = &mut profiles[*i];
        profile.rfm = Some(rfm);
        profile.points = Some(points);
        profile.grade = if points >= g.a {
            1
        } else if points >= g.b {
            2
        } else {
            3
        };
    }
    // Who is outside the population has facts of his own, but no place among the others.
    for (i, profile) in profiles.iter_mut().enumerate() {
        if counted.binary_search(&i).is_err() && profile.rfm.is_some() {
            profile.rfm = None;
            profile.grade = 0;
        }
    }
}

/// 1 + ⌊5 · (how many are smaller) / n⌋.
fn fifth(sorted: &[i128], value: i128) -> i32 {
    let smaller = sorted.partition_point(|v| *v < value);
    i32::try_from(1 + 5 * smaller / sorted.len().max(1)).unwrap_or(5)
}
