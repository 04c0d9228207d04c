//! Source records: one foreign record as received, versioned, never edited.

use serde::{Deserialize, Serialize};

use crate::{
    activity::{Interaction, Relationship, Transaction},
    time::Timestamp,
    value::Value,
};

/// Names one source record for ever: the source and the foreign system's own id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    /// Id of the source, e.g. `erp` (the last segment of `sources/erp`).
    pub source: String,
    /// The foreign system's id. An embedded contact is `<external id>#contact:<key>`.
    pub external_id: String,
}

impl RecordKey {
    /// A key from its two parts.
    pub fn new(source: impl Into<String>, external_id: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            external_id: external_id.into(),
        }
    }
}

impl std::fmt::Display for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.source, self.external_id)
    }
}

/// Who a customer can be. Records of different kinds never merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PartyKind {
    /// A company, branch, sole trader or public body.
    Organization,
    /// A natural person.
    Person,
}

/// Whether a version says all about its record or only what changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Completeness {
    /// The version replaces all values; an attribute not in it is gone.
    #[default]
    Full,
    /// The version replaces the (attribute, scope) pairs it names; others stay. A value
    /// [`crate::Datum::Null`] takes its pair away.
    Partial,
}

/// What a source record is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// An organization or a person, with its values.
    Party {
        /// Never changes between versions of one record.
        kind: PartyKind,
        /// Values in the order received.
        values: Vec<Value>,
    },
    /// A named, dated link between two parties; never a match.
    Relationship(Relationship),
    /// An order, invoice, payment, refund or ticket.
    Transaction(Transaction),
    /// A message, call, visit, meeting or note.
    Interaction(Interaction),
}

/// One version of one foreign record, as a connector returns it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Which record this is a version of.
    pub key: RecordKey,
    /// The source's own revision number, when it has one.
    pub source_revision: Option<i64>,
    /// When the source last changed the record, when it says so.
    pub update_time: Option<Timestamp>,
    /// Full or partial.
    pub completeness: Completeness,
    /// The source deleted the record. Its values rank last, its match evidence stays.
    pub deleted: bool,
    /// What it says.
    pub body: Body,
}

/// How versions of one record are ordered: by the source's revision, then its time, then
/// content hash; a version that has neither is older than every one that has, and among
/// such versions the order of arrival decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VersionOrder {
    /// Neither revision nor time was given; holds the arrival number within the record.
    Arrival(i64),
    /// Ordered by (revision, time, content hash); an absent revision or time is least.
    Stated(Option<i64>, Option<Timestamp>, Vec<u8>),
}
