//! Moves of opportunities: advance, win, lose, reopen, assign, migrate, tick.

use jinke_types::Failure;

use super::{Api, opportunities, request_id};
use crate::{
    access::{Sight, Viewer},
    convert::{Check, number::positive_money, pb},
    domain::{OUTCOME_REASONS, moved, outcome},
    engine::{By, opportunities::Move},
    store,
};

/// `AdvanceOpportunity`.
pub async fn advance(
    api: Api,
    viewer: Viewer,
    request: pb::AdvanceOpportunityRequest,
) -> Result<pb::Opportunity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "AdvanceOpportunity", &request));
    let id = check.numbered("name", &request.name, "opportunities");
    let stage = check.word("stage", request.stage.clone());
    let cause = check.text("cause", request.cause.clone(), 2_000);
    let (id, (stage, cause)) = check.finish(id.zip(stage.zip(cause)))?;
    if request.validate_only {
        try_advance(&api, &viewer, id, &stage).await?;
        return opportunities::shown(&api, &viewer.sight(), id).await;
    }
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .move_opportunity(&by, id, &request.etag, |o, process, now| {
            let there = process.advance(&o.stage, &stage, o.outcome, &o.facts())?;
            o.stage.clone_from(&there.stage);
            o.stage_time = now;
            Ok(Move {
                kind: moved::MOVED,
                cause: cause.clone(),
            })
        })
        .await?;
    opportunities::shown(&api, &viewer.sight(), id).await
}

/// Whether it could move.
async fn try_advance(api: &Api, viewer: &Viewer, id: i64, stage: &str) -> Result<(), Failure> {
    let mut reader = api.core.db.read().await?;
    let sight = viewer.sight();
    let o = store::opportunities::get(&mut reader, &api.core.ring, &sight, &[id])
        .await?
        .pop()
        .ok_or_else(|| Failure::not_found(store::opportunities::place(id)))?;
    let process = api
        .core
        .processes
        .get(&mut reader, &o.pipeline, o.version)
        .await?;
    process
        .advance(&o.stage, stage, o.outcome, &o.facts())
        .map(drop)
}

/// `WinOpportunity`.
pub async fn win(
    api: Api,
    viewer: Viewer,
    request: pb::WinOpportunityRequest,
) -> Result<pb::Opportunity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "WinOpportunity", &request));
    let id = check.numbered("name", &request.name, "opportunities");
    let reason = check.one_of("reason", request.reason.clone(), &OUTCOME_REASONS, true);
    let comment = check.text("comment", request.comment.clone(), 2_000);
    let amount = positive_money(&mut check, "amount", request.amount.as_ref());
    let ((id, amount), (reason, comment)) =
        check.finish(id.zip(amount).zip(reason.zip(comment)))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .move_opportunity(&by, id, &request.etag, |o, process, now| {
            if let Some(amount) = &amount {
                o.amount = Some(amount.clone());
            }
            process.win(&o.stage, o.outcome, &o.facts())?;
            o.outcome = outcome::WON;
            o.outcome_time = Some(now);
            o.reason.clone_from(&reason);
            o.private.comment.clone_from(&comment);
            Ok(Move {
                kind: moved::WON,
                cause: comment.clone(),
            })
        })
        .await?;
    opportunities::shown(&api, &viewer.sight(), id).await
}

/// `LoseOpportunity`.
pub async fn lose(
    api: Api,
    viewer: Viewer,
    request: pb::LoseOpportunityRequest,
) -> Result<pb::Opportunity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "LoseOpportunity", &request));
    let id = check.numbered("name", &request.name, "opportunities");
    let reason = check.one_of("reason", request.reason.clone(), &OUTCOME_REASONS, false);
    let comment = check.text("comment", request.comment.clone(), 2_000);
    let (id, (reason, comment)) = check.finish(id.zip(reason.zip(comment)))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .move_opportunity(&by, id, &request.etag, |o, process, now| {
            process.lose(o.outcome)?;
            o.outcome = outcome::LOST;
            o.outcome_time = Some(now);
            o.reason.clone_from(&reason);
            o.private.comment.clone_from(&comment);
            Ok(Move {
                kind: moved::LOST,
                cause: comment.clone(),
            })
        })
        .await?;
    opportunities::shown(&api, &viewer.sight(), id).await
}

/// `ReopenOpportunity`.
pub async fn reopen(
    api: Api,
    viewer: Viewer,
    request: pb::ReopenOpportunityRequest,
) -> Result<pb::Opportunity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "ReopenOpportunity", &request));
    let id = check.numbered("name", &request.name, "opportunities");
    let stage = check.word("stage", request.stage.clone());
    let cause = check.text("cause", request.cause.clone(), 2_000);
    let (id, (stage, cause)) = check.finish(id.zip(stage.zip(cause)))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .move_opportunity(&by, id, &request.etag, |o, process, now| {
            let there = process.reopen(&o.stage, &stage, o.outcome)?;
            o.stage.clone_from(&there.stage);
            o.stage_time = now;
            o.outcome = outcome::OPEN;
            o.outcome_time = None;
            o.reason.clear();
            o.private.comment.clear();
            Ok(Move {
                kind: moved::REOPENED,
                cause: cause.clone(),
            })
        })
        .await?;
    opportunities::shown(&api, &viewer.sight(), id).await
}

/// `AssignOpportunity`. Whoever gives one away is told what became of it, though he may not see it
/// any more.
pub async fn assign(
    api: Api,
    viewer: Viewer,
    request: pb::AssignOpportunityRequest,
) -> Result<pb::Opportunity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "AssignOpportunity", &request));
    let id = check.numbered("name", &request.name, "opportunities");
    let owner = check.member("owner", &request.owner, false);
    let (id, owner) = check.finish(id.zip(owner))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .assign_opportunity(&by, id, &request.etag, &owner, request.with_tasks)
        .await?;
    opportunities::shown(&api, &Sight::All, id).await
}

/// `MigrateOpportunity`.
pub async fn migrate(
    api: Api,
    viewer: Viewer,
    request: pb::MigrateOpportunityRequest,
) -> Result<pb::Opportunity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "MigrateOpportunity", &request));
    let id = check.numbered("name", &request.name, "opportunities");
    let pipeline = if request.pipeline.is_empty() {
        Some(String::new())
    } else {
        check.named("pipeline", &request.pipeline, "pipelines")
    };
    if request.version < 0 {
        check.wrong::<()>("version", "is negative");
    }
    let stage = check.word("stage", request.stage.clone());
    let cause = check.text("cause", request.cause.clone(), 2_000);
    let ((id, pipeline), (stage, cause)) = check.finish(id.zip(pipeline).zip(stage.zip(cause)))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    let to = (pipeline.as_str(), request.version, stage.as_str());
    api.core
        .migrate_opportunity(&by, id, &request.etag, to, &cause)
        .await?;
    opportunities::shown(&api, &viewer.sight(), id).await
}

/// `CheckOpportunityItem`.
pub async fn check_item(
    api: Api,
    viewer: Viewer,
    request: pb::CheckOpportunityItemRequest,
) -> Result<pb::Opportunity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "CheckOpportunityItem", &request));
    let id = check.numbered("name", &request.name, "opportunities");
    let item = check.id("item", &request.item);
    let (id, item) = check.finish(id.zip(item))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .check_item(&by, id, &request.etag, &item, !request.uncheck)
        .await?;
    opportunities::shown(&api, &viewer.sight(), id).await
}
