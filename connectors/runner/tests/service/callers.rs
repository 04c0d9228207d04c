//! Calls that the vendors' own libraries make, against the endpoint as it runs: over a socket, stored
//! in a database of each engine, each event once. Runs by `make test-rigs`, see `tests/rigs.rs` of
//! `connectors/dingtalk` and `connectors/wecom` for the Pythons and the folder of the rigs.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use jinke_proto::jinke::connector::v1 as pb;
use jinke_runner::{
    callbacks,
    registry::kinds,
    rpc::{connections, outbound},
    simulate::Simulation,
};
use jinke_sdk::CallbackEvent;
use prost_types::{Struct, value::Kind};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::world::{World, on_each, viewer};

async fn listen(world: &World) -> SocketAddr {
    let (listener, address) = callbacks::bind("127.0.0.1:0").await.expect("a port");
    let bounds = callbacks::Bounds {
        body_bytes: 1 << 20,
        concurrent: 8,
        read: Duration::from_secs(10),
        answer: Duration::from_secs(60),
    };
    tokio::spawn(callbacks::serve(world.api.core.clone(), listener, bounds));
    address
}

/// A connection of a kind to its simulator, named like it.
async fn connect(world: &World, kind: &str, simulation: &Simulation) {
    let kinds = kinds();
    let spec = &kinds
        .iter()
        .find(|k| k.spec.kind == kind)
        .expect("a kind")
        .spec;
    let (mut settings, mut secrets) = (Struct::default(), BTreeMap::new());
    for (key, found) in &simulation.settings {
        let known = spec.keys.iter().find(|k| k.name == *key).expect("a key");
        if known.secret {
            let text = found.as_str().expect("a text").to_owned();
            secrets.insert((*key).to_owned(), text);
            continue;
        }
        let found = match found {
            // Here it is called; there it would listen.
            toml::Value::Boolean(truth) => Kind::BoolValue(*truth && *key != "stream_mode"),
            toml::Value::Integer(n) => Kind::NumberValue(*n as f64),
            other => Kind::StringValue(other.as_str().expect("a text").to_owned()),
        };
        let value = prost_types::Value { kind: Some(found) };
        settings.fields.insert((*key).to_owned(), value);
    }
    let request = pb::CreateConnectionRequest {
        connection_id: kind.to_owned(),
        connection: Some(pb::Connection {
            connector: format!("connectors/{kind}"),
            settings: Some(settings),
            secrets: secrets.into_iter().collect(),
            ..pb::Connection::default()
        }),
        ..pb::CreateConnectionRequest::default()
    };
    connections::create(world.api.clone(), viewer(), request)
        .await
        .expect("a connection");
}

/// The Python of a kind, and its scripts: the vendor check of the rigs and our witness.
struct Caller {
    python: String,
    check: PathBuf,
    witness: PathBuf,
}

impl Caller {
    fn new(kind: &str, python: &str) -> Self {
        let rigs = std::env::var_os("JINKE_RIGS").expect("JINKE_RIGS names the folder of the rigs");
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        Self {
            python: std::env::var(python).unwrap_or_else(|_| "python3".to_owned()),
            check: PathBuf::from(rigs).join(format!("sdkchecks/{kind}_check.py")),
            witness: here.join(format!("../{kind}/tests/witness.py")),
        }
    }

