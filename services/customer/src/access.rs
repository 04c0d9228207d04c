//! What a caller may see, and the one mask function (decision D9).
//!
//! Two things are hidden, in two places, and both places see every answer:
//!
//! * **Rows.** Every query of [`crate::store::query`] takes the [`RowScope`] of the [`Viewer`]. A
//!   record of a walled source outside it does not exist for the caller: it is in no count, no
//!   crosswalk and no golden value, and a customer made of such records only is NOT_FOUND.
//! * **Fields.** [`Viewer::visible`] takes the values of hidden classes out *before* survivorship,
//!   so that not even the number of losing values depends on them, and [`mask`] clears whatever
//!   the contract marks with a class on the way out. Every handler's answer passes [`mask`]: the
//!   function that turns an answer into a response demands [`Masked`].
//!
//! A mask is an allow-list. What a new attribute or field is classed as is decided by
//! [`jinke_types::class_of`] and by `(jinke.type.v1.field_class)` in the protos; a test walks the
//! descriptor set and finds a field that has a class and no line in `access/answer.rs`.

mod answer;

use std::sync::Arc;

use jinke_kit::Grant;
use jinke_types::{Caller, Code, Failure, FieldClass, FieldMask, PartyKind, RowScope, Value};

pub use answer::Masked;

/// Who asks, which rows he may see and which classes of fields.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Who calls.
    pub caller: Caller,
    /// Rows.
    pub scope: RowScope,
    /// Classes.
    pub mask: FieldMask,
}

impl From<Arc<Grant>> for Viewer {
    fn from(grant: Arc<Grant>) -> Self {
        Self {
            caller: grant.caller.clone(),
            scope: grant.scope.clone(),
            mask: grant.mask.clone(),
        }
    }
}

impl Viewer {
    /// A viewer out of nothing, for tests.
    #[cfg(test)]
    pub fn for_test(name: &str, scope: RowScope, mask: FieldMask) -> Self {
        Self {
            caller: Caller {
                name: name.to_owned(),
                actor: None,
            },
            scope,
            mask,
        }
    }

    /// Whether a value of a party of this kind may be shown.
    pub fn sees(&self, kind: PartyKind, value: &Value) -> bool {
        let person = kind == PartyKind::Person;
        self.mask.allows(jinke_types::class_of(
            &value.attribute,
            &value.scheme,
            person,
        ))
    }

    /// The values that may be shown, in their order.
    pub fn visible(&self, kind: PartyKind, values: Vec<Value>) -> Vec<Value> {
        values.into_iter().filter(|v| self.sees(kind, v)).collect()
    }

    /// Whether the caller may see, and so look for, this class.
    pub fn allows(&self, class: FieldClass) -> bool {
        self.mask.allows(class)
    }

    /// Refuses a caller without the class: looking for a value tells whether it exists.
    pub fn needs(&self, class: FieldClass) -> Result<(), Failure> {
        if self.allows(class) {
            return Ok(());
        }
        Err(Failure::new(
            Code::PermissionDenied,
            "FIELD_CLASS_DENIED",
            format!(
                "looking for values of the class {} needs the right to read it",
                class.as_str()
            ),
        )
        .with("field_class", class.as_str()))
    }

    /// Rows and classes in one line: a page token is good for as long as they stay the same.
    pub fn fingerprint(&self) -> String {
        let rows = match &self.scope {
            RowScope::None => "none".to_owned(),
            RowScope::All => "all".to_owned(),
            RowScope::OrgUnits(units) => units
                .iter()
                .map(|u| format!("{}:{u}", u.len()))
                .collect::<Vec<_>>()
                .join(","),
        };
        let classes: Vec<_> = self.mask.classes().map(FieldClass::as_str).collect();
        format!("{rows}|{}", classes.join(","))
    }
}

/// The class of what a comparison of the rule sets shows, where it is known. A comparison that looks
/// at values of several classes has the most guarded of them: a region is taken from addresses
/// too, a domain from email addresses, and other identifiers may be passports.
fn listed_class(name: &str, kind: PartyKind) -> Option<FieldClass> {
    let person = kind == PartyKind::Person;
    Some(match name {
        "name" | "branch" => jinke_types::class_of("name", "", person),
        "employer" => FieldClass::Public,
        "contact" => FieldClass::PersonName,
        "phone" | "email" | "domain" => FieldClass::Contact,
        "address" | "region" => FieldClass::Address,
        "bank" => FieldClass::Financial,
        "birth" => FieldClass::Sensitive,
        "uscc" => jinke_types::class_of("identifier", "uscc", person),
        "id_card" | "identifier" => FieldClass::PersonIdentifier,
        _ => return None,
    })
}

