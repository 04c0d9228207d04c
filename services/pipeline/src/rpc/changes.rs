//! The change feed: `ListPipelineChanges` and `WatchPipelineChanges`.
//!
//! The page token is the position and bound to the database alone. Changes of what a caller does
//! not see are passed over, so a page may be empty and its position still move. A watch is the same
//! pages as they come, with a checkpoint when nothing happens; rights are asked for again before
//! every page, and at most [`AHEAD`] pages wait for a client that reads slowly.

use std::collections::{BTreeMap, BTreeSet};

use jinke_kit::status;
use jinke_store::{
    Reader,
    changelog::{self, Change, Filter},
};
use jinke_types::Failure;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Api, opportunities::many, page::Binding};
use crate::{
    access::{Sight, Viewer, mask},
    convert::{
        Check, activity::activity_out, lead::lead_out, number::time_out,
        opportunity::transition_out, pb, pipeline::pipeline_out, task::task_out,
    },
    domain::{FEED, change, damaged},
    error,
    store::{activities, feed, leads, opportunities, pipelines, tasks},
};
use pb::pipeline_change::Snapshot;

/// Pages that wait for a client.
const AHEAD: usize = 2;
/// Most changes of a page with snapshots.
const MAX_SNAPSHOTS: u32 = 200;
const PERMISSION: &str = "pipeline.changes.list";

/// The messages of a watch.
pub type Changes = ReceiverStream<Result<pb::WatchPipelineChangesResponse, Status>>;

/// `ListPipelineChanges`.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListPipelineChangesRequest,
) -> Result<pb::ListPipelineChangesResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 100, 1_000);
    let size = check.finish(size)?;
    let after = position(&api, &request.page_token).await?;
    let page = page(&api, &viewer, after, size, request.include_snapshots).await?;
    let next_page_token = token(&api, page.1)?;
    counted(&api, "list", page.0.len());
    Ok(pb::ListPipelineChangesResponse {
        changes: page.0,
        next_page_token,
    })
}

fn counted(api: &Api, call: &str, changes: usize) {
    api.numbers
        .feed_changes
        .with_label_values(&[call])
        .inc_by(u64::try_from(changes).unwrap_or_default());
}

fn token(api: &Api, position: i64) -> Result<String, Failure> {
    api.pages.token(&Binding::feed(FEED), &position)
}

/// The position in a token; one of a later state of this database is refused.
async fn position(api: &Api, token: &str) -> Result<i64, Failure> {
    let after: i64 = api
        .pages
        .place(&Binding::feed(FEED), token)?
        .unwrap_or_default();
    if after > 0 {
        let mut reader = api.core.db.read().await?;
        let head = changelog::head(&mut reader).await?;
        if after > head {
            return Err(error::position_ahead(after, head));
        }
    }
    Ok(after)
}

/// A change with its subject taken apart.
struct Logged {
    collection: String,
    id: String,
    number: i64,
    change: Change,
    transition: Option<i64>,
}

fn parsed(c: Change) -> Result<Logged, Failure> {
    let (collection, id) = c.subject.split_once('/').ok_or_else(|| damaged("change"))?;
    let transition = if c.body.is_empty() {
        None
    } else {
        let text = std::str::from_utf8(&c.body).map_err(|_| damaged("change"))?;
        Some(text.parse().map_err(|_| damaged("change"))?)
    };
    Ok(Logged {
        collection: collection.to_owned(),
        id: id.to_owned(),
        // Pipelines have no number.
        number: id.parse().unwrap_or_default(),
        transition,
        change: c,
    })
}

fn kind(text: &str) -> pb::PipelineChangeKind {
    match text {
        change::CREATED => pb::PipelineChangeKind::Created,
        change::UPDATED => pb::PipelineChangeKind::Updated,
        change::TRANSITION => pb::PipelineChangeKind::Transition,
        change::CUSTOMER_MOVED => pb::PipelineChangeKind::CustomerMoved,
        change::ERASED => pb::PipelineChangeKind::Erased,
        _ => pb::PipelineChangeKind::Unspecified,
    }
}

/// Up to `size` changes after `after` that are seen, and where to go on.
async fn page(
    api: &Api,
    viewer: &Viewer,
    after: i64,
    size: u32,
    snapshots: bool,
) -> Result<(Vec<pb::PipelineChange>, i64), Failure> {
    let size = if snapshots {
        size.min(MAX_SNAPSHOTS)
    } else {
        size
    };
    let sight = viewer.sight();
    let mut reader = api.core.db.read().await?;
    let found = changelog::list(&mut reader, after, size, &Filter::feed(FEED)).await?;
    let mut logged = Vec::with_capacity(found.changes.len());
    for c in found.changes {
        logged.push(parsed(c)?);
    }
    let mut by = BTreeMap::<String, BTreeSet<i64>>::new();
    for l in &logged {
        by.entry(l.collection.clone()).or_default().insert(l.number);
    }
    let mut seen = BTreeMap::new();
    for (collection, ids) in by {
        let ids: Vec<i64> = ids.into_iter().collect();
        let visible = feed::seen(&mut reader, &sight, &collection, &ids).await?;
        seen.insert(collection, visible);
    }
    logged.retain(|l| {
        l.collection == "pipelines"
            || seen
                .get(&l.collection)
                .is_some_and(|s| s.contains(&l.number))
    });
    let wanted: BTreeSet<(i64, i64)> = logged
        .iter()
        .filter_map(|l| Some((l.number, l.transition?)))
        .collect();
    let mut moves = BTreeMap::new();
    if !wanted.is_empty() {
        let ring = &api.core.ring;
        for t in opportunities::transitions_at(&mut reader, ring, &wanted).await? {
            moves.insert((t.opportunity, t.no), transition_out(&t));
        }
    }
    let taken = if snapshots {
        taken(api, &mut reader, &sight, &logged).await?
    } else {
        BTreeMap::new()
    };
    let changes = logged
        .into_iter()
        .map(|l| pb::PipelineChange {
            position: l.change.position,
            revision: l.change.revision,
            kind: kind(&l.change.kind).into(),
            change_time: Some(time_out(l.change.time)),
            transition: l
                .transition
                .and_then(|no| moves.get(&(l.number, no)).cloned()),
            snapshot: taken.get(&l.change.subject).cloned(),
            resource: l.change.subject,
        })
        .collect();
    Ok((changes, found.position))
}