    async fn says(&self, script: &PathBuf, args: &[&str]) -> String {
        let done = Command::new(&self.python).arg(script).args(args).output();
        let done = done.await.expect("Python runs");
        let errors = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{}: {errors}", script.display());
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// What became of each call of the witness: status and answer.
    async fn calls(&self, args: &[&str]) -> Value {
        let told = self.says(&self.witness, args).await;
        serde_json::from_str(told.lines().last().unwrap_or_default()).expect("one JSON object")
    }
}

/// The events that are stored, opened.
async fn events(world: &World, kind: &str) -> Vec<CallbackEvent> {
    let request = pb::ListCallbackEventsRequest {
        parent: format!("connections/{kind}"),
        ..pb::ListCallbackEventsRequest::default()
    };
    let found = outbound::list_events(world.api.clone(), viewer(), request).await;
    let found = found.expect("events").callback_events.len();
    let core = &world.api.core;
    let connection = core.connection(kind).await.expect("a connection");
    let sealer = core.sealer(&connection).expect("its key");
    let mut reader = core.db.read().await.expect("the database");
    let rows = reader
        .fetch_all(
            "SELECT number, payload FROM callback_events WHERE connection = $1 ORDER BY number",
            jinke_store::args![kind],
        )
        .await
        .expect("events");
    assert_eq!(rows.len(), found);
    rows.iter()
        .map(|row| {
            let number = row.i64("number").expect("a number");
            let sealed = row.bytes("payload").expect("kept until it is worked off");
            sealer.open_event(number, &sealed).expect("it opens")
        })
        .collect()
}

fn all_are(told: &Value, names: &[&str], answer: &Value) {
    for name in names {
        assert_eq!(&told[name], answer, "{name}: {told}");
    }
}

const GENUINE: [&str; 4] = ["genuine", "replayed", "repeated", "second"];
const FORGED: [&str; 4] = ["tampered", "resigned", "stale", "foreign"];

#[tokio::test(flavor = "multi_thread")]
async fn the_sdks_call_the_endpoint_as_dingtalk_does() {
    use jinke_dingtalk::simulator::{APP_KEY, CALLBACK_KEY, CALLBACK_TOKEN};
    on_each(async |db| {
        let world = World::over(&db);
        let simulation = Simulation::start("dingtalk", "127.0.0.1:0", 3).await;
        connect(&world, "dingtalk", &simulation.expect("a simulator")).await;
        let url = format!("http://{}/callbacks/dingtalk", listen(&world).await);
        let caller = Caller::new("dingtalk", "JINKE_DINGTALK_PYTHON");
        let told = caller.says(&caller.check, &["post", &url]).await;
        assert!(told.contains("reply decrypts to success"), "{told}");
        let before = events(&world, "dingtalk").await.len();
        let told = caller
            .calls(&["callbacks", &url, APP_KEY, CALLBACK_TOKEN, CALLBACK_KEY])
            .await;
        all_are(&told, &GENUINE, &json!([200, "success"]));
        all_are(&told, &["check"], &json!([200, "success"]));
        all_are(&told, &FORGED, &json!([403, ""]));
        let stored = events(&world, "dingtalk").await;
        let left: Vec<&str> = stored[before..]
            .iter()
            .flat_map(|e| &e.directory)
            .map(|entry| entry.external_id())
            .collect();
        assert_eq!(left, ["one", "two"], "each leaver once");
        // Another connection's address takes none of them.
        let other = url.replace("dingtalk", "nobody");
        let told = caller
            .calls(&["callbacks", &other, APP_KEY, CALLBACK_TOKEN, CALLBACK_KEY])
            .await;
        assert_eq!(told["genuine"][0], json!(404), "{told}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdks_call_the_endpoint_as_wecom_does() {
    use jinke_wecom::simulator::{CALLBACK_KEY, CALLBACK_TOKEN, CORP_ID};
    on_each(async |db| {
        let world = World::over(&db);
        let simulation = Simulation::start("wecom", "127.0.0.1:0", 3).await;
        connect(&world, "wecom", &simulation.expect("a simulator")).await;
        let url = format!("http://{}/callbacks/wecom", listen(&world).await);
        let caller = Caller::new("wecom", "JINKE_WECHATPY_PYTHON");
        let told = caller.says(&caller.check, &["verify", &url]).await;
        assert_eq!(told.trim(), "1616140317555161061");
        let told = caller.says(&caller.check, &["post", &url]).await;
        assert_eq!(told.trim(), "200 success");
        let before = events(&world, "wecom").await.len();
        let told = caller
            .calls(&["callbacks", &url, CORP_ID, CALLBACK_TOKEN, CALLBACK_KEY])
            .await;
        all_are(&told, &["verify"], &json!([200, "1616140317555161061"]));
        all_are(&told, &GENUINE, &json!([200, "success"]));
        all_are(&told, &FORGED, &json!([403, ""]));
        let stored = events(&world, "wecom").await;
        let mut pulls: Vec<&str> = stored[before..]
            .iter()
            .flat_map(|e| &e.pull)
            .map(String::as_str)
            .collect();
        // The repeated one may fall into the next second, and is then another event.
        assert!(
            pulls.len() <= 3,
            "a replayed call tells nothing new: {pulls:?}"
        );
        pulls.sort_unstable();
        pulls.dedup();
        assert_eq!(pulls, ["contacts/wmOne", "contacts/wmTwo"]);
    })
    .await;
}
