//! Which role may call which method: a golden file for people to read, `permission_matrix.txt`.
//!
//! Every method of the contract is in it, so that a new one cannot slip in unseen. After a change
//! that is meant, run the tests with `UPDATE_GOLDEN=1` and read the difference.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use jinke_kit::{
    Snapshot,
    methods::{Methods, Needs},
};
use jinke_proto::FILE_DESCRIPTOR_SET;
use jinke_types::{Caller, RowScope, Timestamp};
use prost::Message as _;

use crate::{
    access::ROLES,
    convert,
    domain::{AccessState, Member, RoleBinding},
};

/// A user per role, with the role's name, and one without any role.
fn snapshot() -> Snapshot {
    let bindings = ROLES
        .iter()
        .map(|role| RoleBinding {
            id: format!("b-{}", role.id),
            member: Member::User(role.id.to_owned()),
            role: role.id.to_owned(),
            org_unit: String::new(),
            create_time: Timestamp::default(),
        })
        .collect();
    let state = AccessState {
        version: 1,
        bindings,
        ..AccessState::default()
    };
    Snapshot::compile(&convert::snapshot(&state)).expect("the shipped roles compile")
}

/// Every method of the suite's own services, from the descriptor set itself.
fn every_method() -> BTreeSet<String> {
    let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("decodes");
    let mut methods = BTreeSet::new();
    for file in files
        .file
        .iter()
        .filter(|f| f.package().starts_with("jinke."))
    {
        for service in &file.service {
            for method in &service.method {
                let package = file.package();
                methods.insert(format!("/{package}.{}/{}", service.name(), method.name()));
            }
        }
    }
    methods
}

fn matrix() -> String {
    let snapshot = snapshot();
    let paths = every_method();
    let services: BTreeSet<&str> = paths
        .iter()
        .filter_map(|p| p[1..].split_once('/'))
        .map(|(service, _)| service)
        .collect();
    let services: Vec<&str> = services.into_iter().collect();
    let methods = Methods::of(FILE_DESCRIPTOR_SET, &services).expect("every method says its need");
    let listed: BTreeSet<String> = methods.iter().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(
        listed, paths,
        "every method of the descriptor set is in the matrix"
    );

    let mut out = String::from(
        "# Which role may call which method (x), for the whole enterprise.\n\
         # public: without a token. caller: with any valid token, about the caller himself.\n",
    );
    let width = paths.iter().map(|p| p.len()).max().unwrap_or(0) - "/jinke.".len();
    let _ = write!(out, "\n{:width$}", "method");
    for column in ROLES.iter().map(|r| r.id).chain(["(no role)"]) {
        let _ = write!(out, "  {column}");
    }
    out.push('\n');
    for (path, method) in methods.iter() {
        let _ = write!(out, "{:width$}", path.trim_start_matches("/jinke."));
        for column in ROLES.iter().map(|r| r.id).chain(["(no role)"]) {
            let mark = match &method.needs {
                Needs::Nothing => "public",
                Needs::Token => "caller",
                Needs::Permission(permission) => {
                    let member = format!("users/{}", column.trim_matches(['(', ')']));
                    let decision = snapshot.decide(&member, permission, "").expect("decides");
                    if decision.allowed { "x" } else { "-" }
                }
            };
            let _ = write!(out, "  {mark:<w$}", w = column.len());
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

#[test]
fn the_matrix_is_the_one_that_was_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("permission_matrix.txt");
    let now = matrix();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &now).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == now,
        "permission_matrix.txt differs; run with UPDATE_GOLDEN=1 and read what changed:\n{now}"
    );
}

/// Every permission a role names is one that a method needs: a typing error would give nothing.
#[test]
fn no_role_names_a_permission_that_does_not_exist() {
    let known = jinke_kit::methods::permissions(FILE_DESCRIPTOR_SET).expect("permissions");
    for role in ROLES {
        for permission in role.permissions.iter().filter(|p| **p != "*") {
            assert!(
                known.contains(*permission),
                "{} names {permission}",
                role.id
            );
        }
    }
}

/// The matrix is about permissions; who is bound nowhere is refused in a call, too.
#[test]
fn access_itself_refuses_a_caller_without_a_role() {
    use std::sync::Arc;

    use jinke_kit::Access;
    use jinke_types::ManualClock;

    let access = Access::new("identity", Arc::new(ManualClock::default()), None);
    let caller = |name: &str| Caller {
        name: name.to_owned(),
        actor: None,
    };
    let early = access.authorize(&caller("users/administrator"), "identity.users.get");
    assert_eq!(early.unwrap_err().reason, "NO_ACCESS_SNAPSHOT");
    let binding = RoleBinding {
        id: "b1".to_owned(),
        member: Member::User("boss".to_owned()),
        role: "administrator".to_owned(),
        org_unit: String::new(),
        create_time: Timestamp::default(),
    };
    let state = AccessState {
        version: 1,
        bindings: vec![binding],
        ..AccessState::default()
    };
    access
        .publish(&convert::snapshot(&state))
        .expect("compiles");
    let granted = access
        .authorize(&caller("users/boss"), "identity.users.get")
        .expect("may");
    assert_eq!(granted.scope, RowScope::All);
    assert!(
        access
            .authorize(&caller("users/nobody"), "identity.users.get")
            .is_err()
    );
    // A service that acts for him narrows him to what it may itself.
    let acting = Caller {
        name: "users/boss".to_owned(),
        actor: Some("serviceAccounts/service-customer".to_owned()),
    };
    assert!(access.authorize(&acting, "identity.users.get").is_err());
}
