//! Resolving whole tables in one go.
//!
//! | module | what it holds |
//! |---|---|
//! | [`kinds`] | semantic types: what a column means |
//! | [`table`] | rows of text in memory |
//! | `values`, `scripts`, `cells` | standardized columns: every distinct value once |
//! | `keys`, `blocks` | candidate pairs; crowded blocks are refined |
//! | `levels`, `similar` | comparing two rows: integers, nothing allocated |
//! | `train`, [`model`] | weights learned without labels, and their file |
//! | [`group`] | clustering of scored pairs |
//! | [`survey`] | what reports ask beyond clusters: pairs below the threshold, recall of blocking |
//! | [`cohesion`] | what holds a cluster together, and what would split it |
//! | [`mistakes`] | where clusters and a known truth differ, by kind |
//! | `trained` | all of it for any table |
//! | [`organizations`] | tables of Chinese business customers, by the rule set of the service |
//! | [`parallel`] | threads that never show in a result |
//!
//! Everything is a pure function of the table, the options and the model: the same for any
//! number of threads and any order of rows and sources.

pub mod cohesion;
pub mod group;
pub mod kinds;
pub mod mistakes;
pub mod model;
pub mod organizations;
pub mod parallel;
pub mod survey;
pub mod table;

mod blocks;
mod cells;
mod explain;
mod keys;
mod levels;
mod scripts;
mod similar;
mod train;
mod trained;
mod values;

use std::collections::BTreeMap;

use jinke_types::PartyKind;

use crate::RuleSet;

pub use explain::explain_rows;
pub use group::Scored;
pub use keys::BlockingReport;
pub use kinds::{SEMANTICS, Semantic};
pub use model::{ColumnModel, Kin, Mode, Model};
pub use survey::{Known, Survey};
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
pub struct Options<'a> {
    /// Which rows may be one thing; none: as the model given says, else [`Mode::Dedupe`].
    pub mode: Option<Mode>,
    /// Which partition is wanted.
    pub at: At,
    /// How many threads; 0 and 1 are one.
    pub threads: usize,
    /// By which weights.
    pub engine: Engine,
    /// Another balance point than the model's, in milli-bits, within [`MAX_THRESHOLD`].
    pub balance: Option<i32>,
    /// Another merge threshold than the model's, in milli-bits, not below the balance point.
    pub merge: Option<i32>,
    /// Keep what reports and samples ask: pairs below the threshold, generic values.
    pub survey: bool,
    /// The thing every row is, where known: says how many pairs of one thing blocking brought
    /// together. Nothing is learned from it.
    pub truth: Option<&'a [usize]>,
    /// Pairs of rows that a person labelled, and whether they are one thing: learned from, as
    /// [`train`](self) says. For tables without a rule set and without a model.
    pub labels: &'a [(u32, u32, bool)],
    /// The process ends after this: millions of small texts are left for the system to take back,
    /// which it does at once.
    pub last: bool,
}

/// Farthest a threshold may be from 0, in milli-bits.
pub const MAX_THRESHOLD: i32 = 100_000;

/// What an expert sets by hand.
#[derive(Clone, Debug, Default)]
pub struct Expert {
    /// The rule set for organizations to use instead of the embedded one.
    pub rules: Option<RuleSet>,
    /// Other weights than the learned ones, by column (for organizations: by comparison) and
    /// level, in milli-bits.
    pub weights: BTreeMap<String, BTreeMap<String, i32>>,
    /// More blocking: rows with equal values in all columns of a list meet. For other tables than
    /// those of organizations.
    pub blocking: Vec<Vec<String>>,
    /// Limits of blocking keys of organizations, as (max_records, max_cores).
    pub limits: BTreeMap<String, (usize, usize)>,
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// An expert's setting names what is not there, or is out of range.
    #[error("{0}")]
    Expert(String),
    /// The model does not fit the table or what else was asked.
    #[error("{0}")]
    Model(String),
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
    /// The rule set used, when it was one, with what an expert set.
    pub rules: Option<RuleSet>,
    /// Pairs below what `scored` holds, where asked for.
    pub survey: Option<Survey>,
    /// What blocking did with known pairs, where these are known.
    pub known: Option<Known>,
    /// Hashes of the generic keys of organizations, ascending, where a survey was asked for.
    pub generic: Vec<u64>,
}

