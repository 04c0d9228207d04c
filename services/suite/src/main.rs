//! The binary `jinke`: the suite in one process, and its command line.

fn main() -> std::process::ExitCode {
    jinke_suite::cli::main()
}
