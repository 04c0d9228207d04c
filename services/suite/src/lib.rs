//! The suite: every service in one process, and the command line `jinke`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`suite`] | building and starting the chosen services through the kit's host |
//! | [`cli`] | the command line: one module per group of commands |
//! | [`connect`] | which server a command calls, and as whom |
//! | [`print`] | tables, JSON, errors, exit codes |
//! | [`progress`] | progress on a terminal, plain lines elsewhere |
//! | [`doctor`] | what is wrong with an installation and how to mend it |
//! | [`samples`] | invented companies in three foreign systems, written to files |

pub mod cli;
pub mod connect;
pub mod doctor;
pub mod print;
pub mod progress;
pub mod samples;
pub mod suite;
