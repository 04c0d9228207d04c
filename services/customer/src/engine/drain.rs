//! What an ingest left to the background, because it concerns too many records or was told to.
//!
//! Records of a first load are resolved by [`super::first_load`]. Values that begin or cease to be evidence for more than [`super::resolve::MOST_AT_ONCE`]
//! records, and components of more records than that, are noted in the table `pending` in the
//! transaction that made the change. Here they are resolved: many changes of one large component
//! cost one clustering. When the table is empty, all is as if it had been resolved at once.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jinke_types::Failure;
use tokio::sync::mpsc;

use super::{Core, Engine, resolve::Input};
use crate::store::{pending, records};

/// Records of one transaction whose pairs are compared anew.
const COMPARED: i64 = 300;
/// Records of one transaction whose components are clustered anew.
const CLUSTERED: i64 = 2_000;

/// While others ingest, the background may take a quarter of the time: after a step it rests three
/// times as long as the step took.
const REST: u32 = 3;
/// Rest after a step that failed, e.g. because the database was away.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Tells the background that something was left to it.
pub(crate) type Kick = mpsc::Sender<()>;

/// Starts the background; it ends when the last sender is gone.
pub(crate) fn start(core: Arc<Core>) -> Kick {
    let (kick, mut kicked) = mpsc::channel(1);
    // What another process left when it ended.
    let _ = kick.try_send(());
    tokio::spawn(async move {
        while kicked.recv().await.is_some() {
            loop {
                let began = tokio::time::Instant::now();
                let calls = core.ordinary.calls();
                let rest = match core.drain_step().await {
                    // Nobody else wants the time.
                    Ok(true) if core.ordinary.none_since(calls) => Duration::ZERO,
                    Ok(true) => began.elapsed() * REST,
                    Ok(false) => break,
                    Err(failure) => {
                        tracing::warn!(error = %failure, "resolving in the background failed");
                        AFTER_FAILURE
                    }
                };
                tokio::select! {
                    () = tokio::time::sleep(rest) => {}
                    // Nobody is left who could leave more, or wait for it.
                    () = closed(&mut kicked) => return,
                }
            }
        }
    });
    kick
}

/// Completes when the last sender is gone.
async fn closed(kicked: &mut mpsc::Receiver<()>) {
    while kicked.recv().await.is_some() {}
}

impl Core {
    /// Resolves some of what waits, in one transaction; false when nothing does.
    pub(crate) async fn drain_step(&self) -> Result<bool, Failure> {
        let mut reader = self.db.read().await?;
        let waits = pending::any(&mut reader).await?;
        drop(reader);
        if !waits {
            return Ok(false);
        }
        if self.first_load_step().await? {
            return Ok(true);
        }
        let resolved = self
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                self.lock(tx).await?;
                let again = pending::first(tx, true, COMPARED).await?;
                let mut input = Input::default();
                let resolved = if again.is_empty() {
                    let seeds = pending::first(tx, false, CLUSTERED).await?;
                    // Versions that came meanwhile are told of now.
                    let rows = records::parties(tx, &seeds).await?;
                    input.touched = rows.iter().filter_map(|r| r.customer).collect();
                    input.seeds = rows.iter().map(|r| r.no).collect();
                    let resolved = self.resolve(tx, input, self.clock.now()).await?;
                    let mut done: BTreeSet<i64> = resolved.clustered().into_iter().collect();
                    done.extend(seeds);
                    let done: Vec<i64> = done.into_iter().collect();
                    pending::remove(tx, &done, false).await?;
                    resolved
                } else {
                    pending::remove(tx, &again, true).await?;
                    let rows = records::parties(tx, &again).await?;
                    input.again = rows.iter().map(|r| r.no).collect();
                    input.bounded = true;
                    self.resolve(tx, input, self.clock.now()).await?
                };
                Ok(resolved)
            })
            .await?;
        resolved.learn(self);
        Ok(true)
    }
}

impl Engine {
    /// How many records wait to be resolved in the background: 0 when customers are as if
    /// everything had been resolved at once.
    pub async fn pending(&self) -> Result<i64, Failure> {
        let mut reader = self.core.db.read().await?;
        pending::count(&mut reader).await
    }

    /// Resolves what waits now, without rest.
    pub async fn settle(&self) -> Result<(), Failure> {
        while self.core.drain_step().await? {}
        Ok(())
    }
}
