//! Finding deletions by comparing all ids.
//!
//! Many systems forget a deleted row without a trace. A sweep lists all ids that are there now
//! and asks the caller for those it has; what the caller has and the system has not was deleted.
//!
//! Wrongly deleting is far worse than deleting late, so:
//!
//! - an id list that broke off anywhere deletes nothing;
//! - every missing id is asked for once more before it counts as gone, because a row may have
//!   come between two pages;
//! - when more than a share of the known records would go, nothing is deleted: the sweep ends
//!   with `SWEEP_TOO_MANY_GONE` and both numbers, and a person decides (a user who lost a right
//!   sees an empty list too).
//!
//! A deletion is a version of the record that says only that it is deleted. It is ordered one
//! microsecond behind the last known version ([`later`]), so it wins over that one and loses to
//! any later change, and a repeated sweep makes the same version.
//!
//! A record that comes back unchanged, because a right was given back or a row was restored,
//! loses to its deletion. The caller learns of it by [`KnownRecords::present`], pulls the stream
//! anew, and orders the returned version behind the deletion in the same way.

use std::{collections::BTreeSet, future::Future, time::Duration};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use jinke_types::{Body, Code, Completeness, Failure, RecordKey, SourceRecord, Timestamp};

use crate::connector::{MAX_PAGE_RECORDS, Page, Progress, PullError, PullErrorKind};

/// At most this many ids are compared in one sweep; about 400 MB of memory.
pub const MAX_SWEEP_IDS: usize = 5_000_000;
/// So many known records are asked for at a time.
pub const KNOWN_PAGE: usize = 1_000;

/// A record the caller has, as much of it as a deletion needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its external id.
    pub external_id: String,
    /// Revision and time of its last version.
    pub source_revision: Option<i64>,
    /// Time of its last version.
    pub update_time: Option<Timestamp>,
    /// What it is, as [`skeleton`] leaves it.
    pub body: Body,
}

/// The records that a caller has of one stream.
#[async_trait]
pub trait KnownRecords: Send + Sync + 'static {
    /// How many records that are not deleted there are.
    async fn count(&self) -> Result<u64, Failure>;
    /// At most `limit` of them in the order of their external ids, behind `after`.
    async fn page(&self, after: Option<&str>, limit: usize) -> Result<Vec<Known>, Failure>;
    /// Hears of all ids that the foreign system has now, before the deletions of a sweep that
    /// found them whole are told: among them may be some that an earlier sweep found gone.
    async fn present(&self, ids: &BTreeSet<String>) -> Result<(), Failure> {
        let _ = ids;
        Ok(())
    }
}

/// How many may go in one sweep without a person's consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepLimit {
    /// Percent of the known records.
    pub percent: u64,
    /// So many may always go, however few records there are.
    pub at_least: u64,
}

impl Default for SweepLimit {
    fn default() -> Self {
        Self {
            percent: 5,
            at_least: 10,
        }
    }
}

impl SweepLimit {
    /// No limit: a person has consented.
    pub const fn none() -> Self {
        Self {
            percent: 100,
            at_least: u64::MAX,
        }
    }
    /// The largest number that may go of `known` records.
    pub const fn most(&self, known: u64) -> u64 {
        let share = (known as u128 * self.percent as u128 / 100) as u64;
        if share > self.at_least {
            share
        } else {
            self.at_least
        }
    }
}

/// The part of a body that a deletion repeats: what the record is and whom it names, without
/// texts, lines and values. Holds nothing personal but the external id of the party.
pub fn skeleton(body: &Body) -> Body {
    let mut body = body.clone();
    match &mut body {
        Body::Party { values, .. } => values.clear(),
        Body::Relationship(link) => link.values.clear(),
        Body::Transaction(transaction) => {
            transaction.lines.clear();
            transaction.text.clear();
        }
        Body::Interaction(interaction) => {
            interaction.subject.clear();
            interaction.text.clear();
        }
    }
    body
}

/// What a sweep found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Swept {
    /// A deletion for each record that is gone, in the order of their external ids.
    pub deletions: Vec<SourceRecord>,
    /// How many records are known.
    pub known: u64,
    /// How many records the foreign system has that are not known: pulls missed them, or they
    /// came just now.
    pub unknown: u64,
}

/// What a sweep found, as pages: the deletions, and a note on records that are not known here.
pub fn pages(swept: Result<Swept, PullError>) -> BoxStream<'static, Result<Page, PullError>> {
    let swept = match swept {
        Ok(swept) => swept,
        Err(error) => return stream::iter([Err(error)]).boxed(),
    };
    let mut notes = Vec::new();
    if swept.unknown > 0 {
        let unknown = swept.unknown;
        notes.push(format!("{unknown} records there are not known here"));
    }
    let total = Some(swept.deletions.len() as u64);
    let mut done = 0;
    let mut pages = Vec::new();
    for records in swept.deletions.chunks(MAX_PAGE_RECORDS) {
        done += records.len() as u64;
        pages.push(Ok(Page {
            records: records.to_vec(),
            notes: std::mem::take(&mut notes),
            progress: Progress { done, total },
            ..Page::default()
        }));
    }
    if !notes.is_empty() {
        pages.push(Ok(Page {
            notes,
            ..Page::default()
        }));
    }
    stream::iter(pages).boxed()
}

