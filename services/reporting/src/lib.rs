//! The reporting service.

pub mod calendar;
pub mod config;
pub mod convert;
pub mod facts;
pub mod feed;
pub mod follow;
pub mod measures;
pub mod number;
pub mod parameters;
pub mod query;
pub mod segment;
pub mod store;
