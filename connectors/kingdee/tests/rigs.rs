//! The vendor's own library, `kingdee-cdp-webapi-sdk`, as a client of the simulator.
//!
//! It runs by `make test-rigs`, which needs `JINKE_RIGS`, a folder with
//! `sdkchecks/kingdee_check.py`, and sets `JINKE_SDK_PYTHON` to a Python that has the library. The
//! library signs each call in its own way and reads each answer in its own way, so what the
//! simulator takes and gives is not only our opinion.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jinke_kingdee::{
    KingdeeConfig, KingdeeConnector,
    simulator::{ACCOUNT, APP_ID, APP_SECRET, Simulator, USER},
};
use jinke_sdk::testing::pull;
use jinke_types::{Body, SourceRecord};
use rust_decimal::Decimal;
use serde_json::Value;
use tokio::process::Command;

async fn python(script: &Path, args: &[&str]) -> String {
    let python = std::env::var("JINKE_SDK_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let done = Command::new(python)
        .arg(script)
        .args(args)
        .output()
        .await
        .expect("Python runs");
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{}: {errors}", script.display());
    told
}

async fn witness(simulator: &Simulator, verb: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/witness.py");
    let args = [&simulator.url(), ACCOUNT, USER, APP_ID, APP_SECRET, verb];
    let told = python(&script, &args).await;
    let line = told.lines().last().unwrap_or_default();
    serde_json::from_str(line).expect("one JSON object")
}

async fn records(simulator: &Simulator, stream: &str) -> BTreeMap<i64, SourceRecord> {
    let config = KingdeeConfig {
        private_network: true,
        ..KingdeeConfig::new("k3", &simulator.url(), ACCOUNT, USER, APP_ID, APP_SECRET)
    };
    let connector = KingdeeConnector::new(config).expect("settings");
    let pulled = pull(&connector, stream, None).await;
    assert_eq!(pulled.error, None);
    let id = |r: &SourceRecord| {
        r.key
            .external_id
            .split_once(',')
            .and_then(|(_, n)| n.parse().ok())
    };
    pulled
        .records()
        .into_iter()
        .filter_map(|r| Some((id(&r)?, r)))
        .collect()
}

#[tokio::test]
async fn the_check_of_the_rig_passes() {
    let rigs = std::env::var_os("JINKE_RIGS").expect("JINKE_RIGS names the folder of the rigs");
    let script = PathBuf::from(rigs).join("sdkchecks/kingdee_check.py");
    python(&script, &["selftest"]).await;
    let simulator = Simulator::start().await.expect("a port");
    simulator.seed(5);
    let told = python(&script, &["client", &simulator.url()]).await;
    assert!(told.contains("CUST00005"), "rows come back: {told}");
    assert!(
        told.contains("\"IsSuccess\":true"),
        "a customer is saved: {told}"
    );
    assert_eq!(simulator.calls("ExecuteBillQuery"), 1);
    assert_eq!(simulator.opened(), 1, "the library brings its session back");
    let saved = simulator
        .ids("BD_Customer")
        .into_iter()
        .max()
        .expect("a customer");
    let saved = simulator.bill("BD_Customer", saved).expect("a customer");
    assert_eq!(saved.head["FName"], "测试客户");
}

#[tokio::test]
async fn the_library_and_the_connector_read_the_same() {
    let simulator = Simulator::start().await.expect("a port");
    simulator.seed(2_100);
    let seen = witness(&simulator, "read").await;
    let rows = |name: &str| seen[name].as_array().cloned().unwrap_or_default();
    let customers = records(&simulator, "customers").await;
    assert_eq!(rows("customers").len(), customers.len());
    for row in rows("customers") {
        let record = &customers[&row[0].as_i64().expect("an id")];
        let Body::Party { values, .. } = &record.body else {
            panic!("a party");
        };
        assert_eq!(values[0].datum.text(), row[1].as_str());
    }
    let mut sums: BTreeMap<i64, Decimal> = BTreeMap::new();
    for row in rows("orders").iter().filter(|r| r[4] != "Z") {
        let amount: Decimal = row[3].to_string().parse().expect("an amount");
        *sums.entry(row[0].as_i64().expect("an id")).or_default() += amount;
    }
    let orders = records(&simulator, "orders").await;
    assert_eq!(sums.len(), orders.len());
    for (id, sum) in sums {
        let Body::Transaction(order) = &orders[&id].body else {
            panic!("an order");
        };
        assert_eq!(
            order.amount.as_ref().map(|m| m.amount),
            Some(sum.normalize())
        );
    }
    assert_eq!(
        rows("receivables").len(),
        records(&simulator, "receivables").await.len()
    );
    assert_eq!(seen["objects"][0]["FNumber"], "CUST00001");
    assert_eq!(
        seen["lists"],
        serde_json::json!(["FBillHead", "FSaleOrderEntry"])
    );
    assert_eq!(seen["refused"], 9, "an unknown field");
}

#[tokio::test]
async fn the_library_writes_by_the_same_rules() {
    let simulator = Simulator::start().await.expect("a port");
    simulator.seed(1);
    let told = witness(&simulator, "write").await;
    assert_eq!(told["reviewed_too_early"], false);
    assert_eq!(told["saved_after_review"], false);
    let id = told["id"].as_i64().expect("an id");
    let Body::Transaction(order) = &records(&simulator, "orders").await[&id].body else {
        panic!("an order");
    };
    assert_eq!(order.status, "C");
    assert_eq!(
        order.amount.as_ref().map(|m| m.amount),
        Some(Decimal::from(100))
    );
}
