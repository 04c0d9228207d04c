//! What a report says, computed from the facts one caller sees.

mod build;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

pub use build::build;

use crate::churn::Sign;

/// Version of the layout and its formulas beyond the measures'.
pub const VERSION: i32 = 1;
/// A number in billionths as decimal text; none where there is nothing to compute it from.
pub type Number = Option<String>;

/// A value beside the one of the twelve months before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kpi {
    /// Id of the measure.
    pub measure: String,
    /// Over the twelve months up to the date, or on the date.
    pub value: Number,
    /// A year before.
    pub before: Number,
}

/// Customers of one tier, stage or class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is.
    pub label: String,
    /// How many customers.
    pub customers: i64,
    /// Their net revenue of the twelve months; none when none of them has any.
    pub revenue: Number,
    /// Their discounted CLV.
    pub clv: Number,
}

/// A month of the trend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Month {
    /// `2026-03`.
    pub month: String,
    /// Net revenue.
    pub revenue: Number,
    /// Orders.
    pub orders: i64,
    /// Customers who ordered.
    pub active: i64,
    /// Of these, new ones.
    pub new: i64,
}

/// Customers whose first order fell into one month, and how many ordered in each month since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cohort {
    /// `2026-03`.
    pub month: String,
    /// How many.
    pub size: i64,
    /// Who ordered in the month itself, the one after, ….
    pub kept: Vec<i64>,
}

/// A stage of the funnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunnelStage {
    /// Its name.
    pub name: String,
    /// Opportunities of the twelve months that reached it.
    pub reached: i64,
    /// Share that went beyond.
    pub conversion: Number,
}

/// One of the greatest customers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Top {
    /// `customers/…`.
    pub customer: String,
    /// Its name.
    pub name: String,
    /// Net revenue of the twelve months.
    pub revenue: String,
    /// Share of all.
    pub share: Number,
    /// Share of all with those before it.
    pub cumulative: Number,
    /// Letter.
    pub grade: String,
    /// Word.
    pub stage: String,
}

/// A customer who may leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtRisk {
    /// `customers/…`.
    pub customer: String,
    /// Its name.
    pub name: String,
    /// Net revenue ever.
    pub revenue: String,
    /// Why, in Chinese and English.
    pub reasons: Vec<(String, String)>,
}

/// A day as `2026-03-31`.
mod day {
    use chrono::NaiveDate;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(day: &NaiveDate, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&day.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NaiveDate, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|_| D::Error::custom("is no date"))
    }
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Of the layout.
    pub version: i32,
    /// The last day that counts.
    #[serde(with = "day")]
    pub date: NaiveDate,
    /// First day of the twelve months.
    #[serde(with = "day")]
    pub start: NaiveDate,
    /// IANA name.
    pub time_zone: String,
    /// Of amounts.
    pub currency: String,
    /// Parameters, by field name, as text.
    pub parameters: Vec<(String, String)>,
    /// Positions of the feeds.
    pub positions: [i64; 3],
    /// First page.
    pub kpis: Vec<Kpi>,
    /// A, B, C, none.
    pub grades: Vec<Part>,
    /// Lifecycle stages.
    pub stages: Vec<Part>,
    /// The eight classes.
    pub classes: Vec<Part>,
    /// Customers by R score (5 to 1) and F score (1 to 5).
    pub matrix: Vec<Vec<i64>>,
    /// Trend.
    pub months: Vec<Month>,
    /// Cohorts.
    pub cohorts: Vec<Cohort>,
    /// Id of the pipeline and its funnel; empty without opportunities.
    pub pipeline: String,
    /// Funnel.
    pub funnel: Vec<FunnelStage>,
    /// The greatest.
    pub top: Vec<Top>,
    /// Cumulative shares of revenue at 10 %, 20 %, … of customers with revenue.
    pub pareto: Vec<Number>,
    /// Herfindahl index of revenue: 1 is one customer.
    pub concentration: Number,
    /// Signs with how many customers show them.
    pub signs: Vec<(Sign, i64)>,
    /// Customers with any sign.
    pub warned: i64,
    /// The greatest of those.
    pub at_risk: Vec<AtRisk>,
    /// Fields with how many customers have them, and how many customers there are.
    pub coverage: Vec<(String, i64, i64)>,
    /// What is left out: reason, currency, how many.
    pub excluded: Vec<(String, String, i64)>,
    /// Ids and versions of all measures used.
    pub methods: Vec<(String, i32)>,
}
