//! Tokens, the matrix of roles and permissions, policies.

use std::{sync::Arc, time::Duration};

use jinke_kit::{
    access::{Access, Grant, Snapshot, check_policy},
    token::{self, Actor, Claims, KeyRing},
};
use jinke_types::{Caller, Clock, Code, Failure, ManualClock, Timestamp};

use crate::support::{claims, sign, signing_key, snapshot};

const NOW: Timestamp = Timestamp::from_secs(1_750_000_000);

fn access(max_staleness: Option<Duration>) -> (Access, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(NOW));
    (
        Access::new(
            "customer",
            Arc::clone(&clock) as Arc<dyn Clock>,
            max_staleness,
        ),
        clock,
    )
}

fn caller(name: &str) -> Caller {
    Caller {
        name: name.into(),
        actor: None,
    }
}

fn reason<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> &'static str {
    outcome.unwrap_err().reason
}

#[test]
fn tokens_are_checked() {
    let (access, clock) = access(None);
    assert_eq!(reason(access.authenticate("x")), "NO_ACCESS_SNAPSHOT");
    access.publish(&snapshot()).unwrap();
    let good = claims("users/mei", &["customer"], NOW);
    let (who, read) = access.authenticate(&sign(&good)).unwrap();
    assert_eq!((who, &read), (caller("users/mei"), &good));

    let change = |f: &dyn Fn(&mut Claims)| {
        let mut c = good.clone();
        f(&mut c);
        reason(access.authenticate(&sign(&c)))
    };
    assert_eq!(change(&|c| c.exp = NOW.secs() - 31), "TOKEN_EXPIRED");
    assert_eq!(change(&|c| c.nbf = NOW.secs() + 31), "TOKEN_NOT_YET_VALID");
    assert_eq!(
        change(&|c| c.aud = vec!["identity".into()]),
        "TOKEN_WRONG_AUDIENCE"
    );
    assert_eq!(change(&|c| c.aud.clear()), "TOKEN_WRONG_AUDIENCE");
    assert_eq!(change(&|c| c.iss = "other".into()), "TOKEN_INVALID");
    assert_eq!(change(&|c| c.sub.clear()), "TOKEN_INVALID");
    assert_eq!(change(&|c| c.sub = "users/li".into()), "CALLER_DISABLED");
    assert_eq!(
        change(&|c| c.act = Some(Actor {
            sub: "users/li".into()
        })),
        "CALLER_DISABLED"
    );
    assert_eq!(change(&|c| c.sid = "stolen".into()), "SESSION_REVOKED");

    let token = sign(&good);
    clock.advance(Duration::from_secs(331));
    assert_eq!(reason(access.authenticate(&token)), "TOKEN_EXPIRED");
}