impl Outcome {
    /// Balance point and merge threshold, in milli-bits; none where nothing was resolved.
    pub fn thresholds(&self) -> Option<(i32, i32)> {
        let of_model = self.model.as_ref().map(|m| (m.balance, m.merge));
        let of_rules = self.rules.as_ref().map(|r| &r.thresholds);
        of_model.or(of_rules.map(|t| (t.review, t.merge)))
    }
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

/// Resolves a table, with the model given or one learned from it, and what an expert set.
///
/// # Errors
/// Columns that do not fit the model or are too many, or a setting that names what is not there.
pub fn resolve_table(
    table: &Table,
    model: Option<&Model>,
    expert: &Expert,
    options: &Options<'_>,
    progress: &Progress<'_>,
) -> Result<Outcome, TableError> {
    if table.columns.is_empty() || table.columns.len() > MAX_COLUMNS {
        return Err(TableError::Columns);
    }
    if table.len() > 2_000_000_000 {
        return Err(TableError::Rows);
    }
    let by_rules = by_rules(table, model, expert, options)?;
    let within =
        |t: Option<i32>| t.is_none_or(|t| t.unsigned_abs() <= MAX_THRESHOLD.unsigned_abs());
    if !within(options.balance) || !within(options.merge) {
        let message = format!("thresholds must be within {MAX_THRESHOLD} milli-bits");
        return Err(TableError::Expert(message));
    }
    if !by_rules {
        return trained::resolve(table, model, expert, options, progress);
    }
    if !expert.blocking.is_empty() {
        let message = "tables of organizations take limits of keys, not more blocking";
        return Err(TableError::Expert(message.into()));
    }
    if !options.labels.is_empty() {
        let message = "tables of organizations are not learned from: no labels are taken";
        return Err(TableError::Expert(message.into()));
    }
    let mut rules = expert.rules.clone().unwrap_or_else(RuleSet::organization);
    if rules.kind != PartyKind::Organization {
        return Err(TableError::Model(
            "the rule set is not for organizations".into(),
        ));
    }
    let thresholds = (
        options.balance.unwrap_or(rules.thresholds.review),
        options.merge.unwrap_or(rules.thresholds.merge),
    );
    ordered(thresholds)?;
    let same = thresholds == (rules.thresholds.review, rules.thresholds.merge);
    if !(expert.weights.is_empty() && expert.limits.is_empty() && same) {
        rules = rules
            .adjusted(&expert.weights, &expert.limits, thresholds)
            .map_err(|e| TableError::Expert(e.message))?;
    }
    Ok(organizations::resolve(table, &rules, options, progress))
}

/// Whether the rule set for organizations is used. Settings that contradict each other are
/// refused, so that none is left out in silence.
fn by_rules(
    table: &Table,
    model: Option<&Model>,
    expert: &Expert,
    options: &Options<'_>,
) -> Result<bool, TableError> {
    let mode = options.mode.unwrap_or_default();
    let refused = |message: &str| Err(TableError::Model(message.into()));
    match options.engine {
        Engine::Organization if model.is_some() => {
            refused("engine organization goes by a rule set, and the model given is one of a table")
        }
        Engine::Trained if expert.rules.is_some() => {
            refused("engine trained learns its weights, and the model given is a rule set")
        }
        Engine::Organization | Engine::Auto if expert.rules.is_some() && mode == Mode::Link => {
            refused("mode link needs weights of a table; a rule set does not know it")
        }
        Engine::Organization if mode == Mode::Link => Err(TableError::Expert(
            "engine organization does not know mode link".into(),
        )),
        Engine::Organization => Ok(true),
        Engine::Trained => Ok(false),
        Engine::Auto if model.is_some() => Ok(false),
        Engine::Auto if expert.rules.is_some() => Ok(true),
        // Labels are learned from, which a rule set is not.
        Engine::Auto if !options.labels.is_empty() => Ok(false),
        Engine::Auto => Ok(organizations::fits(table, mode, options.threads)),
    }
}

/// A machine never merges what is less likely one thing than not.
fn ordered((balance, merge): (i32, i32)) -> Result<(), TableError> {
    if merge >= balance {
        return Ok(());
    }
    Err(TableError::Expert(format!(
        "the merge threshold {merge} is below the balance point {balance}"
    )))
}
