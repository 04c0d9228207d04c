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
    /// Its rows.
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
        data_type::{
            BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray,
            FixedLenByteArrayType, FloatType, Int32Type, Int64Type, Int96, Int96Type,
        },
        file::writer::SerializedFileWriter,
        schema::parser::parse_message_type,
    };

    use super::*;

    fn spec() -> Spec {
        Spec {
            inputs: Vec::new(),
            source: None,
            key: Some("id".into()),
            mode: Some(Mode::Dedupe),
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

    /// A column of required values of a physical type.
    macro_rules! column {
        ($group:expr, $kind:ty, $values:expr) => {
            let mut column = $group.next_column().unwrap().unwrap();
            column
                .typed::<$kind>()
                .write_batch(&$values, None, None)
                .unwrap();
            column.close().unwrap();
        };
    }

    fn spec_of(columns: &[&str]) -> Spec {
        let column = |name: &&str| Column {
            name: (*name).into(),
            semantic: Semantic::Text,
        };
        Spec {
            columns: columns.iter().map(column).collect(),
            ..spec()
        }
    }

    #[test]
    fn values_are_those_a_csv_file_would_hold() {
        let schema = "message m {
            REQUIRED INT64 id (DECIMAL(18,0)); REQUIRED INT64 nanos (TIMESTAMP(NANOS,true));
            REQUIRED INT64 micros (TIMESTAMP(MICROS,false)); REQUIRED INT64 millis (TIMESTAMP_MILLIS);
            REQUIRED INT96 old; REQUIRED INT32 day (DATE); REQUIRED INT64 time (TIME(MICROS,true));
            REQUIRED INT32 price (DECIMAL(9,2)); REQUIRED BYTE_ARRAY large (DECIMAL(20,3));
            REQUIRED FIXED_LEN_BYTE_ARRAY(16) uuid (UUID); REQUIRED FIXED_LEN_BYTE_ARRAY(2) half (FLOAT16);
            REQUIRED FIXED_LEN_BYTE_ARRAY(3) fixed; REQUIRED BYTE_ARRAY bytes;
            REQUIRED INT32 small (INTEGER(8,false)); REQUIRED INT64 large_whole (INTEGER(64,false));
            REQUIRED BOOLEAN flag; REQUIRED DOUBLE double; REQUIRED FLOAT single;
            REQUIRED group list (LIST) { REPEATED group list { REQUIRED INT32 element; } }
            REQUIRED FIXED_LEN_BYTE_ARRAY(12) span (INTERVAL); }";
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("all.parquet");
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = File::create(&path).unwrap();
        let mut out = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
        let mut group = out.next_row_group().unwrap();
        let bytes = |b: &[u8]| ByteArray::from(b.to_vec());
        let fixed = |b: &[u8]| FixedLenByteArray::from(b.to_vec());
        let int96 = |day: i64, nanos: u64| {
            let mut value = Int96::new();
            value.set_data(nanos as u32, (nanos >> 32) as u32, (day + 2_440_588) as u32);
            value
        };
        let day = 19_848_i64;
        let midnight = day * 86_400;
        column!(group, Int64Type, [7, -8]);
        column!(group, Int64Type, [midnight * 1_000_000_000, -1]);
        column!(group, Int64Type, [midnight * 1_000_000, i64::MAX]);
        column!(
            group,
            Int64Type,
            [midnight * 1_000, (midnight + 49_500) * 1_000]
        );
        column!(
            group,
            Int96Type,
            [int96(day, 0), int96(day, 49_500_000_000_000)]
        );
        column!(group, Int32Type, [day as i32, -1]);
        column!(group, Int64Type, [49_500_000_001, -5]);
        column!(group, Int32Type, [1_200, -5]);
        column!(group, ByteArrayType, [bytes(&[1, 0]), bytes(&[0xff])]);
        let uuid: Vec<u8> = (0..16).collect();
        column!(
            group,
            FixedLenByteArrayType,
            [fixed(&uuid), fixed(&[0xff; 16])]
        );
        column!(
            group,
            FixedLenByteArrayType,
            [fixed(&[0, 0x3e]), fixed(&[0, 0xc0])]
        );
        column!(
            group,
            FixedLenByteArrayType,
            [fixed(b"abc"), fixed(&[0, 1, 0xff])]
        );
        column!(
            group,
            ByteArrayType,
            [bytes("金客".as_bytes()), bytes(&[0xe9, 0x87])]
        );
        column!(group, Int32Type, [200, 255]);
        column!(group, Int64Type, [1, -1]);
        column!(group, BoolType, [true, false]);
        column!(group, DoubleType, [-1.5, f64::NAN]);
        column!(group, FloatType, [5.0, 0.1]);
        let mut list = group.next_column().unwrap().unwrap();
        list.typed::<Int32Type>()
            .write_batch(&[1, 2, 3], Some(&[1, 1, 1]), Some(&[0, 1, 0]))
            .unwrap();
        list.close().unwrap();
        column!(
            group,
            FixedLenByteArrayType,
            [fixed(&[0; 12]), fixed(&[1; 12])]
        );
        group.close().unwrap();
        out.close().unwrap();
        let expected = [
            ("nanos", "2024-05-05", "1969-12-31 23:59:59.999999999"),
            ("micros", "2024-05-05", "9223372036854775807"),
            ("millis", "2024-05-05", "2024-05-05 13:45:00"),
            ("old", "2024-05-05", "2024-05-05 13:45:00"),
            ("day", "2024-05-05", "1969-12-31"),
            ("time", "13:45:00.000001", "-5"),
            ("price", "12.00", "-0.05"),
            ("large", "0.256", "-0.001"),
            (
                "uuid",
                "00010203-0405-0607-0809-0a0b0c0d0e0f",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
            ),
            ("half", "1.5", "-2"),
            ("fixed", "abc", "0001ff"),
            ("bytes", "金客", "e987"),
            ("small", "200", "255"),
            ("large_whole", "1", "18446744073709551615"),
            ("flag", "true", "false"),
            ("double", "-1.5", ""),
            ("single", "5", "0.1"),
        ];
        for (name, first, second) in expected {
            let part = read_one(&path, &spec_of(&[name])).unwrap();
            assert_eq!((part.table.key(0), part.table.key(1)), ("7", "-8"));
            let cells = (part.table.cell(0, 0), part.table.cell(1, 0));
            assert_eq!(cells, (first, second), "{name}");
        }
        // Only a column that is needed has to have text.
        for (name, what) in [("list", "lists"), ("span", "INTERVAL")] {
            let message = read_one(&path, &spec_of(&["nanos", name]))
                .unwrap_err()
                .message;
            assert!(
                message.contains(name) && message.contains(what),
                "{message}"
            );
        }
    }

    #[test]
    fn what_has_no_text_and_what_is_empty_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        let schema =
            "message m { REQUIRED BYTE_ARRAY id (UTF8); REQUIRED BYTE_ARRAY name (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let write = |ids: [&str; 3], last: &[u8]| {
            let file = File::create(&path).unwrap();
            let mut out =
                SerializedFileWriter::new(file, schema.clone(), Default::default()).unwrap();
            let mut group = out.next_row_group().unwrap();
            column!(group, ByteArrayType, ids.map(ByteArray::from));
            let names = [&b"a"[..], b"b", last].map(|n| ByteArray::from(n.to_vec()));
            column!(group, ByteArrayType, names);
            group.close().unwrap();
            out.close().unwrap();
        };
        write(["1", " ", ""], b"c");
        let notes = read_one(&path, &spec()).unwrap().notes;
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(
            notes[0].contains("key is empty: 2, the first in row 2"),
            "{notes:?}"
        );
        write(["1", "2", "3"], b"\xff");
        let message = read_one(&path, &spec()).unwrap_err().message;
        assert!(
            message.contains("\"name\", row 3: text that is not UTF-8"),
            "{message}"
        );
        let message = read_one(&path, &spec_of(&["other"])).unwrap_err().message;
        assert!(message.contains("none of the columns"), "{message}");
    }

    #[test]
    fn broken_files_read_side_by_side_leave_the_words_of_others_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("erp.parquet");
        written(&path);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[40] ^= 0x55;
        let broken = dir.path().join("broken.parquet");
        std::fs::write(&broken, bytes).unwrap();
        let paths: Vec<&Path> = [path.as_path(), &broken].repeat(50);
        let found = read(&paths, &spec(), 8);
        assert_eq!(found.len(), 100);
        assert!(found.iter().step_by(2).all(Result::is_ok));
        assert!(!READS.get(), "a panic of this thread has words again");
    }
}
