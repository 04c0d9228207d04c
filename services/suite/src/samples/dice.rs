//! Repeatable choices (SplitMix64, public domain, by Sebastiano Vigna).

/// A row of choices that a seed and a name determine.
pub struct Dice(u64);

impl Dice {
    /// Choices for one purpose: different names give unrelated rows for one seed.
    pub fn new(seed: u64, name: &str) -> Self {
        let mixed = name
            .bytes()
            .fold(seed ^ 0x6a09_e667_f3bc_c908, |state, byte| {
                (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 {
            0
        } else {
            (self.next() % n as u64) as usize
        }
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `list`, which is not empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// `n` digits.
    pub fn digits(&mut self, n: usize) -> String {
        (0..n)
            .map(|_| char::from(b'0' + self.below(10) as u8))
            .collect()
    }

    /// One of the first `span` days of a calendar, as a number of days since 1970.
    pub fn day(&mut self, calendar: Calendar, span: usize) -> i64 {
        calendar.first() + self.below(span) as i64
    }
}

/// The days that samples are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// The last one, as a number of days since 1970: nothing is dated later.
    last: i64,
}

impl Calendar {
    /// How many days there are.
    pub const DAYS: i64 = 700;

    /// From 2024-01-01, a Monday, to 2025-11-30: the same for ever, for tests.
    pub const FIXED: Self = Self { last: 20_422 };

    /// The newest whole weeks that are over by `today`. Moved by weeks, a working day stays one.
    pub fn before(today: i64) -> Self {
        let weeks = (today - 1 - Self::FIXED.last).div_euclid(7);
        Self {
            last: Self::FIXED.last + 7 * weeks,
        }
    }

    /// That ends on this day.
    pub fn ending(last: i64) -> Self {
        Self { last }
    }

    /// The first day.
    pub fn first(self) -> i64 {
        self.last - Self::DAYS + 1
    }

    /// The last day.
    pub fn last(self) -> i64 {
        self.last
    }
}

/// `2024-01-05`, of a number of days since 1970.
pub fn date(day: i64) -> String {
    jinke_types::Timestamp::from_secs(day * 86_400).to_rfc3339()[..10].to_owned()
}

/// The same as (year, month, day).
pub fn ymd(day: i64) -> (u16, u8, u8) {
    let text = date(day);
    let part = |range: std::ops::Range<usize>| text[range].parse::<u16>().unwrap_or_default();
    (part(0..4), part(5..7) as u8, part(8..10) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_ends_before_today_and_begins_on_a_monday() {
        assert_eq!(date(Calendar::FIXED.first()), "2024-01-01");
        assert_eq!(date(Calendar::FIXED.last()), "2025-11-30");
        for today in 20_000..22_000 {
            let calendar = Calendar::before(today);
            assert!((today - 7..today).contains(&calendar.last()), "{today}");
            // 1970-01-01 was a Thursday.
            assert_eq!((calendar.first() + 3) % 7, 0, "{today}");
        }
        assert_eq!(Calendar::before(20_423), Calendar::FIXED);
        assert_eq!(Calendar::ending(20_422), Calendar::FIXED);
    }
}
