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

    /// A day from 2024-01-01 on, as a number of days since 1970.
    pub fn day(&mut self, span: usize) -> i64 {
        19_723 + self.below(span) as i64
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
