//! `jinke backup` and `jinke restore`: everything the services know, of one consistent cut.
//!
//! # The cut
//!
//! Nothing is stopped. Each database is copied as it was at one moment, and the moments are taken
//! in an order: whoever follows, calls or names another service comes before it. Reporting follows
//! all the others, pipeline follows customers and hands out messages, the connector service hands
//! records to customers and members to identity, and everybody names users. So whatever one copy
//! remembers of another service (a position in its feed, a record it delivered, a user) is in that
//! service's copy, which is younger; what is younger only in the followed one is taken up again
//! after a restore, as after a crash, where request ids and positions keep it from happening twice.
//!
//! Two services call each other: pipeline hands messages to the connector service, which hands it
//! leads. So the connector service has two moments, one before pipeline's and one after it. What
//! says how far its sources were handed on ([`HANDED_ON`]) is copied as of the first, so that every
//! lead it knows as delivered is in pipeline's copy, and all the rest as of the second. What was
//! delivered between the two is delivered once more after a restore, and known there by its key.
//!
//! # The files
//!
//! ```text
//! <folder>/manifest.json        versions, tables, hashes, the state hash of all
//! <folder>/<service>.jsonl.gz   as `jinke_store::backup` writes it; sealed values stay sealed
//! <keys>/<service>/*.key.json   the key files, apart: without them nobody reads sealed values
//! <keys>/credentials/*          the keys by which the services and `jinke` are known to identity
//! ```

mod files;
mod restore;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use jinke_kit::Config;
use jinke_store::backup::{self, Held, TableState, Versions};
use jinke_types::{Clock as _, Code, Failure, SystemClock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Global, Outcome, config::ConfigArgs};
use crate::{
    print::{Printer, Table},
    suite::{Area, Storage},
};

pub use restore::{RestoreArgs, restore};

/// The shape of the files.
const FORMAT: u32 = 1;
/// A copy is written to a folder of this ending, and named rightly when it is whole.
const UNFINISHED: &str = ".unfinished";
/// How long one statement may take while copying.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Tables of the connector service that say what need not be handed on again: positions in the
/// sources, events that were worked off, rows that were refused.
const HANDED_ON: [&str; 3] = ["stream_cursors", "callback_events", "record_errors"];

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Folder to write to; it must not be there yet
    #[arg(long, value_name = "DIR", required_unless_present = "into")]
    out: Option<PathBuf>,
    /// Folder in which a new folder is made, named by the time
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    into: Option<PathBuf>,
    /// With --into: keep so many of the backups there and delete older ones
    #[arg(long, value_name = "N", requires = "into", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Also copy the key files and credentials to this folder; store it apart from the backup
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Services to back up [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    services: Vec<Area>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// What a backup holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    program: String,
    time: String,
    services: BTreeMap<String, ServiceCopy>,
    state_hash: String,
}

/// The copy of one database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ServiceCopy {
    engine: String,
    versions: Versions,
    file: String,
    sha256: String,
    tables: Vec<TableState>,
}

impl ServiceCopy {
    fn rows(&self) -> u64 {
        self.tables.iter().map(|t| t.rows).sum()
    }
}

/// One hash over what all databases hold.
pub(super) fn state_hash<'a>(
    services: impl IntoIterator<Item = (&'a str, &'a [TableState])>,
) -> String {
    let mut lines = Vec::new();
    for (service, tables) in services {
        let told = |t: &TableState| format!("{service} {} {} {}\n", t.table, t.rows, t.hash);
        lines.extend(tables.iter().map(told));
    }
    lines.sort();
    hex::encode(Sha256::digest(lines.concat()))
}

pub(super) fn wrong(reason: &'static str, message: impl Into<String>) -> Failure {
    Failure::new(Code::FailedPrecondition, reason, message)
}

pub(super) fn storages(config: &Config, areas: &[Area]) -> Result<Vec<(Area, Storage)>, Failure> {
    // Followers first; `Area::ALL` is the order they are started in.
    let chosen = Area::ALL.iter().rev().copied();
    let chosen = chosen.filter(|a| areas.is_empty() || areas.contains(a));
    chosen
        .map(|area| {
            let mut storage = Storage::of(area, config)?;
            storage.database.statement_timeout = PATIENCE;
            storage.database.idle_timeout = PATIENCE;
            storage.database.max_connections = 2;
            Ok((area, storage))
        })
        .collect()
}