#[test]
fn forged_tokens_are_refused() {
    let (access, _) = access(None);
    access.publish(&snapshot()).unwrap();
    let good = claims("users/admin", &["customer"], NOW);
    let other = token::sign(&good, "k1", &signing_key(2).0).unwrap();
    let unknown = token::sign(&good, "k2", &signing_key(2).0).unwrap();
    let real = sign(&good);
    let parts: Vec<_> = real.split('.').collect();
    let evil = sign(&claims("users/mei", &["customer"], NOW));
    let payload = evil.split('.').nth(1).unwrap();
    let none = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ";
    // HS256 with the public key as the secret, the classic confusion.
    let hmac = {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        header.kid = Some("k1".into());
        let secret = jsonwebtoken::EncodingKey::from_secret(signing_key(1).1.x.as_bytes());
        jsonwebtoken::encode(&header, &good, &secret).unwrap()
    };
    for forged in [
        other,
        unknown,
        hmac,
        format!("{}.{payload}.{}", parts[0], parts[2]),
        format!("{none}.{}.", parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{real}x"),
        String::new(),
        "a".repeat(100_000),
    ] {
        assert_eq!(
            reason(access.authenticate(&forged)),
            "TOKEN_INVALID",
            "{forged:.80}"
        );
    }
}

#[test]
fn a_key_ends() {
    let mut key = signing_key(1).1;
    key.expire_time = Some(prost_types::Timestamp {
        seconds: NOW.secs(),
        nanos: 0,
    });
    let ring = KeyRing::new(&[key.clone()]).unwrap();
    let token = sign(&claims("users/mei", &["customer"], NOW));
    let before = NOW.minus(Duration::from_secs(1));
    token::verify(&token, &ring, "customer", before).unwrap();
    assert_eq!(
        reason(token::verify(&token, &ring, "customer", NOW)),
        "TOKEN_EXPIRED"
    );
    key.kty = "RSA".into();
    assert_eq!(
        KeyRing::new(&[key]).err().unwrap().code,
        Code::InvalidArgument
    );
}

fn line(grant: &Grant) -> String {
    let classes: Vec<_> = grant
        .mask
        .classes()
        .map(jinke_types::FieldClass::as_str)
        .collect();
    format!(
        "{:?} [{}]",
        grant.scope,
        if classes.len() == jinke_types::FieldClass::ALL.len() {
            "all".into()
        } else {
            classes.join(" ")
        }
    )
}

#[test]
fn the_matrix_of_members_and_permissions() {
    let (access, _) = access(None);
    access.publish(&snapshot()).unwrap();
    let mut matrix = String::new();
    for member in [
        "users/admin",
        "users/mei",
        "users/wang",
        "users/li",
        "users/nobody",
        "nonsense",
        "serviceAccounts/exporter",
    ] {
        for permission in [
            "customer.customers.get",
            "customer.customers.merge",
            "customer.tags.update",
            "identity.users.create",
            "customer.unknown.verb",
        ] {
            let got = access.authorize(&caller(member), permission);
            let got = got.map_or_else(|f| f.reason.to_owned(), |g| line(&g));
            matrix += &format!("{member} {permission}: {got}\n");
        }
    }
    let expected = "\
users/admin customer.customers.get: All [all]
users/admin customer.customers.merge: All [all]
users/admin customer.tags.update: All [all]
users/admin identity.users.create: All [all]
users/admin customer.unknown.verb: PERMISSION_DENIED
users/mei customer.customers.get: All [public person_name contact]
users/mei customer.customers.merge: OrgUnits({\"\", \"orgUnits/east\", \"orgUnits/shanghai\"}) [public person_name contact]
users/mei customer.tags.update: All [public person_name contact]
users/mei identity.users.create: PERMISSION_DENIED
users/mei customer.unknown.verb: PERMISSION_DENIED
users/wang customer.customers.get: OrgUnits({\"orgUnits/east\", \"orgUnits/shanghai\"}) [public]
users/wang customer.customers.merge: PERMISSION_DENIED
users/wang customer.tags.update: PERMISSION_DENIED
users/wang identity.users.create: PERMISSION_DENIED
users/wang customer.unknown.verb: PERMISSION_DENIED
users/li customer.customers.get: PERMISSION_DENIED
users/li customer.customers.merge: PERMISSION_DENIED
users/li customer.tags.update: PERMISSION_DENIED
users/li identity.users.create: PERMISSION_DENIED
users/li customer.unknown.verb: PERMISSION_DENIED
users/nobody customer.customers.get: PERMISSION_DENIED
users/nobody customer.customers.merge: PERMISSION_DENIED
users/nobody customer.tags.update: PERMISSION_DENIED
users/nobody identity.users.create: PERMISSION_DENIED
users/nobody customer.unknown.verb: PERMISSION_DENIED
nonsense customer.customers.get: PERMISSION_DENIED
nonsense customer.customers.merge: PERMISSION_DENIED
nonsense customer.tags.update: PERMISSION_DENIED
nonsense identity.users.create: PERMISSION_DENIED
nonsense customer.unknown.verb: PERMISSION_DENIED
serviceAccounts/exporter customer.customers.get: OrgUnits({\"orgUnits/shanghai\"}) [public financial]
serviceAccounts/exporter customer.customers.merge: OrgUnits({\"orgUnits/shanghai\"}) [public financial]
serviceAccounts/exporter customer.tags.update: PERMISSION_DENIED
serviceAccounts/exporter identity.users.create: PERMISSION_DENIED
serviceAccounts/exporter customer.unknown.verb: PERMISSION_DENIED
";
    assert_eq!(matrix, expected);
}

#[test]
fn with_an_actor_both_must_be_allowed() {
    let (access, _) = access(None);
    access.publish(&snapshot()).unwrap();
    let acting = |user: &str, actor: &str, permission: &str| {
        let caller = Caller {
            name: user.into(),
            actor: Some(actor.into()),
        };
        access
            .authorize(&caller, permission)
            .map_or_else(|f| f.reason.to_owned(), |g| line(&g))
    };
    let (get, exporter) = ("customer.customers.get", "serviceAccounts/exporter");
    assert_eq!(
        acting("users/mei", exporter, get),
        r#"OrgUnits({"orgUnits/shanghai"}) [public]"#
    );
    assert_eq!(
        acting("users/wang", exporter, get),
        r#"OrgUnits({"orgUnits/shanghai"}) [public]"#
    );
    assert_eq!(
        acting("users/wang", exporter, "customer.customers.merge"),
        "PERMISSION_DENIED"
    );
    assert_eq!(
        acting("users/admin", exporter, "identity.users.create"),
        "PERMISSION_DENIED"
    );
    assert_eq!(
        acting("users/admin", "serviceAccounts/none", get),
        "PERMISSION_DENIED"
    );
}

#[test]
fn a_decision_says_why() {
    let snapshot = Snapshot::compile(&snapshot()).unwrap();
    let merge = "customer.customers.merge";
    let decision = snapshot
        .decide("users/mei", merge, "orgUnits/east")
        .unwrap();
    assert_eq!(
        (decision.allowed, decision.policies),
        (true, vec!["role:roleBindings/b2".into()])
    );
    let decision = snapshot
        .decide("users/mei", merge, "orgUnits/west")
        .unwrap();
    assert_eq!(
        (decision.allowed, decision.policies),
        (false, vec!["policies/no-merge-in-west".into()])
    );
    assert_eq!(
        snapshot
            .decide("users/mei", merge, "orgUnits/x")
            .unwrap_err()
            .code,
        Code::NotFound
    );
    assert_eq!(
        snapshot.decide("users/mei", "a.b.c", "").unwrap_err().code,
        Code::InvalidArgument
    );
    assert_eq!(snapshot.roles_of("users/wang"), ["roles/sales"]);
}

#[test]
fn without_contact_everything_is_refused() {
    let (access, clock) = access(Some(Duration::from_secs(300)));
    access.publish(&snapshot()).unwrap();
    let token = {
        let mut c = claims("users/mei", &["customer"], NOW);
        c.exp += 10_000;
        sign(&c)
    };
    clock.advance(Duration::from_secs(300));
    access.authenticate(&token).unwrap();
    clock.advance(Duration::from_secs(1));
    let failure = access.authenticate(&token).unwrap_err();
    assert_eq!(
        (failure.code, failure.reason),
        (Code::Unavailable, "ACCESS_SNAPSHOT_STALE")
    );
    access.contact();
    access.authenticate(&token).unwrap();
}

#[test]
fn a_snapshot_that_does_not_compile_changes_nothing() {
    let (access, _) = access(None);
    access.publish(&snapshot()).unwrap();
    let mut broken = snapshot();
    broken.version = 2;
    broken.policies[0].cedar = "forbid(principal, action".into();
    assert_eq!(
        access.publish(&broken).unwrap_err().reason,
        "POLICY_REFUSED"
    );
    let mut ring = snapshot();
    ring.version = 2;
    ring.org_units[0].parent = "orgUnits/shanghai".into();
    assert!(access.publish(&ring).is_err());
    assert_eq!(access.snapshot().unwrap().version(), 1);
    let mut older = snapshot();
    older.version = 0;
    older.role_bindings.clear();
    access.publish(&older).unwrap();
    access
        .authorize(&caller("users/mei"), "customer.customers.get")
        .unwrap();
}

#[test]
fn policies_are_checked_when_written() {
    let snapshot = Snapshot::compile(&snapshot()).unwrap();
    let good = [
        r#"permit(principal == User::"wang", action, resource in OrgUnit::"east");"#,
        r#"forbid(principal, action in Action::"customer.*", resource) unless { principal in resource || resource in [OrgUnit::"west"] };"#,
        r#"forbid(principal in Role::"sales", action == Action::"readFieldClass", resource in FieldClass::"contact");"#,
    ];
    for cedar in good {
        check_policy(cedar, &snapshot).unwrap_or_else(|f| panic!("{cedar}: {f}"));
    }
    let bad = [
        ("", "policy"),
        ("permit(principal, action", "unexpected"),
        (
            "permit(principal, action, resource); forbid(principal, action, resource);",
            "",
        ),
        (r#"permit(principal == ?principal, action, resource);"#, ""),
        (
            r#"permit(principal, action, resource) when { principal.level > 3 };"#,
            "may not use",
        ),
        (
            r#"permit(principal, action, resource) when { resource has owner };"#,
            "`has`",
        ),
        (
            r#"forbid(principal, action, resource) when { context.mfa };"#,
            "",
        ),
        (
            r#"forbid(principal, action, resource) when { 9223372036854775807 + 1 == 0 };"#,
            "`+`",
        ),
        (
            r#"forbid(principal, action, resource) when { ip("x").isLoopback() };"#,
            "may not use",
        ),
        (
            r#"forbid(principal, action == Action::"customer.customers.fly", resource);"#,
            "fly",
        ),
        (
            r#"forbid(principal, action, resource in OrgUnit::"north");"#,
            "north",
        ),
        (
            r#"forbid(principal in Role::"boss", action, resource);"#,
            "boss",
        ),
        (
            r#"forbid(principal, action, resource in FieldClass::"shoe_size");"#,
            "shoe_size",
        ),
        (
            r#"forbid(principal == Robot::"r2", action, resource);"#,
            "Robot",
        ),
    ];
    for (cedar, part) in bad {
        let failure = check_policy(cedar, &snapshot).expect_err(cedar);
        assert_eq!(
            (failure.code, failure.reason),
            (Code::InvalidArgument, "POLICY_REFUSED"),
            "{cedar}"
        );
        assert!(failure.message.contains(part), "{cedar}: {failure}");
    }
    let long = format!(
        "permit(principal, action, resource); // {}",
        "x".repeat(20_000)
    );
    assert!(check_policy(&long, &snapshot).is_err());
    let deep = format!(
        "permit(principal, action, resource) when {{ {}true{} }};",
        "(".repeat(5_000),
        ")".repeat(5_000)
    );
    assert!(check_policy(&deep, &snapshot).is_err());
    let chain = format!(
        "permit(principal, action, resource) when {{ true{} }};",
        " && true".repeat(1_900)
    );
    assert!(check_policy(&chain, &snapshot).is_err());
    // As long and as deep as it may be.
    let chain = format!(
        "permit(principal, action, resource) when {{ {}true{}{} }};",
        "(".repeat(22),
        " && true".repeat(127),
        ")".repeat(22)
    );
    check_policy(&chain, &snapshot).unwrap();
}
