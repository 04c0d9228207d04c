//! A source service and a foreign system that misbehave on demand.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use jinke_proto::{
    google::rpc::{ErrorInfo, Status as RecordStatus},
    jinke::customer::v1::{
        self as pb,
        ingest_result::Outcome,
        source_service_server::{SourceService, SourceServiceServer},
    },
};
use jinke_sdk::{
    Connector, Cursor, Effect, Location, Page, Progress, PullError, PullErrorKind, RowError,
    Settings, Spec, StreamSchema,
};
use jinke_types::{Body, Code, Completeness, Failure, PartyKind, RecordKey, SourceRecord, Value};
use prost::Message;
use tonic::{Request, Response, Status, service::Routes};

/// What happens to one ingest call.
pub enum Fault {
    /// Nothing bad.
    None,
    /// Refused before anything is stored.
    Refuse(Status),
    /// Stored, but the answer does not arrive.
    Lost(Status),
    /// One record cannot be taken just now.
    Busy(&'static str),
}

#[derive(Default)]
struct State {
    sources: BTreeSet<String>,
    /// Versions (distinct contents) by external id, in the order of arrival.
    records: Vec<(String, Vec<Vec<u8>>)>,
    index: BTreeMap<String, usize>,
    requests: BTreeMap<String, (Vec<u8>, pb::IngestSourceRecordsResponse)>,
    faults: VecDeque<Fault>,
    rejects: BTreeSet<String>,
    batches: Vec<usize>,
    calls: usize,
    replays: usize,
    slow: Duration,
}

/// The service; clones share their state.
#[derive(Clone, Default)]
pub struct Service(Arc<Mutex<State>>);

impl Service {
    pub fn routes(&self) -> Routes {
        let server = SourceServiceServer::new(self.clone()).max_decoding_message_size(16 << 20);
        Routes::new(server)
    }
    pub fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().faults.extend(faults);
    }
    pub fn reject(&self, ids: &[&str]) {
        self.0
            .lock()
            .unwrap()
            .rejects
            .extend(ids.iter().map(|i| (*i).to_owned()));
    }
    pub fn slow(&self, by: Duration) {
        self.0.lock().unwrap().slow = by;
    }
    pub fn stored(&self) -> Vec<(String, usize)> {
        let state = self.0.lock().unwrap();
        state
            .records
            .iter()
            .map(|(id, versions)| (id.clone(), versions.len()))
            .collect()
    }
    pub fn batches(&self) -> Vec<usize> {
        self.0.lock().unwrap().batches.clone()
    }
    pub fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }
    pub fn replays(&self) -> usize {
        self.0.lock().unwrap().replays
    }
}

impl State {
    fn store(&mut self, record: &pb::SourceRecord, busy: Option<&str>) -> pb::IngestResult {
        let key = record.key.clone().unwrap();
        let id = key.external_id.clone();
        let mut result = pb::IngestResult {
            key: Some(key),
            ..pb::IngestResult::default()
        };
        let refuse = |code: i32, reason: &str| {
            let info = ErrorInfo {
                reason: reason.into(),
                ..ErrorInfo::default()
            };
            Some(RecordStatus {
                code,
                message: "refused".into(),
                details: vec![prost_types::Any {
                    type_url: "type.googleapis.com/google.rpc.ErrorInfo".into(),
                    value: info.encode_to_vec(),
                }],
            })
        };
        if busy == Some(id.as_str()) {
            result.set_outcome(Outcome::Rejected);
            result.error = refuse(tonic::Code::Unavailable.into(), "BUSY");
            return result;
        }
        if self.rejects.contains(&id) {
            result.set_outcome(Outcome::Rejected);
            result.error = refuse(tonic::Code::InvalidArgument.into(), "INVALID_FIELD");
            return result;
        }
        let content = record.encode_to_vec();
        let outcome = match self.index.get(&id) {
            None => {
                self.index.insert(id.clone(), self.records.len());
                self.records.push((id, vec![content]));
                Outcome::Created
            }
            Some(&at) if self.records[at].1.contains(&content) => Outcome::Unchanged,
            Some(&at) => {
                self.records[at].1.push(content);
                Outcome::Updated
            }
        };
        result.set_outcome(outcome);
        result
    }
}

