//! Grade and lifecycle stage of the sample customers, written back to them as an installation does once
//! a day: whoever looks at a customer of the samples sees them at once.

use std::time::Duration;

use jinke_kit::Peer;
use jinke_proto::jinke::reporting::v1::{
    self as pb, insight_service_client::InsightServiceClient,
    projection_service_client::ProjectionServiceClient,
};
use jinke_types::{Clock as _, Code, Failure, SystemClock, Timestamp};

use crate::{cli::page::request_id, connect::Answer, progress::say};

/// How long the projections may take to hear of the samples.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// What is said when it takes too long.
const LATER: &str = "等级稍后写回 grades are written back later (jinke metrics publish)";

/// Waits until the projections know what was imported by then, and has the insights published. None
/// when that took too long: the round of the day does it later.
///
/// # Errors
/// What the server answered.
pub(super) async fn publish(
    peer: &Peer,
    imported: Timestamp,
) -> Result<Option<pb::PublishInsightsResponse>, Failure> {
    let begun = SystemClock.now();
    let mut projections = ProjectionServiceClient::new(peer.clone());
    while !caught_up(&mut projections, imported.secs()).await? {
        if SystemClock.now() > begun.plus(PATIENCE) {
            say(LATER);
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let request = pb::PublishInsightsRequest {
        validate_only: false,
        request_id: request_id(),
    };
    let published = InsightServiceClient::new(peer.clone())
        .publish_insights(request)
        .await
        .answer();
    match published {
        Ok(answer) => Ok(Some(answer)),
        // A slow machine: what was done stays, and the next round does the rest.
        Err(failure) if failure.code == Code::DeadlineExceeded => {
            say(LATER);
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Whether the serving projections found nothing new after this second in the feeds that insights are
/// made of.
async fn caught_up(
    projections: &mut ProjectionServiceClient<Peer>,
    second: i64,
) -> Result<bool, Failure> {
    let listed = projections
        .list_projections(pb::ListProjectionsRequest {})
        .await
        .answer()?;
    let serving = listed
        .projections
        .iter()
        .find(|p| p.state() == pb::projection::State::Serving);
    Ok(serving.is_some_and(|p| {
        p.feeds.iter().filter(|f| f.feed != "pipeline").all(|f| {
            let looked = f.check_time.as_ref().map_or(0, |t| t.seconds);
            f.caught_up && looked > second
        })
    }))
}
