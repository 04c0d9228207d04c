//! Events of the audit trail between messages and what is kept.

use jinke_proto::jinke::identity::v1::{AuditEvent, deliver_audit_events_request::Delivery};
use jinke_types::{Failure, Timestamp};
use prost::Message as _;

use crate::domain::AuditEntry;

/// An event as it is kept.
pub(crate) fn entry(event: &AuditEvent) -> AuditEntry {
    let body = AuditEvent {
        name: String::new(),
        ..event.clone()
    };
    let time = event.time.unwrap_or_default();
    AuditEntry {
        time: Timestamp(
            time.seconds
                .saturating_mul(1_000_000)
                .saturating_add(i64::from(time.nanos) / 1_000),
        ),
        kind: event.kind.into(),
        caller: event.caller.clone(),
        method: event.method.clone(),
        resources: event.resources.iter().cloned().collect(),
        body: body.encode_to_vec(),
    }
}

/// What kept bytes say.
pub(crate) fn read(body: &[u8]) -> Result<AuditEntry, Failure> {
    AuditEvent::decode(body)
        .map(|event| entry(&event))
        .map_err(Failure::internal)
}

/// An event as answered.
pub(crate) fn event(service: &str, sequence: i64, body: &[u8]) -> Result<AuditEvent, Failure> {
    let mut event = AuditEvent::decode(body).map_err(Failure::internal)?;
    event.name = format!("auditTrails/{service}/events/{sequence}");
    Ok(event)
}

/// Identity's own events on their way into its trail.
pub(crate) fn deliveries(own: Vec<Delivery>) -> Vec<(i64, AuditEntry)> {
    own.into_iter()
        .map(|d| (d.sequence, entry(&d.event.unwrap_or_default())))
        .collect()
}
