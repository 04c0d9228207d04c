//! Labelled tables made by rule.

use jinke_resolution::batch::{Column, Mode, Semantic, Table};

/// A record with what it really is.
pub struct Record {
    pub source: &'static str,
    pub cells: Vec<String>,
    pub entity: usize,
    /// The trap it belongs to and which instance of it: records of one instance are compared
    /// when the trap is reported.
    pub trap: Option<(&'static str, usize)>,
}

/// A table with its truth.
pub struct World {
    pub name: &'static str,
    pub mode: Mode,
    pub columns: &'static [(&'static str, Semantic)],
    pub records: Vec<Record>,
    entities: usize,
    traps: usize,
}

impl World {
    pub const fn new(
        name: &'static str,
        mode: Mode,
        columns: &'static [(&'static str, Semantic)],
    ) -> Self {
        Self {
            name,
            mode,
            columns,
            records: Vec::new(),
            entities: 0,
            traps: 0,
        }
    }
    /// A new thing.
    pub const fn entity(&mut self) -> usize {
        self.entities += 1;
        self.entities
    }
    /// A new instance of a trap.
    pub const fn trap(&mut self, class: &'static str) -> Option<(&'static str, usize)> {
        self.traps += 1;
        Some((class, self.traps))
    }
    pub fn add(
        &mut self,
        source: &'static str,
        entity: usize,
        trap: Option<(&'static str, usize)>,
        cells: Vec<String>,
    ) {
        assert_eq!(cells.len(), self.columns.len(), "{}", self.name);
        self.records.push(Record {
            source,
            cells,
            entity,
            trap,
        });
    }
    /// The key of a record: its number, spread so that neighbours are not of one thing.
    pub fn key(&self, i: usize) -> String {
        format!("{:016x}", jinke_resolution::batch::parallel::mix(i as u64))
    }
    pub fn table(&self) -> Table {
        let columns = self.columns.iter().map(|(n, s)| Column {
            name: (*n).to_owned(),
            semantic: *s,
        });
        let mut out = Table::new(columns.collect());
        for (i, r) in self.records.iter().enumerate() {
            let source = out.source(r.source);
            out.push(source, &self.key(i), r.cells.iter().map(String::as_str));
        }
        out
    }
    pub fn truth(&self) -> Vec<usize> {
        self.records.iter().map(|r| r.entity).collect()
    }
}
