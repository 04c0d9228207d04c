//! Standardizing: parsing and normalising values for comparing. Originals stay with the caller.

use jinke_types::{PartyKind, Value};

use crate::{block::Key, rules::RuleSet};

/// One party's values in the form in which they are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standardized {
    kind: PartyKind,
    core: Option<String>,
    keys: Vec<Key>,
}

impl Standardized {
    /// The kind of party.
    pub const fn kind(&self) -> PartyKind {
        self.kind
    }
    /// The blocking keys: sorted, distinct, at most [`crate::MAX_KEYS`].
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
    /// The name core by which genericity counts distinct parties behind one key.
    pub fn core(&self) -> Option<&str> {
        self.core.as_deref()
    }
}

/// Standardizes the values of one party.
pub fn standardize(kind: PartyKind, values: &[Value], rules: &RuleSet) -> Standardized {
    let _ = (values, rules);
    Standardized {
        kind,
        core: None,
        keys: Vec::new(),
    }
}

/// The standardized text of one value: two values of one attribute are the same value for
/// survivorship when their canonical texts are equal. Empty when nothing remains.
pub fn canonical(kind: PartyKind, value: &Value) -> String {
    let _ = kind;
    value.datum.text().unwrap_or_default().to_owned()
}
