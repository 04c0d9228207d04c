//! The words of this service, without SQL and wire format.
//!
//! Numbers of enums are those of the contract, so that one number stands in protos and tables.

pub mod assign;
pub mod pipelines;
pub mod process;
pub mod schedule;

use std::collections::BTreeSet;

pub use jinke_types::Money;
use jinke_types::{Code, Failure, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use process::{Item, Process, Stage};
pub use schedule::{Escalation, Recurrence};

/// The feed of this service.
pub const FEED: &str = "pipeline";
/// The source under which a person typing a customer in makes records (decision D4).
pub const MANUAL_SOURCE: &str = "manual";
/// Greatest amount of one opportunity, lead or line: sums of nine million such fit 64 bits.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000;
/// Owner's task about an overdue stage is due so long after the limit passed, in microseconds.
pub const OVERDUE_TASK_DUE: i64 = 24 * 3_600 * 1_000_000;

/// What changed, as the feed writes it.
pub mod change {
    /// It is new.
    pub const CREATED: &str = "created";
    /// Something about it changed.
    pub const UPDATED: &str = "updated";
    /// An opportunity moved.
    pub const TRANSITION: &str = "transition";
    /// Its customer merged or was unmerged.
    pub const CUSTOMER_MOVED: &str = "customer_moved";
    /// Its personal values were destroyed.
    pub const ERASED: &str = "erased";
}

/// States of a lead.
pub mod lead_state {
    /// Came in.
    pub const NEW: i64 = 1;
    /// Worth an opportunity.
    pub const QUALIFIED: i64 = 2;
    /// Became one.
    pub const CONVERTED: i64 = 3;
    /// Given up.
    pub const DISQUALIFIED: i64 = 4;
}

/// What the look into the golden customers gave.
pub mod match_result {
    /// A known customer.
    pub const KNOWN: i64 = 1;
    /// Some may be it.
    pub const UNSURE: i64 = 2;
    /// Nobody known.
    pub const NEW: i64 = 3;
    /// A person named it.
    pub const GIVEN: i64 = 4;
}

/// Why an owner is the owner.
pub mod cause {
    /// Owns the customer.
    pub const CUSTOMER_OWNER: i64 = 1;
    /// A rule chose.
    pub const RULE: i64 = 2;
    /// Named by the caller.
    pub const GIVEN: i64 = 3;
    /// No rule fits.
    pub const POOL: i64 = 4;
}

/// Outcomes of an opportunity.
pub mod outcome {
    /// Open.
    pub const OPEN: i64 = 1;
    /// Won.
    pub const WON: i64 = 2;
    /// Lost.
    pub const LOST: i64 = 3;
}

/// Kinds of transitions.
pub mod moved {
    /// It began.
    pub const CREATED: i64 = 1;
    /// From stage to stage.
    pub const MOVED: i64 = 2;
    /// Won.
    pub const WON: i64 = 3;
    /// Lost.
    pub const LOST: i64 = 4;
    /// Open again.
    pub const REOPENED: i64 = 5;
    /// To another version.
    pub const MIGRATED: i64 = 6;
}

/// States of a task.
pub mod task_state {
    /// Open.
    pub const OPEN: i64 = 1;
    /// Done.
    pub const DONE: i64 = 2;
    /// Cancelled.
    pub const CANCELLED: i64 = 3;
}

/// Kinds of timers and firings.
pub mod timer {
    /// To the owner.
    pub const REMINDER: i64 = 1;
    /// To somebody above.
    pub const ESCALATION: i64 = 2;
    /// The next occurrence begins.
    pub const RECURRENCE: i64 = 3;
    /// The time limit of a stage.
    pub const STAGE: i64 = 4;
}

/// How a firing went.
pub mod fired {
    /// It fired.
    pub const FIRED: i64 = 1;
    /// It was skipped.
    pub const SKIPPED: i64 = 2;
    /// A message waits.
    pub const PENDING: i64 = 1;
    /// It was taken.
    pub const SENT: i64 = 2;
    /// Given up.
    pub const FAILED: i64 = 3;
}

/// The kind of task about an overdue stage.
pub const TASK_OVERDUE: i64 = 3;

/// Where a lead came from first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstTouch {
    /// `web`, `expo`, …
    pub channel: String,
    /// Campaign.
    pub campaign: String,
    /// When.
    pub time: Option<Timestamp>,
}

/// Personal and free values of a lead; sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeadPrivate {
    /// Name of the person.
    pub person_name: String,
    /// Phones, as given.
    pub phones: Vec<String>,
    /// Email addresses, as given.
    pub emails: Vec<String>,
    /// Job title.
    pub title: String,
    /// What they want.
    pub interest: String,
    /// Remark.
    pub remark: String,
    /// Why it was given up, in words.
    pub comment: String,
}

