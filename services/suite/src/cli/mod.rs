//! The command line. Every command answers with a table for people or, with `--json`, with
//! proto3 JSON; errors go to standard error; exit codes are in the help.

pub mod assess;
pub mod audit;
pub mod backup;
pub mod config;
pub mod connections;
pub mod customers;
pub mod explain;
pub mod import;
pub mod login;
pub mod migrate;
pub mod operations;
pub mod page;
pub mod pipeline;
pub mod reporting;
pub mod resolve;
pub mod rules;
pub mod run;
pub mod secrets;
pub mod simulate;
pub mod sources;
pub mod stewards;
pub mod users;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use jinke_types::{Code, Failure};

use crate::{
    connect::DEFAULT_DATA_DIR,
    doctor,
    print::{Printer, error},
};

/// Jinke 金客: one golden record per customer, out of every system that knows him.
#[derive(Debug, Parser)]
#[command(name = "jinke", version, after_help = error::EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// Which server, as whom, how to answer.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Server to call, e.g. http://127.0.0.1:7420
    #[arg(long, global = true, env = "JINKE_ENDPOINT", value_name = "URL")]
    pub endpoint: Option<String>,
    /// Credentials file: TOML with a service account `key`, or the file of a login
    #[arg(long, global = true, env = "JINKE_CREDENTIALS", value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// Data folder of the suite on this machine [default: ./data]
    #[arg(long, global = true, env = "JINKE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// PEM file of the authorities to trust, for https endpoints
    #[arg(long, global = true, env = "JINKE_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// PEM file of the client certificate, for mTLS
    #[arg(
        long,
        global = true,
        env = "JINKE_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the client certificate's key
    #[arg(
        long,
        global = true,
        env = "JINKE_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,
    /// Answer in JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
}

impl Global {
    /// The data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir
            .clone()
            .unwrap_or_else(|| Path::new(DEFAULT_DATA_DIR).to_owned())
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the services in this process and answer over gRPC until Ctrl-C
    Run(run::RunArgs),
    /// Bring the databases of the services to the version of this program, without starting them
    Migrate(migrate::MigrateArgs),
    /// Copy everything the services know, without stopping them
    Backup(backup::BackupArgs),
    /// Put a backup back and prove that nothing is missing
    Restore(backup::RestoreArgs),
    /// Say what is wrong with this installation and how to mend it
    Doctor(doctor::DoctorArgs),
    /// Show, print or check the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Log in with user name and password, and keep the tokens
    Login(login::LoginArgs),
    /// End the session and forget its tokens
    Logout,
    /// Who the server says you are, and what you may do
    Whoami,
    /// Golden customers: list, get, search, look up, explain, merge, unmerge, history
    #[command(subcommand)]
    Customers(customers::CustomersCommand),
    /// The systems records come from
    #[command(subcommand)]
    Sources(sources::SourcesCommand),
    /// The kinds of foreign systems this program connects to
    #[command(subcommand)]
    Connectors(connections::ConnectorsCommand),
    /// Connections to foreign systems: add, check, run, pause, errors, dead letters
    #[command(subcommand)]
    Connections(connections::ConnectionsCommand),
    /// Import a CSV or XLSX file
    Import(import::ImportArgs),
    /// Pairs of records that wait for a person
    #[command(subcommand)]
    Reviews(stewards::ReviewsCommand),
    /// Decide whether two records are one party
    Judge(stewards::JudgeArgs),
    /// What people decided on records
    #[command(subcommand)]
    Judgements(stewards::JudgementsCommand),
    /// Match rule sets: train, evaluate, dry-run, activate, go back
    #[command(subcommand)]
    Match(rules::MatchCommand),
    /// Work that takes longer than a call: rebuild, train, dry run…
    #[command(subcommand)]
    Operations(operations::OperationsCommand),
    /// The sales funnel: board, forecast, opportunities and their moves
    #[command(subcommand)]
    Pipeline(pipeline::PipelineCommand),
    /// Leads: take in, import, assign, convert, give up
    #[command(subcommand)]
    Leads(pipeline::leads::LeadsCommand),
    /// Tasks and reminders: the inbox
    #[command(subcommand)]
    Tasks(pipeline::tasks::TasksCommand),
    /// Draw pairs of a resolved table for a person to label, and say how good the clusters are
    Assess(assess::AssessArgs),
    /// Find which rows of CSV or Parquet files are one customer, person, product…, on this machine alone
    Resolve(resolve::ResolveArgs),
    /// Keys, passwords and certificates for services in separate processes
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Start a simulated WeCom, DingTalk, Kingdee or Tryton to try connections with
    Simulate(simulate::SimulateArgs),
    /// The customer asset report
    #[command(subcommand)]
    Report(reporting::ReportCommand),
    /// Measures, insights, segments, churn warnings, projections
    #[command(subcommand)]
    Metrics(reporting::MetricsCommand),
    /// The audit trail: who changed what, who was refused, who was shown guarded values
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Users and their roles
    #[command(subcommand)]
    Users(users::UsersCommand),
}

