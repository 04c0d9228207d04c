//! How long to wait before a retry: exponential, with jitter, bounded.

use std::time::Duration;

use jinke_types::Entropy;

/// Waiting times between attempts. The wait before attempt `n + 1` lies between half of
/// `first · 2ⁿ⁻¹` and the whole of it, and the whole never exceeds `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure, before jitter.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// After this many attempts the failure is final. At least 1.
    pub attempts: u32,
}

impl Default for Backoff {
    /// 200 ms doubling to 15 s, 12 attempts: about a minute and a half in all, which covers a
    /// restart of the service.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(15),
            attempts: 12,
        }
    }
}

impl Backoff {
    /// The wait after failed attempt number `attempt` (from 1), or `None` when it was the last.
    /// Half of it is random, so that many clients do not come back at the same instant.
    pub fn wait(&self, attempt: u32, entropy: &dyn Entropy) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(20);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = whole / 2;
        let mut bytes = [0; 4];
        entropy.fill(&mut bytes);
        let part = u64::from(u32::from_le_bytes(bytes));
        let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
        // The product of two numbers below 2^32 and 2^32·half stays exact in 128 bits.
        let jitter = (u128::from(micros) * u128::from(part)) >> 32;
        Some(half + Duration::from_micros(u64::try_from(jitter).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use jinke_types::SeededEntropy;

    use super::*;

    #[test]
    fn waits_grow_stay_bounded_and_end() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(1),
            attempts: 40,
        };
        let entropy = SeededEntropy::new(7);
        for attempt in 1..40 {
            let whole = Duration::from_millis(100)
                .saturating_mul(1 << (attempt - 1).min(20))
                .min(Duration::from_secs(1));
            let wait = backoff.wait(attempt, &entropy).unwrap();
            assert!(
                wait >= whole / 2 && wait <= whole,
                "attempt {attempt}: {wait:?}"
            );
        }
        assert_eq!(backoff.wait(40, &entropy), None);
    }

    #[test]
    fn two_clients_do_not_wait_alike() {
        let backoff = Backoff::default();
        let (one, two) = (SeededEntropy::new(1), SeededEntropy::new(2));
        assert_ne!(backoff.wait(3, &one), backoff.wait(3, &two));
    }
}
