//! The connector against SAP's own metadata, served as OData V2 by SAP CAP, with `pyodata`, an
//! independent client, as witness.
//!
//! It runs by `make test-rigs`, which needs `JINKE_RIGS`, a folder with `sap.sh` (`start PORT`,
//! `stop`; user `demo` / `demo-dummy`), and sets `JINKE_SDK_PYTHON` to a Python that has
//! `pyodata`. CAP is not S/4HANA: it does not move the time of a last change by itself and gives
//! no `ETag`.

use std::{path::PathBuf, process::Stdio};

use futures::StreamExt as _;
use jinke_sap::{Proof, SapConfig, SapConnector};
use jinke_sdk::{
    Connector as _, Push, PushState, PushStep, SweepLimit,
    http::RetryPolicy,
    testing::{KnownList, collect, party_of, pull},
};
use jinke_types::{Body, Datum, SourceRecord, attribute};
use serde_json::{Value, json};
use tokio::process::Command;

struct Rig {
    script: PathBuf,
    port: String,
}

impl Rig {
    async fn start() -> Self {
        let rigs = std::env::var_os("JINKE_RIGS").expect("JINKE_RIGS names the folder of the rigs");
        let rig = Self {
            script: PathBuf::from(rigs).join("sap.sh"),
            port: std::env::var("JINKE_SAP_PORT").unwrap_or_else(|_| "14014".to_owned()),
        };
        rig.control("stop").await;
        rig.control("start").await;
        rig
    }

    async fn control(&self, verb: &str) {
        // Its output goes nowhere: the server would keep a pipe open.
        let done = Command::new("bash")
            .arg(&self.script)
            .args([verb, &self.port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        let done = done.expect("bash");
        assert!(done.success() || verb == "stop", "sap.sh {verb}");
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}/sap/opu/odata/sap", self.port)
    }

    fn sap(&self, page_rows: usize) -> SapConnector {
        let proof = Proof::Basic {
            user: "demo".to_owned(),
            password: "demo-dummy".to_owned(),
        };
        let config = SapConfig {
            private_network: true,
            page_rows,
            retry: RetryPolicy {
                tries: 3,
                ..RetryPolicy::default()
            },
            ..SapConfig::new("s4", &self.base(), proof)
        };
        SapConnector::new(config).expect("settings")
    }

    async fn witness(&self) -> Value {
        let python = std::env::var("JINKE_SDK_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let done = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/witness.py"))
            .args([&self.base(), "demo", "demo-dummy"])
            .output()
            .await
            .expect("Python runs");
        let errors = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{errors}");
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        serde_json::from_str(told.lines().last().unwrap_or_default()).expect("one JSON object")
    }
}

async fn read(sap: &SapConnector, stream: &str) -> Vec<SourceRecord> {
    let pulled = pull(sap, stream, None).await;
    assert_eq!(pulled.error, None, "{stream}");
    assert_eq!(pulled.row_errors(), [], "{stream}");
    pulled.records()
}

fn push(kind: &str, fields: &Value) -> Push {
    Push {
        key: "rig-1".to_owned(),
        kind: kind.to_owned(),
        fields: fields.as_object().cloned().unwrap_or_default(),
    }
}

/// One test, because the rig is one server whose data change.
#[tokio::test]
async fn the_connector_and_pyodata_agree() {
    let rig = Rig::start().await;
    let seen = rig.witness().await;
    // More than the server's own page, so that links are followed; and less.
    for page_rows in [250, 30] {
        let sap = rig.sap(page_rows);
        sap.check().await.expect("the check passes");
        partners_agree(&seen["partners"], &read(&sap, "partners").await);
        orders_agree(&seen["orders"], &read(&sap, "orders").await);
    }
    let sap = rig.sap(100);
    let listed = sap.discover().await.expect("streams are listed");
    assert_eq!(listed.len(), 2);
    assert!(
        listed.iter().all(|s| s.columns.len() > 20),
        "SAP's own metadata"
    );

    // Every page can be gone on from, and an unchanged system yields nothing.
    let whole = pull(&sap, "partners", None).await;
    let idle = pull(&sap, "partners", whole.cursor(None)).await;
    assert_eq!((idle.error.clone(), idle.records()), (None, vec![]));
    let mut pages = sap.pull("partners", None).await;
    let first = pages.next().await.expect("a page").expect("read");
    let rest = pull(&sap, "partners", first.cursor.clone()).await;
    assert_eq!(
        first.records.len() + rest.records().len(),
        whole.records().len()
    );

    writes(&sap, whole.cursor(None), &whole.records()).await;
    rig.control("stop").await;
}

