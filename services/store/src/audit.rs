//! Events of the audit trail, kept in the service's database until identity has taken them.
//!
//! [`AuditOutbox::record`] returns when its event is durable. Events that wait at the same time
//! share one transaction: a task takes what waits, writes it, and takes what came meanwhile (group
//! commit), so a hundred calls at a time cost little more than one. Sequences run from 1 without a
//! gap and become visible in order, because the counter's row is held until the commit.
//!
//! A call whose answer is not known yet has an intent in the same database, written with its change
//! and taken away with its event; see [`jinke_types::AuditIntent`] and [`intents`].
//!
//! What was delivered is deleted. At most [`MAX_BACKLOG`] events wait in the database and
//! [`MAX_WAITING`] in memory; beyond that an event is refused, and with it the answer it is about.

pub(crate) mod intents;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jinke_types::{
    AuditIntent, AuditLog, AuditWaiting, Clock, Code, Entropy, EventOf, Failure, OperationAnswer,
    Timestamp,
};
use tokio::sync::{oneshot, watch};

use crate::{Database, Engine, Rows, Tx, args, counter, lease};

/// Most events that wait in the database to be delivered.
pub const MAX_BACKLOG: i64 = 1_000_000;
/// Most events that wait in memory to be written.
pub const MAX_WAITING: usize = 10_000;
/// Most events written in one transaction.
const MAX_GROUP: usize = 1_000;
/// How long a replica delivers before another may.
const TERM: Duration = Duration::from_secs(30);
/// How often a replica looks for what others recorded.
const POLL: Duration = Duration::from_secs(2);
/// Counter of the sequences given out.
const GIVEN: &str = "audit";
/// Counter of the sequences delivered.
const DELIVERED: &str = "audit delivered";
const LEASE: &str = "audit";

/// What waits to be written, and whom to tell.
struct Entry {
    /// None when there is only an intent to be closed.
    event: Option<Vec<u8>>,
    /// The number of the intent that ends with it.
    closes: Option<i64>,
    done: oneshot::Sender<Result<(), Failure>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Entry>,
    /// A task is writing, and looks again before it ends.
    writing: bool,
}

/// The outbox of one database. Clones share it.
#[derive(Clone)]
pub struct AuditOutbox {
    db: Database,
    clock: Arc<dyn Clock>,
    /// Names this process among those that share the database.
    process: Arc<str>,
    intents: Arc<AtomicI64>,
    /// When the intents were looked after last.
    looked: Arc<Mutex<Option<Timestamp>>>,
    queue: Arc<Mutex<Queue>>,
    written: watch::Sender<()>,
    most: i64,
}

impl std::fmt::Debug for AuditOutbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditOutbox").finish_non_exhaustive()
    }
}

/// What whoever waits is told when the task that wrote panicked.
struct Writing(Arc<Mutex<Queue>>);

impl Drop for Writing {
    fn drop(&mut self) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.writing = false;
        if std::thread::panicking() {
            // Their senders go with them, which tells those who wait.
            queue.waiting.clear();
        }
    }
}

impl Database {
    /// The outbox of the audit trail in this database. Make one and clone it: only those who share
    /// it share transactions.
    pub fn audit(&self, clock: Arc<dyn Clock>, entropy: &dyn Entropy) -> AuditOutbox {
        self.audit_of(clock, entropy, MAX_BACKLOG)
    }

    /// The same with another bound than [`MAX_BACKLOG`], for tests.
    pub fn audit_of(&self, clock: Arc<dyn Clock>, entropy: &dyn Entropy, most: i64) -> AuditOutbox {
        let mut id = [0; 8];
        entropy.fill(&mut id);
        let process: String = id.iter().map(|b| format!("{b:02x}")).collect();
        AuditOutbox {
            db: self.clone(),
            clock,
            process: process.into(),
            intents: Arc::default(),
            looked: Arc::default(),
            queue: Arc::default(),
            written: watch::channel(()).0,
            most,
        }
    }
}

