//! The reporting service against independent oracles.

mod dimensions;
mod episodes;
mod fraction;
mod generate;
mod house;
mod measures;
mod oracle;
mod oracle_sales;
mod projection;
mod publish;
mod questions;
mod report;
mod rpc;
mod signs;
mod world;
