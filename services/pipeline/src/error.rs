//! The failures this service makes itself. Reasons are listed in `docs/errors.md`; those of the
//! store and the kit come through as they are.

use jinke_types::{Code, Failure};

/// `PERMISSION_DENIED` for an org unit in which the caller has no such role.
pub fn org_unit_denied(org_unit: &str) -> Failure {
    Failure::new(
        Code::PermissionDenied,
        "ORG_UNIT_DENIED",
        "it would belong to an org unit in which the caller has no such role",
    )
    .with("org_unit", org_unit)
}

/// `FAILED_PRECONDITION` for a lead that was converted or given up.
pub fn lead_closed() -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "LEAD_CLOSED",
        "the lead was converted or given up",
    )
}

/// `FAILED_PRECONDITION` for a lead whose personal values were destroyed.
pub fn lead_erased() -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "LEAD_ERASED",
        "the personal values of the lead were destroyed",
    )
}

/// `NOT_FOUND` for a customer of whom nothing remains, in the words of the customer service.
pub fn customer_erased(address: i64) -> Failure {
    Failure::new(
        Code::NotFound,
        "CUSTOMER_ERASED",
        format!("customers/{address} was erased"),
    )
}

/// `FAILED_PRECONDITION` for a lead that may be one of several customers: a person decides.
pub fn match_unsure(candidates: &[(i64, i32)]) -> Failure {
    let names: Vec<_> = candidates
        .iter()
        .map(|(id, _)| format!("customers/{id}"))
        .collect();
    Failure::new(
        Code::FailedPrecondition,
        "MATCH_UNSURE",
        "the lead may be a customer we know; say which one, or `new`",
    )
    .with("candidates", names.join(","))
}

/// `FAILED_PRECONDITION` for a task that is done or cancelled.
pub fn task_closed() -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "TASK_CLOSED",
        "the task is done or cancelled",
    )
}

/// `FAILED_PRECONDITION` for a pipeline that takes no new opportunities.
pub fn pipeline_archived() -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "PIPELINE_ARCHIVED",
        "the pipeline takes no new opportunities",
    )
}

/// `UNAVAILABLE` at the end of a stream because the process stops.
pub fn draining() -> Failure {
    Failure::new(
        Code::Unavailable,
        "DRAINING",
        "this process is stopping; open the stream again",
    )
}

/// `FAILED_PRECONDITION` for a feed position this database never gave out as it is.
pub fn position_ahead(position: i64, head: i64) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "POSITION_AHEAD",
        "the feed ends before this position; the database was put back to an older state",
    )
    .with("position", position)
    .with("head", head)
}
