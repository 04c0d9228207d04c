//! The trail from delivery to verification, on both engines.

use std::time::Duration;

use jinke_store::{Arg, Engine, args, testing::ENGINES};
use jinke_types::RowScope;
use pb::{audit_event::Kind, verify_audit_trail_response::Fault};

use super::*;
use crate::{
    rpc::{list_audit_events, list_audit_trails, verify_audit_trail},
    tasks,
    testing::{House, on},
};

fn event(n: i64) -> pb::AuditEvent {
    pb::AuditEvent {
        kind: Kind::Disclosure.into(),
        time: Some(prost_types::Timestamp {
            seconds: 1_790_000_000 + n,
            nanos: 0,
        }),
        caller: if n % 2 == 0 { "users/mei" } else { "users/bo" }.into(),
        method: format!(
            "jinke.customer.v1.CustomerService/{}",
            if n % 3 == 0 {
                "ListCustomers"
            } else {
                "GetCustomer"
            }
        ),
        outcome: "OK".into(),
        request_id: format!("r-{n}"),
        resources: vec![format!("customers/{n}"), "customers/all".into()],
        resource_count: 2,
        ..Default::default()
    }
}

fn events(sequences: std::ops::RangeInclusive<i64>) -> pb::DeliverAuditEventsRequest {
    pb::DeliverAuditEventsRequest {
        deliveries: sequences
            .map(|n| pb::deliver_audit_events_request::Delivery {
                sequence: n,
                event: Some(event(n)),
            })
            .collect(),
    }
}

async fn deliver(house: &House, request: pb::DeliverAuditEventsRequest) -> Result<i64, Failure> {
    let grant = house.service("service-customer", "identity.auditEvents.deliver");
    let answer = run(&house.core, &grant, request).await?;
    Ok(answer.last_sequence)
}

async fn verify(house: &House) -> (Fault, String, i64) {
    let mut page_token = String::new();
    let mut verified = 0;
    loop {
        let request = pb::VerifyAuditTrailRequest {
            name: "auditTrails/customer".into(),
            page_token,
        };
        let answer = verify_audit_trail::run(&house.core, &house.admin(), request)
            .await
            .unwrap();
        verified += answer.verified_count;
        if answer.next_page_token.is_empty() {
            return (answer.fault(), answer.event, verified);
        }
        page_token = answer.next_page_token;
    }
}

const WHOLE: (Fault, String, i64) = (Fault::Unspecified, String::new(), 10);

fn broken(fault: Fault, sequence: i64, verified: i64) -> (Fault, String, i64) {
    let event = format!("auditTrails/customer/events/{sequence}");
    (fault, event, verified)
}

async fn tamper(house: &House, statement: &'static str, values: Vec<Arg>) {
    let touched = house
        .core
        .db
        .write(async |mut tx: Tx| tx.execute(statement, values.clone()).await)
        .await
        .unwrap();
    assert!(touched > 0, "{statement}");
}

