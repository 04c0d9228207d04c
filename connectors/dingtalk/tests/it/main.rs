//! The connector against its simulator: the cases every connector passes, and what is DingTalk's
//! own.

mod callbacks;
mod channel;
mod conformance;
mod directory;
mod messages;
mod rows;
mod settings;
mod support;
