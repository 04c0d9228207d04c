//! The reasons that are identity's own. All are listed in docs/errors.md.

use std::{fmt::Display, time::Duration};

use jinke_types::{Code, Failure};

/// Wrong name and wrong password alike.
pub(crate) fn login_failed() -> Failure {
    Failure::new(
        Code::Unauthenticated,
        "LOGIN_FAILED",
        "the name or the password is wrong",
    )
}

/// Only told to someone who knew the secret.
pub(crate) fn member_disabled() -> Failure {
    Failure::new(
        Code::Unauthenticated,
        "MEMBER_DISABLED",
        "the account is disabled",
    )
}

/// Only told to someone who knew the password.
pub(crate) fn password_change_required() -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "PASSWORD_CHANGE_REQUIRED",
        "the password was for one time; send new_password as well",
    )
}

/// Too many wrong passwords lately, for this name or in all.
pub(crate) fn login_throttled(wait: Duration) -> Failure {
    // Rounded up, so that a caller who waits as told is not refused again.
    let seconds = wait.as_micros().div_ceil(1_000_000);
    Failure::new(
        Code::ResourceExhausted,
        "LOGIN_THROTTLED",
        format!("too many failed logins; try again in {seconds} s"),
    )
    .with("retry_after_seconds", seconds)
}

/// More password checks are waiting than memory and processors allow.
pub(crate) fn login_busy() -> Failure {
    Failure::new(
        Code::ResourceExhausted,
        "LOGIN_BUSY",
        "too many logins are being checked; try again in a moment",
    )
    .with("retry_after_seconds", 1)
}

/// Unknown, deleted, expired and malformed keys alike.
pub(crate) fn key_refused() -> Failure {
    Failure::new(Code::Unauthenticated, "KEY_REFUSED", "the key is not valid")
}

/// Unknown, expired and malformed refresh tokens alike, and those of an ended session.
pub(crate) fn refresh_token_refused() -> Failure {
    Failure::new(
        Code::Unauthenticated,
        "REFRESH_TOKEN_REFUSED",
        "the refresh token is not valid; log in again",
    )
}

/// A refresh token came a second time; its session was ended.
pub(crate) fn refresh_token_reused() -> Failure {
    Failure::new(
        Code::Unauthenticated,
        "REFRESH_TOKEN_REUSED",
        "the refresh token was used before, so its session was ended; log in again",
    )
}

/// The resource changed since its etag was read.
pub(crate) fn etag_mismatch(name: impl Display) -> Failure {
    Failure::new(
        Code::Aborted,
        "ETAG_MISMATCH",
        format!("{name} was changed meanwhile; read it again"),
    )
}

/// A resource of this name exists.
pub(crate) fn already_exists(name: impl Display) -> Failure {
    Failure::new(
        Code::AlreadyExists,
        "ALREADY_EXISTS",
        format!("{name} exists already"),
    )
}

/// Something the request refers to does not exist.
pub(crate) fn missing_reference(field: &str, name: impl Display) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "REFERENCE_NOT_FOUND",
        format!("{field} names {name}, which does not exist"),
    )
    .with("field", field)
}

/// The change would leave nobody who can administer the enterprise.
pub(crate) fn last_administrator() -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "LAST_ADMINISTRATOR",
        "no enabled user would be left with roles/administrator for the whole enterprise",
    )
}

/// The parent of an org unit lies below it.
pub(crate) fn org_unit_cycle() -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "ORG_UNIT_CYCLE",
        "an org unit cannot lie below itself",
    )
}

/// The caller may do this, but not there.
pub(crate) fn outside_scope(what: impl Display) -> Failure {
    Failure::new(
        Code::PermissionDenied,
        "OUTSIDE_SCOPE",
        format!("{what} lies outside the org units the caller may act in"),
    )
}

/// A limit on how many there may be.
pub(crate) fn too_many(what: &str, most: usize) -> Failure {
    Failure::new(
        Code::ResourceExhausted,
        "LIMIT_REACHED",
        format!("there may be at most {most} {what}"),
    )
    .with("limit", most)
}

/// A round would disable more members than may go unasked.
pub(crate) fn too_many_gone(gone: i64, known: i64, most: i64) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "DIRECTORY_TOO_MANY_GONE",
        format!(
            "{gone} of {known} members are no longer in the directory, and at most {most} may go \
             unasked; nobody was disabled"
        ),
    )
    .with("gone", gone)
    .with("known", known)
    .with("most", most)
}
