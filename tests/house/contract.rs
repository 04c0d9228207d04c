//! Conventions of the contract, checked over the descriptor set: what buf cannot know of us.

use std::collections::BTreeMap;

use prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MethodDescriptor, ReflectMessage, Value,
};

fn pool() -> DescriptorPool {
    DescriptorPool::decode(jinke_proto::FILE_DESCRIPTOR_SET).expect("descriptor set")
}

fn ours(package: &str) -> bool {
    package.starts_with("jinke.")
}

fn option(method: &MethodDescriptor, name: &str) -> Option<Value> {
    let extension = method.parent_pool().get_extension_by_name(name)?;
    let options: DynamicMessage = method.options();
    options
        .has_extension(&extension)
        .then(|| options.get_extension(&extension).into_owned())
}

fn methods(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    let mut all: Vec<_> = pool
        .services()
        .filter(|s| ours(s.package_name()))
        .flat_map(|s| s.methods().collect::<Vec<_>>())
        .collect();
    all.sort_by(|a, b| a.full_name().cmp(b.full_name()));
    all
}

#[test]
fn every_method_says_who_may_call_it() {
    let pool = pool();
    let all = methods(&pool);
    assert!(all.len() > 40, "the descriptor set lost its services");
    for method in &all {
        let permission = option(method, "jinke.type.v1.permission");
        let public = option(method, "jinke.type.v1.public");
        let own = option(method, "jinke.type.v1.self_service");
        let said = [permission.is_some(), public.is_some(), own.is_some()];
        assert_eq!(
            said.iter().filter(|s| **s).count(),
            1,
            "{} needs exactly one of permission, public, self_service",
            method.full_name()
        );
        if let Some(Value::String(p)) = permission {
            let area = method
                .parent_service()
                .package_name()
                .split('.')
                .nth(1)
                .unwrap_or_default()
                .to_owned();
            let parts: Vec<_> = p.split('.').collect();
            assert!(
                parts.len() == 3 && parts[0] == area,
                "{}: permission {p} should be {area}.<things>.<verb>",
                method.full_name()
            );
        }
    }
}

#[test]
fn only_login_is_public() {
    let pool = pool();
    let public: Vec<String> = methods(&pool)
        .iter()
        .filter(|m| option(m, "jinke.type.v1.public").is_some())
        .map(|m| m.full_name().to_owned())
        .collect();
    assert_eq!(
        public,
        [
            "jinke.identity.v1.TokenService.ListSigningKeys",
            "jinke.identity.v1.TokenService.Login",
            "jinke.identity.v1.TokenService.LoginWithKey",
            "jinke.identity.v1.TokenService.RefreshToken",
        ]
    );
}

#[test]
fn every_unary_method_has_an_http_rule() {
    let pool = pool();
    let mut seen = BTreeMap::new();
    for method in methods(&pool) {
        if method.is_client_streaming() {
            continue;
        }
        let rule = option(&method, "google.api.http")
            .unwrap_or_else(|| panic!("{} has no google.api.http", method.full_name()));
        let Value::Message(rule) = rule else {
            panic!("google.api.http is a message")
        };
        let verb = ["get", "put", "post", "delete", "patch"]
            .into_iter()
            .find(|v| {
                rule.get_field_by_name(v)
                    .and_then(|f| f.as_str().map(|s| !s.is_empty()))
                    == Some(true)
            })
            .unwrap_or_else(|| panic!("{} has an empty http rule", method.full_name()));
        let path = rule
            .get_field_by_name(verb)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned();
        if let Some(other) = seen.insert(format!("{verb} {path}"), method.full_name().to_owned()) {
            panic!("{} and {other} share {verb} {path}", method.full_name());
        }
    }
}

#[test]
fn services_requests_and_enums_are_named_by_the_rules() {
    let pool = pool();
    for service in pool.services().filter(|s| ours(s.package_name())) {
        assert!(
            service.name().ends_with("Service"),
            "{}",
            service.full_name()
        );
        for method in service.methods() {
            assert_eq!(method.input().name(), format!("{}Request", method.name()));
        }
    }
    for e in pool.all_enums().filter(|e| ours(e.package_name())) {
        let zero = e
            .get_value(0)
            .unwrap_or_else(|| panic!("{} has no zero", e.full_name()));
        assert!(
            zero.name().ends_with("_UNSPECIFIED"),
            "{}",
            zero.full_name()
        );
    }
}

#[test]
fn pages_and_money_have_one_shape() {
    let pool = pool();
    for message in pool.all_messages().filter(|m| ours(m.package_name())) {
        for field in message.fields() {
            assert!(
                !matches!(field.kind(), Kind::Double | Kind::Float),
                "{} is a float; money and measures are decimal",
                field.full_name()
            );
            if field.name() == "page_size" {
                assert_eq!(field.kind(), Kind::Int32, "{}", field.full_name());
            }
            if field.name().ends_with("_time") {
                let Kind::Message(m) = field.kind() else {
                    panic!("{} should be a Timestamp", field.full_name())
                };
                assert_eq!(
                    m.full_name(),
                    "google.protobuf.Timestamp",
                    "{}",
                    field.full_name()
                );
            }
        }
        if message.name().starts_with("List") && message.name().ends_with("Response") {
            assert!(
                message.fields().any(|f| f.is_list()),
                "{}",
                message.full_name()
            );
        }
    }
}

#[test]
fn mutable_resources_have_an_etag() {
    let pool = pool();
    for name in [
        "jinke.identity.v1.User",
        "jinke.identity.v1.ServiceAccount",
        "jinke.identity.v1.OrgUnit",
        "jinke.identity.v1.Policy",
        "jinke.customer.v1.Source",
        "jinke.customer.v1.Customer",
    ] {
        let message = pool.get_message_by_name(name).expect(name);
        assert!(message.get_field_by_name("etag").is_some(), "{name}");
        let first = message.get_field(1).expect("field 1");
        assert_eq!(first.name(), "name", "{name}");
        // The option survives in the descriptor set, so reflection and REST can read it.
        let _ = first.options().descriptor();
    }
}
