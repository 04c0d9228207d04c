//! Departments and members of a chat or OA platform.
//!
//! A stream of the kind [`DIRECTORY`] yields them in [`crate::Page::directory`] instead of
//! records: they are no customers. The runner delivers them to the identity service, which makes
//! org units and users of them. What is gone is told with `active: false`, by a change; or by
//! what a whole round does not name: it begins with [`DirectoryEntry::RoundBegan`] in its first
//! page and ends with [`DirectoryEntry::RoundEnded`] in its last one, and whoever is named
//! between them is there. A round that was begun anew, or never ended, says nothing of others.

use serde::{Deserialize, Serialize};

/// The kind of a directory stream, in [`crate::StreamSchema::kind`].
pub const DIRECTORY: &str = "directory";
/// At most this many entries are in one page.
pub const MAX_PAGE_ENTRIES: usize = 500;

/// One department or member, or a mark of a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryEntry {
    /// A department.
    Department(Department),
    /// A member.
    Member(Member),
    /// All departments and members follow.
    RoundBegan,
    /// They are all told.
    RoundEnded,
}

impl DirectoryEntry {
    /// The id in the foreign system; empty for the marks of a round.
    pub fn external_id(&self) -> &str {
        match self {
            Self::Department(department) => &department.external_id,
            Self::Member(member) => &member.external_id,
            Self::RoundBegan | Self::RoundEnded => "",
        }
    }
}

/// A department. Parents are yielded before their children.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Department {
    /// Its id in the foreign system.
    pub external_id: String,
    /// Id of the department above; none for the topmost.
    pub parent: Option<String>,
    /// What people call it.
    pub name: String,
    /// It exists (still).
    pub active: bool,
}

/// A member. Departments are yielded before their members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The user id in the foreign system.
    pub external_id: String,
    /// Name.
    pub name: String,
    /// Email; empty when the platform does not tell.
    pub email: String,
    /// Mobile; empty when the platform does not tell.
    pub mobile: String,
    /// Ids of the departments, the main one first.
    pub departments: Vec<String>,
    /// May work (still): neither gone nor disabled.
    pub active: bool,
}
