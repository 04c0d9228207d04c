//! Follows the feeds: one page at a time, its effect and the cursor beyond it in one transaction.
//!
//! A generation that is being built goes through the same steps beside the serving one, from the
//! beginning of the feeds; when it has caught up with all of them it takes over in one transaction.
//! Several replicas may follow at once: whoever loses the race for a page finds the cursor moved and
//! goes on from there. A process that dies leaves either the whole effect of a page or none.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jinke_kit::Shutdown;
use jinke_store::Database;
use jinke_types::{Clock, Failure, Timestamp};
use tokio::sync::Notify;

use crate::{
    feed::{FEEDS, Feeds},
    store::{project, projection},
};

/// How long nothing new is not written down again.
const QUIET: Duration = Duration::from_secs(10);
/// Rows of a retired generation removed at a time.
const REMOVED: i64 = 5_000;

/// Follows the feeds of the other services.
#[derive(Clone)]
pub struct Follower {
    db: Database,
    feeds: Arc<dyn Feeds>,
    clock: Arc<dyn Clock>,
    cancelled: Arc<BTreeSet<String>>,
    poll: Duration,
    wake: Arc<Notify>,
    sources: Arc<Mutex<Option<Timestamp>>>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was applied; there may be more.
    Moved,
    /// Nothing new anywhere.
    Idle,
}

impl Follower {
    /// A follower. `cancelled` are statuses, in lower case, that take a transaction out; `poll` is
    /// how often feeds are looked at when nothing is new.
    pub fn new(
        db: Database,
        feeds: Arc<dyn Feeds>,
        clock: Arc<dyn Clock>,
        cancelled: BTreeSet<String>,
        poll: Duration,
    ) -> Self {
        Self {
            db,
            feeds,
            clock,
            cancelled: Arc::new(cancelled),
            poll,
            wake: Arc::new(Notify::new()),
            sources: Arc::new(Mutex::new(None)),
        }
    }

    /// Looks at the feeds now.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Makes the first generation when there is none.
    pub async fn begin(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        self.db
            .write(async |mut tx| projection::begin_first(&mut tx, now).await)
            .await
    }

    /// Follows until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        let mut failures = 0_u32;
        while !shutdown.is_triggered() {
            let stepped = shutdown.unless(self.step()).await;
            let pause = match stepped {
                None => return,
                Some(Ok(Step::Moved)) => {
                    failures = 0;
                    continue;
                }
                Some(Ok(Step::Idle)) => {
                    failures = 0;
                    self.poll
                }
                Some(Err(e)) => {
                    failures = failures.saturating_add(1);
                    // At the start of a suite the other services come up a moment later.
                    if failures > 5 {
                        tracing::warn!(error = %e, "a feed cannot be followed");
                    } else {
                        tracing::debug!(error = %e, "a feed cannot be followed yet");
                    }
                    self.poll * 2_u32.pow(failures.min(5))
                }
            };
            let woken = async {
                let _ = tokio::time::timeout(pause, self.wake.notified()).await;
            };
            let _ = shutdown.unless(woken).await;
        }
    }

    /// One page of each feed for each generation, the switch when it is due, and some removal.
    pub async fn step(&self) -> Result<Step, Failure> {
        self.refresh_sources().await?;
        let generations = projection::list(&mut *self.db.read().await?).await?;
        let (mut moved, mut failed) = (false, None);
        for generation in generations {
            if generation.state == projection::RETIRED {
                let no = generation.no;
                let gone = self
                    .db
                    .write(async |mut tx| projection::remove_some(&mut tx, no, REMOVED).await)
                    .await?;
                moved |= !gone;
                continue;
            }
            for feed in FEEDS {
                // A feed that fails does not hold up the others.
                match self.page(generation.no, feed).await {
                    Ok(applied) => moved |= applied,
                    Err(e) => {
                        let no = generation.no;
                        self.db
                            .write(async |mut tx| {
                                projection::note_error(&mut tx, no, feed, e.reason).await
                            })
                            .await?;
                        failed = Some(e);
                    }
                }
            }
            if generation.state == projection::BUILDING {
                let (no, now) = (generation.no, self.clock.now());
                moved |= self
                    .db
                    .write(async |mut tx| projection::switch(&mut tx, no, now).await)
                    .await?;
            }
        }
        match (moved, failed) {
            (true, _) => Ok(Step::Moved),
            (false, Some(e)) => Err(e),
            (false, None) => Ok(Step::Idle),
        }
    }

    /// Applies one page; whether there was something.
    async fn page(&self, generation: i64, feed: &'static str) -> Result<bool, Failure> {
        let (token, states) = {
            let mut conn = self.db.read().await?;
            let token = projection::token(&mut conn, generation, feed).await?;
            (token, projection::feeds(&mut conn, generation).await?)
        };
        let page = self.feeds.page(feed, &token).await?;
        let now = self.clock.now();
        let idle = page.next == token || page.next.is_empty();
        if idle {
            let known = states.iter().find(|s| s.feed == feed).is_some_and(|s| {
                s.caught_up
                    && s.last_error.is_empty()
                    && s.check_time.is_some_and(|at| now < at.plus(QUIET))
            });
            if !known {
                let page = &page;
                self.db
                    .write(async |mut tx| {
                        projection::note(&mut tx, generation, feed, page, true, now).await
                    })
                    .await?;
            }
            return Ok(false);
        }
        let (page, token) = (&page, &token);
        let applied = self
            .db
            .write(async |mut tx| {
                projection::advance(&mut tx, generation, feed, token, &page.next, now).await?;
                project::apply(&mut tx, generation, &page.changes, &self.cancelled).await?;
                projection::note(&mut tx, generation, feed, page, false, now).await
            })
            .await;
        match applied {
            Ok(()) => Ok(true),
            // Another replica was faster; go on where it stands.
            Err(e) if e.reason == "CURSOR_MOVED" => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// Names, org units and sharing of sources, at most every [`Self::poll`] by the clock.
    async fn refresh_sources(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let due = {
            let last = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            last.is_none_or(|at| now >= at.plus(self.poll) || now < at)
        };
        if !due {
            return Ok(());
        }
        let sources = self.feeds.sources().await?;
        let sources = &sources;
        self.db
            .write(async |mut tx| project::put_sources(&mut tx, sources).await)
            .await?;
        *self.sources.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }

    /// Steps until nothing is new, at most `most` times; whether it came to that. For tests and
    /// commands that wait.
    pub async fn settle(&self, most: usize) -> Result<bool, Failure> {
        for _ in 0..most {
            if self.step().await? == Step::Idle {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