/// Whether the values of a comparison may be shown. Those of an unknown one may not, so that a new
/// comparison shows nothing until it is listed.
pub fn shows_comparison(mask: &FieldMask, name: &str, kind: PartyKind) -> bool {
    listed_class(name, kind).is_some_and(|class| mask.allows(class))
}

/// The class of what a blocking key of the rule sets holds; of several values, the most guarded.
fn key_class(name: &str, kind: PartyKind) -> Option<FieldClass> {
    Some(match name {
        "org_code" => jinke_types::class_of("identifier", "uscc", kind == PartyKind::Person),
        "core" | "sound" | "brand" => jinke_types::class_of("name", "", kind == PartyKind::Person),
        "core_region" | "prefix_region" | "tail_region" | "door_prefix" | "name_region" => {
            FieldClass::Address
        }
        "contact_prefix" | "name_employer" => FieldClass::PersonName,
        "name_birth" => FieldClass::Sensitive,
        other => return listed_class(other, kind),
    })
}

/// Whether a caller may know that two records share a key. Of an unknown one he may not.
pub fn shows_key(mask: &FieldMask, name: &str, kind: PartyKind) -> bool {
    key_class(name, kind).is_some_and(|class| mask.allows(class))
}

/// The mask function: clears in `answer` whatever `mask` does not allow. Masking twice is masking
/// once. It adds nothing and reorders nothing.
pub fn mask<A: Masked>(answer: &mut A, mask: &FieldMask) {
    answer.mask(mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_tells_rows_and_classes_apart() {
        let units = |u: &[&str]| RowScope::OrgUnits(u.iter().map(|s| (*s).to_owned()).collect());
        let scopes = [
            RowScope::None,
            RowScope::All,
            units(&[]),
            units(&[""]),
            units(&["a,b"]),
            units(&["a", "b"]),
        ];
        let masks = [
            FieldMask::default(),
            FieldMask::of([FieldClass::Public]),
            FieldMask::all(),
        ];
        let mut seen = std::collections::BTreeSet::new();
        for scope in &scopes {
            for m in &masks {
                seen.insert(Viewer::for_test("u", scope.clone(), m.clone()).fingerprint());
            }
        }
        assert_eq!(seen.len(), scopes.len() * masks.len());
    }

    #[test]
    fn every_comparison_of_the_rules_has_a_class() {
        let rules = jinke_resolution::Rules::embedded();
        for kind in [PartyKind::Organization, PartyKind::Person] {
            for comparison in &rules.of(kind).comparisons {
                assert!(
                    listed_class(&comparison.name, kind).is_some(),
                    "{}",
                    comparison.name
                );
            }
        }
        for kind in [PartyKind::Organization, PartyKind::Person] {
            for key in &rules.of(kind).keys {
                assert!(key_class(&key.name, kind).is_some(), "{}", key.name);
            }
        }
        assert!(!shows_comparison(
            &FieldMask::all(),
            "shoe_size",
            PartyKind::Person
        ));
    }

    #[test]
    fn hidden_values_are_gone_before_survivorship() {
        let public = Viewer::for_test("u", RowScope::All, FieldMask::of([FieldClass::Public]));
        let values = vec![
            Value::text("name", "示例公司"),
            Value::text("phone", "13812345678"),
            Value::text("x_color", "red"),
            Value::identifier("uscc", "91310000"),
            Value::identifier("id_card", "11010119900101"),
        ];
        let kept = public.visible(PartyKind::Organization, values.clone());
        let names: Vec<_> = kept
            .iter()
            .map(|v| (v.attribute.as_str(), v.scheme.as_str()))
            .collect();
        assert_eq!(names, [("name", ""), ("identifier", "uscc")]);
        assert_eq!(public.visible(PartyKind::Person, values), Vec::new());
    }
}
