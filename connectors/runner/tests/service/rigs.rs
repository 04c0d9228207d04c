//! A real Tryton server followed through the connector service, with `proteus`, Tryton's own
//! client, as witness. Runs by `make test-rigs`; see `connectors/tryton/tests/rigs.rs`.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
};

use jinke_proto::jinke::{
    connector::v1::{self as pb, run::State},
    customer::v1::{self as customer, source_record::Body},
};
use jinke_runner::{
    rpc::{connections, errors, runs},
    store::MIGRATIONS,
};
use jinke_store::{Database, Engine, testing::Place};
use prost::Message as _;
use serde_json::Value;

use crate::world::{World, until, viewer};

const PASSWORD: &str = "tryton-dummy";

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
        Self {
            script: PathBuf::from(rigs).join("tryton.sh"),
            port: std::env::var("JINKE_TRYTON_PORT").unwrap_or_else(|_| "18069".to_owned()),
            home: var("TRYTON_HOME")
                .or_else(|| cache.map(|c| c.join("jinke-rigs/tryton")))
                .expect("a home folder"),
        }
    }

    fn control(&self, verb: &str) {
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

    fn witness(&self, args: &[&str]) -> Value {
        let venv = std::env::var_os("TRYTON_VENV").map(PathBuf::from);
        let python = venv
            .unwrap_or_else(|| self.home.join("venv"))
            .join("bin/python");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tryton/tests/witness.py");
        let url = format!("http://127.0.0.1:{}/tryton/rpc/", self.port);
        let out = Command::new(python)
            .args([script, &url, PASSWORD])
            .args(args)
            .output()
            .expect("python");
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "witness {args:?}: {errors}");
        serde_json::from_slice(&out.stdout).expect("the witness prints JSON")
    }
}

/// The version of each record that counts and is not deleted, of one model.
fn live(world: &World, model: &str) -> BTreeMap<String, customer::SourceRecord> {
    let all = world.door.lock();
    let ids = all.records.keys().filter(|id| {
        // An embedded record has `#` behind the id of its row.
        id.strip_prefix(model)
            .is_some_and(|rest| rest.starts_with(',') && !rest.contains('#'))
    });
    ids.filter_map(|id| {
        let newest = all.newest(id)?;
        let record = customer::SourceRecord::decode(newest.bytes.as_slice()).unwrap();
        (!newest.deleted).then(|| (id.clone(), record))
    })
    .collect()
}

/// Millionths of the currency's unit.
fn micros(record: &customer::SourceRecord) -> (String, i128) {
    let Some(Body::Transaction(t)) = &record.body else {
        panic!("no transaction")
    };
    let amount = t.amount.as_ref().expect("an amount");
    let party = t.party.as_ref().expect("a party").external_id.clone();
    let value = i128::from(amount.units) * 1_000_000 + i128::from(amount.nanos / 1_000);
    (party, value)
}

/// Receivables by party, and counts, are those that Tryton itself reports.
fn agrees(world: &World, rig: &Rig) {
    let state = rig.witness(&["state"]);
    let object = |key: &str| state[key].as_object().expect("an object").clone();
    let parties = object("parties");
    let active = parties.values().filter(|p| p["active"] == true).count();
    assert_eq!(live(world, "party.party").len(), active, "parties");
    assert_eq!(
        live(world, "sale.sale").len(),
        object("sales").len(),
        "orders"
    );
    assert_eq!(
        live(world, "account.invoice").len(),
        object("invoices").len(),
        "invoices"
    );
    let lines = live(world, "account.move.line");
    let payments = object("payments");
    for id in payments.keys() {
        let record = &lines[&format!("account.move.line,{id}")];
        let Some(Body::Transaction(t)) = &record.body else {
            panic!("no transaction")
        };
        assert_eq!(t.kind(), customer::transaction::Kind::Payment, "{id}");
    }
    let mut owed: BTreeMap<String, i128> = BTreeMap::new();
    for record in lines.values() {
        if let Some(Body::Transaction(t)) = &record.body
            && t.kind() == customer::transaction::Kind::Receivable
        {
            let (party, amount) = micros(record);
            *owed.entry(party).or_default() += amount;
        }
    }
    owed.retain(|_, amount| *amount != 0);
    let mut wanted = BTreeMap::new();
    for (id, party) in parties {
        let text = party["receivable"].as_str().expect("an amount");
        let cents: i128 = text.replace('.', "").parse().expect("two decimals");
        if cents != 0 {
            wanted.insert(format!("party.party,{id}"), cents * 10_000);
        }
    }
    assert_eq!(owed, wanted, "receivables, to the cent");
}

async fn sync(world: &World) {
    for kind in [pb::run::Kind::Pull, pb::run::Kind::Sweep] {
        let run = world.run(kind).await;
        assert_eq!(run.state(), State::Succeeded, "{run:?}");
    }
}

fn text(value: &str) -> prost_types::Value {
    prost_types::Value {
        kind: Some(prost_types::value::Kind::StringValue(value.to_owned())),
    }
}

