//! The reporting service alone in a process.

use std::process::ExitCode;

fn main() -> ExitCode {
    jinke_kit::run::<jinke_reporting::Reporting>()
}
