//! Judgements: what people decided about source records.

use jinke_types::RecordKey;
use serde::{Deserialize, Serialize};

/// What a person said about two sets of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JudgementKind {
    /// All records named are one party.
    Positive {
        /// The judgement also holds against different identifiers of an exclusive scheme.
        overrides_exclusivity: bool,
    },
    /// No record of the left set is the same party as any record of the right set.
    Negative,
    /// The person could not tell. It has no effect on clusters.
    Unsure,
}

/// One judgement. It names source records, not customers; a record that is not present is
/// simply left out until it arrives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Judgement {
    /// The judgement's id, used only to name it in results.
    pub id: String,
    /// What was decided.
    pub kind: JudgementKind,
    /// One side.
    pub left: Vec<RecordKey>,
    /// The other side.
    pub right: Vec<RecordKey>,
}
