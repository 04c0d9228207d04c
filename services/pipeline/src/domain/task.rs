//! A task and what its timers did.

use jinke_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Escalation, Recurrence};

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
    /// See [`super::task_state`].
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
    /// When its personal values were destroyed, because its customer was erased.
    pub erase_time: Option<Timestamp>,
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
    /// See [`super::timer`].
    pub kind: i64,
    /// Which escalation.
    pub step: i64,
    /// When it was to fire.
    pub plan_time: Timestamp,
    /// When it did.
    pub fire_time: Timestamp,
    /// See [`super::fired`].
    pub result: i64,
    /// Why it was skipped.
    pub reason: String,
    /// Whom it went to.
    pub recipient: String,
    /// 0 nothing to deliver; see [`super::fired`].
    pub delivery: i64,
    /// Reason of the last failure.
    pub error: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was taken.
    pub deliver_time: Option<Timestamp>,
}