/// A lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lead {
    /// `leads/{id}`.
    pub id: i64,
    /// Organization.
    pub company: String,
    /// 统一社会信用代码.
    pub uscc: String,
    /// Region.
    pub region: String,
    /// First touch.
    pub touch: FirstTouch,
    /// Source id and external id of a lead from outside.
    pub foreign: Option<(String, String)>,
    /// See [`lead_state`].
    pub state: i64,
    /// `users/…`, or empty.
    pub owner: String,
    /// `orgUnits/…`, or empty.
    pub org_unit: String,
    /// See [`cause`].
    pub assign_cause: i64,
    /// Id of the rule that chose.
    pub assign_rule: String,
    /// When.
    pub assign_time: Timestamp,
    /// Who.
    pub assign_actor: String,
    /// See [`match_result`].
    pub match_result: i64,
    /// The customer as addressed.
    pub customer: Option<i64>,
    /// The customer that holds it now.
    pub current: Option<i64>,
    /// Customers it may be, with scores.
    pub candidates: Vec<(i64, i32)>,
    /// The opportunity it became.
    pub opportunity: Option<i64>,
    /// Why it was given up.
    pub reason: String,
    /// What it may be worth.
    pub estimate: Option<Money>,
    /// Sealed values; none once erased.
    pub private: Option<LeadPrivate>,
    /// Grows with every change.
    pub revision: i64,
    /// Who made it.
    pub creator: String,
    /// When.
    pub create_time: Timestamp,
    /// Last change.
    pub update_time: Timestamp,
    /// Last change of state.
    pub state_time: Timestamp,
    /// When its values were destroyed.
    pub erase_time: Option<Timestamp>,
}

/// A product asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineItem {
    /// Code or name.
    pub product: String,
    /// How many.
    pub quantity: Decimal,
    /// Unit.
    pub unit: String,
    /// Price of one, in the currency of the opportunity.
    pub price: Option<Decimal>,
}

/// A person at the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Record number as addressed.
    pub person: i64,
    /// Role.
    pub role: String,
}

/// A ticked item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Stage.
    pub stage: String,
    /// Item.
    pub item: String,
    /// Who.
    pub actor: String,
    /// When.
    pub time: Timestamp,
}

/// Free values of an opportunity; sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpportunityPrivate {
    /// Description.
    pub description: String,
    /// Why it was won or lost, in words.
    pub comment: String,
}

/// An opportunity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opportunity {
    /// `opportunities/{id}`.
    pub id: i64,
    /// Title.
    pub display_name: String,
    /// The customer as addressed.
    pub customer: i64,
    /// The customer that holds it now.
    pub current: i64,
    /// Pipeline.
    pub pipeline: String,
    /// Its version.
    pub version: i64,
    /// Stage.
    pub stage: String,
    /// Furthest stage so far.
    pub reached: String,
    /// See [`outcome`].
    pub outcome: i64,
    /// What it is worth.
    pub amount: Option<Money>,
    /// Expected close, `YYYY-MM-DD`.
    pub close_date: Option<String>,
    /// Products.
    pub line_items: Vec<LineItem>,
    /// Persons.
    pub contacts: Vec<Contact>,
    /// Ticks.
    pub checked: Vec<Checked>,
    /// `users/…`.
    pub owner: String,
    /// `orgUnits/…`, or empty.
    pub org_unit: String,
    /// The lead it came from.
    pub lead: Option<i64>,
    /// First touch.
    pub touch: FirstTouch,
    /// Win or loss reason.
    pub reason: String,
    /// When won or lost.
    pub outcome_time: Option<Timestamp>,
    /// When it entered its stage.
    pub stage_time: Timestamp,
    /// Last touched.
    pub touch_time: Timestamp,
    /// Stale from then on.
    pub stale_time: Timestamp,
    /// Overdue from then on.
    pub overdue_time: Timestamp,
    /// How many transitions it has.
    pub transitions: i64,
    /// Wrapped key of `private`.
    pub data_key: Vec<u8>,
    /// Sealed values.
    pub private: OpportunityPrivate,
    /// Grows with every change.
    pub revision: i64,
    /// Who made it.
    pub creator: String,
    /// When.
    pub create_time: Timestamp,
    /// Last change.
    pub update_time: Timestamp,
}

impl Opportunity {
    /// What the amount is: the stated one, else the sum of priced items.
    pub fn facts(&self) -> process::Facts {
        process::Facts {
            amount: self.amount.is_some(),
            close_date: self.close_date.is_some(),
            line_items: !self.line_items.is_empty(),
            roles: self.contacts.iter().map(|c| c.role.clone()).collect(),
            owner: !self.owner.is_empty(),
            description: !self.private.description.is_empty(),
            checked: self
                .checked
                .iter()
                .map(|c| (c.stage.clone(), c.item.clone()))
                .collect(),
        }
    }
}

