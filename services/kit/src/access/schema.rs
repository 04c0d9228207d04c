//! The Cedar words of a snapshot: its entities, actions and how they stand in each other.
//!
//! | entity | id | stands in |
//! |---|---|---|
//! | `User`, `ServiceAccount` | login name | its `OrgUnit`, the `Role`s bound to it |
//! | `OrgUnit` | org unit id | the unit above, or `Enterprise::"enterprise"` |
//! | `Role` | role id | |
//! | `FieldClass` | `contact`, `person_name`, … | |
//! | `Field` | one class within one org unit | its `FieldClass` and its org unit |
//!
//! Actions are the permissions of the contract (`Action::"customer.customers.get"`), resources of
//! which are org units, and `Action::"readFieldClass"`, resources of which are `Field`s. Actions
//! stand in groups: `*`, `customer.*`, `customer.customers.*`, and `role:sales` for what a role
//! gives. No entity has attributes and requests have no context.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::{Failure, FieldClass};
use serde_json::json;

/// The action that reads a field class.
pub(super) const READ_FIELD_CLASS: &str = "readFieldClass";

/// An entity's name.
pub(super) fn uid(kind: &str, id: &str) -> EntityUid {
    let kind = EntityTypeName::from_str(kind).expect("entity types are plain identifiers");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

/// The whole enterprise, above all org units.
pub(super) fn enterprise() -> EntityUid {
    uid("Enterprise", "enterprise")
}

/// The entity of a member, `users/…` or `serviceAccounts/…`.
pub(super) fn member(name: &str) -> Option<EntityUid> {
    match name.split_once('/') {
        Some(("users", id)) if !id.is_empty() => Some(uid("User", id)),
        Some(("serviceAccounts", id)) if !id.is_empty() => Some(uid("ServiceAccount", id)),
        _ => None,
    }
}

/// The id in `orgUnits/…`, or `roles/…`; the text itself when it has no such prefix.
pub(super) fn bare<'a>(name: &'a str, collection: &str) -> &'a str {
    name.strip_prefix(collection)
        .and_then(|n| n.strip_prefix('/'))
        .unwrap_or(name)
}

/// Whether a role's `granted` (a permission or a wildcard such as `customer.*`) covers
/// `permission`.
pub(super) fn covers(granted: &str, permission: &str) -> bool {
    match granted.strip_suffix('*') {
        Some("") => true,
        Some(prefix) => prefix.ends_with('.') && permission.starts_with(prefix),
        None => granted == permission,
    }
}

/// The field classes a role gives, unspecified and unknown ones left out.
pub(super) fn field_classes(role: &pb::Role) -> Vec<FieldClass> {
    role.field_classes().filter_map(field_class).collect()
}

/// The field class of a message's; `None` for unspecified.
pub fn field_class(class: jinke_proto::jinke::r#type::v1::FieldClass) -> Option<FieldClass> {
    use jinke_proto::jinke::r#type::v1::FieldClass as Pb;
    Some(match class {
        Pb::Unspecified => return None,
        Pb::Public => FieldClass::Public,
        Pb::PersonName => FieldClass::PersonName,
        Pb::Contact => FieldClass::Contact,
        Pb::Address => FieldClass::Address,
        Pb::PersonIdentifier => FieldClass::PersonIdentifier,
        Pb::Financial => FieldClass::Financial,
        Pb::Sensitive => FieldClass::Sensitive,
        Pb::Remark => FieldClass::Remark,
        Pb::Conversation => FieldClass::Conversation,
        Pb::Custom => FieldClass::Custom,
        Pb::SalesAmount => FieldClass::SalesAmount,
    })
}

/// A field class as the contract writes it: the way back of [`field_class`].
pub const fn class_out(class: FieldClass) -> jinke_proto::jinke::r#type::v1::FieldClass {
    use jinke_proto::jinke::r#type::v1::FieldClass as Pb;
    match class {
        FieldClass::Public => Pb::Public,
        FieldClass::PersonName => Pb::PersonName,
        FieldClass::Contact => Pb::Contact,
        FieldClass::Address => Pb::Address,
        FieldClass::PersonIdentifier => Pb::PersonIdentifier,
        FieldClass::Financial => Pb::Financial,
        FieldClass::Sensitive => Pb::Sensitive,
        FieldClass::Remark => Pb::Remark,
        FieldClass::Conversation => Pb::Conversation,
        FieldClass::Custom => Pb::Custom,
        FieldClass::SalesAmount => Pb::SalesAmount,
    }
}

/// The schema for these permissions and roles.
///
/// # Errors
/// `INTERNAL` when Cedar refuses it.
pub(super) fn schema(
    permissions: &BTreeSet<String>,
    roles: &[pb::Role],
) -> Result<Schema, Failure> {
    let mut actions = serde_json::Map::new();
    let mut groups = BTreeSet::from(["*".to_owned()]);
    for permission in permissions {
        let mut within = BTreeSet::from(["*".to_owned()]);
        within.extend(
            permission
                .match_indices('.')
                .map(|(i, _)| format!("{}.*", &permission[..i])),
        );
        within.extend(
            roles
                .iter()
                .filter(|r| r.permissions.iter().any(|g| covers(g, permission)))
                .map(|r| role_group(&r.name)),
        );
        let member_of: Vec<_> = within.iter().map(|g| json!({ "id": g })).collect();
        groups.extend(within);
        let applies = json!({
            "principalTypes": ["User", "ServiceAccount"],
            "resourceTypes": ["OrgUnit", "Enterprise"],
        });
        actions.insert(
            permission.clone(),
            json!({ "memberOf": member_of, "appliesTo": applies }),
        );
    }
    groups.extend(roles.iter().map(|r| role_group(&r.name)));
    for group in groups {
        actions.insert(group, json!({}));
    }
    actions.insert(
        READ_FIELD_CLASS.to_owned(),
        json!({ "appliesTo": {
            "principalTypes": ["User", "ServiceAccount"],
            "resourceTypes": ["Field"],
        }}),
    );
    let above = json!({ "memberOfTypes": ["OrgUnit", "Enterprise", "Role"] });
    let types = BTreeMap::from([
        ("User", above.clone()),
        ("ServiceAccount", above),
        (
            "OrgUnit",
            json!({ "memberOfTypes": ["OrgUnit", "Enterprise"] }),
        ),
        (
            "Field",
            json!({ "memberOfTypes": ["FieldClass", "OrgUnit", "Enterprise"] }),
        ),
        ("FieldClass", json!({})),
        ("Enterprise", json!({})),
        ("Role", json!({})),
    ]);
    Schema::from_json_value(json!({ "": { "entityTypes": types, "actions": actions } }))
        .map_err(|e| Failure::internal(format!("the access schema is wrong: {e}")))
}

/// The action group of a role's permissions.
pub(super) fn role_group(role: &str) -> String {
    format!("role:{}", bare(role, "roles"))
}
