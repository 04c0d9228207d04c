//! What is kept of what went wrong: rows that could not be read, records that were refused, and what
//! was given up.

use jinke_sdk::{
    Lead,
    connector::{Location, RowError},
};
use jinke_types::{RecordKey, SourceRecord, Timestamp};
use serde::{Deserialize, Serialize};

/// What became of a row or record; the numbers are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as `RecordError.Effect` of the contract")]
pub enum ErrorEffect {
    RowSkipped = 1,
    ValueLeftOut = 2,
    Rejected = 3,
}

/// A row that could not be read or a record that was refused, as it is noted.
#[derive(Clone, Debug, PartialEq)]
pub struct NewError {
    /// What became of it.
    pub effect: ErrorEffect,
    /// Id of a refused record.
    pub external_id: String,
    /// Where it is.
    pub location: Location,
    /// The column, when one is to blame.
    pub column: String,
    /// Reason of a refusal.
    pub reason: String,
    /// Why.
    pub message: String,
}

/// What was refused and is kept, sealed, to be sent again. A record is written as it was before there
/// were leads; the two have no field in common but the key, so they are told apart by what they hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Refused {
    /// By the customer service.
    Record(Box<SourceRecord>),
    /// By the pipeline service.
    Lead(Box<Lead>),
}

impl Refused {
    /// What it is known by.
    pub const fn key(&self) -> &RecordKey {
        match self {
            Self::Record(record) => &record.key,
            Self::Lead(lead) => &lead.key,
        }
    }
}

impl NewError {
    /// Of a row.
    pub fn row(error: RowError) -> Self {
        Self {
            effect: match error.effect {
                jinke_sdk::Effect::RowSkipped => ErrorEffect::RowSkipped,
                jinke_sdk::Effect::ValueLeftOut => ErrorEffect::ValueLeftOut,
            },
            external_id: String::new(),
            location: error.location,
            column: error.column.unwrap_or_default(),
            reason: String::new(),
            message: error.reason,
        }
    }

    /// By what it is recognised when it is seen again.
    pub fn key(&self) -> String {
        if self.effect == ErrorEffect::Rejected {
            return format!("record\n{}", self.external_id);
        }
        let sheet = self.location.sheet.as_deref().unwrap_or_default();
        let text = format!(
            "row\n{}\n{sheet}\n{}\n{}",
            self.location.file, self.location.row, self.column
        );
        // An index takes no long text, and names of columns may be long.
        if text.len() <= 512 {
            text
        } else {
            use sha2::{Digest as _, Sha256};
            format!("row\n{}", hex::encode(Sha256::digest(text.as_bytes())))
        }
    }
}

/// As it is kept.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as `RecordError` of the contract")]
pub struct RecordError {
    pub connection: String,
    pub number: i64,
    pub stream: String,
    pub effect: i64,
    pub external_id: String,
    pub file: String,
    pub sheet: String,
    pub row: i64,
    pub column: String,
    pub reason: String,
    pub message: String,
    pub run: i64,
    pub attempts: i64,
    /// The sealed record.
    pub payload: Option<Vec<u8>>,
    pub retry_time: Option<Timestamp>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
}

/// What a dead letter holds; the numbers are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as `DeadLetter.Kind` of the contract")]
pub enum LetterKind {
    Record = 1,
    Delivery = 2,
    Event = 3,
}

impl LetterKind {
    /// The kind of a stored number.
    pub const fn of(number: i64) -> Self {
        match number {
            2 => Self::Delivery,
            3 => Self::Event,
            _ => Self::Record,
        }
    }
}

/// Something that was given up.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as `DeadLetter` of the contract")]
pub struct DeadLetter {
    pub connection: String,
    pub number: i64,
    pub kind: LetterKind,
    pub stream: String,
    pub external_id: String,
    /// Number of the delivery or event; 0 for a record.
    pub subject: i64,
    pub reason: String,
    pub message: String,
    pub attempts: i64,
    pub payload: Option<Vec<u8>>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
}
