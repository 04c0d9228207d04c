//! Writing clusters, and measuring them against known truth.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use jinke_resolution::{
    Change, ChangeKind,
    batch::{Table, parallel::hash},
    evaluate::{Quality, b_cubed, pairwise},
};
use jinke_types::{Code, Failure};

use super::input;

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

/// Writes `source,source_id,cluster_id`, every row once, in the order of input. A cluster is
/// named after its first record by source and key, so that names do not depend on that order.
///
/// # Errors
/// `OUTPUT_UNWRITABLE`.
pub fn clusters(path: &Path, table: &Table, heads: &[u32]) -> Result<(), Failure> {
    let fail = |e: csv::Error| written(path, e);
    let file = File::create(path).map_err(|e| written(path, e))?;
    let mut out = csv::Writer::from_writer(BufWriter::with_capacity(1 << 18, file));
    out.write_record(["source", "source_id", "cluster_id"])
        .map_err(fail)?;
    let source = |row: usize| table.sources[table.source_of(row) as usize].as_str();
    // A key may be there twice: clusters whose first records have one name are told apart.
    let mut names: Vec<u64> = heads
        .iter()
        .enumerate()
        .filter(|(row, h)| *row == **h as usize)
        .map(|(row, _)| name_hash(source(row), table.key(row)))
        .collect();
    names.sort_unstable();
    let twice: Vec<u64> = names
        .windows(2)
        .filter(|w| w[0] == w[1])
        .map(|w| w[0])
        .collect();
    let mut name = String::new();
    for (row, head) in heads.iter().enumerate() {
        let head = *head as usize;
        name.clear();
        name.push_str(source(head));
        name.push('/');
        name.push_str(table.key(head));
        if !twice.is_empty()
            && twice
                .binary_search(&name_hash(source(head), table.key(head)))
                .is_ok()
        {
            name.push_str(&format!("#{head}"));
        }
        out.write_record([source(row), table.key(row), &name])
            .map_err(fail)?;
    }
    let mut inner = out.into_inner().map_err(|e| written(path, e.error()))?;
    inner.flush().map_err(|e| written(path, e))
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
                let source = table.sources[table.source_of(*m) as usize].as_str();
                let (n, before, now) = (n.to_string(), before.to_string(), now.to_string());
                out.write_record([n.as_str(), kind, source, table.key(*m), &before, &now])
                    .map_err(fail)?;
            }
        }
    }
    out.flush().map_err(|e: std::io::Error| written(path, e))
}

fn name_hash(source: &str, key: &str) -> u64 {
    hash(hash(1, source.as_bytes()), key.as_bytes())
}

/// The entity of every row by a truth file: its last column is the entity, those before it source
/// and key, or the key alone. Rows it does not name stand alone. A clusters file is read likewise.
///
/// # Errors
/// `INPUT_UNREADABLE`, `INPUT_INVALID`.
pub fn labels_of(path: &Path, table: &Table) -> Result<Vec<usize>, Failure> {
    let (utf8, mut reader) = input::open(path)?;
    let invalid = |m: String| {
        Failure::new(
            Code::InvalidArgument,
            "INPUT_INVALID",
            format!("{}: {m}", path.display()),
        )
    };
    let width = reader
        .byte_headers()
        .map_err(|e| invalid(e.to_string()))?
        .len();
    if !(2..=3).contains(&width) {
        return Err(invalid(
            "a truth file has the columns source, source_id, entity_id".into(),
        ));
    }
    let mut entities: HashMap<String, usize> = HashMap::new();
    let mut of: HashMap<u64, usize> = HashMap::new();
    let mut row = csv::ByteRecord::new();
    while reader
        .read_byte_record(&mut row)
        .map_err(|e| invalid(e.to_string()))?
    {
        let get = |i: usize| input::text(row.get(i).unwrap_or_default(), utf8);
        let label = get(width - 1).trim().to_owned();
        let next = entities.len();
        let entity = *entities.entry(label).or_insert(next);
        let name = if width == 3 {
            name_hash(get(0).trim(), get(1).trim())
        } else {
            hash(2, get(0).trim().as_bytes())
        };
        of.insert(name, entity);
    }
    let mut alone = entities.len();
    let truth: Vec<usize> = (0..table.len())
        .map(|r| {
            let name = if width == 3 {
                name_hash(&table.sources[table.source_of(r) as usize], table.key(r))
            } else {
                hash(2, table.key(r).as_bytes())
            };
            of.get(&name).copied().unwrap_or_else(|| {
                alone += 1;
                alone
            })
        })
        .collect();
    Ok(truth)
}

/// Pairwise and B-cubed quality of clusters.
pub fn measure(truth: &[usize], heads: &[u32]) -> (Quality, Quality) {
    let labels: Vec<usize> = heads.iter().map(|h| *h as usize).collect();
    (pairwise(&labels, truth), b_cubed(&labels, truth))
}
