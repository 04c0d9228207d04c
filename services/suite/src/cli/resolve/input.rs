//! Reading files into a table: CSV in UTF-8 or GB18030, of which GBK is a part, and Parquet.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use encoding_rs::GB18030;
use jinke_resolution::batch::{Column, Table, parallel};
use jinke_types::{Code, Failure};

use super::{parquet, spec::Spec};

/// Longest row, in bytes, so that a file with an open quote does not fill the memory.
const LONGEST_ROW: usize = 16 << 20;

pub(super) fn failure(
    path: &Path,
    reason: &'static str,
    message: impl std::fmt::Display,
) -> Failure {
    let code = if reason == "INPUT_UNREADABLE" {
        Code::NotFound
    } else {
        Code::InvalidArgument
    };
    Failure::new(code, reason, format!("{}: {message}", path.display()))
}

/// Reads all inputs of a spec, several at a time. Rows are in the order of inputs.
///
/// # Errors
/// `INPUT_UNREADABLE`, `INPUT_INVALID`: the file and what is wrong.
pub fn read(spec: &Spec, threads: usize) -> Result<Table, Failure> {
    let mut seen = vec![false; spec.columns.len()];
    let parts = parallel::map(threads, spec.inputs.len(), |i| one(&spec.inputs[i], spec));
    let mut table = Table::new(spec.columns.clone());
    for part in parts {
        let (part, found) = part?;
        for (s, f) in seen.iter_mut().zip(found) {
            *s |= f;
        }
        if table.is_empty() {
            table = part;
        } else {
            table.append(&part);
        }
    }
    if let Some(i) = seen.iter().position(|s| !s) {
        return Err(Failure::new(
            Code::InvalidArgument,
            "INPUT_INVALID",
            format!(
                "no input has the column {:?} of the spec",
                spec.columns[i].name
            ),
        ));
    }
    Ok(table)
}

/// A column of a file as text.
pub fn text(bytes: &[u8], utf8: bool) -> Cow<'_, str> {
    if utf8 {
        String::from_utf8_lossy(bytes)
    } else {
        GB18030.decode_without_bom_handling(bytes).0
    }
}

/// Opens a CSV file: whether it is UTF-8, and a reader that takes what separates fields from
/// the first line.
pub fn open(path: &Path) -> Result<(bool, csv::Reader<BufReader<File>>), Failure> {
    let unreadable = |e: std::io::Error| failure(path, "INPUT_UNREADABLE", e);
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(failure(path, "INPUT_UNREADABLE", "is no file"));
    }
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let first = reader.fill_buf().map_err(unreadable)?;
    if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
        return Err(failure(
            path,
            "INPUT_INVALID",
            "is UTF-16; save it as UTF-8 or GBK",
        ));
    }
    if first.starts_with(b"PAR1") || first.starts_with(b"PK\x03\x04") {
        return Err(failure(path, "INPUT_INVALID", "is no CSV file"));
    }
    let mark = if first.starts_with(&[0xef, 0xbb, 0xbf]) {
        3
    } else {
        0
    };
    let line = first[mark..]
        .split(|b| *b == b'\n')
        .next()
        .unwrap_or_default();
    let delimiter = [b',', b'\t', b';', b'|']
        .into_iter()
        .max_by_key(|d| (line.iter().filter(|b| *b == d).count(), *d == b','))
        .unwrap_or(b',');
    let utf8 = is_utf8(&mut reader).map_err(unreadable)?;
    let mut file = reader.into_inner();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(mark as u64)).map_err(unreadable)?;
    let csv = csv::ReaderBuilder::new()
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(BufReader::with_capacity(1 << 18, file));
    Ok((utf8, csv))
}

/// Whether all of a file is UTF-8, in one pass with little memory.
fn is_utf8(reader: &mut impl BufRead) -> std::io::Result<bool> {
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok(rest.is_empty());
        }
        let n = piece.len();
        let bytes = if rest.is_empty() {
            Cow::Borrowed(piece)
        } else {
            rest.extend_from_slice(piece);
            Cow::Owned(std::mem::take(&mut rest))
        };
        match std::str::from_utf8(&bytes) {
            Ok(_) => {}
            // The piece may end within a character.
            Err(e) if e.error_len().is_none() => rest = bytes[e.valid_up_to()..].to_vec(),
            Err(_) => return Ok(false),
        }
        reader.consume(n);
    }
}

