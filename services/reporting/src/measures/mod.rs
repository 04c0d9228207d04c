//! Measures: numbers with a definition.
//!
//! A measure is a list of contributions, each a numerator and a denominator that belong to one
//! customer and one subject (a transaction, an opportunity, the customer itself…). What a question
//! groups, compares or drills down into is always that list, so that rows add up to their value by
//! construction.
//!
//! To add a measure: write its definition into [`registry`], its contributions into [`cohort`],
//! [`money`] or [`sales`], a line in [`contributions`], and an oracle into `tests/oracle`.

pub mod cohort;
pub mod money;
pub mod profile;
pub mod registry;
pub mod sales;
pub mod value;

use std::{cell::OnceCell, sync::Arc};

use chrono::NaiveDate;
use jinke_types::Timestamp;

use crate::{
    calendar::{Period, previous},
    facts::{Frame, Transaction},
    number::{self, ONE},
    parameters::Parameters,
};
use profile::Profile;
pub use registry::{Aggregation, Dimension, Measure, Unit, find, find_dimension};
use value::{Rates, Role, role};

/// What a contribution comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The customer itself.
    Customer,
    /// Place of a transaction.
    Transaction(u32),
    /// Place of a line; a transaction's amount beside its lines has none.
    Line(u32),
    /// Place of an interaction.
    Interaction(u32),
    /// Place of an opportunity.
    Opportunity(u32),
}

/// A numerator and a denominator, in billionths, and whose they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// Place of the customer.
    pub customer: u32,
    /// What it comes from.
    pub subject: Subject,
    /// Numerator.
    pub num: i128,
    /// Denominator; 0 in sums.
    pub den: i128,
    /// Stage or field, where the measure has such a dimension.
    pub label: Option<Arc<str>>,
}

impl Contribution {
    /// One that counts `num` of one for a customer.
    pub const fn of_customer(customer: u32, num: i128) -> Self {
        Self {
            customer,
            subject: Subject::Customer,
            num,
            den: ONE,
            label: None,
        }
    }
}

/// One period of a question.
pub struct Context<'a> {
    /// The facts.
    pub frame: &'a Frame,
    /// What formulas leave open.
    pub parameters: &'a Parameters,
    /// Rates of the frame's currencies.
    pub rates: Rates,
    /// First and last day.
    pub period: Period,
    /// First instant.
    pub from: Timestamp,
    /// First instant after.
    pub to: Timestamp,
    /// Revenue is split by lines, for the dimension `product`.
    pub by_line: bool,
    profiles: OnceCell<Vec<Profile>>,
    dormant: OnceCell<Vec<bool>>,
    open: OnceCell<Vec<i64>>,
}

impl<'a> Context<'a> {
    /// For one period.
    pub fn new(frame: &'a Frame, parameters: &'a Parameters, period: Period) -> Self {
        Self {
            frame,
            parameters,
            rates: Rates::new(frame, parameters),
            period,
            from: parameters.zone.start(period.start),
            to: parameters.zone.end(period.end),
            by_line: false,
            profiles: OnceCell::new(),
            dormant: OnceCell::new(),
            open: OnceCell::new(),
        }
    }

    /// Profiles on the last day, by place.
    pub fn profiles(&self) -> &[Profile] {
        self.profiles
            .get_or_init(|| profile::profiles(self.frame, self.parameters, self.period.end))
    }

    /// By place, how many opportunities are open.
    pub fn open_opportunities(&self) -> &[i64] {
        self.open.get_or_init(|| {
            let mut open = vec![0; self.frame.customers.len()];
            for o in &self.frame.opportunities {
                open[o.customer as usize] += i64::from(o.outcome == crate::facts::Outcome::Open);
            }
            open
        })
    }

    /// By place, who is dormant or lost on the day before the period begins: the set is frozen
    /// then.
    pub fn dormant(&self) -> &[bool] {
        self.dormant.get_or_init(|| {
            let p = self.parameters;
            let eve = previous(self.period.start);
            let mut dormant = vec![false; self.frame.customers.len()];
            for (place, transactions) in self.frame.by_customer() {
                let last = transactions
                    .iter()
                    .rev()
                    .find(|t| t.time < self.from && self.purchase(t));
                dormant[place as usize] = last.is_some_and(|t| {
                    crate::calendar::add_months(p.zone.day(t.time), p.dormant_months) <= eve
                });
            }
            dormant
        })
    }

    /// Whether the customer at a place belongs to the population.
    pub fn counts(&self, place: u32) -> bool {
        self.parameters.counts(self.frame.customer(place).person)
    }

    /// Whether a transaction is an order.
    pub fn purchase(&self, t: &Transaction) -> bool {
        role(t, self.parameters.basis) == Role::Purchase
    }

    /// Whether an instant is in the period.
    pub fn within(&self, time: Timestamp) -> bool {
        time >= self.from && time < self.to
    }

