//! The connector against its simulator: the cases every connector passes, and what is SAP's own.

mod conformance;
mod push;
mod records;
mod settings;
mod support;
