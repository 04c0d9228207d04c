//! The report of row errors, as a CSV file that a spreadsheet opens. It holds no value of
//! the rows, so that it can be passed on.

use std::io::Write;

use jinke_sdk::{Effect, RowError};

/// Writes row errors as CSV in UTF-8 with a byte order mark (a spreadsheet would otherwise
/// take the Chinese for something else): 文件, 工作表, 行, 列, 结果, 原因.
pub struct Report<W: Write> {
    writer: csv::Writer<W>,
    rows: u64,
}

impl<W: Write> Report<W> {
    /// Begins a report.
    pub fn new(mut out: W) -> std::io::Result<Self> {
        out.write_all("\u{feff}".as_bytes())?;
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(["文件", "工作表", "行", "列", "结果", "原因"])?;
        Ok(Self { writer, rows: 0 })
    }

    /// Adds one error.
    pub fn write(&mut self, error: &RowError) -> std::io::Result<()> {
        let effect = match error.effect {
            Effect::RowSkipped => "整行未导入",
            Effect::ValueLeftOut => "该值未导入",
        };
        self.rows += 1;
        self.writer.write_record([
            guarded(&error.location.file).as_str(),
            guarded(error.location.sheet.as_deref().unwrap_or_default()).as_str(),
            &error.location.row.to_string(),
            guarded(error.column.as_deref().unwrap_or_default()).as_str(),
            effect,
            &error.reason,
        ])?;
        Ok(())
    }

    /// Ends the report; returns how many errors it holds.
    pub fn finish(mut self) -> std::io::Result<u64> {
        self.writer.flush()?;
        Ok(self.rows)
    }
}

/// A text from outside that a spreadsheet would run as a formula gets a quote before it.
fn guarded(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jinke_sdk::Location;

    #[test]
    fn one_line_for_each_error_and_no_formula() {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out).unwrap();
        let location = Location {
            file: "客户.xlsx".to_owned(),
            sheet: Some("=1+1".to_owned()),
            row: 7,
        };
        let error = RowError {
            location,
            column: Some("开票日期".to_owned()),
            reason: "is not a date".to_owned(),
            effect: Effect::RowSkipped,
        };
        report.write(&error).unwrap();
        assert_eq!(report.finish().unwrap(), 1);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\u{feff}文件,工作表,行,列,结果,原因\n客户.xlsx,'=1+1,7,开票日期,整行未导入,is not a date\n"
        );
    }
}
