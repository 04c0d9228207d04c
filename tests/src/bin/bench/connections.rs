//! `bench connections [records]`: from a foreign system through the connector service to golden
//! customers. The foreign system is the Tryton simulator with about so many records (100,000), and,
//! when `JINKE_RIGS` is set, a real server: `tryton.sh` of that folder, or of `rigs` in it, starts it
//! on port 18069 (`JINKE_TRYTON_PORT` names another) and stops it again.
//!
//! Beside records per second it prints the memory of the process when each tenth of the records was
//! taken, that of the last over that of the fifth, and how far apart the largest and the smallest of
//! the later half are: memory that follows what was delivered would show there.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use jinke_proto::jinke::{
    connector::v1::{self as pb, connector_service_client::ConnectorServiceClient, run::State},
    customer::v1::GetCustomerStatsRequest,
};
use jinke_runner::simulate::Simulation;
use jinke_store::{Engine, testing::Place};
use jinke_tests::suite::{Clients, Suite};
use prost_types::{Struct, Value, value::Kind};

/// Records that ten customers of the simulator bring at least: themselves, most of them an order, an
/// invoice and open amounts, and every third a payment.
const RECORDS_OF_TEN: u64 = 44;

pub async fn run(mut numbers: impl Iterator<Item = u64>) -> Result<()> {
    let records = numbers.next().unwrap_or(100_000);
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let rows = usize::try_from((records * 10).div_ceil(RECORDS_OF_TEN))?;
        let simulation = Simulation::start("tryton", "127.0.0.1:0", rows).await?;
        let settings = simulation
            .settings
            .iter()
            .map(|(key, value)| (*key, value.clone()))
            .collect();
        let parties = simulation.distinct.map(|distinct| (rows, distinct));
        follow(engine, "simulator", settings, parties).await?;
    }
    let Some(folder) = std::env::var_os("JINKE_RIGS").filter(|f| !f.is_empty()) else {
        println!("JINKE_RIGS is not set: the real Tryton server is left out");
        return Ok(());
    };
    let rig = Rig::start(Path::new(&folder)).await?;
    let measured = real(&rig).await;
    rig.stop().await?;
    measured
}

/// A real server, started by its script. Its data stay where the script keeps them.
struct Rig {
    script: PathBuf,
    port: String,
}

impl Rig {
    /// The first start on a machine installs and seeds the server, which takes minutes.
    async fn start(folder: &Path) -> Result<Self> {
        let places = [folder.to_owned(), folder.join("rigs")];
        let scripts = places.iter().map(|place| place.join("tryton.sh"));
        let script = scripts.into_iter().find(|script| script.is_file());
        let script = script.with_context(|| format!("{} has no tryton.sh", folder.display()))?;
        let port = std::env::var("JINKE_TRYTON_PORT").unwrap_or_else(|_| "18069".to_owned());
        let rig = Self { script, port };
        rig.control("start").await?;
        // The script has waited for it. Who does not answer now never will.
        let address = format!("127.0.0.1:{}", rig.port);
        if let Err(error) = tokio::net::TcpStream::connect(&address).await {
            rig.stop().await?;
            bail!("tryton.sh started nothing that answers at {address}: {error}");
        }
        Ok(rig)
    }

    async fn stop(&self) -> Result<()> {
        self.control("stop").await
    }

    async fn control(&self, verb: &str) -> Result<()> {
        // Its output goes nowhere: the server would keep a pipe open.
        let ended = tokio::process::Command::new("bash")
            .arg(&self.script)
            .args([verb, &self.port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .context("bash")?;
        // A server that has ended by itself cannot be stopped, and need not be.
        if !ended.success() && verb != "stop" {
            bail!("tryton.sh {verb} {}: {ended}", self.port);
        }
        Ok(())
    }
}

async fn real(rig: &Rig) -> Result<()> {
    let text = |value: &str| toml::Value::String(value.to_owned());
    let settings = vec![
        ("url", text(&format!("http://127.0.0.1:{}", rig.port))),
        ("database", text("tryton")),
        ("user", text("admin")),
        ("password", text("tryton-dummy")),
        ("private_network", toml::Value::Boolean(true)),
    ];
    follow(Engine::Sqlite, "Tryton", settings, None).await
}

/// The records a run has brought so far.
fn taken(run: &pb::Run) -> i64 {
    run.streams.iter().map(|s| s.created + s.updated).sum()
}

/// The memory when each tenth of `total` was taken, of samples of both in their order.
fn tenths(samples: &[(i64, u64)], total: i64) -> Vec<u64> {
    (1..=10)
        .filter_map(|tenth| {
            let reached = samples.iter().find(|(n, _)| *n * 10 >= total * tenth);
            reached.map(|(_, mib)| *mib)
        })
        .collect()
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
    parties: Option<(usize, usize)>,
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
        samples.extend(suite.memory().map(|(now, _)| (taken(&run), now / 1_024)));
        if run.end_time.is_some() {
            break run;
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    if run.state() != State::Succeeded {
        bail!("the run ended otherwise: {run:?}");
    }
    let total = taken(&run);
    println!(
        "{engine:?}: {system}: {total} records in {seconds:.1} s, {:.0} records/s",
        total as f64 / seconds.max(1e-9)
    );
    let peak = suite.memory().context("memory")?.1 / 1_024;
    let tenths = tenths(&samples, total);
    let shown: Vec<String> = tenths.iter().map(ToString::to_string).collect();
    println!(
        "{engine:?}: {system}: MiB at each tenth of the records: {} (peak {peak})",
        shown.join(" ")
    );
    if let [.., first, _, _, _, _, last] = tenths[..] {
        let later = samples.iter().filter(|(n, _)| *n * 2 >= total);
        let (least, most) = later.fold((u64::MAX, 0), |(least, most), (_, mib)| {
            (least.min(*mib), most.max(*mib))
        });
        println!(
            "{engine:?}: {system}: last over middle {:.2}, {least} to {most} MiB in the later half",
            last as f64 / first.max(1) as f64
        );
    }
    let stats = Clients::new(&channel)
        .customers
        .get_customer_stats(GetCustomerStatsRequest {})
        .await?
        .into_inner();
    println!(
        "{engine:?}: {system}: {} customers: {} organizations and {} persons{}",
        stats.organizations + stats.persons,
        stats.organizations,
        stats.persons,
        parties.map_or_else(String::new, |(rows, distinct)| format!(
            "; {rows} parties that really are {distinct}"
        ))
    );
    suite.kill().await?;
    place.remove().await;
    Ok(())
}