async fn on_both(case: impl AsyncFn(&House)) {
    for engine in ENGINES {
        on(engine, &case).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_kept_once_however_often_they_come() {
    on_both(async |house: &House| {
        assert_eq!(deliver(house, events(1..=4)).await, Ok(4));
        assert_eq!(deliver(house, events(1..=4)).await, Ok(4));
        assert_eq!(deliver(house, events(2..=3)).await, Ok(3));
        assert_eq!(deliver(house, events(3..=10)).await, Ok(10));
        assert_eq!(verify(house).await, WHOLE);
        // Others at sequences that are taken: the service was restored from an older copy.
        let mut other = events(10..=11);
        other.deliveries[0].event.as_mut().unwrap().caller = "users/eve".into();
        let taken = deliver(house, other).await.unwrap_err();
        assert_eq!(taken.reason, "AUDIT_SEQUENCE_TAKEN");
        assert_eq!(taken.metadata["last_sequence"], "10");
        assert_eq!(verify(house).await, WHOLE);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_or_taken_out_is_found_and_named() {
    let cases: [(&'static str, (Fault, String, i64)); 12] = [
        (
            "DELETE FROM audit_events WHERE sequence = 4",
            broken(Fault::Missing, 4, 3),
        ),
        (
            "DELETE FROM audit_events WHERE sequence = 1",
            broken(Fault::Missing, 1, 0),
        ),
        (
            "DELETE FROM audit_events WHERE sequence >= 9",
            broken(Fault::Missing, 9, 8),
        ),
        (
            "UPDATE audit_events SET caller = 'users/eve' WHERE sequence = 5",
            broken(Fault::Changed, 5, 4),
        ),
        (
            "UPDATE audit_events SET time = time + 1 WHERE sequence = 5",
            broken(Fault::Changed, 5, 4),
        ),
        (
            "UPDATE audit_events SET receive_time = receive_time - 1 WHERE sequence = 5",
            broken(Fault::Changed, 5, 4),
        ),
        (
            "UPDATE audit_events SET body = (SELECT e.body FROM audit_events e \
             WHERE e.sequence = 8) WHERE sequence = 6",
            broken(Fault::Changed, 6, 5),
        ),
        (
            "DELETE FROM audit_resources WHERE sequence = 7 AND resource = 'customers/7'",
            broken(Fault::Changed, 7, 6),
        ),
        (
            "INSERT INTO audit_resources (service, sequence, resource) \
             VALUES ('customer', 2, 'customers/99')",
            broken(Fault::Changed, 2, 1),
        ),
        (
            // The last event and its note: as if it had never come.
            "UPDATE audit_trails SET last_sequence = 9, last_hash = (SELECT e.hash FROM \
             audit_events e WHERE e.sequence = 9)",
            broken(Fault::Head, 9, 0),
        ),
        (
            // The first events, as if their time had been over.
            "UPDATE audit_trails SET checkpoint_sequence = 3, checkpoint_hash = (SELECT e.hash \
             FROM audit_events e WHERE e.sequence = 3)",
            broken(Fault::Checkpoint, 3, 0),
        ),
        ("DELETE FROM audit_trails", broken(Fault::Head, 1, 0)),
    ];
    for engine in ENGINES {
        for (statement, found) in &cases {
            on(engine, async |house: &House| {
                deliver(house, events(1..=10)).await.unwrap();
                assert_eq!(verify(house).await, WHOLE);
                tamper(house, statement, args![]).await;
                assert_eq!(verify(house).await, *found, "{engine:?} {statement}");
            })
            .await;
            if engine == Engine::Postgres {
                // A database of its own for each case costs a second; three tell the engines alike.
                if statement.contains("sequence >= 9") {
                    break;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_identity_has_lost_shows_as_missing() {
    on_both(async |house: &House| {
        deliver(house, events(1..=3)).await.unwrap();
        // Restored from an older copy, it knows nothing of 4 and 5.
        assert_eq!(deliver(house, events(6..=8)).await, Ok(8));
        assert_eq!(verify(house).await, broken(Fault::Missing, 4, 3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_go_when_their_time_is_over_and_the_rest_still_verifies() {
    on_both(async |house: &House| {
        deliver(house, events(1..=6)).await.unwrap();
        house.clock.advance(Duration::from_secs(86_400));
        deliver(house, events(7..=10)).await.unwrap();
        house.clock.advance(Duration::from_secs(1_095 * 86_400));
        // A day is left of the later ones.
        house
            .clock
            .set(house.core.now().minus(Duration::from_secs(43_200)));
        tasks::housekeeping(&house.core).await.unwrap();
        assert_eq!(verify(house).await, (Fault::Unspecified, String::new(), 4));
        let trails = list_audit_trails::run(&house.core, &house.admin())
            .await
            .unwrap();
        let trail = &trails.trails[0];
        assert_eq!((trail.checkpoint_sequence, trail.last_sequence), (6, 10));
        house.clock.advance(Duration::from_secs(86_400));
        tasks::housekeeping(&house.core).await.unwrap();
        assert_eq!(verify(house).await, (Fault::Unspecified, String::new(), 0));
        // The chain goes on from its checkpoint.
        assert_eq!(deliver(house, events(11..=12)).await, Ok(12));
        assert_eq!(verify(house).await, (Fault::Unspecified, String::new(), 2));
        // One of those dropped, put back, stands where nothing may stand.
        tamper(
            house,
            "UPDATE audit_events SET sequence = 10 WHERE sequence = 11",
            args![],
        )
        .await;
        assert_eq!(verify(house).await, broken(Fault::Changed, 10, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_are_kept_when_there_are_too_many() {
    on_both(async |house: &House| {
        for first in [1, 501] {
            deliver(house, events(first..=first + 499)).await.unwrap();
        }
        let trim = async |most| {
            house
                .core
                .db
                .write(async |mut tx: Tx| {
                    let ring = &house.core.vault.ring;
                    let trail = audit::hold(&mut tx, ring, "customer").await?;
                    audit::trim(&mut tx, ring, trail, jinke_types::Timestamp(0), most, 600).await
                })
                .await
        };
        assert_eq!(trim(1_000).await, Ok(0));
        assert_eq!(trim(10).await, Ok(600));
        assert_eq!(trim(10).await, Ok(390));
        assert_eq!(verify(house).await, WHOLE);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_by_who_what_where_and_when() {
    on_both(async |house: &House| {
        deliver(house, events(1..=10)).await.unwrap();
        let numbers = async |request: pb::ListAuditEventsRequest| {
            let mut request = request;
            let mut found = Vec::new();
            loop {
                let page = list_audit_events::run(&house.core, &house.admin(), request.clone())
                    .await
                    .unwrap();
                found.extend(page.events.iter().map(|e| {
                    let number = e.name.rsplit('/').next().unwrap();
                    number.parse::<i64>().unwrap()
                }));
                if page.next_page_token.is_empty() {
                    return found;
                }
                request.page_token = page.next_page_token;
            }
        };
        let asked = pb::ListAuditEventsRequest::default;
        let seconds = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let cases = [
            (asked(), vec![10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
            (
                pb::ListAuditEventsRequest {
                    page_size: 3,
                    caller: "users/mei".into(),
                    ..asked()
                },
                vec![10, 8, 6, 4, 2],
            ),
            (
                pb::ListAuditEventsRequest {
                    resource: "customers/4".into(),
                    ..asked()
                },
                vec![4],
            ),
            (
                pb::ListAuditEventsRequest {
                    method: "ListCustomers".into(),
                    page_size: 1,
                    ..asked()
                },
                vec![9, 6, 3],
            ),
            (
                pb::ListAuditEventsRequest {
                    method: "jinke.customer.v1.CustomerService/ListCustomers".into(),
                    resource: "customers/all".into(),
                    start_time: seconds(1_790_000_004),
                    end_time: seconds(1_790_000_009),
                    ..asked()
                },
                vec![6],
            ),
            (
                pb::ListAuditEventsRequest {
                    service: "pipeline".into(),
                    ..asked()
                },
                vec![],
            ),
            (
                pb::ListAuditEventsRequest {
                    kind: Kind::Refusal.into(),
                    ..asked()
                },
                vec![],
            ),
        ];
        for (request, found) in cases {
            assert_eq!(numbers(request.clone()).await, found, "{request:?}");
        }
        for wrong in ["x", "YXVkaXRFdmVudHMvMQ"] {
            let request = pb::ListAuditEventsRequest {
                page_token: wrong.into(),
                ..asked()
            };
            let refused = list_audit_events::run(&house.core, &house.admin(), request).await;
            assert_eq!(refused.unwrap_err().violations[0].field, "page_token");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_writes_its_own_trail_and_the_enterprise_reads_it() {
    on(Engine::Sqlite, async |house: &House| {
        for caller in ["users/admin", "serviceAccounts/erp-sync"] {
            let mut grant = house.admin();
            grant.caller.name = caller.into();
            let refused = run(&house.core, &grant, events(1..=1)).await.unwrap_err();
            assert_eq!(refused.reason, "OUTSIDE_SCOPE", "{caller}");
        }
        let mut acting = house.service("service-customer", "identity.auditEvents.deliver");
        acting.caller.actor = Some("serviceAccounts/service-pipeline".into());
        assert!(run(&house.core, &acting, events(1..=1)).await.is_err());
        let scoped = house.scoped(&["orgUnits/east"]);
        assert_ne!(scoped.scope, RowScope::All);
        let list = pb::ListAuditEventsRequest::default();
        let listed = list_audit_events::run(&house.core, &scoped, list).await;
        assert_eq!(listed.unwrap_err().reason, "OUTSIDE_SCOPE");
        let unknown = pb::VerifyAuditTrailRequest {
            name: "auditTrails/nobody".into(),
            page_token: String::new(),
        };
        let answer = verify_audit_trail::run(&house.core, &house.admin(), unknown).await;
        assert_eq!(answer.unwrap_err().reason, "NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_none_are_refused() {
    on(Engine::Sqlite, async |house: &House| {
        let spoilt = |spoil: fn(&mut pb::AuditEvent)| {
            let mut request = events(1..=1);
            spoil(request.deliveries[0].event.as_mut().unwrap());
            request
        };
        let cases = [
            events(0..=1),
            pb::DeliverAuditEventsRequest::default(),
            events(1..=1_001),
            spoilt(|e| e.kind = 0),
            spoilt(|e| e.kind = 9),
            spoilt(|e| e.time = None),
            spoilt(|e| e.caller.clear()),
            spoilt(|e| e.name = "auditTrails/identity/events/1".into()),
            spoilt(|e| e.method = "a b".into()),
            spoilt(|e| e.resources = vec!["x".repeat(257)]),
            spoilt(|e| e.resources = vec!["x".into(); 1_201]),
        ];
        for request in cases {
            let refused = deliver(house, request).await.unwrap_err();
            assert_eq!(refused.reason, "INVALID_FIELD");
        }
        let mut gap = events(1..=3);
        gap.deliveries.remove(1);
        assert!(deliver(house, gap).await.is_err());
        // Nothing may come so far ahead that the trail has no numbers left.
        for (far, ends_well) in [(i64::MAX, false), (MAX_GAP + 1, false), (MAX_GAP, true)] {
            let mut ahead = events(1..=1);
            ahead.deliveries[0].sequence = far;
            let answer = deliver(house, ahead).await;
            assert_eq!(answer.is_ok(), ends_well, "{far}: {answer:?}");
        }
    })
    .await;
    on(Engine::Sqlite, async |house: &House| {
        assert_eq!(deliver(house, events(1..=1)).await, Ok(1));
    })
    .await;
}
