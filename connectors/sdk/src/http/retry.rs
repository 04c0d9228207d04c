//! When a failed call is tried again.

use std::time::Duration;

use jinke_types::{Entropy, Timestamp};

/// Exponential backoff with full jitter: before try n+1 a random time between zero and
/// `base · 2ⁿ⁻¹`, at most `cap`, passes. The randomness keeps callers that failed together from
/// coming back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all; 1 means never again.
    pub tries: u32,
    /// The longest first wait.
    pub base: Duration,
    /// The longest wait that is our own choice.
    pub cap: Duration,
    /// The longest wait that a server may ask for; when it asks for more, the pull ends as
    /// unavailable and the runner comes back later.
    pub longest_asked: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries: 6,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            longest_asked: Duration::from_secs(120),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub time: Duration,
    /// The server asked for it, so it holds for every call.
    pub asked: bool,
}

impl RetryPolicy {
    /// How long to wait after the `tries`th failed try; `None` when the server asks for more
    /// than it may.
    pub(super) fn wait(
        &self,
        tries: u32,
        asked: Option<Duration>,
        entropy: &dyn Entropy,
    ) -> Option<Wait> {
        if let Some(time) = asked {
            return (time <= self.longest_asked).then_some(Wait { time, asked: true });
        }
        let most = self
            .base
            .saturating_mul(1_u32 << (tries.saturating_sub(1)).min(20))
            .min(self.cap);
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let time = Duration::from_micros(u64::from_le_bytes(bytes) % most.saturating_add(1).max(1));
        Some(Wait { time, asked: false })
    }
}

/// Reads a `Retry-After`: seconds, or a date of RFC 9110. `None` when it is neither.
pub(super) fn retry_after(header: Option<&str>, now: Timestamp) -> Option<Duration> {
    let text = header?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok()?;
    let micros = date.and_utc().timestamp_micros().saturating_sub(now.0);
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use jinke_types::SeededEntropy;

    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_are_spread() {
        let policy = RetryPolicy::default();
        let entropy = SeededEntropy::new(7);
        for (tries, most) in [(1, 500), (2, 1_000), (5, 8_000), (9, 30_000), (60, 30_000)] {
            let times: Vec<_> = (0..200)
                .map(|_| policy.wait(tries, None, &entropy).unwrap().time.as_millis())
                .collect();
            assert!(times.iter().all(|t| *t <= most), "try {tries}");
            assert!(times.iter().any(|t| *t > most * 9 / 10), "try {tries}");
            assert!(times.iter().any(|t| *t < most / 10), "try {tries}");
        }
        let asked = Duration::from_secs(9);
        let wait = policy.wait(1, Some(asked), &entropy).unwrap();
        assert_eq!((wait.time, wait.asked), (asked, true));
        let long = Some(Duration::from_secs(121));
        assert_eq!(policy.wait(1, long, &entropy), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse("2026-11-22T03:00:00Z").unwrap();
        let read = |text| retry_after(Some(text), now).map(|d| d.as_secs());
        assert_eq!(read(" 17 "), Some(17));
        assert_eq!(read("Sun, 22 Nov 2026 03:00:30 GMT"), Some(30));
        assert_eq!(read("Sun, 22 Nov 2026 02:00:00 GMT"), Some(0));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-3"), None);
        assert_eq!(retry_after(None, now), None);
    }
}