/// One move of an opportunity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transition {
    /// Opportunity.
    pub opportunity: i64,
    /// From 1.
    pub no: i64,
    /// See [`moved`].
    pub kind: i64,
    /// Pipeline before.
    pub from_pipeline: String,
    /// Pipeline after.
    pub pipeline: String,
    /// Version before; 0 for the first.
    pub from_version: i64,
    /// Version after.
    pub to_version: i64,
    /// Stage before.
    pub from_stage: String,
    /// Stage after.
    pub to_stage: String,
    /// Who.
    pub actor: String,
    /// Why, in words; sealed.
    pub cause: String,
    /// Win or loss reason.
    pub reason: String,
    /// Worth then.
    pub amount: Option<Money>,
    /// Revision it made.
    pub revision: i64,
    /// When.
    pub time: Timestamp,
}

/// Free values of an activity; sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ActivityPrivate {
    /// Subject.
    pub subject: String,
    /// Text.
    pub text: String,
}

/// One version of an activity, with what it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// `activities/{id}`.
    pub id: i64,
    /// As in the contract.
    pub kind: i64,
    /// The customer as addressed.
    pub customer: Option<i64>,
    /// The customer that holds it now.
    pub current: Option<i64>,
    /// Opportunity.
    pub opportunity: Option<i64>,
    /// Lead.
    pub lead: Option<i64>,
    /// When it happened.
    pub time: Timestamp,
    /// How long, in microseconds.
    pub duration: i64,
    /// Channel.
    pub channel: String,
    /// The customer began it.
    pub inbound: bool,
    /// `users/…`.
    pub owner: String,
    /// `orgUnits/…`, or empty.
    pub org_unit: String,
    /// Source id and external id.
    pub foreign: Option<(String, String)>,
    /// From 1.
    pub version: i64,
    /// Number of the newest version.
    pub newest: i64,
    /// Taken back.
    pub retracted: bool,
    /// Wrapped key of `private`.
    pub data_key: Vec<u8>,
    /// Sealed values.
    pub private: ActivityPrivate,
    /// Who wrote the version.
    pub creator: String,
    /// When.
    pub create_time: Timestamp,
}

/// Free values of a task; sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskPrivate {
    /// Subject.
    pub subject: String,
    /// Text.
    pub text: String,
    /// How it ended, in words.
    pub comment: String,
}

/// A task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// `tasks/{id}`.
    pub id: i64,
    /// As in the contract.
    pub kind: i64,
    /// As in the contract.
    pub priority: i64,
    /// See [`task_state`].
    pub state: i64,
    /// The customer as addressed.
    pub customer: Option<i64>,
    /// The customer that holds it now.
    pub current: Option<i64>,
    /// Opportunity.
    pub opportunity: Option<i64>,
    /// Lead.
    pub lead: Option<i64>,
    /// `users/…`.
    pub owner: String,
    /// `orgUnits/…`, or empty.
    pub org_unit: String,
    /// Due time of the first occurrence.
    pub base_time: Timestamp,
    /// Due time of this occurrence.
    pub due_time: Timestamp,
    /// Microseconds.
    pub remind_before: i64,
    /// When it comes back.
    pub recurrence: Option<Recurrence>,
    /// Who hears of it.
    pub escalations: Vec<Escalation>,
    /// From 1.
    pub occurrence: i64,
    /// How many firings it has.
    pub firings: i64,
    /// How it ended.
    pub outcome: String,
    /// When.
    pub close_time: Option<Timestamp>,
    /// What it came from.
    pub origin: Option<String>,
    /// Wrapped key of `private`.
    pub data_key: Vec<u8>,
    /// Sealed values.
    pub private: TaskPrivate,
    /// Grows with every change.
    pub revision: i64,
    /// Who made it.
    pub creator: String,
    /// When.
    pub create_time: Timestamp,
    /// Last change.
    pub update_time: Timestamp,
}

/// What a timer of a task did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firing {
    /// Task.
    pub task: i64,
    /// From 1.
    pub no: i64,
    /// Occurrence.
    pub occurrence: i64,
    /// See [`timer`].
    pub kind: i64,
    /// Which escalation.
    pub step: i64,
    /// When it was to fire.
    pub plan_time: Timestamp,
    /// When it did.
    pub fire_time: Timestamp,
    /// See [`fired`].
    pub result: i64,
    /// Why it was skipped.
    pub reason: String,
    /// Whom it went to.
    pub recipient: String,
    /// 0 nothing to deliver; see [`fired`].
    pub delivery: i64,
    /// Reason of the last failure.
    pub error: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was taken.
    pub deliver_time: Option<Timestamp>,
}

/// A request id with everything it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId {
    /// Who calls.
    pub caller: String,
    /// What.
    pub method: &'static str,
    /// The id.
    pub id: String,
    /// The encoded request.
    pub body: Vec<u8>,
}

