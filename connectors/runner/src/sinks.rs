//! The built-in sinks: where messages go that no chat platform takes.
//!
//! - [`LogSink`] appends each message to a file, one JSON object a line, or only notes in the log
//!   of the process that there was one. For trying things out, and for programs that tail a file.
//! - [`Webhook`] posts each message or record to a URL as JSON, signed with HMAC-SHA-256.

mod log;
mod webhook;

pub use log::LogSink;
pub use webhook::{SIGNATURE, TIMESTAMP, Webhook, signature};
