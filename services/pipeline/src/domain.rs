//! The words of this service, without SQL and wire format.
//!
//! Numbers of enums are those of the contract, so that one number stands in protos and tables.

pub mod activity;
pub mod assign;
pub mod lead;
pub mod opportunity;
pub mod pipelines;
pub mod process;
pub mod row;
pub mod schedule;
pub mod task;

pub use jinke_types::Money;
use jinke_types::{Code, Failure};
use rust_decimal::Decimal;

pub use activity::{Activity, ActivityPrivate};
pub use lead::{DISQUALIFY_REASONS, FirstTouch, Lead, LeadPrivate};
pub use opportunity::{
    Checked, Contact, LineItem, OUTCOME_REASONS, Opportunity, OpportunityPrivate, ROLES,
    Transition, items_sum, persons,
};
pub use process::{Item, Process, Stage};
pub use row::{LeadRow, Stated};
pub use schedule::{Escalation, Recurrence};
pub use task::{Firing, Task, TaskPrivate};

/// The feed of this service.
pub const FEED: &str = "pipeline";
/// The source under which a person typing a customer in makes records (decision D4).
pub const MANUAL_SOURCE: &str = "manual";
/// Greatest amount of one opportunity, lead or line: sums of nine million such fit 64 bits.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000;
/// Owner's task about an overdue stage is due so long after the limit passed, in microseconds.
pub const OVERDUE_TASK_DUE: i64 = 24 * 3_600 * 1_000_000;

/// Why what was open of an erased customer was closed: reason of a lost opportunity and of a lead
/// given up, outcome of a cancelled task, reason of a skipped timer and of a message not sent.
pub const CUSTOMER_ERASED: &str = "customer_erased";

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

/// A damaged row: a bug or a restored half.
pub fn damaged(what: &str) -> Failure {
    Failure::new(
        Code::DataLoss,
        "PIPELINE_DAMAGED",
        format!("a stored {what} cannot be read"),
    )
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
    fn only_the_present_etag_fits() {
        assert_eq!(check_etag("", 7), Ok(()));
        assert_eq!(check_etag("\"7\"", 7), Ok(()));
        assert_eq!(check_etag("\"6\"", 7).unwrap_err().reason, "ETAG_MISMATCH");
    }
}
