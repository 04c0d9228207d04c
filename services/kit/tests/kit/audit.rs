//! What is recorded of a call, and that its answer waits for it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use jinke_kit::{Running, audit::PURPOSE, failure};
use jinke_proto::jinke::{
    customer::v1 as customer,
    identity::v1::{AuditEvent, audit_event::Kind},
    r#type::v1::FieldClass,
};
use jinke_types::{
    AuditIntent, AuditLog, AuditWaiting, EventOf, Failure, OperationAnswer, SystemClock,
};
use prost::Message as _;
use tokio::sync::Semaphore;
use tonic::Request;

use crate::fakes::{act, party};
use crate::support::{World, claims, matcher, remote, sign, suite, user_token, world};

/// Events in memory, with a door that a test may shut.
pub struct Kept {
    events: Mutex<Vec<Vec<u8>>>,
    broken: AtomicBool,
    intents: AtomicI64,
    door: Semaphore,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            broken: AtomicBool::new(false),
            intents: AtomicI64::new(0),
            door: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }
}

impl AuditLog for Kept {
    fn intent(&self, event: EventOf) -> Arc<AuditIntent> {
        let number = self.intents.fetch_add(1, Ordering::SeqCst);
        AuditIntent::new("one".into(), number, Arc::new(SystemClock), event)
    }
    fn record<'a>(
        &'a self,
        event: Vec<u8>,
        ended: Option<&'a AuditIntent>,
    ) -> OperationAnswer<'a, ()> {
        Box::pin(async move {
            let _open = self.door.acquire().await.map_err(Failure::internal)?;
            if self.broken.load(Ordering::SeqCst) {
                return Err(Failure::internal("the disk is gone"));
            }
            self.events.lock().unwrap().push(event);
            ended.map(AuditIntent::close);
            Ok(())
        })
    }
    fn close<'a>(&'a self, ended: &'a AuditIntent) -> OperationAnswer<'a, ()> {
        ended.close();
        Box::pin(async { Ok(()) })
    }
    fn waiting(&self, _: u32) -> OperationAnswer<'_, AuditWaiting> {
        Box::pin(async { Ok(AuditWaiting::default()) })
    }
    fn delivered(&self, _: i64) -> OperationAnswer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
    fn renumber(&self, _: i64) -> OperationAnswer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
    fn recorded(&self) -> OperationAnswer<'_, ()> {
        Box::pin(std::future::pending())
    }
}

impl World {
    fn events(&self) -> Vec<AuditEvent> {
        let events = self.audit.events.lock().unwrap();
        events
            .iter()
            .map(|e| AuditEvent::decode(e.as_slice()).unwrap())
            .collect()
    }
}