/// The resources of these changes as they are now, by name.
async fn taken(
    api: &Api,
    reader: &mut Reader,
    sight: &Sight,
    logged: &[Logged],
) -> Result<BTreeMap<String, Snapshot>, Failure> {
    let ids = |collection: &str| -> Vec<i64> {
        let all: BTreeSet<i64> = logged
            .iter()
            .filter(|l| l.collection == collection)
            .map(|l| l.number)
            .collect();
        all.into_iter().collect()
    };
    let (ring, now) = (&api.core.ring, api.core.now());
    let mut out = BTreeMap::new();
    let found = opportunities::get(reader, ring, sight, &ids("opportunities")).await?;
    for o in many(api, reader, &found).await? {
        out.insert(o.name.clone(), Snapshot::Opportunity(o));
    }
    for l in leads::get(reader, ring, sight, &ids("leads")).await? {
        out.insert(leads::place(l.id), Snapshot::Lead(lead_out(&l)));
    }
    for t in tasks::get(reader, ring, sight, &ids("tasks")).await? {
        out.insert(tasks::place(t.id), Snapshot::Task(task_out(&t, now)));
    }
    for a in activities::get(reader, ring, sight, &ids("activities")).await? {
        let name = format!("activities/{}", a.id);
        out.insert(name, Snapshot::Activity(activity_out(&a)));
    }
    let named: BTreeSet<&str> = logged
        .iter()
        .filter(|l| l.collection == "pipelines")
        .map(|l| l.id.as_str())
        .collect();
    for id in named {
        if let Some(row) = pipelines::get(reader, id).await? {
            let process = api.core.processes.get(reader, id, row.version).await?;
            let shown = pipeline_out(&row, row.version, &process);
            out.insert(format!("pipelines/{id}"), Snapshot::Pipeline(shown));
        }
    }
    Ok(out)
}

/// `WatchPipelineChanges`. A token that is not valid here is refused before the stream begins.
pub async fn watch(
    api: Api,
    viewer: Viewer,
    request: pb::WatchPipelineChangesRequest,
) -> Result<Changes, Failure> {
    let after = position(&api, &request.page_token).await?;
    let (messages, changes) = mpsc::channel(AHEAD);
    tokio::spawn(run(api, viewer, after, request.include_snapshots, messages));
    Ok(ReceiverStream::new(changes))
}

type Messages = mpsc::Sender<Result<pb::WatchPipelineChangesResponse, Status>>;

async fn run(api: Api, viewer: Viewer, mut after: i64, snapshots: bool, messages: Messages) {
    loop {
        let message = tokio::select! {
            message = next(&api, &viewer, after, snapshots) => message,
            () = messages.closed() => return,
            () = api.shutdown.wait() => Err(error::draining()),
        };
        let (message, last) = match message {
            Ok((message, position)) => {
                after = position;
                (Ok(message), false)
            }
            Err(failure) => (Err(status(failure)), true),
        };
        let sent = timeout(api.limits.watch_stalled, messages.send(message)).await;
        if last || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// The next page with changes; a checkpoint when none came in time.
async fn next(
    api: &Api,
    viewer: &Viewer,
    after: i64,
    snapshots: bool,
) -> Result<(pb::WatchPipelineChangesResponse, i64), Failure> {
    let began = Instant::now();
    let mut at = after;
    loop {
        let viewer = (api.regrant)(viewer, PERMISSION)?;
        let (changes, position) = page(api, &viewer, at, MAX_SNAPSHOTS, snapshots).await?;
        let moved = position > at;
        at = position;
        let left = api.limits.checkpoint.saturating_sub(began.elapsed());
        if !changes.is_empty() || left.is_zero() {
            counted(api, "watch", changes.len());
            let mut message = pb::WatchPipelineChangesResponse {
                changes,
                next_page_token: token(api, at)?,
            };
            mask(&mut message, &viewer.mask);
            return Ok((message, at));
        }
        if !moved {
            let news = changelog::wait(&api.core.db, at, api.limits.poll);
            if let Ok(woken) = timeout(left, news).await {
                woken?;
            }
        }
    }
}
