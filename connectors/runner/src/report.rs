//! What an import did: counts, and bounded lists of what was refused.

use std::io::{self, Write};

use jinke_sdk::RowError;
use serde::Serialize;

/// At most this many row errors, and as many refused records, are kept; all are counted.
pub const MAX_KEPT: usize = 10_000;
/// At most this many notes are kept.
const MAX_NOTES: usize = 200;

/// What became of the records, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Seen for the first time.
    pub created: u64,
    /// A new newest version.
    pub updated: u64,
    /// This version was known already.
    pub unchanged: u64,
    /// An older version than the newest.
    pub superseded: u64,
    /// Refused by the service.
    pub rejected: u64,
}

impl Counts {
    /// All records that were sent.
    pub const fn total(&self) -> u64 {
        self.created + self.updated + self.unchanged + self.superseded + self.rejected
    }
    /// Adds `other` to this.
    pub const fn add(&mut self, other: &Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.superseded += other.superseded;
        self.rejected += other.rejected;
    }
}

/// A record that the service refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Id of the source.
    pub source: String,
    /// The record's id in the foreign system.
    pub external_id: String,
    /// Machine-readable reason, listed in `docs/errors.md`.
    pub reason: String,
    /// What is wrong, without personal data.
    pub message: String,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Id of the source.
    pub source: String,
    /// The source was created by this import.
    pub source_created: bool,
    /// The import went on where an earlier one was interrupted; the lists of errors then hold
    /// only what came after.
    pub resumed: bool,
    /// The same files were imported to the end before.
    pub imported_before: bool,
    /// What became of the records.
    pub counts: Counts,
    /// How often a batch had to be sent again.
    pub retries: u64,
    /// All rows and values that could not be read.
    pub row_error_count: u64,
    /// The first [`MAX_KEPT`] of them.
    pub row_errors: Vec<RowError>,
    /// The first [`MAX_KEPT`] refused records.
    pub rejected: Vec<Rejected>,
    /// What the connector decided or found odd, for people.
    pub notes: Vec<String>,
}

impl Report {
    /// Takes over errors and notes of a page.
    pub(crate) fn page(&mut self, row_errors: Vec<RowError>, notes: Vec<String>) {
        self.row_error_count += row_errors.len() as u64;
        let room = MAX_KEPT.saturating_sub(self.row_errors.len());
        self.row_errors.extend(row_errors.into_iter().take(room));
        for note in notes {
            if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    /// Takes over refused records.
    pub(crate) fn reject(&mut self, rejected: Rejected) {
        if self.rejected.len() < MAX_KEPT {
            self.rejected.push(rejected);
        }
    }

    /// Everything that went wrong: rows that could not be read and records that were refused.
    pub const fn error_count(&self) -> u64 {
        self.row_error_count + self.counts.rejected
    }

    /// Writes the kept errors as CSV in UTF-8 with a byte order mark, so that Excel opens it
    /// right: file, sheet, row, column, external id, what became of it, why.
    pub fn write_errors(&self, out: impl Write) -> io::Result<()> {
        let mut out = out;
        out.write_all("\u{feff}".as_bytes())?;
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["文件", "工作表", "行", "列", "外部编号", "结果", "原因"])?;
        for e in &self.row_errors {
            let effect = match e.effect {
                jinke_sdk::Effect::RowSkipped => "整行未导入",
                jinke_sdk::Effect::ValueLeftOut => "该值未导入",
            };
            csv.write_record([
                guard(&e.location.file).as_str(),
                guard(e.location.sheet.as_deref().unwrap_or_default()).as_str(),
                &e.location.row.to_string(),
                guard(e.column.as_deref().unwrap_or_default()).as_str(),
                "",
                effect,
                guard(&e.reason).as_str(),
            ])?;
        }
        for r in &self.rejected {
            let reason = format!("{}: {}", r.reason, r.message);
            let id = guard(&r.external_id);
            csv.write_record(["", "", "", "", &id, "记录被拒绝", &guard(&reason)])?;
        }
        csv.flush()
    }
}

/// A cell that a spreadsheet would run as a formula gets an apostrophe in front: names of
/// sheets, columns and foreign ids come from files we do not trust.
fn guard(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.into()
    }
}

#[cfg(test)]
mod tests {
    use jinke_sdk::{Effect, Location};

    use super::*;

    fn row_error(row: u64) -> RowError {
        RowError {
            location: Location {
                file: "客户.csv".into(),
                sheet: None,
                row,
            },
            column: Some("=1+1".into()),
            reason: "is not a date".into(),
            effect: Effect::ValueLeftOut,
        }
    }

    #[test]
    fn errors_are_counted_beyond_what_is_kept() {
        let mut report = Report::default();
        for _ in 0..30 {
            report.page((0..500).map(row_error).collect(), vec!["a note".into()]);
        }
        assert_eq!(
            (report.row_error_count, report.row_errors.len()),
            (15_000, MAX_KEPT)
        );
        assert_eq!(report.notes, ["a note"]);
    }

    #[test]
    fn the_error_report_opens_in_a_spreadsheet_and_runs_nothing() {
        let mut report = Report::default();
        report.page(vec![row_error(7)], vec![]);
        report.reject(Rejected {
            source: "erp".into(),
            external_id: "@x".into(),
            reason: "INVALID_FIELD".into(),
            message: "key: too long".into(),
        });
        let mut out = Vec::new();
        report.write_errors(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\u{feff}文件,工作表,行,列,外部编号,结果,原因\n\
             客户.csv,,7,'=1+1,,该值未导入,is not a date\n\
             ,,,,'@x,记录被拒绝,INVALID_FIELD: key: too long\n"
        );
    }
}
