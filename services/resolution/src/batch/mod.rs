//! Resolving whole tables in one go.
//!
//! | module | what it holds |
//! |---|---|
//! | [`kinds`] | semantic types: what a column means |
//! | [`table`] | rows of text in memory |
//! | `values`, `cells` | standardized columns: every distinct value once |
//! | `keys` | candidate pairs; crowded blocks are refined |
//! | `levels`, `similar` | comparing two rows: integers, nothing allocated |
//! | `train`, [`model`] | weights learned without labels, and their file |
//! | [`group`] | clustering of scored pairs |
//! | `trained` | all of it for any table |
//! | [`organizations`] | tables of Chinese business customers, by the rule set of the service |
//! | [`parallel`] | threads that never show in a result |
//!
//! Everything is a pure function of the table, the options and the model: the same for any
//! number of threads and any order of rows and sources.

pub mod group;
pub mod kinds;
pub mod model;
pub mod organizations;
pub mod parallel;
pub mod table;

mod cells;
mod explain;
mod keys;
mod levels;
mod similar;
mod train;
mod trained;
mod values;

pub use explain::explain_rows;
pub use group::Scored;
pub use keys::BlockingReport;
pub use kinds::{SEMANTICS, Semantic};
pub use model::{ColumnModel, Kin, Mode, Model};
pub use table::{Column, MAX_COLUMNS, Table};

/// Which partition is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// The partition believed most likely.
    #[default]
    Balance,
    /// What a machine would merge alone.
    Merge,
}

/// How to resolve.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Which rows may be one thing.
    pub mode: Mode,
    /// Which partition is wanted.
    pub at: At,
    /// How many threads; 0 and 1 are one.
    pub threads: usize,
    /// By which weights.
    pub engine: Engine,
    /// Another balance point than the model's, in milli-bits.
    pub balance: Option<i32>,
    /// Another merge threshold than the model's, in milli-bits.
    pub merge: Option<i32>,
}

/// A step of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Standardizing values.
    Standardize,
    /// Finding candidate pairs.
    Block,
    /// Learning weights.
    Train,
    /// Comparing and scoring.
    Compare,
    /// Clustering.
    Cluster,
}

/// Told when a phase begins and how far it is: phase, done, of how many.
pub type Progress<'a> = dyn Fn(Phase, u64, u64) + Sync + 'a;

/// Why a table cannot be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The model was trained on other columns.
    #[error("the model was trained on other columns than the table has")]
    OtherColumns,
    /// No column, or too many.
    #[error("a table needs 1 to {MAX_COLUMNS} columns with a type")]
    Columns,
    /// More rows than can be numbered.
    #[error("a table holds at most 2,000,000,000 rows")]
    Rows,
}

/// What resolving a table gives.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// For every row the row that stands for its cluster: the first of it by source and key.
    pub heads: Vec<u32>,
    /// The same for what a machine would merge alone, whichever partition was wanted.
    pub merged: Vec<u32>,
    /// What a steward would be asked after that: the best pair of each two clusters that reaches
    /// the balance point, the best first.
    pub reviews: Vec<Scored>,
    /// Pairs compared.
    pub candidates: u64,
    /// What blocking did.
    pub blocking: BlockingReport,
    /// Pairs near or above the balance point.
    pub scored: Vec<Scored>,
    /// The model used; none where the rule set for organizations was used.
    pub model: Option<Model>,
    /// Version of the rule set used, when it was one.
    pub rules: Option<String>,
}

/// How a table is resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// By the rule set for organizations where [`organizations::fits`], else trained.
    #[default]
    Auto,
    /// By the rule set for organizations, as the service does.
    Organization,
    /// With weights learned from the table.
    Trained,
}

/// Resolves a table, with the model given or one learned from it.
pub fn resolve_table(
    table: &Table,
    model: Option<&Model>,
    options: &Options,
    progress: &Progress<'_>,
) -> Result<Outcome, TableError> {
    if table.columns.is_empty() || table.columns.len() > MAX_COLUMNS {
        return Err(TableError::Columns);
    }
    if table.len() > 2_000_000_000 {
        return Err(TableError::Rows);
    }
    let by_rules = match options.engine {
        Engine::Auto => model.is_none() && organizations::fits(table, options.mode),
        Engine::Organization => true,
        Engine::Trained => false,
    };
    if by_rules {
        let rules = crate::RuleSet::organization();
        return Ok(organizations::resolve(table, &rules, options, progress));
    }
    trained::resolve(table, model, options, progress)
}
