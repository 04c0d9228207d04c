//! The kit around two small services, an identity and a customer, in one process and in two.

mod access;
mod access_laws;
mod audit;
mod calls;
mod config;
mod drain;
mod fakes;
mod fleet;
mod lapse;
mod limits;
mod operations;
mod peers;
mod process;
mod status;
mod support;
mod telemetry;
mod tls;
