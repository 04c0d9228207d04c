//! Who is calling, which rows he may see and which classes of fields.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Sensitivity of a field. A mask is an allow-list of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldClass {
    /// Not personal, not confidential within the enterprise: organization names, USCC, region.
    Public,
    /// Names of persons.
    PersonName,
    /// Phones and email addresses.
    Contact,
    /// Postal addresses.
    Address,
    /// Identity cards, passports.
    PersonIdentifier,
    /// Bank accounts, credit limits, terms, amounts of transactions.
    Financial,
    /// Date of birth and other sensitive personal information (PIPL art. 28).
    Sensitive,
    /// Free text, which may hold anything.
    Remark,
    /// Content of messages, calls, visits.
    Conversation,
    /// Custom attributes.
    Custom,
    /// Amounts of leads and opportunities: what a sale may bring, not what was paid.
    SalesAmount,
}

impl FieldClass {
    /// Every class.
    pub const ALL: [Self; 11] = [
        Self::Public,
        Self::PersonName,
        Self::Contact,
        Self::Address,
        Self::PersonIdentifier,
        Self::Financial,
        Self::Sensitive,
        Self::Remark,
        Self::Conversation,
        Self::Custom,
        Self::SalesAmount,
    ];

    /// The name used in policies, configuration and docs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::PersonName => "person_name",
            Self::Contact => "contact",
            Self::Address => "address",
            Self::PersonIdentifier => "person_identifier",
            Self::Financial => "financial",
            Self::Sensitive => "sensitive",
            Self::Remark => "remark",
            Self::Conversation => "conversation",
            Self::Custom => "custom",
            Self::SalesAmount => "sales_amount",
        }
    }

    /// The class with this name.
    pub fn parse(s: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == s)
    }
}

/// Which field classes a caller may read. An allow-list: what is not named is hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldMask(BTreeSet<FieldClass>);

impl FieldMask {
    /// A mask that allows these classes.
    pub fn of(classes: impl IntoIterator<Item = FieldClass>) -> Self {
        Self(classes.into_iter().collect())
    }
    /// A mask that allows every class.
    pub fn all() -> Self {
        Self::of(FieldClass::ALL)
    }
    /// Whether a field of this class may be shown.
    pub fn allows(&self, class: FieldClass) -> bool {
        self.0.contains(&class)
    }
    /// The classes allowed.
    pub fn classes(&self) -> impl Iterator<Item = FieldClass> + '_ {
        self.0.iter().copied()
    }
}

/// Which rows a caller may see. Every store read takes one (decision D9).
///
/// A source belongs to an org unit and is shared with the group or walled. A row is visible
/// when it comes from a source that is shared, or whose org unit is in the scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowScope {
    /// Nothing.
    None,
    /// Shared sources, and walled ones of these org units.
    OrgUnits(BTreeSet<String>),
    /// Everything.
    All,
}

impl RowScope {
    /// Whether rows of a source of `org_unit` are visible; `shared` says that the source is
    /// shared with the whole group.
    pub fn sees(&self, org_unit: &str, shared: bool) -> bool {
        match self {
            Self::None => false,
            Self::OrgUnits(units) => shared || units.contains(org_unit),
            Self::All => true,
        }
    }
}

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Resource name: `users/u1`, `serviceAccounts/sync`.
    pub name: String,
    /// The service that passes the call on for `name`, e.g. `serviceAccounts/service-customer`.
    pub actor: Option<String>,
}
