//! The failures of reading files. No message holds a value of the file.

use jinke_sdk::{PullError, PullErrorKind};
use jinke_types::{Code, Failure};

/// `FILE_UNREADABLE`: the file is not what it should be.
pub fn unreadable(file: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "FILE_UNREADABLE",
        format!("{file}: {why}"),
    )
    .with("file", file)
}

/// `FILE_TOO_LARGE`: the file is beyond a limit, or pretends to be.
pub fn too_large(file: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(
        Code::ResourceExhausted,
        "FILE_TOO_LARGE",
        format!("{file}: {why}"),
    )
    .with("file", file)
}

/// A failure of the operating system: `FILE_MISSING` or `FILE_UNREADABLE`.
pub fn io(file: &str, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Failure::new(
            Code::NotFound,
            "FILE_MISSING",
            format!("{file} does not exist"),
        )
        .with("file", file);
    }
    unreadable(file, error)
}

/// A failure that pulling again will not mend.
pub const fn stop(failure: Failure) -> PullError {
    PullError::new(PullErrorKind::Unreadable, failure)
}
