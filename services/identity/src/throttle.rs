//! How often a login may fail. Pure: counts in, counts out.
//!
//! Every attempt is charged before the password is looked at, so that many attempts at one
//! moment cannot slip through together; a right password gives the charge back. Beyond some free
//! failures every further one doubles the pause, for the name and for all names together. Names
//! that do not exist are counted alike. Time forgives one failure after another.
//!
//! The price is known: who keeps failing under a colleague's name delays that colleague, at
//! longest for [`Limits::longest`]. The pause for all names is short for that reason; what it
//! bounds is the rate of guessing across many names.

use std::time::Duration;

use jinke_types::Timestamp;

/// How much is free and how long the pauses grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Failures without a pause.
    pub(crate) free: u32,
    /// Pause after the first failure beyond; doubles with each further one.
    pub(crate) first: Duration,
    /// No pause is longer.
    pub(crate) longest: Duration,
    /// One failure is forgiven per this time.
    pub(crate) forgive: Duration,
}

/// The failures counted for one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Failures not yet forgiven.
    pub(crate) failures: i64,
    /// Up to when time has forgiven.
    pub(crate) count_time: Timestamp,
    /// Attempts before this are refused.
    pub(crate) blocked_until: Timestamp,
}

/// Charges one attempt: the new count, or how long to wait.
pub(crate) fn charge(
    count: Option<Count>,
    limits: &Limits,
    now: Timestamp,
) -> Result<Count, Duration> {
    let Some(count) = count else {
        return Ok(Count {
            failures: 1,
            count_time: now,
            ..Count::default()
        });
    };
    // A clock that was set back must not lock anybody out for longer than the longest pause.
    let end = count.blocked_until.min(now.plus(limits.longest));
    if now < end {
        return Err(Duration::from_micros(end.0.abs_diff(now.0)));
    }
    let count = forgiven(count, limits, now);
    let failures = count.failures + 1;
    let beyond = failures - i64::from(limits.free);
    let blocked_until = if beyond > 0 {
        let doublings = u32::try_from(beyond - 1).unwrap_or(u32::MAX).min(30);
        now.plus(
            limits
                .first
                .saturating_mul(1 << doublings)
                .min(limits.longest),
        )
    } else {
        Timestamp::default()
    };
    Ok(Count {
        failures,
        count_time: count.count_time,
        blocked_until,
    })
}

fn forgiven(count: Count, limits: &Limits, now: Timestamp) -> Count {
    let step = i64::try_from(limits.forgive.as_micros())
        .unwrap_or(i64::MAX)
        .max(1);
    let steps = now.0.saturating_sub(count.count_time.0).max(0) / step;
    if steps >= count.failures {
        return Count {
            failures: 0,
            count_time: now,
            ..count
        };
    }
    let count_time = Timestamp(count.count_time.0 + steps * step);
    Count {
        failures: count.failures - steps,
        count_time,
        ..count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        free: 3,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(60),
        forgive: Duration::from_secs(300),
    };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut now = Timestamp::from_secs(1_000);
        let mut count = None;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let charged = charge(count, &LIMITS, now).expect("waited as told");
            if let Err(wait) = charge(Some(charged), &LIMITS, now) {
                pauses.push(wait.as_secs());
                now = now.plus(wait);
            }
            count = Some(charged);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn time_forgives_one_by_one() {
        let now = Timestamp::from_secs(1_000);
        let count = Count {
            failures: 5,
            count_time: now,
            blocked_until: now,
        };
        let later = charge(Some(count), &LIMITS, now.plus(Duration::from_secs(650))).unwrap();
        assert_eq!(later.failures, 4);
        assert_eq!(later.count_time, now.plus(Duration::from_secs(600)));
        let much_later = charge(Some(count), &LIMITS, now.plus(Duration::from_secs(9_000)));
        assert_eq!(much_later.unwrap().failures, 1);
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out_for_long() {
        let now = Timestamp::from_secs(1_000);
        let count = Count {
            failures: 9,
            count_time: now,
            blocked_until: now.plus(Duration::from_secs(86_400)),
        };
        assert_eq!(charge(Some(count), &LIMITS, now), Err(LIMITS.longest));
    }
}
