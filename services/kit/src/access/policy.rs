//! Policies people write, beside those that roles give.
//!
//! A policy is refused unless every decision by it can be made from a few evaluations and none of
//! them can fail. Row scopes are found by evaluating one org unit for all units that no policy
//! tells apart, so a policy may look at entities only by name and by what they stand in; and a
//! `forbid` whose condition fails with an error would be skipped, so a condition may only use
//! operators that cannot fail.

use std::{collections::BTreeSet, str::FromStr};

use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode, Validator};
use jinke_types::{Failure, FieldClass};
use serde_json::Value;

use super::Snapshot;

/// Longest policy in bytes.
pub const MAX_POLICY_BYTES: usize = 16 * 1024;

/// Deepest nesting of brackets in a policy.
const MAX_DEPTH: usize = 24;
/// Most operators in a policy.
const MAX_LINKS: usize = 128;

/// Operators of Cedar's JSON form that only compare entities and join answers.
const OPERATORS: &[&str] = &[
    "Value",
    "Var",
    "Set",
    "==",
    "!=",
    "in",
    "is",
    "&&",
    "||",
    "!",
    "if-then-else",
    "contains",
    "containsAll",
    "containsAny",
    "isEmpty",
];

/// Checks a policy in the Cedar language before it is stored.
///
/// # Errors
/// `INVALID_ARGUMENT`, field `policy.cedar`: it is too long, does not parse, is not exactly one
/// policy, does not fit the schema, uses an operator outside of those listed in this module's
/// table, or names an org unit, role or field class that does not exist.
pub fn check_policy(cedar: &str, snapshot: &Snapshot) -> Result<(), Failure> {
    let (policy, mentions) = parse(cedar, "policies/new")?;
    let mut set = PolicySet::new();
    set.add(policy).map_err(refuse)?;
    let result = Validator::new(snapshot.schema().clone()).validate(&set, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        return Err(refuse(error));
    }
    for (kind, id) in mentions {
        let known = match kind.as_str() {
            "OrgUnit" => snapshot.has_org_unit(&id),
            "Role" => snapshot.has_role(&id),
            "FieldClass" => FieldClass::parse(&id).is_some(),
            "Enterprise" => id == "enterprise",
            // One class within one unit has no name of its own: say FieldClass and OrgUnit.
            "Field" => false,
            _ => true,
        };
        if !known {
            return Err(refuse(format!("there is no {kind}::{id:?}")));
        }
    }
    Ok(())
}

fn refuse(why: impl std::fmt::Display) -> Failure {
    let mut failure = Failure::field("policy.cedar", why.to_string());
    failure.reason = "POLICY_REFUSED";
    failure
}

/// Parses one policy; gives it `name` as its id, and says which entities it mentions.
///
/// # Errors
/// As [`check_policy`], without what needs a snapshot.
pub(super) fn parse(
    cedar: &str,
    name: &str,
) -> Result<(Policy, BTreeSet<(String, String)>), Failure> {
    if cedar.len() > MAX_POLICY_BYTES {
        return Err(refuse(format!("is longer than {MAX_POLICY_BYTES} bytes")));
    }
    let (depth, links) = size(cedar);
    if depth > MAX_DEPTH || links > MAX_LINKS {
        return Err(refuse(format!(
            "is nested deeper than {MAX_DEPTH} brackets or has more than {MAX_LINKS} operators"
        )));
    }
    let id = PolicyId::from_str(name).map_err(refuse)?;
    let policy = Policy::parse(Some(id), cedar).map_err(refuse)?;
    let json = policy.to_json().map_err(refuse)?;
    for condition in json["conditions"].as_array().into_iter().flatten() {
        expression(&condition["body"])?;
    }
    let mut mentions = BTreeSet::new();
    collect(&json, &mut mentions);
    Ok((policy, mentions))
}

/// How deep brackets nest, and how many operators stand in a text. Parser and printer recurse over
/// both (`a && b && c` is as deep as it is long), so they are counted before either runs.
fn size(text: &str) -> (usize, usize) {
    let (mut depth, mut deepest, mut links) = (0_usize, 0_usize, 0_usize);
    let mut bytes = text.bytes().peekable();
    let mut before = b' ';
    while let Some(b) = bytes.next() {
        match b {
            b'"' => {
                while let Some(c) = bytes.next().filter(|c| *c != b'"') {
                    if c == b'\\' {
                        bytes.next();
                    }
                }
            }
            b'/' if bytes.peek() == Some(&b'/') => {
                while bytes.next().is_some_and(|c| c != b'\n') {}
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'&' | b'|' if b == before => links += 1,
            b'.' | b'!' | b'+' | b'-' | b'*' => links += 1,
            // Also counts other words that end so; there is room.
            b'f' if before == b'i' => links += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
        before = b;
    }
    (deepest, links)
}

/// Refuses what is not in [`OPERATORS`].
fn expression(node: &Value) -> Result<(), Failure> {
    match node {
        Value::Object(fields) if fields.len() == 1 => {
            let (operator, operands) = fields.iter().next().expect("there is one field");
            if !OPERATORS.contains(&operator.as_str()) {
                return Err(refuse(format!("a condition may not use `{operator}`")));
            }
            match operator.as_str() {
                "Value" => Ok(()),
                "Var" if operands == "context" => Err(refuse("requests have no context")),
                "Var" => Ok(()),
                "is" => ["left", "in"]
                    .iter()
                    .filter_map(|k| operands.get(k))
                    .try_for_each(expression),
                _ => match operands {
                    Value::Array(list) => list.iter().try_for_each(expression),
                    Value::Object(named) => named.values().try_for_each(expression),
                    _ => Err(refuse(format!("`{operator}` has unknown operands"))),
                },
            }
        }
        _ => Err(refuse("a condition is of unknown form")),
    }
}

/// Every entity the policy names, as (type, id).
fn collect(node: &Value, into: &mut BTreeSet<(String, String)>) {
    match node {
        Value::Object(fields) => {
            if let (Some(Value::String(kind)), Some(Value::String(id))) =
                (fields.get("type"), fields.get("id"))
            {
                into.insert((kind.clone(), id.clone()));
            }
            fields.values().for_each(|v| collect(v, into));
        }
        Value::Array(list) => list.iter().for_each(|v| collect(v, into)),
        _ => {}
    }
}
