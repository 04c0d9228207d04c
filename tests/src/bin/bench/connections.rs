//! `bench connections [records]`: from a foreign system through the connector service to golden
//! customers. The foreign system is the Tryton simulator with about so many records (100,000), and,
//! when `JINKE_RIGS` is set, the real server that `tryton.sh start 18069` has started.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use jinke_proto::jinke::{
    connector::v1::{self as pb, connector_service_client::ConnectorServiceClient, run::State},
    customer::v1::GetCustomerStatsRequest,
};
use jinke_runner::simulate::Simulation;
use jinke_store::{Engine, testing::Place};
use jinke_tests::suite::{Clients, Suite};
use prost_types::{Struct, Value, value::Kind};

/// Records that one customer of the simulator brings: himself, an order, an invoice, open amounts
/// and every third time a payment.
const RECORDS_EACH: u64 = 5;

pub async fn run(mut numbers: impl Iterator<Item = u64>) -> Result<()> {
    let records = numbers.next().unwrap_or(100_000);
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let rows = usize::try_from(records / RECORDS_EACH)?;
        let simulation = Simulation::start("tryton", "127.0.0.1:0", rows).await?;
        let settings = simulation
            .settings
            .iter()
            .map(|(key, value)| (*key, value.clone()))
            .collect();
        follow(engine, "simulator", settings).await?;
    }
    if std::env::var_os("JINKE_RIGS").is_none() {
        println!("JINKE_RIGS is not set: no real Tryton server");
        return Ok(());
    }
    let text = |value: &str| toml::Value::String(value.to_owned());
    let settings = vec![
        ("url", text("http://127.0.0.1:18069")),
        ("database", text("tryton")),
        ("user", text("admin")),
        ("password", text("tryton-dummy")),
        ("private_network", toml::Value::Boolean(true)),
    ];
    follow(Engine::Sqlite, "Tryton", settings).await
}

fn value(found: &toml::Value) -> Value {
    let kind = match found {
        toml::Value::Boolean(truth) => Kind::BoolValue(*truth),
        toml::Value::Integer(n) => Kind::NumberValue(*n as f64),
        other => Kind::StringValue(other.as_str().unwrap_or_default().to_owned()),
    };
    Value { kind: Some(kind) }
}

async fn follow(
    engine: Engine,
    system: &str,
    mut settings: Vec<(&'static str, toml::Value)>,
) -> Result<()> {
    settings.push(("page_rows", toml::Value::Integer(500)));
    settings.push(("calls_per_minute", toml::Value::Integer(60_000)));
    let dir = tempfile::tempdir()?;
    let place = Place::new(engine).await;
    let postgres = (engine == Engine::Postgres).then(|| place.config().url);
    let suite = Suite::start(&dir.path().join("data"), postgres.as_deref()).await?;
    let channel = suite.login().await?;
    let mut client = ConnectorServiceClient::new(channel.clone());
    let (secrets, plain): (Vec<_>, Vec<_>) = settings
        .into_iter()
        .partition(|(key, _)| *key == "password");
    let connection = pb::Connection {
        connector: "connectors/tryton".to_owned(),
        settings: Some(Struct {
            fields: plain
                .iter()
                .map(|(key, found)| ((*key).to_owned(), value(found)))
                .collect(),
        }),
        secrets: secrets
            .iter()
            .map(|(key, found)| {
                let secret = found.as_str().unwrap_or_default();
                ((*key).to_owned(), secret.to_owned())
            })
            .collect(),
        ..pb::Connection::default()
    };
    let request = pb::CreateConnectionRequest {
        connection_id: "bench".to_owned(),
        connection: Some(connection),
        ..pb::CreateConnectionRequest::default()
    };
    let made = client.create_connection(request).await?.into_inner();
    let start = Instant::now();
    let request = pb::RunConnectionRequest {
        name: made.name,
        ..pb::RunConnectionRequest::default()
    };
    let begun = client.run_connection(request).await?.into_inner();
    let mut samples = Vec::new();
    let run = loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let name = begun.name.clone();
        let run = client
            .get_run(pb::GetRunRequest { name })
            .await?
            .into_inner();
        samples.extend(suite.memory().map(|(now, _)| now / 1_024));
        if run.end_time.is_some() {
            break run;
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    if run.state() != State::Succeeded {
        bail!("the run ended otherwise: {run:?}");
    }
    let taken: i64 = run.streams.iter().map(|s| s.created + s.updated).sum();
    println!(
        "{engine:?}: {system}: {taken} records in {seconds:.1} s, {:.0} records/s",
        taken as f64 / seconds.max(1e-9)
    );
    // Ten samples tell whether memory grows with what has been delivered.
    let step = samples.len().div_ceil(10).max(1);
    let shown: Vec<String> = samples
        .iter()
        .step_by(step)
        .map(ToString::to_string)
        .collect();
    let peak = suite.memory().context("memory")?.1 / 1_024;
    println!(
        "{engine:?}: {system}: memory over the run, MiB: {} (peak {peak})",
        shown.join(" ")
    );
    let stats = Clients::new(&channel)
        .customers
        .get_customer_stats(GetCustomerStatsRequest {})
        .await?
        .into_inner();
    println!(
        "{engine:?}: {system}: {} organizations and {} persons",
        stats.organizations, stats.persons
    );
    suite.kill().await?;
    place.remove().await;
    Ok(())
}
