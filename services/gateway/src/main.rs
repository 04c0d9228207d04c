//! The gateway alone, before services that run elsewhere.

use std::{io::Write as _, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use jinke_gateway::{Backends, DEFAULT_CONFIG, SECTION};
use jinke_kit::{
    Config, Metrics, Shutdown,
    client::{self, Credential},
    shutdown, telemetry,
    tls::ClientTls,
};
use jinke_types::{Code, Failure, SystemClock};
use serde::Deserialize;

/// Serves the Jinke API as JSON over HTTP until SIGTERM
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file (TOML); later ones win
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// One setting, such as --set peers.customer=http://customer:50051; wins over files
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

/// The kit's section `peers`.
#[derive(Deserialize)]
struct Peers {
    tls: ClientTls,
    #[serde(flatten)]
    places: std::collections::BTreeMap<String, String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut builder = Config::builder()
        .defaults(SECTION, DEFAULT_CONFIG)
        .env(std::env::vars())
        .set(arguments.set);
    for file in &arguments.config {
        builder = builder.file(file);
    }
    let outcome = builder.load().and_then(|config| {
        let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
        runtime.block_on(serve(config))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{}", failure.message);
            ExitCode::from(if failure.reason == "CONFIG" { 2 } else { 1 })
        }
    }
}

async fn serve(config: Config) -> Result<(), Failure> {
    let peers: Peers = config.section("peers")?;
    let wrong = |message: &str| Failure::new(Code::InvalidArgument, "CONFIG", message);
    let mut backends = Backends::new();
    for (area, place) in peers.places.iter().filter(|(_, place)| *place != "local") {
        let peer = client::connect(
            place,
            Credential::None,
            Some(&peers.tls),
            Arc::new(SystemClock),
        )?;
        backends = backends.area(area, peer);
    }
    if peers
        .places
        .get("identity")
        .is_none_or(|place| place == "local")
    {
        return Err(wrong(
            "peers.identity is \"local\", but the gateway is alone; give its URL",
        ));
    }
    let telemetry = telemetry::init(&config)?;
    let stop = Shutdown::new();
    let started = jinke_gateway::start(&config, backends, &Metrics::new(), stop.clone()).await;
    let outcome = match started {
        Err(failure) => Err(failure),
        Ok(None) => Err(wrong("gateway.listen is empty")),
        Ok(Some(serving)) => {
            let signal = shutdown::signal().await;
            tracing::info!(signal = signal.unwrap_or("unknown"), "draining");
            stop.trigger();
            tokio::select! {
                drained = serving.wait() => drained,
                _ = shutdown::signal() => Err(Failure::new(
                    Code::DeadlineExceeded,
                    "DRAIN_CUT",
                    "a second signal came while draining",
                )),
            }
        }
    };
    let _ = tokio::task::spawn_blocking(|| telemetry.flush()).await;
    outcome
}
