//! Delivers the events of a service to identity: each at least once, and kept there once.

use std::{sync::Arc, time::Duration};

use jinke_proto::jinke::identity::v1::{
    AuditEvent, DeliverAuditEventsRequest, audit_service_client::AuditServiceClient,
    deliver_audit_events_request::Delivery,
};
use jinke_types::{AuditLog, Clock, Failure};
use prost::Message as _;

use crate::{Metrics, Peer, status::failure};

/// Events delivered at a time.
const BATCH: u32 = 500;
/// Most bytes of events delivered at a time; a page of a thousand names is some 30 KB.
const BATCH_BYTES: usize = 4 << 20;
/// Pause after a failure, at first and at most.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Delivers to identity for ever.
pub(crate) async fn ship(
    service: &'static str,
    log: Arc<dyn AuditLog>,
    identity: Peer,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
) {
    let deliver = move |deliveries| {
        let mut trail = AuditServiceClient::new(identity.clone());
        async move {
            let request = DeliverAuditEventsRequest { deliveries };
            trail
                .deliver_audit_events(request)
                .await
                .map(|answer| answer.into_inner().last_sequence)
                .map_err(|status| failure(&status))
        }
    };
    ship_by(service, log, metrics, clock, deliver).await;
}

/// Gives what waits to `deliver` for ever, which says up to which sequence it is kept. What could
/// not be delivered stays in the database, and is taken up when the process runs again. Identity
/// calls this with its own chains; for every other service the kit does it.
pub async fn ship_by<Done>(
    service: &'static str,
    log: Arc<dyn AuditLog>,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    deliver: impl Fn(Vec<Delivery>) -> Done + Send + Sync,
) where
    Done: Future<Output = Result<i64, Failure>> + Send,
{
    let backlog = metrics.audit_backlog.with_label_values(&[service]);
    let lag = metrics.audit_lag.with_label_values(&[service]);
    let mut pause = PAUSE;
    loop {
        let step = async {
            let waiting = log.waiting(BATCH).await?;
            backlog.set(i64::try_from(waiting.count).unwrap_or(i64::MAX));
            if waiting.count == 0 {
                lag.set(0);
            }
            if waiting.events.is_empty() {
                return log.recorded().await;
            }
            let (deliveries, oldest) = read(waiting.events)?;
            lag.set(clock.now().secs().saturating_sub(oldest).max(0));
            taken(log.as_ref(), deliver(deliveries).await).await
        };
        match step.await {
            Ok(()) => pause = PAUSE,
            Err(failure) => {
                tracing::warn!(
                    service,
                    reason = failure.reason,
                    "events of the audit trail wait: {failure}"
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
        }
    }
}

/// The events as messages, as many as fit, and the second of the oldest.
fn read(events: Vec<(i64, Vec<u8>)>) -> Result<(Vec<Delivery>, i64), Failure> {
    let mut bytes = 0;
    let mut deliveries = Vec::with_capacity(events.len());
    for (sequence, body) in events {
        bytes += body.len();
        if bytes > BATCH_BYTES && !deliveries.is_empty() {
            break;
        }
        let event = AuditEvent::decode(body.as_slice()).map_err(Failure::internal)?;
        deliveries.push(Delivery {
            sequence,
            event: Some(event),
        });
    }
    let first = deliveries.first().and_then(|d| d.event.as_ref());
    let oldest = first.and_then(|e| e.time.as_ref()).map_or(0, |t| t.seconds);
    Ok((deliveries, oldest))
}

async fn taken(log: &dyn AuditLog, answer: Result<i64, Failure>) -> Result<(), Failure> {
    match answer {
        Ok(last) => log.delivered(last).await,
        Err(failure) if failure.reason == "AUDIT_SEQUENCE_TAKEN" => {
            let last = failure.metadata.get("last_sequence");
            match last.and_then(|n| n.parse().ok()) {
                Some(last) => {
                    tracing::warn!(
                        last,
                        "the trail knows other events of these numbers; they are numbered anew"
                    );
                    log.renumber(last).await
                }
                None => Err(failure),
            }
        }
        Err(failure) => Err(failure),
    }
}
