//! When a task comes back: calendar arithmetic by a wall clock of fixed offset, without a clock.
//!
//! The due time of occurrence n is counted from the first one, never from the one before, so that
//! the 31st stays the 31st after a February.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveDateTime};
use jinke_types::Timestamp;
use serde::{Deserialize, Serialize};

/// How often a task comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurrence {
    /// 1 daily, 2 weekly, 3 monthly, 4 yearly.
    pub frequency: i64,
    /// Every so many days, weeks…; at least 1.
    pub interval: u32,
    /// How many times in all; 0: without end.
    pub count: i64,
    /// Not due after this.
    pub until: Option<Timestamp>,
    /// Minutes east of Greenwich.
    pub offset: i32,
}

/// Who hears of a task that is not done in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// Microseconds after the due time.
    pub after: i64,
    /// `users/…`.
    pub to: String,
    /// The task changes hands.
    pub reassign: bool,
}

/// Daily.
pub const DAILY: i64 = 1;
/// Weekly.
pub const WEEKLY: i64 = 2;
/// Monthly.
pub const MONTHLY: i64 = 3;
/// Yearly.
pub const YEARLY: i64 = 4;

impl Recurrence {
    /// When occurrence `n` (from 1) is due if the first is due at `base`; none when it ended, or
    /// beyond the calendar.
    pub fn due(&self, base: Timestamp, n: i64) -> Option<Timestamp> {
        if n < 1 || (self.count > 0 && n > self.count) {
            return None;
        }
        let shift = i64::from(self.offset) * 60_000_000;
        let local = DateTime::from_timestamp_micros(base.0.checked_add(shift)?)?.naive_utc();
        let steps = u32::try_from(n - 1).ok()?.checked_mul(self.interval)?;
        let date = match self.frequency {
            DAILY => local.date().checked_add_days(Days::new(u64::from(steps)))?,
            WEEKLY => {
                let days = u64::from(steps).checked_mul(7)?;
                local.date().checked_add_days(Days::new(days))?
            }
            MONTHLY => months(local.date(), steps)?,
            YEARLY => months(local.date(), steps.checked_mul(12)?)?,
            _ => return None,
        };
        let due = NaiveDateTime::new(date, local.time());
        let due = Timestamp(due.and_utc().timestamp_micros().checked_sub(shift)?);
        let beyond = date.year() > 9_999 || self.until.is_some_and(|until| due > until);
        (!beyond).then_some(due)
    }
}

/// So many months on, on the same day or the last of a shorter month.
fn months(date: NaiveDate, n: u32) -> Option<NaiveDate> {
    date.checked_add_months(Months::new(n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recurs(frequency: i64, interval: u32) -> Recurrence {
        Recurrence {
            frequency,
            interval,
            count: 0,
            until: None,
            offset: 480,
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn the_last_of_a_month_and_leap_days_stay_what_they_are() {
        let monthly = recurs(MONTHLY, 1);
        let base = at("2026-01-31T09:00:00+08:00");
        for (n, due) in [
            (2, "2026-02-28T09:00:00+08:00"),
            (3, "2026-03-31T09:00:00+08:00"),
            (26, "2028-02-29T09:00:00+08:00"),
        ] {
            assert_eq!(monthly.due(base, n), Some(at(due)), "{n}");
        }
        let yearly = recurs(YEARLY, 1);
        let leap = at("2024-02-29T00:30:00+08:00");
        assert_eq!(yearly.due(leap, 2), Some(at("2025-02-28T00:30:00+08:00")));
        assert_eq!(yearly.due(leap, 5), Some(at("2028-02-29T00:30:00+08:00")));
    }

    #[test]
    fn the_day_is_that_of_the_wall_clock() {
        // 01:00 on 1 March in China is still February in Greenwich.
        let base = at("2026-03-01T01:00:00+08:00");
        let monthly = recurs(MONTHLY, 1);
        assert_eq!(monthly.due(base, 2), Some(at("2026-04-01T01:00:00+08:00")));
    }

    #[test]
    fn it_ends_by_count_and_by_time() {
        let base = at("2026-01-01T00:00:00Z");
        let mut daily = recurs(DAILY, 1);
        daily.count = 3;
        assert!(daily.due(base, 3).is_some() && daily.due(base, 4).is_none());
        daily.count = 0;
        daily.until = Some(at("2026-01-02T00:00:00Z"));
        assert!(daily.due(base, 2).is_some() && daily.due(base, 3).is_none());
        assert_eq!(daily.due(base, 0), None);
    }

    proptest! {
        #[test]
        fn each_is_later_than_the_one_before(
            base in -2_000_000_000_000_000_i64..8_000_000_000_000_000,
            frequency in 1..=4_i64,
            interval in 1..1_000_u32,
            offset in -840..=840_i32,
            n in 1..200_i64,
        ) {
            let r = Recurrence { frequency, interval, count: 0, until: None, offset };
            let (one, two) = (r.due(Timestamp(base), n), r.due(Timestamp(base), n + 1));
            if let (Some(one), Some(two)) = (one, two) {
                prop_assert!(one < two);
            }
            prop_assert_eq!(r.due(Timestamp(base), 1), Some(Timestamp(base)));
        }

        #[test]
        fn nothing_panics(base: i64, frequency: i64, interval: u32, offset: i32, n: i64, count: i64) {
            let r = Recurrence { frequency, interval, count, until: None, offset };
            let _ = r.due(Timestamp(base), n);
        }
    }
}
