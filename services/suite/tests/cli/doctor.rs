//! Doctor finds what was planted, and changes nothing.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::harness::Home;

fn findings(home: &Home, args: &[&str]) -> (i32, Vec<Value>) {
    let answer = home.jinke(&[&["doctor", "--json"], args].concat());
    let list = serde_json::from_str(&answer.out).unwrap_or_else(|e| panic!("{e}: {answer:?}"));
    (answer.code, list)
}

fn bad(findings: &[Value]) -> Vec<&str> {
    let of = |f: &Value| f["health"] == "bad";
    findings
        .iter()
        .filter(|f| of(f))
        .map(|f| f["check"].as_str().unwrap())
        .collect()
}

/// A port that is free, for a suite that is not started.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_machine_without_a_suite_is_healthy_and_stays_untouched() {
    let home = Home::new();
    let (code, found) = findings(&home, &["--listen", &free()]);
    assert_eq!((code, bad(&found)), (0, vec![]), "{found:#?}");
    let server = found.iter().find(|f| f["check"] == "server").unwrap();
    assert!(
        server["mend"].as_str().unwrap().contains("jinke run"),
        "{server}"
    );
    assert!(!home.data().exists());
}

#[test]
fn planted_problems_are_found_with_a_way_to_mend_them() {
    let home = Home::new();
    let serving = home.serve(&[]);
    let (code, found) = findings(&home, &[]);
    assert_eq!(
        (code, bad(&found)),
        (0, vec![]),
        "a running suite is healthy: {found:#?}"
    );
    let held = found
        .iter()
        .find(|f| f["check"] == "customer database")
        .unwrap();
    assert!(
        held["found"]
            .as_str()
            .unwrap()
            .contains(&serving.pid().to_string()),
        "{held}"
    );
    assert!(serving.stop().success());

    let listen = free();
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(home.data().join("keys/customer/sealing.key.json")).unwrap();
    fs::write(home.data().join("identity.db"), "not a database at all").unwrap();
    let (code, found) = findings(&home, &["--listen", &listen]);
    assert_eq!(code, 8);
    assert_eq!(
        bad(&found),
        ["data folder", "identity database", "customer keys"],
        "{found:#?}"
    );
    assert!(
        found
            .iter()
            .filter(|f| f["health"] == "bad")
            .all(|f| f["mend"] != "")
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|a| (taken, a.to_string())).unwrap();
    let (_, found) = findings(&home, &["--listen", &taken.1]);
    assert!(
        bad(&found).iter().any(|check| check.starts_with("port ")),
        "{found:#?}"
    );

    home.file(
        "jinke.toml",
        "[server]\nlisten = '127.0.0.1:0'\nlissten = 1\n",
    );
    let (code, found) = findings(&home, &["--config", "jinke.toml"]);
    let config = found.iter().find(|f| f["check"] == "config").unwrap();
    assert_eq!((code, config["health"].as_str().unwrap()), (8, "bad"));
    assert!(config.to_string().contains("lissten"), "{config}");
}

#[test]
fn the_configuration_is_shown_and_checked() {
    let home = Home::new();
    let shown = home.jinke(&["config", "show", "--set", "limits.streams=7"]);
    assert!(
        shown.out.contains("streams = 7") && shown.out.contains("--set"),
        "{shown:?}"
    );
    let default = home.jinke(&["config", "default"]);
    for section in ["[server]", "[identity", "[customer"] {
        assert!(default.out.contains(section), "{section}");
    }
    let path = home.file("all.toml", &default.out);
    let check = home.jinke(&["config", "check", "--config", path.to_str().unwrap()]);
    assert_eq!(
        check.code, 0,
        "the default file is a configuration: {check:?}"
    );
    home.file("wrong.toml", "[customer]\nnonsense = 1\n");
    let check = home.jinke(&["config", "check", "--config", "wrong.toml"]);
    assert_eq!(check.code, 2, "{check:?}");
    assert!(check.err.contains("wrong.toml:2"), "{check:?}");
    assert!(
        !home.data().exists(),
        "looking at the configuration makes nothing"
    );
}

#[test]
fn migrate_brings_the_databases_up_and_may_be_repeated() {
    let home = Home::new();
    for _ in 0..2 {
        let done = home.json(&["migrate"]);
        assert_eq!(done.as_array().unwrap().len(), 5, "{done:#}");
    }
    assert!(home.data().join("customer.db").exists());
}
