//! Decisions from a snapshot.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use cedar_policy::{Authorizer, Context, Decision as Cedar, EntityUid, Request};
use jinke_types::{Caller, Code, Failure, FieldClass, FieldMask, RowScope};

use super::{
    Grant, Snapshot,
    compile::{Member, field},
    intersect,
    schema::{READ_FIELD_CLASS, bare, enterprise, uid},
};
use crate::token::Claims;

/// The answer to "may this member do that there", for `CheckAccess`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// What decided, in order: `role:roleBindings/…` or `policies/…`; empty when nothing allows it.
    pub policies: Vec<String>,
}

impl Snapshot {
    /// Whether `member` has `permission` on `org_unit` (`orgUnits/…`, or empty for the whole
    /// enterprise), and why.
    ///
    /// # Errors
    /// `NOT_FOUND` for an org unit that does not exist; `INVALID_ARGUMENT` for a permission no
    /// method needs and no role gives.
    pub fn decide(
        &self,
        member: &str,
        permission: &str,
        org_unit: &str,
    ) -> Result<Decision, Failure> {
        if !self.has_permission(permission) {
            return Err(Failure::field(
                "permission",
                "no method needs it and no role gives it",
            ));
        }
        let unit = bare(org_unit, "orgUnits");
        if !unit.is_empty() && !self.has_org_unit(unit) {
            return Err(Failure::not_found(org_unit));
        }
        let nobody = Decision {
            allowed: false,
            policies: Vec::new(),
        };
        if self.disabled.contains(member) {
            return Ok(nobody);
        }
        let Some(member) = self.member(member)? else {
            return Ok(nobody);
        };
        let like = member
            .alike
            .iter()
            .find(|(_, units)| units.iter().any(|u| u == unit));
        let resource = like.map_or_else(enterprise, |(unit, _)| uid("OrgUnit", unit));
        member.decide(uid("Action", permission), resource)
    }

    /// The field classes `member` may read in the enterprise or in some org unit.
    ///
    /// # Errors
    /// `INTERNAL` when Cedar refuses what was compiled.
    pub fn mask_of(&self, member: &str) -> Result<FieldMask, Failure> {
        let Some(member) = self.member(member)? else {
            return Ok(FieldMask::default());
        };
        let mut classes = BTreeSet::new();
        let units = member.alike.iter().map(|(unit, _)| Some(unit.as_str()));
        for unit in std::iter::once(None).chain(units) {
            classes.extend(member.classes(unit)?);
        }
        Ok(FieldMask::of(classes))
    }

    /// Roles bound to `member` anywhere (`roles/…`), in order of name.
    pub fn roles_of(&self, member: &str) -> Vec<String> {
        let names: BTreeSet<_> = self
            .bindings_of(member)
            .iter()
            .map(|b| b.role.clone())
            .collect();
        names.into_iter().collect()
    }

    /// As [`super::Access::authorize`].
    pub(super) fn authorize(
        &self,
        caller: &Caller,
        permission: &str,
    ) -> Result<Arc<Grant>, Failure> {
        let key = (
            caller.name.clone(),
            caller.actor.clone(),
            permission.to_owned(),
        );
        let kept = self
            .grants
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        let grant = match kept {
            Some(grant) => grant,
            None => {
                let mut common = self.reach(&caller.name, permission)?;
                if let Some(actor) = &caller.actor {
                    common = intersect(common, self.reach(actor, permission)?);
                }
                let grant = Arc::new(Grant {
                    caller: caller.clone(),
                    permission: permission.to_owned(),
                    scope: common.0,
                    mask: common.1,
                });
                let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
                grants.put(key, Arc::clone(&grant));
                grant
            }
        };
        if grant.scope == RowScope::None {
            return Err(Failure::new(
                Code::PermissionDenied,
                "PERMISSION_DENIED",
                format!("{permission} is needed"),
            )
            .with("permission", permission));
        }
        Ok(grant)
    }

    /// Where one member has a permission, and which field classes he may read in all of it.
    ///
    /// A member who may read a class in one part of his scope only is not shown it at all: one
    /// mask holds for every row of an answer, and a wider one would leak.
    fn reach(&self, name: &str, permission: &str) -> Result<(RowScope, FieldMask), Failure> {
        let nothing = (RowScope::None, FieldMask::default());
        if self.disabled.contains(name) || !self.has_permission(permission) {
            return Ok(nothing);
        }
        let Some(member) = self.member(name)? else {
            return Ok(nothing);
        };
        let action = uid("Action", permission);
        let mut units = BTreeSet::new();
        let mut everywhere = true;
        let mut classes: BTreeSet<_> = FieldClass::ALL.into_iter().collect();
        // The enterprise itself goes by the empty name.
        let root = std::iter::once((None, vec![String::new()]));
        let parts = member.alike.iter().map(|(unit, all)| {
            (
                Some(unit.as_str()),
                all.iter().map(|u| format!("orgUnits/{u}")).collect(),
            )
        });
        for (unit, names) in root.chain(parts) {
            let resource = unit.map_or_else(enterprise, |u| uid("OrgUnit", u));
            if member.decide(action.clone(), resource)?.allowed {
                units.extend(names);
                let readable = member.classes(unit)?;
                classes.retain(|c| readable.contains(c));
            } else {
                everywhere = false;
            }
        }
        if units.is_empty() {
            return Ok(nothing);
        }
        let scope = if everywhere {
            RowScope::All
        } else {
            RowScope::OrgUnits(units)
        };
        Ok((scope, FieldMask::of(classes)))
    }

    /// Refuses disabled members and revoked sessions.
    pub(super) fn admit(&self, claims: &Claims) -> Result<(), Failure> {
        let refused = |reason, message| Err(Failure::new(Code::Unauthenticated, reason, message));
        let actor = claims.act.as_ref().map(|a| &a.sub);
        if std::iter::once(&claims.sub)
            .chain(actor)
            .any(|m| self.disabled.contains(m))
        {
            return refused("CALLER_DISABLED", "the caller is disabled");
        }
        if self.revoked.contains(&claims.sid) {
            return refused("SESSION_REVOKED", "the session was revoked; log in again");
        }
        Ok(())
    }
}

impl Member {
    fn decide(&self, action: EntityUid, resource: EntityUid) -> Result<Decision, Failure> {
        let request = Request::new(
            self.principal.clone(),
            action,
            resource,
            Context::empty(),
            None,
        )
        .map_err(Failure::internal)?;
        let answer = Authorizer::new().is_authorized(&request, &self.policies, &self.entities);
        let diagnostics = answer.diagnostics();
        // A policy that fails is skipped, also one that forbids. Those that can fail are refused
        // when written, so an error is a bug, and the answer is no.
        if let Some(error) = diagnostics.errors().next() {
            return Err(Failure::internal(format!("a policy failed: {error}")));
        }
        let mut policies: Vec<_> = diagnostics.reason().map(ToString::to_string).collect();
        policies.sort();
        Ok(Decision {
            allowed: answer.decision() == Cedar::Allow,
            policies,
        })
    }

    /// The field classes readable in an org unit, or in the enterprise itself.
    fn classes(&self, unit: Option<&str>) -> Result<BTreeSet<FieldClass>, Failure> {
        let mut readable = BTreeSet::new();
        for class in FieldClass::ALL {
            if self
                .decide(uid("Action", READ_FIELD_CLASS), field(class, unit))?
                .allowed
            {
                readable.insert(class);
            }
        }
        Ok(readable)
    }
}
