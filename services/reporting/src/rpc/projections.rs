//! `ListProjections`, `RebuildProjections`.

use jinke_types::{Failure, Timestamp};

use super::{Api, request_id};
use crate::{
    access::Viewer,
    convert::{Check, check::time_out, pb},
    store::projection::{self, BUILDING, Generation, SERVING},
};

/// Serving, building and retired ones with where they stand.
pub async fn list(
    api: Api,
    _viewer: Viewer,
    _request: pb::ListProjectionsRequest,
) -> Result<pb::ListProjectionsResponse, Failure> {
    let generations = projection::list(&mut *api.core.db.read().await?).await?;
    let mut projections = Vec::new();
    for generation in generations {
        projections.push(state(&api, generation).await?);
    }
    projections.sort_by_key(|p| p.state);
    Ok(pb::ListProjectionsResponse { projections })
}

/// Begins to build the tables anew.
pub async fn rebuild(
    api: Api,
    viewer: Viewer,
    request: pb::RebuildProjectionsRequest,
) -> Result<pb::Projection, Failure> {
    let mut check = Check::new();
    let id = check.request_id(&request.request_id);
    check.done()?;
    let id = request_id(id, &viewer, "RebuildProjections", &request);
    let (core, now, id) = (&api.core, api.core.clock.now(), id.as_ref());
    let building = core
        .db
        .write(async |mut tx| {
            let tx = &mut tx;
            let replay = core.claim(tx, id, now).await?;
            if let Some(name) = replay {
                let no = name.rsplit('/').next().and_then(|n| n.parse().ok());
                return no.ok_or_else(|| Failure::internal("a stored name has no number"));
            }
            let no = projection::begin_building(tx, now).await?;
            core.complete(tx, id, &format!("projections/{no}"), 0)
                .await?;
            Ok(no)
        })
        .await?;
    api.follower.wake();
    let all = projection::list(&mut *core.db.read().await?).await?;
    // A replay may come when it serves, or was replaced and removed.
    match all.into_iter().find(|g| g.no == building) {
        Some(generation) => state(&api, generation).await,
        None => Err(Failure::not_found(format!("projections/{building}"))),
    }
}

async fn state(api: &Api, generation: Generation) -> Result<pb::Projection, Failure> {
    let mut conn = api.core.db.read().await?;
    let feeds = projection::feeds(&mut conn, generation.no).await?;
    let counts = projection::counts(&mut conn, generation.no).await?;
    let now = api.core.clock.now();
    let behind = feeds
        .iter()
        .filter(|f| !f.caught_up)
        .filter_map(|f| f.change_time)
        .map(|at| (now.0 - at.0) / 1_000_000)
        .max();
    let at = |time: Option<Timestamp>| time.map(time_out);
    use pb::projection::State;
    Ok(pb::Projection {
        name: format!("projections/{}", generation.no),
        state: match generation.state {
            BUILDING => State::Building,
            SERVING => State::Serving,
            _ => State::Retired,
        }
        .into(),
        feeds: feeds
            .into_iter()
            .map(|f| pb::projection::Feed {
                feed: f.feed,
                position: f.position,
                applied: f.applied,
                check_time: at(f.check_time),
                change_time: at(f.change_time),
                caught_up: f.caught_up,
                last_error: f.last_error,
            })
            .collect(),
        create_time: at(Some(generation.create_time)),
        serve_time: at(generation.serve_time),
        customers: counts[0],
        parties: counts[2],
        transactions: counts[3],
        interactions: counts[5],
        opportunities: counts[6],
        transitions: counts[7],
        lag_seconds: behind.unwrap_or_default().max(0),
        transaction_lines: counts[4],
        products: counts[9],
        persons: counts[10],
    })
}