/// The etag of a revision.
pub fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// Refuses a stale etag; an empty one fits everything.
///
/// # Errors
/// `ETAG_MISMATCH`.
pub fn check_etag(given: &str, revision: i64) -> Result<(), Failure> {
    if given.is_empty() || given == etag(revision) {
        return Ok(());
    }
    Err(Failure::new(
        Code::Aborted,
        "ETAG_MISMATCH",
        "it was changed meanwhile; read it again",
    ))
}

/// An amount as whole units and nanos. Amounts come in with at most nine decimals and within
/// [`MAX_AMOUNT`], so nothing is lost.
pub fn split(money: Option<&Money>) -> (String, i64, i64) {
    let Some(money) = money else {
        return (String::new(), 0, 0);
    };
    let units = money.amount.trunc();
    let nanos = (money.amount - units) * Decimal::from(1_000_000_000);
    (
        money.currency.clone(),
        i64::try_from(units).unwrap_or(i64::MAX),
        i64::try_from(nanos.trunc()).unwrap_or_default(),
    )
}

/// The amount of units and nanos, which may exceed one unit after summing.
pub fn join(currency: String, units: i64, nanos: i64) -> Option<Money> {
    if currency.is_empty() {
        return None;
    }
    let unscaled = i128::from(units) * 1_000_000_000 + i128::from(nanos);
    let amount = Decimal::try_from_i128_with_scale(unscaled, 9)
        .unwrap_or(Decimal::MAX)
        .normalize();
    Some(Money { currency, amount })
}

/// The sum of priced items, when every item has a price; none without items.
pub fn items_sum(items: &[LineItem]) -> Option<Decimal> {
    if items.is_empty() {
        return None;
    }
    items
        .iter()
        .try_fold(Decimal::ZERO, |sum, item| {
            sum.checked_add(item.quantity.checked_mul(item.price?)?)
        })
        .map(|sum| sum.round_dp(9).normalize())
}

/// A damaged row: a bug or a restored half.
pub fn damaged(what: &str) -> Failure {
    Failure::new(
        Code::DataLoss,
        "PIPELINE_DAMAGED",
        format!("a stored {what} cannot be read"),
    )
}

/// The set of roles a contact may have.
pub const ROLES: [&str; 8] = [
    "decision_maker",
    "economic_buyer",
    "technical_buyer",
    "user",
    "influencer",
    "champion",
    "procurement",
    "other",
];

/// Reasons of a win or loss.
pub const OUTCOME_REASONS: [&str; 11] = [
    "price",
    "product",
    "service",
    "relationship",
    "brand",
    "delivery",
    "competitor",
    "no_budget",
    "no_decision",
    "timing",
    "other",
];

/// Reasons to give a lead up.
pub const DISQUALIFY_REASONS: [&str; 8] = [
    "no_budget",
    "no_need",
    "wrong_contact",
    "competitor",
    "duplicate",
    "spam",
    "unreachable",
    "other",
];

/// The distinct record numbers a list of contacts names.
pub fn persons(contacts: &[Contact]) -> BTreeSet<i64> {
    contacts.iter().map(|c| c.person).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        Money {
            currency: "CNY".into(),
            amount: text.parse().unwrap(),
        }
    }

    #[test]
    fn amounts_come_back_exactly() {
        for text in ["0", "1", "-1.5", "0.000000001", "999999999999.999999999"] {
            let (currency, units, nanos) = split(Some(&money(text)));
            let back = join(currency, units, nanos).unwrap();
            assert_eq!(back.amount, money(text).amount, "{text}");
        }
        assert_eq!(join(String::new(), 0, 0), None);
        // Sums carry more than a unit in their nanos.
        let sum = join("CNY".into(), 1, 2_500_000_000).unwrap();
        assert_eq!(sum.amount.to_string(), "3.5");
    }

    #[test]
    fn items_without_a_price_have_no_sum() {
        let item = |price: Option<&str>| LineItem {
            product: "P".into(),
            quantity: "3".parse().unwrap(),
            unit: String::new(),
            price: price.map(|p| p.parse().unwrap()),
        };
        assert_eq!(items_sum(&[]), None);
        assert_eq!(items_sum(&[item(Some("1.1")), item(None)]), None);
        let sum = items_sum(&[item(Some("1.1")), item(Some("0.2"))]).unwrap();
        assert_eq!(sum.to_string(), "3.9");
    }

    #[test]
    fn only_the_present_etag_fits() {
        assert_eq!(check_etag("", 7), Ok(()));
        assert_eq!(check_etag("\"7\"", 7), Ok(()));
        assert_eq!(check_etag("\"6\"", 7).unwrap_err().reason, "ETAG_MISMATCH");
    }
}
