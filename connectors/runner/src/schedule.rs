//! When a connection runs by itself: intervals, and cron lines in a time zone.
//!
//! A cron line has the five fields of POSIX `crontab`: minute, hour, day of month, month, day of
//! week. As there, a time fits when minute, hour and month fit and, if both days are restricted,
//! either of them does. A local time that a change of the clock skips does not run; one that comes
//! twice runs the first time.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeZone as _, Utc};
use chrono_tz::Tz;
use jinke_types::{Failure, Timestamp};
use serde::{Deserialize, Serialize};

/// The shortest interval.
pub const SHORTEST: Duration = Duration::from_secs(10);
/// The longest interval.
pub const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// The zone when none is given.
pub const ZONE: &str = "Asia/Shanghai";
/// Days that are looked at for the next time: a 29 February is at most eight years away.
const HORIZON: u64 = 9 * 366;

/// When a connection runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// So many seconds after the last run began.
    Interval {
        /// Between [`SHORTEST`] and [`LONGEST`].
        seconds: u64,
    },
    /// By a cron line.
    Cron {
        /// The five fields.
        line: String,
        /// IANA name of the time zone.
        zone: String,
    },
}

/// A cron line, read. Each field is a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

impl Schedule {
    /// Checks the schedule; `field` is the path that a violation names.
    ///
    /// # Errors
    /// `INVALID_FIELD`.
    pub fn check(&self, field: &str) -> Result<(), Failure> {
        match self {
            Self::Interval { seconds } => {
                let range = SHORTEST.as_secs()..=LONGEST.as_secs();
                if range.contains(seconds) {
                    return Ok(());
                }
                Err(Failure::field(
                    format!("{field}.interval"),
                    "must be between 10 seconds and 31 days",
                ))
            }
            Self::Cron { line, zone } => {
                let cron =
                    Cron::read(line).map_err(|why| Failure::field(format!("{field}.cron"), why))?;
                let zone: Tz = zone.parse().map_err(|_| {
                    Failure::field(
                        format!("{field}.time_zone"),
                        "is no name of a time zone such as Asia/Shanghai",
                    )
                })?;
                match cron.next(zone, Timestamp(0)) {
                    Some(_) => Ok(()),
                    None => Err(Failure::field(
                        format!("{field}.cron"),
                        "names a day that never comes",
                    )),
                }
            }
        }
    }

    /// The first time behind `now`. None when the line cannot be read any more, which
    /// [`Self::check`] rules out.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Interval { seconds } => Some(now.plus(Duration::from_secs(*seconds))),
            Self::Cron { line, zone } => Cron::read(line).ok()?.next(zone.parse().ok()?, now),
        }
    }
}

impl Cron {
    fn read(line: &str) -> Result<Self, String> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err("must have five fields: minute, hour, day, month, day of week".to_owned());
        };
        let weekday_bits = bits("day of week", weekdays, 0, 7)?;
        Ok(Self {
            minutes: bits("minute", minutes, 0, 59)?,
            hours: bits("hour", hours, 0, 23)?,
            days: bits("day of month", days, 1, 31)?,
            months: bits("month", months, 1, 12)?,
            // Sunday is 0 and 7.
            weekdays: (weekday_bits & 0x7f) | (weekday_bits >> 7),
            any_day: days.starts_with('*'),
            any_weekday: weekdays.starts_with('*'),
        })
    }

    fn day_fits(&self, day: NaiveDate) -> bool {
        let has = |bits: u64, n: u32| bits >> n & 1 == 1;
        if !has(self.months, day.month()) {
            return false;
        }
        let by_day = has(self.days, day.day());
        let by_weekday = has(self.weekdays, day.weekday().num_days_from_sunday());
        if self.any_day || self.any_weekday {
            by_day && by_weekday
        } else {
            by_day || by_weekday
        }
    }

    fn next(&self, zone: Tz, now: Timestamp) -> Option<Timestamp> {
        let now: DateTime<Utc> = DateTime::from_timestamp_micros(now.0)?;
        let first = now.with_timezone(&zone).date_naive();
        for days in 0..HORIZON {
            let day = first.checked_add_days(Days::new(days))?;
            if !self.day_fits(day) {
                continue;
            }
            for hour in (0..24).filter(|h| self.hours >> h & 1 == 1) {
                for minute in (0..60).filter(|m| self.minutes >> m & 1 == 1) {
                    let local = day.and_hms_opt(hour, minute, 0)?;
                    let at = zone.from_local_datetime(&local).earliest();
                    if let Some(at) = at.filter(|at| *at > now) {
                        return Some(Timestamp(at.timestamp_micros()));
                    }
                }
            }
        }
        None
    }
}