/// The value of a counter; 0 when it was never used.
async fn value(conn: &mut crate::Conn, name: &str) -> Result<i64, Failure> {
    let row = conn
        .fetch_optional(
            "SELECT value FROM jinke_counters WHERE name = $1",
            args![name],
        )
        .await?;
    row.map_or(Ok(0), |row| row.i64("value"))
}

async fn set(tx: &mut Tx, name: &str, value: i64) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO jinke_counters (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        args![name, value],
    )
    .await
    .map(drop)
}

fn full(most: i64) -> Failure {
    Failure::new(
        Code::ResourceExhausted,
        "AUDIT_BACKLOG_FULL",
        "too many events wait for the audit trail; what must be recorded cannot be answered",
    )
    .with("max", most)
}

impl AuditOutbox {
    /// Writes until nothing waits any more.
    async fn write_all(self) {
        let _writing = Writing(Arc::clone(&self.queue));
        loop {
            let group: Vec<_> = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                let count = queue.waiting.len().min(MAX_GROUP);
                if count == 0 {
                    queue.writing = false;
                    return;
                }
                queue.waiting.drain(..count).collect()
            };
            let written = self.write(&group).await;
            if written.is_ok() {
                self.written.send_replace(());
            }
            for entry in group {
                // Whoever went away meanwhile needs no answer.
                let _ = entry.done.send(written.clone());
            }
        }
    }

    async fn write(&self, group: &[Entry]) -> Result<(), Failure> {
        let bodies: Vec<&Vec<u8>> = group.iter().filter_map(|e| e.event.as_ref()).collect();
        let closed: Vec<i64> = group.iter().filter_map(|e| e.closes).collect();
        self.db
            .write(async |mut tx| {
                self.append(&mut tx, &bodies).await?;
                intents::delete(&mut tx, &self.process, &closed).await
            })
            .await
    }

    /// Gives events the next sequences.
    async fn append(&self, tx: &mut Tx, bodies: &[&Vec<u8>]) -> Result<(), Failure> {
        if bodies.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(bodies.len()).map_err(Failure::internal)?;
        let first = counter::take(tx, GIVEN, count).await?;
        let delivered = value(tx, DELIVERED).await?;
        if first + i64::from(count) - 1 - delivered > self.most {
            return Err(full(self.most));
        }
        let mut rows = Rows::new(&["sequence", "body"]);
        for (sequence, body) in (first..).zip(bodies) {
            rows.push(args![sequence, (*body).clone()]);
        }
        tx.insert_many("jinke_audit", rows, "").await.map(drop)
    }

    async fn write_one(
        &self,
        event: Option<Vec<u8>>,
        ended: Option<&AuditIntent>,
    ) -> Result<(), Failure> {
        let closing = ended.filter(|intent| intent.close());
        if event.is_none() && closing.is_none() {
            return Ok(());
        }
        let (done, written) = oneshot::channel();
        let entry = Entry {
            event,
            closes: closing.map(AuditIntent::number),
            done,
        };
        if let Err(full) = self.enqueue(entry) {
            if let Some(intent) = closing {
                intent.reopen();
            }
            return Err(full);
        }
        let result = written
            .await
            .unwrap_or_else(|_| Err(Failure::internal("the audit trail was not written")));
        if let (Err(_), Some(intent)) = (&result, closing) {
            intent.reopen();
        }
        result
    }

    fn enqueue(&self, entry: Entry) -> Result<(), Failure> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.waiting.len() >= MAX_WAITING {
            return Err(full(self.most));
        }
        queue.waiting.push(entry);
        if !queue.writing {
            queue.writing = true;
            // A task of its own: a caller who goes away must not take along the events of
            // the others in his group.
            tokio::spawn(self.clone().write_all());
        }
        Ok(())
    }

    /// Whether this replica is the one that delivers.
    async fn leads(&self) -> Result<bool, Failure> {
        if self.db.engine() == Engine::Sqlite {
            return Ok(true);
        }
        let now = self.clock.now();
        self.db
            .write(async |mut tx| {
                // Whoever has it prolongs it, also when another could have taken over.
                let kept = tx
                    .execute(
                        "UPDATE jinke_leases SET lease_end = $1 WHERE name = $2 AND holder = $3",
                        args![now.plus(TERM), LEASE, self.process.as_ref()],
                    )
                    .await?;
                Ok(kept == 1
                    || lease::acquire(&mut tx, LEASE, &self.process, TERM, now)
                        .await?
                        .is_some())
            })
            .await
    }
}

