//! The connector against a real Tryton server, with `proteus`, Tryton's own client, as witness.
//!
//! It runs by `make test-rigs`, which needs `JINKE_RIGS`: a folder with `tryton.sh`, that starts
//! and stops a seeded server (`tryton.sh start PORT`, `tryton.sh stop PORT`), whose user is
//! `admin` / `tryton-dummy` and whose database is `tryton`. The server's data are changed.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use futures::StreamExt as _;
use jinke_sdk::{
    Connector as _, Cursor, PullErrorKind, SweepLimit,
    http::RetryPolicy,
    testing::{KnownList, collect, party_of, pull},
};
use jinke_tryton::{TrytonConfig, TrytonConnector};
use jinke_types::{Body, Datum, SourceRecord, attribute};
use rust_decimal::Decimal;
use serde_json::Value;

const STREAMS: [&str; 5] = ["parties", "orders", "invoices", "payments", "receivables"];
const PASSWORD: &str = "tryton-dummy";

/// The server and where its witness is.
struct Rig {
    script: PathBuf,
    port: String,
    home: PathBuf,
}

impl Rig {
    fn new() -> Self {
        let rigs = std::env::var_os("JINKE_RIGS").expect("JINKE_RIGS names the folder of the rigs");
        let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let cache = var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|h| h.join(".cache")));
        let home = var("TRYTON_HOME")
            .or_else(|| cache.map(|c| c.join("jinke-rigs/tryton")))
            .expect("a home folder");
        Self {
            script: PathBuf::from(rigs).join("tryton.sh"),
            port: std::env::var("JINKE_TRYTON_PORT").unwrap_or_else(|_| "18069".to_owned()),
            home,
        }
    }

    fn control(&self, verb: &str) {
        // Its output goes nowhere: the server would keep a pipe open.
        let done = Command::new("bash")
            .arg(&self.script)
            .args([verb, &self.port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            done.expect("bash").success() || verb == "stop",
            "tryton.sh {verb}"
        );
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn config(&self) -> TrytonConfig {
        TrytonConfig {
            private_network: true,
            page_rows: 100,
            retry: RetryPolicy {
                tries: 3,
                base: Duration::from_millis(20),
                ..RetryPolicy::default()
            },
            ..TrytonConfig::new("erp", &self.url(), "tryton", "admin", PASSWORD)
        }
    }

    fn connector(&self) -> TrytonConnector {
        TrytonConnector::new(self.config()).expect("settings that can be used")
    }

    fn python(&self, args: &[&str]) -> Value {
        let venv = std::env::var_os("TRYTON_VENV").map(PathBuf::from);
        let python = venv
            .unwrap_or_else(|| self.home.join("venv"))
            .join("bin/python");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/witness.py");
        let out = Command::new(python)
            .arg(script)
            .args(args)
            .output()
            .expect("python");
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "witness {args:?}: {errors}");
        serde_json::from_slice(&out.stdout).expect("the witness prints JSON")
    }

    fn witness(&self, args: &[&str]) -> Value {
        let url = format!("{}/tryton/rpc/", self.url());
        let mut all = vec![url.as_str(), PASSWORD];
        all.extend(args);
        self.python(&all)
    }

    /// As if every session had expired.
    fn end_sessions(&self) {
        let file = self.home.join("data/tryton.sqlite");
        let file = file.to_str().expect("a path in UTF-8").to_owned();
        self.python(&[&file, "-", "end-sessions"]);
    }
}

/// What one who follows the connector has.
#[derive(Default)]
struct Mirror {
    records: BTreeMap<String, BTreeMap<String, SourceRecord>>,
    cursors: BTreeMap<String, Cursor>,
}

