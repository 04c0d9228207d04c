//! Tables whose columns stand straight also with Chinese characters, which are two cells wide.

use console::{measure_text_width, truncate_str};

use super::text::clean;

/// No column is made narrower than this to fit the terminal.
const NARROWEST: usize = 8;

/// A table: headers, columns that are numbers, rows.
#[derive(Clone, Debug, Default)]
pub struct Table {
    headers: Vec<String>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headers. One that starts with `>` is a column of numbers.
    pub fn new<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let headers: Vec<&str> = headers.into_iter().collect();
        Self {
            right: headers.iter().map(|h| h.starts_with('>')).collect(),
            headers: headers
                .iter()
                .map(|h| h.trim_start_matches('>').to_owned())
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are blank. Cells are made safe for the terminal.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(|c| clean(c.as_ref())).collect();
        row.resize(self.headers.len(), String::new());
        self.rows.push(row);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text. With a `width`, the widest columns are cut (`…`) until it fits.
    pub fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let rule: Vec<String> = widths.iter().map(|w| "─".repeat(*w)).collect();
        let mut out = String::new();
        self.line(&mut out, &self.headers, &widths);
        self.line(&mut out, &rule, &widths);
        for row in &self.rows {
            self.line(&mut out, row, &widths);
        }
        out
    }

    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let column = |i: usize| {
            let cells = self.rows.iter().map(|row| measure_text_width(&row[i]));
            cells
                .chain([measure_text_width(&self.headers[i])])
                .max()
                .unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.headers.len()).map(column).collect();
        let Some(limit) = limit else { return widths };
        let gaps = 2 * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > limit {
            // The widest column gives first; numbers are never cut.
            let widest = widths
                .iter_mut()
                .zip(&self.right)
                .filter(|(_, right)| !**right);
            match widest.map(|(w, _)| w).max() {
                Some(w) if *w > NARROWEST => *w -= 1,
                _ => break,
            }
        }
        widths
    }

    fn line(&self, out: &mut String, cells: &[String], widths: &[usize]) {
        let mut line = String::new();
        for (i, (cell, &width)) in cells.iter().zip(widths).enumerate() {
            let cell = truncate_str(cell, width, "…");
            let pad = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
            if i > 0 {
                line.push_str("  ");
            }
            if self.right[i] {
                line.push_str(&pad);
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&pad);
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(["客户 customer", "名称 name", ">记录 records"]);
        table.row(["customers/1", "杭州金客科技有限公司", "3"]);
        table.row(["customers/1024", "Müller & Söhne GmbH", "12"]);
        table.row(["customers/7", "１２３（全角）", "1"]);
        table
    }

    #[test]
    fn chinese_and_latin_columns_stand_straight() {
        let expected = "\
客户 customer   名称 name             记录 records
──────────────  ────────────────────  ────────────
customers/1     杭州金客科技有限公司             3
customers/1024  Müller & Söhne GmbH             12
customers/7     １２３（全角）                   1
";
        assert_eq!(sample().render(None), expected);
    }

    #[test]
    fn a_narrow_terminal_cuts_names_not_numbers() {
        let expected = "\
客户 custo…  名称 name    记录 records
───────────  ───────────  ────────────
customers/1  杭州金客科…             3
customers/…  Müller & S…            12
customers/7  １２３（全…             1
";
        let text = sample().render(Some(38));
        assert_eq!(text, expected);
        assert!(text.lines().all(|l| measure_text_width(l) <= 38));
    }

    #[test]
    fn a_cell_cannot_break_the_table() {
        let mut table = Table::new(["a", "b"]);
        table.row(["x\ny", "\u{1b}[2J"]);
        table.row(["z"]);
        assert_eq!(
            table.render(None),
            "a    b\n───  ────\nx y  \u{fffd}[2J\nz\n"
        );
    }
}
