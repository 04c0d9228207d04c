//! Between the contract's messages and the domain.

pub(crate) mod audit;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jinke_proto::{
    FILE_DESCRIPTOR_SET,
    jinke::{identity::v1 as pb, r#type::v1 as pb_type},
};
use jinke_types::{Failure, FieldClass, FieldMask, Timestamp};
use prost::Message as _;

use crate::{
    access::ROLES,
    core::Tokens,
    domain::{
        AccessState, Gone, Link, LinkKind, OrgUnit, Policy, PublicKey, Role, RoleBinding,
        ServiceAccount, ServiceAccountKey, User,
    },
};

/// The areas of the contract that have services: what a token can be for.
pub(crate) fn areas() -> Result<Vec<String>, Failure> {
    let files =
        prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).map_err(Failure::internal)?;
    let mut areas: Vec<String> = files
        .file
        .iter()
        .filter(|file| !file.service.is_empty())
        .filter_map(|file| file.package().strip_prefix("jinke.")?.strip_suffix(".v1"))
        .map(str::to_owned)
        .collect();
    areas.sort();
    areas.dedup();
    Ok(areas)
}

pub(crate) fn timestamp(t: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: t.secs(),
        nanos: t.subsec_nanos(),
    }
}

/// A time in a request; a violation of `field` when it lies outside the years 0001 to 9999.
pub(crate) fn time_in(field: &str, t: &prost_types::Timestamp) -> Result<Timestamp, Failure> {
    let in_range = (-62_135_596_800..=253_402_300_799).contains(&t.seconds)
        && (0..=999_999_999).contains(&t.nanos);
    if !in_range {
        return Err(Failure::field(
            field,
            "is not a time in the years 0001 to 9999",
        ));
    }
    Ok(Timestamp(
        t.seconds * 1_000_000 + i64::from(t.nanos) / 1_000,
    ))
}

fn duration(d: std::time::Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
        nanos: 0,
    }
}

/// A reference to an org unit; empty stays empty.
pub(crate) fn org_unit_name(id: &str) -> String {
    if id.is_empty() {
        String::new()
    } else {
        format!("orgUnits/{id}")
    }
}

/// The etag of a revision.
pub(crate) fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// Whether a request's etag, if it has one, is the one of this revision.
///
/// # Errors
/// `ETAG_MISMATCH`.
pub(crate) fn check_etag(sent: &str, revision: i64, name: &str) -> Result<(), Failure> {
    if sent.is_empty() || sent == etag(revision) {
        return Ok(());
    }
    Err(crate::error::etag_mismatch(name))
}

pub(crate) const fn field_class(class: FieldClass) -> pb_type::FieldClass {
    match class {
        FieldClass::Public => pb_type::FieldClass::Public,
        FieldClass::PersonName => pb_type::FieldClass::PersonName,
        FieldClass::Contact => pb_type::FieldClass::Contact,
        FieldClass::Address => pb_type::FieldClass::Address,
        FieldClass::PersonIdentifier => pb_type::FieldClass::PersonIdentifier,
        FieldClass::Financial => pb_type::FieldClass::Financial,
        FieldClass::Sensitive => pb_type::FieldClass::Sensitive,
        FieldClass::Remark => pb_type::FieldClass::Remark,
        FieldClass::Conversation => pb_type::FieldClass::Conversation,
        FieldClass::Custom => pb_type::FieldClass::Custom,
        FieldClass::SalesAmount => pb_type::FieldClass::SalesAmount,
    }
}

/// The mask function of identity's answers: a name of a person is only shown to whom it may be.
pub(crate) fn person_name(name: String, mask: &FieldMask) -> String {
    if mask.allows(FieldClass::PersonName) {
        name
    } else {
        String::new()
    }
}

pub(crate) fn user(user: User, mask: &FieldMask) -> pb::User {
    pb::User {
        name: format!("users/{}", user.id),
        uid: user.uid,
        display_name: person_name(user.display_name, mask),
        org_unit: org_unit_name(&user.org_unit),
        disabled: user.disabled,
        password_change_required: user.password_change,
        etag: etag(user.revision),
        create_time: Some(timestamp(user.create_time)),
        update_time: Some(timestamp(user.update_time)),
    }
}

