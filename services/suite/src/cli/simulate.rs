//! `jinke simulate <kind>`: a simulated WeCom, DingTalk, Kingdee or Tryton for trying things out.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use jinke_kit::shutdown::Signals;
use jinke_runner::simulate::{KINDS, Simulation};
use jinke_types::Failure;

use super::Outcome;
use crate::print::Printer;

/// Arguments of `simulate`.
#[derive(Debug, Args)]
#[command(
    after_help = "It runs until Ctrl-C and keeps what it knows in memory. Whatever it \
    knows is invented; its credentials are public, so let nobody else reach its address."
)]
pub struct SimulateArgs {
    /// Which system
    #[arg(value_parser = KINDS, value_name = "KIND")]
    kind: String,
    /// Where to answer; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR:PORT")]
    listen: String,
    /// How many rows to begin with, of each kind it has
    #[arg(long, default_value_t = 200, value_name = "N")]
    rows: usize,
    /// Where to send callbacks, e.g. http://127.0.0.1:7481/callbacks/wecom (wecom, dingtalk)
    #[arg(long, value_name = "URL")]
    callback: Option<String>,
    /// Let something happen there every so many seconds; 0 never (wecom, dingtalk)
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    every: u64,
}

/// Runs a simulator until Ctrl-C or SIGTERM.
///
/// # Errors
/// `LISTEN` when the address is taken.
pub async fn simulate(args: SimulateArgs, printer: &mut Printer<'_>) -> Outcome {
    // One listener for the whole run, from before anybody is told to press it: a Ctrl-C that comes
    // while something happens is not lost.
    let mut signals = Signals::listen().map_err(Failure::internal)?;
    let mut sim = Simulation::start(&args.kind, &args.listen, args.rows).await?;
    if printer.is_json() {
        let settings: serde_json::Map<String, serde_json::Value> = sim
            .settings
            .iter()
            .filter_map(|(key, v)| Some(((*key).to_owned(), serde_json::to_value(v).ok()?)))
            .collect();
        let told = serde_json::json!({
            "kind": args.kind, "url": sim.url, "settings": settings,
        });
        printer.value(&told)?;
    } else {
        printer.line(format!("{} answers at {}", args.kind, sim.url))?;
        printer.line("settings of a connection to it:")?;
        for (key, value) in &sim.settings {
            printer.line(format!("  {key} = {value}"))?;
        }
        printer.line("Ctrl-C ends it")?;
    }
    printer.flush()?;
    tokio::select! {
        _ = signals.next() => Ok(ExitCode::SUCCESS),
        failed = act(&mut sim, &args, printer) => failed.map(|()| ExitCode::SUCCESS),
    }
}

/// Lets something happen every so often, for ever.
async fn act(
    sim: &mut Simulation,
    args: &SimulateArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    if args.every == 0 || !sim.calls_back() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(Duration::from_secs(args.every)).await;
        // Nobody listening yet is no reason to end.
        match sim.turn(args.callback.as_deref()).await {
            Ok((good, made)) if args.callback.is_some() && !printer.is_json() => {
                printer.line(format!("{good} of {made} callbacks were accepted"))?;
            }
            Ok(_) => {}
            Err(failure) if !printer.is_json() => printer.line(failure.message)?,
            Err(_) => {}
        }
        printer.flush()?;
    }
}
