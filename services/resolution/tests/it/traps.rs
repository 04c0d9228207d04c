//! The traps of the project's own generator, class by class, against what is known of them.

use std::fmt::Write;

/// The generator of the example `traps`.
#[path = "../../examples/traps"]
mod generator {
    pub mod chinese;
    pub mod dice;
    pub mod firms;
    pub mod measure;
    pub mod persons;
    pub mod things;
    pub mod world;
}

/// Everything is decided by rule, so that each number is the same on every machine. A change of
/// the engine shows here class by class: with `UPDATE_GOLDEN=1` the file is written anew, and the
/// difference is what the change does.
#[test]
fn every_class_of_trap_fares_as_is_written() {
    let mut found = String::new();
    for world in generator::measure::worlds(400, 1) {
        found += &generator::measure::report(&world, None).unwrap();
    }
    let golden = include_str!("data/traps.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/data/traps.txt");
        std::fs::write(path, &found).unwrap();
        return;
    }
    let mut changed = String::new();
    for (is, was) in found
        .lines()
        .zip(golden.lines())
        .filter(|(is, was)| is != was)
    {
        let _ = writeln!(changed, "was {was}\nis  {is}");
    }
    assert!(
        changed.is_empty() && found.len() == golden.len(),
        "{changed}"
    );
}
