//! The connector against its simulator: the cases every connector passes, and what is Kingdee's
//! own.

mod conformance;
mod doors;
mod push;
mod records;
mod settings;
mod support;
