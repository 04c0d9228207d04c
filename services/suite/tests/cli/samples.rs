//! A newcomer's path: run with samples, paste the commands, merge, unmerge, run again.

use std::time::Duration;

use serde_json::Value;

use crate::{
    five::lookup,
    harness::{Home, Serving, record_keys, text},
};

const PATIENCE: Duration = Duration::from_secs(300);

pub fn serve_samples(home: &Home) -> (Serving, Vec<String>) {
    let serving = home.serve(&["--samples", "--sample-companies", "60"]);
    let lines = serving.until("customers explain", PATIENCE);
    (serving, lines)
}

pub fn number_behind(lines: &[String], label: &str) -> u64 {
    let line = lines
        .iter()
        .find(|l| l.contains(label))
        .unwrap_or_else(|| panic!("{lines:#?}"));
    let rest = &line[line.find(label).unwrap() + label.len()..];
    let digits: String = rest
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn a_newcomers_path_holds() {
    let home = Home::new();
    let (serving, lines) = serve_samples(&home);

    // The summary.
    let customers = number_behind(&lines, "golden customers");
    let merged = number_behind(&lines, "merged records");
    assert!(customers > 30 && merged > 10, "{lines:#?}");
    for source in ["erp", "finance", "chat", "kingdee", "wecom"] {
        assert!(
            lines.iter().any(|l| l.starts_with(source)),
            "{source}: {lines:#?}"
        );
    }
    systems_overlap(&home);
    let errors = number_behind(&lines, "错误 errors    ");
    assert!(
        errors > 0,
        "the samples have broken rows to show a report: {lines:#?}"
    );

    // The three commands work as they are printed.
    let commands: Vec<&str> = lines
        .iter()
        .filter(|l| l.starts_with("  /"))
        .map(|l| l.trim())
        .collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    for command in &commands {
        let answer = home.shell(command);
        assert_eq!(answer.code, 0, "{command}: {answer:?}");
        assert!(answer.out.lines().count() > 2, "{command}: {answer:?}");
    }
    let name = commands[1].rsplit(' ').next().unwrap();
    let found = home.shell(commands[0]);
    assert!(
        found.out.contains(name),
        "{} does not find {name}: {found:?}",
        commands[0]
    );

    merge_and_unmerge(&home);
    refuse_a_second_process(&home, &serving);
    assert!(serving.stop().success(), "{}", home.log());
    run_again(&home, customers, merged);
    start_over(&home);
}

/// What the simulated systems know went through the connector service, to the right customers.
fn systems_overlap(home: &Home) {
    let listed = home.json(&["connections", "list"]);
    let names: Vec<&str> = listed["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| text(c, "name"))
        .collect();
    let sources = ["chat", "erp", "finance", "kingdee", "wecom"];
    let expected = sources.map(|s| format!("connections/sample-{s}"));
    assert_eq!(names, expected);
    // The truth says which records are one company; one that Kingdee and the ERP both know by its
    // identifier is one customer, one that WeCom's people name is one as well.
    let truth = std::fs::read_to_string(home.data().join("imports/samples/truth.csv")).unwrap();
    let rows: Vec<Vec<&str>> = truth.lines().map(parts).collect();
    let (mut shared, mut found) = (0, 0);
    for row in rows
        .iter()
        .filter(|r| r[0] == "kingdee" && r[2] == "organization")
    {
        let other = rows.iter().find(|r| r[0] == "erp" && r[3] == row[3]);
        let Some(other) = other else { continue };
        shared += 1;
        let customer = lookup(home, &["--record", &key(row)]);
        found += usize::from(record_keys(&customer).contains(&key(other)));
    }
    assert!(shared > 3 && found * 2 > shared, "{found} of {shared}");
    let person = rows
        .iter()
        .find(|r| r[0] == "wecom" && r[2] == "person")
        .expect("a contact in WeCom");
    let person = lookup(home, &["--record", &key(person)]);
    assert_eq!(text(&person, "kind"), "PARTY_KIND_PERSON");
    let users = home.json(&["users", "list"]).to_string();
    assert!(
        users.contains("zhangsan"),
        "WeCom's members are users: {users}"
    );
}

/// A line of the truth: source, external id, kind, entity. An id of Kingdee has a comma and quotes.
fn parts(line: &str) -> Vec<&str> {
    match line.split_once('"') {
        Some((source, rest)) => {
            let (id, rest) = rest.split_once('"').unwrap();
            let rest = rest.trim_start_matches(',').split(',');
            [source.trim_end_matches(','), id]
                .into_iter()
                .chain(rest)
                .collect()
        }
        None => line.split(',').collect(),
    }
}

fn key(row: &[&str]) -> String {
    format!("{}/{}", row[0], row[1])
}

fn two_customers(home: &Home) -> (Value, Value) {
    let filter = [
        "customers",
        "list",
        "--filter",
        "kind = ORGANIZATION",
        "--limit",
        "200",
    ];
    let list = home.json(&filter);
    let mut of_erp = list["customers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| {
            let full = home.json(&["customers", "get", text(c, "name")]);
            // Two customers of one source with their own identifiers: never the same by rule.
            (record_keys(&full).len() == 1).then_some(full)
        });
    (
        of_erp.next().expect("a customer"),
        of_erp.next().expect("another customer"),
    )
}

fn merge_and_unmerge(home: &Home) {
    let (one, two) = two_customers(home);
    let (first, second) = (text(&one, "name").to_owned(), text(&two, "name").to_owned());
    let merge = [
        "customers",
        "merge",
        &first,
        &second,
        "--override-exclusivity",
    ];

    let trial = home.jinke(&[&merge[..], &["--dry-run"]].concat());
    assert!(
        trial.code == 0 && trial.out.contains("nothing was stored"),
        "{trial:?}"
    );
    let untouched = home.json(&["customers", "get", &first]);
    assert_eq!(
        record_keys(&untouched),
        record_keys(&one),
        "a dry run stores nothing"
    );

    let merged = home.json(&[&merge[..], &["--comment", "同一家"]].concat());
    let mut keys = record_keys(&merged);
    keys.sort();
    let mut expected = [record_keys(&one), record_keys(&two)].concat();
    expected.sort();
    assert_eq!(keys, expected);
    // The id that is no longer live answers with the customer that holds its record.
    assert_eq!(
        text(&home.json(&["customers", "get", &second]), "name"),
        text(&merged, "name")
    );

    let explained = home.jinke(&["customers", "explain", text(&merged, "name")]);
    assert!(
        explained.out.contains("判定 judgements: judgements/"),
        "{explained:?}"
    );

    let leaving = &record_keys(&two)[0];
    let split = home.json(&["customers", "unmerge", &first, "--record", leaving]);
    assert_eq!(split["customers"].as_array().unwrap().len(), 2, "{split:#}");
    for before in [&one, &two] {
        let after = home.json(&["customers", "get", text(before, "name")]);
        assert_eq!(
            after["values"], before["values"],
            "an unmerge gives every value back"
        );
        assert_eq!(record_keys(&after), record_keys(before));
    }

    let history = home.json(&["customers", "history", &first]);
    let kinds: Vec<_> = history["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| text(r, "kind").to_owned())
        .collect();
    assert_eq!(
        kinds[..2],
        ["CHANGE_KIND_UNMERGED", "CHANGE_KIND_MERGED"],
        "{kinds:?}"
    );
    let judgements = home.json(&["judgements", "list"]);
    assert_eq!(
        judgements["judgements"].as_array().unwrap().len(),
        2,
        "{judgements:#}"
    );
    assert_eq!(home.jinke(&["reviews", "list"]).code, 0);
    let changes = home.jinke(&["customers", "changes", "--limit", "5"]);
    assert!(changes.out.contains("--from"), "{changes:?}");
}

fn refuse_a_second_process(home: &Home, serving: &Serving) {
    let second = home.jinke(&["run", "--listen", "127.0.0.1:0", "--set", "metrics.listen="]);
    assert_eq!(second.code, 5, "{second:?}");
    let holder = format!("pid {}", serving.pid());
    assert!(
        second.err.contains("DATABASE_HELD") && second.err.contains(&holder),
        "{second:?}"
    );
    let fresh = home.jinke(&["run", "--fresh", "--listen", "127.0.0.1:0"]);
    assert_eq!(fresh.code, 5, "a folder in use is not deleted: {fresh:?}");
    assert_eq!(
        home.jinke(&["whoami"]).code,
        0,
        "the first process still answers"
    );
}

fn run_again(home: &Home, customers: u64, merged: u64) {
    let (serving, lines) = serve_samples(home);
    assert_eq!(number_behind(&lines, "golden customers"), customers);
    assert_eq!(number_behind(&lines, "merged records"), merged);
    assert!(
        lines.iter().any(|l| l.contains("nothing changed")),
        "{lines:#?}"
    );
    assert!(serving.stop().success());
}

fn start_over(home: &Home) {
    std::fs::write(home.data().join("mine.txt"), "mine").unwrap();
    let serving = home.serve(&["--fresh"]);
    assert!(home.data().join("mine.txt").exists());
    assert!(home.log().contains("mine.txt"), "{}", home.log());
    let list = home.json(&["customers", "list"]);
    assert!(list.get("customers").is_none(), "{list:#}");
    assert!(serving.stop().success());
}