/// Compares `present`, the external ids of the whole stream, with the known ones. `recheck`
/// tells which of some ids are there after all; it is called with at most
/// [`MAX_PAGE_RECORDS`] at a time.
pub async fn compare<F>(
    source: &str,
    present: &BTreeSet<String>,
    known: &dyn KnownRecords,
    limit: SweepLimit,
    mut recheck: impl FnMut(Vec<String>) -> F + Send,
) -> Result<Swept, PullError>
where
    F: Future<Output = Result<BTreeSet<String>, PullError>> + Send,
{
    let count = known.count().await.map_err(caller_failed)?;
    let most = limit.most(count);
    let mut swept = Swept {
        known: count,
        ..Swept::default()
    };
    let mut matched = 0_u64;
    let mut after: Option<String> = None;
    loop {
        let page = known
            .page(after.as_deref(), KNOWN_PAGE)
            .await
            .map_err(caller_failed)?;
        let Some(last) = page.last() else { break };
        // A caller that does not move on would be asked for ever.
        if after.as_ref().is_some_and(|a| *a >= last.external_id) {
            return Err(caller_failed(Failure::internal(
                "the known records are not in the order of their ids",
            )));
        }
        after = Some(last.external_id.clone());
        let mut missing = Vec::new();
        for record in page {
            if present.contains(&record.external_id) {
                matched += 1;
            } else {
                missing.push(record);
            }
        }
        for some in missing.chunks(MAX_PAGE_RECORDS) {
            let ids = some.iter().map(|k| k.external_id.clone()).collect();
            let there = recheck(ids).await?;
            for record in some {
                if there.contains(&record.external_id) {
                    matched += 1;
                } else {
                    swept.deletions.push(deletion(source, record));
                }
            }
            if swept.deletions.len() as u64 > most {
                return Err(too_many(swept.deletions.len() as u64, count, most));
            }
        }
    }
    swept.unknown = (present.len() as u64).saturating_sub(matched);
    known.present(present).await.map_err(caller_failed)?;
    Ok(swept)
}

fn deletion(source: &str, known: &Known) -> SourceRecord {
    SourceRecord {
        key: RecordKey::new(source, known.external_id.clone()),
        source_revision: known.source_revision,
        update_time: later(known.source_revision, known.update_time),
        // Partial, so that the values stay as match evidence.
        completeness: Completeness::Partial,
        deleted: true,
        body: known.body.clone(),
    }
}

/// The time that orders a version right behind one with this revision and time: a microsecond
/// later; where only revisions are known any time, because none is least; none where neither is
/// known, because then the order of arrival decides.
pub fn later(revision: Option<i64>, time: Option<Timestamp>) -> Option<Timestamp> {
    time.map(|t| t.plus(Duration::from_micros(1)))
        .or_else(|| revision.map(|_| Timestamp(0)))
}

fn caller_failed(failure: Failure) -> PullError {
    PullError::new(PullErrorKind::Unavailable, failure)
}

fn too_many(gone: u64, known: u64, most: u64) -> PullError {
    PullError::new(
        PullErrorKind::Unreadable,
        Failure::new(
            Code::FailedPrecondition,
            "SWEEP_TOO_MANY_GONE",
            format!(
                "at least {gone} of {known} records are no longer there, and at most {most} may go \
                 unasked; nothing was deleted"
            ),
        )
        .with("gone_at_least", gone)
        .with("known", known)
        .with("most", most),
    )
}

/// Ids are being collected for a sweep; over [`MAX_SWEEP_IDS`] it ends.
pub fn bounded(ids: &BTreeSet<String>) -> Result<(), PullError> {
    if ids.len() <= MAX_SWEEP_IDS {
        return Ok(());
    }
    Err(PullError::new(
        PullErrorKind::Unreadable,
        Failure::new(
            Code::ResourceExhausted,
            "SWEEP_TOO_LARGE",
            "the stream has more records than a sweep compares",
        )
        .with("limit", MAX_SWEEP_IDS),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every page with the same record.
    struct Stuck;

    #[async_trait]
    impl KnownRecords for Stuck {
        async fn count(&self) -> Result<u64, Failure> {
            Ok(1)
        }
        async fn page(&self, _: Option<&str>, _: usize) -> Result<Vec<Known>, Failure> {
            Ok(vec![Known {
                external_id: "a".to_owned(),
                source_revision: None,
                update_time: None,
                body: Body::Party {
                    kind: jinke_types::PartyKind::Person,
                    values: Vec::new(),
                },
            }])
        }
    }

    #[tokio::test]
    async fn a_caller_that_does_not_move_on_is_not_asked_for_ever() {
        let present = BTreeSet::from(["a".to_owned()]);
        let recheck = |_| async { Ok(BTreeSet::new()) };
        let swept = compare("s", &present, &Stuck, SweepLimit::none(), recheck).await;
        assert_eq!(swept.unwrap_err().failure.reason, "INTERNAL");
    }

    #[test]
    fn a_share_and_a_least_number_may_go() {
        let limit = SweepLimit {
            percent: 5,
            at_least: 10,
        };
        assert_eq!(
            [0, 200, 201, 1_000, u64::MAX].map(|n| limit.most(n)),
            [10, 10, 10, 50, u64::MAX / 20]
        );
        assert_eq!(SweepLimit::none().most(3), u64::MAX);
    }
}
