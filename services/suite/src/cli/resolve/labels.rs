//! Labels of rows from a file: the entities of a known truth, or the clusters of an earlier run.

use std::{collections::HashMap, path::Path};

use jinke_resolution::batch::{Table, parallel::hash};
use jinke_types::Failure;

use super::{
    input::failure,
    names::{name_hash, shown, source_of},
    open::{Place, line_of, place_of},
    rows::{self, Rows},
};

/// A label for every row of a table.
#[derive(Debug)]
pub struct Labels {
    /// By row; a row without a line has a label of its own.
    pub of: Vec<usize>,
    /// Rows that have a line, rows that have none, and lines that belong to no row.
    pub matched: usize,
    pub rows_without: usize,
    pub lines_without: usize,
    /// What is to be said of the file.
    pub notes: Vec<String>,
}

impl Labels {
    /// The counts for the line of JSON.
    pub fn counts(&self) -> serde_json::Value {
        serde_json::json!({
            "matched": self.matched,
            "rows_without": self.rows_without,
            "lines_without": self.lines_without,
        })
    }
}

/// Which columns of the file count.
#[derive(Clone, Copy)]
struct Columns {
    source: Option<usize>,
    key: usize,
    label: usize,
    /// Whether the labels are clusters of an earlier run, in which every record has a line.
    is_clusters: bool,
}

impl Columns {
    fn new(header: &[String]) -> Result<Self, String> {
        let one_of = |a: &str, b: &str| match (place_of(header, a)?, place_of(header, b)?) {
            (Some(_), Some(_)) => Err(format!(
                "has a column {a} and a column {b}; which is meant?"
            )),
            (None, None) => Err(format!(
                "has no column {a} or {b}; a file of labels has the columns source, source_id and \
                 entity_id (or cluster_id), or without source where keys alone name the rows"
            )),
            (first, second) => Ok(first.or(second).unwrap_or_default()),
        };
        Ok(Self {
            source: place_of(header, "source")?,
            key: one_of("source_id", "record_id")?,
            label: one_of("entity_id", "cluster_id")?,
            is_clusters: place_of(header, "cluster_id")?.is_some(),
        })
    }

    fn name(&self, rows: &Rows<'_>) -> u64 {
        let key = rows.get(self.key).trim();
        match self.source {
            Some(source) => name_hash(rows.get(source).trim(), key),
            None => hash(2, key.as_bytes()),
        }
    }

    fn name_of(&self, table: &Table, row: usize) -> u64 {
        match self.source {
            Some(_) => name_hash(source_of(table, row), table.key(row)),
            None => hash(2, table.key(row).as_bytes()),
        }
    }
}

/// The lines of a piece: name of the record and its label, and the first line without a label.
type Lines = (Vec<(u64, String)>, Option<Place>);

fn lines(columns: &Columns, rows: &mut Rows<'_>) -> Lines {
    let (mut out, mut unlabelled) = (Vec::new(), None);
    while rows.advance() {
        let label = rows.get(columns.label).trim();
        if label.is_empty() && unlabelled.is_none() {
            unlabelled = Some(rows.place());
        }
        out.push((columns.name(rows), label.to_owned()));
    }
    (out, unlabelled)
}

/// What a file says of one name.
struct Named {
    label: usize,
    lines: usize,
    /// Rows of that name, and the source of the first.
    rows: usize,
    source: u32,
}

/// A line of the file as it is written.
struct Line {
    record: String,
    label: String,
    at: Place,
}

/// At most so many characters of a value are shown.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Lines of the file that `wanted` names; read anew, which only happens when something is wrong.
fn found(
    path: &Path,
    wanted: impl Fn(u64) -> bool + Sync,
    columns: impl Fn(&Path, &[String]) -> Result<Columns, Failure>,
) -> Result<Vec<Line>, Failure> {
    let take = |columns: &Columns, rows: &mut Rows<'_>| {
        let mut out: Vec<Line> = Vec::new();
        while rows.advance() {
            if !wanted(columns.name(rows)) {
                continue;
            }
            let label = short(rows.get(columns.label).trim());
            // The first of each label is enough.
            if out.iter().take(2).any(|l| l.label == label) || out.len() > 1 {
                continue;
            }
            let key = short(rows.get(columns.key).trim());
            let record = match columns.source {
                Some(source) => shown(&short(rows.get(source).trim()), &key),
                None => format!("key {key:?}"),
            };
            out.push(Line {
                record,
                label,
                at: rows.place(),
            });
        }
        out
    };
    let (files, _) = rows::read(&[path], 1, columns, take)?;
    Ok(files.into_iter().flat_map(|f| f.1).flatten().collect())
}

