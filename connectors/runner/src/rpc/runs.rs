//! Runs: start, get, list, watch, cancel, approve.

use std::time::Duration;

use jinke_kit::status;
use jinke_sdk::PartKind;
use jinke_types::{Code, Failure};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    Api, Once, Viewer, answer,
    check::{self, Check},
    claim, complete, pb,
};
use crate::{
    domain::{Run, RunKind, RunState, Trigger},
    store::runs,
};

/// How often a watched run is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// A watch ends when its client takes nothing for this long.
const STALLED: Duration = Duration::from_secs(60);

/// The messages of a watch.
pub type Watched = ReceiverStream<Result<pb::WatchRunResponse, Status>>;

async fn find(api: &Api, viewer: &Viewer, id: &str, number: i64) -> Result<Run, Failure> {
    api.visible(viewer, id).await?;
    let found = runs::get(&mut *api.core.db.read().await?, id, number).await?;
    found.ok_or_else(|| Failure::not_found(format!("connections/{id}/runs/{number}")))
}

/// Starts a run, or answers with one that is open and does what is asked.
pub async fn start(
    api: Api,
    viewer: Viewer,
    request: pb::RunConnectionRequest,
) -> Result<pb::Run, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/RunConnection";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    let mut check = Check::default();
    check.request_id(&request.request_id, false);
    let kind = match pb::run::Kind::try_from(request.kind) {
        Ok(pb::run::Kind::Unspecified | pb::run::Kind::Pull) => RunKind::Pull,
        Ok(pb::run::Kind::Sweep) => RunKind::Sweep,
        Err(_) => {
            check.wrong("kind", "is not a value of Run.Kind");
            RunKind::Pull
        }
    };
    if request.streams.len() > 1_000 {
        check.wrong("streams", "names more than 1000 streams");
    }
    for (i, stream) in request.streams.iter().enumerate() {
        check.text(&format!("streams[{i}]"), stream, 500, false);
    }
    check.done()?;
    let id = check::connection_id("name", &request.name)?;
    let connection = api.visible(&viewer, id).await?;
    let spec = &api.core.registry.get(&connection.connector)?.spec;
    let can = |wanted: &[PartKind]| spec.parts.iter().any(|p| wanted.contains(&p.kind));
    if kind == RunKind::Sweep && !can(&[PartKind::Sweep]) {
        return Err(Failure::new(
            Code::FailedPrecondition,
            "SWEEP_NOT_OFFERED",
            "this connector cannot look for deleted records",
        ));
    }
    if kind == RunKind::Pull && !can(&[PartKind::Stream, PartKind::Directory]) {
        return Err(Failure::new(
            Code::FailedPrecondition,
            "PULL_NOT_OFFERED",
            "nothing can be pulled from this connector",
        ));
    }
    if connection.paused {
        return Err(Failure::new(
            Code::FailedPrecondition,
            "CONNECTION_PAUSED",
            "the connection is paused; resume it first",
        ));
    }
    let now = api.core.clock.now();
    let run = api
        .core
        .db
        .write(async |mut tx| {
            if let Some(name) = claim(&api, &mut tx, once.as_ref()).await? {
                let (id, number) = check::child(&name, "runs")?;
                let found = runs::get(&mut tx, id, number).await?;
                return found.ok_or_else(|| Failure::not_found(&name));
            }
            // Two calls at a time must not both find no open run.
            tx.lock(&format!("run/{id}")).await?;
            let run = match runs::open(&mut tx, id, kind, &request.streams).await? {
                Some(open) => open,
                None => {
                    let by = Trigger::Request;
                    let who = viewer.caller.name.as_str();
                    runs::create(&mut tx, id, kind, by, &request.streams, who, now).await?
                }
            };
            complete(&mut tx, once.as_ref(), &run.name()).await?;
            Ok(run)
        })
        .await?;
    api.core.wake();
    Ok(answer::run(&run))
}

/// One run.
pub async fn get(api: Api, viewer: Viewer, request: pb::GetRunRequest) -> Result<pb::Run, Failure> {
    let (id, number) = check::child(&request.name, "runs")?;
    Ok(answer::run(&find(&api, &viewer, id, number).await?))
}

