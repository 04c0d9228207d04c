//! Names of records, which are their source and key, and of clusters, which are those of their
//! first record.

use jinke_resolution::batch::{
    Table,
    parallel::{self, hash},
};

/// Rows looked at by one thread at a time.
const ROWS: usize = 8192;

/// A hash of the name of a record.
pub fn name_hash(source: &str, key: &str) -> u64 {
    hash(hash(1, source.as_bytes()), key.as_bytes())
}

/// The source of a row.
pub fn source_of(table: &Table, row: usize) -> &str {
    &table.sources[table.source_of(row) as usize]
}

fn hash_of(table: &Table, row: usize) -> u64 {
    name_hash(source_of(table, row), table.key(row))
}

/// A record as people read it.
pub fn shown(source: &str, key: &str) -> String {
    format!("source {source:?}, key {key:?}")
}

/// Writes the name of a record: the source, in which `%` and `/` are escaped, so that the first
/// `/` ends it, and the key.
fn push(table: &Table, row: usize, out: &mut String) {
    let source = source_of(table, row);
    if source.contains(['%', '/']) {
        out.push_str(&source.replace('%', "%25").replace('/', "%2F"));
    } else {
        out.push_str(source);
    }
    out.push('/');
    out.push_str(table.key(row));
}

/// The name of a record in files.
pub fn record(table: &Table, row: usize) -> String {
    let mut out = String::new();
    push(table, row, &mut out);
    out
}

/// Names of clusters.
pub struct Names<'a> {
    table: &'a Table,
    /// Hashes of the names of all records, in order.
    all: Vec<u64>,
    /// First records that are not the first of their name, with the number each goes by.
    numbered: Vec<(u32, u64)>,
    /// What is to be said of records that share source and key with another.
    pub note: Option<String>,
}

impl<'a> Names<'a> {
    /// Names the clusters with these heads, one for each row: no name depends on the order of
    /// input.
    pub fn new(table: &'a Table, heads: &[u32], threads: usize) -> Self {
        let mut all: Vec<u64> = parallel::flat(threads, table.len(), ROWS, |rows| {
            rows.map(|row| hash_of(table, row)).collect()
        });
        parallel::sort(threads, &mut all);
        let mut twice: Vec<u64> = all
            .windows(2)
            .filter(|w| w[0] == w[1])
            .map(|w| w[0])
            .collect();
        let again = twice.len();
        twice.dedup();
        let mut this = Self {
            table,
            all,
            numbered: Vec::new(),
            note: None,
        };
        let Some(first) = twice.first() else {
            return this;
        };
        let mut rows: Vec<usize> = (0..table.len())
            .filter(|row| twice.binary_search(&hash_of(table, *row)).is_ok())
            .collect();
        // The same example whatever the order.
        let example = rows.iter().find(|row| hash_of(table, **row) == *first);
        this.note = example.map(|row| {
            let example = shown(source_of(table, *row), table.key(*row));
            let count = again + twice.len();
            format!(
                "records that share source and key with another: {count}, for example {example}"
            )
        });
        rows.retain(|row| heads[*row] as usize == *row);
        // By name, and where that is one by the cells.
        rows.sort_by(|a, b| table.name(*a).cmp(&table.name(*b)));
        let same = |a: &usize, b: &usize| {
            let name = |row: usize| (source_of(table, row), table.key(row));
            name(*a) == name(*b)
        };
        for group in rows.chunk_by(same) {
            let mut number = 1;
            for row in &group[1..] {
                number = this.free(*row, number);
                this.numbered.push((*row as u32, number));
            }
        }
        this.numbered.sort_unstable();
        this
    }

    /// The next number that makes no key of it that another record has.
    fn free(&self, row: usize, last: u64) -> u64 {
        let (source, key) = (source_of(self.table, row), self.table.key(row));
        let is_free = |n: &u64| {
            let name = name_hash(source, &format!("{key}#{n}"));
            self.all.binary_search(&name).is_err()
        };
        (last + 1..).find(is_free).unwrap_or(last + 1)
    }

    /// Writes the name of the cluster with this head: the source, in which `%` and `/` are escaped,
    /// so that the first `/` ends it; the key; and for the second of a name `#2`, and so on.
    pub fn write(&self, head: usize, out: &mut String) {
        push(self.table, head, out);
        let numbered = &self.numbered;
        if let Ok(i) = numbered.binary_search_by_key(&(head as u32), |n| n.0) {
            out.push_str(&format!("#{}", numbered[i].1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jinke_resolution::batch::{Column, Semantic};

    use super::*;

    /// A table of source, key and one cell.
    fn table(rows: &[(&str, &str, &str)]) -> Table {
        let mut table = Table::new(vec![Column {
            name: "name".into(),
            semantic: Semantic::Text,
        }]);
        for (source, key, cell) in rows {
            let source = table.source(source);
            table.push(source, key, std::iter::once(*cell));
        }
        table
    }

    /// The name of each row as a cluster of its own.
    fn named(rows: &[(&str, &str, &str)]) -> Vec<String> {
        let table = table(rows);
        let heads: Vec<u32> = (0..rows.len() as u32).collect();
        let names = Names::new(&table, &heads, 2);
        let name = |row: usize| {
            let mut out = String::new();
            names.write(row, &mut out);
            out
        };
        (0..rows.len()).map(name).collect()
    }

    #[test]
    fn usual_names_are_source_and_key() {
        assert_eq!(
            named(&[("erp", "1/2", ""), ("erp", "%", "")]),
            ["erp/1/2", "erp/%"]
        );
    }

    #[test]
    fn no_two_clusters_have_one_name() {
        let rows = [
            ("a", "b/c", ""),
            ("a/b", "c", ""),
            ("a%2Fb", "c", ""),
            ("a", "k", "1"),
            ("a", "k", "2"),
            ("a", "k#2", ""),
            ("a", "k", "3"),
        ];
        let names = named(&rows);
        assert_eq!(
            names,
            [
                "a/b/c",
                "a%2Fb/c",
                "a%252Fb/c",
                "a/k",
                "a/k#3",
                "a/k#2",
                "a/k#4"
            ]
        );
        let different: BTreeSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn names_do_not_depend_on_the_order_of_rows() {
        let mut rows = vec![
            ("a", "k", "x"),
            ("a", "k", "y"),
            ("b", "k", "x"),
            ("a", "k", "z"),
        ];
        let pairs = |rows: &[(&'static str, &'static str, &'static str)]| {
            let mut pairs: Vec<_> = rows.iter().copied().zip(named(rows)).collect();
            pairs.sort();
            pairs
        };
        let before = pairs(&rows);
        rows.reverse();
        assert_eq!(pairs(&rows), before);
    }

    #[test]
    fn records_of_one_name_are_told() {
        let note = |rows: &[(&str, &str, &str)]| {
            let table = table(rows);
            Names::new(&table, &vec![0; rows.len()], 1).note
        };
        assert_eq!(note(&[("a", "1", ""), ("b", "1", "")]), None);
        let told = note(&[("a", "1", ""), ("b", "1", ""), ("a", "1", "x")]);
        let told = told.unwrap();
        assert!(told.contains("another: 2,"), "{told}");
        assert!(told.contains("source \"a\", key \"1\""), "{told}");
    }
}
