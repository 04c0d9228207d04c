//! How long a call may take, and what else belongs to the call that is being answered.
//!
//! The server layer sets a [`Call`] for the time a handler runs; [`crate::Peer`] reads it, so that
//! a call to a peer gets what is left of the caller's deadline and carries his request id on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

tokio::task_local! {
    static CALL: Arc<Call>;
}

/// Header that carries the request id from hop to hop.
pub const REQUEST_ID: &str = "x-request-id";

/// The call being answered by the present task.
#[derive(Clone, Debug)]
pub struct Call {
    /// Names the call in logs, the same on every hop: 1 to 64 of `a-z A-Z 0-9 - _`.
    pub id: String,
    /// When the caller stops waiting. Streams that watch have none.
    pub deadline: Option<Instant>,
}

impl Call {
    /// The call the present task answers; `None` outside of a handler and in tasks it spawned.
    pub fn current() -> Option<Arc<Self>> {
        CALL.try_with(Arc::clone).ok()
    }

    /// The id of the present call, or a fresh one where there is no call.
    pub fn request_id() -> String {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self::current().map_or_else(
            || format!("local-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            |c| c.id.clone(),
        )
    }

    /// Runs `work` as part of this call. A handler that spawns a task wraps it in this.
    pub async fn scope<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        CALL.scope(self, work).await
    }

    /// What is left of the deadline; zero when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|d| d.saturating_duration_since(Instant::now()))
    }
}
