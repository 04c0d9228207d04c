//! The reporting service against independent oracles.

mod fraction;
mod generate;
mod house;
mod measures;
mod oracle;
mod projection;
mod report;
mod rpc;
mod world;