pub(crate) fn service_account(account: ServiceAccount) -> pb::ServiceAccount {
    pb::ServiceAccount {
        name: format!("serviceAccounts/{}", account.id),
        uid: account.uid,
        display_name: account.display_name,
        org_unit: org_unit_name(&account.org_unit),
        disabled: account.disabled,
        etag: etag(account.revision),
        create_time: Some(timestamp(account.create_time)),
        update_time: Some(timestamp(account.update_time)),
    }
}

pub(crate) fn service_account_key(key: ServiceAccountKey) -> pb::ServiceAccountKey {
    pb::ServiceAccountKey {
        name: format!("serviceAccounts/{}/keys/{}", key.account, key.id),
        display_name: key.display_name,
        create_time: Some(timestamp(key.create_time)),
        expire_time: key.expire_time.map(timestamp),
    }
}

pub(crate) fn org_unit(unit: &OrgUnit) -> pb::OrgUnit {
    pb::OrgUnit {
        name: org_unit_name(&unit.id),
        uid: unit.uid.clone(),
        display_name: unit.display_name.clone(),
        parent: org_unit_name(&unit.parent),
        etag: etag(unit.revision),
        create_time: Some(timestamp(unit.create_time)),
        update_time: Some(timestamp(unit.update_time)),
    }
}

/// A link of a directory as answered.
pub(crate) fn directory_link(link: Link) -> pb::DirectoryLink {
    pb::DirectoryLink {
        resource: match link.kind {
            LinkKind::OrgUnit => org_unit_name(&link.resource),
            LinkKind::User => format!("users/{}", link.resource),
        },
        external_id: link.external_id,
        gone: link.gone != Gone::No,
    }
}

pub(crate) fn role(role: &Role) -> pb::Role {
    pb::Role {
        name: format!("roles/{}", role.id),
        display_name: role.display_name.to_owned(),
        permissions: role.permissions.iter().map(|p| (*p).to_owned()).collect(),
        field_classes: role
            .field_classes
            .iter()
            .map(|c| field_class(*c).into())
            .collect(),
        builtin: true,
    }
}

pub(crate) fn role_binding(binding: &RoleBinding) -> pb::RoleBinding {
    pb::RoleBinding {
        name: format!("roleBindings/{}", binding.id),
        member: binding.member.to_string(),
        role: format!("roles/{}", binding.role),
        org_unit: org_unit_name(&binding.org_unit),
        create_time: Some(timestamp(binding.create_time)),
    }
}

pub(crate) fn policy(policy: &Policy) -> pb::Policy {
    pb::Policy {
        name: format!("policies/{}", policy.id),
        display_name: policy.display_name.clone(),
        cedar: policy.cedar.clone(),
        etag: etag(policy.revision),
        create_time: Some(timestamp(policy.create_time)),
        update_time: Some(timestamp(policy.update_time)),
    }
}

pub(crate) fn signing_key(key: &PublicKey) -> pb::SigningKey {
    pb::SigningKey {
        kid: key.kid.clone(),
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        x: URL_SAFE_NO_PAD.encode(&key.public_key),
        expire_time: key.expire_time.map(timestamp),
    }
}

pub(crate) fn snapshot(state: &AccessState) -> pb::AccessSnapshot {
    pb::AccessSnapshot {
        version: state.version,
        roles: ROLES.iter().map(role).collect(),
        role_bindings: state.bindings.iter().map(role_binding).collect(),
        policies: state.policies.iter().map(policy).collect(),
        org_units: state.org_units.iter().map(org_unit).collect(),
        disabled_members: state.disabled.iter().map(ToString::to_string).collect(),
        signing_keys: state.signing_keys.iter().map(signing_key).collect(),
        revoked_sessions: state.revoked_sessions.iter().cloned().collect(),
        member_org_units: state
            .member_org_units
            .iter()
            .map(|(member, unit)| (member.to_string(), org_unit_name(unit)))
            .collect(),
    }
}

pub(crate) fn token_pair(tokens: Tokens) -> pb::TokenPair {
    pb::TokenPair {
        access_token: tokens.access,
        refresh_token: tokens.refresh,
        expires_in: Some(duration(tokens.life)),
    }
}

