//! Recomputing everything derived while serving, and telling what is stored otherwise.
//!
//! Records are taken page by page, each page in a transaction of its own: what is derived from
//! them is opened, standardized, blocked, compared and clustered anew from their sealed states,
//! and what the transaction would write is the difference. It is then rolled back, or kept when
//! the caller wants a repair. Writers wait for one page at most, and memory holds one page and the
//! components of its records, whatever the size of the database.
//!
//! | step | what it finds |
//! |---|---|
//! | [`pages`] | keys, generic keys, pairs, clusters, reviews, judgements and list columns that differ |
//! | [`extras`] | keys that a record does not have; rows that belong to nothing |
//! | [`sums`] | plain columns of transactions and relationships, sums |

mod extras;
mod pages;
mod sums;

use std::{pin::Pin, sync::Arc};

use jinke_types::Failure;

use super::Engine;
use crate::store::{pending, rebuild as store};

/// Differences that are listed; all are counted.
const LISTED: usize = 1_000;

/// One thing that is stored otherwise than it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// What it is about: `customer of record`, `pair`, `token`, `total`, …
    pub about: &'static str,
    /// Which one, by number or name.
    pub subject: String,
    /// What is stored; empty when nothing is.
    pub stored: String,
    /// What should be stored; empty when nothing should.
    pub right: String,
}

/// What a rebuild found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Records looked at.
    pub records: i64,
    /// Live customers.
    pub customers: i64,
    /// How many differences there are.
    pub count: i64,
    /// The first 1,000.
    pub differences: Vec<Difference>,
    /// A second look after the repair found none.
    pub repaired: bool,
}

impl Rebuilt {
    fn note(&mut self, found: Vec<Difference>) {
        self.count += i64::try_from(found.len()).unwrap_or(i64::MAX);
        let free = LISTED.saturating_sub(self.differences.len());
        self.differences.extend(found.into_iter().take(free));
    }
}

/// Told how far the work is: steps done and in all. An error stops it.
pub type Progress = Arc<dyn Fn(i64, i64) -> Reported + Send + Sync>;
/// What reporting gives back.
pub type Reported = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// What the steps share while one walk through everything goes on.
struct Walk {
    repair: bool,
    done: i64,
    total: i64,
    progress: Progress,
    out: Rebuilt,
}

impl Walk {
    async fn step(&mut self, records: usize) -> Result<(), Failure> {
        self.done += i64::try_from(records).unwrap_or(0);
        // Records that come while it goes on are looked at too.
        self.total = self.total.max(self.done);
        (self.progress)(self.done, self.total).await
    }
}

impl Engine {
    /// Recomputes everything derived from source records and judgements, and says what is stored
    /// otherwise: nothing, unless the database was damaged. With `repair`, what is right is
    /// stored, as changes of the customers concerned, and looked at once more.
    ///
    /// # Errors
    /// Those of the database and of `progress`.
    pub async fn rebuild(&self, repair: bool, progress: Progress) -> Result<Rebuilt, Failure> {
        // What waits for the background is no damage.
        self.settle().await?;
        // Nothing that was derived earlier may answer for what is stored now.
        self.core.cache.clear();
        let mut reader = self.core.db.read().await?;
        let (parties, others) = store::records(&mut reader).await?;
        drop(reader);
        let once = parties * 2 + others;
        let looks = if repair { 3 } else { 1 };
        let mut walk = Walk {
            repair: false,
            done: 0,
            total: once * looks,
            progress: Arc::clone(&progress),
            out: Rebuilt::default(),
        };
        self.look(&mut walk).await?;
        if !repair || walk.out.count == 0 {
            walk.out.repaired = false;
            progress(walk.done, walk.done).await?;
            return Ok(walk.out);
        }
        let found = std::mem::take(&mut walk.out);
        walk.repair = true;
        self.look(&mut walk).await?;
        self.settle().await?;
        self.core.cache.clear();
        walk.repair = false;
        walk.out = Rebuilt::default();
        self.look(&mut walk).await?;
        Ok(Rebuilt {
            repaired: walk.out.count == 0,
            ..found
        })
    }

    async fn look(&self, walk: &mut Walk) -> Result<(), Failure> {
        // Keys that nobody should have go first: they would lead to pairs.
        extras::run(&self.core, walk).await?;
        pages::run(&self.core, walk).await?;
        sums::run(&self.core, walk).await?;
        let mut reader = self.core.db.read().await?;
        walk.out.customers = reader
            .fetch_one(
                "SELECT COUNT(*) AS n FROM customers WHERE live = 1",
                Vec::new(),
            )
            .await?
            .i64("n")?;
        if pending::count(&mut reader).await? > 0 {
            drop(reader);
            self.settle().await?;
        }
        Ok(())
    }
}

/// Where two tables differ, by key.
fn differences(
    stored: &std::collections::BTreeMap<(&'static str, String), String>,
    right: &std::collections::BTreeMap<(&'static str, String), String>,
) -> Vec<Difference> {
    let keys: std::collections::BTreeSet<_> = stored.keys().chain(right.keys()).collect();
    keys.into_iter()
        .filter(|k| stored.get(*k) != right.get(*k))
        .map(|k| Difference {
            about: k.0,
            subject: k.1.clone(),
            stored: stored.get(k).cloned().unwrap_or_default(),
            right: right.get(k).cloned().unwrap_or_default(),
        })
        .collect()
}
