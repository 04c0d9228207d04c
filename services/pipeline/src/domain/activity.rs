//! What was done with a customer.

use jinke_types::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// When its personal values were destroyed, because its customer was erased.
    pub erase_time: Option<Timestamp>,
}
