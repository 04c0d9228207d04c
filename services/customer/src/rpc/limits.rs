//! What one call may ask for and how long a stream may wait.

use std::time::Duration;

/// Limits that an operator may change; the fixed ones stand in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A stream of records ends when nothing comes, or answers are not taken, for this long.
    pub stream_idle: Duration,
    /// A watch sends a checkpoint when nothing happens for this long.
    pub checkpoint: Duration,
    /// How often the feed is read for changes of other replicas.
    pub poll: Duration,
    /// A watch ends when its client takes nothing for this long.
    pub watch_stalled: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stream_idle: Duration::from_secs(60),
            checkpoint: Duration::from_secs(5),
            poll: Duration::from_millis(500),
            watch_stalled: Duration::from_secs(60),
        }
    }
}
