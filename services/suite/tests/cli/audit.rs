//! The audit trail of a whole suite: what is recorded, what is not, and that it holds.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Home, text};

/// Long enough for any machine; what is waited for comes at once.
const PATIENCE: Duration = Duration::from_secs(60);

fn events(home: &Home, args: &[&str]) -> Vec<Value> {
    let data = home.data().display().to_string();
    let answer = home.json(&[&["audit", "list", "--data-dir", &data], args].concat());
    answer["events"].as_array().cloned().unwrap_or_default()
}

/// Waits until the events that match are as many.
fn wait_for(home: &Home, args: &[&str], count: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let found = events(home, args);
        if found.len() == count {
            return found;
        }
        assert!(
            begun.elapsed() < PATIENCE && found.len() < count,
            "{args:?}: {found:#?}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn names(event: &Value) -> Vec<&str> {
    let resources = event["resources"].as_array();
    resources
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn changes_refusals_and_guarded_values_are_recorded_and_nothing_of_the_values() {
    let home = Home::new();
    let serving = home.serve(&[]);
    home.json(&["sources", "create", "crm"]);
    home.file(
        "customers.csv",
        "编号,名称,电话\nC-1,杭州西湖茶叶有限公司,13800001111\nC-2,苏州园林设计有限公司,\n",
    );
    home.file(
        "mapping.toml",
        "kind = 'organization'\nexternal_id = '编号'\n\
         [[values]]\nattribute = 'name'\ncolumn = '名称'\n\
         [[values]]\nattribute = 'phone'\ncolumn = '电话'\n",
    );
    let import = [
        "import",
        "customers.csv",
        "--source",
        "crm",
        "-m",
        "mapping.toml",
    ];
    let imported = home.jinke(&import);
    assert_eq!(imported.code, 0, "{imported:?}");
    let made = home.json(&["users", "create", "li.lei", "--role", "reader"]);
    let one_time = text(&made, "oneTimePassword").to_owned();
    let listed = home.json(&["customers", "list"]);
    let customers = listed["customers"].as_array().unwrap();
    let all: Vec<String> = customers
        .iter()
        .map(|c| text(c, "name").to_owned())
        .collect();
    assert_eq!(all.len(), 2);

    // Asked again one by one: only the customer with a phone is a disclosure.
    let mut with_phone = String::new();
    for name in &all {
        if home
            .json(&["customers", "get", name])
            .to_string()
            .contains("13800001111")
        {
            with_phone.clone_from(name);
        }
    }
    let shown = wait_for(
        &home,
        &["--method", "GetCustomer", "--kind", "disclosure"],
        1,
    );
    assert_eq!(names(&shown[0]), [with_phone.as_str()]);
    assert_eq!(shown[0]["fieldClasses"][0], "FIELD_CLASS_CONTACT");
    assert_eq!(text(&shown[0], "caller"), "serviceAccounts/jinke-cli");

    // A change, by the caller and with its resource.
    let created = wait_for(
        &home,
        &["--method", "CreateSource", "--resource", "sources/crm"],
        1,
    );
    assert_eq!(text(&created[0], "outcome"), "OK");
    assert_eq!(names(&created[0]), ["sources/crm"]);
    let user = wait_for(
        &home,
        &["--resource", "users/li.lei", "--method", "CreateUser"],
        1,
    );
    assert_eq!(text(&user[0], "kind"), "KIND_MUTATION");

    // A login names who was proven; what he may not do is recorded, what he reads is not.
    let passwords = format!("{one_time}\nli leis own password\n");
    let login = home.jinke_with_input(&["login", "li.lei", "--password-stdin"], &passwords);
    assert_eq!(login.code, 0, "{login:?}");
    assert_eq!(home.jinke(&["customers", "list"]).code, 0);
    assert_eq!(home.jinke(&["sources", "create", "erp"]).code, 4);
    let his = wait_for(&home, &["--caller", "users/li.lei", "--kind", "refusal"], 1);
    assert_eq!(text(&his[0], "outcome"), "PERMISSION_DENIED");
    assert!(text(&his[0], "method").ends_with("/CreateSource"));
    // He was told to set a password of his own, then he did.
    let logins = wait_for(
        &home,
        &["--caller", "users/li.lei", "--kind", "mutation"],
        2,
    );
    assert_eq!(text(&logins[1], "reason"), "PASSWORD_CHANGE_REQUIRED");
    assert_eq!(text(&logins[0], "outcome"), "OK");
    assert_eq!(
        events(&home, &["--caller", "users/li.lei", "--kind", "disclosure"]).len(),
        0
    );
    // Who may read customers may not read who read them.
    assert_eq!(home.jinke(&["audit", "list"]).code, 4);

    let everything = events(&home, &["-n", "1000"]);
    let said = serde_json::to_string(&everything).unwrap();
    for value in ["13800001111", "西湖", "园林", &one_time, "own password"] {
        assert!(!said.contains(value), "{value} is in the trail");
    }
    let data = home.data().display().to_string();
    let whole = home.json(&["audit", "verify", "--data-dir", &data]);
    for trail in whole.as_array().unwrap() {
        assert_eq!(text(trail, "fault"), "", "{trail}");
    }
    let trails: Vec<&str> = whole
        .as_array()
        .unwrap()
        .iter()
        .map(|t| text(t, "name"))
        .collect();
    assert!(trails.contains(&"auditTrails/customer") && trails.contains(&"auditTrails/identity"));
    assert!(serving.stop().success());
}

#[test]
fn a_suite_that_is_killed_loses_no_event_and_doubles_none() {
    let home = Home::new();
    let mut serving = home.serve(&[]);
    for round in 0..3 {
        for n in 0..5 {
            home.json(&["sources", "create", &format!("s{round}{n}")]);
        }
        // Answered, and perhaps not yet delivered.
        drop(serving);
        serving = home.serve(&[]);
    }
    let made = wait_for(&home, &["--method", "CreateSource", "-n", "100"], 15);
    let mut sources: Vec<&str> = made.iter().map(|e| names(e)[0]).collect();
    sources.sort_unstable();
    sources.dedup();
    assert_eq!(sources.len(), 15, "{sources:?}");
    let whole = home.json(&["audit", "verify"]);
    for trail in whole.as_array().unwrap() {
        assert_eq!(text(trail, "fault"), "", "{trail}");
    }
    assert!(serving.stop().success());
}
