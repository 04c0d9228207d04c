//! A status as HTTP: the code of `google.rpc.Code`'s table and `google.rpc.Status` as JSON, its
//! details decoded.

use http::StatusCode;
use jinke_types::Failure;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The HTTP code of a gRPC code.
pub const fn http_code(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// The code of a status whose reason says more about HTTP than its code does.
fn by_reason(reason: &str) -> Option<StatusCode> {
    Some(match reason {
        "METHOD_NOT_ALLOWED" => StatusCode::METHOD_NOT_ALLOWED,
        "MESSAGE_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
        "URI_TOO_LONG" => StatusCode::URI_TOO_LONG,
        "CONTENT_TYPE_UNSUPPORTED" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "BODY_TIMEOUT" => StatusCode::REQUEST_TIMEOUT,
        _ => return None,
    })
}

/// An error on its way to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP code.
    pub code: StatusCode,
    /// `google.rpc.Status` as JSON.
    pub body: Vec<u8>,
    /// Seconds for `Retry-After`, when trying again helps.
    pub retry_after: Option<u64>,
}

/// Turns a status into an answer.
pub fn answer(status: &Status, pool: &DescriptorPool) -> Answer {
    let details = status.get_error_details();
    let reason = details.error_info().map_or("", |i| i.reason.as_str());
    let code = by_reason(reason).unwrap_or_else(|| http_code(status.code()));
    let stated = details.retry_info().and_then(|r| r.retry_delay);
    let waits = code == StatusCode::TOO_MANY_REQUESTS || code == StatusCode::SERVICE_UNAVAILABLE;
    let retry_after = match stated {
        // Rounded up: who comes a little early is refused again.
        Some(delay) => Some(delay.as_secs() + u64::from(delay.subsec_nanos() > 0)),
        None => waits.then_some(1),
    };
    let body = json(status, pool).unwrap_or_else(|| {
        let plain = serde_json::json!({"code": status.code() as i32, "message": status.message()});
        plain.to_string().into_bytes()
    });
    Answer {
        code,
        body,
        retry_after,
    }
}

/// The status as JSON; `None` when the pool has no `google.rpc.Status`.
fn json(status: &Status, pool: &DescriptorPool) -> Option<Vec<u8>> {
    let desc = pool.get_message_by_name("google.rpc.Status")?;
    let mut message = DynamicMessage::decode(desc.clone(), status.details())
        .unwrap_or_else(|_| DynamicMessage::new(desc.clone()));
    message.set_field_by_name("code", Value::I32(status.code() as i32));
    message.set_field_by_name("message", Value::String(status.message().to_owned()));
    if let Some(details) = message
        .get_field_by_name_mut("details")
        .and_then(Value::as_list_mut)
    {
        // A detail we have no descriptor for has no JSON form, and must not take the rest along.
        details.retain(|any| {
            any.as_message()
                .is_some_and(|m| serde_json::to_vec(m).is_ok())
        });
    }
    serde_json::to_vec(&message).ok()
}

/// A failure of the gateway's own, with the same form as those of the services.
pub fn status(failure: Failure) -> Status {
    jinke_kit::status(failure)
}

/// How a stream ends when the gateway goes down.
pub fn draining() -> Status {
    status(Failure::new(
        jinke_types::Code::Unavailable,
        "DRAINING",
        "the gateway is going down; open the stream again",
    ))
}

/// A status with how long to wait.
pub fn retry_in(failure: Failure, seconds: u64) -> Status {
    let bare = jinke_kit::status(failure);
    let mut details = bare.get_error_details();
    details.set_retry_info(Some(std::time::Duration::from_secs(seconds)));
    Status::with_error_details(bare.code(), bare.message(), details)
}