impl Mirror {
    /// One sync: all streams, then their sweeps. Tells how many records came.
    async fn sync(&mut self, connector: &TrytonConnector) -> usize {
        let mut came = 0;
        for stream in STREAMS {
            let pulled = pull(connector, stream, self.cursors.get(stream).cloned()).await;
            assert_eq!(pulled.error, None, "{stream}");
            assert_eq!(pulled.row_errors(), [], "{stream}");
            assert_eq!(pulled.notes(), Vec::<String>::new(), "{stream}");
            if let Some(cursor) = pulled.cursor(None) {
                self.cursors.insert(stream.to_owned(), cursor);
            }
            came += self.apply(stream, pulled.records());
            let all: Vec<_> = self.stream(stream).values().cloned().collect();
            let known = KnownList::of(&all);
            let swept = collect(connector.sweep(stream, known, SweepLimit::default()).await).await;
            assert_eq!(swept.error, None, "{stream}");
            came += self.apply(stream, swept.records());
        }
        came
    }

    /// Takes versions in, a later one of a record before an earlier.
    fn apply(&mut self, stream: &str, records: Vec<SourceRecord>) -> usize {
        let came = records.len();
        let kept = self.records.entry(stream.to_owned()).or_default();
        for record in records {
            let id = record.key.external_id.clone();
            let older = kept
                .get(&id)
                .is_some_and(|k| k.update_time > record.update_time);
            if !older {
                kept.insert(id, record);
            }
        }
        came
    }

    fn stream(&self, stream: &str) -> BTreeMap<String, SourceRecord> {
        self.records.get(stream).cloned().unwrap_or_default()
    }

    fn live(&self, stream: &str, model: &str) -> BTreeMap<String, SourceRecord> {
        let live = self.stream(stream).into_iter().filter(|(_, r)| !r.deleted);
        live.map(|(id, r)| {
            let id = id.strip_prefix(model).and_then(|i| i.strip_prefix(','));
            (id.expect("model,id").to_owned(), r)
        })
        .collect()
    }

    /// Everything that is here is what the witness sees, and the other way round.
    fn agrees(&self, rig: &Rig) {
        let state = rig.witness(&["state"]);
        let object = |key: &str| state[key].as_object().expect("an object").clone();
        let parties = self.live("parties", "party.party");
        let mut want_owed = BTreeMap::new();
        let mut names = 0;
        for (id, want) in object("parties") {
            let owed: Decimal = text(&want["receivable"]).parse().expect("an amount");
            if !owed.is_zero() {
                want_owed.insert(format!("party.party,{id}"), owed);
            }
            if want["active"] != true {
                assert!(!parties.contains_key(&id), "party {id} is inactive");
                continue;
            }
            names += 1;
            let record = parties
                .get(&id)
                .unwrap_or_else(|| panic!("party {id} is missing"));
            assert_eq!(
                one(record, attribute::NAME),
                text(&want["name"]).trim(),
                "party {id}"
            );
            assert_eq!(
                streets(record),
                list(&want["streets"]),
                "streets of party {id}"
            );
            let contacts = [
                attribute::PHONE,
                attribute::EMAIL,
                attribute::WEBSITE,
                "x_fax",
            ];
            assert_eq!(
                all(record, &contacts),
                list(&want["contacts"]),
                "contacts of party {id}"
            );
            let codes = [attribute::IDENTIFIER, "x_identifier"];
            assert_eq!(
                all(record, &codes),
                list(&want["codes"]),
                "identifiers of party {id}"
            );
        }
        assert_eq!(parties.len(), names, "parties");
        for (stream, model, key) in [
            ("orders", "sale.sale", "sales"),
            ("invoices", "account.invoice", "invoices"),
            ("payments", "account.move.line", "payments"),
        ] {
            let records = self.live(stream, model);
            let wanted = object(key);
            assert_eq!(records.len(), wanted.len(), "{stream}");
            for (id, want) in wanted {
                let record = records
                    .get(&id)
                    .unwrap_or_else(|| panic!("{stream} {id} is missing"));
                let Body::Transaction(t) = &record.body else {
                    panic!("{stream} {id}")
                };
                let total = want.get("total").unwrap_or(&want["amount"]);
                let amount = t.amount.as_ref().expect("an amount");
                assert_eq!(
                    amount.amount,
                    text(total).parse().expect("a total"),
                    "{stream} {id}"
                );
                assert_eq!(amount.currency, "CNY");
                let party = format!("party.party,{}", want["party"]);
                assert_eq!(t.party.external_id, party, "{stream} {id}");
                if let Some(state) = want.get("state") {
                    assert_eq!(t.status, text(state), "{stream} {id}");
                }
                if let Some(lines) = want.get("lines").and_then(Value::as_u64) {
                    assert_eq!(t.lines.len() as u64, lines, "{stream} {id}");
                    let sum: Decimal = t
                        .lines
                        .iter()
                        .filter_map(|l| l.amount.as_ref())
                        .map(|a| a.amount)
                        .sum();
                    assert!(sum <= amount.amount, "{stream} {id}: lines without tax");
                }
            }
        }
        assert_eq!(self.owed(), want_owed, "receivables, to the cent");
    }

