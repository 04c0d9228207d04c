//! `jinke assess`: how good a clustering is where nobody knows the truth: pairs are drawn, a
//! person labels them, precision and recall follow with their intervals.

use std::{
    collections::{BTreeMap, HashSet},
    io::{BufRead, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use jinke_resolution::{
    assess::{Estimate, Stratum, assess as estimate},
    batch::{Options, Outcome, Table, explain_rows, parallel::hash, resolve_table},
};
use jinke_types::{Code, Failure};

use super::{
    Outcome as Ended,
    resolve::{
        input,
        labelled::same,
        names::record,
        refused,
        rows::{self, Rows},
        spec::Spec,
        text_of, threads_of, weights_of,
    },
};
use crate::print::{Printer, text};

/// Arguments of `assess`.
#[derive(Debug, Args)]
pub struct AssessArgs {
    /// The spec of the table to resolve and draw pairs from
    #[arg(
        long,
        value_name = "SPEC.toml",
        required_unless_present = "labels",
        requires = "pairs"
    )]
    spec: Option<PathBuf>,
    /// Where the pairs to be labelled go: fill the column `same` with yes or no
    #[arg(long, value_name = "PAIRS.csv", conflicts_with = "labels")]
    pairs: Option<PathBuf>,
    /// How many pairs to draw
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sample: u32,
    /// Ask about each pair here and now: y, n, or nothing for unsure
    #[arg(long, requires = "spec")]
    ask: bool,
    /// A labelled file of pairs: prints what follows from it
    #[arg(long, value_name = "PAIRS.csv")]
    labels: Option<PathBuf>,
    /// A model learned before, or a rule set for organizations
    #[arg(long, value_name = "FILE", requires = "spec")]
    model: Option<PathBuf>,
    /// How many threads [default: as many as the machine has]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Minutes a steward needs for a review
    #[arg(long, default_value_t = 1.5)]
    minutes: f64,
}

/// A drawn pair.
struct Drawn {
    a: u32,
    b: u32,
    score: Option<i32>,
    stratum: String,
    of: u64,
}

/// A pair that may be drawn: its place in the draw, its rows, its score.
type Candidate = (u64, u32, u32, Option<i32>);

/// Pairs of one stratum.
#[derive(Default)]
struct Frame {
    /// How many there are, listed or not.
    pairs: u64,
    listed: Vec<Candidate>,
}

/// Width of a stratum, in milli-bits.
const BAND: i32 = 4_000;
/// Strata reach so many bands below the balance point. What scores less is so rarely one thing,
/// and so much, that no affordable number of labels says anything about it.
const DEPTH: i32 = 3;
/// And so many above.
const HEIGHT: i32 = 6;
/// Largest cluster of which every pair may be drawn.
const LARGEST: usize = 200;

