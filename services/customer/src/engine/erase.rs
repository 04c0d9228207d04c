//! Erasing a customer: the one way in which input is removed.
//!
//! The records that the caller sees go with their data keys, versions, keys and tokens, and with
//! them the transactions, interactions and relationships that name them, and the judgements that
//! nobody else is left in. What remains is resolved anew, so that all is as if the records had
//! never come. Their ids pass to the earliest record that remains of the customer, else they answer
//! that the customer was erased. A record that its source sends again is a new one.

use std::{collections::BTreeSet, sync::Arc};

use jinke_store::{
    Tx,
    changelog::{self, Entry},
};
use jinke_types::{Code, Failure, RowScope, Timestamp};

use super::{
    Core, Engine,
    attachments::addressed,
    mutate::{check_etag, number},
    prepare::index,
    resolve::{Input, PartyChange, Resolved},
};
use crate::{
    domain::{ChangeKind, Erase, Erased, FEED, RequestId, TIMELINE_FEED, damaged, key_text},
    store::{
        customers::{self, RevisionRow},
        erasures, pairs, pending,
        records::{self, PartyRow},
        shadow,
    },
};

/// Most records of a customer, and most transactions, interactions and relationships that name
/// them, of one erasure: all of it is one transaction.
pub const MAX_ERASED: usize = 20_000;

impl Engine {
    /// Erases what the scope shows of the addressed customer. A replay answers with zero counts.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, and `ERASURE_TOO_LARGE` (FAILED_PRECONDITION) beyond
    /// [`MAX_ERASED`].
    pub async fn erase(
        &self,
        erase: Erase,
        scope: &RowScope,
        request: Option<&RequestId>,
    ) -> Result<Erased, Failure> {
        let core = &self.core;
        if erase.validate_only {
            let mut tx = core.db.begin().await?;
            core.lock(&mut tx).await?;
            let found = core.found(&mut tx, &erase, scope).await?;
            return Ok(found.counts());
        }
        let (erased, resolved) = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let now = core.clock.now();
                if let Some(done) = core.claim(tx, request, now).await? {
                    number(&done)?;
                    return Ok((Erased::default(), Resolved::default()));
                }
                let found = core.found(tx, &erase, scope).await?;
                let resolved = core.erase_in(tx, &found, now).await?;
                core.complete(tx, request, &[(format!("customers/{}", erase.customer), 0)])
                    .await?;
                Ok((found.counts(), resolved))
            })
            .await?;
        // Nothing of it may answer from memory.
        core.cache.clear();
        resolved.learn(core);
        Ok(erased)
    }
}

/// What an erasure takes away.
struct Found {
    live: i64,
    rows: Vec<PartyRow>,
    /// Transactions, interactions and relationships: number and whether it is on the timeline.
    others: Vec<(i64, bool)>,
}

impl Found {
    fn counts(&self) -> Erased {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        Erased {
            records: count(self.rows.len()),
            activities: count(self.others.len()),
        }
    }
}

impl Core {
    async fn found(&self, tx: &mut Tx, erase: &Erase, scope: &RowScope) -> Result<Found, Failure> {
        let (live, seen) = addressed(tx, erase.customer, scope).await?;
        let customer = customers::by_ids(tx, &[live]).await?;
        let customer = customer.get(&live).ok_or_else(|| damaged("customer"))?;
        check_etag(erase.etag.as_deref(), customer.revision)?;
        let rows = records::parties(tx, &seen).await?;
        let keys: Vec<String> = rows.iter().map(|r| key_text(&r.key)).collect();
        let others = erasures::naming(tx, &keys, MAX_ERASED + 1).await?;
        if rows.len() + others.len() > MAX_ERASED {
            return Err(Failure::new(
                Code::FailedPrecondition,
                "ERASURE_TOO_LARGE",
                format!("more than {MAX_ERASED} records would be erased in one transaction"),
            ));
        }
        Ok(Found { live, rows, others })
    }

