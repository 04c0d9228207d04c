//! Days, months and periods in a time zone.
//!
//! A fact belongs to the day its instant falls on in the zone of the question. Months are calendar
//! months; a day that the target month lacks becomes its last one (30 November plus three months is
//! 28 or 29 February). Where a zone skips midnight, a day begins with its first instant.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use jinke_types::Timestamp;

/// First and last day that dates may have.
pub const FIRST_YEAR: i32 = 1900;
/// See [`FIRST_YEAR`].
pub const LAST_YEAR: i32 = 2200;

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    /// By IANA name.
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    /// Its IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The day of an instant.
    pub fn day(self, time: Timestamp) -> NaiveDate {
        DateTime::from_timestamp_micros(time.0)
            .unwrap_or_default()
            .with_timezone(&self.0)
            .date_naive()
    }

    /// The first instant of a day.
    pub fn start(self, day: NaiveDate) -> Timestamp {
        let mut local = day.and_time(NaiveTime::MIN);
        // A gap is at most a day long (Samoa left one out).
        for _ in 0..=96 {
            if let Some(at) = self.0.from_local_datetime(&local).earliest() {
                return Timestamp(at.timestamp_micros());
            }
            local += TimeDelta::minutes(15);
        }
        Timestamp(local.and_utc().timestamp_micros())
    }

    /// The first instant after a day.
    pub fn end(self, day: NaiveDate) -> Timestamp {
        self.start(next(day))
    }
}

/// The day after.
pub fn next(day: NaiveDate) -> NaiveDate {
    day.checked_add_days(Days::new(1)).unwrap_or(day)
}

/// The day before.
pub fn previous(day: NaiveDate) -> NaiveDate {
    day.checked_sub_days(Days::new(1)).unwrap_or(day)
}

/// So many months later, or earlier when negative.
pub fn add_months(day: NaiveDate, months: i32) -> NaiveDate {
    let by = Months::new(months.unsigned_abs());
    if months < 0 {
        day.checked_sub_months(by).unwrap_or(NaiveDate::MIN)
    } else {
        day.checked_add_months(by).unwrap_or(NaiveDate::MAX)
    }
}

/// Days from `a` to `b`.
pub fn days_between(a: NaiveDate, b: NaiveDate) -> i64 {
    (b - a).num_days()
}

/// Whole years from `from` to `day`: how many anniversaries have come; 0 before `from`.
pub fn full_years(from: NaiveDate, day: NaiveDate) -> usize {
    let mut years = usize::try_from(day.year() - from.year()).unwrap_or_default();
    while years > 0 && add_months(from, i32::try_from(years * 12).unwrap_or(i32::MAX)) > day {
        years -= 1;
    }
    years
}

/// How time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// One period.
    Whole,
    /// Days.
    Day,
    /// Weeks from Monday.
    Week,
    /// Calendar months.
    Month,
    /// Calendar quarters.
    Quarter,
    /// Calendar years.
    Year,
}

/// First and last day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// First day.
    pub start: NaiveDate,
    /// Last day.
    pub end: NaiveDate,
}

impl Period {
    /// How many days it has.
    pub fn days(self) -> i64 {
        days_between(self.start, self.end) + 1
    }

    /// The period before it: as many whole months when it is made of whole months, else as many
    /// days.
    pub fn before(self) -> Self {
        let end = previous(self.start);
        if self.start.day() == 1 && next(self.end).day() == 1 {
            let after = next(self.end);
            let months = (after.year() - self.start.year()) * 12 + after.month0() as i32
                - self.start.month0() as i32;
            return Self {
                start: add_months(self.start, -months),
                end,
            };
        }
        let back = u64::try_from(self.days() - 1).unwrap_or_default();
        Self {
            start: end.checked_sub_days(Days::new(back)).unwrap_or(end),
            end,
        }
    }

    /// The same days a year before; the end of a month stays one.
    pub fn year_before(self) -> Self {
        let whole = next(self.end).day() == 1;
        let end = if whole {
            previous(add_months(next(self.end), -12))
        } else {
            add_months(self.end, -12)
        };
        Self {
            start: add_months(self.start, -12),
            end,
        }
    }
}

/// Cuts a window into periods; the first and last may be cut short. At most `most`; none when there
/// would be more.
pub fn cut(window: Period, grain: Grain, most: usize) -> Option<Vec<Period>> {
    let mut periods = Vec::new();
    let mut start = window.start;
    while start <= window.end {
        let end = last_day(start, grain).map_or(window.end, |end| end.min(window.end));
        if periods.len() == most {
            return None;
        }
        periods.push(Period { start, end });
        start = next(end);
    }
    Some(periods)
}

