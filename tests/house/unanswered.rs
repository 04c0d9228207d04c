//! A process that dies between a change and its event leaves the change in the audit trail.
//!
//! The moment is short, so it is held open: the table of events refuses every row. The change is in
//! force and its caller told that it could not be recorded; then the process is killed.

use std::{path::Path, time::Duration};

use jinke_customer::store::MIGRATIONS;
use jinke_proto::jinke::{
    customer::v1::{GetCustomerStatsRequest, IngestSourceRecordsRequest},
    identity::v1::{
        AuditEvent, ListAuditEventsRequest, VerifyAuditTrailRequest,
        audit_service_client::AuditServiceClient,
    },
};
use jinke_store::{Database, DatabaseConfig, Engine, args, testing::Place};
use jinke_tests::{
    companies::{SOURCES, record},
    suite::{Clients, Suite},
};
use tonic::{Code, Request};

/// Long enough for any machine; PostgreSQL waits half a minute for a process that says nothing.
const PATIENCE: Duration = Duration::from_mins(3);

const SHUT: [&str; 2] = [
    "CREATE FUNCTION no_events() RETURNS trigger LANGUAGE plpgsql AS \
     'BEGIN RAISE EXCEPTION ''no events today''; END'",
    "CREATE TRIGGER no_events BEFORE INSERT ON jinke_audit \
     FOR EACH ROW EXECUTE FUNCTION no_events()",
];
const SHUT_SQLITE: &str = "CREATE TRIGGER no_events BEFORE INSERT ON jinke_audit \
                           BEGIN SELECT RAISE(ABORT, 'no events today'); END";

/// Runs statements in the database of the customer service while its process does not run.
async fn alter(data: &Path, postgres: Option<&str>, statements: &[&'static str]) {
    let mut config = DatabaseConfig::new(
        "customer",
        match postgres {
            Some(url) => url.to_owned(),
            None => format!("sqlite:{}", data.join("customer.db").display()),
        },
    );
    config.schema = postgres.map(|_| "customer".to_owned());
    let db = Database::open(config, &MIGRATIONS).await.expect("opens");
    for statement in statements {
        db.write(async |mut tx| tx.execute(*statement, args![]).await)
            .await
            .expect("the statement");
    }
    db.close().await;
}

fn ingest(nth: u64) -> Request<IngestSourceRecordsRequest> {
    let mut request = Request::new(IngestSourceRecordsRequest {
        records: vec![record(7, nth)],
        ..IngestSourceRecordsRequest::default()
    });
    let id = format!("one-of-{nth}").parse().expect("a header");
    request.metadata_mut().insert("x-request-id", id);
    request
}

/// The events of ingest, as outcome, reason and request id, from the oldest on.
async fn told(suite: &Suite) -> Vec<(String, String, String)> {
    let mut trail = AuditServiceClient::new(suite.login().await.expect("login"));
    let request = ListAuditEventsRequest {
        method: "IngestSourceRecords".into(),
        ..ListAuditEventsRequest::default()
    };
    let mut events: Vec<AuditEvent> = trail
        .list_audit_events(request)
        .await
        .expect("the trail")
        .into_inner()
        .events;
    events.reverse();
    events
        .into_iter()
        .map(|e| (e.outcome, e.reason, e.request_id))
        .collect()
}

async fn wait_for(suite: &Suite, count: usize) -> Vec<(String, String, String)> {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            let found = told(suite).await;
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    found.await.expect("as many events")
}

async fn stats(api: &mut Clients) -> i64 {
    let answer = api.customers.get_customer_stats(GetCustomerStatsRequest {});
    answer.await.expect("stats").into_inner().organizations
}

async fn killed_between_change_and_event(engine: Engine) {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(engine).await;
    let url = (engine == Engine::Postgres).then(|| place.config().url);
    let (data, url) = (dir.path().join("house"), url.as_deref());
    let suite = Suite::start(&data, url).await.expect("the suite starts");
    let mut api = Clients::new(&suite.login().await.expect("login"));
    for source in SOURCES {
        api.ensure_source(source).await.expect("a source");
    }
    api.sources
        .ingest_source_records(ingest(1))
        .await
        .expect("ingest");
    suite.kill().await.expect("kill");

    match url {
        None => alter(&data, url, &[SHUT_SQLITE]).await,
        Some(_) => alter(&data, url, &SHUT).await,
    }
    let suite = Suite::start(&data, url).await.expect("the suite starts");
    let mut api = Clients::new(&suite.login().await.expect("login"));
    let before = stats(&mut api).await;
    let refused = api.sources.ingest_source_records(ingest(500)).await;
    assert_eq!(refused.expect_err("no event").code(), Code::Unavailable);
    assert_eq!(stats(&mut api).await, before + 1, "the change is in force");
    // A call that changes nothing has nothing to leave.
    let mut nothing = ingest(501);
    nothing.get_mut().validate_only = true;
    let refused = api.sources.ingest_source_records(nothing).await;
    assert_eq!(refused.expect_err("no event").code(), Code::Unavailable);
    suite.kill().await.expect("kill");

    let open = match url {
        None => "DROP TRIGGER no_events",
        Some(_) => "DROP TRIGGER no_events ON jinke_audit",
    };
    alter(&data, url, &[open]).await;
    let suite = Suite::start(&data, url).await.expect("the suite starts");
    wait_for(&suite, 2).await;
    let mut api = Clients::new(&suite.login().await.expect("login"));
    api.sources
        .ingest_source_records(ingest(502))
        .await
        .expect("ingest");
    let all = wait_for(&suite, 3).await;
    let event = |outcome: &str, reason: &str, id: &str| {
        let own = str::to_owned;
        (own(outcome), own(reason), own(id))
    };
    assert_eq!(
        all,
        [
            event("OK", "", "one-of-1"),
            event("UNKNOWN", "UNANSWERED", "one-of-500"),
            event("OK", "", "one-of-502"),
        ],
        "{engine:?}"
    );
    let mut trail = AuditServiceClient::new(suite.login().await.expect("login"));
    let request = VerifyAuditTrailRequest {
        name: "auditTrails/customer".into(),
        ..VerifyAuditTrailRequest::default()
    };
    let verified = trail.verify_audit_trail(request).await.expect("verified");
    assert_eq!(verified.into_inner().fault, 0);
    suite.kill().await.expect("kill");
    place.remove().await;
}

#[tokio::test]
async fn a_change_without_its_event_is_told_on_sqlite() {
    killed_between_change_and_event(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_change_without_its_event_is_told_on_postgres() {
    killed_between_change_and_event(Engine::Postgres).await;
}