    /// Whether a customer was known before the end of the period: by its record, an order or an
    /// interaction.
    pub fn known(&self, place: u32) -> bool {
        self.frame.customer(place).create_time < self.to
            || self
                .frame
                .transactions_of(place)
                .first()
                .is_some_and(|t| t.time < self.to)
            || self
                .frame
                .interactions_of(place)
                .first()
                .is_some_and(|i| i.time < self.to)
    }

    /// The places of the population that are known.
    pub fn population(&self) -> impl Iterator<Item = u32> + '_ {
        let all = u32::try_from(self.frame.customers.len()).unwrap_or(u32::MAX);
        (0..all).filter(|place| {
            let there = !self.frame.customer(*place).deleted;
            there && self.counts(*place) && self.known(*place)
        })
    }

    /// The first instant of a day.
    pub fn start_of(&self, day: NaiveDate) -> Timestamp {
        self.parameters.zone.start(day)
    }
}

/// The contributions to a measure in one period, in a fixed order.
pub fn contributions(measure: &Measure, context: &Context<'_>) -> Vec<Contribution> {
    match measure.id {
        "customer_count" => cohort::customer_count(context),
        "new_customer_count" => cohort::new_customer_count(context),
        "retention_rate" => cohort::retention(context, true),
        "churn_rate" => cohort::retention(context, false),
        "activity_rate" => cohort::activity(context),
        "reactivation_rate" => cohort::reactivation(context),
        "repurchase_rate" => cohort::repurchase(context),
        "repurchase_interval_days" => cohort::repurchase_interval(context),
        "field_coverage" => cohort::field_coverage(context),
        "net_revenue" => money::net_revenue(context),
        "order_count" => money::order_count(context),
        "average_order_value" => money::average_order_value(context),
        "reactivated_value_share" => money::reactivated_value_share(context),
        "clv_simple" | "clv_simple_total" => money::clv(context, |p| p.clv_simple),
        "clv_discounted" | "clv_discounted_total" => money::clv(context, |p| p.clv_discounted),
        "complaint_count" => money::complaint_count(context),
        "interaction_count" => cohort::interaction_count(context),
        "nps" => cohort::rating(context, true),
        "csat" => cohort::rating(context, false),
        "win_rate" => sales::win_rate(context),
        "sales_cycle_days_median" | "sales_cycle_days_p90" => sales::sales_cycle(context),
        "stage_conversion_rate" => sales::stage_conversion(context),
        "forecast_amount" => sales::forecast(context),
        _ => Vec::new(),
    }
}

/// A value, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// In billionths.
    pub value: Result<i128, &'static str>,
    /// Sum of numerators.
    pub num: Option<i128>,
    /// Sum of denominators, for ratios.
    pub den: Option<i128>,
}

impl Value {
    const fn none(reason: &'static str) -> Self {
        Self {
            value: Err(reason),
            num: None,
            den: None,
        }
    }
}

/// The value of a group of contributions.
pub fn aggregate<'c>(
    measure: &Measure,
    contributions: impl IntoIterator<Item = &'c Contribution>,
) -> Value {
    let (mut num, mut den, mut list, mut count) = (Some(0_i128), Some(0_i128), Vec::new(), 0_u64);
    let ranked = matches!(measure.aggregation, Aggregation::Median | Aggregation::P90);
    for c in contributions {
        count += 1;
        num = num.and_then(|sum| sum.checked_add(c.num));
        den = den.and_then(|sum| sum.checked_add(c.den));
        if ranked {
            list.push(c.num);
        }
    }
    if count == 0 {
        // A count of nothing is known to be nothing; a sum of no amounts is not known.
        return if measure.aggregation == Aggregation::Sum && measure.unit == Unit::Count {
            Value {
                value: Ok(0),
                num: Some(0),
                den: None,
            }
        } else {
            Value::none("NO_DATA")
        };
    }
    let (Some(num), Some(den)) = (num, den) else {
        return Value::none("OVERFLOW");
    };
    match measure.aggregation {
        Aggregation::Sum => Value {
            value: Ok(num),
            num: Some(num),
            den: None,
        },
        Aggregation::Ratio => Value {
            value: if den == 0 {
                Err("EMPTY_COHORT")
            } else {
                number::ratio(num, den).ok_or("OVERFLOW")
            },
            num: Some(num),
            den: Some(den),
        },
        Aggregation::Median | Aggregation::P90 => {
            list.sort_unstable();
            let value = if measure.aggregation == Aggregation::Median {
                let (low, high) = (list[(list.len() - 1) / 2], list[list.len() / 2]);
                number::divide(low + high, 2).ok_or("OVERFLOW")
            } else {
                // Nearest rank: the smallest that at least nine in ten do not exceed.
                Ok(list[(list.len() * 9).div_ceil(10) - 1])
            };
            Value {
                value,
                num: None,
                den: None,
            }
        }
    }
}