/// The label of every row by a file with the columns `source`, `source_id` and `entity_id`, in any
/// order; for clusters of an earlier run `cluster_id`. Without `source` the key alone names a row,
/// and may then name rows of one source only. Rows without a line stand alone.
///
/// # Errors
/// `INPUT_UNREADABLE`, `INPUT_INVALID`.
pub fn of(path: &Path, table: &Table, threads: usize) -> Result<Labels, Failure> {
    let invalid = |m: String| failure(path, "INPUT_INVALID", m);
    let plan = |_: &Path, header: &[String]| Columns::new(header).map_err(invalid);
    let (files, mut notes) = rows::read(&[path], threads, plan, lines)?;
    let Some((columns, pieces)) = files.into_iter().next() else {
        return Err(invalid("was not read".into()));
    };
    if let Some(at) = pieces.iter().find_map(|p| p.1) {
        let line = line_of(path, at);
        return Err(invalid(format!("line {line} names a record and no entity")));
    }
    let two_labels = |name: u64| {
        let lines = found(path, |n| n == name, plan)?;
        let a = lines.first();
        let b = lines.iter().find(|l| a.is_some_and(|a| a.label != l.label));
        let message = match (a, b) {
            (Some(a), Some(b)) => format!(
                "names one record twice ({}): {:?} in line {}, {:?} in line {}",
                a.record,
                a.label,
                line_of(path, a.at),
                b.label,
                line_of(path, b.at)
            ),
            _ => "names one record twice".into(),
        };
        Err(invalid(message))
    };
    let mut labels: HashMap<String, usize> = HashMap::new();
    let mut names: HashMap<u64, Named> = HashMap::new();
    // All labels of a name that has several.
    let mut several: HashMap<u64, Vec<usize>> = HashMap::new();
    for (name, label) in pieces.into_iter().flat_map(|p| p.0) {
        let next = labels.len();
        let label = *labels.entry(label).or_insert(next);
        let named = names.entry(name).or_insert(Named {
            label,
            lines: 0,
            rows: 0,
            source: 0,
        });
        named.lines += 1;
        if named.label != label && !columns.is_clusters {
            return two_labels(name);
        }
        if named.lines > 1 && columns.is_clusters {
            let first = named.label;
            several
                .entry(name)
                .or_insert_with(|| vec![first])
                .push(label);
        }
    }
    let mut of = Vec::with_capacity(table.len());
    for row in 0..table.len() {
        let name = columns.name_of(table, row);
        let Some(named) = names.get_mut(&name) else {
            of.push(labels.len() + row);
            continue;
        };
        let source = table.source_of(row);
        if named.rows == 0 {
            named.source = source;
        } else if named.source != source && columns.source.is_none() {
            return Err(invalid(format!(
                "key {:?} names rows of two sources, {:?} and {:?}; add the column source",
                short(table.key(row)),
                table.sources[named.source as usize],
                table.sources[source as usize]
            )));
        }
        // Records that share a name were written in the order of rows.
        let own = several.get(&name).and_then(|l| l.get(named.rows));
        of.push(*own.unwrap_or(&named.label));
        named.rows += 1;
    }
    // Not so many as there are rows: which line is whose cannot be told.
    let torn = several
        .iter()
        .filter(|(name, all)| {
            let rows = names.get(name).map_or(0, |n| n.rows);
            rows > 0 && rows != all.len() && all.iter().any(|l| *l != all[0])
        })
        .map(|(name, _)| *name)
        .min();
    if let Some(name) = torn {
        return two_labels(name);
    }
    let lines: usize = names.values().map(|n| n.lines).sum();
    let matched: usize = names.values().map(|n| n.rows).sum();
    let without = names.values().filter(|n| n.rows == 0).map(|n| n.lines);
    let (rows_without, lines_without) = (table.len() - matched, without.sum());
    if matched == 0 && !table.is_empty() {
        let first = found(path, |_| true, plan)?;
        let row = shown(source_of(table, 0), table.key(0));
        return Err(invalid(match first.first() {
            Some(l) => format!(
                "names none of the rows: its first line is {}, the first row is {row}",
                l.record
            ),
            None => "has no line".into(),
        }));
    }
    if rows_without > 0 || lines_without > 0 {
        notes.push(format!(
            "{}: rows of the table without a line: {rows_without}, each counts as a thing of its \
             own; lines that match no row: {lines_without} of {lines}",
            path.display()
        ));
    }
    Ok(Labels {
        of,
        matched,
        rows_without,
        lines_without,
        notes,
    })
}

#[cfg(test)]
mod tests {
    use jinke_resolution::batch::{Column, Semantic};

    use super::*;

    /// Rows of source and key.
    fn table(rows: &[(&str, &str)]) -> Table {
        let mut table = Table::new(vec![Column {
            name: "name".into(),
            semantic: Semantic::Text,
        }]);
        for (source, key) in rows {
            let source = table.source(source);
            table.push(source, key, std::iter::once("x"));
        }
        table
    }