/// The last day of the grain's period that `day` is in.
fn last_day(day: NaiveDate, grain: Grain) -> Option<NaiveDate> {
    let first = |months: i32| {
        let first = day.with_day(1).unwrap_or(day);
        previous(add_months(first, months))
    };
    Some(match grain {
        Grain::Whole => return None,
        Grain::Day => day,
        Grain::Week => {
            let left = 6 - u64::from(day.weekday().num_days_from_monday());
            day.checked_add_days(Days::new(left)).unwrap_or(day)
        }
        Grain::Month => first(1),
        Grain::Quarter => first(3 - (day.month0() as i32) % 3),
        Grain::Year => first(12 - day.month0() as i32),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn months_end_where_the_month_ends() {
        assert_eq!(add_months(day("2025-11-30"), 3), day("2026-02-28"));
        assert_eq!(add_months(day("2023-11-30"), 3), day("2024-02-29"));
        assert_eq!(add_months(day("2024-03-31"), -1), day("2024-02-29"));
    }

    #[test]
    fn anniversaries_of_a_leap_day_come_on_the_28th() {
        let born = day("2024-02-29");
        assert_eq!(full_years(born, day("2025-02-27")), 0);
        assert_eq!(full_years(born, day("2025-02-28")), 1);
        assert_eq!(full_years(born, day("2028-02-28")), 3);
        assert_eq!(full_years(born, day("2028-02-29")), 4);
        assert_eq!(full_years(born, day("2020-01-01")), 0);
    }

    #[test]
    fn a_day_begins_when_it_begins_there() {
        let shanghai = Zone::parse("Asia/Shanghai").unwrap();
        let at = Timestamp::parse("2026-01-01T15:59:59Z").unwrap();
        assert_eq!(shanghai.day(at), day("2026-01-01"));
        assert_eq!(
            shanghai.end(day("2026-01-01")),
            Timestamp::parse("2026-01-01T16:00:00Z").unwrap()
        );
        // São Paulo skipped midnight on 4 November 2018; Samoa skipped a whole day.
        let sao_paulo = Zone::parse("America/Sao_Paulo").unwrap();
        let start = sao_paulo.start(day("2018-11-04"));
        assert_eq!(sao_paulo.day(start), day("2018-11-04"));
        assert_eq!(sao_paulo.day(Timestamp(start.0 - 1)), day("2018-11-03"));
        let apia = Zone::parse("Pacific/Apia").unwrap();
        assert_eq!(apia.start(day("2011-12-30")), apia.start(day("2011-12-31")));
    }

    #[test]
    fn periods_cover_the_window() {
        let window = Period {
            start: day("2025-12-30"),
            end: day("2026-04-02"),
        };
        for grain in [
            Grain::Day,
            Grain::Week,
            Grain::Month,
            Grain::Quarter,
            Grain::Year,
        ] {
            let cut = cut(window, grain, 1_000).unwrap();
            assert_eq!(cut[0].start, window.start);
            assert_eq!(cut.last().unwrap().end, window.end);
            assert!(cut.windows(2).all(|w| next(w[0].end) == w[1].start));
        }
        assert_eq!(cut(window, Grain::Month, 1_000).unwrap().len(), 5);
        assert_eq!(cut(window, Grain::Quarter, 1_000).unwrap().len(), 3);
        assert_eq!(cut(window, Grain::Day, 10), None);
    }

    #[test]
    fn the_period_before_has_as_many_months_or_days() {
        let p = |a, b| Period {
            start: day(a),
            end: day(b),
        };
        assert_eq!(
            p("2026-03-01", "2026-03-31").before(),
            p("2026-02-01", "2026-02-28")
        );
        assert_eq!(
            p("2026-01-01", "2026-03-31").before(),
            p("2025-10-01", "2025-12-31")
        );
        assert_eq!(
            p("2026-03-05", "2026-03-08").before(),
            p("2026-03-01", "2026-03-04")
        );
        assert_eq!(
            p("2024-02-01", "2024-02-29").year_before(),
            p("2023-02-01", "2023-02-28")
        );
        assert_eq!(
            p("2025-02-01", "2025-02-28").year_before(),
            p("2024-02-01", "2024-02-29")
        );
    }
}
