//! Reading Parquet files into a table: the columns that are needed and no other, some rows at a
//! time, so that memory stays with the table.
//!
//! A page of each of these columns is held as it was before it was compressed: as a rule 1 MB, by
//! the format at most 2 GiB.

use std::{
    cell::Cell, collections::BTreeMap, fs::File, io::Read, panic::AssertUnwindSafe, path::Path,
    sync::Once,
};

use jinke_resolution::batch::{Table, parallel};
use jinke_types::Failure;
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    schema::types::SchemaDescriptor,
};

use super::{
    cells::{Cells, Kind},
    input::{failure, named_file},
    odd::{Odd, Oddities},
    open::{Place, place_of},
    spec::Spec,
};

/// Most columns of a file.
const MOST_COLUMNS: usize = 4_096;
/// Most rows of a file, as of a table.
const MOST_ROWS: i64 = 2_000_000_000;
/// Rows read at a time.
const ROWS: usize = 1_024;

/// Whether a file begins as Parquet files do.
pub fn is_parquet(path: &Path) -> bool {
    let mut head = [0; 4];
    let read = File::open(path).and_then(|mut f| f.read_exact(&mut head));
    read.is_ok() && head == *b"PAR1"
}

/// A file that was read.
#[derive(Debug)]
pub struct Part {
    pub table: Table,
    /// Which columns of the spec it has.
    pub seen: Vec<bool>,
    /// What is odd about it.
    pub notes: Vec<String>,
}

thread_local! {
    /// Whether this thread reads a file, so that its panics are answers and need no words.
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// Reads files, several at a time.
///
/// # Errors
/// For each file `INPUT_UNREADABLE`, `INPUT_INVALID`.
pub fn read(paths: &[&Path], spec: &Spec, threads: usize) -> Vec<Result<Part, Failure>> {
    parallel::map(threads, paths.len(), |i| read_one(paths[i], spec))
}

fn read_one(path: &Path, spec: &Spec) -> Result<Part, Failure> {
    // What a broken file does to the decoder must not end the command without a word. The hook is
    // set once and for all: threads that each put back what they found would undo one another.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !READS.get() {
                before(info);
            }
        }));
    });
    READS.set(true);
    let found = std::panic::catch_unwind(AssertUnwindSafe(|| rows(path, spec)));
    READS.set(false);
    found.unwrap_or_else(|_| Err(failure(path, "INPUT_INVALID", "is a broken Parquet file")))
}

/// The columns of a file that are needed: their places in it, each once.
struct Wanted {
    source: Option<usize>,
    key: Option<usize>,
    places: Vec<Option<usize>>,
    /// For each needed column in the schema its name, its leaf and how to read it.
    fields: BTreeMap<usize, (String, usize, Kind)>,
}

impl Wanted {
    fn new(schema: &SchemaDescriptor, spec: &Spec) -> Result<Self, String> {
        let all = schema.root_schema().get_fields();
        if all.len() > MOST_COLUMNS {
            return Err(format!("has more than {MOST_COLUMNS} columns"));
        }
        let names: Vec<String> = all.iter().map(|f| f.name().trim().to_owned()).collect();
        let named = |name: &Option<String>, what: &str| match name {
            None => Ok(None),
            Some(n) => place_of(&names, n)?
                .map(Some)
                .ok_or_else(|| format!("has no column {n:?}, which the spec names as {what}")),
        };
        let places: Result<_, String> = spec
            .columns
            .iter()
            .map(|c| place_of(&names, &c.name))
            .collect();
        let mut this = Self {
            source: named(&spec.source, "source")?,
            key: named(&spec.key, "key")?,
            places: places?,
            fields: BTreeMap::new(),
        };
        if this.places.iter().all(Option::is_none) {
            return Err("has none of the columns of the spec".into());
        }
        let wanted = this.places.iter().chain([&this.source, &this.key]);
        for &field in wanted.flatten() {
            let name = &names[field];
            let mut leaves =
                (0..schema.num_columns()).filter(|leaf| schema.get_column_root_idx(*leaf) == field);
            let leaf = leaves.next().filter(|_| all[field].is_primitive());
            let kind = leaf.map(|leaf| (leaf, Kind::of(&schema.column(leaf))));
            let (leaf, kind) = match kind {
                Some((leaf, Ok(kind))) => (leaf, kind),
                Some((_, Err(what))) => {
                    return Err(format!("column {name:?} holds {what}, which is no text"));
                }
                None => {
                    return Err(format!(
                        "column {name:?} holds lists, maps or structures, which are no text"
                    ));
                }
            };
            this.fields.insert(field, (name.clone(), leaf, kind));
        }
        Ok(this)
    }
}