#[tonic::async_trait]
impl SourceService for Service {
    async fn create_source(
        &self,
        request: Request<pb::CreateSourceRequest>,
    ) -> Result<Response<pb::Source>, Status> {
        let request = request.into_inner();
        let name = format!("sources/{}", request.source_id);
        self.0.lock().unwrap().sources.insert(name.clone());
        Ok(Response::new(pb::Source {
            name,
            ..request.source.unwrap_or_default()
        }))
    }

    async fn get_source(
        &self,
        request: Request<pb::GetSourceRequest>,
    ) -> Result<Response<pb::Source>, Status> {
        let name = request.into_inner().name;
        if self.0.lock().unwrap().sources.contains(&name) {
            Ok(Response::new(pb::Source {
                name,
                ..pb::Source::default()
            }))
        } else {
            Err(Status::not_found(name))
        }
    }

    async fn ingest_source_records(
        &self,
        request: Request<pb::IngestSourceRecordsRequest>,
    ) -> Result<Response<pb::IngestSourceRecordsResponse>, Status> {
        let request = request.into_inner();
        let slow = self.0.lock().unwrap().slow;
        tokio::time::sleep(slow).await;
        let mut state = self.0.lock().unwrap();
        state.calls += 1;
        let fault = state.faults.pop_front().unwrap_or(Fault::None);
        let (busy, answer) = match fault {
            Fault::None => (None, None),
            Fault::Busy(id) => (Some(id), None),
            Fault::Lost(status) => (None, Some(status)),
            Fault::Refuse(status) => return Err(status),
        };
        assert!(!request.request_id.is_empty() && request.request_id.len() <= 64);
        let body = request.encode_to_vec();
        let response = match state.requests.get(&request.request_id) {
            Some((known, response)) => {
                assert_eq!(known, &body, "one request id was used for two bodies");
                let response = response.clone();
                state.replays += 1;
                response
            }
            None => {
                state.batches.push(request.records.len());
                let results = request
                    .records
                    .iter()
                    .map(|r| state.store(r, busy))
                    .collect();
                let response = pb::IngestSourceRecordsResponse { results };
                state
                    .requests
                    .insert(request.request_id, (body, response.clone()));
                response
            }
        };
        match answer {
            Some(status) => Err(status),
            None => Ok(Response::new(response)),
        }
    }

    type StreamSourceRecordsStream =
        BoxStream<'static, Result<pb::StreamSourceRecordsResponse, Status>>;

    async fn stream_source_records(
        &self,
        _: Request<tonic::Streaming<pb::StreamSourceRecordsRequest>>,
    ) -> Result<Response<Self::StreamSourceRecordsStream>, Status> {
        Err(Status::unimplemented("not used by the runner"))
    }

    async fn list_sources(
        &self,
        _: Request<pb::ListSourcesRequest>,
    ) -> Result<Response<pb::ListSourcesResponse>, Status> {
        Err(Status::unimplemented("not used by the runner"))
    }

    async fn update_source(
        &self,
        _: Request<pb::UpdateSourceRequest>,
    ) -> Result<Response<pb::Source>, Status> {
        Err(Status::unimplemented("not used by the runner"))
    }

    async fn get_source_record(
        &self,
        _: Request<pb::GetSourceRecordRequest>,
    ) -> Result<Response<pb::SourceRecord>, Status> {
        Err(Status::unimplemented("not used by the runner"))
    }

    async fn list_source_records(
        &self,
        _: Request<pb::ListSourceRecordsRequest>,
    ) -> Result<Response<pb::ListSourceRecordsResponse>, Status> {
        Err(Status::unimplemented("not used by the runner"))
    }
}

/// What the foreign system does once.
pub enum Trip {
    Away { after_pages: usize },
    CursorUnknown,
    Panic,
}

