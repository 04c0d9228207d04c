//! Cases in which the network, the foreign server or our own process fails.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, future::join_all};

use super::{HttpSubject, whole};
use crate::{
    connector::{Cursor, PullErrorKind},
    testing::{Fault, nested, pull},
};

/// Everything of the pull is dropped while any one request is under way, as when a run is
/// cancelled. A new one goes on from the cursor
/// of the last page that was delivered, and both together are the whole, in order, without a
/// record more.
pub async fn resumes_when_dropped_at_every_request(subject: &dyn HttpSubject) {
    for (stream, _) in subject.streams() {
        let server = subject.server();
        server.script([]);
        let want = whole(subject, &stream, None).await.records();
        for number in 1..=server.requests() {
            let mut got = Vec::new();
            let mut cursor: Option<Cursor> = None;
            server.script([(number, Fault::Hang)]);
            let hung = server.hung();
            {
                // Everything of this process is dropped at the end of the block.
                let connector = subject.connector();
                let work = async {
                    let mut pages = connector.pull(&stream, None).await;
                    while let Some(page) = pages.next().await {
                        let page = page.expect("no fault but the kill");
                        got.extend(page.records);
                        cursor = page.cursor.or(cursor.take());
                    }
                };
                tokio::select! { () = work => {}, () = hung => {} }
            }
            server.script([]);
            let rest = whole(subject, &stream, cursor).await;
            got.extend(rest.records());
            assert_eq!(got, want, "{stream}: killed at request {number}");
        }
    }
}

/// Each of the faults that pass by themselves, at each request of the first stream and the last
/// of the others: the result is the same.
pub async fn survives_every_fault_at_every_request(subject: &dyn HttpSubject) {
    let faults = [
        Fault::Status(500, None),
        Fault::Status(503, Some(0)),
        Fault::Status(502, None),
        Fault::Lost,
        Fault::Cut,
        Fault::Slow(Duration::from_millis(30)),
    ];
    for (i, (stream, _)) in subject.streams().into_iter().enumerate() {
        let server = subject.server();
        server.script([]);
        let want = whole(subject, &stream, None).await.records();
        let last = server.requests();
        for number in if i == 0 { 1 } else { last }..=last {
            for fault in &faults {
                server.script([(number, fault.clone())]);
                let got = whole(subject, &stream, None).await.records();
                assert_eq!(got, want, "{stream}: {fault:?} at request {number}");
            }
        }
        // One request that is never answered, in the middle: the time limit passes.
        server.script([(server.requests() / 2, Fault::Hang)]);
        let got = whole(subject, &stream, None).await.records();
        assert_eq!(got, want, "{stream}: a request that is never answered");
        // A fault that does not pass ends in a clear state.
        server.script_every(|n| (n > 2).then_some(Fault::Status(500, None)));
        let ended = pull(&*subject.connector(), &stream, None).await;
        let error = ended
            .error
            .expect("a server that does not work ends the pull");
        assert_eq!(error.kind, PullErrorKind::Unavailable, "{stream}: {error}");
        server.script([]);
    }
}

/// A 429 makes the pull wait as long as the server asked for, all of its calls together, and
/// costs nothing else. A wait beyond the limit ends the pull as unavailable.
pub async fn waits_when_throttled(subject: &dyn HttpSubject) {
    let server = subject.server();
    for (stream, _) in subject.streams() {
        server.script([]);
        let want = whole(subject, &stream, None).await.records();
        server.script_every(|n| (n % 3 == 0).then_some(Fault::Status(429, Some(0))));
        let got = whole(subject, &stream, None).await.records();
        assert_eq!(got, want, "{stream}: every third request throttled");
        server.script([(3, Fault::Status(429, Some(1)))]);
        let start = Instant::now();
        let got = whole(subject, &stream, None).await.records();
        assert_eq!(got, want, "{stream}: throttled once");
        assert!(
            start.elapsed() >= Duration::from_secs(1),
            "{stream}: did not wait"
        );
        server.script_every(|n| (n == 3).then_some(Fault::Status(429, Some(86_400))));
        let ended = pull(&*subject.connector(), &stream, None).await;
        let error = ended.error.expect("a day is too long to wait");
        assert_eq!(error.kind, PullErrorKind::Unavailable, "{stream}");
        server.script([]);
    }
}

/// Fifty calls at once on one connector open one session; when the foreign system ends it, fifty
/// more open one new session. A session that ends in the middle of a pull is renewed.
pub async fn renews_the_session_once(subject: &dyn HttpSubject) {
    let server = subject.server();
    server.script([]);
    let connector = subject.connector();
    for round in 0..3 {
        let before = subject.logins();
        let checks = join_all((0..50).map(|_| connector.check())).await;
        assert!(
            checks.iter().all(Result::is_ok),
            "round {round}: {checks:?}"
        );
        assert_eq!(subject.logins() - before, 1, "round {round}: logins");
        subject.end_sessions();
    }
    for (stream, _) in subject.streams() {
        let want = whole(subject, &stream, None).await.records();
        let connector = subject.connector();
        let mut pages = connector.pull(&stream, None).await;
        let mut got = Vec::new();
        while let Some(page) = pages.next().await {
            got.extend(page.expect("renewed").records);
            subject.end_sessions();
        }
        assert_eq!(got, want, "{stream}: sessions ended all the time");
    }
}

