//! Reading files into a table: CSV in UTF-8 or GB18030, of which GBK is a part, and Parquet.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::{Path, PathBuf},
};

use jinke_resolution::batch::Table;
use jinke_types::{Code, Failure};

use super::{
    odd::Odd,
    open::place_of,
    parquet,
    rows::{self, Rows},
    spec::Spec,
};
use crate::print::text;

/// What is wrong with a file.
pub(in crate::cli) fn failure(
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

/// A table as it was read.
pub struct Read {
    /// The rows.
    pub table: Table,
    /// What is odd about the files, yet no reason to refuse them: a line for each.
    pub notes: Vec<String>,
}

impl Read {
    /// The table, once standard error has the notes.
    pub fn told(self) -> Table {
        tell(&self.notes);
        self.table
    }
}

/// Writes notes to standard error.
pub fn tell(notes: &[String]) {
    for note in notes {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(io::stderr(), "{}", text::clean(note));
    }
}

/// Reads all inputs of a spec, on several threads. Rows are in the order of inputs.
///
/// # Errors
/// `INPUT_UNREADABLE`, `INPUT_INVALID`: the file and what is wrong.
pub fn read(spec: &Spec, threads: usize) -> Result<Read, Failure> {
    each_once(&spec.inputs)?;
    let is_parquet: Vec<bool> = spec.inputs.iter().map(|p| parquet::is_parquet(p)).collect();
    let of_kind = |wanted: bool| -> Vec<&Path> {
        let each = spec.inputs.iter().zip(&is_parquet);
        each.filter(|(_, is)| **is == wanted)
            .map(|(p, _)| p.as_path())
            .collect()
    };
    let mut parquet = parquet::read(&of_kind(true), spec, threads).into_iter();
    let plan = |path: &Path, header: &[String]| Plan::new(path, header, spec);
    let (csv, mut notes) = rows::read(&of_kind(false), threads, plan, Plan::table)?;
    let mut csv = csv.into_iter();
    let mut seen = vec![false; spec.columns.len()];
    let mut table = Table::new(spec.columns.clone());
    for is_parquet in is_parquet {
        let found = if is_parquet {
            let Some(part) = parquet.next() else { continue };
            let part = part?;
            table.append(part.table);
            notes.extend(part.notes);
            part.seen
        } else {
            let Some((plan, parts)) = csv.next() else {
                continue;
            };
            plan.append(&mut table, parts);
            plan.places.iter().map(Option::is_some).collect()
        };
        for (s, f) in seen.iter_mut().zip(found) {
            *s |= f;
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
    Ok(Read { table, notes })
}

/// Whether no file is named twice: its rows would all be there twice.
fn each_once(inputs: &[PathBuf]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for path in inputs {
        // What is not there is told when it is opened.
        let Ok(real) = path.canonicalize() else {
            continue;
        };
        if !seen.insert(real) {
            return Err(failure(path, "INPUT_INVALID", "is named twice in the spec"));
        }
    }
    Ok(())
}

/// A file's own name, its source when no column names one.
pub fn named_file(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |s| s.to_string_lossy().into_owned())
}

/// What of a CSV file is read: the places of columns in it.
struct Plan<'a> {
    spec: &'a Spec,
    /// The file's own name, its source when no column names one.
    own: String,
    source: Option<usize>,
    key: Option<usize>,
    places: Vec<Option<usize>>,
}

impl<'a> Plan<'a> {
    fn new(path: &Path, header: &[String], spec: &'a Spec) -> Result<Self, Failure> {
        if header.is_empty() {
            return Err(failure(path, "INPUT_INVALID", "has no header"));
        }
        let invalid = |message: String| failure(path, "INPUT_INVALID", message);
        let at = |name: &str| place_of(header, name).map_err(invalid);
        let named = |name: &Option<String>, what: &str| match name {
            None => Ok(None),
            Some(n) => at(n)?.map(Some).ok_or_else(|| {
                let message = format!("has no column {n:?}, which the spec names as {what}");
                invalid(message)
            }),
        };
        let places: Result<Vec<_>, Failure> = spec.columns.iter().map(|c| at(&c.name)).collect();
        let places: Vec<Option<usize>> = places?;
        if places.iter().all(Option::is_none) {
            return Err(invalid("has none of the columns of the spec".into()));
        }
        Ok(Self {
            spec,
            own: named_file(path),
            source: named(&spec.source, "source")?,
            key: named(&spec.key, "key")?,
            places,
        })
    }

    /// The rows of a piece of the file.
    fn table(&self, rows: &mut Rows<'_>) -> Table {
        let mut table = Table::new(self.spec.columns.clone());
        let mut last: Option<(String, u32)> = None;
        while rows.advance() {
            let is_empty =
                |place: Option<usize>| place.is_some_and(|i| rows.get(i).trim().is_empty());
            let (no_source, no_key) = (is_empty(self.source), is_empty(self.key));
            if no_source {
                rows.odd(Odd::NoSource);
            }
            if no_key {
                rows.odd(Odd::NoKey);
            }
            let name = self
                .source
                .map_or(self.own.as_str(), |i| rows.get(i))
                .trim();
            let source = match &last {
                Some((n, s)) if n == name => *s,
                _ => {
                    let s = table.source(name);
                    last = Some((name.to_owned(), s));
                    s
                }
            };
            let cell = |p: &Option<usize>| p.map_or("", |i| rows.get(i));
            table.push(source, cell(&self.key), self.places.iter().map(cell));
        }
        table
    }

    /// Adds the pieces of the file. Rows without a key are known by their number.
    fn append(&self, table: &mut Table, pieces: Vec<Table>) {
        if self.key.is_some() {
            pieces.into_iter().for_each(|p| table.append(p));
            return;
        }
        let mut number = 0_u64;
        for piece in pieces {
            let sources: Vec<u32> = piece.sources.iter().map(|s| table.source(s)).collect();
            for row in 0..piece.len() {
                number += 1;
                let source = sources[piece.source_of(row) as usize];
                let cells = (0..piece.columns.len()).map(|c| piece.cell(row, c));
                table.push(source, &number.to_string(), cells);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::GB18030;
    use jinke_resolution::batch::{Column, Engine, Expert, Mode, Semantic};

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
            mode: Some(Mode::Dedupe),
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

    fn wrong(spec: &Spec) -> Failure {
        read(spec, 1).map(|r| r.notes).unwrap_err()
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
        let table = read(&spec(inputs), 2).unwrap().table;
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
            wrong(&spec(vec![path]))
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
        let missing = wrong(&spec(vec![dir.path().join("none.csv")]));
        assert_eq!(missing.reason, "INPUT_UNREADABLE");
        let folder = wrong(&spec(vec![dir.path().to_owned()]));
        assert_eq!(folder.reason, "INPUT_UNREADABLE");
        // An open quote, bytes of no encoding.
        let odd = [
            "编号,名称,电话\n1,\"open,2\n3,x\n".as_bytes(),
            b"\xff\xff\x80,\x00\n",
        ]
        .concat();
        let refused = fails("f.csv", &odd);
        assert!(refused.message.contains("line 4"), "{refused:?}");
    }

    fn told(spec: &Spec) -> (Table, Vec<String>) {
        let read = read(spec, 2).unwrap();
        (read.table, read.notes)
    }

    /// A file of many pieces.
    fn long() -> String {
        let row = |i: u32| format!("{i},杭州金客科技有限公司{i},0571\n");
        let rows: String = (0..60_000).map(row).collect();
        format!("编号,名称,电话\n{rows}")
    }

    #[test]
    fn one_broken_byte_is_found_and_no_row_is_read_as_gbk() {
        let dir = tempfile::tempdir().unwrap();
        for mark in [&b""[..], b"\xef\xbb\xbf"] {
            let mut bytes = [mark, long().as_bytes()].concat();
            assert!(bytes.len() > 2 << 20, "several pieces");
            let whole = file(dir.path(), "a.csv", &bytes);
            assert_eq!(told(&spec(vec![whole])).0.len(), 60_000);
            // In line 50,002: the second byte of a character.
            let at = bytes.windows(6).position(|w| w == b"\n50000").unwrap() + 8;
            bytes[at] = b'x';
            let refused = wrong(&spec(vec![file(dir.path(), "b.csv", &bytes)]));
            assert_eq!(refused.reason, "INPUT_INVALID");
            for part in ["b.csv", "UTF-8", "line 50002,", &format!("byte {at} ")] {
                assert!(refused.message.contains(part), "{part}: {refused:?}");
            }
        }
        let gbk = GB18030.encode(&long()).0.into_owned();
        let (table, notes) = told(&spec(vec![file(dir.path(), "c.csv", &gbk)]));
        assert_eq!(table.cell(59_999, 0), "杭州金客科技有限公司59999");
        assert_eq!((table.len(), notes.len()), (60_000, 0));
        let torn = [&gbk, &b"1,\xff,\n"[..]].concat();
        let refused = wrong(&spec(vec![file(dir.path(), "d.csv", &torn)]));
        for part in ["looks like GBK", "sequences: 1,", "line 60002,"] {
            assert!(refused.message.contains(part), "{part}: {refused:?}");
        }
    }

    #[test]
    fn a_quote_left_open_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let begin = long();
        for (n, (end, line)) in [
            ("7,\"open,2\r\n8,x,\r\n", 60_002),
            ("7,\"a\nb\",\n8,\"\"\"open\n", 60_004),
            ("7,x,\"", 60_002),
        ]
        .into_iter()
        .enumerate()
        {
            let utf8 = format!("{begin}{end}");
            let gbk = GB18030.encode(&utf8).0.into_owned();
            for bytes in [utf8.as_bytes(), &gbk] {
                let path = file(dir.path(), &format!("{n}.csv"), bytes);
                let message = wrong(&spec(vec![path])).message;
                let expected = format!("a quote opened in line {line} is never closed");
                assert!(message.contains(&expected), "{message}");
            }
        }
        // The last quote of a file ends its field.
        let text = "编号,名称,电话\n1,a,\"2\"";
        let (table, notes) = told(&spec(vec![file(dir.path(), "e.csv", text.as_bytes())]));
        assert_eq!((table.cell(0, 1), notes.len()), ("2", 0));
        let text = "\"编号,名称,电话\n1,a,2\n";
        let message = wrong(&spec(vec![file(dir.path(), "f.csv", text.as_bytes())])).message;
        assert!(message.contains("line 1 is never closed"), "{message}");
    }

    #[test]
    fn odd_rows_are_told_once_for_each_file() {
        let dir = tempfile::tempdir().unwrap();
        let text = "编号,名称,电话\n1,a,2,\n2,a,b,c\n\n3,\"x\r\ny\",1,2\n4,a\n,b,\n6,\"a\"b,\0\n";
        let (table, notes) = told(&spec(vec![file(dir.path(), "a.csv", text.as_bytes())]));
        assert_eq!(table.len(), 6);
        let expected = [
            "more fields than the header: 2, the first in line 3;",
            "fewer fields than the header: 1, the first in line 7",
            "behind a closing quote: 1, the first in line 9;",
            "key is empty: 1, the first in line 8",
            "NUL bytes: 1, the first in line 9",
        ];
        assert_eq!(notes.len(), expected.len(), "{notes:#?}");
        for (note, part) in notes.iter().zip(expected) {
            assert!(note.contains(part) && note.contains("a.csv"), "{note}");
        }
    }

    #[test]
    fn what_could_be_meant_in_two_ways_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let text = "编号,名称,名称,电话,备注,备注\n1,a,b,2,,\n";
        let path = file(dir.path(), "a.csv", text.as_bytes());
        let message = wrong(&spec(vec![path.clone()])).message;
        assert!(message.contains("two columns \"名称\""), "{message}");
        let good = text.replacen("名称", "简称", 1);
        std::fs::write(&path, good).unwrap();
        assert_eq!(told(&spec(vec![path.clone()])).0.cell(0, 0), "b");
        let same = dir.path().join(".").join("a.csv");
        let message = wrong(&spec(vec![path.clone(), same])).message;
        assert!(message.contains("named twice"), "{message}");
        let wide: Vec<u8> = "编号,名称,电话\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for bytes in [wide, b"id\0,name\n".to_vec()] {
            std::fs::write(&path, bytes).unwrap();
            let failure = wrong(&spec(vec![path.clone()]));
            assert_eq!(failure.reason, "INPUT_INVALID", "{failure:?}");
        }
    }

    #[test]
    fn long_rows_and_headers_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "a.csv", &vec![b'x'; 3 << 20]);
        let message = wrong(&spec(vec![path.clone()])).message;
        assert!(message.contains("header longer than"), "{message}");
        let long = [long().as_bytes(), b"1,\"", &vec![b'x'; 17 << 20]].concat();
        std::fs::write(&path, long).unwrap();
        let message = wrong(&spec(vec![path])).message;
        assert!(message.contains("row in line 60002 is longer"), "{message}");
    }
}
