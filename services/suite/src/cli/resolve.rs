//! `jinke resolve`: which rows of a table are one thing, in one go on this machine.

mod cells;
mod encoding;
pub mod input;
pub mod labelled;
mod labels;
pub mod names;
mod odd;
mod open;
pub mod output;
pub mod parquet;
mod pieces;
pub mod report;
pub mod rows;
pub mod spec;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Mutex,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jinke_resolution::{
    ChangeKind, RuleSet,
    batch::{
        At, Expert, Mode, Model, Options, Outcome, Phase, Table, TableError,
        mistakes::{Kind, OfKind, mistakes},
        resolve_table,
    },
    differences,
};
use jinke_types::{Code, Failure};

use super::Outcome as Ended;
use crate::print::Printer;
use spec::Spec;

/// Which partition is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Partition {
    /// The one believed most likely
    #[default]
    Balance,
    /// What a machine would merge alone
    Merge,
}

/// Arguments of `resolve`.
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// What to resolve: inputs, columns and their types (TOML)
    #[arg(long, value_name = "SPEC.toml")]
    spec: PathBuf,
    /// Where the clusters go: source,source_id,cluster_id
    #[arg(long, value_name = "CLUSTERS.csv")]
    out: PathBuf,
    /// Known truth (source,source_id,entity_id): prints one line of JSON with the quality
    #[arg(long, value_name = "TRUTH.csv")]
    truth: Option<PathBuf>,
    /// Where the learned model goes
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    model_out: Option<PathBuf>,
    /// A model learned before, or a rule set for organizations
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Pairs labelled with `jinke assess`, to learn from too (not for a rule set)
    #[arg(long, value_name = "PAIRS.csv", conflicts_with = "model")]
    labels: Option<PathBuf>,
    /// An earlier CLUSTERS.csv: says which of its clusters would merge, split or change
    #[arg(long, value_name = "CLUSTERS.csv")]
    compare: Option<PathBuf>,
    /// Where each of these changes goes: change,kind,source,source_id,before,after
    #[arg(long, value_name = "CHANGES.csv", requires = "compare")]
    changes: Option<PathBuf>,
    /// Where a report for people goes, one HTML file
    #[arg(long, value_name = "REPORT.html")]
    report: Option<PathBuf>,
    /// How many threads [default: as many as the machine has]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Which partition is written
    #[arg(long, value_enum, default_value = "balance")]
    at: Partition,
}

/// Phases that ended with how long they took, the one that runs, and since when.
type Phases = (Vec<(&'static str, Duration)>, &'static str, Instant);

/// Shows phases and keeps how long each took.
struct Watch {
    bar: Option<ProgressBar>,
    state: Mutex<Phases>,
}

const PHASES: [&str; 8] = [
    "read",
    "standardize",
    "block",
    "train",
    "compare",
    "cluster",
    "write",
    "evaluate",
];

impl Watch {
    fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            let style = "{spinner} {prefix:.bold} {bar:24} {pos}/{len} {wide_msg}";
            bar.set_style(
                ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            bar,
            state: Mutex::new((Vec::new(), PHASES[0], Instant::now())),
        }
    }

    fn at(&self, phase: &'static str, done: u64, of: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(done);
            bar.set_prefix(phase);
        }
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.1 != phase {
            let now = Instant::now();
            let took = now - state.2;
            let ended = state.1;
            state.0.push((ended, took));
            state.1 = phase;
            state.2 = now;
            if self.bar.is_none() && of > 0 {
                // Nobody is left to tell when standard error is closed.
                let _ = writeln!(io::stderr(), "{phase} {of}");
            }
        }
    }

    /// Writes notes to standard error, where the bar is.
    fn tell(&self, notes: &[String]) {
        match &self.bar {
            Some(bar) => bar.suspend(|| input::tell(notes)),
            None => input::tell(notes),
        }
    }

    /// Seconds by phase.
    fn seconds(&self) -> serde_json::Map<String, serde_json::Value> {
        let state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let last = (state.1, state.2.elapsed());
        let all: Vec<_> = state.0.iter().copied().chain([last]).collect();
        let mut out = serde_json::Map::new();
        for phase in PHASES {
            let sum: f64 = all
                .iter()
                .filter(|p| p.0 == phase)
                .map(|p| p.1.as_secs_f64())
                .sum();
            if sum > 0.0 {
                out.insert(phase.into(), ((sum * 1000.0).round() / 1000.0).into());
            }
        }
        out
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Standardize => "standardize",
        Phase::Block => "block",
        Phase::Train => "train",
        Phase::Compare => "compare",
        Phase::Cluster => "cluster",
    }
}

pub(super) fn text_of(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| {
        Failure::new(
            Code::NotFound,
            "INPUT_UNREADABLE",
            format!("{}: {e}", path.display()),
        )
    })
}

