//! The failures this service makes itself. Reasons are listed in `docs/errors.md`; those of the
//! store and the kit come through as they are.

use jinke_types::{Code, Failure};

/// `NOT_FOUND` for a customer that does not exist or of which the caller sees no record.
pub fn customer_not_found(id: i64) -> Failure {
    Failure::not_found(format!("customers/{id}"))
}

/// `NOT_FOUND` for a source that does not exist or is walled off from the caller.
pub fn source_not_found(id: &str) -> Failure {
    Failure::new(
        Code::NotFound,
        "SOURCE_NOT_FOUND",
        format!("sources/{id} not found"),
    )
    .with("source", format!("sources/{id}"))
}

/// `FAILED_PRECONDITION` for a record to be stored whose source does not exist or is walled off: the
/// engine's own words for the former.
pub fn source_unknown(id: &str) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "SOURCE_UNKNOWN",
        "the source does not exist; create it first",
    )
    .with("source", format!("sources/{id}"))
}

/// `NOT_FOUND` for a record. The external id stays out of the message: it goes to logs.
pub fn record_not_found(source: &str) -> Failure {
    Failure::new(
        Code::NotFound,
        "RECORD_NOT_FOUND",
        "this source record was not found",
    )
    .with("source", format!("sources/{source}"))
}

/// `INVALID_ARGUMENT` for an order that a scoped caller cannot have: the stored name may come from
/// a source he does not see, and the order would tell it.
pub fn order_needs_all_rows() -> Failure {
    let mut failure = Failure::new(
        Code::InvalidArgument,
        "SEALED_FIELD",
        "order_by: display_name has an order only for callers who see every source",
    );
    failure.violations = Failure::field(
        "order_by",
        "names a field that has no order for this caller",
    )
    .violations;
    failure
}

/// `PERMISSION_DENIED` for a source of an org unit in which the caller has no role.
pub fn org_unit_denied(org_unit: &str) -> Failure {
    Failure::new(
        Code::PermissionDenied,
        "ORG_UNIT_DENIED",
        "the source belongs to an org unit in which the caller has no such role",
    )
    .with("org_unit", org_unit)
}

/// `UNAVAILABLE` at the end of a stream because the process stops.
pub fn draining() -> Failure {
    Failure::new(
        Code::Unavailable,
        "DRAINING",
        "this process is stopping; open the stream again",
    )
}

/// `FAILED_PRECONDITION` for a feed position that was never given out by this database as it is:
/// it was put back to an older state.
pub fn position_ahead(position: i64, head: i64) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "POSITION_AHEAD",
        "the feed ends before this position; the database was put back to an older state",
    )
    .with("position", position)
    .with("head", head)
}

/// `DEADLINE_EXCEEDED` for a client that holds a stream open and neither sends nor reads.
pub fn stream_idle(seconds: u64) -> Failure {
    Failure::new(
        Code::DeadlineExceeded,
        "STREAM_IDLE",
        format!("nothing came for {seconds} seconds; open the stream again and go on"),
    )
}