fn request(rig: &Rig, password: &str) -> pb::CreateConnectionRequest {
    use prost_types::value::Kind;
    let other = |kind| prost_types::Value { kind: Some(kind) };
    let settings = [
        ("url", text(&format!("http://127.0.0.1:{}", rig.port))),
        ("database", text("tryton")),
        ("user", text("admin")),
        ("private_network", other(Kind::BoolValue(true))),
        ("page_rows", other(Kind::NumberValue(50.0))),
        ("calls_per_minute", other(Kind::NumberValue(60_000.0))),
    ];
    pb::CreateConnectionRequest {
        connection_id: "demo".to_owned(),
        connection: Some(pb::Connection {
            connector: "connectors/tryton".to_owned(),
            settings: Some(prost_types::Struct {
                fields: settings
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect(),
            }),
            secrets: [("password".to_owned(), password.to_owned())].into(),
            ..pb::Connection::default()
        }),
        ..pb::CreateConnectionRequest::default()
    }
}

async fn password(world: &World, password: &str) {
    let request = pb::UpdateConnectionRequest {
        connection: Some(pb::Connection {
            name: "connections/demo".to_owned(),
            secrets: [("password".to_owned(), password.to_owned())].into(),
            ..pb::Connection::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["secrets".to_owned()],
        }),
        ..pb::UpdateConnectionRequest::default()
    };
    connections::update(world.api.clone(), viewer(), request)
        .await
        .unwrap();
}

/// One test, because its steps follow each other on one server.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_tryton_is_followed_through_the_service() {
    let rig = Rig::new();
    rig.control("stop");
    rig.control("start");
    let place = Place::new(Engine::Sqlite).await;
    let db = Database::open(place.config(), &MIGRATIONS).await.unwrap();
    let mut world = World::over(&db);
    world.start();

    // Wrong credentials end in a clear state, with one login.
    let made = connections::create(world.api.clone(), viewer(), request(&rig, "wrong")).await;
    let made = made.unwrap();
    let run = world.run(pb::run::Kind::Pull).await;
    assert_eq!((run.state(), run.attempts), (State::Failed, 1));
    assert_eq!(run.error.unwrap().code, 16);
    password(&world, PASSWORD).await;

    // Everything arrives, and agrees with what Tryton reports.
    sync(&world).await;
    agrees(&world, &rig);
    let run = world.run(pb::run::Kind::Pull).await;
    assert!(
        run.streams.iter().all(|s| s.created + s.updated == 0),
        "nothing has changed"
    );

    // An address, a sale with its invoice, its payment, a party that comes and goes: each shows
    // within one sync.
    let street = format!("科技路{}号", std::process::id());
    rig.witness(&["edit-address", "7", &street]);
    sync(&world).await;
    let party = live(&world, "party.party")["party.party,7"].encode_to_vec();
    assert!(
        party.windows(street.len()).any(|w| w == street.as_bytes()),
        "the street shows"
    );
    let sold = rig.witness(&["new-sale", "9"]);
    sync(&world).await;
    assert!(live(&world, "sale.sale").contains_key(&format!("sale.sale,{}", sold["sale"])));
    agrees(&world, &rig);
    rig.witness(&["pay", &sold["invoice"].to_string()]);
    sync(&world).await;
    agrees(&world, &rig);
    let id = rig.witness(&["new-party", "临时客户有限公司"])["id"].to_string();
    sync(&world).await;
    assert!(live(&world, "party.party").contains_key(&format!("party.party,{id}")));
    rig.witness(&["delete-party", &id]);
    sync(&world).await;
    agrees(&world, &rig);

    // The server goes away in the middle of a full pull, and comes back: the run waits and ends
    // right, and nothing is there twice.
    let versions = |world: &World| -> BTreeMap<String, usize> {
        let all = world.door.lock();
        all.records
            .iter()
            .map(|(id, v)| (id.clone(), v.len()))
            .collect()
    };
    let before = versions(&world);
    let reset = pb::ResetCursorRequest {
        name: made.name.clone(),
        ..pb::ResetCursorRequest::default()
    };
    errors::reset_cursor(world.api.clone(), viewer(), reset)
        .await
        .unwrap();
    let start = pb::RunConnectionRequest {
        name: made.name.clone(),
        ..pb::RunConnectionRequest::default()
    };
    let run = runs::start(world.api.clone(), viewer(), start)
        .await
        .unwrap();
    until(async || (world.get(&run.name).await.streams.first()?.unchanged > 0).then_some(())).await;
    rig.control("stop");
    let waiting = until(async || {
        let run = world.get(&run.name).await;
        (run.state() == State::Waiting || run.end_time.is_some()).then_some(run)
    })
    .await;
    assert_eq!(waiting.state(), State::Waiting, "{waiting:?}");
    assert_eq!(waiting.error.unwrap().code, 14);
    rig.control("start");
    let run = world.ended(&run.name).await;
    assert_eq!(run.state(), State::Succeeded, "{run:?}");
    assert!(run.attempts > 1);
    assert_eq!(versions(&world), before);
    agrees(&world, &rig);

    // A restarted server has forgotten the session; the next run opens a new one.
    rig.control("stop");
    rig.control("start");
    sync(&world).await;
    rig.control("stop");
    drop(world);
    db.close().await;
    place.remove().await;
}
