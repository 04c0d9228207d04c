//! What people and programs read: aligned tables or proto3 JSON, and errors that help.

pub mod error;
pub mod json;
pub mod table;
pub mod text;

use std::io::{self, Write};

use jinke_types::{Code, Failure};
use prost::Message;

pub use table::Table;

/// Where a command writes its answer: a table for people, or JSON for programs.
pub struct Printer<'a> {
    out: &'a mut dyn Write,
    json: bool,
    width: Option<usize>,
}

impl<'a> Printer<'a> {
    /// Writes to `out`; `width` is that of the terminal, none when it is not one.
    pub fn new(out: &'a mut dyn Write, json: bool, width: Option<usize>) -> Self {
        Self { out, json, width }
    }

    /// Whether JSON was asked for.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// One line for people. Not written when JSON was asked for.
    pub fn line(&mut self, line: impl AsRef<str>) -> Result<(), Failure> {
        if self.json {
            Ok(())
        } else {
            self.raw(line.as_ref())
        }
    }

    /// A table for people. Not written when JSON was asked for.
    pub fn table(&mut self, table: &Table) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let text = table.render(self.width);
        self.written(|out| out.write_all(text.as_bytes()))
    }

    /// A message as JSON. Not written when a table was asked for.
    pub fn message<M: Message>(&mut self, name: &str, message: &M) -> Result<(), Failure> {
        if self.json {
            self.raw(&json::pretty(name, message)?)
        } else {
            Ok(())
        }
    }

    /// A message as JSON on one line, for streams. Not written when a table was asked for.
    pub fn message_line<M: Message>(&mut self, name: &str, message: &M) -> Result<(), Failure> {
        if self.json {
            self.raw(&json::compact(name, message)?)
        } else {
            Ok(())
        }
    }

    /// Anything else as JSON. Not written when a table was asked for.
    pub fn value(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        if self.json {
            self.raw(&serde_json::to_string_pretty(value).map_err(Failure::internal)?)
        } else {
            Ok(())
        }
    }

    /// One line, whatever was asked for.
    pub fn raw(&mut self, line: &str) -> Result<(), Failure> {
        self.written(|out| writeln!(out, "{line}"))
    }

    /// Brings out what was written, for commands that go on for long.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.written(|out| out.flush())
    }

    fn written(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        write(self.out).map_err(|e| {
            let reason = if e.kind() == io::ErrorKind::BrokenPipe {
                "OUTPUT_CLOSED"
            } else {
                "OUTPUT"
            };
            Failure::new(
                Code::Cancelled,
                reason,
                format!("cannot write the answer: {}", e.kind()),
            )
        })
    }
}
