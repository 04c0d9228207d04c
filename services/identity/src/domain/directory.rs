//! Entries of a company's directory: which org unit or user each is, and whether it is gone.

use super::{MAX_DISPLAY_NAME, is_id};

/// What an entry of a directory is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// An org unit.
    OrgUnit,
    /// A user.
    User,
}

impl LinkKind {
    /// As it is stored.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::OrgUnit => 1,
            Self::User => 2,
        }
    }
    /// Reads [`Self::number`].
    pub(crate) const fn of(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::OrgUnit),
            2 => Some(Self::User),
            _ => None,
        }
    }
}

/// Whether an entry is gone from its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It is there.
    No,
    /// It is gone, and its user was disabled for it.
    Disabled,
    /// It is gone; its user was disabled before by somebody else, or there was nothing to disable.
    Noted,
}

impl Gone {
    /// As it is stored.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::No => 0,
            Self::Disabled => 1,
            Self::Noted => 2,
        }
    }
    /// Reads [`Self::number`].
    pub(crate) const fn of(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::No),
            1 => Some(Self::Disabled),
            2 => Some(Self::Noted),
            _ => None,
        }
    }
}

/// Which org unit or user an entry of a directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) kind: LinkKind,
    pub(crate) external_id: String,
    /// Id of the org unit or user.
    pub(crate) resource: String,
    /// The round in which it was told last.
    pub(crate) round: i64,
    pub(crate) gone: Gone,
}

/// Whether a text can be the id of an entry in its directory.
pub(crate) fn is_external_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| (b'!'..=b'~').contains(&b))
}

/// A display name as it is kept: without control characters, and not too long.
pub(crate) fn tidy_name(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(MAX_DISPLAY_NAME)
        .collect()
}

/// Ids that an entry of a directory may get here, the nicest first: its own where it fits, with
/// the directory's behind it, and with a number for the rest. The last ones are always free
/// unless somebody made them on purpose.
pub(crate) fn ids_for(directory: &str, external_id: &str) -> impl Iterator<Item = String> {
    let mut plain: String = external_id
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '.' | '_' | '-') => c,
            _ => '-',
        })
        .take(40)
        .collect();
    if !plain.starts_with(|c: char| c.is_ascii_lowercase()) || plain.len() < 2 {
        plain = format!("{directory}-{plain}");
    }
    let short: String = plain.chars().take(40).collect();
    let with: String = format!("{short}.{directory}").chars().take(58).collect();
    let numbered = with.clone();
    [short, with]
        .into_iter()
        .chain((2..1_000).map(move |n| format!("{numbered}-{n}")))
        .filter(|id| is_id(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_directory_get_ids_that_fit() {
        let first = |id: &str| ids_for("wecom", id).take(3).collect::<Vec<_>>();
        assert_eq!(
            first("ZhangSan"),
            ["zhangsan", "zhangsan.wecom", "zhangsan.wecom-2"]
        );
        assert_eq!(first("12")[0], "wecom-12");
        assert_eq!(first("a")[0], "wecom-a");
        assert_eq!(first("x@y/z")[0], "x-y-z");
        for id in first(&"Z".repeat(128)) {
            assert!(is_id(&id), "{id}");
        }
        assert!(is_external_id("a#b") && !is_external_id("张三") && !is_external_id(""));
    }
}
