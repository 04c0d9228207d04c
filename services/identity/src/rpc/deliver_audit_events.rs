//! `DeliverAuditEvents`: a service's events into its trail, each once.
//!
//! An event that comes again is the same bytes at the same sequence. Other bytes at a sequence that
//! is taken mean that the service's database was restored from an older copy: the service then
//! numbers what waits anew (`AUDIT_SEQUENCE_TAKEN`, metadata `last_sequence`). A gap means that
//! this database was: what is missing is missing, and verification says so.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::{Code, Failure};

use crate::{
    convert,
    core::Core,
    domain::{AuditEntry, Checks},
    error,
    store::audit,
};

/// Most events of one call.
pub(crate) const MAX_EVENTS: usize = 1_000;
/// Most events that may be missing before those of a call, when this database was restored from an
/// older copy. One number far ahead would leave a trail no numbers to go on with.
const MAX_GAP: i64 = 1_000_000_000_000;
/// Most resources of one event.
const MAX_RESOURCES: usize = 1_200;
/// Longest text of an event, in bytes.
const MAX_TEXT: usize = 256;

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::DeliverAuditEventsRequest,
) -> Result<pb::DeliverAuditEventsResponse, Failure> {
    // Events speak for the service that brings them: nobody writes into another's trail.
    let own = grant.caller.name.strip_prefix("serviceAccounts/service-");
    let service = own
        .filter(|_| grant.caller.actor.is_none())
        .ok_or_else(|| error::outside_scope("the audit trail of a service"))?;
    let last = take(core, service, checked(request)?).await?;
    Ok(pb::DeliverAuditEventsResponse {
        last_sequence: last,
    })
}

/// Takes events of a service; the sequence up to which all are kept.
pub(crate) async fn take(
    core: &Core,
    service: &str,
    events: Vec<(i64, AuditEntry)>,
) -> Result<i64, Failure> {
    let Some(last) = events.last().map(|(n, _)| *n) else {
        return Err(Failure::field("deliveries", "must not be empty"));
    };
    let ring = &core.vault.ring;
    core.db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            let trail = audit::hold(tx, ring, service).await?;
            let head = trail.last_sequence;
            let known = events.partition_point(|(n, _)| *n <= head);
            let (again, new) = events.split_at(known);
            if !audit::same(tx, service, again).await? {
                return Err(Failure::new(
                    Code::Aborted,
                    "AUDIT_SEQUENCE_TAKEN",
                    "other events have these sequences",
                )
                .with("last_sequence", head));
            }
            if let Some((first, _)) = new.first() {
                if first - head > MAX_GAP {
                    return Err(Failure::field(
                        "deliveries[0].sequence",
                        format!("is more than {MAX_GAP} ahead of the last event, {head}"),
                    ));
                }
                audit::append(tx, ring, trail, new, core.now()).await?;
            }
            Ok(last)
        })
        .await
}

/// The events of a request, if they can be kept.
fn checked(request: pb::DeliverAuditEventsRequest) -> Result<Vec<(i64, AuditEntry)>, Failure> {
    let count = request.deliveries.len();
    if !(1..=MAX_EVENTS).contains(&count) {
        return Err(Failure::field(
            "deliveries",
            format!("must be from 1 to {MAX_EVENTS}"),
        ));
    }
    let mut checks = Checks::default();
    let first = request.deliveries.first().map_or(1, |d| d.sequence);
    let mut events = Vec::with_capacity(count);
    for (i, delivery) in (0_i64..).zip(request.deliveries) {
        let field = format!("deliveries[{i}]");
        let ordered = first >= 1 && first.checked_add(i) == Some(delivery.sequence);
        checks.must(ordered, &field, "must come by sequence, without gaps");
        let event = delivery.event.unwrap_or_default();
        checks.must(fits(&event), &field, "is not an event of the audit trail");
        events.push((delivery.sequence, convert::audit::entry(&event)));
    }
    checks.done()?;
    Ok(events)
}

fn fits(event: &pb::AuditEvent) -> bool {
    let plain = |text: &str| text.len() <= MAX_TEXT && text.bytes().all(|b| b.is_ascii_graphic());
    let kind = pb::audit_event::Kind::try_from(event.kind);
    event.name.is_empty()
        && kind.is_ok_and(|k| k != pb::audit_event::Kind::Unspecified)
        && event
            .time
            .as_ref()
            .is_some_and(|t| convert::time_in("time", t).is_ok())
        && !event.caller.is_empty()
        && [
            &event.caller,
            &event.actor,
            &event.method,
            &event.outcome,
            &event.reason,
            &event.request_id,
        ]
        .into_iter()
        .all(|text| plain(text))
        && event.purpose.len() <= MAX_TEXT
        && event.resources.len() <= MAX_RESOURCES
        && event.resources.iter().all(|r| plain(r))
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
