//! The first rows as they would be read.

use jinke_types::{Failure, SourceRecord};

use super::{Mapping, Output, RowReader};
use crate::{
    connector::{Location, RowError},
    lead::Lead,
    row::Row,
};

/// The first rows of a stream, read by a mapping. Holds personal values: for the person who
/// writes the mapping, never for a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preview {
    /// One entry for each row that was looked at.
    pub rows: Vec<PreviewRow>,
    /// Columns the mapping names and the file lacks.
    pub missing: Vec<String>,
    /// Columns of the file that the mapping does not read.
    pub unmapped: Vec<String>,
}

/// One row of a preview. Lines of one transaction show with its last row.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewRow {
    /// Where the row is.
    pub location: Location,
    /// The records it yields.
    pub records: Vec<SourceRecord>,
    /// The lead it is.
    pub leads: Vec<Lead>,
    /// What could not be read of it.
    pub errors: Vec<RowError>,
}

impl Mapping {
    /// Reads the first `n` of `rows` (at most 1,000) under `headers`, as `source` would.
    pub fn preview<'a>(
        &self,
        source: &str,
        headers: &[String],
        rows: impl IntoIterator<Item = &'a Row>,
        n: usize,
    ) -> Result<Preview, Failure> {
        let bound = self.bind(headers)?;
        let columns = bound.columns().into_iter();
        let unmapped = columns
            .filter(|c| !c.mapped && !c.name.is_empty())
            .map(|c| c.name)
            .collect();
        let missing = bound.missing().to_vec();
        let mut reader = RowReader::new(bound, source);
        let mut shown: Vec<PreviewRow> = Vec::new();
        for row in rows.into_iter().take(n.min(1_000)) {
            let mut out = Output::default();
            reader.read(row, &mut out);
            // A transaction of several lines comes out with the row behind its last line.
            if reader.grouped()
                && let Some(last) = shown.last_mut()
            {
                last.records.append(&mut out.records);
            }
            let location = row.location.clone();
            shown.push(PreviewRow {
                location,
                records: out.records,
                leads: out.leads,
                errors: out.errors,
            });
        }
        let mut out = Output::default();
        reader.finish(&mut out);
        if let Some(last) = shown.last_mut() {
            last.records.append(&mut out.records);
        }
        Ok(Preview {
            rows: shown,
            missing,
            unmapped,
        })
    }
}
