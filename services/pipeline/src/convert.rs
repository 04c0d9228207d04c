//! Between the contract and the words of this service, both ways.
//!
//! Requests are parsed, not validated twice: whoever holds a domain value knows that it is
//! well-formed and bounded. Every bad field becomes one violation with its path in proto field
//! names; the first 50 are reported.
//!
//! | module | what it converts |
//! |---|---|
//! | [`check`] | the collector of violations, bounded text, names of resources |
//! | [`number`] | times, durations, dates, decimals, money |
//! | [`pipeline`], [`lead`], [`opportunity`], [`task`], [`activity`] | resources, in and out |
//! | [`customers`], [`messenger`] | the services this one asks |

pub mod activity;
pub mod check;
pub mod customers;
pub mod lead;
pub mod messenger;
pub mod number;
pub mod opportunity;
pub mod pipeline;
pub mod task;

/// The contract's messages of this service.
pub use jinke_proto::jinke::pipeline::v1 as pb;

pub use check::Check;
