//! `ListAuditTrails`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use crate::{access, convert, core::Core, store::audit};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
) -> Result<pb::ListAuditTrailsResponse, Failure> {
    access::whole_enterprise(&grant.scope, "the audit trail")?;
    let trails = audit::trails(&mut *core.db.read().await?).await?;
    let trails = trails.into_iter().map(|trail| pb::AuditTrail {
        name: format!("auditTrails/{}", trail.service),
        last_sequence: trail.last_sequence,
        last_time: (trail.last_sequence > 0).then(|| convert::timestamp(trail.last_time)),
        checkpoint_sequence: trail.checkpoint_sequence,
        last_hash: trail.last_hash,
    });
    Ok(pb::ListAuditTrailsResponse {
        trails: trails.collect(),
    })
}
