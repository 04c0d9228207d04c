//! Failure to status and back.

use jinke_kit::{failure, status};
use jinke_types::{Code, Failure, Violation};
use tonic::Status;
use tonic_types::StatusExt;

const CODES: [Code; 14] = [
    Code::InvalidArgument,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::Unauthenticated,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::ResourceExhausted,
    Code::DeadlineExceeded,
    Code::Cancelled,
    Code::Unavailable,
    Code::Unimplemented,
    Code::Internal,
    Code::DataLoss,
];

#[test]
fn every_code_goes_there_and_back() {
    for code in CODES {
        let mut sent = Failure::new(code, "SOME_REASON", "a sentence").with("etag", "\"7\"");
        sent.violations = vec![Violation {
            field: "a.b[0]".into(),
            description: "is bad".into(),
        }];
        let status = status(sent.clone());
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (info.domain.as_str(), info.reason.as_str()),
            ("jinke", "SOME_REASON")
        );
        let got = failure(&status);
        assert_eq!((got.code, got.reason), (code, "SOME_REASON"));
        if matches!(code, Code::Internal | Code::DataLoss) {
            assert!(!got.message.contains("a sentence"));
            assert!(!got.metadata.contains_key("etag") && got.metadata.contains_key("request_id"));
        } else {
            assert_eq!(got, sent);
        }
    }
}

#[test]
fn details_stay_below_what_clients_take_in_headers() {
    let many = (0..10_000)
        .map(|i| Violation {
            field: format!("records[{i}].external_id"),
            description: "空".into(),
        })
        .collect();
    let mut sent = Failure::fields(many);
    sent.message = "长".repeat(5_000);
    let status = status(sent);
    assert!(
        status.details().len() < 8 * 1024,
        "{}",
        status.details().len()
    );
    assert!(status.message().len() < 1100);
    let got = failure(&status);
    assert!((10..10_000).contains(&got.violations.len()));
}

#[test]
fn a_foreign_status_gets_a_reason_of_its_code() {
    let table = [
        (
            Status::unavailable("down"),
            Code::Unavailable,
            "UNAVAILABLE",
        ),
        (
            Status::out_of_range("large"),
            Code::ResourceExhausted,
            "LIMIT_REACHED",
        ),
        (Status::unknown("?"), Code::Internal, "INTERNAL"),
    ];
    for (status, code, reason) in table {
        let got = failure(&status);
        assert_eq!((got.code, got.reason), (code, reason));
    }
}

#[test]
fn reasons_from_the_wire_cannot_grow_memory() {
    use tonic_types::ErrorDetails;
    let with = |reason: String| {
        let details = ErrorDetails::with_error_info(
            reason,
            "jinke",
            [("k", "v")].map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        failure(&Status::with_error_details(
            tonic::Code::Aborted,
            "x",
            details,
        ))
        .reason
    };
    assert_eq!(with("ETAG_MISMATCH".into()), "ETAG_MISMATCH");
    for bad in ["", "lower", "SPACE HERE", &"A".repeat(65)] {
        assert_eq!(with(bad.to_owned()), "REMOTE", "{bad:?}");
    }
    let distinct: std::collections::BTreeSet<_> =
        (0..2_000).map(|i| with(format!("R{i}"))).collect();
    assert!(distinct.len() <= 513, "{}", distinct.len());
    assert!(distinct.contains("REMOTE"));
}
