//! The connector against its simulator: the cases every connector passes, and what is Tryton's
//! own.

mod conformance;
mod records;
mod settings;
mod support;
