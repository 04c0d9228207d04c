//! The command line end to end: the binary `jinke` as a child process on a free port, and the
//! commands a person would type.

mod access;
mod assess;
mod audit;
mod backup;
mod doctor;
mod files;
mod five;
#[cfg(feature = "rigs")]
mod five_rigs;
mod harness;
mod resolve;
mod resolve_input;
mod rules;
mod sales;
mod samples;
mod vendors;
