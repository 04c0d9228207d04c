//! `jinke assess`: how good a clustering is where nobody knows the truth: pairs are drawn, a
//! person labels them, precision and recall follow with their intervals.

use std::{
    collections::BTreeMap,
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
        input, refused,
        rows::{self, Rows},
        spec::Spec,
        text_of,
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
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let table = input::read(&spec, threads)?.told();
    let options = Options {
        mode: spec.mode,
        threads,
        engine: spec.engine,
        balance: spec.thresholds.0,
        merge: spec.thresholds.1,
        ..Options::default()
    };
    let outcome =
        resolve_table(&table, None, &spec.expert, &options, &|_, _, _| {}).map_err(refused)?;
    let drawn = draw(&table, &outcome, args.sample as usize);
    let labels = if args.ask {
        ask(&table, &outcome, &drawn, printer)?
    } else {
        vec![String::new(); drawn.len()]
    };
    write(pairs, &table, &outcome, &drawn, &labels)?;
    printer.line(format!("{} 对 pairs → {}", drawn.len(), pairs.display()))?;
    if args.ask {
        judge(pairs, args.minutes, printer)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The same pairs for the same table, whatever the order of its rows: in each stratum those whose
/// names hash smallest, about as many of each stratum.
fn draw(table: &Table, outcome: &Outcome, sample: usize) -> Vec<Drawn> {
    let mut frame: BTreeMap<(u32, u32), Option<i32>> = BTreeMap::new();
    for s in &outcome.scored {
        frame.insert((s.a.min(s.b), s.a.max(s.b)), Some(s.score));
    }
    let mut clusters: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (row, head) in (0..).zip(&outcome.heads) {
        clusters.entry(*head).or_default().push(row);
    }
    for members in clusters.values().filter(|m| m.len() <= LARGEST) {
        for (i, a) in members.iter().enumerate() {
            for b in &members[i + 1..] {
                frame.entry((*a, *b)).or_insert(None);
            }
        }
    }
    let name = |row: u32| {
        let source = &table.sources[table.source_of(row as usize) as usize];
        hash(
            hash(3, source.as_bytes()),
            table.key(row as usize).as_bytes(),
        )
    };
    let mut strata: BTreeMap<(bool, Option<i32>), Vec<Candidate>> = BTreeMap::new();
    for ((a, b), score) in frame {
        let joined = outcome.heads[a as usize] == outcome.heads[b as usize];
        let band = score.map(|s| s.div_euclid(4000).clamp(-2, 6));
        let (x, y) = (name(a), name(b));
        let place = hash(x.min(y), &x.max(y).to_le_bytes());
        let list = strata.entry((joined, band)).or_default();
        list.push((place, a, b, score));
    }
    let each = sample.div_ceil(strata.len().max(1));
    let mut out = Vec::new();
    for ((joined, band), mut list) in strata {
        list.sort_unstable();
        let of = list.len() as u64;
        let band = band.map_or_else(
            || "via others".into(),
            |b| format!("{}..{} bits", b * 4, b * 4 + 4),
        );
        let side = if joined { "joined" } else { "apart" };
        out.extend(list.into_iter().take(each).map(|(_, a, b, score)| Drawn {
            a,
            b,
            score,
            stratum: format!("{side} {band}"),
            of,
        }));
    }
    out
}

fn failure(path: &Path, e: impl std::fmt::Display) -> Failure {
    let message = format!("{}: {e}", path.display());
    Failure::new(Code::FailedPrecondition, "OUTPUT_UNWRITABLE", message)
}

fn record(table: &Table, row: u32) -> String {
    let source = &table.sources[table.source_of(row as usize) as usize];
    format!("{source}/{}", table.key(row as usize))
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
            record(table, d.a),
            record(table, d.b),
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

/// What a label says; none when it says nothing.
fn same(label: &str) -> Option<bool> {
    match label.trim().to_lowercase().as_str() {
        "y" | "yes" | "1" | "true" | "是" | "同" | "相同" => Some(true),
        "n" | "no" | "0" | "false" | "否" | "不同" => Some(false),
        _ => None,
    }
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
        "召回率 recall among compared pairs: {}",
        shown(found.recall)
    ))?;
    let hours = reviews as f64 * minutes / 60.0;
    printer.line(format!(
        "复核 reviews: {reviews}，预计 expected steward hours: {hours:.1}"
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_in_two_languages() {
        assert_eq!(
            [same(" Y "), same("是"), same("0"), same("不同")],
            [Some(true), Some(true), Some(false), Some(false)]
        );
        assert_eq!([same(""), same("?")], [None, None]);
    }
}
