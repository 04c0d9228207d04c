//! Following the customer feed: which customer holds which address now.
//!
//! Each page and the cursor behind it are written in one transaction. What stands at an address
//! that moved is told in this service's own feed, so that whoever follows it counts it at the right
//! customer, after a merge and after an unmerge. What stands at the address of a record that was
//! erased is destroyed in the same transaction (see [`super::erase`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jinke_kit::Shutdown;
use jinke_store::{Conn, cursor};
use jinke_types::{Code, Failure};

use super::{Core, erase::Extent, log};
use crate::{
    domain::change,
    outside::Moves,
    store::{attached, crosswalk},
};

const FOLLOWER: &str = "crosswalk";
const CUSTOMERS: &str = "customers";

/// What became of an address that the feed is silent about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// This customer holds its record.
    Held(i64),
    /// Its record was erased, and the address passed to this customer.
    Passed(i64),
    /// Nothing of its customer remains.
    Erased,
    /// Nobody knows it.
    Unknown,
}

/// Addresses of customers that the page names and that are held by none it shows.
async fn missing(conn: &mut Conn, moves: &Moves) -> Result<Vec<i64>, Failure> {
    let named: Vec<i64> = moves.named.iter().copied().collect();
    let held: BTreeSet<i64> = moves
        .holds
        .iter()
        .flat_map(|(_, held)| held.iter().copied())
        .collect();
    let mut known = crosswalk::of(conn, &named).await?;
    known.retain(|a| !held.contains(a));
    Ok(known)
}

/// The page is to be taken again.
fn again() -> Failure {
    Failure::new(Code::Aborted, "CURSOR_MOVED", "the page is taken again")
}

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
        let untold = self.untold(&moves).await?;
        let core = self;
        let followed = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                let (from, to) = (from.as_deref(), moves.token.as_str());
                cursor::advance(tx, FOLLOWER, CUSTOMERS, from, to, now).await?;
                if let Some(address) = missing(tx, &moves)
                    .await?
                    .into_iter()
                    .find(|a| !untold.contains_key(a))
                {
                    // Somebody learned of it meanwhile: it is asked for in the next round.
                    tracing::debug!(address, "the page is taken again");
                    return Err(again());
                }
                let mut moved = BTreeSet::new();
                for (customer, held) in &moves.holds {
                    moved.extend(crosswalk::hold(tx, *customer, held).await?);
                }
                let (mut records, mut gone) = (Vec::new(), Vec::new());
                for (address, fate) in &untold {
                    match fate {
                        Fate::Held(current) => {
                            moved.extend(crosswalk::hold(tx, *current, &[*address]).await?);
                        }
                        Fate::Passed(current) => {
                            let (erased, elsewhere) =
                                crosswalk::pass(tx, *current, &[*address]).await?;
                            records.extend(erased);
                            moved.extend(elsewhere);
                        }
                        Fate::Erased => gone.extend(crosswalk::erase(tx, &[*address]).await?),
                        Fate::Unknown => {}
                    }
                }
                core.erase_at(tx, &records, Extent::Records).await?;
                core.erase_at(tx, &gone, Extent::Customer).await?;
                let moved: Vec<i64> = moved.into_iter().collect();
                if !moved.is_empty() {
                    for (subject, revision) in attached::revisions(tx, &moved).await? {
                        log(tx, subject, change::CUSTOMER_MOVED, revision, now, None);
                    }
                }
                Ok(())
            })
            .await;
        match followed {
            // Another replica took this page, or it is to be taken again.
            Err(f) if f.reason == "CURSOR_MOVED" => Ok(true),
            other => other.map(|()| true),
        }
    }

    /// What became of the addresses that a page is silent about, though their customers changed:
    /// the feed names customers, and a record that was erased is in none of them any more.
    async fn untold(&self, moves: &Moves) -> Result<BTreeMap<i64, Fate>, Failure> {
        let asked = {
            let mut reader = self.db.read().await?;
            missing(&mut reader, moves).await?
        };
        let mut fates = BTreeMap::new();
        for address in &asked {
            if fates.contains_key(address) {
                continue;
            }
            match self.customers.get(None, *address).await {
                Ok(known) => {
                    let held: BTreeSet<i64> = known.addresses.iter().copied().collect();
                    for other in asked.iter().filter(|a| held.contains(a)) {
                        fates.insert(*other, Fate::Held(known.current));
                    }
                    fates.entry(*address).or_insert(Fate::Passed(known.current));
                }
                Err(f) if f.reason == "CUSTOMER_ERASED" => {
                    fates.insert(*address, Fate::Erased);
                }
                // A customer database put back to an older state does not know it yet.
                Err(f) if f.code == Code::NotFound => {
                    fates.insert(*address, Fate::Unknown);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(fates)
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
