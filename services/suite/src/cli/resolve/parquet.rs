//! Reading Parquet files into a table, row by row, so that memory stays with the table.

use std::{fs::File, io::Read, panic::AssertUnwindSafe, path::Path};

use jinke_resolution::batch::Table;
use jinke_types::Failure;
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
};

use super::{input::failure, spec::Spec};

/// Most columns of a file.
const MOST_COLUMNS: usize = 4_096;

/// Whether a file begins as Parquet files do.
pub fn is_parquet(path: &Path) -> bool {
    let mut head = [0; 4];
    let read = File::open(path).and_then(|mut f| f.read_exact(&mut head));
    read.is_ok() && head == *b"PAR1"
}

/// Reads one file: its rows, and which columns of the spec it has.
///
/// # Errors
/// `INPUT_UNREADABLE`, `INPUT_INVALID`.
pub fn read(path: &Path, spec: &Spec) -> Result<(Table, Vec<bool>), Failure> {
    // What a broken file does to the decoder must not end the command without a word.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = std::panic::catch_unwind(AssertUnwindSafe(|| rows(path, spec)));
    std::panic::set_hook(hook);
    found.unwrap_or_else(|_| Err(failure(path, "INPUT_INVALID", "is a broken Parquet file")))
}

fn rows(path: &Path, spec: &Spec) -> Result<(Table, Vec<bool>), Failure> {
    let invalid = |m: String| failure(path, "INPUT_INVALID", m);
    let file = File::open(path).map_err(|e| failure(path, "INPUT_UNREADABLE", e))?;
    let reader = SerializedFileReader::new(file).map_err(|e| invalid(e.to_string()))?;
    let schema = reader.metadata().file_metadata().schema();
    let names: Vec<String> = schema
        .get_fields()
        .iter()
        .map(|f| f.name().trim().to_owned())
        .collect();
    if names.len() > MOST_COLUMNS {
        return Err(invalid(format!("has more than {MOST_COLUMNS} columns")));
    }
    let at = |name: &str| names.iter().position(|n| n == name.trim());
    let named = |name: &Option<String>, what: &str| match name {
        None => Ok(None),
        Some(n) => at(n).map(Some).ok_or_else(|| {
            invalid(format!(
                "has no column {n:?}, which the spec names as {what}"
            ))
        }),
    };
    let (source_at, key_at) = (named(&spec.source, "source")?, named(&spec.key, "key")?);
    let places: Vec<Option<usize>> = spec.columns.iter().map(|c| at(&c.name)).collect();
    let own = path
        .file_stem()
        .map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let mut table = Table::new(spec.columns.clone());
    let rows = reader
        .get_row_iter(None)
        .map_err(|e| invalid(e.to_string()))?;
    let mut cells: Vec<String> = Vec::new();
    for (number, row) in (1_u64..).zip(rows) {
        let row: Row = row.map_err(|e| invalid(format!("row {number}: {e}")))?;
        cells.clear();
        cells.extend(row.get_column_iter().map(|(_, field)| text(field)));
        let cell = |i: usize| cells.get(i).map_or("", String::as_str);
        let source = table.source(source_at.map_or(own.as_str(), cell).trim());
        let key = key_at.map_or_else(|| number.to_string(), |i| cell(i).to_owned());
        let each = places.iter().map(|p| p.map_or("", cell));
        table.push(source, &key, each);
    }
    Ok((table, places.iter().map(Option::is_some).collect()))
}

/// A value as a CSV file would hold it; lists and structures have none.
fn text(field: &Field) -> String {
    let day = |days: i64| {
        let epoch = chrono::NaiveDate::default();
        let found = chrono::TimeDelta::try_days(days).and_then(|d| epoch.checked_add_signed(d));
        found.map_or_else(String::new, |d| d.to_string())
    };
    match field {
        Field::Null | Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            String::new()
        }
        Field::Str(s) => s.clone(),
        Field::Bytes(b) => String::from_utf8_lossy(b.data()).into_owned(),
        Field::Date(d) => day(i64::from(*d)),
        Field::TimestampMillis(t) => day(t.div_euclid(86_400_000)),
        Field::TimestampMicros(t) => day(t.div_euclid(86_400_000_000)),
        // A whole number that went through a data frame.
        Field::Double(x) if x.fract() == 0.0 && x.abs() < 1e15 => format!("{x:.0}"),
        Field::Float(x) if x.fract() == 0.0 && x.abs() < 1e7 => format!("{x:.0}"),
        other => other.to_string(),
    }
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
        let (table, seen) = read(&path, &spec()).unwrap();
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
            assert_eq!(read(&path, &spec()).unwrap_err().reason, "INPUT_INVALID");
        }
        // A byte wrong anywhere: an error or rows, never an end without a word.
        for at in (4..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            let found = read(&path, &spec());
            assert!(found.is_err() || found.is_ok_and(|t| t.0.len() <= 1_000_000));
        }
    }
}
