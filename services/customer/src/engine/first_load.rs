//! Records that were only stored, resolved many at a time: the first load of a big source.
//!
//! A call may leave its new parties to the background ([`Engine::ingest_later`]). They are durable,
//! noted in the table `pending`, and nothing is derived from them: no keys, no pairs, no customer.
//! Here they are taken in the order in which they came. What each gives by itself is derived on all
//! processors while nobody is kept from writing; then blocks, pairs, clusters and customers of
//! thousands follow in one transaction, by the same steps as those of a small batch, so that
//! the outcome is the same: the result of [`resolve::run`] depends on what is there, not on how
//! it came to be there. Thousands at a time cost less, because statements are few and every index is
//! walked once, from left to right.
//!
//! Nothing of it is in memory only: when the process ends, the next one goes on where this one was.
//!
//! [`Engine::ingest_later`]: super::Engine::ingest_later

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use jinke_store::Tx;
use jinke_types::{Failure, PartyKind};

use super::{
    Core,
    apply::of_body,
    prepare::Indexed,
    resolve::{Input, PartyChange},
    state,
};
use crate::store::{
    pending,
    records::{self, PartyRow, SealedState},
};

/// Records of one transaction while nobody else ingests: about a second.
const ALONE: i64 = 5_000;
/// While somebody does.
const BESIDE: i64 = 1_000;

/// Calls of others who wait for their records to be resolved.
#[derive(Debug, Default)]
pub(crate) struct Ordinary {
    now: AtomicUsize,
    calls: AtomicU64,
}

/// One of these calls; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct OrdinaryCall<'a>(&'a AtomicUsize);

impl Drop for OrdinaryCall<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ordinary {
    /// A call begins.
    pub(crate) fn enter(&self) -> OrdinaryCall<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.now.fetch_add(1, Ordering::Relaxed);
        OrdinaryCall(&self.now)
    }

    /// How many calls there have been.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether none is there, nor has been since [`Ordinary::calls`] gave this number.
    pub(crate) fn none_since(&self, calls: u64) -> bool {
        self.now.load(Ordering::Relaxed) == 0 && self.calls() == calls
    }
}

/// What is derived from records, with the number of versions it is good for.
type Derived = BTreeMap<i64, (i64, Arc<Indexed>)>;

impl Core {
    /// Resolves the first of the records that were only stored; false when there are none.
    pub(crate) async fn first_load_step(&self) -> Result<bool, Failure> {
        let most = if self.ordinary.none_since(self.ordinary.calls()) {
            ALONE
        } else {
            BESIDE
        };
        let mut reader = self.db.snapshot().await?;
        let nos = pending::first_unresolved(&mut reader, i64::MIN, most).await?;
        if nos.is_empty() {
            return Ok(false);
        }
        let rows = records::parties(&mut reader, &nos).await?;
        let sealed = records::sealed_states(&mut reader, &nos).await?;
        drop(reader);
        let derived = self.derive(&rows, sealed).await?;
        let resolved = self
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                self.lock(tx).await?;
                // Another replica may have taken some meanwhile, and versions may have come.
                let nos = pending::unresolved(tx, &nos).await?;
                let nos: Vec<i64> = nos.into_iter().collect();
                pending::take_off(tx, &nos).await?;
                let changes = self.as_changes(tx, &nos, &derived).await?;
                let nos: Vec<i64> = changes.iter().map(|c| c.no).collect();
                let input = Input {
                    changes,
                    bounded: true,
                    ..Input::default()
                };
                let resolved = self.resolve(tx, input, self.clock.now()).await?;
                let held: Vec<(i64, i64)> = nos
                    .iter()
                    .filter_map(|no| Some((*no, resolved.customer_of(*no)?)))
                    .collect();
                records::assign(tx, &held).await?;
                Ok(resolved)
            })
            .await?;
        resolved.learn(self);
        Ok(true)
    }

    /// Opens and standardizes on all processors.
    async fn derive(
        &self,
        rows: &[PartyRow],
        sealed: Vec<SealedState>,
    ) -> Result<Derived, Failure> {
        let kinds: BTreeMap<i64, PartyKind> = rows
            .iter()
            .filter_map(|r| Some((r.no, r.kind.party()?)))
            .collect();
        let kinds = Arc::new(kinds);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = sealed.len().div_ceil(threads).max(1);
        let mut rest = sealed.into_iter().peekable();
        let mut tasks = Vec::with_capacity(threads);
        while rest.peek().is_some() {
            let part: Vec<SealedState> = rest.by_ref().take(share).collect();
            let (ring, rules) = (Arc::clone(&self.ring), Arc::clone(&self.rules));
            let kinds = Arc::clone(&kinds);
            tasks.push(tokio::task::spawn_blocking(move || {
                part.iter()
                    .filter_map(|s| kinds.get(&s.no).map(|kind| (s, *kind)))
                    .map(|(s, kind)| {
                        let body = state::open_state(&ring, s)?;
                        let indexed = of_body(&ring, &rules, kind, &body);
                        Ok((s.no, (s.versions, Arc::new(indexed))))
                    })
                    .collect::<Result<Vec<_>, Failure>>()
            }));
        }
        let mut out = Derived::new();
        for task in tasks {
            out.extend(task.await.map_err(Failure::internal)??);
        }
        Ok(out)
    }

    /// The records as changes, as if they had just come, in their present state.
    async fn as_changes(
        &self,
        tx: &mut Tx,
        nos: &[i64],
        derived: &Derived,
    ) -> Result<Vec<PartyChange>, Failure> {
        let rows = records::parties(tx, nos).await?;
        let good = |row: &PartyRow| {
            let (versions, indexed) = derived.get(&row.no)?;
            (*versions == row.versions).then(|| Arc::clone(indexed))
        };
        let moved: Vec<i64> = rows
            .iter()
            .filter(|r| good(r).is_none())
            .map(|r| r.no)
            .collect();
        let anew = self.indexed(tx, &moved).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                let new = good(&row).or_else(|| Some(Arc::clone(&anew.get(&row.no)?.1)))?;
                Some(PartyChange {
                    no: row.no,
                    key: row.key,
                    kind: new.std.kind(),
                    // It has no pairs yet. A judgement may have given it a customer.
                    fresh: true,
                    old: None,
                    new,
                    customer: row.customer,
                    deleted: row.deleted,
                    versions: row.versions,
                    newest: row.newest,
                    time: row.time,
                })
            })
            .collect())
    }
}
