//! What a foreign system's columns are now, compared with what the connector knows.
//!
//! A column that is missing or has another type is reported and left out; the rest goes on. A
//! new column is reported too, because somebody may want it.

use std::collections::{BTreeMap, BTreeSet};

/// At most this many differences are told of one stream.
pub const MAX_DRIFT: usize = 50;
/// A foreign column name longer than this many characters is told shortened.
const MAX_NAME: usize = 80;

/// A column the connector reads: its name and the foreign types it can read it from.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Name as the foreign system writes it.
    pub name: &'static str,
    /// Names of the types, in the foreign system's words; empty means any.
    pub types: &'static [&'static str],
}

/// How the columns differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Expected and not there.
    pub missing: BTreeSet<String>,
    /// There, with a type that cannot be read: name and type.
    pub retyped: BTreeMap<String, String>,
    /// There and not known.
    pub unknown: BTreeSet<String>,
}

impl Drift {
    /// Compares. `known` are further columns that are passed over on purpose.
    pub fn of(expected: &[Expected], known: &[&str], present: &BTreeMap<String, String>) -> Self {
        let mut drift = Self::default();
        for column in expected {
            match present.get(column.name) {
                None => {
                    drift.missing.insert(column.name.to_owned());
                }
                Some(kind) if !column.types.is_empty() && !column.types.contains(&&**kind) => {
                    drift.retyped.insert(column.name.to_owned(), kind.clone());
                }
                Some(_) => {}
            }
        }
        for name in present.keys() {
            let expected = expected.iter().any(|e| e.name == name);
            if !expected && !known.contains(&&**name) {
                drift.unknown.insert(name.clone());
            }
        }
        drift
    }

    /// Whether a column may be asked for.
    pub fn readable(&self, name: &str) -> bool {
        !self.missing.contains(name) && !self.retyped.contains_key(name)
    }

    /// What is to be told to people: columns that are missing or have another type. `place`
    /// names the list. At most [`MAX_DRIFT`] notes.
    pub fn notes(&self, place: &str) -> Vec<String> {
        let missing = self
            .missing
            .iter()
            .map(|name| format!("{place}: the column {} is missing", short(name)));
        let retyped = self.retyped.iter().map(|(name, kind)| {
            format!(
                "{place}: the column {} is now of type {} and is left out",
                short(name),
                short(kind)
            )
        });
        missing.chain(retyped).take(MAX_DRIFT).collect()
    }

    /// What is to be told about columns that nobody reads; one note, or none.
    pub fn unknown_note(&self, place: &str) -> Option<String> {
        let names: Vec<_> = self
            .unknown
            .iter()
            .take(MAX_DRIFT)
            .map(|n| short(n))
            .collect();
        if names.is_empty() {
            return None;
        }
        Some(format!("{place}: columns not read: {}", names.join(", ")))
    }
}

/// A foreign name as it may be shown: bounded and without control characters.
fn short(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_retyped_and_new_columns_are_told_apart() {
        let expected = [
            Expected {
                name: "name",
                types: &["char", "text"],
            },
            Expected {
                name: "total",
                types: &["numeric"],
            },
            Expected {
                name: "gone",
                types: &[],
            },
        ];
        let present = [
            ("name", "text"),
            ("total", "char"),
            ("id", "integer"),
            ("x\n新", "char"),
        ]
        .map(|(n, t)| (n.to_owned(), t.to_owned()))
        .into();
        let drift = Drift::of(&expected, &["id"], &present);
        assert!(drift.readable("name") && !drift.readable("total") && !drift.readable("gone"));
        assert_eq!(
            drift.notes("订单"),
            [
                "订单: the column gone is missing",
                "订单: the column total is now of type char and is left out"
            ]
        );
        assert_eq!(
            drift.unknown_note("订单").unwrap(),
            "订单: columns not read: x新"
        );
    }
}
