//! What identity is about: members, org units, roles, keys, sessions, and the state of access
//! that follows from them. Pure: no database, no proto, no clock.

mod audit;
mod directory;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jinke_types::{Entropy, Failure, FieldClass, Timestamp, Violation};

pub(crate) use audit::AuditEntry;
pub(crate) use directory::{Gone, Link, LinkKind, ids_for, is_external_id, tidy_name};

/// Longest display name in characters.
pub(crate) const MAX_DISPLAY_NAME: usize = 200;
/// Longest Cedar policy in bytes.
pub(crate) const MAX_CEDAR: usize = 64 * 1024;
/// Deepest org unit: so many units stand in the longest chain from a top unit down.
pub(crate) const MAX_DEPTH: usize = 20;
/// Most org units; all of them travel in the access snapshot.
pub(crate) const MAX_ORG_UNITS: usize = 5_000;
/// Most custom policies; each is evaluated with every request.
pub(crate) const MAX_POLICIES: usize = 200;
/// Most keys of one service account.
pub(crate) const MAX_KEYS: usize = 20;
/// Most role bindings of one member.
pub(crate) const MAX_BINDINGS: usize = 100;

/// Most sessions of one member at one time.
pub(crate) const MAX_SESSIONS: usize = 10_000;

/// Who can call: a person or a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Member {
    /// `users/{id}`.
    User(String),
    /// `serviceAccounts/{id}`.
    ServiceAccount(String),
}

impl Member {
    /// Reads a resource name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if let Some(id) = name.strip_prefix("users/").filter(|id| is_id(id)) {
            return Some(Self::User(id.to_owned()));
        }
        let id = name
            .strip_prefix("serviceAccounts/")
            .filter(|id| is_id(id))?;
        Some(Self::ServiceAccount(id.to_owned()))
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "users/{id}"),
            Self::ServiceAccount(id) => write!(f, "serviceAccounts/{id}"),
        }
    }
}

/// Whether `id` may name a resource: 2 to 64 of a-z 0-9 . _ -, starting with a letter.
pub(crate) fn is_id(id: &str) -> bool {
    (2..=64).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
        })
}

/// The id within a resource name such as `users/{id}`; a violation of `field` otherwise.
pub(crate) fn id_in<'a>(field: &str, collection: &str, name: &'a str) -> Result<&'a str, Failure> {
    name.strip_prefix(collection)
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|id| is_id(id))
        .ok_or_else(|| Failure::field(field, format!("must be {collection}/ and an id")))
}

/// The id of an optional reference; empty stays empty.
pub(crate) fn reference_in(field: &str, collection: &str, name: &str) -> Result<String, Failure> {
    if name.is_empty() {
        return Ok(String::new());
    }
    id_in(field, collection, name).map(str::to_owned)
}

/// Gathers what is wrong with a request, so that a caller sees all of it at once.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<Violation>);

impl Checks {
    /// Adds a violation unless `ok`.
    pub(crate) fn must(&mut self, ok: bool, field: &str, description: impl Into<String>) {
        if !ok {
            self.0.push(Violation {
                field: field.to_owned(),
                description: description.into(),
            });
        }
    }
    /// Takes a value, or keeps what was wrong with it.
    pub(crate) fn take<T: Default>(&mut self, value: Result<T, Failure>) -> T {
        value.unwrap_or_else(|failure| {
            self.0.extend(failure.violations);
            T::default()
        })
    }
    /// A new id given by the caller.
    pub(crate) fn id(&mut self, field: &str, id: &str) {
        self.must(
            is_id(id),
            field,
            "must have 2 to 64 of a-z 0-9 . _ - and start with a letter",
        );
    }
    /// A display name.
    pub(crate) fn display_name(&mut self, field: &str, name: &str) {
        self.must(
            name.chars().count() <= MAX_DISPLAY_NAME,
            field,
            format!("must have at most {MAX_DISPLAY_NAME} characters"),
        );
        self.must(
            !name.chars().any(char::is_control),
            field,
            "must not hold control characters",
        );
    }
    /// A request id; empty means none.
    pub(crate) fn request_id(&mut self, id: &str) {
        self.must(
            id.len() <= 64 && id.bytes().all(|b| (0x21..=0x7e).contains(&b)),
            "request_id",
            "must have at most 64 printable ASCII characters",
        );
    }
    /// The verdict.
    pub(crate) fn done(self) -> Result<(), Failure> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Failure::fields(self.0))
        }
    }
}

