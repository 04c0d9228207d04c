//! The laws and tables of the resolution engine.

mod blocking;
mod clustering;
mod comparing;
mod laws;
mod rule_files;
mod splitting;
mod standardizing;
mod surveys;
mod surviving;
mod tables;
mod traps;
mod words;
