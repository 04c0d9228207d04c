//! The survivorship policy file.

use std::collections::BTreeMap;

/// What values are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Higher trust of the source first.
    Trust,
    /// A value without an end of validity first, then the later start.
    Validity,
    /// The later business time first.
    BusinessTime,
    /// More members stating the same value first.
    Support,
    /// More parts filled in first (an address with a district, a name with a legal form).
    Completeness,
    /// The longer text first.
    Length,
}

/// How one attribute survives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributePolicy {
    /// Keep all distinct values, ranked, instead of one.
    pub multiple: bool,
    /// Criteria, the first that tells two values apart decides.
    pub order: Vec<Criterion>,
}

/// How each attribute survives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurvivorshipPolicy {
    /// Name of the version.
    pub version: String,
    /// For attributes not named.
    pub default: AttributePolicy,
    /// By attribute.
    pub attributes: BTreeMap<String, AttributePolicy>,
    text: String,
}

/// What is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct PolicyError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl SurvivorshipPolicy {
    /// The embedded default policy.
    pub fn embedded() -> Self {
        Self::parse(include_str!("../../rules/survivorship.toml")).unwrap_or_else(|e| panic!("{e}"))
    }
    /// Reads a policy file.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Ok(Self {
            version: String::new(),
            default: AttributePolicy {
                multiple: false,
                order: Vec::new(),
            },
            attributes: BTreeMap::new(),
            text: text.to_owned(),
        })
    }
    /// The file the policy was read from, byte for byte.
    pub fn to_toml(&self) -> &str {
        &self.text
    }
    /// The policy of one attribute.
    pub fn of(&self, attribute: &str) -> &AttributePolicy {
        self.attributes.get(attribute).unwrap_or(&self.default)
    }
}
