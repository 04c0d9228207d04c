//! Errors as people read them: what, which field, why, and what to do; and the exit codes.

use std::fmt::Write as _;

use jinke_types::{Code, Failure};
use serde_json::json;

use super::text::clean;

/// Exit codes of `jinke`, as the help shows them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed for a reason that is not one of these
  2  the request is wrong: a flag, an argument, a file, a field
  3  something that was named does not exist
  4  not logged in, or not allowed
  5  the state does not allow it: it exists already, was changed meanwhile, is in use
  6  the server cannot be reached or has no capacity now; try again later
  7  the import ended, and some rows or records were refused (see the report)
  8  doctor or audit verify found something wrong
  130  stopped by Ctrl-C";

/// Some rows or records of an import were refused.
pub const EXIT_PARTIAL: u8 = 7;
/// `doctor` or `audit verify` found something wrong.
pub const EXIT_UNHEALTHY: u8 = 8;
/// Stopped by Ctrl-C.
pub const EXIT_INTERRUPTED: u8 = 130;

/// The exit code for a failure.
pub const fn exit_code(failure: &Failure) -> u8 {
    match failure.code {
        Code::InvalidArgument => 2,
        Code::NotFound => 3,
        Code::Unauthenticated | Code::PermissionDenied => 4,
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => 5,
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded => 6,
        Code::Cancelled => EXIT_INTERRUPTED,
        Code::Unimplemented | Code::Internal | Code::DataLoss => 1,
    }
}

/// What a person can do about a reason; nothing when the message says it all.
pub fn hint(failure: &Failure) -> Option<&'static str> {
    Some(match (failure.reason, failure.code) {
        ("DATABASE_HELD", _) => {
            "only one process may use a SQLite data folder: stop the one named above, or choose \
             another folder with --data-dir"
        }
        ("DATABASE_NEWER", _) => "the data was written by a newer jinke: use that version",
        ("NO_CREDENTIALS", _) => {
            "run `jinke login`, or name a credentials file with --credentials (the first start \
             leaves one in <data dir>/credentials/admin.toml)"
        }
        ("ETAG_MISMATCH", _) => "somebody changed it meanwhile: look at it again, then repeat",
        ("REQUEST_ID_REUSED", _) => "use a new request id for another request",
        ("CURSOR_UNKNOWN", _) => "run the import with --restart to begin from the first row",
        ("MAPPING_INVALID", _) => "`jinke import FILE --source S --preview` shows what is read",
        ("CONFIG", _) => "`jinke config default` shows every key with its meaning",
        ("PASSWORD_CHANGE_REQUIRED", _) => {
            "this password was for one time: log in again and give a new one"
        }
        (_, Code::Unauthenticated) => "log in again with `jinke login`",
        (_, Code::PermissionDenied) => {
            "`jinke whoami` shows your roles; an administrator can give more with \
             `jinke users grant`"
        }
        (_, Code::Unavailable) => {
            "is the server running? `jinke doctor` looks; --endpoint or JINKE_ENDPOINT names \
             another one"
        }
        (_, Code::ResourceExhausted) => "the server has no capacity just now: try again later",
        (_, Code::Internal | Code::DataLoss) => {
            "this is a fault of the server: its log tells more under the request id"
        }
        _ => return None,
    })
}

/// The failure as text: message, bad fields, reason, hint.
pub fn render(failure: &Failure) -> String {
    let mut out = format!("错误 error: {}\n", clean(&failure.message));
    for v in &failure.violations {
        let _ = writeln!(out, "  {}: {}", clean(&v.field), clean(&v.description));
    }
    let _ = write!(out, "  reason {} ({})", failure.reason, name(failure.code));
    for (key, value) in &failure.metadata {
        let _ = write!(out, ", {} = {}", clean(key), clean(value));
    }
    out.push('\n');
    if let Some(hint) = hint(failure) {
        let _ = writeln!(out, "  提示 hint: {hint}");
    }
    out
}

/// The failure as JSON: `{"error": {"code", "reason", "message", "metadata", "violations"}}`.
pub fn render_json(failure: &Failure) -> String {
    let violations: Vec<_> = failure
        .violations
        .iter()
        .map(|v| json!({"field": v.field, "description": v.description}))
        .collect();
    let error = json!({"error": {
        "code": name(failure.code),
        "reason": failure.reason,
        "message": failure.message,
        "metadata": failure.metadata,
        "violations": violations,
        "hint": hint(failure),
    }});
    format!("{error}\n")
}

/// The code's name in gRPC.
pub const fn name(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::Cancelled => "CANCELLED",
        Code::Unavailable => "UNAVAILABLE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::DataLoss => "DATA_LOSS",
    }
}

#[cfg(test)]
mod tests {
    use jinke_types::Violation;

    use super::*;

    #[test]
    fn an_error_names_fields_reason_and_a_way_on() {
        let failure = Failure::fields(vec![
            Violation {
                field: "source_id".into(),
                description: "must start with a letter".into(),
            },
            Violation {
                field: "source.trust".into(),
                description: "is over 100".into(),
            },
        ]);
        let expected = "\
错误 error: source_id: must start with a letter
  source_id: must start with a letter
  source.trust: is over 100
  reason INVALID_FIELD (INVALID_ARGUMENT)
";
        assert_eq!(render(&failure), expected);
        assert_eq!(exit_code(&failure), 2);

        let held = Failure::new(
            Code::FailedPrecondition,
            "DATABASE_HELD",
            "the database file is in use by pid 7",
        )
        .with("holder", "pid 7");
        let text = render(&held);
        assert!(
            text.contains("holder = pid 7") && text.contains("--data-dir"),
            "{text}"
        );
        assert_eq!(exit_code(&held), 5);
    }

    #[test]
    fn json_errors_can_be_read_by_programs() {
        let failure = Failure::field("page_size", "is over 1000").with("limit", 1000);
        let json: serde_json::Value = serde_json::from_str(&render_json(&failure)).unwrap();
        assert_eq!(json["error"]["reason"], "INVALID_FIELD");
        assert_eq!(json["error"]["violations"][0]["field"], "page_size");
        assert_eq!(json["error"]["metadata"]["limit"], "1000");
    }
}
