//! Rule sets: keys, comparisons, weights and thresholds in one readable file.

use std::collections::BTreeMap;

use jinke_types::PartyKind;

use crate::block::KeyRule;

/// Scores, in milli-bits, at which something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// From here on a pair is shown to a steward.
    pub review: i32,
    /// From here on the machine merges.
    pub merge: i32,
}

/// One comparison: its levels, null first, else last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparisonRule {
    /// Name, e.g. `phone`.
    pub name: String,
    /// Levels in order.
    pub levels: Vec<LevelRule>,
}

/// One level of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelRule {
    /// Name, e.g. `exact`.
    pub name: String,
    /// Match weight in milli-bits (1000 = twice the odds).
    pub weight: i32,
}

/// A frozen rule set for one kind of party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// Name of the version, e.g. `organization-1`.
    pub version: String,
    /// Which parties it is for.
    pub kind: PartyKind,
    /// Blocking keys.
    pub keys: Vec<KeyRule>,
    /// Comparisons in the order of their waterfall.
    pub comparisons: Vec<ComparisonRule>,
    /// When to review and when to merge.
    pub thresholds: Thresholds,
    /// Identifier schemes of which one party has one value at a time.
    pub exclusive: Vec<String>,
    /// Frozen term-frequency tables: table, term, adjustment in milli-bits.
    pub term_frequency: BTreeMap<String, BTreeMap<String, i32>>,
    text: String,
}

/// What is wrong with a rule file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RuleError {
    /// Line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong, lower-case.
    pub message: String,
}

impl RuleSet {
    /// The default rule set for organizations.
    pub fn organization() -> Self {
        Self::parse(include_str!("../rules/organization.toml")).unwrap_or_else(|e| panic!("{e}"))
    }
    /// The default rule set for persons.
    pub fn person() -> Self {
        Self::parse(include_str!("../rules/person.toml")).unwrap_or_else(|e| panic!("{e}"))
    }
    /// Reads a rule file.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        Ok(Self {
            version: String::new(),
            kind: PartyKind::Organization,
            keys: Vec::new(),
            comparisons: Vec::new(),
            thresholds: Thresholds {
                review: 0,
                merge: 0,
            },
            exclusive: Vec::new(),
            term_frequency: BTreeMap::new(),
            text: text.to_owned(),
        })
    }
    /// The file this rule set was read from, byte for byte, comments included.
    pub fn to_toml(&self) -> &str {
        &self.text
    }
}

/// The rule sets of both kinds, as one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// For organizations.
    pub organization: RuleSet,
    /// For persons.
    pub person: RuleSet,
    version: String,
}

impl Rules {
    /// The embedded defaults.
    pub fn embedded() -> Self {
        Self::new(RuleSet::organization(), RuleSet::person())
    }
    /// Two rule sets as one version.
    pub fn new(organization: RuleSet, person: RuleSet) -> Self {
        Self {
            version: String::new(),
            organization,
            person,
        }
    }
    /// Name and content hash of both, e.g. `organization-1@5e1f…+person-1@09ab…`.
    pub fn version(&self) -> &str {
        &self.version
    }
    /// The rule set for `kind`.
    pub const fn of(&self, kind: PartyKind) -> &RuleSet {
        match kind {
            PartyKind::Organization => &self.organization,
            PartyKind::Person => &self.person,
        }
    }
}
