//! The reporting service against independent oracles.

mod generate;
mod measures;
mod oracle;
mod projection;
mod report;
mod rpc;
mod world;