fn rows(path: &Path, spec: &Spec) -> Result<Part, Failure> {
    let invalid = |m: String| failure(path, "INPUT_INVALID", m);
    let broken = |e: parquet::errors::ParquetError| invalid(e.to_string());
    let file = File::open(path).map_err(|e| failure(path, "INPUT_UNREADABLE", e))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let metadata = reader.metadata();
    let groups = metadata.row_groups().iter();
    let count = groups.fold(0_i64, |sum, g| sum.saturating_add(g.num_rows().max(0)));
    if count > MOST_ROWS {
        return Err(invalid(format!("has more than {MOST_ROWS} rows")));
    }
    let wanted = Wanted::new(metadata.file_metadata().schema_descr(), spec).map_err(invalid)?;
    let own = named_file(path);
    let mut table = Table::new(spec.columns.clone());
    let mut odd = Oddities::default();
    let mut number = 0_u64;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(broken)?;
        let mut columns = BTreeMap::new();
        for (field, (name, leaf, kind)) in &wanted.fields {
            let reader = group.get_column_reader(*leaf).map_err(broken)?;
            columns.insert(*field, Cells::new(name, *kind, reader));
        }
        let mut left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        while left > 0 {
            let rows = left.min(ROWS);
            for cells in columns.values_mut() {
                cells.read(rows, number).map_err(invalid)?;
            }
            left -= rows;
            for row in 0..rows {
                number += 1;
                let cell =
                    |field: usize| columns.get(&field).map_or("", |c: &Cells<'_>| c.get(row));
                let here = || Some(Place::at(number));
                if wanted.source.is_some_and(|f| cell(f).trim().is_empty()) {
                    odd.note(Odd::NoSource, 1, here());
                }
                if wanted.key.is_some_and(|f| cell(f).trim().is_empty()) {
                    odd.note(Odd::NoKey, 1, here());
                }
                let source = table.source(wanted.source.map_or(own.as_str(), cell).trim());
                let each = wanted.places.iter().map(|p| p.map_or("", cell));
                match wanted.key {
                    Some(field) => table.push(source, cell(field), each),
                    None => table.push(source, &number.to_string(), each),
                }
            }
        }
    }
    Ok(Part {
        table,
        seen: wanted.places.iter().map(Option::is_some).collect(),
        notes: odd.notes(path, |place| format!("row {}", place.offset)),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jinke_resolution::batch::{Column, Engine, Expert, Mode, Semantic};
    use parquet::{
        data_type::{ByteArray, ByteArrayType, Int64Type},
        file::writer::SerializedFileWriter,
        schema::parser::parse_message_type,
    };

    use super::*;

    fn spec() -> Spec {
        Spec {
            inputs: Vec::new(),
            source: None,
            key: Some("id".into()),
            mode: Mode::Dedupe,
            engine: Engine::Auto,
            columns: vec![Column {
                name: "name".into(),
                semantic: Semantic::OrgName,
            }],
            thresholds: (None, None),
            expert: Expert::default(),
        }
    }

    fn written(path: &Path) {
        let schema = "message m { REQUIRED INT64 id; OPTIONAL BYTE_ARRAY name (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = File::create(path).unwrap();
        let mut out = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
        let mut group = out.next_row_group().unwrap();
        let mut ids = group.next_column().unwrap().unwrap();
        ids.typed::<Int64Type>()
            .write_batch(&[7, 8, 9], None, None)
            .unwrap();
        ids.close().unwrap();
        let mut names = group.next_column().unwrap().unwrap();
        let values = [ByteArray::from("杭州金客"), ByteArray::from("a,b")];
        names
            .typed::<ByteArrayType>()
            .write_batch(&values, Some(&[1, 0, 1]), None)
            .unwrap();
        names.close().unwrap();
        group.close().unwrap();
        out.close().unwrap();
    }

    #[test]
    fn rows_and_missing_values_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("erp.parquet");
        written(&path);
        assert!(is_parquet(&path));
        let Part { table, seen, .. } = read_one(&path, &spec()).unwrap();
        assert_eq!(seen, [true]);
        assert_eq!(table.sources, ["erp"]);
        let rows: Vec<_> = (0..table.len())
            .map(|r| (table.key(r), table.cell(r, 0)))
            .collect();
        assert_eq!(rows, [("7", "杭州金客"), ("8", ""), ("9", "a,b")]);
    }

    #[test]
    fn broken_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("erp.parquet");
        written(&path);
        let whole = std::fs::read(&path).unwrap();
        for cut in [4, 5, 20, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(
                read_one(&path, &spec()).unwrap_err().reason,
                "INPUT_INVALID"
            );
        }
        // A byte wrong anywhere: an error or rows, never an end without a word.
        for at in (4..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            let found = read_one(&path, &spec());
            assert!(found.is_err() || found.is_ok_and(|t| t.table.len() <= 1_000_000));
        }
    }
}
