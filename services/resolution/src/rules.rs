//! Rule sets: keys, comparisons, weights and thresholds in one readable file.
//!
//! A rule set is frozen: its version and a hash of its bytes name it, its term-frequency
//! tables are part of it, and it is written back byte for byte as it was read.

use std::{collections::BTreeMap, fmt::Write};

use jinke_types::PartyKind;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use crate::{block::KeyRule, compare, standardize::Slots};
use rarity::Rarity;

mod rarity;

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
    /// Name, e.g. `equal`.
    pub name: String,
    /// Match weight in milli-bits (1000 = twice the odds), -100,000 to 100,000.
    pub weight: i32,
}

/// A frozen rule set for one kind of party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// Name of the version, e.g. `organization-1`.
    pub version: String,
    /// Which parties it is for.
    pub kind: PartyKind,
    /// Blocking keys; at most 64.
    pub keys: Vec<KeyRule>,
    /// Comparisons in the order of their waterfall.
    pub comparisons: Vec<ComparisonRule>,
    /// When to review and when to merge.
    pub thresholds: Thresholds,
    /// Identifier schemes of which one party has one value at a time.
    pub exclusive: Vec<String>,
    /// Frozen term-frequency tables: table, term, adjustment in milli-bits. Of `core`,
    /// `core_length`, `person`, `person_length` and `surname`.
    pub term_frequency: BTreeMap<String, BTreeMap<String, i32>>,
    rarity: Rarity,
    slots: Slots,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<String>,
    kind: Spanned<String>,
    exclusive: Vec<String>,
    thresholds: Spanned<FileThresholds>,
    key: Vec<FileKey>,
    comparison: Vec<FileComparison>,
    #[serde(default)]
    term_frequency: BTreeMap<Spanned<String>, BTreeMap<String, i32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileThresholds {
    review: i32,
    merge: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKey {
    name: Spanned<String>,
    max_records: usize,
    max_cores: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileComparison {
    name: Spanned<String>,
    levels: Vec<FileLevel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLevel {
    name: Spanned<String>,
    weight: Spanned<i32>,
}

const TABLES: &[&str] = &["core", "core_length", "person", "person_length", "surname"];

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

impl RuleSet {
    /// The default rule set for organizations.
    ///
    /// # Panics
    /// Never: a test parses the embedded file.
    pub fn organization() -> Self {
        Self::parse(include_str!("../rules/organization.toml")).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The default rule set for persons.
    ///
    /// # Panics
    /// Never: a test parses the embedded file.
    pub fn person() -> Self {
        Self::parse(include_str!("../rules/person.toml")).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Reads a rule file. Every key, comparison, level and table must be known, and every
    /// comparison and level of the kind must be there, in the order of the embedded file.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let err = |at: usize, message: String| RuleError {
            line: line_of(text, at),
            message,
        };
        let file: File = toml::from_str(text).map_err(|e| RuleError {
            line: e.span().map_or(0, |s| line_of(text, s.start)),
            message: e.message().to_owned(),
        })?;
        let kind = match file.kind.as_ref().as_str() {
            "organization" => PartyKind::Organization,
            "person" => PartyKind::Person,
            other => {
                return Err(err(
                    file.kind.span().start,
                    format!("unknown kind {other:?}; known: organization, person"),
                ));
            }
        };
        let version = file.version.as_ref().clone();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if version.is_empty() || version.len() > 64 || !version.chars().all(plain) {
            return Err(err(
                file.version.span().start,
                "version must be 1 to 64 letters, digits, '-', '_' or '.'".into(),
            ));
        }
        let thresholds = Thresholds {
            review: file.thresholds.as_ref().review,
            merge: file.thresholds.as_ref().merge,
        };
        if thresholds.review > thresholds.merge {
            return Err(err(
                file.thresholds.span().start,
                "review must not be above merge".into(),
            ));
        }
        let known = match kind {
            PartyKind::Organization => crate::standardize::ORGANIZATION_KEYS,
            PartyKind::Person => crate::standardize::PERSON_KEYS,
        };
        let mut keys: Vec<KeyRule> = Vec::new();
        for k in file.key {
            let (name, at) = (k.name.as_ref().clone(), k.name.span().start);
            if !known.contains(&name.as_str()) {
                return Err(err(
                    at,
                    format!("unknown key {name:?}; known: {}", known.join(", ")),
                ));
            }
            if keys.iter().any(|x| x.name == name) {
                return Err(err(at, format!("key {name:?} is there twice")));
            }
            if k.max_records < 2 || k.max_cores < 1 {
                return Err(err(
                    at,
                    format!("key {name:?} needs max_records of 2 and max_cores of 1 or more"),
                ));
            }
            keys.push(KeyRule {
                name,
                max_records: k.max_records,
                max_cores: k.max_cores,
            });
        }
        let comparisons = comparisons(text, kind, file.comparison)?;
        let mut tables = BTreeMap::new();
        for (name, terms) in file.term_frequency {
            let at = name.span().start;
            let name = name.into_inner();
            if !TABLES.contains(&name.as_str()) {
                return Err(err(
                    at,
                    format!(
                        "unknown term-frequency table {name:?}; known: {}",
                        TABLES.join(", ")
                    ),
                ));
            }
            if let Some((term, _)) = terms
                .iter()
                .find(|(_, w)| w.unsigned_abs() > MAX_WEIGHT.unsigned_abs())
            {
                return Err(err(
                    at,
                    format!("{name}.{term} must be within {MAX_WEIGHT} milli-bits"),
                ));
            }
            tables.insert(name, terms);
        }
        let index = |name: &str| keys.iter().position(|k: &KeyRule| k.name == *name);
        let slots = Slots::new(|name| index(name).and_then(|i| u8::try_from(i).ok()));
        Ok(Self {
            version,
            kind,
            keys,
            comparisons,
            thresholds,
            exclusive: file.exclusive,
            rarity: Rarity::of(&tables),
            slots,
            term_frequency: tables,
            text: text.to_owned(),
        })
    }

    /// The file this rule set was read from, byte for byte, comments included.
    pub fn to_toml(&self) -> &str {
        &self.text
    }

    /// Name and content hash, e.g. `organization-1@5e1f0c…` (16 hexadecimal digits of SHA-256).
    pub fn full_version(&self) -> String {
        let hash = Sha256::digest(self.text.as_bytes());
        let mut out = format!("{}@", self.version);
        for b in hash.iter().take(8) {
            let _ = write!(out, "{b:02x}");
        }
        out
    }

    /// This rule set with other weights, limits and thresholds, as another version: `weights` by
    /// comparison and level in milli-bits, `limits` by key as (max_records, max_cores), `thresholds`
    /// as (review, merge) in milli-bits.
    ///
    /// # Errors
    /// What is unknown or out of range, without a line.
    pub fn adjusted(
        &self,
        weights: &BTreeMap<String, BTreeMap<String, i32>>,
        limits: &BTreeMap<String, (usize, usize)>,
        thresholds: (i32, i32),
    ) -> Result<Self, RuleError> {
        let wrong = |message: String| RuleError { line: 0, message };
        let mut text: toml::Table = toml::from_str(&self.text).map_err(|e| wrong(e.to_string()))?;
        let named = |list: &mut toml::Value, name: &str, what: &str| -> Result<usize, RuleError> {
            let list = list.as_array().map_or(&[][..], Vec::as_slice);
            let is = |v: &toml::Value| v.get("name").and_then(toml::Value::as_str) == Some(name);
            let names: Vec<&str> = list
                .iter()
                .filter_map(|v| v.get("name")?.as_str())
                .collect();
            list.iter().position(is).ok_or_else(|| {
                wrong(format!(
                    "unknown {what} {name:?}; known: {}",
                    names.join(", ")
                ))
            })
        };
        for (comparison, levels) in weights {
            let Some(all) = text.get_mut("comparison") else {
                continue;
            };
            let at = named(all, comparison, "comparison")?;
            let Some(of) = all.get_mut(at).and_then(|c| c.get_mut("levels")) else {
                continue;
            };
            for (level, weight) in levels {
                let at = named(of, level, "level")?;
                if let Some(v) = of.get_mut(at).and_then(|l| l.get_mut("weight")) {
                    *v = toml::Value::Integer((*weight).into());
                }
            }
        }
        for (key, (records, cores)) in limits {
            let Some(all) = text.get_mut("key") else {
                continue;
            };
            let at = named(all, key, "key")?;
            for (name, n) in [("max_records", records), ("max_cores", cores)] {
                let n = i64::try_from(*n).unwrap_or(i64::MAX);
                if let Some(v) = all.get_mut(at).and_then(|k| k.get_mut(name)) {
                    *v = toml::Value::Integer(n);
                }
            }
        }
        for (name, value) in [("review", thresholds.0), ("merge", thresholds.1)] {
            if let Some(v) = text.get_mut("thresholds").and_then(|t| t.get_mut(name)) {
                *v = toml::Value::Integer(value.into());
            }
        }
        let version = format!("{}-adjusted", self.version.trim_end_matches("-adjusted"));
        text.insert("version".into(), toml::Value::String(version));
        Self::parse(&text.to_string())
    }

    /// The rule of a key.
    pub fn key_rule(&self, key: &crate::Key) -> Option<&KeyRule> {
        self.keys.get(usize::from(key.rule))
    }

    /// The adjustment of a term in a table; 0 when it is not listed.
    pub fn adjustment(&self, table: &str, term: &str) -> i32 {
        self.term_frequency
            .get(table)
            .and_then(|t| t.get(term))
            .copied()
            .unwrap_or(0)
    }

    /// The adjustment of a name core, else of its length (the greatest listed length that is
    /// not above it).
    pub(crate) fn rarity_of_core(&self, core: &[char]) -> i32 {
        self.rarity.of_core(&self.term_frequency, core)
    }

    /// The same of a person's name.
    pub(crate) fn rarity_of_person(&self, name: &str) -> i32 {
        self.rarity.of_person(&self.term_frequency, name)
    }

    /// Which of its keys are which.
    pub(crate) const fn slots(&self) -> &Slots {
        &self.slots
    }
}

/// Largest weight of one level, either way, in milli-bits.
const MAX_WEIGHT: i32 = 100_000;

fn comparisons(
    text: &str,
    kind: PartyKind,
    found: Vec<FileComparison>,
) -> Result<Vec<ComparisonRule>, RuleError> {
    let registry = compare::registry(kind);
    let mut out = Vec::new();
    for (i, c) in found.into_iter().enumerate() {
        let at = c.name.span().start;
        let err = |message: String| RuleError {
            line: line_of(text, at),
            message,
        };
        let name = c.name.into_inner();
        let Some((expected, levels)) = registry.get(i) else {
            return Err(err(format!("comparison {name:?} is one too many")));
        };
        if name != *expected {
            return Err(err(format!(
                "comparison {name:?} stands where {expected:?} is expected"
            )));
        }
        if c.levels.len() != levels.len() {
            return Err(err(format!(
                "comparison {name:?} needs the levels {}",
                levels.join(", ")
            )));
        }
        let mut rule = ComparisonRule {
            name,
            levels: Vec::new(),
        };
        for (l, expected) in c.levels.into_iter().zip(*levels) {
            let at = l.name.span().start;
            let (level, weight) = (l.name.into_inner(), l.weight.into_inner());
            if level != *expected {
                let message = format!("level {level:?} stands where {expected:?} is expected");
                return Err(RuleError {
                    line: line_of(text, at),
                    message,
                });
            }
            if weight.unsigned_abs() > MAX_WEIGHT.unsigned_abs() {
                let message = format!("weight of {level:?} must be within {MAX_WEIGHT} milli-bits");
                return Err(RuleError {
                    line: line_of(text, at),
                    message,
                });
            }
            rule.levels.push(LevelRule {
                name: level,
                weight,
            });
        }
        out.push(rule);
    }
    match registry.get(out.len()) {
        Some((missing, _)) => Err(RuleError {
            line: 0,
            message: format!("comparison {missing:?} is missing"),
        }),
        None => Ok(out),
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
        let version = format!("{}+{}", organization.full_version(), person.full_version());
        Self {
            organization,
            person,
            version,
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
