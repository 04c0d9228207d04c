//! `jinke migrate`

use std::process::ExitCode;

use clap::Args;

use super::{Global, Outcome, config::ConfigArgs};
use crate::{
    print::{Printer, Table},
    suite::{Area, Storage},
};

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Services to migrate [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    services: Vec<Area>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Opens and closes the databases, which brings them to this program's version.
///
/// # Errors
/// As [`jinke_store::Database::open`].
pub async fn migrate(global: &Global, args: MigrateArgs, printer: &mut Printer<'_>) -> Outcome {
    let config = args.config.load(global, None)?;
    let areas = if args.services.is_empty() {
        Area::ALL.to_vec()
    } else {
        args.services
    };
    let mut table = Table::new(["服务 service", "引擎 engine", "状态 state"]);
    let mut done = Vec::new();
    for area in areas {
        let database = Storage::of(area, &config)?.open().await?;
        let engine = format!("{:?}", database.engine());
        database.close().await;
        table.row([area.as_str(), &engine, "已是最新 up to date"]);
        done.push(serde_json::json!({"service": area.as_str(), "engine": engine}));
    }
    printer.value(&done)?;
    printer.table(&table)?;
    Ok(ExitCode::SUCCESS)
}