fn partners_agree(seen: &Value, records: &[SourceRecord]) {
    let seen = seen.as_object().expect("partners");
    assert!(seen.len() >= 300 && records.len() == seen.len());
    for record in records {
        let number = &record.key.external_id["A_BusinessPartner,".len()..];
        let want = &seen[number];
        let Body::Party { values, .. } = &record.body else {
            panic!("a party");
        };
        let texts = |name: &str| -> Vec<&str> {
            let of = values.iter().filter(|v| v.attribute == name);
            of.filter_map(|v| v.datum.text()).collect()
        };
        assert_eq!(json!(texts(attribute::NAME)), json!([want["name"]]));
        assert_eq!(json!(texts(attribute::IDENTIFIER)), want["tax"]);
        let streets: Vec<_> = values
            .iter()
            .filter_map(|v| match &v.datum {
                Datum::Address(a) => Some(a.text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(json!(streets), want["streets"]);
        // 10:20:30 at +08:00 of the day pyodata read.
        let day = want["changed"].as_str().expect("a day");
        let at = jinke_types::Timestamp::parse(&format!("{day}T10:20:30+08:00"));
        assert_eq!(record.update_time, at, "{number}");
    }
}

fn orders_agree(seen: &Value, records: &[SourceRecord]) {
    let seen = seen.as_object().expect("orders");
    assert!(seen.len() >= 100 && records.len() == seen.len());
    for record in records {
        let Body::Transaction(order) = &record.body else {
            panic!("an order");
        };
        let want = &seen[&order.number];
        let number = |text: &Value| {
            let text = text.as_str().expect("a number").to_owned();
            text.parse::<rust_decimal::Decimal>()
                .expect("a number")
                .normalize()
        };
        assert_eq!(
            order.amount.as_ref().map(|m| m.amount),
            Some(number(&want["amount"]))
        );
        let party = party_of(record).expect("a party").external_id.clone();
        assert_eq!(
            Some(&party["A_BusinessPartner,".len()..]),
            want["sold_to"].as_str()
        );
        let items = want["items"].as_array().expect("items");
        assert_eq!(order.lines.len(), items.len());
        for (line, item) in order.lines.iter().zip(items) {
            assert!(
                line.product
                    .starts_with(item[0].as_str().expect("a product"))
            );
            assert_eq!(line.quantity, number(&item[1]));
            assert_eq!(
                line.amount.as_ref().map(|m| m.amount),
                Some(number(&item[2]))
            );
        }
        let at = jinke_types::Timestamp::parse(want["changed"].as_str().expect("a time"));
        assert_eq!(record.update_time, at);
    }
}

/// A partner and an order through the token against forged requests, and a deletion by sweep.
async fn writes(sap: &SapConnector, cursor: Option<jinke_sdk::Cursor>, known: &[SourceRecord]) {
    let outbound = sap.outbound().expect("it writes");
    let fields = json!({"id": "A_BusinessPartner,0001000007", "name": "改名测试有限公司"});
    let step = outbound
        .push(&push("partner", &fields), &PushState::default())
        .await;
    assert!(matches!(step, Ok(PushStep::Done(..))), "{step:?}");
    let _ = cursor;
    let ghost = SourceRecord {
        key: jinke_types::RecordKey::new("s4", "A_BusinessPartner,0009999999"),
        ..known[0].clone()
    };
    let all: Vec<_> = known.iter().cloned().chain([ghost]).collect();
    let swept = sap
        .sweep("partners", KnownList::of(&all), SweepLimit::none())
        .await;
    let gone = collect(swept).await;
    assert_eq!(gone.error, None);
    let gone: Vec<_> = gone
        .records()
        .into_iter()
        .map(|r| r.key.external_id)
        .collect();
    assert_eq!(gone, ["A_BusinessPartner,0009999999"]);
}
