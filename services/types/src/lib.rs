//! The words everybody shares: records, values, keys, time, money, failures.
//!
//! This crate is pure. It imports no workspace crate and no runtime, database or
//! wire format, so that every other crate, the resolution engine included, can
//! stand on it. The words are those of `docs/glossary.md`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`record`] | a source record: what a connector returns and the customer service keeps |
//! | [`value`] | one (attribute, scope, value) of a party and the attribute registry |
//! | [`activity`] | transactions, interactions and relationships, which name their party by foreign id |
//! | [`access`] | row scope, field classes and the caller |
//! | [`failure`] | the one error shape and the small set of codes |
//! | [`audit`] | events of the audit trail, between whoever records and whoever keeps them |
//! | [`operation`] | long-running operations, between whoever keeps and whoever serves them |
//! | [`time`] | timestamps, and the clock that is passed in |
//! | [`entropy`] | randomness that is passed in |

pub mod access;
pub mod activity;
pub mod audit;
pub mod entropy;
pub mod failure;
pub mod operation;
pub mod record;
pub mod time;
pub mod value;

pub use access::{Caller, FieldClass, FieldMask, RowScope};
pub use activity::{
    Interaction, InteractionKind, Money, Relationship, Transaction, TransactionKind,
};
pub use audit::{AuditIntent, AuditLog, AuditWaiting, EventOf};
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use failure::{Code, Failure, Violation};
pub use operation::{
    Operation, OperationAnswer, OperationFailure, OperationLog, OperationQuery, OperationState,
};
pub use record::{Body, Completeness, PartyKind, RecordKey, SourceRecord, VersionOrder};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
pub use value::{Address, Datum, Value, attribute, class_of};