/// A new id that nobody can guess: 128 random bits in hexadecimal.
pub(crate) fn new_uid(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    hex::encode(bytes)
}

/// A person who can log in. The password is kept apart, see [`Credential`].
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) uid: String,
    pub(crate) display_name: String,
    /// Id; empty for the enterprise itself.
    pub(crate) org_unit: String,
    pub(crate) disabled: bool,
    pub(crate) password_change: bool,
    pub(crate) revision: i64,
    pub(crate) create_time: Timestamp,
    pub(crate) update_time: Timestamp,
}

impl fmt::Debug for User {
    // The display name is personal and must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What a login is checked against.
#[derive(Clone)]
pub(crate) struct Credential {
    /// PHC string; empty when the user has no password.
    pub(crate) hash: String,
    pub(crate) disabled: bool,
    pub(crate) password_change: bool,
}

/// A program that calls the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceAccount {
    pub(crate) id: String,
    pub(crate) uid: String,
    pub(crate) display_name: String,
    pub(crate) org_unit: String,
    pub(crate) disabled: bool,
    pub(crate) revision: i64,
    pub(crate) create_time: Timestamp,
    pub(crate) update_time: Timestamp,
}

/// A key of a service account, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceAccountKey {
    pub(crate) id: String,
    /// Id of the service account.
    pub(crate) account: String,
    pub(crate) display_name: String,
    pub(crate) create_time: Timestamp,
    pub(crate) expire_time: Option<Timestamp>,
}

/// A subsidiary, branch or department.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrgUnit {
    pub(crate) id: String,
    pub(crate) uid: String,
    pub(crate) display_name: String,
    /// Id; empty at the top.
    pub(crate) parent: String,
    pub(crate) revision: i64,
    pub(crate) create_time: Timestamp,
    pub(crate) update_time: Timestamp,
}

/// A bundle of permissions. Roles are shipped, see `access.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) id: &'static str,
    pub(crate) display_name: &'static str,
    pub(crate) permissions: &'static [&'static str],
    pub(crate) field_classes: &'static [FieldClass],
}

/// A role given to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleBinding {
    pub(crate) id: String,
    pub(crate) member: Member,
    /// Id of the role.
    pub(crate) role: String,
    /// Id; empty for the whole enterprise.
    pub(crate) org_unit: String,
    pub(crate) create_time: Timestamp,
}

/// A policy beside those of the roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) id: String,
    pub(crate) display_name: String,
    pub(crate) cedar: String,
    pub(crate) revision: i64,
    pub(crate) create_time: Timestamp,
    pub(crate) update_time: Timestamp,
}

/// The public half of a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    pub(crate) kid: String,
    pub(crate) public_key: Vec<u8>,
    /// Signs from then on, so that followers know the key before they meet its first token.
    pub(crate) active_time: Timestamp,
    /// Its tokens are refused from then on; open while it is the newest.
    pub(crate) expire_time: Option<Timestamp>,
}

/// A log-in and everything that came of it: access tokens carry its id as `sid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) member: Member,
    /// The service account key it began with; empty for a password.
    pub(crate) key_id: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) create_time: Timestamp,
    /// No refresh beyond this.
    pub(crate) expire_time: Timestamp,
    /// When the last of its access tokens expires.
    pub(crate) token_expire_time: Timestamp,
    pub(crate) end_time: Option<Timestamp>,
}

/// Everything a service needs to decide who may do what, as of one position of the change log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccessState {
    pub(crate) version: i64,
    pub(crate) bindings: Vec<RoleBinding>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) org_units: Vec<OrgUnit>,
    pub(crate) disabled: BTreeSet<Member>,
    pub(crate) member_org_units: BTreeMap<Member, String>,
    pub(crate) signing_keys: Vec<PublicKey>,
    pub(crate) revoked_sessions: BTreeSet<String>,
}

