//! Following the customer feed: which customer holds which address now.
//!
//! Each page and the cursor behind it are written in one transaction. What stands at an address
//! that moved is told in this service's own feed, so that whoever follows it counts it at the right
//! customer, after a merge and after an unmerge.

use std::{collections::BTreeSet, time::Duration};

use jinke_kit::Shutdown;
use jinke_store::cursor;
use jinke_types::Failure;

use super::{Core, log};
use crate::{domain::change, store::crosswalk};

const FOLLOWER: &str = "crosswalk";
const CUSTOMERS: &str = "customers";

impl Core {
    /// Takes the next page of the customer feed; whether there was anything new.
    ///
    /// # Errors
    /// Those of the customer service and the store.
    pub async fn follow_once(&self) -> Result<bool, Failure> {
        let known = {
            let mut reader = self.db.read().await?;
            cursor::load(&mut reader, FOLLOWER, CUSTOMERS).await?
        };
        let from = known.map(|c| c.token);
        let asked = self
            .customers
            .changes(from.as_deref().unwrap_or_default(), self.follow.page)
            .await;
        let moves = match asked {
            // The customer database is another one, or an older one, than the cursor is of: what it
            // holds now is taken from the beginning.
            Err(f) if matches!(f.reason, "PAGE_TOKEN_INVALID" | "POSITION_AHEAD") => {
                tracing::warn!(reason = f.reason, "the customer feed is read anew");
                self.db
                    .write(async |mut tx| cursor::reset(&mut tx, FOLLOWER, CUSTOMERS).await)
                    .await?;
                return Ok(true);
            }
            other => other?,
        };
        if from.as_deref() == Some(moves.token.as_str()) {
            return Ok(false);
        }
        let core = self;
        let followed = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                let (from, to) = (from.as_deref(), moves.token.as_str());
                cursor::advance(tx, FOLLOWER, CUSTOMERS, from, to, now).await?;
                let mut moved = BTreeSet::new();
                for (customer, held) in &moves.holds {
                    moved.extend(crosswalk::hold(tx, *customer, held).await?);
                }
                let moved: Vec<i64> = moved.into_iter().collect();
                if !moved.is_empty() {
                    for (subject, revision) in crosswalk::attached(tx, &moved).await? {
                        log(tx, subject, change::CUSTOMER_MOVED, revision, now, None);
                    }
                }
                Ok(())
            })
            .await;
        match followed {
            // Another replica took this page.
            Err(f) if f.reason == "CURSOR_MOVED" => Ok(true),
            other => other.map(|()| true),
        }
    }

    /// Follows until shutdown.
    pub async fn run_follow(&self, shutdown: &Shutdown) {
        let pause = Duration::from_millis(self.follow.poll_milliseconds);
        let work = async {
            loop {
                match self.follow_once().await {
                    Ok(true) => {}
                    Ok(false) => tokio::time::sleep(pause).await,
                    Err(failure) => {
                        tracing::debug!(reason = failure.reason, "customers are not followed now");
                        tokio::time::sleep(pause).await;
                    }
                }
            }
        };
        shutdown.unless(work).await;
    }
}
