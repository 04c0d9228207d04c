//! `google.longrunning.Operations` over what a service keeps: [`crate::Built::operations`].
//!
//! An operation's name is `<service>/operations/<number>`. Whoever started one sees it, may
//! cancel it and may forget it once it has ended; others need `<area>.operations.get` or
//! `<area>.operations.cancel` somewhere. To anybody else it does not exist. The metadata of an
//! operation is a `jinke.type.v1.OperationMetadata`.
//!
//! In a process of several services the host looks into a request for the name and gives the
//! call to the service it begins with.

use std::{sync::Arc, time::Duration};

use bytes::Buf;
use jinke_proto::{
    google::{
        longrunning::{
            self as pb, operation,
            operations_server::{Operations as Rpc, OperationsServer},
        },
        rpc,
    },
    jinke::r#type::v1::{OperationMetadata, operation_metadata},
};
use jinke_types::{
    Caller, Code, Failure, Operation, OperationLog, OperationQuery, OperationState, Timestamp,
};
use prost::{
    Message, Name,
    encoding::{DecodeContext, WireType, decode_key, skip_field},
};
use prost_types::Any;
use tonic::{Request, Response, Status, server::NamedService};

use crate::{Access, ResultExt, auth, status};

/// The service's full name.
pub(crate) const SERVICE: &str = "google.longrunning.Operations";

/// Its methods, and the field of the request that names an operation or a collection.
pub(crate) const METHODS: [(&str, u32); 5] = [
    ("ListOperations", 4),
    ("GetOperation", 1),
    ("DeleteOperation", 1),
    ("CancelOperation", 1),
    ("WaitOperation", 1),
];

/// Largest request; a name and a filter are far smaller.
pub(crate) const MAX_REQUEST: usize = 16 << 10;

/// Most operations of a page, and how many when none is asked for.
const MAX_PAGE: i32 = 1_000;
const PAGE: i32 = 50;

/// How long `WaitOperation` waits at most, and how often it looks.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// An [`Operation`] as callers see it. `service` is the name it begins with.
pub fn to_message(service: &str, o: &Operation) -> pb::Operation {
    let state = match o.state {
        OperationState::Running => operation_metadata::State::Running,
        OperationState::Succeeded => operation_metadata::State::Succeeded,
        OperationState::Failed => operation_metadata::State::Failed,
        OperationState::Cancelled => operation_metadata::State::Cancelled,
    };
    let metadata = OperationMetadata {
        kind: o.kind.clone(),
        state: state.into(),
        creator: o.caller.clone(),
        steps_done: o.done,
        steps_total: o.total,
        cancel_requested: o.cancel_requested,
        attempts: i32::try_from(o.attempts).unwrap_or(i32::MAX),
        create_time: Some(time(o.create_time)),
        update_time: Some(time(o.update_time)),
    };
    let result = match o.state {
        OperationState::Running => None,
        OperationState::Succeeded => {
            let response = o.result.as_deref().map(Any::decode);
            Some(match response {
                Some(Ok(response)) => operation::Result::Response(response),
                _ => operation::Result::Error(error(&Failure::internal(
                    "the result of the operation cannot be read",
                ))),
            })
        }
        OperationState::Failed => {
            let kept = o.failure.clone();
            let failure = kept.map_or_else(
                || Failure::internal("the operation failed"),
                |f| Failure::new(f.code, status::intern(&f.reason), f.message),
            );
            Some(operation::Result::Error(error(&failure)))
        }
        OperationState::Cancelled => Some(operation::Result::Error(error(&Failure::new(
            Code::Cancelled,
            "OPERATION_CANCELLED",
            "the operation was cancelled",
        )))),
    };
    pb::Operation {
        name: format!("{service}/operations/{}", o.id),
        metadata: Some(pack(&metadata)),
        done: o.state != OperationState::Running,
        result,
    }
}

/// A message as the `Any` that results of operations are: `finish(tx, &pack(&m).encode_to_vec())`.
pub fn pack<M: Message + Name>(message: &M) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{}", M::full_name()),
        value: message.encode_to_vec(),
    }
}

/// The message in an `Any`; `DATA_LOSS` when it is another one.
///
/// # Errors
/// See above.
pub fn unpack<M: Message + Name + Default>(any: &Any) -> Result<M, Failure> {
    let wrong = || {
        Failure::new(
            Code::DataLoss,
            "DATA_LOSS",
            format!("expected {}", M::full_name()),
        )
    };
    if any.type_url.rsplit('/').next() != Some(M::full_name().as_str()) {
        return Err(wrong());
    }
    M::decode(any.value.as_slice()).map_err(|_| wrong())
}

