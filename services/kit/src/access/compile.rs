//! From the message to the compiled snapshot, and one member's share of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    num::NonZeroUsize,
    str::FromStr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use cedar_policy::{
    Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Schema, SlotId, Template,
};
use jinke_proto::{FILE_DESCRIPTOR_SET, jinke::identity::v1 as pb};
use jinke_types::{Failure, FieldClass};
use lru::LruCache;
use serde_json::json;

use super::{
    Grant, policy,
    schema::{self, READ_FIELD_CLASS, bare, enterprise, uid},
};
use crate::{methods, token::KeyRing};

/// Members whose policies are kept compiled; the least recently seen one is dropped.
const MEMBERS_KEPT: usize = 1_000;
/// Grants kept.
const GRANTS_KEPT: usize = 10_000;

/// Caller, actor, permission.
type GrantKey = (String, Option<String>, String);

/// A compiled access snapshot.
pub struct Snapshot {
    version: i64,
    keys: KeyRing,
    schema: Schema,
    actions: Vec<Entity>,
    permissions: BTreeSet<String>,
    roles: BTreeMap<String, pb::Role>,
    bindings: BTreeMap<String, Vec<pb::RoleBinding>>,
    custom: Vec<Policy>,
    /// Org units that a policy of `custom` names.
    mentioned: BTreeSet<String>,
    /// Id of each org unit and of those above it, nearest first.
    above: BTreeMap<String, Vec<String>>,
    member_units: BTreeMap<String, String>,
    pub(super) disabled: HashSet<String>,
    pub(super) revoked: HashSet<String>,
    members: Mutex<LruCache<String, Arc<Member>>>,
    pub(super) grants: Mutex<LruCache<GrantKey, Arc<Grant>>>,
}

/// What decides about one member: his policies, and the org units no policy tells apart.
pub(super) struct Member {
    pub(super) principal: EntityUid,
    pub(super) policies: PolicySet,
    pub(super) entities: Entities,
    /// One org unit, and all that are decided like it. The enterprise itself is in none.
    pub(super) alike: Vec<(String, Vec<String>)>,
}

impl Snapshot {
    /// Compiles a snapshot.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a policy [`super::check_policy`] would refuse for its form, a key
    /// that is not Ed25519, or org units that form a ring.
    pub fn compile(message: &pb::AccessSnapshot) -> Result<Self, Failure> {
        // The contract does not change while the process runs, and reading it takes milliseconds.
        static CONTRACT: OnceLock<BTreeSet<String>> = OnceLock::new();
        if CONTRACT.get().is_none() {
            // Two threads may both get here; they find the same.
            let _ = CONTRACT.set(methods::permissions(FILE_DESCRIPTOR_SET)?);
        }
        let mut permissions = CONTRACT.get().cloned().unwrap_or_default();
        let named = message.roles.iter().flat_map(|r| &r.permissions);
        permissions.extend(named.filter(|p| !p.contains('*')).cloned());
        let schema = schema::schema(&permissions, &message.roles)?;
        let actions = schema
            .action_entities()
            .map_err(|e| Failure::internal(format!("the access schema is wrong: {e}")))?
            .into_iter()
            .collect();
        let mut custom = Vec::new();
        let mut mentioned = BTreeSet::new();
        for p in &message.policies {
            let (policy, mentions) = policy::parse(&p.cedar, &p.name)?;
            custom.push(policy);
            mentioned.extend(
                mentions
                    .into_iter()
                    .filter(|m| m.0 == "OrgUnit")
                    .map(|m| m.1),
            );
        }
        let mut bindings = BTreeMap::<_, Vec<_>>::new();
        for b in &message.role_bindings {
            bindings
                .entry(b.member.clone())
                .or_default()
                .push(b.clone());
        }
        let members = message.member_org_units.iter();
        Ok(Self {
            version: message.version,
            keys: KeyRing::new(&message.signing_keys)?,
            schema,
            actions,
            permissions,
            roles: message
                .roles
                .iter()
                .map(|r| (bare(&r.name, "roles").into(), r.clone()))
                .collect(),
            bindings,
            custom,
            mentioned,
            above: tree(&message.org_units)?,
            member_units: members
                .map(|(m, unit)| (m.clone(), bare(unit, "orgUnits").to_owned()))
                .collect(),
            disabled: message.disabled_members.iter().cloned().collect(),
            revoked: message.revoked_sessions.iter().cloned().collect(),
            members: Mutex::new(LruCache::new(size(MEMBERS_KEPT))),
            grants: Mutex::new(LruCache::new(size(GRANTS_KEPT))),
        })
    }