/// A foreign system with streams of so many pages of so many records.
pub struct Foreign {
    streams: Vec<(&'static str, usize, usize)>,
    asked: Mutex<Vec<Option<String>>>,
    trip: Mutex<Option<Trip>>,
    row_errors: AtomicU64,
    bloat: Mutex<Option<(String, usize)>>,
    pulled: Arc<AtomicU64>,
}

impl Foreign {
    pub fn new(streams: &[(&'static str, usize, usize)]) -> Arc<Self> {
        Arc::new(Self {
            streams: streams.to_vec(),
            asked: Mutex::default(),
            trip: Mutex::default(),
            row_errors: AtomicU64::new(0),
            bloat: Mutex::default(),
            pulled: Arc::default(),
        })
    }
    pub fn trip(&self, trip: Trip) {
        *self.trip.lock().unwrap() = Some(trip);
    }
    pub fn row_errors(&self, per_page: u64) {
        self.row_errors.store(per_page, Ordering::SeqCst);
    }
    pub fn bloat(&self, id: &str, bytes: usize) {
        *self.bloat.lock().unwrap() = Some((id.to_owned(), bytes));
    }
    /// Cursors the pulls began from.
    pub fn asked(&self) -> Vec<Option<String>> {
        self.asked.lock().unwrap().clone()
    }
    /// Pages given out.
    pub fn pulled(&self) -> u64 {
        self.pulled.load(Ordering::SeqCst)
    }

    fn page(&self, stream: &str, number: usize, records: usize, pages: usize) -> Page {
        let bloat = self.bloat.lock().unwrap().clone();
        let record = |i: usize| {
            let id = format!("{stream}-{:05}", number * records + i);
            let mut values = vec![Value::text("name", format!("公司{id}"))];
            if let Some((_, bytes)) = bloat.as_ref().filter(|(bloated, _)| *bloated == id) {
                values.push(Value::text("remark", "长".repeat(bytes / 3)));
            }
            SourceRecord {
                key: RecordKey::new("erp", id),
                source_revision: None,
                update_time: None,
                completeness: Completeness::Full,
                deleted: false,
                body: Body::Party {
                    kind: PartyKind::Organization,
                    values,
                },
            }
        };
        let row_error = |row: u64| RowError {
            location: Location {
                file: stream.to_owned(),
                sheet: None,
                row,
            },
            column: None,
            reason: "is no date".into(),
            effect: Effect::RowSkipped,
        };
        Page {
            records: (0..records).map(record).collect(),
            row_errors: (0..self.row_errors.load(Ordering::SeqCst))
                .map(row_error)
                .collect(),
            leads: vec![],
            directory: vec![],
            cursor: Some(Cursor((number + 1).to_string())),
            progress: Progress {
                done: (number + 1) as u64,
                total: Some(pages as u64),
            },
            notes: vec![],
        }
    }
}

#[async_trait]
impl Connector for Foreign {
    fn spec() -> Spec {
        Spec {
            kind: "foreign",
            display_name: "演示",
            about: "",
            keys: vec![],
            parts: vec![],
        }
    }
    fn open(_: &Settings) -> Result<Self, Failure> {
        Err(Failure::internal("made by the tests"))
    }
    async fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure> {
        let schema = |(stream, _, _): &(&'static str, usize, usize)| StreamSchema {
            stream: (*stream).to_owned(),
            kind: "organization".into(),
            columns: vec![],
            notes: vec![],
        };
        Ok(self.streams.iter().map(schema).collect())
    }
    async fn pull(
        &self,
        stream: &str,
        cursor: Option<Cursor>,
    ) -> BoxStream<'static, Result<Page, PullError>> {
        self.asked.lock().unwrap().push(cursor.clone().map(|c| c.0));
        let trip = self.trip.lock().unwrap().take();
        let (_, pages, records) = *self.streams.iter().find(|(s, _, _)| *s == stream).unwrap();
        let from = cursor.map_or(0, |c| c.0.parse::<usize>().unwrap());
        let error = |kind| {
            let failure = Failure::new(Code::Unavailable, "AWAY", "the foreign system is away");
            Err(PullError::new(kind, failure))
        };
        let mut out: Vec<Result<Page, PullError>> = (from..pages)
            .map(|number| Ok(self.page(stream, number, records, pages)))
            .collect();
        let mut panics = false;
        match trip {
            None => {}
            Some(Trip::Away { after_pages }) => {
                out.truncate(after_pages);
                out.push(error(PullErrorKind::Unavailable));
            }
            Some(Trip::CursorUnknown) => out = vec![error(PullErrorKind::CursorUnknown)],
            Some(Trip::Panic) => panics = true,
        }
        let pulled = self.pulled.clone();
        futures::stream::iter(out)
            .inspect(move |_| {
                assert!(!panics, "the connector has a bug");
                pulled.fetch_add(1, Ordering::SeqCst);
            })
            .boxed()
    }
}
