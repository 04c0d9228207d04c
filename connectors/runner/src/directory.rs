//! Where departments and members go: the identity service.

use async_trait::async_trait;
use jinke_sdk::DirectoryEntry;

use crate::problem::Problem;

/// Why entries were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What happened.
    pub problem: Problem,
    /// It may work later.
    pub later: bool,
}

/// The door of whoever keeps departments and members.
#[async_trait]
pub trait DirectoryDoor: Send + Sync {
    /// Takes entries of one connection, parents before children. Taking one again changes
    /// nothing. How many were taken.
    async fn deliver(&self, source: &str, entries: &[DirectoryEntry]) -> Result<u64, Refused>;
}
