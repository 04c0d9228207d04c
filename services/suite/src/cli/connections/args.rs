//! What the commands on connectors and connections take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::add::AddArgs;
use crate::cli::page::{Limit, named};

/// The commands on kinds of connectors.
#[derive(Debug, Subcommand)]
pub enum ConnectorsCommand {
    /// List the kinds, and how far each part of them is proven
    List,
    /// Show the settings of a kind
    Show {
        /// Kind, e.g. tryton
        #[arg(value_parser = connector)]
        connector: String,
    },
}

/// The commands on connections.
#[derive(Debug, Subcommand)]
pub enum ConnectionsCommand {
    /// Add a connection to a foreign system
    Add(Box<AddArgs>),
    /// List connections
    List {
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a connection
    Show(One),
    /// Try whether the foreign system lets us in
    Check(One),
    /// List the streams that can be pulled
    Discover(One),
    /// Show how the first rows of a stream are read
    Preview {
        /// Connection
        #[arg(value_parser = connection)]
        connection: String,
        /// Stream, as `discover` names it
        stream: String,
        /// A mapping file to try instead of the connection's own
        #[arg(long, value_name = "FILE")]
        mapping: Option<PathBuf>,
        /// Rows
        #[arg(long, default_value_t = 10)]
        rows: i32,
    },
    /// Start a run now, and follow it
    Run {
        /// Connection
        #[arg(value_parser = connection)]
        connection: String,
        /// Only this stream; may be given several times
        #[arg(long = "stream")]
        streams: Vec<String>,
        /// Compare all ids and delete what vanished, instead of pulling
        #[arg(long)]
        sweep: bool,
        /// Start it only
        #[arg(long)]
        no_wait: bool,
    },
    /// Stop a connection
    Pause(One),
    /// Let a connection go on
    Resume(One),
    /// List runs, the newest first
    Runs {
        /// Connection
        #[arg(value_parser = connection)]
        connection: String,
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// Stop a run for ever
    Cancel(OneRun),
    /// Let a sweep delete more than it may unasked
    Approve(OneRun),
    /// List rows that could not be read and records that were refused
    Errors {
        /// Connection
        #[arg(value_parser = connection)]
        connection: String,
        /// Send the refused records again now
        #[arg(long)]
        retry: bool,
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// List what was given up; look at one, retry or discard it
    DeadLetters {
        /// Connection
        #[arg(value_parser = connection)]
        connection: String,
        /// Show this one with what it holds
        #[arg(long, value_name = "NUMBER")]
        show: Option<i64>,
        /// Give this one all its attempts again
        #[arg(long, value_name = "NUMBER", conflicts_with = "show")]
        retry: Option<i64>,
        /// Forget this one
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["show", "retry"])]
        discard: Option<i64>,
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// Show where pulls stand
    Cursors {
        /// Connection
        #[arg(value_parser = connection)]
        connection: String,
        /// Let the next run pull this stream from the start; all streams without a name
        #[arg(long, value_name = "STREAM", num_args = 0..=1, default_missing_value = "")]
        reset: Option<String>,
    },
    /// Send a message
    Send {
        /// Connection
        #[arg(value_parser = connection)]
        connection: String,
        /// Whom
        #[arg(long)]
        to: String,
        /// Title
        #[arg(long, default_value = "")]
        title: String,
        /// Text
        text: String,
        /// The text is Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// List messages and records that went out, the newest first
    Deliveries {
        /// Connection
        #[arg(value_parser = connection)]
        connection: String,
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// Forget a connection; the records it delivered stay
    Delete(One),
}

/// A connection.
#[derive(Debug, Args)]
pub struct One {
    /// Connection
    #[arg(value_parser = connection)]
    pub(super) connection: String,
}

/// A run.
#[derive(Debug, Args)]
pub struct OneRun {
    /// Connection
    #[arg(value_parser = connection)]
    connection: String,
    /// Number of the run
    run: i64,
}

impl OneRun {
    pub(super) fn name(&self) -> String {
        format!("{}/runs/{}", self.connection, self.run)
    }
}

fn connection(text: &str) -> Result<String, String> {
    named("connections", text)
}

pub(super) fn connector(text: &str) -> Result<String, String> {
    named("connectors", text)
}