/// Runs, the newest first.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListRunsRequest,
) -> Result<pb::ListRunsResponse, Failure> {
    const METHOD: &str = "ListRuns";
    let id = check::connection_id("parent", &request.parent)?;
    let size = check::page_size(request.page_size)?;
    api.visible(&viewer, id).await?;
    let before = api
        .pages
        .number(METHOD, id, &viewer, &request.page_token, i64::MAX)?;
    let mut reader = api.core.db.read().await?;
    let mut found = runs::list(&mut reader, id, before, size + 1).await?;
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some(last) if more => api
            .pages
            .token(METHOD, id, &viewer, &last.number.to_string()),
        _ => String::new(),
    };
    Ok(pb::ListRunsResponse {
        runs: found.iter().map(answer::run).collect(),
        next_page_token,
    })
}

/// The run whenever it changed, until it has ended.
pub async fn watch(
    api: Api,
    viewer: Viewer,
    request: pb::WatchRunRequest,
) -> Result<Watched, Failure> {
    let (id, number) = check::child(&request.name, "runs")?;
    let first = find(&api, &viewer, id, number).await?;
    let (messages, watched) = mpsc::channel(2);
    let id = id.to_owned();
    tokio::spawn(async move {
        let mut run = first;
        loop {
            let message = pb::WatchRunResponse {
                run: Some(answer::run(&run)),
            };
            let sent = tokio::time::timeout(STALLED, messages.send(Ok(message))).await;
            if run.state.ended() || !matches!(sent, Ok(Ok(()))) {
                return;
            }
            run = tokio::select! {
                () = messages.closed() => return,
                () = api.core.shutdown.wait() => {
                    let _ = messages.try_send(Err(status(draining())));
                    return;
                }
                next = changed(&api, &viewer, &id, &run) => match next {
                    Ok(next) => next,
                    Err(failure) => {
                        let _ = messages.try_send(Err(status(failure)));
                        return;
                    }
                },
            };
        }
    });
    Ok(ReceiverStream::new(watched))
}

fn draining() -> Failure {
    Failure::new(
        Code::Unavailable,
        "DRAINING",
        "this process is stopping; open the stream again",
    )
}

/// The run when it is another than `old`; the viewer's rows are asked each time.
async fn changed(api: &Api, viewer: &Viewer, id: &str, old: &Run) -> Result<Run, Failure> {
    loop {
        tokio::time::sleep(LOOK).await;
        let run = find(api, viewer, id, old.number).await?;
        if run.revision != old.revision {
            return Ok(run);
        }
    }
}

fn stale() -> Failure {
    Failure::new(
        Code::Aborted,
        "ETAG_MISMATCH",
        "the run was changed since; read it again",
    )
}

/// Stops a run for ever.
pub async fn cancel(
    api: Api,
    viewer: Viewer,
    request: pb::CancelRunRequest,
) -> Result<pb::Run, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/CancelRun";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    let mut check = Check::default();
    check.request_id(&request.request_id, false);
    check.done()?;
    let (id, number) = check::child(&request.name, "runs")?;
    let run = find(&api, &viewer, id, number).await?;
    api.core
        .db
        .write(async |mut tx| {
            if claim(&api, &mut tx, once.as_ref()).await?.is_some() {
                return Ok(());
            }
            if !request.etag.is_empty() && request.etag != answer::etag(run.revision) {
                return Err(stale());
            }
            runs::cancel(&mut tx, id, number).await?;
            complete(&mut tx, once.as_ref(), &run.name()).await
        })
        .await?;
    api.core.wake();
    Ok(answer::run(&find(&api, &viewer, id, number).await?))
}

/// Lets a sweep that waits for approval go on.
pub async fn approve(
    api: Api,
    viewer: Viewer,
    request: pb::ApproveSweepRequest,
) -> Result<pb::Run, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/ApproveSweep";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    let mut check = Check::default();
    check.request_id(&request.request_id, false);
    check.done()?;
    let (id, number) = check::child(&request.name, "runs")?;
    let run = find(&api, &viewer, id, number).await?;
    api.core
        .db
        .write(async |mut tx| {
            if claim(&api, &mut tx, once.as_ref()).await?.is_some() {
                return Ok(());
            }
            if !request.etag.is_empty() && request.etag != answer::etag(run.revision) {
                return Err(stale());
            }
            if run.state != RunState::NeedsApproval || !runs::approve(&mut tx, id, number).await? {
                return Err(Failure::new(
                    Code::FailedPrecondition,
                    "NO_APPROVAL_NEEDED",
                    "the run does not wait for approval",
                ));
            }
            complete(&mut tx, once.as_ref(), &run.name()).await
        })
        .await?;
    api.core.wake();
    Ok(answer::run(&find(&api, &viewer, id, number).await?))
}