impl AuditLog for AuditOutbox {
    fn intent(&self, event: EventOf) -> Arc<AuditIntent> {
        let number = self.intents.fetch_add(1, Ordering::Relaxed);
        AuditIntent::new(
            Arc::clone(&self.process),
            number,
            Arc::clone(&self.clock),
            event,
        )
    }

    fn record<'a>(
        &'a self,
        event: Vec<u8>,
        ended: Option<&'a AuditIntent>,
    ) -> OperationAnswer<'a, ()> {
        Box::pin(self.write_one(Some(event), ended))
    }

    fn close<'a>(&'a self, ended: &'a AuditIntent) -> OperationAnswer<'a, ()> {
        Box::pin(self.write_one(None, Some(ended)))
    }

    fn waiting(&self, limit: u32) -> OperationAnswer<'_, AuditWaiting> {
        Box::pin(async move {
            self.look_after_intents().await?;
            let mut reader = self.db.snapshot().await?;
            let given = value(&mut reader, GIVEN).await?;
            let delivered = value(&mut reader, DELIVERED).await?;
            let count = u64::try_from(given - delivered).unwrap_or(0);
            drop(reader);
            if count == 0 || !self.leads().await? {
                return Ok(AuditWaiting {
                    count,
                    events: Vec::new(),
                });
            }
            let rows = self
                .db
                .read()
                .await?
                .fetch_all(
                    "SELECT sequence, body FROM jinke_audit ORDER BY sequence LIMIT $1",
                    args![i64::from(limit)],
                )
                .await?;
            let events = rows
                .iter()
                .map(|row| Ok((row.i64("sequence")?, row.bytes("body")?)))
                .collect::<Result<_, Failure>>()?;
            Ok(AuditWaiting { count, events })
        })
    }

    fn delivered(&self, through: i64) -> OperationAnswer<'_, ()> {
        Box::pin(async move {
            self.db
                .write(async |mut tx| {
                    // An answer that comes late must not set the count back.
                    if value(&mut tx, DELIVERED).await? < through {
                        set(&mut tx, DELIVERED, through).await?;
                    }
                    tx.execute(
                        "DELETE FROM jinke_audit WHERE sequence <= $1",
                        args![through],
                    )
                    .await
                    .map(drop)
                })
                .await
        })
    }

    fn renumber(&self, after: i64) -> OperationAnswer<'_, ()> {
        Box::pin(async move {
            self.db
                .write(async |mut tx| {
                    // Taking none but the next number holds the counter, so that nothing is recorded meanwhile.
                    let next = counter::take(&mut tx, GIVEN, 1).await?;
                    let delivered = value(&mut tx, DELIVERED).await?;
                    let shift = after - delivered;
                    if shift <= 0 {
                        return set(&mut tx, GIVEN, next - 1).await;
                    }
                    // By way of negative numbers: a new sequence may still be another event's old one.
                    tx.execute("UPDATE jinke_audit SET sequence = -sequence", args![])
                        .await?;
                    tx.execute(
                        "UPDATE jinke_audit SET sequence = $1 - sequence",
                        args![shift],
                    )
                    .await?;
                    set(&mut tx, GIVEN, next - 1 + shift).await?;
                    set(&mut tx, DELIVERED, after).await
                })
                .await
        })
    }

    fn recorded(&self) -> OperationAnswer<'_, ()> {
        let mut written = self.written.subscribe();
        Box::pin(async move {
            let _ = tokio::time::timeout(POLL, written.changed()).await;
            Ok(())
        })
    }
}
