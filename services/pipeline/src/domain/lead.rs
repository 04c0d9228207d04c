//! A lead.

use jinke_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::Money;

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
    /// See [`super::lead_state`].
    pub state: i64,
    /// `users/…`, or empty.
    pub owner: String,
    /// `orgUnits/…`, or empty.
    pub org_unit: String,
    /// See [`super::cause`].
    pub assign_cause: i64,
    /// Id of the rule that chose.
    pub assign_rule: String,
    /// When.
    pub assign_time: Timestamp,
    /// Who.
    pub assign_actor: String,
    /// See [`super::match_result`].
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