    /// Position of the access feed the snapshot was taken at.
    pub fn version(&self) -> i64 {
        self.version
    }
    /// The keys tokens may be signed with.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }
    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }
    pub(super) fn has_permission(&self, permission: &str) -> bool {
        self.permissions.contains(permission)
    }
    pub(super) fn has_org_unit(&self, id: &str) -> bool {
        self.above.contains_key(id)
    }
    pub(super) fn has_role(&self, id: &str) -> bool {
        self.roles.contains_key(id)
    }
    pub(super) fn bindings_of(&self, member: &str) -> &[pb::RoleBinding] {
        self.bindings.get(member).map_or(&[], Vec::as_slice)
    }
    pub(super) fn above(&self, unit: &str) -> &[String] {
        self.above.get(unit).map_or(&[], Vec::as_slice)
    }

    /// The compiled share of one member; `None` for a name that is no member's.
    ///
    /// # Errors
    /// `INTERNAL` when Cedar refuses what was compiled.
    pub(super) fn member(&self, name: &str) -> Result<Option<Arc<Member>>, Failure> {
        let Some(principal) = schema::member(name) else {
            return Ok(None);
        };
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(m) = members.get(name) {
            return Ok(Some(Arc::clone(m)));
        }
        drop(members);
        let member = Arc::new(
            self.compile_member(name, principal)
                .map_err(Failure::internal)?,
        );
        members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.put(name.to_owned(), Arc::clone(&member));
        Ok(Some(member))
    }

    fn compile_member(
        &self,
        name: &str,
        principal: EntityUid,
    ) -> Result<Member, Box<dyn std::error::Error>> {
        let mut policies = PolicySet::new();
        for policy in &self.custom {
            policies.add(policy.clone())?;
        }
        let mut told_apart = self.mentioned.clone();
        let mut parents = HashSet::new();
        for binding in self.bindings_of(name) {
            let role_id = bare(&binding.role, "roles");
            let Some(role) = self.roles.get(role_id) else {
                continue;
            };
            parents.insert(uid("Role", role_id));
            let resource = match bare(&binding.org_unit, "orgUnits") {
                "" => enterprise(),
                unit => {
                    told_apart.insert(unit.to_owned());
                    uid("OrgUnit", unit)
                }
            };
            for (prefix, template) in templates(role)? {
                let template_id = template.id().clone();
                if policies.template(&template_id).is_none() {
                    policies.add_template(template)?;
                }
                policies.link(
                    template_id,
                    PolicyId::from_str(&format!("{prefix}:{}", binding.name))?,
                    HashMap::from([
                        (SlotId::principal(), principal.clone()),
                        (SlotId::resource(), resource.clone()),
                    ]),
                )?;
            }
        }
        if let Some(own) = self.member_units.get(name) {
            parents.insert(uid("OrgUnit", own));
            // `principal in resource` holds for a member's own unit and those above it.
            told_apart.insert(own.clone());
            told_apart.extend(self.above(own).iter().cloned());
        } else {
            parents.insert(enterprise());
        }
        let alike = self.alike(&told_apart);
        let entities = self.entities(&principal, parents, &alike)?;
        Ok(Member {
            principal,
            policies,
            entities,
            alike,
        })
    }

    /// Groups org units that no policy can tell apart: the same named units are at or above them,
    /// and they are not named themselves.
    fn alike(&self, told_apart: &BTreeSet<String>) -> Vec<(String, Vec<String>)> {
        let mut groups = BTreeMap::<_, Vec<String>>::new();
        for (unit, above) in &self.above {
            let named: BTreeSet<_> = above.iter().filter(|u| told_apart.contains(*u)).collect();
            let itself = told_apart.contains(unit).then_some(unit);
            groups
                .entry((named, itself))
                .or_default()
                .push(unit.clone());
        }
        groups
            .into_values()
            .map(|units| (units[0].clone(), units))
            .collect()
    }

    fn entities(
        &self,
        principal: &EntityUid,
        parents: HashSet<EntityUid>,
        alike: &[(String, Vec<String>)],
    ) -> Result<Entities, Box<dyn std::error::Error>> {
        let mut all = vec![
            Entity::new_no_attrs(enterprise(), HashSet::new()),
            Entity::new_no_attrs(principal.clone(), parents.clone()),
        ];
        let mut units: BTreeSet<&str> = alike.iter().map(|(unit, _)| unit.as_str()).collect();
        for parent in parents {
            match parent.type_name().to_string().as_str() {
                "Role" => all.push(Entity::new_no_attrs(parent, HashSet::new())),
                "OrgUnit" => {
                    units.extend(
                        self.above
                            .get_key_value(parent.id().unescaped())
                            .map(|u| u.0.as_str()),
                    );
                }
                _ => {}
            }
        }
        let higher: Vec<_> = units
            .iter()
            .flat_map(|u| self.above(u))
            .map(String::as_str)
            .collect();
        units.extend(higher);
        for unit in &units {
            let parent = self
                .above(unit)
                .first()
                .map_or_else(enterprise, |parent| uid("OrgUnit", parent));
            all.push(Entity::new_no_attrs(
                uid("OrgUnit", unit),
                HashSet::from([parent]),
            ));
        }
        for class in FieldClass::ALL {
            let class_uid = uid("FieldClass", class.as_str());
            all.push(Entity::new_no_attrs(class_uid.clone(), HashSet::new()));
            let root = HashSet::from([class_uid.clone(), enterprise()]);
            all.push(Entity::new_no_attrs(field(class, None), root));
            for (unit, _) in alike {
                let within = HashSet::from([class_uid.clone(), uid("OrgUnit", unit)]);
                all.push(Entity::new_no_attrs(field(class, Some(unit)), within));
            }
        }
        all.extend(self.actions.iter().cloned());
        Ok(Entities::from_entities(all, Some(&self.schema))?)
    }
}

