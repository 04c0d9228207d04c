//! `make bench`: `bench [mode [numbers…]]`. Without a mode all of them run, one after the other. What
//! each measures, beside which calibration, and what its numbers mean stands in its file.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "bench/connections.rs"]
mod connections;
#[path = "bench/ingest.rs"]
mod ingest;
#[path = "bench/load.rs"]
mod load;
#[path = "bench/lookup.rs"]
mod lookup;
#[path = "bench/pipeline.rs"]
mod pipeline;
#[path = "bench/reporting.rs"]
mod reporting;
#[path = "bench/serve.rs"]
mod serve;

use anyhow::{Context as _, Result, bail};

const SEED: u64 = 20_261_122;
/// All modes, in the order they run in; the one that fills a million records comes last.
const MODES: [&str; 7] = [
    "ingest",
    "load",
    "connections",
    "serve",
    "reporting",
    "pipeline",
    "lookup",
];

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(mode) = arguments.next() else {
        // What goes wrong in one mode costs the others nothing.
        let mut failed = Vec::new();
        for mode in MODES {
            println!("\n== {mode}");
            if let Err(error) = Box::pin(run(mode, Vec::new())).await {
                println!("{mode} failed: {error:#}");
                failed.push(mode);
            }
        }
        if !failed.is_empty() {
            bail!("these modes failed: {}", failed.join(", "));
        }
        return Ok(());
    };
    let numbers = arguments
        .map(|a| a.parse().with_context(|| format!("{a} is not a number")))
        .collect::<Result<Vec<u64>>>()?;
    run(&mode, numbers).await
}

async fn run(mode: &str, numbers: Vec<u64>) -> Result<()> {
    let numbers = numbers.into_iter();
    match mode {
        "ingest" => ingest::run(numbers).await,
        "load" => load::run(numbers).await,
        "connections" => connections::run(numbers).await,
        "serve" => serve::run(numbers).await,
        // The server that `serve` starts as a process of its own.
        "echo" => serve::echo::serve().await,
        "reporting" => reporting::run(numbers).await,
        "pipeline" => pipeline::run(numbers).await,
        "lookup" => lookup::run(numbers).await,
        other => bail!("there is no mode {other}: one of {}", MODES.join(", ")),
    }
}
