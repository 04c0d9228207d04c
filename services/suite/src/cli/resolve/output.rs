//! Writing clusters, and measuring them against known truth.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use jinke_resolution::{
    Change, ChangeKind,
    batch::{Outcome, Table, parallel},
    evaluate::{Quality, b_cubed, pairwise, reviewed},
};
use jinke_types::{Code, Failure};

use super::names::{Names, source_of};

fn written(path: &Path, e: impl std::fmt::Display) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "OUTPUT_UNWRITABLE",
        format!("{}: {e}", path.display()),
    )
}

/// Writes a whole file.
///
/// # Errors
/// `OUTPUT_UNWRITABLE`.
pub fn whole(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|e| written(path, e))
}

/// Rows written by one thread at a time.
const ROWS: usize = 8192;

/// Writes `source,source_id,cluster_id`, every row once, in the order of input. A cluster is
/// named after its first record by source and key, so that names do not depend on that order.
/// Returns what is to be said of records that share source and key.
///
/// # Errors
/// `OUTPUT_UNWRITABLE`.
pub fn clusters(
    path: &Path,
    table: &Table,
    heads: &[u32],
    threads: usize,
) -> Result<Option<String>, Failure> {
    let names = Names::new(table, heads, threads);
    let text = |rows: std::ops::Range<usize>| -> Result<Vec<u8>, csv::Error> {
        let mut out = csv::Writer::from_writer(Vec::with_capacity(rows.len() * 40));
        let mut name = String::new();
        for row in rows {
            name.clear();
            names.write(heads[row] as usize, &mut name);
            out.write_record([source_of(table, row), table.key(row), &name])?;
        }
        out.into_inner().map_err(|e| e.into_error().into())
    };
    let fail = |e: io::Error| written(path, e);
    let mut file = File::create(path).map_err(fail)?;
    file.write_all(b"source,source_id,cluster_id\n")
        .map_err(fail)?;
    // A few pieces per thread at a time, so that memory does not hold the whole file.
    let many = ROWS * 8 * threads.max(1);
    for from in (0..heads.len()).step_by(many) {
        let to = (from + many).min(heads.len());
        let pieces = parallel::map(threads, (to - from).div_ceil(ROWS), |i| {
            let from = from + i * ROWS;
            text(from..(from + ROWS).min(to))
        });
        for piece in pieces {
            let piece = piece.map_err(|e| written(path, e))?;
            file.write_all(&piece).map_err(fail)?;
        }
    }
    Ok(names.note)
}

/// Writes changes, a line per record: number and kind of the change, the record, and which of the
/// change's clusters it was in before and is in after, numbered from 1.
///
/// # Errors
/// `OUTPUT_UNWRITABLE`.
pub fn changes(path: &Path, table: &Table, changes: &[Change]) -> Result<(), Failure> {
    let fail = |e: csv::Error| written(path, e);
    let mut out = csv::Writer::from_path(path).map_err(fail)?;
    out.write_record(["change", "kind", "source", "source_id", "before", "after"])
        .map_err(fail)?;
    for (n, change) in (1..).zip(changes) {
        let kind = match change.kind {
            ChangeKind::Merge => "merge",
            ChangeKind::Split => "split",
            ChangeKind::Change => "change",
        };
        let mut after: Vec<(usize, usize)> = Vec::new();
        for (place, members) in (1..).zip(&change.after) {
            after.extend(members.iter().map(|m| (*m, place)));
        }
        for (before, members) in (1_usize..).zip(&change.before) {
            for m in members {
                let now = after.iter().find(|a| a.0 == *m).map_or(0, |a| a.1);
                let source = source_of(table, *m);
                let (n, before, now) = (n.to_string(), before.to_string(), now.to_string());
                out.write_record([n.as_str(), kind, source, table.key(*m), &before, &now])
                    .map_err(fail)?;
            }
        }
    }
    out.flush().map_err(|e: std::io::Error| written(path, e))
}

/// Pairwise and B-cubed quality of clusters.
pub fn measure(truth: &[usize], heads: &[u32]) -> (Quality, Quality) {
    let labels: Vec<usize> = heads.iter().map(|h| *h as usize).collect();
    (pairwise(&labels, truth), b_cubed(&labels, truth))
}

/// So many of each thousand rows, to one decimal place.
pub fn per_thousand(count: usize, rows: usize) -> f64 {
    (10_000.0 * count as f64 / rows.max(1) as f64).round() / 10.0
}

/// What becomes of the automatic merges when a steward who never errs answers the reviews, the
/// most likely first: how many he is asked, and the pairwise quality then.
pub fn after_steward(truth: &[usize], outcome: &Outcome) -> serde_json::Value {
    let heads: Vec<usize> = outcome.merged.iter().map(|h| *h as usize).collect();
    let reviews = outcome.reviews.iter();
    let pairs = reviews.map(|r| (r.a as usize, r.b as usize));
    let done = reviewed(pairs, &heads, truth);
    serde_json::json!({
        "asked": done.asked,
        "asked_per_1000": per_thousand(done.asked, truth.len()),
        "pairwise": pairwise(&done.labels, truth),
    })
}
