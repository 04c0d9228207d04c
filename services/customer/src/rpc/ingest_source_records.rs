//! `IngestSourceRecords`, and the batch work it shares with `StreamSourceRecords`.

use std::collections::BTreeSet;

use jinke_types::{Failure, RowScope, SourceRecord};
use prost::Message as _;

use super::{Api, request_id};
use crate::{
    access::Viewer,
    convert::{Check, answer, check::MAX_EXTERNAL_ID, pb, record, value::record_key_out},
    domain::{IngestResult, MAX_BATCH, RequestId},
    error,
    store::query,
};

const METHOD: &str = "jinke.customer.v1.SourceService/IngestSourceRecords";

/// Most bytes of a whole batch.
pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Takes a batch. Every record gets its own result, in order.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::IngestSourceRecordsRequest,
) -> Result<pb::IngestSourceRecordsResponse, Failure> {
    let mut check = Check::new();
    let id = check.request_id(&request.request_id);
    check_batch(&mut check, &request.records, request.encoded_len());
    check.done()?;
    let id = id.and_then(|id| request_id(id, &viewer, METHOD, &request));
    let batch = Batch::read(request.records);
    let results = if request.validate_only {
        batch.check(&api, &viewer).await?
    } else {
        batch
            .ingest(&api, &viewer, id, request.resolve_later)
            .await?
    };
    Ok(pb::IngestSourceRecordsResponse { results })
}

/// What makes a whole batch wrong: how many records it holds and how large it is.
pub(super) fn check_batch(check: &mut Check, records: &[pb::SourceRecord], bytes: usize) {
    if records.is_empty() || records.len() > MAX_BATCH {
        check.wrong::<()>(
            "records",
            format!("must hold 1 to {MAX_BATCH} records, not {}", records.len()),
        );
    } else if bytes > MAX_BATCH_BYTES {
        check.wrong::<()>(
            "records",
            format!("are larger than {MAX_BATCH_BYTES} bytes together"),
        );
    }
}

/// A batch whose records have been read: those that are well-formed, and a place for the result of
/// each.
#[derive(Debug)]
pub(super) struct Batch {
    results: Vec<Option<pb::IngestResult>>,
    records: Vec<(usize, SourceRecord)>,
}

impl Batch {
    /// Reads the records. One that is wrong is rejected by itself.
    pub(super) fn read(records: Vec<pb::SourceRecord>) -> Self {
        let mut batch = Self {
            results: Vec::with_capacity(records.len()),
            records: Vec::new(),
        };
        for (index, wire) in records.into_iter().enumerate() {
            let key = echo(wire.key.as_ref());
            let mut check = Check::new();
            let read = record::source_record(&mut check, &format!("records[{index}]"), wire);
            match check.finish(read) {
                Ok(record) => {
                    batch.results.push(None);
                    batch.records.push((index, record));
                }
                Err(failure) => batch.results.push(Some(rejected(key, failure, index))),
            }
        }
        batch
    }

    /// Stores what is well-formed and allowed, and resolves it, new parties `later` perhaps.
    pub(super) async fn ingest(
        mut self,
        api: &Api,
        viewer: &Viewer,
        request: Option<RequestId>,
        later: bool,
    ) -> Result<Vec<pb::IngestResult>, Failure> {
        let (indices, records) = self.allowed(api, viewer).await?;
        if !records.is_empty() {
            let waiting = &api.numbers.ingest_waiting;
            waiting.inc();
            let began = tokio::time::Instant::now();
            let done = if later {
                api.engine.ingest_later(records, request).await
            } else {
                api.engine.ingest(records, request).await
            };
            waiting.dec();
            api.numbers
                .ingest_seconds
                .observe(began.elapsed().as_secs_f64());
            self.place(indices, done?)?;
        }
        let results = self.finish()?;
        api.numbers.count(&results);
        Ok(results)
    }

    /// What [`Batch::ingest`] would answer.
    async fn check(mut self, api: &Api, viewer: &Viewer) -> Result<Vec<pb::IngestResult>, Failure> {
        let (indices, records) = self.allowed(api, viewer).await?;
        if !records.is_empty() {
            let done = api.engine.check_ingest(records).await?;
            self.place(indices, done)?;
        }
        self.finish()
    }

    /// What is needed to reject the batch as a whole later, without its content.
    pub(super) fn outline(&self) -> Outline {
        Outline {
            results: self.results.clone(),
            keys: self
                .records
                .iter()
                .map(|(i, r)| (*i, record_key_out(&r.key)))
                .collect(),
        }
    }

    /// Rejects records of sources the caller may not write to, and gives the others. A source that
    /// he does not even see is not found.
    async fn allowed(
        &mut self,
        api: &Api,
        viewer: &Viewer,
    ) -> Result<(Vec<usize>, Vec<SourceRecord>), Failure> {
        let records = std::mem::take(&mut self.records);
        if viewer.scope == RowScope::All {
            return Ok(records.into_iter().unzip());
        }
        let (mut reader, rows) = api.read(viewer).await?;
        let named: BTreeSet<String> = records.iter().map(|(_, r)| r.key.source.clone()).collect();
        let units = query::org_units(&mut reader, named).await?;
        let mut out = (Vec::new(), Vec::new());
        for (index, record) in records {
            let source = &record.key.source;
            let failure = match units.get(source) {
                Some(unit) if viewer.scope.sees(unit, false) => {
                    out.0.push(index);
                    out.1.push(record);
                    continue;
                }
                Some(unit) if rows.sees(source) => error::org_unit_denied(unit),
                _ => error::source_unknown(source),
            };
            let key = Some(record_key_out(&record.key));
            self.results[index] = Some(rejected(key, failure, index));
        }
        Ok(out)
    }

    fn place(&mut self, indices: Vec<usize>, done: Vec<IngestResult>) -> Result<(), Failure> {
        if done.len() != indices.len() {
            return Err(Failure::internal(
                "the engine answered for another number of records",
            ));
        }
        for (index, result) in indices.into_iter().zip(done) {
            self.results[index] = Some(answer::ingest_result(result, index));
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<pb::IngestResult>, Failure> {
        self.results
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(|| Failure::internal("a record was left without a result"))
    }
}

/// The results a batch has so far, and the keys of its other records.
pub(super) struct Outline {
    results: Vec<Option<pb::IngestResult>>,
    keys: Vec<(usize, pb::RecordKey)>,
}

impl Outline {
    /// Rejects every record that has no result yet, with one failure.
    pub(super) fn reject(mut self, failure: &Failure) -> Vec<pb::IngestResult> {
        for (index, key) in self.keys {
            self.results[index] = Some(rejected(Some(key), failure.clone(), index));
        }
        self.results.into_iter().flatten().collect()
    }
}

/// The key to send back with a rejection, when it is not itself what is too long.
fn echo(key: Option<&pb::RecordKey>) -> Option<pb::RecordKey> {
    key.filter(|k| k.source.len() <= 100 && k.external_id.len() <= 4 * MAX_EXTERNAL_ID)
        .cloned()
}

fn rejected(key: Option<pb::RecordKey>, failure: Failure, index: usize) -> pb::IngestResult {
    pb::IngestResult {
        key,
        outcome: pb::ingest_result::Outcome::Rejected.into(),
        error: Some(answer::record_error(failure, index)),
        ..pb::IngestResult::default()
    }
}