    fn labelled(rows: &[(&str, &str)], text: &str) -> Result<Labels, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("truth.csv");
        std::fs::write(&path, text).unwrap();
        of(&path, &table(rows), 2)
    }

    fn refused(rows: &[(&str, &str)], text: &str) -> String {
        let failure = labelled(rows, text).unwrap_err();
        assert_eq!(failure.reason, "INPUT_INVALID");
        assert!(failure.message.contains("truth.csv"), "{failure:?}");
        failure.message
    }

    const ROWS: [(&str, &str); 3] = [("a", "1"), ("a", "2"), ("b", "3")];

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        for text in [
            "source,source_id,entity_id\na,1,x\na,2,y\nb,3,x\n",
            "entity_id,note,source_id,source\nx,,1,a\ny,?,2,a\nx,!,3,b\n",
            "source_id,entity_id\n1,x\n2,y\n3,x\n",
            "record_id,cluster_id\n1,x\n2,y\n3,x\n",
        ] {
            let found = labelled(&ROWS, text).unwrap();
            assert_eq!(found.of, [0, 1, 0], "{text}");
            assert_eq!((found.matched, found.notes.len()), (3, 0), "{text}");
        }
    }

    #[test]
    fn headers_that_say_something_else_are_refused() {
        let told = refused(&ROWS, "source,key,entity_id\na,1,x\n");
        assert!(told.contains("no column source_id"), "{told}");
        let told = refused(&ROWS, "source,source_id,name\na,1,x\n");
        assert!(told.contains("no column entity_id or cluster_id"), "{told}");
        let told = refused(&ROWS, "source_id,entity_id,cluster_id\n1,x,y\n");
        assert!(told.contains("which is meant"), "{told}");
        let told = refused(&ROWS, "source_id,source_id,cluster_id\n1,1,y\n");
        assert!(told.contains("two columns \"source_id\""), "{told}");
    }

    #[test]
    fn what_does_not_match_is_told() {
        let found = labelled(&ROWS, "source,source_id,entity_id\na,1,x\nc,1,x\nc,2,x\n");
        let found = found.unwrap();
        assert_eq!(found.of[0], 0);
        assert!(found.of[1] != found.of[2], "each alone: {:?}", found.of);
        let counts = [found.matched, found.rows_without, found.lines_without];
        assert_eq!(counts, [1, 2, 2]);
        assert!(found.notes[0].contains("without a line: 2"), "{found:?}");
        assert!(found.notes[0].contains("no row: 2 of 3"), "{found:?}");
        let told = refused(&ROWS, "source,source_id,entity_id\nc,1,x\n");
        assert!(told.contains("none of the rows"), "{told}");
        assert!(told.contains("source \"c\", key \"1\""), "{told}");
        assert!(told.contains("source \"a\", key \"1\""), "{told}");
        assert!(refused(&ROWS, "source_id,entity_id\n").contains("no line"));
    }

    #[test]
    fn a_record_has_one_entity() {
        let told = refused(
            &ROWS,
            "source,source_id,entity_id\na,1,x\na,2,y\na,1,x\na,1,z\n",
        );
        for part in [
            "source \"a\", key \"1\"",
            "\"x\" in line 2",
            "\"z\" in line 5",
        ] {
            assert!(told.contains(part), "{told}");
        }
        let told = refused(&ROWS, "source_id,entity_id\n1,x\n2,\n");
        assert!(told.contains("line 3 names a record and no"), "{told}");
        // Said twice it is still the same.
        let found = labelled(&ROWS, "source_id,entity_id\n1,x\n1,x\n2,y\n3,x\n").unwrap();
        assert_eq!(found.of, [0, 1, 0]);
    }

    #[test]
    fn a_key_alone_names_rows_of_one_source() {
        let rows = [("a", "1"), ("b", "1"), ("b", "2")];
        let told = refused(&rows, "source_id,entity_id\n1,x\n2,y\n");
        assert!(told.contains("two sources, \"a\" and \"b\""), "{told}");
        assert!(labelled(&rows, "source_id,entity_id\n2,y\n").is_ok());
    }

    #[test]
    fn clusters_of_an_earlier_run_name_a_record_as_often_as_it_is_there() {
        let rows = [("a", "1"), ("a", "1"), ("a", "2")];
        let text = "source,source_id,cluster_id\na,1,a/1\na,1,a/1#2\na,2,a/1#2\n";
        assert_eq!(labelled(&rows, text).unwrap().of, [0, 1, 1]);
        // Of two rows left one cannot be told from the other.
        let told = refused(&rows[1..], text);
        assert!(told.contains("names one record twice"), "{told}");
        let truth = text.replace("cluster_id", "entity_id");
        assert!(refused(&rows, &truth).contains("names one record twice"));
    }
}
