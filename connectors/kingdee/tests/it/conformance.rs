//! The cases every connector passes.

use jinke_sdk::conformance;

use crate::support::{CUSTOMERS, Kingdee};

async fn subject() -> Kingdee {
    Kingdee::start(CUSTOMERS).await
}

#[tokio::test]
async fn reads_everything() {
    conformance::reads_everything(&subject().await).await;
}

#[tokio::test]
async fn resumes_behind_every_page() {
    conformance::resumes_behind_every_page(&subject().await).await;
}

#[tokio::test]
async fn refuses_foreign_cursors() {
    conformance::refuses_foreign_cursors(&subject().await).await;
}

#[tokio::test]
async fn resumes_when_dropped_at_every_request() {
    conformance::resumes_when_dropped_at_every_request(&subject().await).await;
}

#[tokio::test]
async fn killed_child() {
    conformance::killed_child(|url| Box::new(Kingdee::at(url))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resumes_when_killed_at_every_request() {
    let test = "conformance::killed_child";
    conformance::resumes_when_killed_at_every_request(&subject().await, test).await;
}

#[tokio::test]
async fn survives_every_fault_at_every_request() {
    conformance::survives_every_fault_at_every_request(&subject().await).await;
}

#[tokio::test]
async fn bears_repeated_and_shifted_pages() {
    conformance::bears_repeated_and_shifted_pages(&subject().await).await;
}

#[tokio::test]
async fn waits_when_throttled() {
    conformance::waits_when_throttled(&subject().await).await;
}

#[tokio::test]
async fn renews_the_session_once() {
    conformance::renews_the_session_once(&subject().await).await;
}

#[tokio::test]
async fn follows_changes() {
    conformance::follows_changes(&subject().await).await;
}

#[tokio::test]
async fn goes_on_when_columns_drift() {
    conformance::goes_on_when_columns_drift(&subject().await).await;
}

#[tokio::test]
async fn refuses_hostile_bodies() {
    conformance::refuses_hostile_bodies(&subject().await).await;
}

#[tokio::test]
async fn tells_an_absent_server() {
    conformance::tells_an_absent_server(&subject().await).await;
}

#[tokio::test]
async fn sweeps() {
    conformance::sweeps(&subject().await).await;
}