/// Checks that giving `unit` the parent `parent` keeps the tree a tree and shallow enough.
/// `parents` maps every unit to its parent (empty at the top); `unit` need not be in it.
///
/// # Errors
/// `REFERENCE_NOT_FOUND`, `ORG_UNIT_CYCLE`, or a violation of `org_unit.parent` when the tree
/// would be deeper than [`MAX_DEPTH`].
pub(crate) fn check_parent(
    parents: &BTreeMap<String, String>,
    unit: &str,
    parent: &str,
) -> Result<(), Failure> {
    let mut above = 0;
    let mut at = parent;
    while !at.is_empty() {
        if at == unit {
            return Err(crate::error::org_unit_cycle());
        }
        let Some(next) = parents.get(at) else {
            return Err(crate::error::missing_reference(
                "org_unit.parent",
                format!("orgUnits/{at}"),
            ));
        };
        above += 1;
        if above > MAX_DEPTH {
            break;
        }
        at = next;
    }
    if above + height(parents, unit) > MAX_DEPTH {
        return Err(Failure::field(
            "org_unit.parent",
            format!("would make the tree deeper than {MAX_DEPTH} units"),
        ));
    }
    Ok(())
}

/// Units in the longest chain from `unit` down, itself included.
fn height(parents: &BTreeMap<String, String>, unit: &str) -> usize {
    let mut level = BTreeSet::from([unit]);
    let mut height = 0;
    // The stored tree is at most MAX_DEPTH deep, so this ends; the bound is for damaged data.
    while !level.is_empty() && height <= MAX_DEPTH {
        height += 1;
        level = parents
            .iter()
            .filter(|(_, parent)| level.contains(parent.as_str()))
            .map(|(id, _)| id.as_str())
            .collect();
    }
    height
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(id, parent)| ((*id).to_owned(), (*parent).to_owned()))
            .collect()
    }

    #[test]
    fn ids_and_names() {
        for good in ["ab", "a.b_c-9", &"a".repeat(64)] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "a", "9a", "Ab", "a b", "é1", "ab/", &"a".repeat(65)] {
            assert!(!is_id(bad), "{bad}");
        }
        assert_eq!(
            Member::parse("users/li.lei"),
            Some(Member::User("li.lei".into()))
        );
        assert_eq!(Member::parse("users/li.lei/x"), None);
        assert_eq!(Member::parse("groups/ab"), None);
        assert_eq!(id_in("name", "users", "users/ab").unwrap(), "ab");
        let wrong = id_in("user.name", "users", "orgUnits/ab").unwrap_err();
        assert_eq!(wrong.violations[0].field, "user.name");
    }

    #[test]
    fn a_request_tells_all_that_is_wrong_at_once() {
        let mut checks = Checks::default();
        checks.id("user_id", "X");
        checks.display_name("user.display_name", &"名".repeat(201));
        checks.request_id("two words");
        let unit = checks.take(reference_in("user.org_unit", "orgUnits", "nowhere"));
        assert_eq!(unit, "");
        let fields: Vec<_> = checks
            .done()
            .unwrap_err()
            .violations
            .into_iter()
            .map(|v| v.field)
            .collect();
        assert_eq!(
            fields,
            [
                "user_id",
                "user.display_name",
                "request_id",
                "user.org_unit"
            ]
        );
    }

    #[test]
    fn org_units_form_a_tree() {
        let units = tree(&[("group", ""), ("east", "group"), ("shanghai", "east")]);
        assert_eq!(check_parent(&units, "shanghai", "group"), Ok(()));
        assert_eq!(check_parent(&units, "west", "group"), Ok(()));
        for (unit, parent) in [
            ("group", "shanghai"),
            ("group", "group"),
            ("east", "shanghai"),
        ] {
            let refused = check_parent(&units, unit, parent).unwrap_err();
            assert_eq!(refused.reason, "ORG_UNIT_CYCLE", "{unit} below {parent}");
        }
        let missing = check_parent(&units, "west", "nowhere").unwrap_err();
        assert_eq!(missing.reason, "REFERENCE_NOT_FOUND");
    }

    #[test]
    fn depth_counts_what_hangs_below_too() {
        let mut units = BTreeMap::new();
        for n in 1..=19 {
            let parent = if n == 1 {
                String::new()
            } else {
                format!("u{:02}", n - 1)
            };
            units.insert(format!("u{n:02}"), parent);
        }
        assert_eq!(check_parent(&units, "leaf", "u19"), Ok(()));
        units.insert("pair".into(), String::new());
        units.insert("child".into(), "pair".into());
        let deep = check_parent(&units, "pair", "u19").unwrap_err();
        assert_eq!(deep.violations[0].field, "org_unit.parent");
        assert_eq!(check_parent(&units, "pair", "u18"), Ok(()));
    }
}
