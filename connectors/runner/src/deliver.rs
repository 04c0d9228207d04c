//! Sending one batch: again when it may help, with the results told apart record by record.

use std::time::Duration;

use async_trait::async_trait;
use jinke_proto::{
    google::rpc::{ErrorInfo, Status as RecordStatus},
    jinke::customer::v1::{
        CreateSourceRequest, GetSourceRequest, IngestSourceRecordsRequest,
        IngestSourceRecordsResponse, Source, ingest_result::Outcome, source,
        source_service_client::SourceServiceClient,
    },
};
use jinke_types::Entropy;
use prost::Message;
use tonic::{
    Code, Status,
    client::GrpcService,
    codegen::{Body, Bytes, StdError},
};
use tonic_types::StatusExt;

use crate::{
    backoff::Backoff,
    batch::{Batch, MAX_BYTES, Origin, request_id},
    import::SourceSpec,
    report::{Counts, Rejected},
};

/// A batch that is not answered in this time is sent again under the same request id.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The door of the customer service, as far as an import needs it.
#[async_trait]
pub trait Door: Send + Sync {
    /// `SourceService.GetSource`.
    async fn get_source(&self, name: String) -> Result<Source, Status>;
    /// `SourceService.CreateSource`.
    async fn create_source(&self, request: CreateSourceRequest) -> Result<Source, Status>;
    /// `SourceService.IngestSourceRecords`.
    async fn ingest(
        &self,
        request: IngestSourceRecordsRequest,
    ) -> Result<IngestSourceRecordsResponse, Status>;
}

/// The door over gRPC: a `jinke_kit::Peer`, an authenticated channel, or any other transport.
#[derive(Clone, Debug)]
pub struct GrpcDoor<T>(SourceServiceClient<T>);

impl<T> GrpcDoor<T>
where
    T: GrpcService<tonic::body::Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    /// The door behind `transport`, which must authenticate the calls.
    pub fn new(transport: T) -> Self {
        Self(SourceServiceClient::new(transport).max_decoding_message_size(4 * MAX_BYTES))
    }
}

#[async_trait]
impl<T> Door for GrpcDoor<T>
where
    T: GrpcService<tonic::body::Body> + Clone + Send + Sync + 'static,
    T::Error: Into<StdError>,
    T::Future: Send,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    async fn get_source(&self, name: String) -> Result<Source, Status> {
        let mut client = self.0.clone();
        let call = client.get_source(GetSourceRequest { name });
        Ok(within("customer", call).await?.into_inner())
    }
    async fn create_source(&self, request: CreateSourceRequest) -> Result<Source, Status> {
        let mut client = self.0.clone();
        let call = client.create_source(request);
        Ok(within("customer", call).await?.into_inner())
    }
    async fn ingest(
        &self,
        request: IngestSourceRecordsRequest,
    ) -> Result<IngestSourceRecordsResponse, Status> {
        let mut client = self.0.clone();
        let mut request = tonic::Request::new(request);
        request.set_timeout(DEADLINE);
        let call = client.ingest_source_records(request);
        Ok(within("customer", call).await?.into_inner())
    }
}

/// What a call to the `service` answers in time.
pub(crate) async fn within<T>(
    service: &str,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    // The deadline is sent along too; this one also ends a call whose connection is dead.
    match tokio::time::timeout(DEADLINE + Duration::from_secs(5), call).await {
        Ok(answer) => answer,
        Err(_) => Err(Status::deadline_exceeded(format!(
            "the {service} service did not answer in time"
        ))),
    }
}

/// Whether sending the same request again may help. Transport failures surface as `UNKNOWN`
/// or `UNAVAILABLE`; with a request id a repeat is harmless.
pub const fn is_retryable(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::DeadlineExceeded
            | Code::Unknown
    )
}

/// Whether an answer of the customer service may be another one later. Beside the codes of
/// [`is_retryable`] those that its transport makes of a connection that breaks under an answer: a
/// cancelled stream, and `INTERNAL` without the `ErrorInfo` that every answer of a service has.
pub fn may_pass(status: &Status) -> bool {
    match status.code() {
        Code::Cancelled => true,
        Code::Internal => status.get_details_error_info().is_none(),
        code => is_retryable(code),
    }
}

/// The attempts at one request.
pub(crate) struct Attempts<'a> {
    backoff: Backoff,
    entropy: &'a dyn Entropy,
    made: u32,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(backoff: Backoff, entropy: &'a dyn Entropy) -> Self {
        Self {
            backoff,
            entropy,
            made: 0,
        }
    }

    /// How long to wait after `status`; gives the status back when trying again is no use.
    pub(crate) fn next(&mut self, status: Status) -> Result<Duration, Status> {
        self.made += 1;
        if !may_pass(&status) {
            return Err(status);
        }
        let asked = status
            .get_details_retry_info()
            .and_then(|info| info.retry_delay);
        match self.backoff.wait(self.made, self.entropy) {
            // A service that says when to come back is obeyed, within our own bound.
            Some(wait) => Ok(wait.max(asked.unwrap_or_default().min(self.backoff.longest))),
            None => Err(status),
        }
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    pub(crate) counts: Counts,
    /// One for each record of the batch, in its order.
    pub(crate) outcomes: Vec<Outcome>,
    /// The refused ones, by their place in the batch.
    pub(crate) rejected: Vec<(usize, Rejected)>,
    pub(crate) retries: u64,
}

