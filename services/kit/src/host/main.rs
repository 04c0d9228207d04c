//! The main function of a binary of one service.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use jinke_types::Failure;

use super::Host;
use crate::{Config, Service};

/// Serves one Jinke service over gRPC until SIGTERM.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file (TOML); later ones win
    #[arg(long, global = true, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// One setting, such as --set server.listen=127.0.0.1:0; wins over files and environment
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve; what happens without a command
    Serve,
    /// The configuration
    Config {
        #[command(subcommand)]
        what: What,
    },
}

#[derive(Subcommand, Clone, Copy)]
enum What {
    /// What holds, where each value comes from; secrets are hidden
    Show,
    /// Every setting with its documentation and default
    Defaults,
}

/// Reads arguments and environment, serves `S` until a signal. The exit code is 0 after a clean
/// drain, 1 after a failure, 2 for wrong arguments or configuration.
pub fn run<S: Service>() -> ExitCode {
    let arguments = Arguments::parse();
    let mut builder = Config::builder()
        .service::<S>()
        .env(std::env::vars())
        .set(arguments.set);
    for file in &arguments.config {
        builder = builder.file(file);
    }
    let config = match builder.load() {
        Ok(config) => config,
        Err(failure) => return fail(&failure, 2),
    };
    match arguments.command {
        Some(Command::Config { what: What::Show }) => print(&config.show()),
        Some(Command::Config {
            what: What::Defaults,
        }) => print(&config.documentation()),
        None | Some(Command::Serve) => {
            let runtime = match tokio::runtime::Runtime::new() {
                Ok(runtime) => runtime,
                Err(error) => return fail(&Failure::internal(error), 1),
            };
            match runtime.block_on(Host::builder(config).service::<S>().serve()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => fail(&failure, if failure.reason == "CONFIG" { 2 } else { 1 }),
            }
        }
    }
}

fn print(text: &str) -> ExitCode {
    // A reader that went away, such as `head`, is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(failure: &Failure, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{}", failure.message);
    ExitCode::from(code)
}