/// Asks the system for small pages of memory. Huge ones are cleared whole when one byte of them is
/// touched: for a process that ends within seconds that costs more than they save (of a million
/// records a tenth of the processor time and of the memory). Where the system refuses, all goes on.
fn small_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Resolves the table a spec names.
///
/// # Errors
/// `SPEC_INVALID`, `INPUT_UNREADABLE`, `INPUT_INVALID`, `MODEL_INVALID`, `OUTPUT_UNWRITABLE`.
pub fn resolve(args: &ResolveArgs, printer: &mut Printer<'_>) -> Ended {
    let start = Instant::now();
    small_pages();
    let folder = args.spec.parent().unwrap_or(Path::new(""));
    let spec = Spec::parse(&text_of(&args.spec)?, folder)?;
    let (model, expert) = weights_of(args.model.as_deref(), &spec)?;
    let threads = threads_of(args.threads);
    let watch = Watch::new();
    let input::Read { table, notes } = input::read(&spec, threads)?;
    watch.tell(&notes);
    let truth = args.truth.as_deref();
    if truth.is_some() {
        watch.at("evaluate", 0, table.len() as u64);
    }
    let truth = truth.map(|path| labels::of(path, &table, threads));
    let truth = truth.transpose()?;
    watch.tell(truth.as_ref().map_or(&[], |t| t.notes.as_slice()));
    let taught = args.labels.as_deref();
    let taught = taught.map(|path| labelled::of_table(path, &table));
    let taught = taught.transpose()?.unwrap_or_default();
    let options = Options {
        mode: spec.mode,
        at: match args.at {
            Partition::Balance => At::Balance,
            Partition::Merge => At::Merge,
        },
        threads,
        engine: spec.engine,
        balance: spec.thresholds.0,
        merge: spec.thresholds.1,
        survey: args.report.is_some(),
        truth: truth.as_ref().map(|t| t.of.as_slice()),
        labels: &taught.pairs,
        last: true,
    };
    let show = |phase: Phase, done: u64, of: u64| watch.at(phase_name(phase), done, of);
    let outcome =
        resolve_table(&table, model.as_ref(), &expert, &options, &show).map_err(refused)?;
    if spec.mode == Some(Mode::Both) && outcome.rules.is_some() {
        let note = "mode both: a rule set has one prior, within and across sources";
        watch.tell(&[note.to_owned()]);
    }
    if args.labels.is_some() {
        let note = format!(
            "{} labelled pairs were learned from; {} are not of the table, {} are without yes or no",
            taught.pairs.len(),
            taught.unknown,
            taught.open
        );
        watch.tell(&[note]);
    }
    watch.at("write", 0, table.len() as u64);
    let note = output::clusters(&args.out, &table, &outcome.heads, threads)?;
    watch.tell(note.as_slice());
    if let Some(path) = &args.model_out {
        output::whole(path, &model_text(&outcome))?;
    }
    let (balance, merge) = outcome.thresholds().unwrap_or_default();
    let threshold = match args.at {
        Partition::Balance => balance,
        Partition::Merge => merge,
    };
    if truth.is_some() {
        watch.at("evaluate", 0, table.len() as u64);
    }
    // Examples are for the report; the line of JSON has numbers.
    let examples = args.report.as_ref().map_or(0, |_| report::EXAMPLES);
    let wrong = truth
        .as_ref()
        .map(|truth| mistakes(&table, &outcome, &truth.of, threshold, examples));
    watch.at("write", 0, table.len() as u64);
    if let Some(path) = &args.report {
        let text = report::html(&table, &outcome, threshold, wrong.as_ref());
        output::whole(path, &text)?;
    }
    let (done, cpu) = (start.elapsed(), cpu_seconds());
    let clusters = (0..)
        .zip(&outcome.heads)
        .filter(|(row, head)| row == *head)
        .count();
    let per_thousand = output::per_thousand(outcome.reviews.len(), table.len());
    let Some(labels) = &truth else {
        let phases = watch.seconds();
        drop(watch);
        printer.line(format!(
            "{} 条记录 records  {clusters} 个簇 clusters  {} 个复核 reviews（{per_thousand} / 1000）  {:.1} s",
            table.len(),
            outcome.reviews.len(),
            done.as_secs_f64()
        ))?;
        let phases = phases.iter().map(|(phase, s)| format!("{phase} {s} s"));
        printer.line(phases.collect::<Vec<_>>().join("  "))?;
        compared(args, &table, &outcome, threads, printer)?;
        return Ok(ExitCode::SUCCESS);
    };
    // What it took without the truth.
    let told = watch.seconds();
    let told = told.get("evaluate").and_then(serde_json::Value::as_f64);
    let total = done.as_secs_f64() - told.unwrap_or(0.0);
    watch.at("evaluate", 0, table.len() as u64);
    let truth = &labels.of;
    let (pairwise, b_cubed) = output::measure(truth, &outcome.heads);
    let (merge, _) = output::measure(truth, &outcome.merged);
    let steward = output::after_steward(truth, &outcome);
    let known = outcome.known.as_ref();
    let mut seconds = watch.seconds();
    seconds.insert("total".into(), ((total * 1000.0).round() / 1000.0).into());
    drop(watch);
    let line = serde_json::json!({
        "records": table.len(),
        "clusters": clusters,
        "pairwise": pairwise,
        "b_cubed": b_cubed,
        "merge": merge,
        "truth": labels.counts(),
        "reviews": outcome.reviews.len(),
        "reviews_per_1000": per_thousand,
        "steward": steward,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_memory_mb": peak_memory_mb(),
        "candidate_pairs": outcome.candidates,
        "known_pairs": known.map(|k| k.pairs),
        "blocking_recall": known.map(|k| k.recall()),
        "mistakes": wrong.as_ref().map(counted),
        "engine": outcome.rules.as_ref().map_or_else(|| "trained".into(), RuleSet::full_version),
        "threads": threads,
    });
    printer.raw(&line.to_string())?;
    compared(args, &table, &outcome, threads, printer)?;
    Ok(ExitCode::SUCCESS)
}

