//! `StreamSourceRecords`.
//!
//! Batches of one stream are stored one after the other, in the order they came: the order of
//! versions without a revision or time is the order of arrival. While one is being stored, the
//! next is read and checked. At most [`AHEAD`] checked batches and [`AHEAD`] answers are held;
//! then nothing more is read, and HTTP/2 flow control makes the client wait.
//!
//! An answer is sent when its batch is durable and resolved. A batch that fails as a whole (the
//! database is away) is answered with a rejection of each record, and the stream goes on. It
//! ends when a message itself is invalid (no or more than 1,000 records), when the caller loses
//! the right or his token expires (the kit sees to that), when nothing comes or is taken for the idle time, or when the process stops.

use jinke_kit::status;
use jinke_types::{AuditIntent, Failure};
use prost::Message as _;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{
    Api,
    ingest_source_records::{Batch, check_batch},
};
use crate::{
    access::{Viewer, mask},
    convert::{Check, pb},
    error,
};

/// Batches held before, and answers after the one at work.
const AHEAD: usize = 2;
const PERMISSION: &str = "customer.sourceRecords.ingest";

/// The answers of a stream.
pub type Results = ReceiverStream<Result<pb::StreamSourceRecordsResponse, Status>>;

/// Starts reading and storing; the answers come as a stream.
pub fn run(
    api: Api,
    viewer: Viewer,
    requests: Streaming<pb::StreamSourceRecordsRequest>,
) -> Results {
    let (batches, checked) = mpsc::channel(AHEAD);
    let (answers, results) = mpsc::channel(AHEAD);
    tokio::spawn(read(api.clone(), requests, batches));
    let storing = store(api, viewer, checked, answers);
    tokio::spawn(AuditIntent::scope_of(AuditIntent::current(), storing));
    ReceiverStream::new(results)
}

/// A checked message: its sequence, its records, whether they are resolved later.
type Message = (i64, Batch, bool);
type Checked = Result<Message, Status>;

/// Reads and checks messages until the stream ends or cannot go on.
async fn read(
    api: Api,
    mut requests: Streaming<pb::StreamSourceRecordsRequest>,
    batches: mpsc::Sender<Checked>,
) {
    let idle = api.limits.stream_idle;
    loop {
        let next = tokio::select! {
            next = timeout(idle, requests.message()) => next,
            () = batches.closed() => return,
            () = api.shutdown.wait() => {
                let _ = batches.send(Err(status(error::draining()))).await;
                return;
            }
        };
        let checked = match next {
            Err(_) => Err(status(error::stream_idle(idle.as_secs()))),
            Ok(Err(broken)) => Err(broken),
            Ok(Ok(None)) => return,
            Ok(Ok(Some(message))) => check(message).map_err(status),
        };
        let last = checked.is_err();
        if batches.send(checked).await.is_err() || last {
            return;
        }
    }
}

fn check(message: pb::StreamSourceRecordsRequest) -> Result<Message, Failure> {
    let mut check = Check::new();
    check_batch(&mut check, &message.records, message.encoded_len());
    check.done()?;
    let later = message.resolve_later;
    Ok((message.sequence, Batch::read(message.records), later))
}

/// Stores checked batches in order and answers each.
async fn store(
    api: Api,
    viewer: Viewer,
    mut checked: mpsc::Receiver<Checked>,
    answers: mpsc::Sender<Result<pb::StreamSourceRecordsResponse, Status>>,
) {
    loop {
        // When the answers have nowhere to go (the client left, or the kit ended the stream because
        // the token expired), what was read ahead must not be stored any more.
        let batch = tokio::select! {
            biased;
            () = answers.closed() => return,
            batch = checked.recv() => batch,
        };
        let Some(batch) = batch else { return };
        let answer = match batch {
            Err(end) => Err(end),
            // Rights may have changed since the stream began.
            Ok((sequence, batch, later)) => match (api.regrant)(&viewer, PERMISSION) {
                Err(failure) => Err(status(failure)),
                Ok(viewer) => Ok((sequence, batch, later, viewer)),
            },
        };
        let answer = match answer {
            Err(end) => Err(end),
            Ok((sequence, batch, later, viewer)) => {
                let results = ingest(&api, &viewer, batch, later).await;
                let mut answer = pb::StreamSourceRecordsResponse { sequence, results };
                mask(&mut answer, &viewer.mask);
                Ok(answer)
            }
        };
        let last = answer.is_err();
        // A client that takes no answers holds what it sent; after the idle time it is let go.
        let sent = timeout(api.limits.stream_idle, answers.send(answer)).await;
        if last || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// The results of a batch; when it fails as a whole, a rejection of each record.
async fn ingest(api: &Api, viewer: &Viewer, batch: Batch, later: bool) -> Vec<pb::IngestResult> {
    let outline = batch.outline();
    match batch.ingest(api, viewer, None, later).await {
        Ok(results) => results,
        Err(failure) => {
            let results = outline.reject(&failure);
            api.numbers.count(&results);
            results
        }
    }
}
