//! Pairs that a person labelled, as `jinke assess` writes them.

use std::{collections::HashMap, path::Path};

use jinke_resolution::batch::Table;
use jinke_types::Failure;

use super::{
    input, names,
    rows::{self, Rows},
};

/// What a label says; none when it says nothing.
pub fn same(label: &str) -> Option<bool> {
    match label.trim().to_lowercase().as_str() {
        "y" | "yes" | "1" | "true" | "是" | "同" | "相同" => Some(true),
        "n" | "no" | "0" | "false" | "否" | "不同" => Some(false),
        _ => None,
    }
}

/// Labelled pairs of a table's rows, and whether they are one thing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// The pairs, by row.
    pub pairs: Vec<(u32, u32, bool)>,
    /// Labelled pairs of which a record is not in the table.
    pub unknown: usize,
    /// Pairs whose label says neither yes nor no.
    pub open: usize,
}

/// Reads a file with the columns `same`, `left` and `right`; pairs without a label are left out.
///
/// # Errors
/// `INPUT_UNREADABLE`; `INPUT_INVALID`: a column is missing, or no labelled pair is of the table.
pub fn of_table(path: &Path, table: &Table) -> Result<Labels, Failure> {
    let invalid = |m: String| input::failure(path, "INPUT_INVALID", m);
    let plan = |_: &Path, header: &[String]| {
        let at = |name: &str| {
            let found = header.iter().position(|h| h == name);
            found.ok_or_else(|| invalid(format!("has no column {name:?}")))
        };
        Ok([at("same")?, at("left")?, at("right")?])
    };
    let take = |places: &[usize; 3], rows: &mut Rows<'_>| {
        let mut out = Vec::new();
        while rows.advance() {
            out.push(places.map(|i| rows.get(i).trim().to_owned()));
        }
        out
    };
    let (files, notes) = rows::read(&[path], 1, plan, take)?;
    input::tell(&notes);
    let mut named: Vec<([String; 2], bool)> = Vec::new();
    let mut out = Labels::default();
    for [label, left, right] in files.into_iter().flat_map(|f| f.1).flatten() {
        match same(&label) {
            Some(same) => named.push(([left, right], same)),
            None => out.open += 1,
        }
    }
    let mut rows: HashMap<&str, Option<u32>> = HashMap::new();
    for name in named.iter().flat_map(|n| &n.0) {
        rows.insert(name, None);
    }
    for row in 0..table.len() as u32 {
        if let Some(found) = rows.get_mut(names::record(table, row as usize).as_str()) {
            // Of rows that share a name the first.
            found.get_or_insert(row);
        }
    }
    for ([left, right], same) in &named {
        match (rows[left.as_str()], rows[right.as_str()]) {
            (Some(a), Some(b)) => out.pairs.push((a, b, *same)),
            _ => out.unknown += 1,
        }
    }
    if out.pairs.is_empty() {
        return Err(invalid(format!(
            "none of its {} labelled pairs is of the table",
            named.len()
        )));
    }
    Ok(out)
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

    #[test]
    fn pairs_are_found_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pairs.csv");
        let mut table = Table::new(Vec::new());
        for (source, key) in [("erp", "1"), ("crm", "1"), ("crm", "2")] {
            let s = table.source(source);
            table.push(s, key, std::iter::empty());
        }
        let read = |text: &str| {
            std::fs::write(&path, format!("same,left,right\n{text}")).unwrap();
            of_table(&path, &table)
        };
        let found = read("是,erp/1,crm/2\n,erp/1,crm/1\nn,crm/1,crm/2\ny,erp/1,gone/9\n").unwrap();
        assert_eq!(found.pairs, [(0, 2, true), (1, 2, false)]);
        assert_eq!((found.unknown, found.open), (1, 1));
        let wrong = read("y,a/1,b/2\nmaybe,erp/1,crm/1\n").unwrap_err().message;
        assert!(wrong.contains("none of its 1"), "{wrong}");
    }
}
