//! The audit trail between whoever records an event and whoever keeps it until it is delivered.

use std::{
    cell::RefCell,
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{Clock, Timestamp, operation::OperationAnswer};

thread_local! {
    /// The intent of the call whose work this thread is doing just now.
    static INTENT: RefCell<Option<Arc<AuditIntent>>> = const { RefCell::new(None) };
}

/// While it is there, the thread works for a call; then for whom it worked before.
struct Entered(Option<Arc<AuditIntent>>);

impl Entered {
    fn of(intent: &Arc<AuditIntent>) -> Self {
        Self(INTENT.replace(Some(Arc::clone(intent))))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        INTENT.set(self.0.take());
    }
}

/// Events that wait to be delivered, from the oldest on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditWaiting {
    /// How many wait in all.
    pub count: u64,
    /// The first of them, each with its sequence: from 1, without gaps.
    pub events: Vec<(i64, Vec<u8>)>,
}

/// Makes the event of a call of which nobody can say how it ended; none when its caller is not
/// known, so that nothing is to be recorded.
pub type EventOf = Box<dyn Fn() -> Option<Vec<u8>> + Send + Sync>;

/// A call that asks for a change, as the transactions it commits see it.
///
/// How a call ends is known only after its change is committed. So that a process which dies
/// between the two leaves a trace, every transaction of the call writes this intent beside the
/// change, until one with it is durable; recording how the call ended takes it away again. What is
/// left of a process that is gone becomes an event.
pub struct AuditIntent {
    process: Arc<str>,
    number: i64,
    clock: Arc<dyn Clock>,
    event: EventOf,
    /// A transaction has written it, and perhaps committed.
    written: AtomicBool,
    /// A transaction that wrote it has committed.
    durable: AtomicBool,
    /// How the call ended is recorded, or about to be.
    closed: AtomicBool,
}

impl fmt::Debug for AuditIntent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditIntent")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl AuditIntent {
    /// An intent of which nothing is written yet. `process` names this process among all that
    /// share its database, `number` the intent among those of the process.
    pub fn new(process: Arc<str>, number: i64, clock: Arc<dyn Clock>, event: EventOf) -> Arc<Self> {
        Arc::new(Self {
            process,
            number,
            clock,
            event,
            written: AtomicBool::new(false),
            durable: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        })
    }

    /// The intent of the call that the present task answers; `None` in tasks it spawned.
    pub fn current() -> Option<Arc<Self>> {
        INTENT.with_borrow(Clone::clone)
    }

    /// Runs `work` as part of the call. A handler that spawns a task which writes wraps it in this.
    pub async fn scope<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            let _entered = Entered::of(&self);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Runs `work` as part of the call of this intent, where there is one.
    pub async fn scope_of<T>(intent: Option<Arc<Self>>, work: impl Future<Output = T>) -> T {
        match intent {
            Some(intent) => intent.scope(work).await,
            None => work.await,
        }
    }

    /// The process of the call.
    pub fn process(&self) -> &str {
        &self.process
    }

    /// Which of its process it is.
    pub const fn number(&self) -> i64 {
        self.number
    }

    /// The event to be written by a transaction that is about to commit, and the time; none when an earlier one
    /// did, the end is recorded already, or nothing is to be recorded.
    pub fn to_write(&self) -> Option<(Vec<u8>, Timestamp)> {
        if self.durable.load(Ordering::SeqCst) || self.closed.load(Ordering::SeqCst) {
            return None;
        }
        let event = (self.event)()?;
        self.written.store(true, Ordering::SeqCst);
        Some((event, self.clock.now()))
    }

    /// A transaction that wrote it has committed.
    pub fn committed(&self) {
        self.durable.store(true, Ordering::SeqCst);
    }

    /// Whether a transaction wrote it and the end of the call is not recorded.
    pub fn is_owed(&self) -> bool {
        self.written.load(Ordering::SeqCst) && !self.closed.load(Ordering::SeqCst)
    }

    /// The end is about to be recorded: what was written is to be taken away. False when nothing
    /// was written, or somebody else takes it away.
    pub fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::SeqCst) && self.written.load(Ordering::SeqCst)
    }

    /// The end could not be recorded.
    pub fn reopen(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }
}

/// Where a service keeps the events of its audit trail until the trail has taken them. An event is
/// bytes here; what they say is agreed on between the kit and identity.
pub trait AuditLog: Send + Sync + 'static {
    /// The intent of a call that begins; see [`AuditIntent`].
    fn intent(&self, event: EventOf) -> Arc<AuditIntent>;
    /// Keeps an event: durable when this returns. With the intent of the call that has ended, that
    /// is closed in the same transaction.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`, reason `AUDIT_BACKLOG_FULL`, when too many wait; those of the database.
    fn record<'a>(
        &'a self,
        event: Vec<u8>,
        ended: Option<&'a AuditIntent>,
    ) -> OperationAnswer<'a, ()>;
    /// Closes the intent of a call that has ended with nothing more to record.
    fn close<'a>(&'a self, ended: &'a AuditIntent) -> OperationAnswer<'a, ()>;
    /// The oldest events that wait, at most `limit`; none while another replica delivers.
    fn waiting(&self, limit: u32) -> OperationAnswer<'_, AuditWaiting>;
    /// Forgets the events up to this sequence: the trail has them.
    fn delivered(&self, through: i64) -> OperationAnswer<'_, ()>;
    /// Gives those that wait new sequences, from `after + 1` on: the trail knows others up to
    /// `after`, because this database was restored from an older copy.
    fn renumber(&self, after: i64) -> OperationAnswer<'_, ()>;
    /// Completes soon after something was recorded, in this process or another.
    fn recorded(&self) -> OperationAnswer<'_, ()>;
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::SystemClock;

    fn intent(number: i64) -> Arc<AuditIntent> {
        let event = Box::new(|| Some(Vec::new()));
        AuditIntent::new("one".into(), number, Arc::new(SystemClock), event)
    }

    fn current() -> Option<i64> {
        AuditIntent::current().map(|i| i.number())
    }

    /// Waits once, so that others have the thread meanwhile.
    async fn twice() -> [Option<i64>; 2] {
        let before = current();
        let mut waited = false;
        poll_fn(|_| {
            if std::mem::replace(&mut waited, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        [before, current()]
    }

    #[test]
    fn calls_that_take_turns_on_a_thread_keep_their_intents() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut one = pin!(intent(1).scope(twice()));
        let mut two = pin!(intent(2).scope(intent(3).scope(twice())));
        let mut none = pin!(AuditIntent::scope_of(None, twice()));
        assert!(one.as_mut().poll(&mut cx).is_pending());
        assert!(two.as_mut().poll(&mut cx).is_pending());
        assert!(none.as_mut().poll(&mut cx).is_pending());
        assert_eq!(one.poll(&mut cx), Poll::Ready([Some(1); 2]));
        assert_eq!(two.poll(&mut cx), Poll::Ready([Some(3); 2]));
        assert_eq!(none.poll(&mut cx), Poll::Ready([None; 2]));
        assert_eq!(current(), None);
    }
}
