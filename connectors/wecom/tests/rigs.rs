//! wechatpy, the client of WeCom that others wrote, against the simulator, and the calls it makes
//! against our endpoint.
//!
//! It runs by `make test-rigs`, which needs `JINKE_RIGS`, a folder with
//! `sdkchecks/wecom_check.py`, and sets `JINKE_WECHATPY_PYTHON` to a Python that has wechatpy.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use jinke_sdk::{
    CallbackOutcome, CallbackRequest, Connector as _, DirectoryEntry,
    envelope::Envelope,
    testing::{FakeResponse, FakeServer, pull},
};
use jinke_types::{Body, Clock as _, SystemClock, attribute};
use jinke_wecom::{
    WecomConfig, WecomConnector,
    simulator::{AGENT_ID, CALLBACK_KEY, CALLBACK_TOKEN, CORP_ID, SECRET, Simulator},
};
use serde_json::Value;
use tokio::process::Command;

async fn python(script: &Path, args: &[&str]) -> String {
    let python = std::env::var("JINKE_WECHATPY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let done = Command::new(python).arg(script).args(args).output().await;
    let done = done.expect("Python runs");
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{}: {errors}", script.display());
    String::from_utf8_lossy(&done.stdout).into_owned()
}

async fn witness(args: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/witness.py");
    let told = python(&script, args).await;
    serde_json::from_str(told.lines().last().unwrap_or_default()).expect("one JSON object")
}

fn check() -> PathBuf {
    let rigs = std::env::var_os("JINKE_RIGS").expect("JINKE_RIGS names the folder of the rigs");
    PathBuf::from(rigs).join("sdkchecks/wecom_check.py")
}

fn connector(simulator: &Simulator) -> WecomConnector {
    let envelope = Envelope::new(CALLBACK_TOKEN, CALLBACK_KEY, CORP_ID).expect("keys");
    let config = WecomConfig {
        private_network: true,
        callback: Some(envelope),
        page_rows: 10,
        ..WecomConfig::new("wecom", simulator.server().url(), CORP_ID, SECRET)
    };
    WecomConnector::new(config).expect("settings")
}

#[tokio::test]
async fn the_sdk_reads_what_the_connector_reads() {
    let simulator = Simulator::start().await.expect("a port");
    simulator.seed(60);
    let url = simulator.server().url().to_owned();
    let told = python(&check(), &["client", &url]).await;
    assert!(
        told.contains("follow ") && told.contains("'errcode': 0"),
        "{told}"
    );
    let agent = AGENT_ID.to_string();
    let state = witness(&["state", &url, CORP_ID, SECRET, &agent]).await;
    assert_eq!(state["sent"], 0);
    assert_eq!(
        simulator.messages().len(),
        2,
        "one by the check, one by the witness"
    );

    let connector = connector(&simulator);
    let pulled = pull(&connector, "contacts", None).await;
    assert_eq!((pulled.error.clone(), pulled.row_errors()), (None, vec![]));
    let records: BTreeMap<String, _> = pulled
        .records()
        .into_iter()
        .map(|r| (r.key.external_id.clone(), r))
        .collect();
    let texts = |id: &str, name: &str| -> BTreeSet<String> {
        let Body::Party { values, .. } = &records[id].body else {
            panic!("{id} is no party")
        };
        let of = values.iter().filter(|v| v.attribute == name);
        of.filter_map(|v| v.datum.text().map(str::to_owned))
            .collect()
    };
    let contacts = state["contacts"].as_object().expect("contacts");
    assert_eq!(contacts.len(), 60);
    let people = records.keys().filter(|id| !id.contains('#')).count();
    assert_eq!(people, 60);
    for (id, want) in contacts {
        let set = |values: Vec<&Value>| -> BTreeSet<String> {
            let flat = values
                .into_iter()
                .flat_map(|v| v.as_array().cloned().unwrap_or_default());
            flat.filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let follows = want["follows"].as_object().expect("follows");
        let users: BTreeSet<String> = follows.keys().cloned().collect();
        assert_eq!(
            texts(id, attribute::NAME).first().map(String::as_str),
            want["name"].as_str()
        );
        assert_eq!(texts(id, attribute::OWNER), users, "{id}");
        assert_eq!(
            texts(id, attribute::TAG),
            set(follows.values().map(|f| &f["tags"]).collect())
        );
        assert_eq!(
            texts(id, attribute::PHONE),
            set(follows.values().map(|f| &f["mobiles"]).collect())
        );
        let corp = want["corp"].as_str().unwrap_or_default();
        let organization = records.contains_key(&format!("{id}#corp"));
        assert_eq!(organization, !corp.is_empty(), "{id}");
        if organization {
            assert_eq!(
                texts(&format!("{id}#corp"), attribute::NAME)
                    .first()
                    .map(String::as_str),
                Some(corp)
            );
        }
    }

    let pulled = pull(&connector, "directory", None).await;
    assert_eq!(pulled.error, None);
    let (mut departments, mut members) = (BTreeMap::new(), BTreeMap::new());
    for entry in pulled.pages.into_iter().flat_map(|p| p.directory) {
        match entry {
            DirectoryEntry::Department(d) => {
                departments.insert(d.external_id, d.name);
            }
            DirectoryEntry::Member(m) => {
                members.insert(m.external_id, m.name);
            }
            DirectoryEntry::RoundBegan | DirectoryEntry::RoundEnded => {}
        }
    }
    let named = |value: &Value| value.as_str().map(str::to_owned);
    let want = state["departments"].as_object().expect("departments");
    let want: BTreeMap<_, _> = want
        .iter()
        .map(|(id, n)| (id.clone(), named(n).unwrap_or_default()))
        .collect();
    assert_eq!(departments, want);
    let want = state["members"].as_object().expect("members");
    let want: BTreeMap<_, _> = want
        .iter()
        .map(|(id, m)| (id.clone(), named(&m["name"]).unwrap_or_default()))
        .collect();
    assert_eq!(members, want);
}

#[tokio::test]
async fn its_callbacks_are_taken_once_and_others_never() {
    let simulator = Simulator::start().await.expect("a port");
    let connector = connector(&simulator);
    let keys = Arc::new(Mutex::new((BTreeSet::new(), Vec::new())));
    let kept = keys.clone();
    let endpoint = FakeServer::start(move |r| {
        let query = r.target.split_once('?').map_or("", |(_, q)| q);
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            percent_encoding::percent_decode_str(&text)
                .decode_utf8_lossy()
                .into_owned()
        };
        let pairs = query.split('&').filter_map(|p| p.split_once('='));
        let request = CallbackRequest {
            method: r.method.clone(),
            query: pairs.map(|(n, v)| (n.to_owned(), decoded(v))).collect(),
            headers: r.headers.clone(),
            body: r.body.clone(),
            time: SystemClock.now(),
        };
        let answer = match connector.callback().expect("set up").receive(&request) {
            CallbackOutcome::Verified { answer, events } => {
                let mut kept = kept.lock().expect("the lock");
                for event in events {
                    if kept.0.insert(event.key.clone()) {
                        kept.1.extend(event.pull);
                    }
                }
                answer
            }
            CallbackOutcome::Refused { answer, .. } => answer,
        };
        FakeResponse {
            body: answer.body,
            ..FakeResponse::status(answer.status)
        }
    })
    .await
    .expect("a port");
    let url = format!("{}/callbacks/wecom", endpoint.url());
    let told = python(&check(), &["verify", &url]).await;
    assert_eq!(told.trim(), "1616140317555161061");
    let told = python(&check(), &["post", &url]).await;
    assert_eq!(told.trim(), "200 success");
    keys.lock().expect("the lock").1.clear();
    let told = witness(&["callbacks", &url, CORP_ID, CALLBACK_TOKEN, CALLBACK_KEY]).await;
    let answer = |name: &str| {
        (
            told[name][0].as_i64(),
            told[name][1].as_str().map(str::to_owned),
        )
    };
    let said = |text: &str| (Some(200), Some(text.to_owned()));
    assert_eq!(answer("verify"), said("1616140317555161061"));
    for name in ["genuine", "replayed", "repeated", "second"] {
        assert_eq!(answer(name), said("success"), "{name}");
    }
    for name in ["tampered", "resigned", "stale", "foreign"] {
        assert_eq!(answer(name), (Some(403), Some(String::new())), "{name}");
    }
    let pulls = keys.lock().expect("the lock").1.clone();
    // The repeated one may fall into the next second, and is then another event.
    let distinct: BTreeSet<_> = pulls.iter().map(String::as_str).collect();
    assert_eq!(
        distinct,
        BTreeSet::from(["contacts/wmOne", "contacts/wmTwo"])
    );
    assert!(
        pulls.len() <= 3,
        "a replayed call tells nothing new: {pulls:?}"
    );
}
