//! The connector against its simulator: the cases every connector passes, and what is WeCom's
//! own.

mod callbacks;
mod conformance;
mod contacts;
mod directory;
mod messages;
mod settings;
mod support;
