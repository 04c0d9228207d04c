//! Calls over HTTP against the fake server: what is tried again, what is not, and who waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jinke_sdk::{
    PullError, PullErrorKind,
    http::{
        Auth, Budget, BudgetPolicy, ClientConfig, Http, HttpParts, Method, Request, Response,
        RetryPolicy, Safety, Verdict, json, unreadable,
    },
    testing::{FakeResponse, FakeServer, Fault, nested},
};
use jinke_types::{Code, Failure, OsEntropy, SystemClock};
use serde_json::json;

/// A server that counts what it did, and a client of it.
struct Rig {
    server: FakeServer,
    done: Arc<AtomicU64>,
    http: Http,
}

impl Rig {
    async fn new(auth: Auth, concurrency: usize) -> Self {
        let done = Arc::new(AtomicU64::new(0));
        let count = done.clone();
        let server = FakeServer::start(move |request| {
            if request.header("x-key").is_some_and(|key| key != "right") {
                return FakeResponse::status(401);
            }
            let n = count.fetch_add(1, Ordering::SeqCst) + 1;
            let busy = request.target == "/busy" && n < 3;
            FakeResponse::json(&json!({"n": n, "busy": busy}))
        })
        .await
        .unwrap();
        let config = ClientConfig {
            timeout: Duration::from_secs(2),
            ..ClientConfig::default()
        };
        let http = Http::new(HttpParts {
            client: Http::client(server.url(), true, config).unwrap(),
            auth,
            retry: RetryPolicy {
                tries: 3,
                base: Duration::from_millis(1),
                cap: Duration::from_millis(2),
                longest_asked: Duration::from_secs(2),
            },
            budget: Arc::new(Budget::new(BudgetPolicy {
                per_minute: 1_000_000,
                burst: 1_000,
                concurrency,
            })),
            entropy: Arc::new(OsEntropy),
            clock: Arc::new(SystemClock),
        });
        Self { server, done, http }
    }

    async fn call(&self, path: &str, safety: Safety) -> Result<u64, PullError> {
        let request = Request::new(Method::POST, format!("{}{path}", self.server.url()));
        self.http.call(&request, safety, judge).await
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }
}

fn judge(answer: &Response) -> Verdict<u64> {
    match json(answer) {
        Ok(body) if body["busy"] == true => {
            Verdict::Later(None, Failure::new(Code::Unavailable, "BUSY", "busy"))
        }
        Ok(body) => match body["n"].as_u64() {
            Some(n) => Verdict::Done(n),
            None => Verdict::Fail(unreadable("there is no number")),
        },
        Err(error) => Verdict::Fail(error),
    }
}

#[tokio::test]
async fn a_call_that_may_have_had_an_effect_is_sent_once() {
    let rig = Rig::new(Auth::None, 4).await;
    for fault in [
        Fault::Lost,
        Fault::Cut,
        Fault::Status(500, None),
        Fault::Status(503, Some(0)),
    ] {
        let before = rig.done();
        rig.server.script([(1, fault.clone())]);
        let error = rig.call("/", Safety::Once).await.unwrap_err();
        assert_eq!(error.kind, PullErrorKind::Unavailable, "{fault:?}");
        assert_eq!(rig.server.requests(), 1, "{fault:?}");
        assert!(rig.done() - before <= 1, "{fault:?}");
        rig.server.script([(1, fault.clone())]);
        rig.call("/", Safety::Repeatable).await.unwrap();
        assert_eq!(
            rig.server.requests(),
            2,
            "{fault:?}: a repeatable call is repeated"
        );
    }
    // A server that throttles says that it did nothing.
    rig.server.script([(1, Fault::Status(429, Some(0)))]);
    let before = rig.done();
    rig.call("/", Safety::Once).await.unwrap();
    assert_eq!((rig.server.requests(), rig.done() - before), (2, 1));
}

#[tokio::test]
async fn tries_end_and_errors_within_a_200_are_seen() {
    let rig = Rig::new(Auth::None, 4).await;
    assert_eq!(rig.call("/busy", Safety::Repeatable).await.unwrap(), 3);
    rig.server.script_every(|_| Some(Fault::Status(502, None)));
    let error = rig.call("/", Safety::Repeatable).await.unwrap_err();
    assert_eq!(
        (error.failure.reason, rig.server.requests()),
        ("FOREIGN_UNAVAILABLE", 3)
    );
    rig.server.script([(1, Fault::Hang)]);
    rig.call("/", Safety::Repeatable)
        .await
        .expect("the time limit passed, and it was tried again");
    for (status, reason) in [
        (403, "FOREIGN_FORBIDDEN"),
        (404, "FOREIGN_REFUSED"),
        (401, "FOREIGN_UNAUTHORIZED"),
    ] {
        rig.server.script([(1, Fault::Status(status, None))]);
        let error = rig.call("/", Safety::Repeatable).await.unwrap_err();
        assert_eq!((error.failure.reason, rig.server.requests()), (reason, 1));
    }
    rig.server.script([(1, Fault::Body(nested(10_000)))]);
    let error = rig.call("/", Safety::Repeatable).await.unwrap_err();
    assert_eq!(error.failure.reason, "FOREIGN_UNREADABLE");
}

#[tokio::test]
async fn one_throttled_call_holds_back_all() {
    let rig = Rig::new(Auth::None, 4).await;
    rig.server.script([(1, Fault::Status(429, Some(1)))]);
    let start = Instant::now();
    let first = rig.call("/", Safety::Repeatable);
    let others = async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        rig.call("/", Safety::Repeatable)
            .await
            .map(|_| start.elapsed())
    };
    let (first, other) = tokio::join!(first, others);
    first.unwrap();
    assert!(
        other.unwrap() >= Duration::from_secs(1),
        "the other call waited too"
    );
    rig.server.script([(1, Fault::Status(429, Some(3_600)))]);
    let error = rig.call("/", Safety::Repeatable).await.unwrap_err();
    assert_eq!(error.failure.reason, "FOREIGN_THROTTLED");
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_the_budget_allows() {
    let rig = Rig::new(Auth::None, 3).await;
    rig.server
        .script_every(|_| Some(Fault::Slow(Duration::from_millis(20))));
    let calls = (0..12).map(|_| rig.call("/", Safety::Repeatable));
    let all = futures::future::join_all(calls).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(rig.server.most_under_way(), 3);
}

#[tokio::test]
async fn a_fixed_header_is_sent_and_a_wrong_one_is_not_repeated() {
    let header = |key: &str| Auth::Headers(vec![("x-key".to_owned(), key.to_owned())]);
    let rig = Rig::new(header("right"), 1).await;
    rig.call("/", Safety::Repeatable).await.unwrap();
    let rig = Rig::new(header("wrong"), 1).await;
    let error = rig.call("/", Safety::Repeatable).await.unwrap_err();
    assert_eq!(error.kind, PullErrorKind::Unauthorized);
    assert_eq!(rig.server.requests(), 1);
}