/// Page size as asked for: 100 when 0, at most 1,000.
pub(crate) fn page_size(asked: i32) -> Result<usize, Failure> {
    match asked {
        0 => Ok(100),
        1..=1_000 => Ok(asked.unsigned_abs() as usize),
        1_001.. => Ok(1_000),
        _ => Err(Failure::field("page_size", "must not be negative")),
    }
}

/// Opens a page token: the last id of the page before; empty for the first page.
pub(crate) fn page_after(collection: &str, token: &str) -> Result<String, Failure> {
    if token.is_empty() {
        return Ok(String::new());
    }
    let wrong = || Failure::field("page_token", "was not given out by this method");
    if token.len() > 200 {
        return Err(wrong());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    let id = text
        .strip_prefix(collection)
        .and_then(|rest| rest.strip_prefix('/'));
    id.filter(|id| crate::domain::is_id(id))
        .map(str::to_owned)
        .ok_or_else(wrong)
}

/// Cuts what a list statement read with one row more than the page, and the token of the next
/// page.
pub(crate) fn page<T>(
    collection: &str,
    mut rows: Vec<T>,
    size: usize,
    id: impl Fn(&T) -> &str,
) -> (Vec<T>, String) {
    if rows.len() <= size {
        return (rows, String::new());
    }
    rows.truncate(size);
    let token = rows
        .last()
        .map(|last| URL_SAFE_NO_PAD.encode(format!("{collection}/{}", id(last))))
        .unwrap_or_default();
    (rows, token)
}

/// The fields an update names; all of `fields` when it names none or `*`.
pub(crate) fn update_mask(
    mask: Option<&prost_types::FieldMask>,
    fields: &[&'static str],
) -> Result<Vec<&'static str>, Failure> {
    let paths = mask.map(|m| m.paths.as_slice()).unwrap_or_default();
    if paths.is_empty() || paths == ["*"] {
        return Ok(fields.to_vec());
    }
    let mut named = Vec::new();
    for (i, path) in paths.iter().enumerate() {
        let known = fields.iter().find(|f| *f == path).ok_or_else(|| {
            let field = format!("update_mask.paths[{i}]");
            Failure::field(field, format!("is none of {}", fields.join(", ")))
        })?;
        if !named.contains(known) {
            named.push(*known);
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_come_from_the_contract() {
        assert_eq!(
            areas().unwrap(),
            ["connector", "customer", "identity", "pipeline", "reporting"]
        );
    }

    #[test]
    fn pages() {
        let rows = vec!["aa".to_owned(), "bb".to_owned(), "cc".to_owned()];
        let (page_rows, token) = page("users", rows.clone(), 2, |r| r);
        assert_eq!(page_rows, ["aa", "bb"]);
        assert_eq!(page_after("users", &token).unwrap(), "bb");
        assert!(page_after("orgUnits", &token).is_err());
        assert!(page_after("users", "?").is_err());
        assert!(page_after("users", &"A".repeat(10_000)).is_err());
        assert_eq!(page("users", rows, 3, |r| r).1, "");
        assert_eq!(
            (page_size(0), page_size(7), page_size(5_000)),
            (Ok(100), Ok(7), Ok(1_000))
        );
        assert!(page_size(-1).is_err());
    }

    #[test]
    fn masks_and_times() {
        let mask = |paths: &[&str]| prost_types::FieldMask {
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        };
        let fields = ["display_name", "org_unit"];
        assert_eq!(update_mask(None, &fields).unwrap(), fields);
        assert_eq!(
            update_mask(Some(&mask(&["org_unit"])), &fields).unwrap(),
            ["org_unit"]
        );
        let wrong = update_mask(Some(&mask(&["org_unit", "uid"])), &fields).unwrap_err();
        assert_eq!(wrong.violations[0].field, "update_mask.paths[1]");
        let huge = prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        };
        assert!(time_in("key.expire_time", &huge).is_err());
        let t = Timestamp(1_234_567);
        assert_eq!(time_in("t", &timestamp(t)), Ok(t));
        assert_eq!(check_etag("\"7\"", 7, "users/ab"), Ok(()));
        assert_eq!(
            check_etag("\"6\"", 7, "users/ab").unwrap_err().reason,
            "ETAG_MISMATCH"
        );
    }
}