/// A field as a set of bits.
fn bits(name: &str, field: &str, low: u32, high: u32) -> Result<u64, String> {
    let number = |text: &str| {
        text.parse::<u32>()
            .ok()
            .filter(|n| (low..=high).contains(n) && text.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| format!("has a {name} that is not between {low} and {high}"))
    };
    let mut out = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => match step.parse::<u32>() {
                Ok(step @ 1..=60) => (range, step),
                _ => return Err(format!("has a {name} with a step that is not 1 to 60")),
            },
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(format!("has a {name} range that ends before it begins"));
        }
        for n in (from..=to).step_by(step as usize) {
            out |= 1 << n;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn next(line: &str, zone: &str, now: &str) -> String {
        let schedule = Schedule::Cron {
            line: line.to_owned(),
            zone: zone.to_owned(),
        };
        schedule.check("schedule").unwrap();
        schedule.next(at(now)).unwrap().to_rfc3339()
    }

    #[test]
    fn lines_fit_their_times_in_their_zone() {
        let shanghai = |line, now| next(line, ZONE, now);
        let now = "2026-11-22T05:59:30Z"; // Sunday 13:59:30 there.
        for (line, want) in [
            ("* * * * *", "2026-11-22T06:00:00"),
            ("*/15 * * * *", "2026-11-22T06:00:00"),
            ("30 2 * * *", "2026-11-22T18:30:00"),
            ("0 9 * * 1-5", "2026-11-23T01:00:00"),
            ("0 9 1 * *", "2026-12-01T01:00:00"),
            ("0 0 29 2 *", "2028-02-28T16:00:00"),
            ("0 12 13 * 5", "2026-11-27T04:00:00"),
            ("5,10 14 * * 7", "2026-11-22T06:05:00"),
            ("59 13 22 11 *", "2027-11-22T05:59:00"),
        ] {
            assert!(
                shanghai(line, now).starts_with(want),
                "{line}: {}",
                shanghai(line, now)
            );
        }
    }

    #[test]
    fn a_skipped_hour_does_not_run_and_a_doubled_one_runs_once() {
        let line = "30 2 * * *";
        // Berlin skips 02:30 on 29 March 2026 and has it twice on 25 October.
        let spring = next(line, "Europe/Berlin", "2026-03-28T12:00:00Z");
        assert!(spring.starts_with("2026-03-30T00:30:00"), "{spring}");
        let autumn = next(line, "Europe/Berlin", "2026-10-24T12:00:00Z");
        assert!(autumn.starts_with("2026-10-25T00:30:00"), "{autumn}");
        let after = next(line, "Europe/Berlin", "2026-10-25T00:30:00Z");
        assert!(after.starts_with("2026-10-26T01:30:00"), "{after}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (line, zone) in [
            ("* * * *", ZONE),
            ("60 * * * *", ZONE),
            ("* 24 * * *", ZONE),
            ("* * 0 * *", ZONE),
            ("5-1 * * * *", ZONE),
            ("*/0 * * * *", ZONE),
            ("+5 * * * *", ZONE),
            ("0 0 30 2 *", ZONE),
            ("", ZONE),
            ("* * * * *", "Mars/Base"),
        ] {
            let schedule = Schedule::Cron {
                line: line.to_owned(),
                zone: zone.to_owned(),
            };
            assert!(schedule.check("schedule").is_err(), "{line} {zone}");
        }
        for seconds in [0, 9, 31 * 86_400 + 1] {
            assert!(Schedule::Interval { seconds }.check("s").is_err());
        }
    }
}
