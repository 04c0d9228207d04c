//! The reporting service alone in a process.

fn main() {}
