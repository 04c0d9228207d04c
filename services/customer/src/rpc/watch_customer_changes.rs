//! `WatchCustomerChanges`: the pages of `ListCustomerChanges` as they come.
//!
//! A commit of this process wakes the watch at once; those of other replicas are found by reading
//! the head of the feed a few times a second. At most [`AHEAD`] pages wait for the client: one
//! that reads slowly makes its own watch read slowly, and one that takes nothing for a while is
//! cut off, to go on from its last token. Rights are asked for again before every page.

use jinke_kit::status;
use jinke_store::changelog;
use jinke_types::Failure;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    Api,
    list_customer_changes::{MAX_SNAPSHOTS, page, position, token},
};
use crate::{
    access::{Viewer, mask},
    convert::pb,
    error,
};

/// Pages that wait for the client.
const AHEAD: usize = 2;
const PERMISSION: &str = "customer.changes.list";

/// The messages of a watch.
pub type Changes = ReceiverStream<Result<pb::WatchCustomerChangesResponse, Status>>;

/// Begins a watch. A token that is not valid here is refused before the stream begins.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::WatchCustomerChangesRequest,
) -> Result<Changes, Failure> {
    let after = position(&api, &request.page_token).await?;
    let (messages, changes) = mpsc::channel(AHEAD);
    tokio::spawn(watch(
        api,
        viewer,
        after,
        request.include_snapshots,
        messages,
    ));
    Ok(ReceiverStream::new(changes))
}

type Messages = mpsc::Sender<Result<pb::WatchCustomerChangesResponse, Status>>;

async fn watch(api: Api, viewer: Viewer, mut after: i64, snapshots: bool, messages: Messages) {
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
) -> Result<(pb::WatchCustomerChangesResponse, i64), Failure> {
    let began = tokio::time::Instant::now();
    let mut position = after;
    loop {
        let viewer = (api.regrant)(viewer, PERMISSION)?;
        let found = page(api, &viewer, position, MAX_SNAPSHOTS, snapshots).await?;
        let moved = found.position > position;
        position = found.position;
        let left = api.limits.checkpoint.saturating_sub(began.elapsed());
        if !found.changes.is_empty() || left.is_zero() {
            api.numbers
                .feed_changes
                .with_label_values(&["watch"])
                .inc_by(u64::try_from(found.changes.len()).unwrap_or_default());
            let mut message = pb::WatchCustomerChangesResponse {
                changes: found.changes,
                next_page_token: token(api, position)?,
            };
            mask(&mut message, &viewer.mask);
            return Ok((message, position));
        }
        if !moved {
            // An elapsed time and a new change both lead to another look.
            let waited = changelog::wait(api.engine.database(), position, api.limits.poll);
            if let Ok(woken) = timeout(left, waited).await {
                woken?;
            }
        }
    }
}
