//! How long a call may take, and what else belongs to the call that is being answered.
//!
//! The server layer sets a [`Call`] for the time a handler runs; [`crate::Peer`] reads it, so that
//! a call to a peer gets what is left of the caller's deadline and carries his request id on.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderValue};
use jinke_types::{AuditIntent, Code, Failure};
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
    /// The `traceparent` the call came with, passed on where no tracer makes a new one.
    pub traceparent: Option<HeaderValue>,
    /// What is left of it when the process dies after its change; set before its handler runs.
    pub intent: OnceLock<Arc<AuditIntent>>,
    /// Whom a public method found to be calling; see [`crate::audit::name_caller`].
    pub proven: OnceLock<String>,
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
        let intent = self.intent.get().map(Arc::clone);
        AuditIntent::scope_of(intent, CALL.scope(self, work)).await
    }

    /// Runs `work`, which does not wait, as part of this call.
    pub fn enter<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        CALL.sync_scope(Arc::clone(self), work)
    }

    /// What is left of the deadline; zero when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|d| d.saturating_duration_since(Instant::now()))
    }
}

/// Header that carries the deadline, as the time left.
pub const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The time left a request states in `grpc-timeout`: up to 8 digits and a unit of `H M S m u n`.
/// `None` when there is no such header.
///
/// # Errors
/// `INVALID_ARGUMENT`, reason `TIMEOUT_MALFORMED`.
pub fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(|text| {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        if number.is_empty() || number.len() > 8 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let n: u64 = number.parse().ok()?;
        Some(match unit {
            "H" => Duration::from_secs(n * 3600),
            "M" => Duration::from_secs(n * 60),
            "S" => Duration::from_secs(n),
            "m" => Duration::from_millis(n),
            "u" => Duration::from_micros(n),
            "n" => Duration::from_nanos(n),
            _ => return None,
        })
    });
    match parsed {
        Some(timeout) => Ok(Some(timeout)),
        None => Err(Failure::new(
            Code::InvalidArgument,
            "TIMEOUT_MALFORMED",
            "grpc-timeout is not a number of up to 8 digits and a unit",
        )),
    }
}

/// The header value for a time left, in the finest unit that fits 8 digits, rounded down.
pub fn timeout_value(left: Duration) -> HeaderValue {
    let units = [
        (left.as_nanos(), 'n'),
        (left.as_micros(), 'u'),
        (left.as_millis(), 'm'),
    ];
    let fine = units.into_iter().find(|(n, _)| *n < 100_000_000);
    let seconds = u128::from(left.as_secs()).min(99_999_999);
    let (number, unit) = fine.unwrap_or((seconds, 'S'));
    HeaderValue::try_from(format!("{number}{unit}"))
        .unwrap_or_else(|_| HeaderValue::from_static("0n"))
}

/// What is answered when a deadline has passed.
pub fn exceeded() -> Failure {
    Failure::new(
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "the deadline has passed",
    )
}

/// The instant by which the answer must be on its way: a little before the caller stops waiting,
/// so that he hears of it from us and not from his own timer.
pub(crate) fn answer_by(received: Instant, timeout: Duration) -> Instant {
    let margin = (timeout / 20).min(Duration::from_millis(20));
    received
        + timeout
            .saturating_sub(margin)
            .min(Duration::from_secs(365 * 86_400))
}
