//! Survivorship: how the best value of an attribute is chosen.

mod policy;

use jinke_types::{PartyKind, RecordKey, Timestamp, Value};

pub use policy::{AttributePolicy, Criterion, PolicyError, SurvivorshipPolicy};

/// One visible member of a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The record's name; the last tie-breaker.
    pub key: &'a RecordKey,
    /// Kind of the party.
    pub kind: PartyKind,
    /// Trust in the source; more is better.
    pub trust: i32,
    /// The source deleted the record: its values rank last.
    pub deleted: bool,
    /// When the record was true in business terms.
    pub business_time: Option<Timestamp>,
    /// Its values, as received.
    pub values: &'a [Value],
}

/// One surviving value with its provenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoldenValue {
    /// Attribute.
    pub attribute: String,
    /// Scope: empty or an org unit.
    pub scope: String,
    /// The value as its member states it.
    pub value: Value,
    /// Index of the member it is taken from.
    pub member: usize,
    /// Index into that member's values.
    pub value_index: usize,
    /// Members that state the same value in standardized form, `member` included.
    pub supported_by: Vec<usize>,
    /// What decided: the criterion that beat the runner-up, `only`, or `distinct` for an
    /// attribute that keeps all its values.
    pub rule: &'static str,
    /// Business time of the value.
    pub business_time: Option<Timestamp>,
    /// The values that lost against it: (member, value index).
    pub losing: Vec<(usize, usize)>,
}

/// The golden record of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Golden {
    /// The surviving name; empty when no member has one.
    pub display_name: String,
    /// Values by attribute, scope and rank.
    pub values: Vec<GoldenValue>,
    /// Whether every member is deleted.
    pub deleted: bool,
}

/// Lets the best values of `members` survive.
pub fn survive(members: &[Member<'_>], policy: &SurvivorshipPolicy) -> Golden {
    let _ = (members, policy);
    Golden::default()
}