/// Bodies that are made to do harm, at each request of the first stream and the last of the
/// others: a clear error or a right result, and neither a panic nor memory nor time without
/// bound.
pub async fn refuses_hostile_bodies(subject: &dyn HttpSubject) {
    let server = subject.server();
    let bodies: Vec<(&str, Fault)> = vec![
        ("deep nesting", Fault::Body(nested(100_000))),
        (
            "invalid UTF-8",
            Fault::Body(b"{\"result\": \"\xff\xfe\xc3\"}".to_vec()),
        ),
        ("no JSON", Fault::Body(b"<html>gateway</html>".to_vec())),
        ("empty", Fault::Body(Vec::new())),
        ("null", Fault::Body(b"null".to_vec())),
        (
            "a number",
            Fault::Body(b"{\"id\":1,\"result\":1e999}".to_vec()),
        ),
        (
            "a text",
            Fault::Body(b"{\"id\":1,\"result\":\"x\"}".to_vec()),
        ),
        (
            "numbers for rows",
            Fault::Body(b"{\"id\":1,\"result\":[1,2,3]}".to_vec()),
        ),
        (
            "empty rows",
            Fault::Body(b"{\"id\":1,\"result\":[{},{}]}".to_vec()),
        ),
        ("no result", Fault::Body(b"{\"id\":1}".to_vec())),
        (
            "wrong types within rows",
            Fault::Body(b"{\"result\":[{\"id\":\"x\",\"name\":[],\"write_date\":{}}]}".to_vec()),
        ),
    ];
    for (i, (stream, _)) in subject.streams().into_iter().enumerate() {
        server.script([]);
        let want = whole(subject, &stream, None).await.records();
        let requests = server.requests();
        for number in if i == 0 { 1 } else { requests }..=requests {
            for (name, fault) in &bodies {
                server.script([(number, fault.clone())]);
                let got = pull(&*subject.connector(), &stream, None).await;
                if let Some(error) = &got.error {
                    assert_ne!(error.kind, PullErrorKind::CursorUnknown, "{name}");
                    assert!(!error.failure.message.is_empty(), "{name}");
                }
                // What was delivered before is true, and a later pull has everything.
                let cursor = got.cursor(None);
                let mut records = got.records();
                if got.error.is_some() {
                    server.script([]);
                    records.extend(whole(subject, &stream, cursor).await.records());
                    assert_eq!(records, want, "{stream}: {name} at request {number}");
                }
            }
        }
        // A gigabyte is not read to its end.
        server.script([(requests, Fault::Flood(1 << 30))]);
        let got = pull(&*subject.connector(), &stream, None).await;
        let error = got.error.expect("a gigabyte is refused");
        assert_eq!(error.failure.reason, "HTTP_BODY_TOO_LARGE", "{stream}");
        assert!(
            server.sent() < 256 << 20,
            "{stream}: {} bytes read",
            server.sent()
        );
        server.script([]);
    }
}

/// A server that is away, goes away in the middle, or comes back: unavailable, and then the rest.
pub async fn tells_an_absent_server(subject: &dyn HttpSubject) {
    let server = subject.server();
    server.script([]);
    let streams = subject.streams();
    server.away(true);
    let failure = subject
        .connector()
        .check()
        .await
        .expect_err("nobody is there");
    assert!(!failure.message.is_empty());
    for (stream, _) in &streams {
        let ended = pull(&*subject.connector(), stream, None).await;
        let kind = ended.error.map(|e| e.kind);
        assert_eq!(kind, Some(PullErrorKind::Unavailable), "{stream}");
    }
    server.away(false);
    for (stream, _) in &streams {
        let want = whole(subject, stream, None).await.records();
        let connector = subject.connector();
        let mut pages = connector.pull(stream, None).await;
        let first = pages
            .next()
            .await
            .expect("a page")
            .expect("the server is there");
        server.away(true);
        let mut got = first.records;
        let mut cursor = first.cursor;
        let mut error = None;
        while let Some(item) = pages.next().await {
            match item {
                Ok(page) => {
                    got.extend(page.records);
                    cursor = page.cursor;
                }
                Err(e) => error = Some(e),
            }
        }
        // Pages that were under way may still have come; then it ended well.
        if let Some(error) = error {
            assert_eq!(error.kind, PullErrorKind::Unavailable, "{stream}");
        }
        server.away(false);
        subject.end_sessions();
        got.extend(whole(subject, stream, cursor).await.records());
        assert_eq!(got, want, "{stream}: away and back");
    }
}