/// Copies the databases of the services.
///
/// # Errors
/// `FILE` when a folder cannot be written or is there already; those of reading the databases.
pub async fn backup(global: &Global, args: BackupArgs, printer: &mut Printer<'_>) -> Outcome {
    let config = args.config.load(global, None)?;
    let time = SystemClock.now().to_rfc3339();
    let out = match (&args.out, &args.into) {
        (Some(out), _) => out.clone(),
        (None, Some(into)) => into.join(files::folder_name(&time)),
        (None, None) => return Err(Failure::field("out", "must be given, or --into")),
    };
    // First of all: they may be what fills the disk.
    let mut gone = match &args.into {
        Some(into) => files::forget_unfinished(into)?,
        None => Vec::new(),
    };
    let unfinished = files::begin(&out)?;
    let manifest = match copy(&config, &args.services, &time, &unfinished).await {
        Ok(manifest) => manifest,
        Err(failure) => {
            // What was written is of no use, and a disk may be full of it.
            let _ = std::fs::remove_dir_all(&unfinished);
            return Err(failure);
        }
    };
    files::finish(&unfinished, &out)?;
    if let Some(keys) = &args.keys {
        files::copy_keys(&config, &storages(&config, &args.services)?, keys)?;
    }
    if let (Some(into), Some(keep)) = (&args.into, args.keep) {
        gone.extend(files::forget_older(into, keep)?);
    }
    show(printer, &manifest, &out, "备份完成 backed up")?;
    for folder in gone {
        printer.line(format!("已删除旧备份 deleted {}", folder.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn copy(
    config: &Config,
    areas: &[Area],
    time: &str,
    folder: &Path,
) -> Result<Manifest, Failure> {
    let mut held: Vec<(Area, String, Held)> = Vec::new();
    let mut open = Vec::new();
    let storages = storages(config, areas)?;
    let connector = storages.iter().find(|(area, _)| *area == Area::Connector);
    let mut handed_on = None;
    if let Some((_, storage)) = connector {
        let db = backup::open_beside(storage.database.clone()).await?;
        handed_on = Some(backup::hold(&db).await?);
        open.push(db);
    }
    for (area, storage) in storages {
        let db = backup::open_beside(storage.database).await?;
        let engine = format!("{:?}", db.engine()).to_lowercase();
        // The moment of each is taken before that of the one it follows.
        held.push((area, engine, backup::hold(&db).await?));
        open.push(db);
    }
    let mut services = BTreeMap::new();
    for (area, engine, held) in held {
        let file = format!("{area}.jsonl.gz");
        let versions = held.versions();
        let mut writer = files::Writer::create(&folder.join(&file))?;
        let line = |line: &str| writer.line(line);
        let tables = match handed_on.take_if(|_| area == Area::Connector) {
            Some(earlier) => held.copy_with(earlier, &HANDED_ON, line).await?,
            None => held.copy(line).await?,
        };
        let sha256 = writer.finish()?;
        services.insert(
            area.as_str().to_owned(),
            ServiceCopy {
                engine,
                versions,
                file,
                sha256,
                tables,
            },
        );
    }
    for db in open {
        db.close().await;
    }
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        time: time.to_owned(),
        state_hash: state_hash(services.iter().map(|(s, c)| (s.as_str(), &*c.tables))),
        services,
    };
    files::write_manifest(folder, &manifest)?;
    Ok(manifest)
}

/// Shows what a backup holds.
fn show(
    printer: &mut Printer<'_>,
    manifest: &Manifest,
    folder: &Path,
    title: &str,
) -> Result<(), Failure> {
    let mut table = Table::new(["服务 service", "引擎 engine", "表 tables", "行 rows"]);
    for (service, copy) in &manifest.services {
        let (tables, rows) = (copy.tables.len().to_string(), copy.rows().to_string());
        table.row([service.as_str(), &copy.engine, &tables, &rows]);
    }
    printer.value(&serde_json::json!({
        "folder": folder, "time": manifest.time, "stateHash": manifest.state_hash,
        "services": manifest.services.iter().map(|(service, copy)| serde_json::json!({
            "service": service, "engine": copy.engine, "tables": copy.tables.len(), "rows": copy.rows(),
        })).collect::<Vec<_>>(),
    }))?;
    printer.table(&table)?;
    printer.line(format!("{title}: {}", folder.display()))?;
    printer.line(format!("状态哈希 state hash {}", manifest.state_hash))
}