/// Reads one file: its rows, and which columns of the spec it has.
fn one(path: &Path, spec: &Spec) -> Result<(Table, Vec<bool>), Failure> {
    if parquet::is_parquet(path) {
        return parquet::read(path, spec);
    }
    let (utf8, mut reader) = open(path)?;
    let invalid = |m: String| failure(path, "INPUT_INVALID", m);
    let header: HashMap<String, usize> = {
        let names = reader.byte_headers().map_err(|e| invalid(e.to_string()))?;
        let each = names.iter().enumerate();
        // Of two columns of one name the first counts.
        each.rev()
            .map(|(i, n)| (text(n, utf8).trim().to_owned(), i))
            .collect()
    };
    let named = |name: &Option<String>, what: &str| match name {
        None => Ok(None),
        Some(n) => match header.get(n.trim()) {
            Some(i) => Ok(Some(*i)),
            None => Err(invalid(format!(
                "has no column {n:?}, which the spec names as {what}"
            ))),
        },
    };
    let source_at = named(&spec.source, "source")?;
    let key_at = named(&spec.key, "key")?;
    let places: Vec<Option<usize>> = spec
        .columns
        .iter()
        .map(|c: &Column| header.get(c.name.trim()).copied())
        .collect();
    let mut table = Table::new(spec.columns.clone());
    let own = path
        .file_stem()
        .map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let mut last: Option<(String, u32)> = None;
    let mut row = csv::ByteRecord::new();
    let mut number = 0_u64;
    while reader
        .read_byte_record(&mut row)
        .map_err(|e| invalid(e.to_string()))?
    {
        number += 1;
        if row.as_slice().len() > LONGEST_ROW {
            return Err(invalid(format!(
                "row {number} is longer than {LONGEST_ROW} bytes; is a quote left open?"
            )));
        }
        let get = |i: usize| text(row.get(i).unwrap_or_default(), utf8);
        let name = source_at.map_or(Cow::Borrowed(own.as_str()), get);
        let source = match &last {
            Some((n, s)) if *n == name.trim() => *s,
            _ => {
                let s = table.source(name.trim());
                last = Some((name.trim().to_owned(), s));
                s
            }
        };
        let key = key_at.map_or_else(|| Cow::Owned(number.to_string()), get);
        let cells: Vec<Cow<'_, str>> = places
            .iter()
            .map(|p| p.map_or(Cow::Borrowed(""), get))
            .collect();
        table.push(source, &key, cells.iter().map(AsRef::as_ref));
    }
    Ok((table, places.iter().map(Option::is_some).collect()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use jinke_resolution::batch::{Engine, Expert, Mode, Semantic};

    use super::*;

    fn spec(inputs: Vec<PathBuf>) -> Spec {
        let column = |name: &str, semantic| Column {
            name: name.into(),
            semantic,
        };
        Spec {
            inputs,
            source: None,
            key: Some("编号".into()),
            mode: Mode::Dedupe,
            engine: Engine::Auto,
            columns: vec![
                column("名称", Semantic::OrgName),
                column("电话", Semantic::Phone),
            ],
            thresholds: (None, None),
            expert: Expert::default(),
        }
    }

    fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn reads_utf8_and_gbk_with_any_separator() {
        let dir = tempfile::tempdir().unwrap();
        let text = "编号;名称;电话\r\n1;\"杭州;金客\";138\r\n2;镕基\r\n";
        let gbk = GB18030.encode(text).0;
        let marked = [
            b"\xef\xbb\xbf".as_slice(),
            text.replace(';', ",").as_bytes(),
        ]
        .concat();
        let inputs = vec![
            file(dir.path(), "erp.csv", &gbk),
            file(dir.path(), "crm.csv", &marked),
        ];
        let table = read(&spec(inputs), 2).unwrap();
        assert_eq!(table.len(), 4);
        assert_eq!(table.sources, ["erp", "crm"]);
        assert_eq!((table.key(0), table.cell(0, 0)), ("1", "杭州;金客"));
        assert_eq!((table.cell(1, 0), table.cell(1, 1)), ("镕基", ""));
        assert_eq!(table.cell(2, 0), "杭州,金客");
    }

    #[test]
    fn hostile_files_are_refused_or_read_and_never_panic() {
        let dir = tempfile::tempdir().unwrap();
        let fails = |name: &str, bytes: &[u8]| {
            let path = file(dir.path(), name, bytes);
            read(&spec(vec![path]), 1).unwrap_err()
        };
        assert_eq!(fails("a.csv", b"\xff\xfe1\x00").reason, "INPUT_INVALID");
        assert_eq!(fails("b.csv", b"PAR1....").reason, "INPUT_INVALID");
        assert_eq!(fails("b2.csv", b"PK\x03\x04..").reason, "INPUT_INVALID");
        assert_eq!(fails("c.csv", b"").reason, "INPUT_INVALID");
        let other = "编号,名称\n1,a\n".as_bytes();
        assert!(fails("d.csv", other).message.contains("电话"));
        assert!(
            fails("e.csv", "名称,电话\n".as_bytes())
                .message
                .contains("编号")
        );
        let missing = read(&spec(vec![dir.path().join("none.csv")]), 1).unwrap_err();
        assert_eq!(missing.reason, "INPUT_UNREADABLE");
        let folder = read(&spec(vec![dir.path().to_owned()]), 1).unwrap_err();
        assert_eq!(folder.reason, "INPUT_UNREADABLE");
        // An open quote, too many fields, bytes of no encoding: read for what they are.
        let odd = [
            "编号,名称,电话\n1,\"open,2\n3,x\n".as_bytes(),
            b"\xff\xff\x80,\x00\n",
        ]
        .concat();
        let path = file(dir.path(), "f.csv", &odd);
        let outcome = read(&spec(vec![path]), 1);
        assert!(outcome.is_err() || outcome.is_ok_and(|t| t.len() <= 3));
    }
}