/// The model of a table, where one is given, and what an expert set, a rule set given included.
pub(super) fn weights_of(
    path: Option<&Path>,
    spec: &Spec,
) -> Result<(Option<Model>, Expert), Failure> {
    let mut expert = spec.expert.clone();
    match path.map(model_of).transpose()? {
        Some(Given::Model(m)) => return Ok((Some(*m), expert)),
        Some(Given::Rules(r)) => expert.rules = Some(*r),
        None => {}
    }
    Ok((None, expert))
}

/// As many threads as asked for, else as the machine has.
pub(super) fn threads_of(asked: Option<u16>) -> usize {
    asked.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    )
}

/// Numbers of mistakes by kind.
fn counted(found: &BTreeMap<Kind, OfKind>) -> serde_json::Map<String, serde_json::Value> {
    let each = Kind::ALL.iter().map(|kind| {
        let pairs = found.get(kind).map_or(0, |of| of.pairs);
        (kind.name().to_owned(), pairs.into())
    });
    each.collect()
}

/// Says what would change against earlier clusters.
fn compared(
    args: &ResolveArgs,
    table: &Table,
    outcome: &Outcome,
    threads: usize,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let Some(earlier) = &args.compare else {
        return Ok(());
    };
    let before = labels::of(earlier, table, threads)?;
    input::tell(&before.notes);
    let after: Vec<usize> = outcome.heads.iter().map(|h| *h as usize).collect();
    let changes = differences(&before.of, &after);
    let count = |kind| changes.iter().filter(|c| c.kind == kind).count();
    printer.line(format!(
        "与之前相比 against before: {} 处合并 merge, {} 处拆分 split, {} 处改变 change",
        count(ChangeKind::Merge),
        count(ChangeKind::Split),
        count(ChangeKind::Change)
    ))?;
    match &args.changes {
        Some(path) => output::changes(path, table, &changes),
        None => Ok(()),
    }
}

/// What a resolved table was refused for.
pub(super) fn refused(e: TableError) -> Failure {
    let reason = match e {
        TableError::Model(_) => "MODEL_INVALID",
        _ => "SPEC_INVALID",
    };
    Failure::new(Code::InvalidArgument, reason, e.to_string())
}

/// What `--model` names.
enum Given {
    Model(Box<Model>),
    Rules(Box<RuleSet>),
}

/// A rule set names the kind of party it is for; a model of a table does not.
fn model_of(path: &Path) -> Result<Given, Failure> {
    let text = text_of(path)?;
    let is_rules = text.lines().any(|l| l.trim_start().starts_with("kind ="));
    let found = if is_rules {
        RuleSet::parse(&text).map(|r| Given::Rules(Box::new(r)))
    } else {
        Model::parse(&text).map(|m| Given::Model(Box::new(m)))
    };
    found.map_err(|e| {
        Failure::new(
            Code::InvalidArgument,
            "MODEL_INVALID",
            format!("{}: {e}", path.display()),
        )
    })
}

/// The model learned; where the rule set of the service was used, that rule set.
fn model_text(outcome: &Outcome) -> String {
    match (&outcome.model, &outcome.rules) {
        (Some(model), _) => model.to_toml(),
        (None, Some(rules)) => rules.to_toml().to_owned(),
        (None, None) => String::new(),
    }
}

/// A line of a file below /proc/self, where there is such a thing.
fn proc_self(file: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/self/{file}")).ok()
}

/// The most memory this process held, where the system tells.
fn peak_memory_mb() -> Option<u64> {
    let status = proc_self("status")?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kb: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kb / 1024)
}

/// Processor time of this process, where the system tells; its ticks are hundredths.
fn cpu_seconds() -> Option<f64> {
    let stat = proc_self("stat")?;
    let after = stat.rsplit_once(") ")?.1;
    let mut fields = after.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_what_was_used() {
        if proc_self("status").is_some() {
            assert!(peak_memory_mb().is_some_and(|mb| mb > 0));
            assert!(cpu_seconds().is_some());
        }
    }
}
