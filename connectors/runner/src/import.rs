//! One import from start to end.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use jinke_sdk::{Connector, Lead, PullError, PullErrorKind};
use jinke_types::{Entropy, Failure};
use prost::Message;
use tonic::Status;

use crate::{
    ahead::PageReader,
    backoff::Backoff,
    batch::{Batch, Batcher, MAX_RECORD_BYTES, Origin},
    convert,
    deliver::{Door, deliver, ensure_source},
    leads::{LeadDoor, deliver_leads},
    report::{Counts, Rejected, Report},
    resume::Resume,
};

/// The source records are imported as; created when it is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceSpec {
    /// 1 to 63 of a-z 0-9 -, starting with a letter.
    pub id: String,
    /// Name for people.
    pub display_name: String,
    /// 0 to 100; the service's default when absent.
    pub trust: Option<i32>,
    /// `orgUnits/…`, or empty for the enterprise.
    pub org_unit: String,
    /// Only its org unit sees the records.
    pub walled: bool,
}

impl SourceSpec {
    /// A source with this id, named like it.
    pub fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            display_name: id.clone(),
            id,
            ..Self::default()
        }
    }
}

/// What to import.
pub struct Import {
    /// Where the records belong.
    pub source: SourceSpec,
    /// What is pulled from. The records it yields must name [`Self::source`].
    pub connector: Arc<dyn Connector>,
    /// Digest of everything the pull depends on (files, mappings): the same digest means the
    /// same records, so an interrupted import may go on from its cursor.
    pub digest: String,
    /// The cursor file; without one an interrupted import starts over.
    pub resume_file: Option<PathBuf>,
    /// Waiting times between attempts.
    pub backoff: Backoff,
    /// Where leads go.
    pub leads: Arc<dyn LeadDoor>,
}

/// How far an import is. Given to the callback after every page and batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The stream being pulled.
    pub stream: String,
    /// Its number, from 1.
    pub stream_number: usize,
    /// How many streams there are.
    pub stream_count: usize,
    /// Units of the stream whose records are durable.
    pub done: u64,
    /// Units of the stream in all, when known.
    pub total: Option<u64>,
    /// What became of the records so far, all streams.
    pub counts: Counts,
    /// Rows and values that could not be read so far.
    pub row_errors: u64,
    /// Set while a repeat is waited for.
    pub waiting: Option<Waiting>,
}

/// A wait before a repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// How long.
    pub wait: Duration,
    /// What failed.
    pub cause: String,
}

/// Why an import stopped before its end. What was delivered until then stays, and the next
/// import goes on behind it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The customer service refused, or could not be reached for too long.
    #[error("the customer service answered {}: {}", .0.code(), .0.message())]
    Refused(Box<Status>),
    /// The foreign side could not be read.
    #[error("stream {stream}: {failure}")]
    Unreadable {
        /// The stream.
        stream: String,
        /// What happened.
        failure: Failure,
    },
    /// The cursor file could not be read or written.
    #[error("cursor file: {0}")]
    Resume(#[from] io::Error),
}

impl From<Status> for ImportError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// Pulls every stream of a connector and delivers what it yields.
///
/// `on_progress` is called often and must be quick. Dropping the future stops the import
/// between two batches at most; the next one goes on.
///
/// # Errors
/// See [`ImportError`]. Rows and records that are refused are no errors: they are in the report.
pub async fn import(
    job: Import,
    door: &dyn Door,
    entropy: &dyn Entropy,
    on_progress: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Report, ImportError> {
    let source_created = ensure_source(door, job.backoff, entropy, &job.source).await?;
    let resume = Resume::open(job.resume_file.clone(), &job.source.id, &job.digest)?;
    let report = Report {
        source: job.source.id.clone(),
        source_created,
        resumed: resume.resumed,
        imported_before: resume.state.run > 0,
        ..Report::default()
    };
    let streams = job
        .connector
        .discover()
        .await
        .map_err(|failure| ImportError::Unreadable {
            stream: String::new(),
            failure,
        })?;
    let progress = Progress {
        stream_count: streams.len(),
        ..Progress::default()
    };
    let mut at = Importing {
        job: &job,
        door,
        entropy,
        resume,
        report,
        progress,
        on_progress,
    };
    for (i, schema) in streams.iter().enumerate() {
        at.report.page(Vec::new(), schema.notes.clone());
        at.progress.stream.clone_from(&schema.stream);
        at.progress.stream_number = i + 1;
        at.progress.done = 0;
        at.progress.total = None;
        if !at.resume.stream(&schema.stream).finished {
            at.stream(&schema.stream).await?;
        }
    }
    at.resume.finish()?;
    Ok(at.report)
}

/// An import on its way.
struct Importing<'a> {
    job: &'a Import,
    door: &'a dyn Door,
    entropy: &'a dyn Entropy,
    resume: Resume,
    report: Report,
    progress: Progress,
    on_progress: &'a mut (dyn FnMut(&Progress) + Send),
}

/// How a pull ended before its end.
enum Cut {
    Pull(PullError),
    Stop(ImportError),
}

impl<E: Into<ImportError>> From<E> for Cut {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}

