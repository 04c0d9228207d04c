//! The contract's messages to this service's words and back; every check of a request.

pub mod answer;
pub mod check;
pub mod feed;
pub mod outside;
pub mod parameters;
pub mod sales;

pub use jinke_proto::jinke::reporting::v1 as pb;

pub use check::Check;
