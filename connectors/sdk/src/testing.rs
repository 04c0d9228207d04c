//! A fake HTTP server with scripted faults, and helpers for the tests of connectors.
//!
//! A connector's simulator is a function from [`FakeRequest`] to [`FakeResponse`];
//! [`FakeServer`] serves it on a port of its own and does with the answers what networks and
//! overloaded servers do. Faults are scripted by the number of the request, counted from 1 since
//! [`FakeServer::script`], so a test is the same on every run.

mod post;
mod rows;
mod server;

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use jinke_types::{Body, Failure, RecordKey, SourceRecord};

pub use post::{MAX_ANSWER, post};
pub use server::FakeServer;

use crate::{
    connector::{Connector, Cursor, Page, PullError, RowError},
    sweep::{Known, KnownRecords, skeleton},
};

/// A request as the fake server received it.
#[derive(Clone, Debug)]
pub struct FakeRequest {
    /// Method, upper case.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Body; at most 16 MiB are taken.
    pub body: Vec<u8>,
}

impl FakeRequest {
    /// The value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct FakeResponse {
    /// Status code.
    pub status: u16,
    /// Headers; the length is added.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl FakeResponse {
    /// 200 with JSON.
    pub fn json(value: &serde_json::Value) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: value.to_string().into_bytes(),
        }
    }
    /// A status without a body.
    pub const fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The handler does not see it; this status comes back, with a `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// The handler sees it, its answer is lost: the connection closes before a byte.
    Lost,
    /// The answer breaks off in the middle of its body.
    Cut,
    /// Nothing ever comes back. [`FakeServer::hung`] tells that it happened.
    Hang,
    /// The answer comes after this time.
    Slow(Duration),
    /// 200 with these bytes instead of the answer.
    Body(Vec<u8>),
    /// 200 with a body of so many bytes that is the start of JSON, sent in pieces without a
    /// length.
    Flood(u64),
    /// The page before comes again: what was answered last to a request that differs from this
    /// one by numbers alone. The right answer where there was none since the script.
    Again,
    /// The rows have shifted while they were read: the last row of the page before (as with
    /// [`Fault::Again`]) stands at the head of this one too.
    Shifted,
}

impl Fault {
    /// Whether the answers before must be known for it.
    const fn looks_back(&self) -> bool {
        matches!(self, Self::Again | Self::Shifted)
    }
}

/// JSON nested `depth` deep.
pub fn nested(depth: usize) -> Vec<u8> {
    let mut body = vec![b'['; depth];
    body.extend(vec![b']'; depth]);
    body
}

/// Everything a pull yields.
#[derive(Debug, Default)]
pub struct Pulled {
    /// The pages.
    pub pages: Vec<Page>,
    /// How it ended, when not well.
    pub error: Option<PullError>,
}

impl Pulled {
    /// All records, in their order.
    pub fn records(&self) -> Vec<SourceRecord> {
        self.pages.iter().flat_map(|p| p.records.clone()).collect()
    }
    /// All row errors, in their order.
    pub fn row_errors(&self) -> Vec<RowError> {
        let errors = self.pages.iter().flat_map(|p| p.row_errors.clone());
        errors.collect()
    }
    /// All notes.
    pub fn notes(&self) -> Vec<String> {
        self.pages.iter().flat_map(|p| p.notes.clone()).collect()
    }
    /// The last cursor, or the one the pull began with.
    pub fn cursor(&self, before: Option<Cursor>) -> Option<Cursor> {
        let last = self.pages.iter().rev().find_map(|p| p.cursor.clone());
        last.or(before)
    }
}

/// Pulls until the stream ends.
pub async fn pull(connector: &dyn Connector, stream: &str, cursor: Option<Cursor>) -> Pulled {
    collect(connector.pull(stream, cursor).await).await
}

/// Reads a stream of pages to its end.
pub async fn collect(
    mut stream: futures::stream::BoxStream<'static, Result<Page, PullError>>,
) -> Pulled {
    let mut pulled = Pulled::default();
    while let Some(item) = stream.next().await {
        match item {
            Ok(page) => pulled.pages.push(page),
            Err(error) => pulled.error = Some(error),
        }
    }
    pulled
}

/// Known records held in memory.
#[derive(Debug, Default)]
pub struct KnownList(Vec<Known>);

impl KnownList {
    /// The last versions among `records` that are not deleted.
    pub fn of(records: &[SourceRecord]) -> Arc<Self> {
        let mut last = std::collections::BTreeMap::new();
        for record in records {
            last.insert(record.key.external_id.clone(), record);
        }
        let live = last.into_iter().filter(|(_, r)| !r.deleted);
        Arc::new(Self(
            live.map(|(external_id, r)| Known {
                external_id,
                source_revision: r.source_revision,
                update_time: r.update_time,
                body: skeleton(&r.body),
            })
            .collect(),
        ))
    }
}

#[async_trait::async_trait]
impl KnownRecords for KnownList {
    async fn count(&self) -> Result<u64, Failure> {
        Ok(self.0.len() as u64)
    }
    async fn page(&self, after: Option<&str>, limit: usize) -> Result<Vec<Known>, Failure> {
        let from = self
            .0
            .partition_point(|k| after.is_some_and(|a| *k.external_id <= *a));
        Ok(self.0[from..].iter().take(limit).cloned().collect())
    }
}

/// The party a transaction, interaction or relationship names.
pub fn party_of(record: &SourceRecord) -> Option<&RecordKey> {
    match &record.body {
        Body::Party { .. } => None,
        Body::Relationship(link) => Some(&link.from),
        Body::Transaction(transaction) => Some(&transaction.party),
        Body::Interaction(interaction) => Some(&interaction.party),
    }
}