impl Delivered {
    /// Notes that what stands at a place was refused.
    pub(crate) fn refuse(&mut self, place: usize, rejected: Rejected) {
        self.counts.rejected += 1;
        self.outcomes[place] = Outcome::Rejected;
        self.rejected.push((place, rejected));
    }
}

/// Sends `batch`, pulled after `cursor`, until the service has answered for every record.
/// `on_wait` hears of every wait before a repeat.
pub(crate) async fn deliver(
    door: &dyn Door,
    backoff: Backoff,
    entropy: &dyn Entropy,
    origin: &Origin,
    cursor: Option<&str>,
    batch: &Batch,
    on_wait: &mut (dyn FnMut(Duration, &Status) + Send),
) -> Result<Delivered, Status> {
    let mut done = Delivered {
        outcomes: vec![Outcome::Unspecified; batch.records.len()],
        ..Delivered::default()
    };
    let mut records = batch.records.clone();
    let mut places: Vec<usize> = (0..records.len()).collect();
    let mut attempts = Attempts::new(backoff, entropy);
    while !records.is_empty() {
        let request = IngestSourceRecordsRequest {
            request_id: request_id(origin, cursor, &records, batch.later),
            records: records.clone(),
            validate_only: false,
            resolve_later: batch.later,
        };
        let response = match door.ingest(request).await {
            Ok(response) => response,
            Err(status) => {
                let shown = status.clone();
                let wait = attempts.next(status)?;
                done.retries += 1;
                on_wait(wait, &shown);
                tokio::time::sleep(wait).await;
                continue;
            }
        };
        if response.results.len() != records.len() {
            return Err(Status::data_loss(format!(
                "the service answered {} results for {} records",
                response.results.len(),
                records.len()
            )));
        }
        let mut again = Vec::new();
        let mut cause = None;
        for ((record, place), result) in std::mem::take(&mut records)
            .into_iter()
            .zip(std::mem::take(&mut places))
            .zip(response.results)
        {
            done.outcomes[place] = result.outcome();
            match result.outcome() {
                Outcome::Created => done.counts.created += 1,
                Outcome::Updated => done.counts.updated += 1,
                Outcome::Unchanged => done.counts.unchanged += 1,
                Outcome::Superseded => done.counts.superseded += 1,
                Outcome::Rejected | Outcome::Unspecified => {
                    let error = result.error.unwrap_or_default();
                    if is_retryable(Code::from_i32(error.code)) && error.code != 2 {
                        cause = Some(Status::new(Code::from_i32(error.code), error.message));
                        again.push(record);
                        places.push(place);
                        continue;
                    }
                    done.counts.rejected += 1;
                    let key = record.key.unwrap_or_default();
                    let rejected = rejected(&key.source, key.external_id, &error);
                    done.rejected.push((place, rejected));
                }
            }
        }
        // Records that could not be taken just now go again, by themselves: another body, so
        // another request id.
        if let Some(cause) = cause {
            let shown = cause.clone();
            match attempts.next(cause) {
                Ok(wait) => {
                    done.retries += 1;
                    on_wait(wait, &shown);
                    tokio::time::sleep(wait).await;
                }
                Err(status) => return Err(status),
            }
        }
        records = again;
    }
    Ok(done)
}

/// A refusal as a service tells it.
pub(crate) fn rejected(source: &str, external_id: String, error: &RecordStatus) -> Rejected {
    let info = error
        .details
        .iter()
        .find(|any| any.type_url.ends_with("google.rpc.ErrorInfo"));
    let info = info.and_then(|any| ErrorInfo::decode(any.value.as_slice()).ok());
    Rejected {
        source: source.trim_start_matches("sources/").to_owned(),
        external_id,
        reason: info.map_or_else(
            || format!("{:?}", Code::from_i32(error.code)),
            |info| info.reason,
        ),
        message: error.message.clone(),
    }
}

/// Creates the source when it is missing; says whether it did. A source that exists is left
/// as it is.
pub(crate) async fn ensure_source(
    door: &dyn Door,
    backoff: Backoff,
    entropy: &dyn Entropy,
    spec: &SourceSpec,
) -> Result<bool, Status> {
    let mut attempts = Attempts::new(backoff, entropy);
    loop {
        let status = match door.get_source(format!("sources/{}", spec.id)).await {
            Ok(_) => return Ok(false),
            Err(status) if status.code() == Code::NotFound => {
                match door.create_source(creation(spec)).await {
                    Ok(_) => return Ok(true),
                    // Somebody else was faster.
                    Err(status) if status.code() == Code::AlreadyExists => return Ok(false),
                    Err(status) => status,
                }
            }
            Err(status) => status,
        };
        tokio::time::sleep(attempts.next(status)?).await;
    }
}

fn creation(spec: &SourceSpec) -> CreateSourceRequest {
    let sharing = if spec.walled {
        source::Sharing::OrgUnit
    } else {
        source::Sharing::Group
    };
    CreateSourceRequest {
        source_id: spec.id.clone(),
        source: Some(Source {
            display_name: spec.display_name.clone(),
            trust: spec.trust,
            org_unit: spec.org_unit.clone(),
            sharing: sharing.into(),
            ..Source::default()
        }),
        request_id: String::new(),
    }
}
