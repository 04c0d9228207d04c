//! `ListAuditEvents`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::{Failure, Timestamp};

use crate::{
    access, convert,
    core::Core,
    domain::Checks,
    store::audit::{self, Kept, Query},
};

/// Longest text to look for, in bytes.
const MAX_TEXT: usize = 256;

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::ListAuditEventsRequest,
) -> Result<pb::ListAuditEventsResponse, Failure> {
    access::whole_enterprise(&grant.scope, "the audit trail")?;
    let mut checks = Checks::default();
    for (field, text) in [
        ("caller", &request.caller),
        ("resource", &request.resource),
        ("method", &request.method),
        ("service", &request.service),
    ] {
        let fine = text.len() <= MAX_TEXT && text.bytes().all(|b| b.is_ascii_graphic());
        checks.must(
            fine,
            field,
            "must be at most 256 printable ASCII characters",
        );
    }
    let known = pb::audit_event::Kind::try_from(request.kind).is_ok();
    checks.must(known, "kind", "is not known");
    let time = |field, t: &Option<prost_types::Timestamp>| {
        t.as_ref().map(|t| convert::time_in(field, t)).transpose()
    };
    let start = checks.take(time("start_time", &request.start_time));
    let end = checks.take(time("end_time", &request.end_time));
    let size = checks.take(convert::page_size(request.page_size));
    let before = checks.take(opened(&request.page_token));
    checks.done()?;
    let query = Query {
        caller: request.caller,
        resource: request.resource,
        method: request.method,
        service: request.service,
        kind: request.kind,
        start,
        end,
        before,
        limit: size + 1,
    };
    let mut rows = audit::list(&mut *core.db.read().await?, &query).await?;
    let more = rows.len() > size;
    rows.truncate(size);
    let next_page_token = match rows.last() {
        Some(last) if more => token(last),
        _ => String::new(),
    };
    let events = rows
        .iter()
        .map(|kept| convert::audit::event(&kept.service, kept.sequence, &kept.body))
        .collect::<Result<_, _>>()?;
    Ok(pb::ListAuditEventsResponse {
        events,
        next_page_token,
    })
}

/// The token of the page after this event.
fn token(last: &Kept) -> String {
    let place = format!(
        "auditEvents/{}/{}/{}",
        last.time.0, last.sequence, last.service
    );
    URL_SAFE_NO_PAD.encode(place)
}

fn opened(token: &str) -> Result<Option<(Timestamp, String, i64)>, Failure> {
    if token.is_empty() {
        return Ok(None);
    }
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let mut parts = text.strip_prefix("auditEvents/")?.splitn(3, '/');
        let time = Timestamp(parts.next()?.parse().ok()?);
        let sequence = parts.next()?.parse().ok()?;
        let service = parts.next().filter(|s| crate::domain::is_id(s))?;
        Some((time, service.to_owned(), sequence))
    };
    let place = (token.len() <= 200).then(read).flatten();
    match place {
        Some(place) => Ok(Some(place)),
        None => Err(Failure::field(
            "page_token",
            "was not given out by this method",
        )),
    }
}
