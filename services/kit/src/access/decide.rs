//! Decisions from a snapshot.
use super::{Grant, Snapshot};
use crate::token::Claims;
use jinke_types::{Caller, Failure, FieldMask};
use std::sync::Arc;

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
    pub fn decide(
        &self,
        _member: &str,
        _permission: &str,
        _org_unit: &str,
    ) -> Result<Decision, Failure> {
        unimplemented!()
    }
    /// The field classes `member` may read everywhere he may read anything.
    pub fn mask_of(&self, _member: &str) -> Result<FieldMask, Failure> {
        unimplemented!()
    }
    /// Roles bound to `member` anywhere, in order of name.
    pub fn roles_of(&self, _member: &str) -> Vec<String> {
        unimplemented!()
    }
    pub(crate) fn authorize(
        &self,
        _caller: &Caller,
        _permission: &str,
    ) -> Result<Arc<Grant>, Failure> {
        unimplemented!()
    }
    pub(crate) fn admit(&self, _claims: &Claims) -> Result<(), Failure> {
        unimplemented!()
    }
}
