//! The file connector from outside: encodings, workbooks, hostile files, resuming, and the
//! sample files of the suite.

mod conformance;
mod encodings;
mod hostile;
mod resume;
mod samples;
mod support;
mod workbooks;

// The suite's sample generator, read here as a file: a connector may not depend on the
// suite, but its samples have to be readable without a surprise.
#[path = "../../../../services/suite/src"]
mod suite {
    pub mod samples;
}
