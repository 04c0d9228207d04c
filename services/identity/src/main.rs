//! The identity service alone in its process.

use std::process::ExitCode;

fn main() -> ExitCode {
    jinke_kit::run::<jinke_identity::Identity>()
}
