//! The shipped roles and service accounts ([`shipped`]), and what a caller bound to some org units
//! may touch.

#[cfg(test)]
mod permission_matrix;
mod shipped;

use std::collections::BTreeSet;

use jinke_types::{Failure, RowScope};

use crate::{domain::RoleBinding, error};

pub(crate) use shipped::{
    ADMINISTRATOR, CLI, RESERVED_PREFIX, ROLES, SERVICES, Shipped, role, roles_text,
};

/// The name by which a scope knows an org unit: `orgUnits/{id}`, or empty for the enterprise.
fn scope_name(org_unit: &str) -> String {
    if org_unit.is_empty() {
        String::new()
    } else {
        format!("orgUnits/{org_unit}")
    }
}

/// Whether a row of this org unit (id; empty for the enterprise) is in the scope.
pub(crate) fn sees(scope: &RowScope, org_unit: &str) -> bool {
    scope.sees(&scope_name(org_unit), false)
}

/// The ids of the org units in the scope, the empty one for the enterprise; none when the scope
/// is everything.
pub(crate) fn units(scope: &RowScope) -> Option<Vec<String>> {
    match scope {
        RowScope::All => None,
        RowScope::None => Some(Vec::new()),
        RowScope::OrgUnits(names) => {
            let id = |name: &String| name.strip_prefix("orgUnits/").unwrap_or(name).to_owned();
            Some(
                names
                    .iter()
                    .map(id)
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
            )
        }
    }
}

/// Refuses a caller who acts in some org units only what concerns the whole enterprise.
///
/// # Errors
/// `OUTSIDE_SCOPE`.
pub(crate) fn whole_enterprise(scope: &RowScope, what: &str) -> Result<(), Failure> {
    if *scope == RowScope::All {
        Ok(())
    } else {
        Err(error::outside_scope(what))
    }
}

/// Refuses to put something into an org unit the caller does not act in.
///
/// # Errors
/// `OUTSIDE_SCOPE`.
pub(crate) fn within(scope: &RowScope, org_unit: &str) -> Result<(), Failure> {
    if sees(scope, org_unit) {
        return Ok(());
    }
    Err(error::outside_scope(if org_unit.is_empty() {
        "the enterprise itself".to_owned()
    } else {
        scope_name(org_unit)
    }))
}

/// Refuses a caller to take over a member that may do more than the caller can see: who sets a
/// password or makes a key becomes that member.
///
/// # Errors
/// `OUTSIDE_SCOPE`.
pub(crate) fn no_wider(scope: &RowScope, bindings: &[RoleBinding]) -> Result<(), Failure> {
    bindings
        .iter()
        .try_for_each(|binding| may_bind(scope, &binding.org_unit))
}

/// Refuses to give or take a role where the caller does not act. A binding without an org unit
/// reaches everything, so it is only for a caller who does, too.
///
/// # Errors
/// `OUTSIDE_SCOPE`.
pub(crate) fn may_bind(scope: &RowScope, org_unit: &str) -> Result<(), Failure> {
    if org_unit.is_empty() {
        whole_enterprise(scope, "a role for the whole enterprise")
    } else {
        within(scope, org_unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn east() -> RowScope {
        RowScope::OrgUnits(BTreeSet::from(["orgUnits/east".to_owned()]))
    }

    #[test]
    fn a_scope_is_compared_by_resource_name() {
        assert!(sees(&RowScope::All, ""));
        assert!(sees(&east(), "east"));
        assert!(!sees(&east(), ""));
        assert!(!sees(&RowScope::None, "east"));
        assert_eq!(units(&RowScope::All), None);
        assert_eq!(units(&east()), Some(vec!["east".to_owned()]));
        let enterprise = RowScope::OrgUnits(BTreeSet::from([String::new()]));
        assert_eq!(units(&enterprise), Some(vec![String::new()]));
        assert_eq!(
            whole_enterprise(&east(), "x").unwrap_err().reason,
            "OUTSIDE_SCOPE"
        );
        assert_eq!(within(&enterprise, ""), Ok(()));
        assert_eq!(
            may_bind(&enterprise, "").unwrap_err().reason,
            "OUTSIDE_SCOPE"
        );
        assert_eq!(may_bind(&east(), "east"), Ok(()));
        assert_eq!(within(&east(), "west").unwrap_err().reason, "OUTSIDE_SCOPE");
    }
}
