//! Connectors that hear events on a channel of their own making ([`jinke_sdk::Listener`]).
//!
//! One replica listens for a connection at a time, under a lease beside that of its keeper: a
//! keeper comes and goes with what is due, a channel stays. What is heard is stored as the events
//! of callbacks are, before the foreign system is told that it arrived, so two replicas that
//! listened at the same time for a moment would store it once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jinke_sdk::{CallbackEvent, Connector, EventSink};
use jinke_store::lease;
use jinke_types::Failure;
use tokio::task::JoinHandle;

use crate::{callbacks, core::Core, domain::Connection, store::connections};

/// How often the connections are looked through.
const LOOK: Duration = Duration::from_secs(5);
/// A page of connections.
const PAGE: u32 = 200;
/// The shortest pause before a channel that broke is opened again; it doubles with each failure.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(300);
/// A channel that held for so long was a good one: the next pause is the shortest again.
const GOOD: Duration = Duration::from_secs(60);

/// A channel that is kept open, of one revision of a connection. It ends when dropped.
struct Open {
    uid: i64,
    revision: i64,
    task: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps the channels of all connections that have one open until the process stops.
pub async fn listen(core: Core) {
    let mut open: BTreeMap<String, Open> = BTreeMap::new();
    while !core.shutdown.is_triggered() {
        match listeners(&core).await {
            Ok(wanted) => {
                // Deleted, paused, changed, or its lease was lost.
                open.retain(|id, channel| {
                    let same = |(c, _): &(Connection, _)| {
                        (c.uid, c.revision) == (channel.uid, channel.revision)
                    };
                    !channel.task.is_finished() && wanted.get(id).is_some_and(same)
                });
                for (id, (connection, connector)) in wanted {
                    open.entry(id).or_insert_with(|| Open {
                        uid: connection.uid,
                        revision: connection.revision,
                        task: tokio::spawn(keep(core.clone(), connection, connector)),
                    });
                }
            }
            Err(failure) => tracing::warn!(%failure, "connections that listen cannot be read"),
        }
        tokio::select! {
            () = core.shutdown.wait() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

type Wanted = BTreeMap<String, (Connection, Arc<dyn Connector>)>;

/// The connections that listen, with their connectors.
async fn listeners(core: &Core) -> Result<Wanted, Failure> {
    let mut wanted = Wanted::new();
    let mut after = String::new();
    loop {
        let page = connections::list(&mut *core.db.read().await?, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.id);
        for connection in page {
            // One that cannot be opened shows that in its runs.
            if !connection.paused
                && let Ok(connector) = core.open(&connection)
                && connector.listener().is_some()
            {
                wanted.insert(connection.id.clone(), (connection, connector));
            }
        }
    }
    Ok(wanted)
}

/// Listens while this process holds the lease; ends when another one has it.
async fn keep(core: Core, connection: Connection, connector: Arc<dyn Connector>) {
    let (name, term) = (format!("listener/{}", connection.id), core.limits.lease);
    let now = core.clock.now();
    let taken = core
        .db
        .write(async |mut tx| lease::acquire(&mut tx, &name, core.holder(), term, now).await);
    let lease = match taken.await {
        Ok(Some(lease)) => lease,
        Ok(None) => return,
        Err(failure) => {
            tracing::warn!(connection = connection.id, %failure, "a channel cannot be led");
            return;
        }
    };
    let renewing = async {
        loop {
            tokio::time::sleep(term / 3).await;
            let now = core.clock.now();
            let renewed = core
                .db
                .write(async |mut tx| lease::renew(&mut tx, &lease, term, now).await);
            if let Err(failure) = renewed.await {
                tracing::warn!(connection = connection.id, %failure, "a channel lost its lease");
                return;
            }
        }
    };
    tokio::select! {
        () = renewing => {}
        () = hear(&core, &connection, &*connector) => {}
        () = core.shutdown.wait() => {}
    }
    let released = core
        .db
        .write(async |mut tx| lease::release(&mut tx, &lease).await);
    if let Err(failure) = released.await {
        tracing::warn!(connection = connection.id, %failure, "a lease was not given back");
    }
}

/// Opens the channel again and again.
async fn hear(core: &Core, connection: &Connection, connector: &dyn Connector) {
    let sink = Events { core, connection };
    let mut pause = PAUSE;
    while let Some(listener) = connector.listener() {
        let began = core.clock.now();
        let error = listener.listen(&sink).await;
        let held = core.clock.now() > began.plus(GOOD);
        if held {
            pause = PAUSE;
        }
        tracing::info!(
            connection = connection.id,
            reason = error.failure.reason,
            seconds = pause.as_secs(),
            "a channel ended and is opened again"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

struct Events<'a> {
    core: &'a Core,
    connection: &'a Connection,
}

#[async_trait]
impl EventSink for Events<'_> {
    async fn store(&self, events: Vec<CallbackEvent>) -> Result<(), Failure> {
        callbacks::store(self.core, self.connection, events).await
    }
}