fn time(t: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: t.secs(),
        nanos: t.subsec_nanos(),
    }
}

fn error(failure: &Failure) -> rpc::Status {
    let status = status::status(failure.clone());
    // The details of a status are an encoded `google.rpc.Status` with `ErrorInfo`.
    rpc::Status::decode(status.details()).unwrap_or_else(|_| rpc::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

/// The service an Operations request names: what stands before the first `/` of the name field.
pub(crate) fn service_of(method: &str, mut message: &[u8]) -> Option<String> {
    let field = METHODS.iter().find(|m| m.0 == method)?.1;
    let mut name = String::new();
    while message.has_remaining() {
        let (tag, wire) = decode_key(&mut message).ok()?;
        if tag == field && wire == WireType::LengthDelimited {
            let mut text = String::new();
            prost::encoding::string::merge(wire, &mut text, &mut message, DecodeContext::default())
                .ok()?;
            name = text;
        } else {
            skip_field(wire, tag, &mut message, DecodeContext::default()).ok()?;
        }
    }
    Some(name.split('/').next().unwrap_or_default().to_owned())
}

/// The Operations of one service.
#[derive(Clone)]
pub(crate) struct Operations {
    service: &'static str,
    /// What its permissions begin with: the area of its contract.
    area: String,
    log: Arc<dyn OperationLog>,
    access: Access,
}

impl NamedService for Operations {
    const NAME: &'static str = SERVICE;
}

impl Operations {
    pub(crate) fn server(
        service: &'static str,
        area: &str,
        log: Arc<dyn OperationLog>,
        access: Access,
    ) -> OperationsServer<Self> {
        OperationsServer::new(Self {
            service,
            area: area.to_owned(),
            log,
            access,
        })
        .max_decoding_message_size(MAX_REQUEST)
    }

    fn id(&self, name: &str) -> Result<i64, Failure> {
        name.strip_prefix(self.service)
            .and_then(|rest| rest.strip_prefix("/operations/"))
            .filter(|id| id.starts_with(|c: char| ('1'..='9').contains(&c)))
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| unknown(name))
    }

    fn may(&self, caller: &Caller, verb: &str) -> Result<(), Failure> {
        let permission = format!("{}.operations.{verb}", self.area);
        self.access.authorize(caller, &permission).map(|_| ())
    }

    /// The operation, if the caller may do `verb` with it. One he may not see does not exist.
    async fn allowed(&self, caller: &Caller, name: &str, verb: &str) -> Result<Operation, Failure> {
        let found = self.log.get(self.id(name)?).await?;
        if found.caller == caller.name {
            return Ok(found);
        }
        self.may(caller, "get").map_err(|_| unknown(name))?;
        if verb != "get" {
            self.may(caller, verb)?;
        }
        Ok(found)
    }

    async fn listed(
        &self,
        caller: &Caller,
        request: &pb::ListOperationsRequest,
    ) -> Result<pb::ListOperationsResponse, Failure> {
        let parent = request.name.trim_end_matches("/operations");
        if parent != self.service {
            return Err(Failure::field(
                "name",
                format!("must be {} here", self.service),
            ));
        }
        let size = match request.page_size {
            0 => PAGE,
            n if n < 0 => return Err(Failure::field("page_size", "must not be negative")),
            n => n.min(MAX_PAGE),
        };
        let before = match request.page_token.as_str() {
            "" => None,
            token => Some(
                token
                    .parse()
                    .ok()
                    .filter(|n| *n > 0)
                    .ok_or_else(|| Failure::field("page_token", "is not one of this list"))?,
            ),
        };
        let mut query = OperationQuery {
            before,
            limit: size.unsigned_abs() + 1,
            ..filter(&request.filter)?
        };
        if self.may(caller, "get").is_err() {
            query.caller = Some(caller.name.clone());
        }
        query.limit = query.limit.min(MAX_PAGE.unsigned_abs());
        let wanted = usize::try_from(size.min(MAX_PAGE - 1)).unwrap_or(1);
        let mut found = self.log.list(query).await?;
        let more = found.len() > wanted;
        found.truncate(wanted);
        let next = found.last().filter(|_| more).map(|o| o.id.to_string());
        Ok(pb::ListOperationsResponse {
            operations: found.iter().map(|o| to_message(self.service, o)).collect(),
            next_page_token: next.unwrap_or_default(),
            unreachable: Vec::new(),
        })
    }

    async fn waited(
        &self,
        caller: &Caller,
        request: &pb::WaitOperationRequest,
    ) -> Result<pb::Operation, Failure> {
        let asked = request.timeout.map_or(LONGEST_WAIT, |t| {
            Duration::try_from(t).unwrap_or(Duration::ZERO)
        });
        let until = tokio::time::Instant::now() + asked.min(LONGEST_WAIT);
        loop {
            let found = self.allowed(caller, &request.name, "get").await?;
            if found.state != OperationState::Running || tokio::time::Instant::now() >= until {
                return Ok(to_message(self.service, &found));
            }
            tokio::time::sleep_until(until.min(tokio::time::Instant::now() + LOOK_AGAIN)).await;
        }
    }
}

fn unknown(name: &str) -> Failure {
    Failure::not_found(name.chars().take(100).collect::<String>())
}

/// `done = true`, `done = false`, `kind = "rebuild"`, joined with AND.
fn filter(text: &str) -> Result<OperationQuery, Failure> {
    let mut query = OperationQuery::default();
    for term in text.split(" AND ").map(str::trim).filter(|t| !t.is_empty()) {
        let wrong = || {
            Failure::field(
                "filter",
                "terms are `done = true`, `done = false` and `kind = \"…\"`, joined with AND",
            )
        };
        let (name, value) = term.split_once('=').ok_or_else(wrong)?;
        let value = value.trim();
        match name.trim() {
            "done" => query.done = Some(value.parse().map_err(|_| wrong())?),
            "kind" => query.kind = Some(value.trim_matches('"').to_owned()),
            _ => return Err(wrong()),
        }
    }
    Ok(query)
}

#[tonic::async_trait]
impl Rpc for Operations {
    async fn list_operations(
        &self,
        request: Request<pb::ListOperationsRequest>,
    ) -> Result<Response<pb::ListOperationsResponse>, Status> {
        let grant = auth::grant(&request)?;
        let listed = self.listed(&grant.caller, request.get_ref()).await;
        listed.map(Response::new).or_status()
    }

    async fn get_operation(
        &self,
        request: Request<pb::GetOperationRequest>,
    ) -> Result<Response<pb::Operation>, Status> {
        let grant = auth::grant(&request)?;
        let name = &request.get_ref().name;
        let found = self.allowed(&grant.caller, name, "get").await;
        found
            .map(|o| Response::new(to_message(self.service, &o)))
            .or_status()
    }

    async fn delete_operation(
        &self,
        request: Request<pb::DeleteOperationRequest>,
    ) -> Result<Response<()>, Status> {
        let grant = auth::grant(&request)?;
        let name = &request.get_ref().name;
        let found = self
            .allowed(&grant.caller, name, "cancel")
            .await
            .or_status()?;
        self.log.delete(found.id).await.or_status()?;
        Ok(Response::new(()))
    }

    async fn cancel_operation(
        &self,
        request: Request<pb::CancelOperationRequest>,
    ) -> Result<Response<()>, Status> {
        let grant = auth::grant(&request)?;
        let name = &request.get_ref().name;
        let found = self
            .allowed(&grant.caller, name, "cancel")
            .await
            .or_status()?;
        self.log.cancel(found.id).await.or_status()?;
        Ok(Response::new(()))
    }

    async fn wait_operation(
        &self,
        request: Request<pb::WaitOperationRequest>,
    ) -> Result<Response<pb::Operation>, Status> {
        let grant = auth::grant(&request)?;
        let waited = self.waited(&grant.caller, request.get_ref()).await;
        waited.map(Response::new).or_status()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_read_from_the_name() {
        let get = pb::GetOperationRequest {
            name: "customer/operations/7".into(),
        };
        let read = |method: &str, m: &[u8]| service_of(method, m);
        assert_eq!(
            read("GetOperation", &get.encode_to_vec()).as_deref(),
            Some("customer")
        );
        let list = pb::ListOperationsRequest {
            filter: "done = true".into(),
            name: "pipeline/operations".into(),
            page_size: 3,
            ..Default::default()
        };
        assert_eq!(
            read("ListOperations", &list.encode_to_vec()).as_deref(),
            Some("pipeline")
        );
        assert_eq!(read("GetOperation", &[]).as_deref(), Some(""));
        assert_eq!(read("GetOperation", &[0xff; 20]), None);
        assert_eq!(read("Unknown", &[]), None);
    }

    #[test]
    fn filters_are_few() {
        let query = filter("done = false AND kind = \"rebuild\"").unwrap();
        assert_eq!(query.done, Some(false));
        assert_eq!(query.kind.as_deref(), Some("rebuild"));
        for wrong in ["done", "done = perhaps", "caller = x"] {
            assert_eq!(filter(wrong).unwrap_err().reason, "INVALID_FIELD");
        }
    }
}
