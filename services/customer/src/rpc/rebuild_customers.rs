//! `RebuildCustomers`.

use std::sync::Arc;

use jinke_proto::google::longrunning;
use jinke_store::operation::Job;
use jinke_types::Failure;

use super::{Api, operations};
use crate::{access::Viewer, convert::pb, engine::Engine};

/// Starts the operation that recomputes everything and reports what differs.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::RebuildCustomersRequest,
) -> Result<longrunning::Operation, Failure> {
    operations::sees_all(&viewer)?;
    let background = &api.background;
    background
        .start(&viewer, operations::REBUILD, &request)
        .await
}

/// Does it. A rebuild that was interrupted begins anew: it changes nothing but what is wrong.
pub(super) async fn work(
    engine: &Engine,
    request: &pb::RebuildCustomersRequest,
    job: &Arc<Job>,
) -> Result<pb::RebuildReport, Failure> {
    let found = engine
        .rebuild(request.repair, operations::progress(job))
        .await?;
    let differences = found.differences.into_iter();
    Ok(pb::RebuildReport {
        records: found.records,
        customers: found.customers,
        difference_count: found.count,
        differences: differences
            .map(|d| pb::rebuild_report::Difference {
                about: d.about.to_owned(),
                subject: d.subject,
                stored: d.stored,
                right: d.right,
            })
            .collect(),
        repaired: found.repaired,
    })
}
