//! `VerifyAuditTrail`: goes through a chain, a stretch at a time.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Conn;
use jinke_types::Failure;
use pb::verify_audit_trail_response::Fault;

use crate::{
    access,
    core::Core,
    domain::id_in,
    store::audit::{self, Trail},
};

/// Events looked at in one call.
const STRETCH: i64 = 20_000;
/// Events read at a time.
const BATCH: usize = 1_000;

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::VerifyAuditTrailRequest,
) -> Result<pb::VerifyAuditTrailResponse, Failure> {
    access::whole_enterprise(&grant.scope, "the audit trail")?;
    let service = id_in("name", "auditTrails", &request.name)?;
    let from = opened(&request.page_token)?;
    // One moment, so that an event that arrives meanwhile is no fault.
    let mut conn = core.db.snapshot().await?;
    let Some(trail) = audit::get(&mut conn, service).await? else {
        // Events whose trail has no note: it was taken away.
        return match audit::after(&mut conn, service, 0, 1).await?.first() {
            Some((event, _)) => Ok(fault(Fault::Head, service, event.sequence, 0)),
            None => Err(Failure::not_found(&request.name)),
        };
    };
    walk(core, &mut conn, &trail, from).await
}

async fn walk(
    core: &Core,
    conn: &mut Conn,
    trail: &Trail,
    from: i64,
) -> Result<pb::VerifyAuditTrailResponse, Failure> {
    let ring = &core.vault.ring;
    let service = trail.service.as_str();
    let dropped = trail.checkpoint_sequence;
    if !trail.checkpoint_holds(ring) {
        return Ok(fault(Fault::Checkpoint, service, dropped, 0));
    }
    if !trail.head_holds(ring) {
        return Ok(fault(Fault::Head, service, trail.last_sequence, 0));
    }
    // What was dropped since the page before needs no looking at.
    let mut at = from.max(dropped);
    let mut hash = if at == dropped {
        trail.checkpoint_hash.clone()
    } else {
        match audit::hash_of(conn, service, at).await? {
            Some(hash) => hash,
            None => return Ok(fault(Fault::Missing, service, at, 0)),
        }
    };
    // Nothing may stand before the first event that is kept.
    if at == dropped
        && let Some((early, _)) = audit::after(conn, service, 0, 1).await?.first()
        && early.sequence <= dropped
    {
        return Ok(fault(Fault::Changed, service, early.sequence, 0));
    }
    let mut verified = 0;
    while verified < STRETCH {
        let events = audit::after(conn, service, at, BATCH).await?;
        if events.is_empty() {
            break;
        }
        for (event, resources) in events {
            if event.sequence != at + 1 {
                return Ok(fault(Fault::Missing, service, at + 1, verified));
            }
            if !event.holds(ring, &hash, &resources) {
                return Ok(fault(Fault::Changed, service, event.sequence, verified));
            }
            at = event.sequence;
            hash = event.hash;
            verified += 1;
        }
    }
    let mut answer = pb::VerifyAuditTrailResponse {
        verified_count: verified,
        ..Default::default()
    };
    if verified >= STRETCH {
        answer.next_page_token = URL_SAFE_NO_PAD.encode(format!("auditTrail/{at}"));
    } else if at < trail.last_sequence {
        return Ok(fault(Fault::Missing, service, at + 1, verified));
    } else if at > trail.last_sequence || hash != trail.last_hash {
        return Ok(fault(Fault::Head, service, trail.last_sequence, verified));
    }
    Ok(answer)
}

fn fault(
    fault: Fault,
    service: &str,
    sequence: i64,
    verified: i64,
) -> pb::VerifyAuditTrailResponse {
    pb::VerifyAuditTrailResponse {
        fault: fault.into(),
        event: format!("auditTrails/{service}/events/{sequence}"),
        verified_count: verified,
        next_page_token: String::new(),
    }
}

fn opened(token: &str) -> Result<i64, Failure> {
    if token.is_empty() {
        return Ok(0);
    }
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let at = text.strip_prefix("auditTrail/")?.parse().ok()?;
        (at > 0).then_some(at)
    };
    (token.len() <= 100)
        .then(read)
        .flatten()
        .ok_or_else(|| Failure::field("page_token", "was not given out by this method"))
}
