//! DingTalk's own SDKs against the simulator, and calls by DingTalk's scheme against our endpoint.
//!
//! It runs by `make test-rigs`, which needs `JINKE_RIGS`, a folder with
//! `sdkchecks/dingtalk_check.py`, and sets `JINKE_DINGTALK_PYTHON` to a Python that has
//! alibabacloud-dingtalk, dingtalk-stream and pycryptodome.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use jinke_dingtalk::{
    DingtalkConfig, DingtalkConnector,
    simulator::{APP_KEY, APP_SECRET, CALLBACK_KEY, CALLBACK_TOKEN, OPERATOR, Simulator},
};
use jinke_sdk::{
    CallbackOutcome, CallbackRequest, Connector as _, DirectoryEntry,
    envelope::Envelope,
    testing::{FakeResponse, FakeServer, pull},
};
use jinke_types::{Body, Clock as _, SystemClock, Timestamp, attribute};
use serde_json::{Value, json};
use tokio::process::Command;

async fn python(script: &Path, args: &[&str]) -> String {
    let python = std::env::var("JINKE_DINGTALK_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let endpoint = args.get(1).copied().unwrap_or_default();
    let done = Command::new(python)
        .arg(script)
        .args(args)
        .env("DINGTALK_OPENAPI_ENDPOINT", endpoint)
        .output()
        .await;
    let done = done.expect("Python runs");
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{}: {errors}", script.display());
    String::from_utf8_lossy(&done.stdout).into_owned()
}

async fn witness(args: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/witness.py");
    let told = python(&script, args).await;
    serde_json::from_str(told.lines().last().unwrap_or_default()).expect("one JSON value")
}

fn check() -> PathBuf {
    let rigs = std::env::var_os("JINKE_RIGS").expect("JINKE_RIGS names the folder of the rigs");
    PathBuf::from(rigs).join("sdkchecks/dingtalk_check.py")
}

async fn start() -> (Simulator, DingtalkConnector) {
    let simulator = Simulator::start().await.expect("a port");
    simulator.seed(30);
    // The key and secret of the vendor check.
    simulator.accept("k", "s");
    let url = simulator.server().url().to_owned();
    let envelope = Envelope::new(CALLBACK_TOKEN, CALLBACK_KEY, APP_KEY).expect("keys");
    let config = DingtalkConfig {
        private_network: true,
        operator: OPERATOR.to_owned(),
        callback: Some(envelope),
        page_rows: 10,
        ..DingtalkConfig::new("dingtalk", &url, &url, APP_KEY, APP_SECRET)
    };
    let connector = DingtalkConnector::new(config).expect("settings");
    (simulator, connector)
}

#[tokio::test]
async fn the_sdk_reads_what_the_connector_reads() {
    let (simulator, connector) = start().await;
    let url = simulator.server().url().to_owned();
    let told = python(&check(), &["client", &url]).await;
    assert!(told.contains("customers 30 ["), "{told}");
    let state = witness(&["state", &url, APP_KEY, APP_SECRET, OPERATOR]).await;
    assert_eq!(state["fields"]["customer_name"], json!("客户名称"));
    for (stream, object) in [
        ("customers", "crm_customer"),
        ("personal_customers", "crm_customer_personal"),
        ("contacts", "crm_contact"),
    ] {
        let pulled = pull(&connector, stream, None).await;
        assert_eq!((pulled.error.clone(), pulled.row_errors()), (None, vec![]));
        let records: BTreeMap<String, _> = pulled
            .records()
            .into_iter()
            .filter(|r| !r.key.external_id.contains('#'))
            .map(|r| (r.key.external_id.clone(), r))
            .collect();
        let want = state[object].as_object().expect("rows");
        assert_eq!((want.len(), records.len()), (30, 30), "{stream}");
        for (id, want) in want {
            let record = &records[id];
            let Body::Party { values, .. } = &record.body else {
                panic!("{id} is no party")
            };
            let first = |name: &str| {
                let value = values.iter().find(|v| v.attribute == name);
                value.and_then(|v| v.datum.text()).unwrap_or_default()
            };
            assert_eq!(Some(first(attribute::NAME)), want["name"].as_str(), "{id}");
            assert_eq!(
                Some(first(attribute::PHONE)),
                want["phone"].as_str(),
                "{id}"
            );
            assert_eq!(
                Some(first(attribute::OWNER)),
                want["owners"][0].as_str(),
                "{id}"
            );
            let modified = Timestamp::parse(want["modified"].as_str().expect("a time"));
            assert_eq!(record.update_time, modified, "{id}");
        }
    }
}

#[tokio::test]
async fn the_stream_sdk_hears_and_acknowledges() {
    let (simulator, _) = start().await;
    let url = simulator.server().url().to_owned();
    let told = python(&check(), &["stream", &url]).await;
    assert!(told.contains("endpoint"), "{told}");
    simulator.member("new", "新人", &[20], json!({}));
    simulator.leave("zhangsan");
    let heard = witness(&["stream", &url, APP_KEY, APP_SECRET, "2"]).await;
    let types: Vec<_> = heard
        .as_array()
        .expect("events")
        .iter()
        .map(|e| e["type"].clone())
        .collect();
    assert_eq!(types, ["user_add_org", "user_leave_org"]);
    assert_eq!(heard[1]["data"]["userId"], json!(["zhangsan"]));
    let taken = simulator.acknowledged();
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().all(|(_, taken)| *taken));
}

#[tokio::test]
async fn callbacks_are_taken_once_and_others_never() {
    let (_simulator, connector) = start().await;
    let keys = Arc::new(Mutex::new((BTreeSet::new(), Vec::new())));
    let kept = keys.clone();
    let endpoint = FakeServer::start(move |r| {
        let query = r.target.split_once('?').map_or("", |(_, q)| q);
        let pairs = query.split('&').filter_map(|p| p.split_once('='));
        let request = CallbackRequest {
            method: r.method.clone(),
            query: pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            headers: r.headers.clone(),
            body: r.body.clone(),
            time: SystemClock.now(),
        };
        let answer = match connector.callback().expect("set up").receive(&request) {
            CallbackOutcome::Verified { answer, events } => {
                let mut kept = kept.lock().expect("the lock");
                for event in events {
                    if kept.0.insert(event.key.clone()) {
                        kept.1.extend(event.directory);
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
    let url = format!("{}/callbacks/dingtalk", endpoint.url());
    let told = python(&check(), &["post", &url]).await;
    assert!(told.contains("reply decrypts to success"), "{told}");
    let told = witness(&["callbacks", &url, APP_KEY, CALLBACK_TOKEN, CALLBACK_KEY]).await;
    for name in ["check", "genuine", "replayed", "repeated", "second"] {
        assert_eq!(told[name], json!([200, "success"]), "{name}");
    }
    for name in ["tampered", "resigned", "stale", "foreign"] {
        assert_eq!(told[name], json!([403, ""]), "{name}");
    }
    let left: Vec<_> = keys
        .lock()
        .expect("the lock")
        .1
        .iter()
        .map(DirectoryEntry::external_id)
        .map(str::to_owned)
        .collect();
    assert_eq!(left, ["one", "two"], "each leaver once");
}
