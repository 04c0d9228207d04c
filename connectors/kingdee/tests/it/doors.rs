//! Signatures, sessions, passwords: who gets in, and who does not.

use jinke_kingdee::Proof;
use jinke_sdk::{Connector as _, PullErrorKind, conformance, testing::pull};

use crate::support::{CUSTOMERS, Kingdee};

/// Signed calls pass the cases that have no login in them.
#[tokio::test]
async fn signed_calls_read_and_resume() {
    let kingdee = Kingdee::signed(CUSTOMERS).await;
    conformance::reads_everything(&kingdee).await;
    conformance::resumes_behind_every_page(&kingdee).await;
    conformance::waits_when_throttled(&kingdee).await;
    conformance::tells_an_absent_server(&kingdee).await;
}

/// The session that the server gives to signed calls is brought back, so that there is one.
#[tokio::test]
async fn signed_calls_share_a_session() {
    let kingdee = Kingdee::signed(CUSTOMERS).await;
    let connector = kingdee.kingdee();
    for stream in ["customers", "orders"] {
        assert_eq!(pull(&connector, stream, None).await.error, None);
    }
    assert_eq!(kingdee.simulator.opened(), 1);
    kingdee.simulator.end_sessions();
    assert_eq!(pull(&connector, "customers", None).await.error, None);
    assert_eq!(kingdee.simulator.opened(), 2);
}

#[tokio::test]
async fn a_password_opens_a_session_too() {
    let mut kingdee = Kingdee::start(CUSTOMERS).await;
    kingdee.config.proof = Proof::Password;
    kingdee.kingdee().check().await.expect("let in");
    assert_eq!(kingdee.simulator.logins(), 1);
}

/// Wrong credentials end in a clear state after few calls, because accounts lock.
#[tokio::test]
async fn wrong_credentials_are_tried_once() {
    for proof in [Proof::Signed, Proof::Session, Proof::Password] {
        let mut kingdee = Kingdee::start(CUSTOMERS).await;
        kingdee.config.proof = proof;
        kingdee.config.app_secret = "another".to_owned();
        kingdee.config.password = "another".to_owned();
        kingdee.simulator.server().script([]);
        let ended = pull(&kingdee.kingdee(), "customers", None).await;
        let error = ended.error.expect("not let in");
        assert_eq!(error.kind, PullErrorKind::Unauthorized, "{proof:?}");
        assert_eq!(error.failure.reason, "FOREIGN_UNAUTHORIZED", "{proof:?}");
        assert!(kingdee.simulator.server().requests() <= 2, "{proof:?}");
        assert_eq!(kingdee.simulator.logins(), 0);
    }
}