/// What the process ends with, when it is not a failure.
pub type Outcome = Result<ExitCode, Failure>;

/// The main function of `jinke`.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.global.json;
    let stdout = io::stdout();
    let width = stdout
        .is_terminal()
        .then(|| console::Term::stdout().size_checked())
        .flatten()
        .map(|(_, columns)| usize::from(columns));
    // Locked only while writing, so that the progress of a running suite may write too.
    let mut out = io::LineWriter::new(stdout);
    let mut printer = Printer::new(&mut out, json, width);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => return report(&Failure::internal(format!("cannot start: {e}")), json),
    };
    match runtime.block_on(dispatch(cli, &mut printer)) {
        Ok(code) => code,
        Err(failure) => report(&failure, json),
    }
}

fn report(failure: &Failure, json: bool) -> ExitCode {
    // `jinke customers list | head` is no error.
    if failure.reason == "OUTPUT_CLOSED" {
        return ExitCode::SUCCESS;
    }
    let text = if json {
        error::render_json(failure)
    } else {
        error::render(failure)
    };
    // Nobody is left to tell when standard error is closed too.
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::from(error::exit_code(failure))
}

async fn dispatch(cli: Cli, printer: &mut Printer<'_>) -> Outcome {
    let global = cli.global;
    let serves = matches!(cli.command, Command::Run(_) | Command::Doctor(_));
    let done = match cli.command {
        Command::Run(args) => run::run(&global, args, printer).await,
        Command::Migrate(args) => migrate::migrate(&global, args, printer).await,
        Command::Backup(args) => backup::backup(&global, args, printer).await,
        Command::Restore(args) => backup::restore(&global, args, printer).await,
        Command::Doctor(args) => doctor::doctor(&global, args, printer).await,
        Command::Config(command) => config::config(&global, command, printer),
        Command::Login(args) => login::login(&global, args, printer).await,
        Command::Logout => login::logout(&global, printer).await,
        Command::Whoami => login::whoami(&global, printer).await,
        Command::Customers(command) => customers::customers(&global, command, printer).await,
        Command::Sources(command) => sources::sources(&global, command, printer).await,
        Command::Connectors(command) => connections::connectors(&global, command, printer).await,
        Command::Connections(command) => connections::connections(&global, command, printer).await,
        Command::Import(args) => import::import(&global, args, printer).await,
        Command::Reviews(command) => stewards::reviews(&global, command, printer).await,
        Command::Judge(args) => stewards::judge(&global, args, printer).await,
        Command::Judgements(command) => stewards::judgements(&global, command, printer).await,
        Command::Match(command) => rules::rules(&global, command, printer).await,
        Command::Operations(command) => operations::operations(&global, command, printer).await,
        Command::Pipeline(command) => pipeline::pipeline(&global, command, printer).await,
        Command::Leads(command) => pipeline::leads::leads(&global, command, printer).await,
        Command::Tasks(command) => pipeline::tasks::tasks(&global, command, printer).await,
        Command::Assess(args) => assess::assess(&args, printer),
        Command::Resolve(args) => resolve::resolve(&args, printer),
        Command::Secrets(command) => secrets::secrets(command, printer),
        Command::Simulate(args) => simulate::simulate(args, printer).await,
        Command::Report(command) => reporting::report(&global, command, printer).await,
        Command::Metrics(command) => reporting::metrics(&global, command, printer).await,
        Command::Audit(command) => audit::audit(&global, command, printer).await,
        Command::Users(command) => users::users(&global, command, printer).await,
    };
    done.map_err(|failure| {
        let away = failure.code == Code::Unavailable && !serves;
        match crate::connect::discover(&global) {
            Ok(target) if away => failure.with("endpoint", target.endpoint),
            _ => failure,
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_may_stand_behind_the_command() {
        let cli = Cli::parse_from(["jinke", "customers", "search", "金客", "--json"]);
        assert!(cli.global.json);
    }
}
