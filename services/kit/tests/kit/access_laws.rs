//! Laws of access over random worlds.

use jinke_kit::access::{Access, Snapshot};
use jinke_proto::jinke::{identity::v1::AccessSnapshot, r#type::v1::FieldClass};
use jinke_types::{Caller, ManualClock, RowScope};
use proptest::prelude::*;

use crate::support::{binding, org_unit, policy, role, signing_key};

const GET: &str = "customer.customers.get";

/// A tree of up to 8 units (each below an earlier one or at the top), bindings of one member, and
/// policies that name units in every way a policy may.
fn world() -> impl Strategy<Value = AccessSnapshot> {
    let units = prop::collection::vec(any::<prop::sample::Index>(), 1..8);
    let bindings = prop::collection::vec((0..2_usize, any::<prop::sample::Index>()), 0..4);
    let policies = prop::collection::vec(
        (any::<bool>(), 0..5_usize, any::<prop::sample::Index>()),
        0..4,
    );
    let own = prop::option::of(any::<prop::sample::Index>());
    (units, bindings, policies, own).prop_map(|(units, bindings, policies, own)| {
        let name = |i: usize| format!("u{i}");
        let org_units: Vec<_> = units
            .iter()
            .enumerate()
            .map(|(i, above)| match above.index(i + 1) {
                0 => org_unit(&name(i), ""),
                parent => org_unit(&name(i), &name(parent - 1)),
            })
            .collect();
        let n = org_units.len();
        let policies = policies.into_iter().enumerate().map(|(i, (permit, form, unit))| {
            let effect = if permit { "permit" } else { "forbid" };
            let unit = name(unit.index(n));
            let text = match form {
                0 => format!(r#"{effect}(principal, action, resource in OrgUnit::"{unit}");"#),
                1 => format!(r#"{effect}(principal, action, resource == OrgUnit::"{unit}");"#),
                2 => format!("{effect}(principal, action, resource) when {{ principal in resource }};"),
                3 => format!(r#"{effect}(principal, action, resource) unless {{ resource in [OrgUnit::"{unit}"] }};"#),
                _ => format!(r#"{effect}(principal in OrgUnit::"{unit}", action, resource is OrgUnit);"#),
            };
            policy(&format!("p{i}"), &text)
        });
        AccessSnapshot {
            version: 1,
            roles: vec![
                role("reader", &[GET], &[FieldClass::Public]),
                role("wide", &["customer.*"], &[FieldClass::Public, FieldClass::Contact]),
            ],
            role_bindings: bindings
                .into_iter()
                .enumerate()
                .map(|(i, (r, at))| {
                    let unit = match at.index(n + 1) {
                        0 => String::new(),
                        u => format!("orgUnits/u{}", u - 1),
                    };
                    binding(i, "users/x", ["reader", "wide"][r], &unit)
                })
                .collect(),
            policies: policies.collect(),
            signing_keys: vec![signing_key(1).1],
            member_org_units: own
                .map(|u| ("users/x".to_owned(), format!("orgUnits/u{}", u.index(n))))
                .into_iter()
                .collect(),
            org_units,
            ..Default::default()
        }
    })
}

/// The snapshot with every unit named by a policy that decides nothing, so that no two units are
/// decided together.
fn each_alone(snapshot: &AccessSnapshot) -> AccessSnapshot {
    let mut alone = snapshot.clone();
    for (i, unit) in snapshot.org_units.iter().enumerate() {
        let id = unit.name.trim_start_matches("orgUnits/");
        let text = format!(
            r#"forbid(principal == User::"somebody-else", action, resource == OrgUnit::"{id}");"#
        );
        alone.policies.push(policy(&format!("names-{i}"), &text));
    }
    alone
}

fn grant(snapshot: &AccessSnapshot) -> Option<(RowScope, Vec<&'static str>)> {
    let access = Access::new(
        "customer",
        std::sync::Arc::new(ManualClock::default()),
        None,
    );
    access.publish(snapshot).unwrap();
    let caller = Caller {
        name: "users/x".into(),
        actor: None,
    };
    let grant = access.authorize(&caller, GET).ok()?;
    Some((
        grant.scope.clone(),
        grant.mask.classes().map(|c| c.as_str()).collect(),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Deciding for one unit of those no policy tells apart is deciding for each.
    #[test]
    fn grouping_units_changes_no_decision(snapshot in world()) {
        prop_assert_eq!(grant(&snapshot), grant(&each_alone(&snapshot)));
    }

    /// The row scope holds exactly the units a single decision allows.
    #[test]
    fn the_scope_is_what_single_decisions_allow(snapshot in world()) {
        let compiled = Snapshot::compile(&each_alone(&snapshot)).unwrap();
        let scope = grant(&snapshot).map_or(RowScope::None, |g| g.0);
        let root = std::iter::once(String::new());
        for unit in root.chain(snapshot.org_units.iter().map(|u| u.name.clone())) {
            let decision = compiled.decide("users/x", GET, &unit).unwrap();
            prop_assert_eq!(decision.allowed, scope.sees(&unit, false), "{}", unit);
        }
    }
}