/// A field class within an org unit, or within the enterprise itself.
pub(super) fn field(class: FieldClass, unit: Option<&str>) -> EntityUid {
    uid(
        "Field",
        &format!("{}@{}", class.as_str(), unit.unwrap_or("")),
    )
}

/// The templates of what a role gives, with the prefix of the ids of their links.
fn templates(role: &pb::Role) -> Result<Vec<(&'static str, Template)>, Box<dyn std::error::Error>> {
    let group = schema::role_group(&role.name);
    let slots = |action: serde_json::Value, conditions: serde_json::Value| {
        json!({
            "effect": "permit",
            "principal": { "op": "==", "slot": "?principal" },
            "action": action,
            "resource": { "op": "in", "slot": "?resource" },
            "conditions": conditions,
        })
    };
    let action = json!({ "op": "in", "entity": { "type": "Action", "id": group } });
    let permissions =
        Template::from_json(Some(PolicyId::from_str(&group)?), slots(action, json!([])))?;
    let mut all = vec![("role", permissions)];
    let classes: Vec<_> = schema::field_classes(role)
        .into_iter()
        .map(|c| json!({ "Value": { "__entity": { "type": "FieldClass", "id": c.as_str() } } }))
        .collect();
    if !classes.is_empty() {
        let action = json!({ "op": "==", "entity": { "type": "Action", "id": READ_FIELD_CLASS } });
        let body = json!({ "in": { "left": { "Var": "resource" }, "right": { "Set": classes } } });
        let id = PolicyId::from_str(&format!("fields-of-{group}"))?;
        let when = json!([{ "kind": "when", "body": body }]);
        all.push((
            "fields",
            Template::from_json(Some(id), slots(action, when))?,
        ));
    }
    Ok(all)
}

/// The units above each unit, nearest first. A parent that does not exist counts as none.
fn tree(units: &[pb::OrgUnit]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let parents: BTreeMap<&str, &str> = units
        .iter()
        .map(|u| (bare(&u.name, "orgUnits"), bare(&u.parent, "orgUnits")))
        .collect();
    let mut above = BTreeMap::new();
    for unit in parents.keys() {
        let mut chain = Vec::new();
        let mut at = *unit;
        while let Some(parent) = parents.get(at).filter(|p| parents.contains_key(**p)) {
            if chain.len() > parents.len() || parent == unit {
                return Err(Failure::field(
                    "org_units",
                    format!("orgUnits/{unit} is in a ring"),
                ));
            }
            chain.push((*parent).to_owned());
            at = parent;
        }
        above.insert((*unit).to_owned(), chain);
    }
    Ok(above)
}

fn size(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN)
}
