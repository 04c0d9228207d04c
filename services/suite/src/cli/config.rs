//! `jinke config …`

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use jinke_kit::Config;

use super::{Global, Outcome};
use crate::{
    print::Printer,
    suite::{self, Area, DEFAULT_LISTEN, Layers, Storage},
};

/// The commands on the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// The effective configuration, every value with its origin; secrets are hidden
    Show(ConfigArgs),
    /// The documented defaults of every key, as a file to start from
    Default,
    /// Check a configuration without starting anything
    Check(ConfigArgs),
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Configuration file (TOML)
    #[arg(long, env = "JINKE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key: section.key=value; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// These arguments, the data folder and an address to listen on, as layers.
    pub fn layers(&self, global: &Global, listen: Option<&str>) -> Layers {
        let mut set = self.set.clone();
        if let Some(dir) = &global.data_dir {
            set.push(format!("server.data_dir={}", dir.display()));
        }
        if let Some(listen) = listen {
            set.push(format!("server.listen={listen}"));
        }
        Layers {
            file: self.config.clone(),
            set,
            weak: vec![("server.listen", DEFAULT_LISTEN.to_owned())],
        }
    }

    /// The configuration they give.
    ///
    /// # Errors
    /// `CONFIG`, naming each wrong key with its place.
    pub fn load(
        &self,
        global: &Global,
        listen: Option<&str>,
    ) -> Result<Config, jinke_types::Failure> {
        suite::config(&self.layers(global, listen))
    }
}

/// Runs a command on the configuration.
///
/// # Errors
/// `CONFIG`, naming each wrong key with its place.
pub fn config(global: &Global, command: ConfigCommand, printer: &mut Printer<'_>) -> Outcome {
    match command {
        ConfigCommand::Show(args) => printer.raw(args.load(global, None)?.show().trim_end())?,
        ConfigCommand::Default => {
            let config = suite::config(&Layers::default())?;
            printer.raw(config.documentation().trim_end())?;
        }
        ConfigCommand::Check(args) => {
            let config = args.load(global, None)?;
            for area in Area::ALL {
                Storage::of(area, &config)?;
            }
            printer.value(&serde_json::json!({"valid": true}))?;
            printer.line("配置有效 the configuration is valid")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
