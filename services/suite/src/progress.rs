//! Progress of an import: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jinke_runner::{Counts, Progress, Report};

use crate::print::text::clean;

/// How an import ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// What became of its records.
    pub counts: Counts,
    /// Rows and values that could not be read.
    pub row_errors: u64,
    /// Departments and members that were taken.
    pub directory: u64,
    /// The same was imported before.
    pub imported_before: bool,
    /// It went on where an earlier one was interrupted.
    pub resumed: bool,
}

impl From<&Report> for Finished {
    fn from(report: &Report) -> Self {
        Self {
            counts: report.counts,
            row_errors: report.row_error_count,
            directory: 0,
            imported_before: report.imported_before,
            resumed: report.resumed,
        }
    }
}

/// Lines are at least this far apart where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Shows one import on standard error.
pub struct ImportProgress {
    source: String,
    bar: Option<ProgressBar>,
    last: Instant,
    stream: String,
}

impl ImportProgress {
    /// Begins to show the import of `source`.
    pub fn new(source: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            let style = "{spinner} {prefix:.bold} {wide_msg}";
            bar.set_style(
                ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_prefix(clean(source));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            source: source.to_owned(),
            bar,
            last: Instant::now(),
            stream: String::new(),
        }
    }

    /// Shows where the import is.
    pub fn show(&mut self, progress: &Progress) {
        let line = line(progress);
        if let Some(bar) = &self.bar {
            bar.set_message(line);
            return;
        }
        let new_stream = self.stream != progress.stream;
        if new_stream || progress.waiting.is_some() || self.last.elapsed() >= LINE_EVERY {
            self.stream.clone_from(&progress.stream);
            self.last = Instant::now();
            say(&format!("{} {line}", clean(&self.source)));
        }
    }

    /// Shows how the import ended and takes the bar away.
    pub fn finish(self, end: &Finished) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let counts = &end.counts;
        let again = if end.imported_before {
            "（以前导入过，未变的不再写入 imported before: what is unchanged is not written again）"
        } else if end.resumed {
            "（接着上次中断处 went on where it was interrupted）"
        } else {
            ""
        };
        let directory = match end.directory {
            0 => String::new(),
            n => format!("  部门和成员 departments and members {n}"),
        };
        say(&format!(
            "✓ {}  新增 created {}  更新 updated {}  未变 unchanged {}  错误 errors {}{directory}{again}",
            clean(&self.source),
            counts.created,
            counts.updated,
            counts.unchanged + counts.superseded,
            end.row_errors + counts.rejected,
        ));
    }
}

impl Drop for ImportProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Width of the bar in cells.
const BAR: u64 = 24;

fn line(p: &Progress) -> String {
    let mut out = format!(
        "[{}/{}] {}",
        p.stream_number,
        p.stream_count,
        clean(&p.stream)
    );
    if let Some(total) = p.total.filter(|t| *t > 0) {
        let done = p.done.min(total);
        let filled = done * BAR / total;
        let bar: String = (0..BAR)
            .map(|i| if i < filled { '█' } else { '░' })
            .collect();
        out.push_str(&format!(" {bar} {:>3}%", done * 100 / total));
    }
    out.push_str(&format!("  {} 条 records", p.counts.total()));
    if p.row_errors + p.counts.rejected > 0 {
        out.push_str(&format!(
            "  {} 错误 errors",
            p.row_errors + p.counts.rejected
        ));
    }
    if let Some(waiting) = &p.waiting {
        let wait = waiting.wait.as_millis();
        out.push_str(&format!(
            "  {wait} ms 后重试 trying again ({})",
            clean(&waiting.cause)
        ));
    }
    out
}

/// A line on standard error, for what is no answer.
pub fn say(line: &str) {
    // Progress is a courtesy: nothing depends on it being read.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use jinke_runner::{Counts, import::Waiting};

    use super::*;

    #[test]
    fn a_line_tells_stream_part_counts_and_waits() {
        let mut p = Progress {
            stream: "客户.csv".into(),
            stream_number: 1,
            stream_count: 2,
            done: 50,
            total: Some(200),
            counts: Counts {
                created: 499,
                rejected: 1,
                ..Counts::default()
            },
            row_errors: 2,
            waiting: None,
        };
        assert_eq!(
            line(&p),
            "[1/2] 客户.csv ██████░░░░░░░░░░░░░░░░░░  25%  500 条 records  3 错误 errors"
        );
        p.total = None;
        p.row_errors = 0;
        p.counts.rejected = 0;
        p.waiting = Some(Waiting {
            wait: Duration::from_millis(200),
            cause: "Unavailable: gone".into(),
        });
        assert_eq!(
            line(&p),
            "[1/2] 客户.csv  499 条 records  200 ms 后重试 trying again (Unavailable: gone)"
        );
    }
}
