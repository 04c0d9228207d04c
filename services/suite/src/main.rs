//! The binary `jinke`: the suite in one process, and its command line.

/// `jinke resolve` makes and frees many small values on all threads at once, which the system's
/// allocator does slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    jinke_suite::cli::main()
}
