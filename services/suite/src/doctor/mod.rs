//! `jinke doctor`: what is wrong with an installation, and how to mend it.
//!
//! Nothing is changed: no folder is made, no database migrated, no key written.

mod local;
mod server;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Args;
use jinke_types::{Clock, Failure, SystemClock};
use serde::Serialize;

use crate::{
    cli::{Global, Outcome, config::ConfigArgs},
    print::{Printer, Table, error::EXIT_UNHEALTHY},
    suite::{Area, Storage},
};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Address the suite listens on, or would
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Good,
    /// Works, but look at it.
    Notice,
    /// Must be mended.
    Bad,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How bad it is.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// How to mend it; empty when nothing is wrong.
    pub mend: String,
}

impl Finding {
    fn good(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            health: Health::Good,
            found: found.into(),
            mend: String::new(),
        }
    }
    fn notice(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            health: Health::Notice,
            mend: mend.into(),
            ..Self::good(check, found)
        }
    }
    fn bad(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            health: Health::Bad,
            mend: mend.into(),
            ..Self::good(check, found)
        }
    }
}

/// Looks at everything and prints the findings. The exit code is 8 when something is bad.
///
/// # Errors
/// Only when the findings cannot be printed.
pub async fn doctor(global: &Global, args: DoctorArgs, printer: &mut Printer<'_>) -> Outcome {
    let findings = examine(global, &args, &SystemClock).await;
    printer.value(&findings)?;
    let mut table = Table::new(["", "检查 check", "发现 found", "办法 mend"]);
    for f in &findings {
        let mark = match f.health {
            Health::Good => "✓",
            Health::Notice => "!",
            Health::Bad => "✗",
        };
        table.row([mark, &f.check, &f.found, &f.mend]);
    }
    // Advice must be read whole, so it is never cut to the terminal's width.
    if !printer.is_json() {
        printer.raw(table.render(None).trim_end())?;
    }
    let worst = findings
        .iter()
        .map(|f| f.health)
        .max()
        .unwrap_or(Health::Good);
    Ok(if worst == Health::Bad {
        ExitCode::from(EXIT_UNHEALTHY)
    } else {
        ExitCode::SUCCESS
    })
}

/// All findings.
pub async fn examine(global: &Global, args: &DoctorArgs, clock: &dyn Clock) -> Vec<Finding> {
    let mut findings = Vec::new();
    match args.config.load(global, args.listen.as_deref()) {
        Ok(config) => {
            findings.push(Finding::good("config", "every key is known and fits"));
            let data_dir = config.data_dir();
            findings.extend(local::data_dir(&data_dir));
            findings.push(local::disk(&data_dir));
            let mut files: Vec<PathBuf> = Vec::new();
            for area in Area::ALL {
                match Storage::of(area, &config) {
                    Ok(storage) => {
                        findings.push(local::keys(area, &storage));
                        findings.push(local::database(area, &storage).await);
                        files.extend(storage.sqlite_file().map(Into::into));
                    }
                    Err(failure) => findings.push(wrong_config(&failure)),
                }
            }
            findings.push(local::clock(clock, &files));
            match listen(&config) {
                Ok(addr) => findings.push(local::port(addr, &data_dir).await),
                Err(failure) => findings.push(wrong_config(&failure)),
            }
        }
        Err(failure) => findings.push(wrong_config(&failure)),
    }
    findings.extend(server::server(global, clock).await);
    findings
}

fn listen(config: &jinke_kit::Config) -> Result<SocketAddr, Failure> {
    #[derive(serde::Deserialize)]
    struct Server {
        listen: SocketAddr,
    }
    Ok(config.section::<Server>("server")?.listen)
}

fn wrong_config(failure: &Failure) -> Finding {
    let all: Vec<_> = failure
        .violations
        .iter()
        .map(|v| format!("{}: {}", v.field, v.description))
        .collect();
    let found = if all.is_empty() {
        failure.message.clone()
    } else {
        all.join("; ")
    };
    Finding::bad(
        "config",
        found,
        "correct it; `jinke config default` explains every key",
    )
}
