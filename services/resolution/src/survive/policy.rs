//! The survivorship policy file.

use std::{collections::BTreeMap, fmt::Write};

use jinke_types::attribute;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

/// What values are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
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

impl Criterion {
    /// The word for it in the policy file and in provenance.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Validity => "validity",
            Self::BusinessTime => "business_time",
            Self::Support => "support",
            Self::Completeness => "completeness",
            Self::Length => "length",
        }
    }
}

/// How one attribute survives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributePolicy {
    /// Keep all distinct values, ranked, instead of one.
    pub multiple: bool,
    /// Criteria; the first that tells two values apart decides.
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
    /// Line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong, lower-case.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    default: FilePolicy,
    #[serde(default)]
    attribute: BTreeMap<Spanned<String>, FilePolicy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePolicy {
    keep: Keep,
    order: Spanned<Vec<Criterion>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Keep {
    Best,
    All,
}

impl SurvivorshipPolicy {
    /// The embedded default policy.
    ///
    /// # Panics
    /// Never: a test parses the embedded file.
    pub fn embedded() -> Self {
        Self::parse(include_str!("../../rules/survivorship.toml")).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Reads a policy file. Attributes must be known or custom (`x_…`), no criterion may be
    /// named twice.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let line = |at: usize| text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
        let file: File = toml::from_str(text).map_err(|e| PolicyError {
            line: e.span().map_or(0, |s| line(s.start)),
            message: e.message().to_owned(),
        })?;
        let policy = |p: FilePolicy| {
            let at = p.order.span().start;
            let order = p.order.into_inner();
            let mut seen = order.clone();
            seen.sort_unstable();
            seen.dedup();
            if seen.len() < order.len() {
                return Err(PolicyError {
                    line: line(at),
                    message: "a criterion is named twice".into(),
                });
            }
            Ok(AttributePolicy {
                multiple: matches!(p.keep, Keep::All),
                order,
            })
        };
        let mut attributes = BTreeMap::new();
        for (name, p) in file.attribute {
            let at = name.span().start;
            let name = name.into_inner();
            if !attribute::is_valid(&name) {
                return Err(PolicyError {
                    line: line(at),
                    message: format!("unknown attribute {name:?}"),
                });
            }
            attributes.insert(name, policy(p)?);
        }
        Ok(Self {
            version: file.version,
            default: policy(file.default)?,
            attributes,
            text: text.to_owned(),
        })
    }

    /// The file the policy was read from, byte for byte.
    pub fn to_toml(&self) -> &str {
        &self.text
    }

    /// Name and content hash, e.g. `survivorship-1@5e1f0c…` (16 hexadecimal digits of SHA-256).
    pub fn full_version(&self) -> String {
        let mut out = format!("{}@", self.version);
        for b in Sha256::digest(self.text.as_bytes()).iter().take(8) {
            let _ = write!(out, "{b:02x}");
        }
        out
    }

    /// The policy of one attribute.
    pub fn of(&self, attribute: &str) -> &AttributePolicy {
        self.attributes.get(attribute).unwrap_or(&self.default)
    }
}