    /// What each party owes by the lines of the stream.
    fn owed(&self) -> BTreeMap<String, Decimal> {
        let mut owed: BTreeMap<String, Decimal> = BTreeMap::new();
        for record in self.live("receivables", "account.move.line").values() {
            let Body::Transaction(t) = &record.body else {
                panic!()
            };
            let party = party_of(record).expect("a party").external_id.clone();
            *owed.entry(party).or_default() += t.amount.as_ref().expect("an amount").amount;
        }
        owed.retain(|_, amount| !amount.is_zero());
        owed
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn list(value: &Value) -> Vec<String> {
    let list = value
        .as_array()
        .expect("a list")
        .iter()
        .map(|v| text(v).trim().to_owned());
    let mut list: Vec<_> = list
        .filter(|t| !t.is_empty())
        .map(|t| t.replace('\n', " "))
        .collect();
    list.sort();
    list
}

fn all(record: &SourceRecord, names: &[&str]) -> Vec<String> {
    let Body::Party { values, .. } = &record.body else {
        panic!("no party")
    };
    let found = values
        .iter()
        .filter(|v| names.contains(&v.attribute.as_str()));
    let mut found: Vec<_> = found
        .filter_map(|v| v.datum.text())
        .map(str::to_owned)
        .collect();
    found.sort();
    found
}

fn one(record: &SourceRecord, name: &str) -> String {
    all(record, &[name]).pop().unwrap_or_default()
}

fn streets(record: &SourceRecord) -> Vec<String> {
    let Body::Party { values, .. } = &record.body else {
        panic!("no party")
    };
    let street = |v: &jinke_types::Value| match &v.datum {
        Datum::Address(a) if !a.text.is_empty() => Some(a.text.clone()),
        _ => None,
    };
    let mut streets: Vec<_> = values.iter().filter_map(street).collect();
    streets.sort();
    streets
}

/// One test, because its steps follow each other on one server.
#[tokio::test]
async fn a_real_server_is_followed_to_the_cent() {
    let rig = Rig::new();
    // A server that is running already would keep the port.
    rig.control("stop");
    rig.control("start");
    let connector = rig.connector();
    connector.check().await.expect("the server answers");
    let streams = connector.discover().await.expect("streams");
    let names: Vec<_> = streams.iter().map(|s| s.stream.as_str()).collect();
    assert_eq!(names, STREAMS);

    let mut mirror = Mirror::default();
    assert!(mirror.sync(&connector).await > 300);
    mirror.agrees(&rig);
    assert_eq!(mirror.sync(&connector).await, 0, "nothing has changed");

    changes_show_within_one_sync(&rig, &connector, &mut mirror).await;
    sessions_are_renewed(&rig, &mirror).await;
    wrong_credentials(&rig).await;
    the_server_goes_away_in_the_middle(&rig, &mirror).await;
    rig.control("stop");
}

async fn changes_show_within_one_sync(rig: &Rig, connector: &TrytonConnector, mirror: &mut Mirror) {
    // An address, by its own form: the party's row stays untouched.
    let street = format!(
        "科技路{}号",
        mirror.records.len() + std::process::id() as usize
    );
    let edited = rig.witness(&["edit-address", "7", &street]);
    assert_eq!(edited["party_untouched"], true);
    mirror.sync(connector).await;
    assert_eq!(
        streets(&mirror.stream("parties")["party.party,7"]),
        [street]
    );
    mirror.agrees(rig);

    // A sale with its posted invoice, which is owed at once.
    let before = mirror
        .owed()
        .get("party.party,9")
        .copied()
        .unwrap_or_default();
    let sold = rig.witness(&["new-sale", "9"]);
    let total: Decimal = text(&sold["total"]).parse().expect("a total");
    mirror.sync(connector).await;
    let order = format!("sale.sale,{}", sold["sale"]);
    assert!(mirror.stream("orders").contains_key(&order), "{order}");
    assert_eq!(mirror.owed()["party.party,9"], before + total);
    mirror.agrees(rig);

    // Its payment: the line is there, and nothing of it is owed any more.
    let paid = rig.witness(&["pay", &sold["invoice"].to_string()]);
    assert_eq!(paid["state"], "paid");
    mirror.sync(connector).await;
    let line = format!("account.move.line,{}", paid["lines"][0]);
    assert!(mirror.stream("payments").contains_key(&line), "{line}");
    assert_eq!(
        mirror
            .owed()
            .get("party.party,9")
            .copied()
            .unwrap_or_default(),
        before
    );
    mirror.agrees(rig);

    // A party without documents comes and goes.
    let party = rig.witness(&["new-party", "临时客户有限公司"])["id"].to_string();
    mirror.sync(connector).await;
    let id = format!("party.party,{party}");
    assert!(!mirror.stream("parties")[&id].deleted);
    rig.witness(&["delete-party", &party]);
    mirror.sync(connector).await;
    assert!(mirror.stream("parties")[&id].deleted, "the deletion shows");
    mirror.agrees(rig);
    assert_eq!(mirror.sync(connector).await, 0, "all is told once");
}

/// The records of a stream that are there, without their order.
fn live(records: Vec<SourceRecord>) -> BTreeMap<String, SourceRecord> {
    records
        .into_iter()
        .map(|r| (r.key.external_id.clone(), r))
        .collect()
}

async fn sessions_are_renewed(rig: &Rig, mirror: &Mirror) {
    let connector = rig.connector();
    let mut pages = connector.pull("parties", None).await;
    let mut got = Vec::new();
    while let Some(page) = pages.next().await {
        got.extend(page.expect("the session is renewed").records);
        rig.end_sessions();
    }
    let known = mirror.stream("parties");
    for (id, record) in live(got) {
        assert_eq!(known[&id], record);
    }
}

async fn wrong_credentials(rig: &Rig) {
    let config = TrytonConfig {
        password: "wrong".to_owned(),
        ..rig.config()
    };
    let connector = TrytonConnector::new(config).expect("a connector");
    let error = pull(&connector, "parties", None)
        .await
        .error
        .expect("refused");
    assert_eq!(error.kind, PullErrorKind::Unauthorized);
    assert_eq!(error.failure.reason, "FOREIGN_UNAUTHORIZED");
}

async fn the_server_goes_away_in_the_middle(rig: &Rig, mirror: &Mirror) {
    let connector = rig.connector();
    let mut pages = connector.pull("parties", None).await;
    let first = pages
        .next()
        .await
        .expect("a page")
        .expect("the server is there");
    rig.control("stop");
    let mut error = None;
    while let Some(item) = pages.next().await {
        error = item.err();
    }
    let error = error.expect("the server is away");
    assert_eq!(error.kind, PullErrorKind::Unavailable);
    let failure = connector.check().await.expect_err("nobody is there");
    assert_eq!(failure.reason, "HTTP_CONNECT");
    rig.control("start");
    let rest = pull(&connector, "parties", first.cursor).await;
    assert_eq!(rest.error, None, "the server is back");
    let mut got = first.records;
    got.extend(rest.records());
    let got = live(got);
    let here = mirror.live("parties", "party.party");
    assert_eq!(got.values().filter(|r| !r.deleted).count(), here.len());
}
