//! Foreign systems on the command line: how far each connector is proven, and the simulators that
//! people try connections out with.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::harness::{Home, Serving, text};

/// Long enough for any machine; what is waited for comes at once.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a status is called in the documentation, by its name in the contract.
const WORDS: [(&str, &str); 4] = [
    ("VERIFICATION_REAL_SERVER", "real server"),
    (
        "VERIFICATION_OFFICIAL_SDK",
        "official SDK agrees with our simulator",
    ),
    ("VERIFICATION_DOCUMENTATION_ONLY", "documentation only"),
    ("VERIFICATION_UNVERIFIED", "unverified"),
];

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// Status and evidence of each part of each connector, as docs/connectors.md tells them.
fn documented() -> BTreeMap<(String, String), (String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connectors.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut found = BTreeMap::new();
    let mut connector = None;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## `") {
            connector = heading.split('`').next().map(str::to_owned);
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let (Some(connector), [part, _, _, status, evidence]) = (&connector, &cells[..])
            && *part != "part"
            && !part.starts_with('-')
        {
            let of = (connector.clone(), (*part).to_owned());
            let told = ((*status).to_owned(), (*evidence).to_owned());
            assert!(found.insert(of, told).is_none(), "twice: {line}");
        }
    }
    found
}

#[test]
fn every_status_is_listed_as_the_documentation_has_it() {
    let home = Home::new();
    let serving = home.serve(&[]);
    let listed = home.json(&["connectors", "list"]);
    let mut told = BTreeMap::new();
    for connector in list(&listed, "connectors") {
        let name = text(connector, "name").trim_start_matches("connectors/");
        for part in list(connector, "parts") {
            let status = text(part, "verification");
            let word = WORDS.iter().find(|(name, _)| *name == status);
            let (_, word) = word.unwrap_or_else(|| panic!("{status} has no word"));
            let of = (name.to_owned(), text(part, "name").to_owned());
            let evidence = text(part, "evidence").to_owned();
            told.insert(of, ((*word).to_owned(), evidence));
        }
    }
    let documented = documented();
    for vendor in ["kingdee", "sap", "wecom", "dingtalk", "tryton", "file"] {
        assert!(documented.keys().any(|(c, _)| c == vendor), "{vendor}");
    }
    assert_eq!(told, documented);

    // The table says the same words, a line for each part.
    let shown = home.jinke(&["connectors", "list"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    let mut connector = String::new();
    let mut lines = 0;
    // Below the headers and the rule; a connector is named in its first line.
    for line in shown.out.lines().skip(2) {
        let first = line.split_whitespace().next().unwrap_or_default();
        if !line.starts_with(' ') {
            first.clone_into(&mut connector);
        }
        let of = documented
            .iter()
            .filter(|((c, _), (_, evidence))| *c == connector && line.ends_with(evidence.as_str()));
        let fits = of
            .filter(|((_, part), (status, _))| {
                line.contains(&format!(" {part} ")) && line.contains(&format!(" {status} "))
            })
            .count();
        assert!(fits >= 1, "{connector}: {line}");
        lines += 1;
    }
    assert_eq!(lines, documented.len());
    assert!(serving.stop().success());
}

/// The kinds that `jinke simulate` takes, as it says when it is given another.
fn simulated(home: &Home) -> Vec<String> {
    let refused = home.jinke(&["simulate", "nonsense"]);
    assert_ne!(refused.code, 0);
    let (_, kinds) = refused.err.split_once("possible values: ").unwrap();
    let (kinds, _) = kinds.split_once(']').unwrap();
    kinds.split(", ").map(str::to_owned).collect()
}

/// Settings as a simulator prints them for people: key and TOML value.
fn printed(simulator: &Serving) -> Vec<(String, toml::Value)> {
    let lines = simulator.until("Ctrl-C", PATIENCE);
    let lines = lines.iter().filter_map(|l| l.strip_prefix("  "));
    let all: String = lines.map(|l| format!("{l}\n")).collect();
    let table: toml::Table = all.parse().unwrap();
    table.into_iter().collect()
}

/// Settings as it prints them for programs.
fn printed_json(simulator: &Serving) -> Vec<(String, toml::Value)> {
    // JSON ends with the brace of its begin.
    let mut all = String::new();
    let begun = Instant::now();
    let told: Value = loop {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        all.push_str(&simulator.stdout.recv_timeout(left).unwrap());
        if let Ok(told) = serde_json::from_str(&all) {
            break told;
        }
    };
    let settings = told["settings"].as_object().unwrap();
    let value = |v: &Value| toml::Value::try_from(v).unwrap();
    settings
        .iter()
        .map(|(k, v)| (k.clone(), value(v)))
        .collect()
}

/// Adds a connection with printed settings; secrets go by files, as the kind says which they are.
fn connect(home: &Home, id: &str, kind: &str, settings: &[(String, toml::Value)]) {
    let shown = home.json(&["connectors", "show", kind]);
    let secret = |key: &str| {
        let keys = list(&shown, "keys");
        keys.iter().any(|k| k["name"] == key && k["secret"] == true)
    };
    let (mut plain, mut args) = (toml::Table::new(), Vec::new());
    for (key, value) in settings {
        if secret(key) {
            let file = format!("{id}.{key}");
            home.file(&file, value.as_str().unwrap());
            args.push(format!("--secret-file={key}={file}"));
        } else {
            plain.insert(key.clone(), value.clone());
        }
    }
    assert!(!args.is_empty(), "{kind} has no secret");
    let file = format!("{id}.toml");
    home.file(&file, plain.to_string());
    let mut add = vec!["connections", "add", id, "--connector", kind, "--settings"];
    add.push(&file);
    add.extend(args.iter().map(String::as_str));
    let added = home.jinke(&add);
    assert_eq!(added.code, 0, "{kind}: {added:?}");
}

#[test]
fn a_connection_with_what_a_simulator_prints_pulls_it() {
    let home = Home::new();
    let serving = home.serve(&[]);
    let kinds = simulated(&home);
    for vendor in ["kingdee", "wecom", "dingtalk"] {
        assert!(kinds.iter().any(|k| k == vendor), "{kinds:?}");
    }
    for (n, kind) in kinds.iter().enumerate() {
        let log = format!("{kind}.log");
        let mut args = vec!["simulate", kind, "--rows", "6"];
        // One after the other as people and as programs read it.
        let simulator;
        let settings = if n % 2 == 0 {
            simulator = home.start(&args, &log);
            printed(&simulator)
        } else {
            args.push("--json");
            simulator = home.start(&args, &log);
            printed_json(&simulator)
        };
        connect(&home, kind, kind, &settings);
        let checked = home.jinke(&["connections", "check", kind]);
        assert_eq!(checked.code, 0, "{kind}: {checked:?}");
        let streams = home.json(&["connections", "discover", kind]);
        assert!(!list(&streams, "streams").is_empty(), "{streams:#}");
        let ran = home.jinke(&["connections", "run", kind]);
        assert_eq!(ran.code, 0, "{kind}: {ran:?}\n{}", home.log());
        let runs = home.json(&["connections", "runs", kind]);
        let streams = list(&list(&runs, "runs")[0], "streams");
        let created = streams.iter().filter_map(|s| s["created"].as_str());
        let created: i64 = created.filter_map(|n| n.parse::<i64>().ok()).sum();
        assert!(created >= 6, "{kind}: {runs:#}");
        assert!(simulator.interrupt().success(), "{kind}");
        // It is gone: nobody answers at its address.
        let checked = home.jinke(&["connections", "check", kind]);
        assert_ne!(checked.code, 0, "{kind}: {checked:?}");
    }
    an_address_is_taken_once(&home);
    assert!(serving.stop().success());
}

fn an_address_is_taken_once(home: &Home) {
    let first = home.start(&["simulate", "kingdee", "--rows", "1"], "first.log");
    let settings = printed(&first);
    let (_, url) = settings.iter().find(|(key, _)| key == "url").unwrap();
    let address = url.as_str().unwrap().trim_start_matches("http://");
    let address = address.split('/').next().unwrap();
    let second = home.jinke(&["simulate", "kingdee", "--listen", address]);
    assert!(
        second.code != 0 && second.err.contains("LISTEN"),
        "{second:?}"
    );
    assert!(first.interrupt().success());
}

#[test]
fn what_happens_in_a_simulator_is_called_back() {
    let home = Home::new();
    let serving = home.serve(&["--set", "connector.callbacks.listen=127.0.0.1:0"]);
    let address = {
        let log = home.log();
        let line = log.lines().find(|l| l.contains("callbacks are received"));
        let line = line.unwrap_or_else(|| panic!("no address in {log}"));
        let (_, port) = line.rsplit_once("127.0.0.1:").unwrap();
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        format!("127.0.0.1:{port}")
    };
    for kind in ["wecom", "dingtalk"] {
        let callback = format!("http://{address}/callbacks/{kind}");
        let args = [
            "simulate",
            kind,
            "--rows",
            "3",
            "--every",
            "1",
            "--callback",
            &callback,
        ];
        let simulator = home.start(&args, &format!("{kind}.log"));
        let settings = printed(&simulator);
        // Before the connection is there nothing of it is taken.
        let told = simulator.until("callbacks were accepted", PATIENCE).pop();
        assert!(told.unwrap().starts_with("0 of "), "{kind}");
        connect(&home, kind, kind, &settings);
        let begun = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let line = simulator
                .until("callbacks were accepted", left)
                .pop()
                .unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[0] != "0" && words[0] == words[2] {
                break;
            }
        }
        assert!(simulator.interrupt().success(), "{kind}");
    }
    assert!(serving.stop().success());
}

/// Whoever is called back may be slow; Ctrl-C that comes while the simulator waits for him ends it.
#[test]
fn a_simulator_that_waits_for_an_answer_is_stopped() {
    let home = Home::new();
    for (kind, signal) in [("wecom", "-INT"), ("dingtalk", "-TERM")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let callback = format!("http://{}/", listener.local_addr().unwrap());
        let args = ["simulate", kind, "--rows", "1", "--every", "1"];
        let simulator = home.start(&[&args[..], &["--callback", &callback]].concat(), "log");
        let (_caller, _) = listener.accept().unwrap();
        assert!(simulator.end_by(signal).success(), "{kind}");
    }
}
