//! The audit trail between whoever records an event and whoever keeps it until it is delivered.

use crate::operation::OperationAnswer;

/// Events that wait to be delivered, from the oldest on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditWaiting {
    /// How many wait in all.
    pub count: u64,
    /// The first of them, each with its sequence: from 1, without gaps.
    pub events: Vec<(i64, Vec<u8>)>,
}

/// Where a service keeps the events of its audit trail until the trail has taken them. An event is
/// bytes here; what they say is agreed on between the kit and identity.
pub trait AuditLog: Send + Sync + 'static {
    /// Keeps an event: durable when this returns.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`, reason `AUDIT_BACKLOG_FULL`, when too many wait; those of the database.
    fn record(&self, event: Vec<u8>) -> OperationAnswer<'_, ()>;
    /// The oldest events that wait, at most `limit`; none while another replica delivers. `holder`
    /// names this process.
    fn waiting<'a>(&'a self, holder: &'a str, limit: u32) -> OperationAnswer<'a, AuditWaiting>;
    /// Forgets the events up to this sequence: the trail has them.
    fn delivered(&self, through: i64) -> OperationAnswer<'_, ()>;
    /// Gives those that wait new sequences, from `after + 1` on: the trail knows others up to
    /// `after`, because this database was restored from an older copy.
    fn renumber(&self, after: i64) -> OperationAnswer<'_, ()>;
    /// Completes soon after something was recorded, in this process or another.
    fn recorded(&self) -> OperationAnswer<'_, ()>;
}