/// What `MatchParty` answers or how it fails.
async fn matched(running: &Running, user: &str, act: i32) -> Result<(), Failure> {
    let peer = remote(running, Some(&user_token(user)));
    let mut request = Request::new(party(act));
    let metadata = request.metadata_mut();
    metadata.insert(PURPOSE, "%E5%94%AE%E5%90%8E".parse().unwrap());
    metadata.insert("x-request-id", "r-1".parse().unwrap());
    matcher(peer)
        .match_party(request)
        .await
        .map(drop)
        .map_err(|status| failure(&status))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_with_guarded_values_is_recorded_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("audit-shown", dir.path(), &[]).await;
    matched(&running, "users/mei", 0).await.unwrap();
    matched(&running, "users/mei", act::PHONE).await.unwrap();
    let events = world("audit-shown").events();
    assert_eq!(events.len(), 1, "{events:?}");
    let shown = &events[0];
    assert_eq!(shown.kind(), Kind::Disclosure);
    assert_eq!(shown.caller, "users/mei");
    assert_eq!(shown.method, "jinke.customer.v1.MatchService/MatchParty");
    assert_eq!(shown.outcome, "OK");
    assert_eq!(shown.purpose, "售后");
    assert_eq!(shown.request_id, "r-1");
    assert_eq!(shown.resources, ["customers/7"]);
    assert_eq!(shown.field_classes, [FieldClass::Contact as i32]);
    assert!(!format!("{shown:?}").contains("138"));
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn classes_that_are_not_guarded_leave_no_event() {
    let dir = tempfile::tempdir().unwrap();
    let set = ["audit.field_classes=[\"address\"]"];
    let running = suite("audit-unguarded", dir.path(), &set).await;
    matched(&running, "users/mei", act::PHONE).await.unwrap();
    assert_eq!(world("audit-unguarded").events(), []);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_before_its_event_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("audit-door", dir.path(), &[]).await;
    let world = world("audit-door");
    let shut = world.audit.door.forget_permits(Semaphore::MAX_PERMITS);
    let mut call = Box::pin(matched(&running, "users/mei", act::PHONE));
    // Whoever is slow looks as if he waited, so this can only be too kind.
    let early = tokio::time::timeout(Duration::from_millis(300), &mut call).await;
    assert!(early.is_err(), "it was answered before it was recorded");
    assert_eq!(world.events(), []);
    world.audit.door.add_permits(shut);
    call.await.unwrap();
    assert_eq!(world.events().len(), 1);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_is_not_answered() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("audit-broken", dir.path(), &[]).await;
    world("audit-broken")
        .audit
        .broken
        .store(true, Ordering::SeqCst);
    for act in [act::PHONE, act::FORBIDDEN] {
        let refused = matched(&running, "users/mei", act).await.unwrap_err();
        assert_eq!(refused.reason, "AUDIT_UNAVAILABLE");
        assert!(!refused.message.contains("disk"));
    }
    // What need not be recorded is answered all the same.
    matched(&running, "users/mei", 0).await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_changes_are_recorded_with_their_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("audit-refused", dir.path(), &[]).await;
    let world = world("audit-refused");
    // By the layer before the handler, again within a moment, by the handler, by its session.
    for _ in 0..3 {
        let refused = matched(&running, "users/wang", 0).await.unwrap_err();
        assert_eq!(refused.reason, "PERMISSION_DENIED");
    }
    matched(&running, "users/mei", act::FORBIDDEN)
        .await
        .unwrap_err();
    matched(&running, "users/li", 0).await.unwrap_err();
    let now = jinke_types::Clock::now(&jinke_types::SystemClock);
    let mut stolen = claims("users/mei", &["customer"], now);
    stolen.sid = "stolen".into();
    let peer = remote(&running, Some(&sign(&stolen)));
    let deleted = customer::DeleteDryRunRequest {
        name: "dryRuns/7".into(),
    };
    matcher(peer)
        .delete_dry_run(deleted.clone())
        .await
        .unwrap_err();
    // Nobody knows whose this is.
    let peer = remote(&running, Some("garbage"));
    matcher(peer)
        .delete_dry_run(deleted.clone())
        .await
        .unwrap_err();
    let peer = remote(&running, Some(&user_token("users/mei")));
    matcher(peer).delete_dry_run(deleted).await.unwrap_err();
    let told: Vec<_> = world
        .events()
        .into_iter()
        .map(|e| {
            (
                e.kind(),
                e.caller,
                e.outcome,
                e.reason,
                e.resources.join(" "),
            )
        })
        .collect();
    let event = |kind, caller: &str, outcome: &str, reason: &str, resources: &str| {
        let own = str::to_owned;
        (kind, own(caller), own(outcome), own(reason), own(resources))
    };
    let (denied, unproven) = ("PERMISSION_DENIED", "UNAUTHENTICATED");
    assert_eq!(
        told,
        [
            event(Kind::Refusal, "users/wang", denied, denied, ""),
            event(Kind::Refusal, "users/mei", denied, "FIELD_CLASS_DENIED", ""),
            event(Kind::Refusal, "users/li", unproven, "CALLER_DISABLED", ""),
            event(Kind::Refusal, "users/mei", unproven, "SESSION_REVOKED", ""),
            event(
                Kind::Mutation,
                "users/mei",
                "UNIMPLEMENTED",
                "",
                "dryRuns/7"
            ),
        ]
    );
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_reads_in_its_own_name_unrecorded_and_for_others_in_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("audit-house", dir.path(), &[]).await;
    let now = jinke_types::Clock::now(&jinke_types::SystemClock);
    let house = sign(&claims(
        "serviceAccounts/service-identity",
        &["customer"],
        now,
    ));
    let own = remote(&running, Some(&house));
    matcher(own).match_party(party(act::PHONE)).await.unwrap();
    assert_eq!(world("audit-house").events(), []);
    let account = sign(&claims("serviceAccounts/exporter", &["customer"], now));
    let other = remote(&running, Some(&account));
    matcher(other).match_party(party(act::PHONE)).await.unwrap();
    assert_eq!(world("audit-house").events().len(), 1);
    running.stop().await.unwrap();
}