/// Draws pairs, or says what their labels mean.
///
/// # Errors
/// `SPEC_INVALID`, `INPUT_UNREADABLE`, `INPUT_INVALID`, `OUTPUT_UNWRITABLE`.
pub fn assess(args: &AssessArgs, printer: &mut Printer<'_>) -> Ended {
    if let Some(path) = &args.labels {
        judge(path, args.minutes, printer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(spec), Some(pairs)) = (&args.spec, &args.pairs) else {
        return Ok(ExitCode::FAILURE);
    };
    let folder = spec.parent().unwrap_or(Path::new(""));
    let spec = Spec::parse(&text_of(spec)?, folder)?;
    let (model, expert) = weights_of(args.model.as_deref(), &spec)?;
    let threads = threads_of(args.threads);
    let table = input::read(&spec, threads)?.told();
    let options = Options {
        mode: spec.mode,
        threads,
        engine: spec.engine,
        balance: spec.thresholds.0,
        merge: spec.thresholds.1,
        survey: true,
        ..Options::default()
    };
    let outcome =
        resolve_table(&table, model.as_ref(), &expert, &options, &|_, _, _| {}).map_err(refused)?;
    let (drawn, deep) = draw(&table, &outcome, args.sample as usize);
    let labels = if args.ask {
        ask(&table, &outcome, &drawn, printer)?
    } else {
        vec![String::new(); drawn.len()]
    };
    write(pairs, &table, &outcome, &drawn, &labels)?;
    printer.line(format!("{} 对 pairs → {}", drawn.len(), pairs.display()))?;
    printer.line(format!(
        "低于平衡点 {} 位以上的 {deep} 对不抽样 pairs more than {0} bits below the balance point are not drawn",
        DEPTH * BAND / 1000
    ))?;
    if args.ask {
        judge(pairs, args.minutes, printer)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The pairs that may be drawn, by stratum: whether they are joined, and how many bands their
/// score is above the balance point; and how many compared pairs score below all strata.
fn frame(table: &Table, outcome: &Outcome) -> (BTreeMap<(bool, Option<i32>), Frame>, u64) {
    let (balance, _) = outcome.thresholds().unwrap_or_default();
    let name = |row: u32| {
        let source = &table.sources[table.source_of(row as usize) as usize];
        hash(
            hash(3, source.as_bytes()),
            table.key(row as usize).as_bytes(),
        )
    };
    let joined = |a: u32, b: u32| outcome.heads[a as usize] == outcome.heads[b as usize];
    let mut strata: BTreeMap<(bool, Option<i32>), Frame> = BTreeMap::new();
    let mut deep = 0;
    let mut add = |a: u32, b: u32, score: Option<i32>, weight: u64| {
        let joined = joined(a, b);
        let band = score.map(|s| (s - balance).div_euclid(BAND).min(HEIGHT));
        if !joined && band.is_some_and(|b| b < -DEPTH) {
            deep += weight;
            return;
        }
        let (x, y) = (name(a), name(b));
        let place = hash(x.min(y), &x.max(y).to_le_bytes());
        let stratum = strata.entry((joined, band)).or_default();
        stratum.pairs += weight;
        stratum.listed.push((place, a, b, score));
    };
    let mut seen: HashSet<(u32, u32)> = HashSet::new();
    for s in &outcome.scored {
        if joined(s.a, s.b) {
            seen.insert((s.a.min(s.b), s.a.max(s.b)));
        }
        add(s.a, s.b, Some(s.score), 1);
    }
    if let Some(survey) = &outcome.survey {
        // Joined pairs are all listed below, by their clusters.
        for s in survey.below.iter().filter(|s| !joined(s.a, s.b)) {
            add(s.a, s.b, Some(s.score), survey.rate);
        }
    }
    let mut clusters: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (row, head) in (0..).zip(&outcome.heads) {
        clusters.entry(*head).or_default().push(row);
    }
    for members in clusters.values().filter(|m| m.len() <= LARGEST) {
        for (i, a) in members.iter().enumerate() {
            for b in &members[i + 1..] {
                if !seen.contains(&(*a, *b)) {
                    add(*a, *b, None, 1);
                }
            }
        }
    }
    (strata, deep)
}

/// How many of the sample each stratum gets: half of it evenly, half by how much is unknown about
/// the stratum (Neyman, 1934), which grows with its pairs and is greatest where as many are one
/// thing as not: at the balance point, by the odds that scores are.
fn shares(strata: &BTreeMap<(bool, Option<i32>), Frame>, sample: usize) -> Vec<usize> {
    let unknown = |(key, frame): (&(bool, Option<i32>), &Frame)| {
        // Within the band; joined by others is as sure as what just reaches the threshold.
        let bits = key
            .1
            .map_or(2.0, |b| f64::from(b * BAND + BAND / 2) / 1000.0);
        let odds = (bits.clamp(-7.0, 7.0)).exp2();
        frame.pairs as f64 * odds.sqrt() / (1.0 + odds)
    };
    let all: f64 = strata.iter().map(unknown).sum();
    let even = sample as f64 / 2.0 / strata.len().max(1) as f64;
    let each = strata.iter().map(|s| {
        let most = s.1.listed.len();
        let more = sample as f64 / 2.0 * unknown(s) / all.max(1e-9);
        ((even + more).floor().max(1.0) as usize).min(most)
    });
    each.collect()
}

/// The same pairs for the same table, whatever the order of its rows: in each stratum those whose
/// names hash smallest. The number is of compared pairs below all strata.
fn draw(table: &Table, outcome: &Outcome, sample: usize) -> (Vec<Drawn>, u64) {
    let (strata, deep) = frame(table, outcome);
    let shares = shares(&strata, sample);
    let mut out = Vec::new();
    for (((joined, band), mut frame), share) in strata.into_iter().zip(shares) {
        frame.listed.sort_unstable();
        let band = band.map_or_else(
            || "via others".into(),
            |b| {
                let (from, to) = (b * BAND / 1000, (b + 1) * BAND / 1000);
                if b == HEIGHT {
                    format!("{from:+} bits and more")
                } else {
                    format!("{from:+}..{to:+} bits")
                }
            },
        );
        let side = if joined { "joined" } else { "apart" };
        let taken = frame.listed.into_iter().take(share);
        out.extend(taken.map(|(_, a, b, score)| Drawn {
            a,
            b,
            score,
            stratum: format!("{side} {band}"),
            of: frame.pairs,
        }));
    }
    (out, deep)
}

fn failure(path: &Path, e: impl std::fmt::Display) -> Failure {
    let message = format!("{}: {e}", path.display());
    Failure::new(Code::FailedPrecondition, "OUTPUT_UNWRITABLE", message)
}

fn write(
    path: &Path,
    table: &Table,
    outcome: &Outcome,
    drawn: &[Drawn],
    labels: &[String],
) -> Result<(), Failure> {
    let fail = |e: csv::Error| failure(path, e);
    let mut out = csv::Writer::from_path(path).map_err(fail)?;
    let mut header: Vec<String> = [
        "same", "stratum", "pairs", "reviews", "score", "left", "right",
    ]
    .map(str::to_owned)
    .to_vec();
    for c in &table.columns {
        header.extend([format!("{} left", c.name), format!("{} right", c.name)]);
    }
    out.write_record(&header).map_err(fail)?;
    for (d, label) in drawn.iter().zip(labels) {
        let score = d.score.map_or_else(String::new, |s| s.to_string());
        let mut row = vec![
            label.clone(),
            d.stratum.clone(),
            d.of.to_string(),
            outcome.reviews.len().to_string(),
            score,
            record(table, d.a as usize),
            record(table, d.b as usize),
        ];
        for c in 0..table.columns.len() {
            row.extend([d.a, d.b].map(|r| table.cell(r as usize, c).to_owned()));
        }
        out.write_record(&row).map_err(fail)?;
    }
    out.flush().map_err(|e| failure(path, e))
}

/// Asks about each pair on the terminal.
fn ask(
    table: &Table,
    outcome: &Outcome,
    drawn: &[Drawn],
    printer: &mut Printer<'_>,
) -> Result<Vec<String>, Failure> {
    let mut lines = std::io::stdin().lock().lines();
    let mut out = Vec::new();
    for (i, d) in drawn.iter().enumerate() {
        printer.line(format!("{} / {}", i + 1, drawn.len()))?;
        for c in 0..table.columns.len() {
            let cell = |row: u32| text::clean(table.cell(row as usize, c)).to_string();
            let name = &table.columns[c].name;
            printer.line(format!("  {name}: {} ↔ {}", cell(d.a), cell(d.b)))?;
        }
        if let Some(last) = explain_rows(table, outcome, d.a, d.b).last() {
            printer.line(format!("  {:.1} bits", f64::from(last.sum) / 1000.0))?;
        }
        printer.line("同一个吗 the same? y / n / 回车不确定")?;
        // The answer is awaited after the question was seen.
        let _ = std::io::stdout().flush();
        match lines.next() {
            Some(Ok(line)) => out.push(line.trim().to_owned()),
            // The rest stays open.
            _ => break,
        }
    }
    out.resize(drawn.len(), String::new());
    Ok(out)
}

fn judge(path: &Path, minutes: f64, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let invalid = |m: String| input::failure(path, "INPUT_INVALID", m);
    let plan = |_: &Path, header: &[String]| {
        let at = |name: &str| {
            let found = header.iter().position(|h| h == name);
            found.ok_or_else(|| invalid(format!("has no column {name:?}")))
        };
        Ok([at("same")?, at("stratum")?, at("pairs")?, at("reviews")?])
    };
    let take = |places: &[usize; 4], rows: &mut Rows<'_>| {
        let mut out = Vec::new();
        while rows.advance() {
            out.push(places.map(|i| rows.get(i).trim().to_owned()));
        }
        out
    };
    let number = |text: &str| {
        let number = text.parse::<u64>();
        number.map_err(|_| invalid(format!("{text:?} is no number")))
    };
    let mut strata: BTreeMap<String, Stratum> = BTreeMap::new();
    let mut reviews = 0_u64;
    let (files, notes) = rows::read(&[path], 1, plan, take)?;
    input::tell(&notes);
    for [label, name, pairs, of] in files.into_iter().flat_map(|f| f.1).flatten() {
        reviews = number(&of)?;
        let s = strata.entry(name.clone()).or_default();
        s.pairs = number(&pairs)?;
        s.joined = name.starts_with("joined");
        if let Some(same) = same(&label) {
            s.labelled += 1;
            s.same += u64::from(same);
        }
    }
    let all: Vec<Stratum> = strata.values().copied().collect();
    let found = estimate(&all);
    let shown = |e: Estimate| format!("{:.4}（{:.4}–{:.4}）", e.value, e.low, e.high);
    printer.line(format!("标注 labelled pairs: {}", found.labelled))?;
    printer.line(format!("精确率 precision: {}", shown(found.precision)))?;
    printer.line(format!(
        "召回率 recall among compared pairs within 12 bits of the balance point: {}",
        shown(found.recall)
    ))?;
    let hours = reviews as f64 * minutes / 60.0;
    printer.line(format!(
        "复核 reviews: {reviews}，预计 expected steward hours: {hours:.1}"
    ))?;
    Ok(())
}