    async fn erase_in(
        &self,
        tx: &mut Tx,
        found: &Found,
        now: Timestamp,
    ) -> Result<Resolved, Failure> {
        let nos: Vec<i64> = found.rows.iter().map(|r| r.no).collect();
        let keys: Vec<String> = found.rows.iter().map(|r| key_text(&r.key)).collect();
        // What a dry run found would still tell of them.
        shadow::clear(tx).await?;
        let judged = erasures::judgements(tx, &keys).await?;
        let mut seeds: BTreeSet<i64> = pairs::from(tx, &nos)
            .await?
            .into_iter()
            .map(|(_, b, _)| b)
            .collect();
        let derived = self.without(tx, &found.rows).await?;
        let gone = Input {
            changes: derived,
            pairs_only: true,
            ..Input::default()
        };
        seeds.extend(self.resolve(tx, gone, now).await?.paired());
        let others: Vec<i64> = found.others.iter().map(|o| o.0).collect();
        erasures::remove(tx, &nos, &others, &keys).await?;
        let left = records::members(tx, &[found.live]).await?;
        let successor = left.iter().map(|r| r.no).min();
        erasures::note(tx, &nos, successor, now).await?;
        for (no, timeline) in &found.others {
            if *timeline {
                let entry = Entry {
                    feed: TIMELINE_FEED,
                    subject: no.to_string(),
                    kind: "deleted",
                    revision: 0,
                    time: now,
                    body: Vec::new(),
                };
                changelog::append(tx, entry);
            }
        }
        seeds.extend(left.iter().map(|r| r.no));
        seeds.retain(|no| !nos.contains(no));
        let mut input = Input {
            seeds,
            judged,
            ..Input::default()
        };
        if !left.is_empty() && !nos.contains(&found.live) {
            input.touched.insert(found.live);
        }
        let resolved = self.resolve(tx, input, now).await?;
        if left.is_empty() {
            end(tx, found.live, now).await?;
        }
        Ok(resolved)
    }

    /// The records as changes that leave nothing derived of them.
    async fn without(&self, tx: &mut Tx, rows: &[PartyRow]) -> Result<Vec<PartyChange>, Failure> {
        let nos: Vec<i64> = rows.iter().map(|r| r.no).collect();
        let waiting = pending::unresolved(tx, &nos).await?;
        pending::take_off(tx, &nos).await?;
        let resolved: Vec<i64> = nos.into_iter().filter(|n| !waiting.contains(n)).collect();
        let indexed = self.indexed(tx, &resolved).await?;
        Ok(indexed
            .into_values()
            .map(|(row, old)| {
                let kind = old.std.kind();
                PartyChange {
                    no: row.no,
                    key: row.key,
                    kind,
                    fresh: false,
                    new: Arc::new(index(&self.ring, &self.rules, kind, &[])),
                    old: Some(old),
                    customer: row.customer,
                    deleted: true,
                    versions: row.versions,
                    newest: row.newest,
                    time: row.time,
                }
            })
            .collect())
    }
}

/// The last change of a customer of whom nothing is left.
async fn end(tx: &mut Tx, id: i64, now: Timestamp) -> Result<(), Failure> {
    let mut rows = customers::by_ids(tx, &[id]).await?;
    let mut row = rows.remove(&id).ok_or_else(|| damaged("customer"))?;
    row.live = false;
    row.revision += 1;
    row.display_name = None;
    row.record_count = 0;
    row.update_time = now;
    row.delete_time = None;
    let revision = RevisionRow {
        customer: id,
        revision: row.revision,
        kind: ChangeKind::Erased,
        time: now,
        related: Vec::new(),
        members: Vec::new(),
    };
    changelog::append(
        tx,
        Entry {
            feed: FEED,
            subject: id.to_string(),
            kind: ChangeKind::Erased.as_str(),
            revision: row.revision,
            time: now,
            body: Vec::new(),
        },
    );
    customers::put(tx, &[row]).await?;
    customers::put_revisions(tx, &[revision]).await
}
