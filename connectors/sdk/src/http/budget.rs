//! How often and how many at a time a foreign system is called. A call over the budget waits.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// A rate budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetPolicy {
    /// Calls per minute in the long run; at least 1.
    pub per_minute: u32,
    /// Calls that may be made at once after a quiet time; at least 1.
    pub burst: u32,
    /// Calls that may be under way at the same time; at least 1.
    pub concurrency: usize,
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        Self {
            per_minute: 600,
            burst: 20,
            concurrency: 4,
        }
    }
}

/// A token bucket and a limit of calls under way, shared by all calls of a connection.
///
/// The bucket is kept as one time, the earliest at which it would be full again (the generic
/// cell rate algorithm of ITU-T I.371): a call takes its place at once, in the order of asking,
/// and then sleeps until it is due.
#[derive(Debug)]
pub struct Budget {
    interval: Duration,
    slack: Duration,
    places: Arc<Semaphore>,
    due: Mutex<Due>,
}

#[derive(Debug, Default)]
struct Due {
    full_at: Option<Instant>,
    held_until: Option<Instant>,
}

/// A place in the budget; free again when dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held until dropped")] Option<OwnedSemaphorePermit>);

impl Budget {
    /// A full bucket.
    pub fn new(policy: BudgetPolicy) -> Self {
        let interval = Duration::from_secs(60) / policy.per_minute.max(1);
        Self {
            interval,
            slack: interval * (policy.burst.max(1) - 1),
            places: Arc::new(Semaphore::new(policy.concurrency.clamp(1, 1_000))),
            due: Mutex::new(Due::default()),
        }
    }

    /// Waits for a place.
    pub async fn acquire(&self) -> Place {
        let place = self.places.clone().acquire_owned().await.ok();
        let at = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let full_at = due.full_at.map_or(now, |t| t.max(now));
            due.full_at = Some(full_at + self.interval);
            full_at.checked_sub(self.slack).map_or(now, |t| t.max(now))
        };
        tokio::time::sleep_until(at).await;
        // A hold may have come while this call slept.
        loop {
            let held = self
                .due
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .held_until;
            match held {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return Place(place),
            }
        }
    }

    /// Lets no call begin for `time`: the foreign system asked for it.
    pub fn hold(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if due.held_until.is_none_or(|held| held < until) {
            due.held_until = Some(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rest_waits_its_turn() {
        let budget = Budget::new(BudgetPolicy {
            per_minute: 60,
            burst: 5,
            concurrency: 100,
        });
        let start = Instant::now();
        let mut at = Vec::new();
        for _ in 0..8 {
            drop(budget.acquire().await);
            at.push(start.elapsed().as_secs());
        }
        assert_eq!(at, [0, 0, 0, 0, 0, 1, 2, 3]);
        tokio::time::sleep(Duration::from_secs(100)).await;
        let start = Instant::now();
        for _ in 0..5 {
            drop(budget.acquire().await);
        }
        assert_eq!(start.elapsed().as_secs(), 0, "quiet time fills the bucket");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_stops_all_and_places_are_limited() {
        let budget = Arc::new(Budget::new(BudgetPolicy {
            per_minute: 6_000_000,
            burst: 1_000,
            concurrency: 2,
        }));
        let (first, _second) = (budget.acquire().await, budget.acquire().await);
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move {
                drop(budget.acquire().await);
                Instant::now()
            }
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!waiting.is_finished());
        budget.hold(Duration::from_secs(7));
        budget.hold(Duration::from_secs(1));
        let held = Instant::now();
        drop(first);
        assert_eq!((waiting.await.unwrap() - held).as_secs(), 7);
    }
}
