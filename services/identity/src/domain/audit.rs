//! Events of the audit trail.

use std::collections::BTreeSet;

use jinke_types::Timestamp;

/// An event: its bytes, and what of them is searched by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditEntry {
    /// When the service recorded it.
    pub(crate) time: Timestamp,
    /// Its kind by number.
    pub(crate) kind: i64,
    /// Who called.
    pub(crate) caller: String,
    /// What he called, in full.
    pub(crate) method: String,
    /// Names in the request and the answer.
    pub(crate) resources: BTreeSet<String>,
    /// All it says.
    pub(crate) body: Vec<u8>,
}