impl Importing<'_> {
    /// Pulls one stream to its end, again when the foreign side was only away for a while.
    async fn stream(&mut self, stream: &str) -> Result<(), ImportError> {
        let mut failed = 0;
        let mut reset = false;
        loop {
            let before = self.resume.stream(stream).cursor;
            let error = match self.pull(stream, before.clone()).await {
                Ok(()) => break,
                Err(Cut::Stop(error)) => return Err(error),
                Err(Cut::Pull(error)) => error,
            };
            if self.resume.stream(stream).cursor != before {
                failed = 0;
            }
            match error.kind {
                PullErrorKind::Unavailable => {
                    failed += 1;
                    let Some(wait) = self.job.backoff.wait(failed, self.entropy) else {
                        return Err(unreadable(stream, error.failure));
                    };
                    self.report.retries += 1;
                    self.wait(wait, error.failure.reason).await;
                }
                // Starting over is safe, because records that are known already stay as they are.
                PullErrorKind::CursorUnknown if !reset && before.is_some() => {
                    reset = true;
                    self.resume.state.streams.remove(stream);
                }
                _ => return Err(unreadable(stream, error.failure)),
            }
        }
        self.resume.finish_stream(stream)?;
        Ok(())
    }

    async fn wait(&mut self, wait: Duration, cause: &str) {
        self.progress.waiting = Some(Waiting {
            wait,
            cause: cause.to_owned(),
        });
        (self.on_progress)(&self.progress);
        tokio::time::sleep(wait).await;
        self.progress.waiting = None;
    }

    async fn pull(&mut self, stream: &str, cursor: Option<String>) -> Result<(), Cut> {
        let origin = Origin {
            source: self.job.source.id.clone(),
            digest: self.job.digest.clone(),
            run: self.resume.state.run,
            stream: stream.to_owned(),
        };
        let mut pages = PageReader::pull(&self.job.connector, stream, cursor);
        let mut batcher = Batcher::of_first_load(!self.report.imported_before);
        let mut done = 0;
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    // What was read before the cut is good; keeping it makes the repeat shorter.
                    self.send(&origin, batcher.take(), done).await?;
                    return Err(Cut::Pull(error));
                }
            };
            self.report.page(page.row_errors, page.notes);
            self.progress.row_errors = self.report.row_error_count;
            self.progress.total = page.progress.total;
            for record in &page.records {
                let Some(message) = self.message(record) else {
                    continue;
                };
                let full = batcher.push(message);
                self.send(&origin, full, done).await?;
            }
            self.send_leads(&origin, &page.leads).await?;
            done = page.progress.done;
            batcher.end_page(page.cursor.map(|c| c.0));
        }
        pages.join().await.map_err(Cut::Pull)?;
        self.send(&origin, batcher.take(), done).await?;
        Ok(())
    }

    /// The record as a message, or nothing when it cannot be sent; then it is in the report.
    fn message(
        &mut self,
        record: &jinke_types::SourceRecord,
    ) -> Option<jinke_proto::jinke::customer::v1::SourceRecord> {
        let failure = match convert::source_record(record) {
            Ok(message) if message.encoded_len() <= MAX_RECORD_BYTES => return Some(message),
            Ok(_) => Failure::new(
                jinke_types::Code::InvalidArgument,
                "RECORD_TOO_LARGE",
                "the record is over 256 KiB",
            ),
            Err(failure) => failure,
        };
        self.report.counts.rejected += 1;
        self.progress.counts = self.report.counts;
        self.report.reject(Rejected {
            source: record.key.source.clone(),
            external_id: record.key.external_id.clone(),
            reason: failure.reason.to_owned(),
            message: failure.message,
        });
        None
    }

    /// Sends the leads of a page, before its cursor is saved.
    async fn send_leads(&mut self, origin: &Origin, leads: &[Lead]) -> Result<(), ImportError> {
        if leads.is_empty() {
            return Ok(());
        }
        let cursor = self.resume.stream(&origin.stream).cursor;
        let progress = &mut self.progress;
        let on_progress = &mut *self.on_progress;
        let mut on_wait = |wait: Duration, status: &Status| {
            let cause = format!("{:?}: {}", status.code(), status.message());
            progress.waiting = Some(Waiting { wait, cause });
            on_progress(progress);
        };
        let told = deliver_leads(
            &*self.job.leads,
            (self.job.backoff, self.entropy),
            origin,
            cursor.as_deref(),
            &self.job.source.org_unit,
            leads,
            &mut on_wait,
        )
        .await?;
        self.report.counts.add(&told.counts);
        self.report.retries += told.retries;
        for (_, rejected) in told.rejected {
            self.report.reject(rejected);
        }
        self.progress.waiting = None;
        self.progress.counts = self.report.counts;
        Ok(())
    }

    /// Sends a batch, then saves its cursor. `done` is how far the stream is with it.
    async fn send(
        &mut self,
        origin: &Origin,
        batch: Option<Batch>,
        done: u64,
    ) -> Result<(), ImportError> {
        let Some(batch) = batch else { return Ok(()) };
        let before = self.resume.stream(&origin.stream).cursor;
        let progress = &mut self.progress;
        let on_progress = &mut *self.on_progress;
        let mut on_wait = |wait: Duration, status: &Status| {
            let cause = format!("{:?}: {}", status.code(), status.message());
            progress.waiting = Some(Waiting { wait, cause });
            on_progress(progress);
        };
        let delivered = deliver(
            self.door,
            self.job.backoff,
            self.entropy,
            origin,
            before.as_deref(),
            &batch,
            &mut on_wait,
        )
        .await?;
        self.report.counts.add(&delivered.counts);
        self.report.retries += delivered.retries;
        for (_, rejected) in delivered.rejected {
            self.report.reject(rejected);
        }
        if let Some(cursor) = batch.cursor {
            self.resume.advance(&origin.stream, cursor)?;
        }
        self.progress.waiting = None;
        self.progress.done = done;
        self.progress.counts = self.report.counts;
        (self.on_progress)(&self.progress);
        Ok(())
    }
}

fn unreadable(stream: &str, failure: Failure) -> ImportError {
    ImportError::Unreadable {
        stream: stream.to_owned(),
        failure,
    }
}
