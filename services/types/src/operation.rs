//! Long-running operations: what they are, and what the bootstrap needs of whoever keeps them.
//!
//! A service keeps its operations in its own database; the kit serves them as
//! `google.longrunning.Operations`. Neither knows the other: they meet in [`OperationLog`].

use std::pin::Pin;

use crate::{Code, Failure, Timestamp};

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationState {
    /// Waiting for a worker, or at work.
    Running,
    /// Ended well; there is a result.
    Succeeded,
    /// Ended with a failure.
    Failed,
    /// Taken back before it ended.
    Cancelled,
}

impl OperationState {
    /// Every state.
    pub const ALL: [Self; 4] = [
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];
    /// The word it is stored and filtered by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
    /// The state of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// Why an operation failed: a [`Failure`] as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationFailure {
    /// The class of error.
    pub code: Code,
    /// Stable, documented reason.
    pub reason: String,
    /// A sentence for people, without personal data.
    pub message: String,
}

/// A long-running operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number; the name is `<service>/operations/<number>`.
    pub id: i64,
    /// What it does, a short word the service gave, e.g. `rebuild`.
    pub kind: String,
    /// How far it is.
    pub state: OperationState,
    /// Who started it (resource name), for access checks.
    pub caller: String,
    /// What was asked for, as the service encoded it.
    pub request: Vec<u8>,
    /// What came out, when it succeeded: an encoded `google.protobuf.Any`.
    pub result: Option<Vec<u8>>,
    /// Why it failed.
    pub failure: Option<OperationFailure>,
    /// Steps done.
    pub done: i64,
    /// Steps in all; 0 while unknown.
    pub total: i64,
    /// Where the next worker goes on, when this one dies.
    pub checkpoint: Option<Vec<u8>>,
    /// Whether somebody asked to cancel it: the worker should stop.
    pub cancel_requested: bool,
    /// How often a worker took it up; more than once after a crash or restart.
    pub attempts: i64,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it last changed.
    pub update_time: Timestamp,
}

/// Which operations to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationQuery {
    /// Only those this caller started.
    pub caller: Option<String>,
    /// Only those of this kind.
    pub kind: Option<String>,
    /// Only those that have ended, or have not.
    pub done: Option<bool>,
    /// Only those with a smaller number; the answer is newest first.
    pub before: Option<i64>,
    /// At most so many; at least 1.
    pub limit: u32,
}

/// An answer that takes a while.
pub type OperationAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Where a service keeps its operations.
pub trait OperationLog: Send + Sync + 'static {
    /// The operation with this number, or `NOT_FOUND`.
    fn get(&self, id: i64) -> OperationAnswer<'_, Operation>;
    /// Operations, newest first.
    fn list(&self, query: OperationQuery) -> OperationAnswer<'_, Vec<Operation>>;
    /// Asks an operation to stop; one that has ended stays as it is.
    fn cancel(&self, id: i64) -> OperationAnswer<'_, Operation>;
    /// Forgets an operation that has ended; `FAILED_PRECONDITION` for one that runs.
    fn delete(&self, id: i64) -> OperationAnswer<'_, ()>;
}
