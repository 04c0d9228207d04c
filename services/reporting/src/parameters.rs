//! What formulas leave open, filled in and checked.

use std::collections::BTreeMap;

use crate::{calendar::Zone, facts::kind, number::ONE};

/// Most exchange rates of one question.
pub const MAX_RATES: usize = 50;
/// Greatest exchange rate: keeps products of amounts and rates within 128 bits.
pub const MAX_RATE: i128 = 100_000 * ONE;

/// Which customers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Population {
    /// Organizations.
    Organizations,
    /// Persons.
    Persons,
    /// Both.
    All,
}

/// How scores are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// Fifths of those who bought.
    Quantiles,
    /// Limits for recency (falling), frequency and monetary value (growing).
    Thresholds {
        /// At most so many days: score 2, 3, 4, 5.
        recency: [i32; 4],
        /// At least so many orders: score 2, 3, 4, 5.
        frequency: [i32; 4],
        /// At least so much, in billionths: score 2, 3, 4, 5.
        monetary: [i128; 4],
    },
}

/// Weights of the scores in the points behind a grade, in percent, and the points that make A and B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grading {
    /// Of recency: depth of the relation now.
    pub recency: i32,
    /// Of frequency: depth of cooperation.
    pub frequency: i32,
    /// Of monetary value: contribution.
    pub monetary: i32,
    /// Points from 100 to 500 that make an A.
    pub a: i32,
    /// Points that make a B.
    pub b: i32,
}

/// When a warning is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// No order for so many months.
    pub no_order_months: i32,
    /// A complaint within so many days.
    pub complaint_days: i64,
    /// A rating lower than the one before within so many days.
    pub rating_days: i64,
    /// Overdue by so many percent of the own order cycle.
    pub cycle_percent: i64,
    /// Orders that make a cycle.
    pub cycle_orders: usize,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Where days begin.
    pub zone: Zone,
    /// Currency of answers.
    pub currency: String,
    /// What one unit of a currency is worth, in billionths.
    pub rates: BTreeMap<String, i128>,
    /// Kind of transaction that is revenue.
    pub basis: u8,
    /// Which customers count.
    pub population: Population,
    /// Profit per revenue in billionths.
    pub margin: Option<i128>,
    /// Years a customer stays, in billionths.
    pub lifetime_years: i128,
    /// A year, in billionths.
    pub discount_rate: i128,
    /// Years beside year 0.
    pub discount_years: usize,
    /// How scores are made.
    pub scoring: Scoring,
    /// Months RFM looks at.
    pub rfm_months: i32,
    /// Dormant from this many months on.
    pub dormant_months: i32,
    /// Lost from this many months on.
    pub lost_months: i32,
    /// New for so many months.
    pub new_months: i32,
    /// Orders that make a loyal customer.
    pub loyal_orders: usize,
    /// How grades are made.
    pub grading: Grading,
    /// When a warning is given.
    pub warning: Warning,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            zone: Zone::parse("Asia/Shanghai").expect("a zone of the database"),
            currency: "CNY".to_owned(),
            rates: BTreeMap::new(),
            basis: kind::ORDER,
            population: Population::Organizations,
            margin: None,
            lifetime_years: 3 * ONE,
            discount_rate: ONE / 10,
            discount_years: 5,
            scoring: Scoring::Quantiles,
            rfm_months: 12,
            dormant_months: 3,
            lost_months: 12,
            new_months: 3,
            loyal_orders: 5,
            grading: Grading {
                recency: 20,
                frequency: 30,
                monetary: 50,
                a: 400,
                b: 250,
            },
            warning: Warning {
                no_order_months: 3,
                complaint_days: 30,
                rating_days: 90,
                cycle_percent: 200,
                cycle_orders: 3,
            },
        }
    }
}

impl Parameters {
    /// Whether a customer counts.
    pub const fn counts(&self, person: bool) -> bool {
        match self.population {
            Population::Organizations => !person,
            Population::Persons => person,
            Population::All => true,
        }
    }
}
