//! The one error shape. Every layer below gRPC returns a [`Failure`]; `jinke-kit`
//! alone turns it into a `tonic::Status` with `ErrorInfo` and `BadRequest`.

use std::{collections::BTreeMap, fmt};

/// The small set of error codes; a subset of gRPC's, on purpose. A new one needs a
/// caller that would act differently on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request itself is wrong, whatever the state of the system.
    InvalidArgument,
    /// The named thing does not exist, or the caller may not know that it does.
    NotFound,
    /// The thing to be created exists already.
    AlreadyExists,
    /// The caller is known but not allowed.
    PermissionDenied,
    /// The caller is not known.
    Unauthenticated,
    /// The system is not in a state that allows this; retrying unchanged will not help.
    FailedPrecondition,
    /// A concurrent change got in between (stale etag); read again and retry.
    Aborted,
    /// A limit was reached; retry later or ask for less.
    ResourceExhausted,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// The caller went away or took the call back.
    Cancelled,
    /// The service or something it needs is not reachable now; retry with backoff.
    Unavailable,
    /// This build or configuration does not offer the call.
    Unimplemented,
    /// A bug or a broken invariant. The message is logged, not shown.
    Internal,
    /// Stored data was found damaged.
    DataLoss,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 14] = [
        Self::InvalidArgument,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::Unauthenticated,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::ResourceExhausted,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::Unavailable,
        Self::Unimplemented,
        Self::Internal,
        Self::DataLoss,
    ];

    /// Its name, as gRPC writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Cancelled => "CANCELLED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::DataLoss => "DATA_LOSS",
        }
    }

    /// The code of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

/// One bad field of a request: a path such as `records[3].external_id`, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the request message, in proto field names.
    pub field: String,
    /// What is wrong with it, lower-case, without a full stop.
    pub description: String,
}

/// An error with a code, a machine-readable reason and, where fields are wrong, which.
///
/// `reason` is UPPER_SNAKE_CASE and listed in `docs/errors.md`. `metadata` never holds
/// personal data: it goes to logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class of error.
    pub code: Code,
    /// Stable, documented reason, e.g. `ETAG_MISMATCH`.
    pub reason: &'static str,
    /// A sentence for people, lower-case, without a full stop and without personal data.
    pub message: String,
    /// Facts a program needs to act on the reason.
    pub metadata: BTreeMap<String, String>,
    /// The bad fields, when `code` is [`Code::InvalidArgument`].
    pub violations: Vec<Violation>,
}

impl Failure {
    /// A failure with no metadata and no violations.
    pub fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
        }
    }
    /// Adds one metadata entry.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }
    /// `INVALID_ARGUMENT` for one field.
    pub fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::fields(vec![Violation {
            field: field.into(),
            description: description.into(),
        }])
    }
    /// `INVALID_ARGUMENT` for several fields. `violations` must not be empty.
    pub fn fields(violations: Vec<Violation>) -> Self {
        let first = violations
            .first()
            .map(|v| format!("{}: {}", v.field, v.description));
        let mut f = Self::new(
            Code::InvalidArgument,
            "INVALID_FIELD",
            first.unwrap_or_default(),
        );
        f.violations = violations;
        f
    }
    /// `NOT_FOUND` for a resource name.
    pub fn not_found(name: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, "NOT_FOUND", format!("{name} not found"))
    }
    /// `INTERNAL`; the message is logged and not shown to the caller.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Code::Internal, "INTERNAL", message.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}
impl std::error::Error for Failure {}
