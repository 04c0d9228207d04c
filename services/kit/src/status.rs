//! The one mapping between [`Failure`] and `tonic::Status`, in both directions.
//!
//! Every status carries `google.rpc.ErrorInfo` with the reason, domain `jinke` and metadata;
//! `INVALID_ARGUMENT` also `google.rpc.BadRequest`. The message of an internal failure goes to
//! the log under the request id, and the caller is only told that id.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use jinke_types::{Code, Failure, Violation};
use tonic::{Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::deadline::Call;

/// The `domain` of every `ErrorInfo`.
pub const DOMAIN: &str = "jinke";

/// Bytes of error details sent at most; more violations than fit are left out. Details travel in
/// a header, and clients refuse large ones (8 KiB by default, base64 included).
const MAX_DETAIL_BYTES: usize = 4096;

/// The gRPC code of a failure's code.
pub const fn grpc_code(code: Code) -> tonic::Code {
    match code {
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::NotFound => tonic::Code::NotFound,
        Code::AlreadyExists => tonic::Code::AlreadyExists,
        Code::PermissionDenied => tonic::Code::PermissionDenied,
        Code::Unauthenticated => tonic::Code::Unauthenticated,
        Code::FailedPrecondition => tonic::Code::FailedPrecondition,
        Code::Aborted => tonic::Code::Aborted,
        Code::ResourceExhausted => tonic::Code::ResourceExhausted,
        Code::DeadlineExceeded => tonic::Code::DeadlineExceeded,
        Code::Cancelled => tonic::Code::Cancelled,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::Unimplemented => tonic::Code::Unimplemented,
        Code::Internal => tonic::Code::Internal,
        Code::DataLoss => tonic::Code::DataLoss,
    }
}

/// The failure's code for a gRPC code. `OUT_OF_RANGE`, which only tonic's own size check uses,
/// becomes `RESOURCE_EXHAUSTED`; `OK` and `UNKNOWN`, which no service of ours answers, `INTERNAL`.
pub const fn failure_code(code: tonic::Code) -> Code {
    match code {
        tonic::Code::InvalidArgument => Code::InvalidArgument,
        tonic::Code::NotFound => Code::NotFound,
        tonic::Code::AlreadyExists => Code::AlreadyExists,
        tonic::Code::PermissionDenied => Code::PermissionDenied,
        tonic::Code::Unauthenticated => Code::Unauthenticated,
        tonic::Code::FailedPrecondition => Code::FailedPrecondition,
        tonic::Code::Aborted => Code::Aborted,
        tonic::Code::ResourceExhausted | tonic::Code::OutOfRange => Code::ResourceExhausted,
        tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
        tonic::Code::Cancelled => Code::Cancelled,
        tonic::Code::Unavailable => Code::Unavailable,
        tonic::Code::Unimplemented => Code::Unimplemented,
        tonic::Code::DataLoss => Code::DataLoss,
        tonic::Code::Ok | tonic::Code::Unknown | tonic::Code::Internal => Code::Internal,
    }
}

/// Turns a failure into the status a caller sees.
pub fn status(failure: Failure) -> Status {
    let hidden = matches!(failure.code, Code::Internal | Code::DataLoss);
    let mut metadata: HashMap<String, String> = failure.metadata.into_iter().collect();
    let message = if hidden {
        let id = Call::request_id();
        tracing::error!(request_id = %id, reason = failure.reason, "{}", failure.message);
        metadata = HashMap::from([("request_id".to_owned(), id.clone())]);
        format!("internal error; the log tells more under request id {id}")
    } else {
        failure.message
    };
    let mut details = ErrorDetails::new();
    let mut left = MAX_DETAIL_BYTES;
    // Metadata comes first: a program acts on it, whereas violations are for people.
    let metadata = metadata
        .into_iter()
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .filter(|(k, v)| fits(&mut left, k.len() + v.len()))
        .collect::<HashMap<_, _>>();
    details.set_error_info(failure.reason, DOMAIN, metadata);
    let violations: Vec<_> = failure
        .violations
        .into_iter()
        .filter(|v| fits(&mut left, v.field.len() + v.description.len()))
        .map(|v| FieldViolation::new(v.field, v.description))
        .collect();
    if !violations.is_empty() {
        details.set_bad_request(violations);
    }
    let message = truncated(message, 1024);
    Status::with_error_details_and_metadata(
        grpc_code(failure.code),
        message,
        details,
        MetadataMap::new(),
    )
}

fn fits(left: &mut usize, bytes: usize) -> bool {
    let need = bytes + 16;
    let fits = need <= *left;
    if fits {
        *left -= need;
    }
    fits
}

fn truncated(mut text: String, max: usize) -> String {
    if text.len() > max {
        let mut end = max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Turns a status a peer or server answered back into a failure. A status without our
/// `ErrorInfo` gets a reason named after its code.
pub fn failure(status: &Status) -> Failure {
    let details = status.get_error_details();
    let info = details.error_info().filter(|i| i.domain == DOMAIN);
    let reason = info.map_or_else(|| plain_reason(status.code()), |i| intern(&i.reason));
    let mut f = Failure::new(failure_code(status.code()), reason, status.message());
    if let Some(info) = info {
        f.metadata = info.metadata.clone().into_iter().collect();
    }
    if let Some(bad) = details.bad_request() {
        f.violations = bad
            .field_violations
            .iter()
            .map(|v| Violation {
                field: v.field.clone(),
                description: v.description.clone(),
            })
            .collect();
    }
    f
}

/// The reason for a status that does not say one.
const fn plain_reason(code: tonic::Code) -> &'static str {
    match code {
        tonic::Code::Unavailable => "UNAVAILABLE",
        tonic::Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        tonic::Code::Cancelled => "CANCELLED",
        tonic::Code::Unimplemented => "UNIMPLEMENTED",
        tonic::Code::Unauthenticated => "UNAUTHENTICATED",
        tonic::Code::PermissionDenied => "PERMISSION_DENIED",
        tonic::Code::ResourceExhausted | tonic::Code::OutOfRange => "LIMIT_REACHED",
        tonic::Code::InvalidArgument => "INVALID_ARGUMENT",
        tonic::Code::NotFound => "NOT_FOUND",
        _ => "INTERNAL",
    }
}

/// Reasons are constants of the program, also when they come over the wire from another service,
/// so each distinct one is kept once for the life of the process. A peer cannot make that grow
/// without bound: past 512 reasons, or for text that is no reason, it is `REMOTE`.
pub(crate) fn intern(reason: &str) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let well_formed = (1..=64).contains(&reason.len())
        && reason
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if !well_formed {
        return "REMOTE";
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(k) = known.get(reason) {
        return k;
    }
    if known.len() >= 512 {
        return "REMOTE";
    }
    let kept: &'static str = Box::leak(reason.to_owned().into_boxed_str());
    known.insert(kept);
    kept
}

/// `?` in handlers: turns the failure of a result into a status.
pub trait ResultExt<T> {
    /// The same result with a status for an error.
    ///
    /// # Errors
    /// The failure, as [`status`] maps it.
    fn or_status(self) -> Result<T, Status>;
}

impl<T> ResultExt<T> for Result<T, Failure> {
    fn or_status(self) -> Result<T, Status> {
        self.map_err(status)
    }
}
