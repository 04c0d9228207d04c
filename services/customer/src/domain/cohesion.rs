//! What holds a customer together, as it is told.

use jinke_types::RecordKey;

/// The first of a list, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<T> {
    /// At most [`Shown::MOST`].
    pub first: Vec<T>,
    /// How many are left out.
    pub omitted: usize,
}

impl<T> Default for Shown<T> {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            omitted: 0,
        }
    }
}

impl<T> Shown<T> {
    /// Most that is shown.
    pub const MOST: usize = 50;

    /// Of a whole list.
    pub fn of(mut list: impl Iterator<Item = T>) -> Self {
        let first = list.by_ref().take(Self::MOST).collect();
        Self {
            first,
            omitted: list.count(),
        }
    }
}

/// Two records, and what their score is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeighedPair {
    /// One record.
    pub left: RecordKey,
    /// The other.
    pub right: RecordKey,
    /// Each comparison and its weight in milli-bits; their sum is the score.
    pub weights: Vec<(String, i32)>,
}

/// What holds the records of a customer together, and what would split them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohesion {
    /// How many records.
    pub records: usize,
    /// The link that was made last; none when judgements alone hold the records, or these records
    /// are not one cluster by themselves.
    pub weakest: Option<WeighedPair>,
    /// The two sides without it, or none.
    pub sides: Vec<Shown<RecordKey>>,
    /// The pairs between the sides, the best first. The sides part when all of them fall below the
    /// merge threshold, or when they are judged different.
    pub holding: Shown<WeighedPair>,
    /// Positive judgements that join records.
    pub judgements: Shown<i64>,
}
