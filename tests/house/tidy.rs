//! House rules as a test: who may import whom, who may name which library, what stands where.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ stands in the root")
        .to_owned()
}

/// Which workspace crates each crate may import (rules 1 to 8 of docs/ARCHITECTURE.md). A new
/// arrow needs a line here and one in docs/adr.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("jinke-types", &[][..]),
        ("jinke-resolution", &["jinke-types"]),
        ("jinke-proto", &[]),
        ("jinke-store", &["jinke-types"]),
        ("jinke-http", &["jinke-types"]),
        ("jinke-kit", &["jinke-types", "jinke-proto"]),
        (
            "jinke-identity",
            &["jinke-types", "jinke-proto", "jinke-kit", "jinke-store"],
        ),
        (
            "jinke-customer",
            &[
                "jinke-types",
                "jinke-proto",
                "jinke-kit",
                "jinke-store",
                "jinke-resolution",
            ],
        ),
        (
            "jinke-pipeline",
            &["jinke-types", "jinke-proto", "jinke-kit", "jinke-store"],
        ),
        (
            "jinke-reporting",
            &["jinke-types", "jinke-proto", "jinke-kit", "jinke-store"],
        ),
        (
            "jinke-gateway",
            &["jinke-types", "jinke-proto", "jinke-kit"],
        ),
        ("jinke-sdk", &["jinke-types", "jinke-http"]),
        ("jinke-file", &["jinke-types", "jinke-sdk"]),
        ("jinke-tryton", &["jinke-types", "jinke-sdk"]),
        ("jinke-kingdee", &["jinke-types", "jinke-sdk"]),
        ("jinke-sap", &["jinke-types", "jinke-sdk"]),
        ("jinke-wecom", &["jinke-types", "jinke-sdk"]),
        ("jinke-dingtalk", &["jinke-types", "jinke-sdk"]),
        (
            "jinke-runner",
            &[
                "jinke-types",
                "jinke-proto",
                "jinke-kit",
                "jinke-store",
                "jinke-sdk",
                "jinke-file",
                "jinke-tryton",
                "jinke-kingdee",
                "jinke-sap",
                "jinke-wecom",
                "jinke-dingtalk",
            ],
        ),
        (
            "jinke-suite",
            &[
                "jinke-types",
                "jinke-proto",
                "jinke-kit",
                "jinke-store",
                "jinke-resolution",
                "jinke-identity",
                "jinke-customer",
                "jinke-pipeline",
                "jinke-reporting",
                "jinke-gateway",
                "jinke-runner",
            ],
        ),
        (
            "jinke-tests",
            &[
                "jinke-types",
                "jinke-proto",
                "jinke-kit",
                "jinke-store",
                "jinke-resolution",
                "jinke-identity",
                "jinke-customer",
                "jinke-pipeline",
                "jinke-reporting",
                "jinke-runner",
                "jinke-suite",
                "jinke-wecom",
                "jinke-dingtalk",
            ],
        ),
    ])
}

/// Outside libraries that only these crates may name, in normal dependencies.
const GUARDED: &[(&str, &[&str])] = &[
    (
        "sqlx",
        &[
            "jinke-store",
            "jinke-identity",
            "jinke-customer",
            "jinke-pipeline",
            "jinke-reporting",
            "jinke-runner",
        ],
    ),
    ("reqwest", &["jinke-http"]),
    ("calamine", &["jinke-file"]),
    ("cedar-policy", &["jinke-kit"]),
];

#[test]
fn crates_import_only_what_the_rules_allow() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    let rules = allowed();
    let members: BTreeSet<String> = metadata
        .packages
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some(may) = rules.get(name) else {
            wrong.push(format!("{name} has no line in the dependency rules"));
            continue;
        };
        for dependency in &package.dependencies {
            if dependency.kind == DependencyKind::Development && name != "jinke-tests" {
                continue;
            }
            let on = dependency.name.as_str();
            if members.contains(on) && !may.contains(&on) && on != name {
                wrong.push(format!("{name} imports {on}"));
            }
            for (library, homes) in GUARDED {
                if on == *library && dependency.kind == DependencyKind::Normal {
                    let in_home = homes.contains(&name);
                    if !in_home {
                        wrong.push(format!("{name} names {library}, whose home is {homes:?}"));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "dependency rules broken:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn pure_crates_stay_pure() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    for package in &metadata.packages {
        if matches!(package.name.as_str(), "jinke-types" | "jinke-resolution") {
            for dependency in &package.dependencies {
                let io = [
                    "tokio", "sqlx", "tonic", "reqwest", "prost", "tracing", "rand",
                ];
                assert!(
                    dependency.kind == DependencyKind::Development
                        || !io.contains(&dependency.name.as_str()),
                    "{} must not depend on {}",
                    package.name,
                    dependency.name
                );
            }
        }
    }
}

/// All tracked-looking text files below the root, without build output and vendored protos.
fn files(extensions: &[&str]) -> Vec<PathBuf> {
    fn walk(dir: &Path, extensions: &[&str], out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("readable folder").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if path.is_dir() {
                if !matches!(
                    &*name,
                    "target" | ".git" | "data" | "vendor" | "node_modules"
                ) {
                    walk(&path, extensions, out);
                }
            } else if path
                .extension()
                .is_some_and(|e| extensions.iter().any(|x| e == *x))
            {
                out.push(path);
            }
        }
    }
    let mut out = Vec::new();
    walk(&root(), extensions, &mut out);
    out.sort();
    out
}

#[test]
fn proto_messages_are_named_only_at_the_edge() {
    // Rule 7: only convert.rs and rpc* name proto messages; the rest of a service is domain.
    // main.rs and lib.rs wire servers; tests may do as they like.
    let mut wrong = Vec::new();
    for path in files(&["rs"]) {
        let shown = path
            .strip_prefix(root())
            .expect("below root")
            .display()
            .to_string();
        let service = [
            "services/identity/src/",
            "services/customer/src/",
            "services/pipeline/src/",
        ]
        .iter()
        .find_map(|p| shown.strip_prefix(p));
        let Some(inside) = service else { continue };
        let edge = inside.starts_with("rpc")
            || inside.starts_with("convert")
            || inside.starts_with("access")
            || inside.starts_with("lib.rs")
            || inside.contains("test");
        if !edge
            && fs::read_to_string(&path)
                .expect("text")
                .contains("jinke_proto")
        {
            wrong.push(shown);
        }
    }
    assert!(
        wrong.is_empty(),
        "proto messages are named outside the edge:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn sql_and_http_stay_in_their_rooms() {
    // Rule 7: only the store crate and a service's store room name sqlx.
    let mut wrong = Vec::new();
    for path in files(&["rs"]) {
        let shown = path
            .strip_prefix(root())
            .expect("below root")
            .display()
            .to_string();
        let home = shown.starts_with("services/store/")
            || shown.contains("/src/store")
            || shown.starts_with("tests/");
        if !home && fs::read_to_string(&path).expect("text").contains("sqlx::") {
            wrong.push(shown);
        }
    }
    assert!(
        wrong.is_empty(),
        "sqlx is named outside the store rooms:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn both_engines_have_the_same_migrations() {
    for service in ["identity", "customer", "pipeline"] {
        let names = |engine: &str| -> BTreeSet<String> {
            fs::read_dir(
                root()
                    .join("services")
                    .join(service)
                    .join("migrations")
                    .join(engine),
            )
            .expect("migrations folder")
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect()
        };
        assert_eq!(
            names("sqlite"),
            names("postgres"),
            "migrations of {service}"
        );
        assert!(!names("sqlite").is_empty());
    }
}

#[test]
fn the_two_readmes_show_the_same_commands() {
    // README.md and README.zh-CN.md are kept alike: the fenced blocks are the same in order, but
    // for comments.
    let blocks = |file: &str| -> Vec<String> {
        let text = fs::read_to_string(root().join(file)).expect(file);
        let mut out = Vec::new();
        let mut inside = false;
        for line in text.lines() {
            if line.starts_with("```") {
                inside = !inside;
                continue;
            }
            if inside {
                let command = line.split(" #").next().unwrap_or_default().trim_end();
                if !command.is_empty() && !command.starts_with('#') {
                    out.push(command.to_owned());
                }
            }
        }
        out
    };
    assert_eq!(blocks("README.md"), blocks("README.zh-CN.md"));
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for path in files(&["md"]) {
        let text = fs::read_to_string(&path).expect("text");
        let mut rest = text.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let Some(end) = rest.find(')') else { break };
            let target = rest[..end].split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            if !path.parent().expect("a folder").join(target).exists() {
                wrong.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "dead links:\n{}", wrong.join("\n"));
}
