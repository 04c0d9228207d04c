//! Cases in which the foreign rows change.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jinke_types::SourceRecord;

use super::{HttpSubject, whole};
use crate::{
    connector::Cursor,
    sweep::SweepLimit,
    testing::{KnownList, collect, pull},
};

/// What a follower of a stream has: where it stands, and the last version of each record.
struct Follower<'a> {
    subject: &'a dyn HttpSubject,
    stream: &'a str,
    cursor: Option<Cursor>,
    held: BTreeMap<String, SourceRecord>,
}

impl Follower<'_> {
    /// Takes records in and tells the ids of those that are delivered: all of them, or only the
    /// new versions where the foreign system does not tell changes.
    fn take(&mut self, records: Vec<SourceRecord>) -> Vec<String> {
        let mut ids = Vec::new();
        for record in records {
            let id = record.key.external_id.clone();
            let before = self.held.insert(id.clone(), record.clone());
            if self.subject.tells_changes() || before.as_ref() != Some(&record) {
                ids.push(id);
            }
        }
        ids.sort();
        ids
    }

    async fn changed(&mut self) -> Vec<String> {
        let pulled = whole(self.subject, self.stream, self.cursor.clone()).await;
        self.cursor = pulled.cursor(self.cursor.clone());
        self.take(pulled.records())
    }
}

/// An incremental pull yields what changed, once: across page boundaries, with many rows of one
/// second, with rows that come late into a second that was already read, and when the pull is
/// stopped behind any page.
pub async fn follows_changes(subject: &dyn HttpSubject) {
    subject.server().script([]);
    for (stream, _) in subject.streams() {
        let mut follower = Follower {
            subject,
            stream: &stream,
            cursor: None,
            held: BTreeMap::new(),
        };
        follower.changed().await;
        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids
        };
        // More rows of one second than a page holds.
        let first = subject.add(&stream, 40, 1);
        assert_eq!(
            follower.changed().await,
            sorted(first.clone()),
            "{stream}: many rows of one second"
        );
        assert!(follower.changed().await.is_empty(), "{stream}: idle");
        // More rows of the same second, after it was read.
        let late = subject.add(&stream, 3, 1);
        assert_eq!(
            follower.changed().await,
            sorted(late),
            "{stream}: the same second again"
        );
        // A row that was read changes within the same second; another one a second later.
        subject.change(&stream, &first[5], 1);
        subject.change(&stream, &first[7], 2);
        assert_eq!(
            follower.changed().await,
            sorted(vec![first[5].clone(), first[7].clone()]),
            "{stream}: changed within the second"
        );
        // A transaction that commits late with an earlier time.
        let early = subject.add(&stream, 2, 0);
        assert_eq!(
            follower.changed().await,
            sorted(early),
            "{stream}: a late commit"
        );
        // Changes between two pages of one round, before and behind the place of the reader.
        let more = subject.add(&stream, 40, 3);
        let begun = whole(subject, &stream, follower.cursor.clone()).await;
        let place = begun.pages.first().and_then(|p| p.cursor.clone());
        let mut got: BTreeSet<_> = follower
            .take(begun.pages[0].records.clone())
            .into_iter()
            .collect();
        subject.change(&stream, &more[0], 4);
        subject.change(&stream, &more[39], 4);
        let behind = subject.add(&stream, 2, 4);
        follower.cursor = place;
        got.extend(follower.changed().await);
        got.extend(follower.changed().await);
        let want: BTreeSet<_> = more.iter().chain(&behind).cloned().collect();
        assert_eq!(got, want, "{stream}: changes during a round");
        // What a whole read yields now is what the last versions are.
        assert!(
            follower.changed().await.is_empty(),
            "{stream}: idle at last"
        );
    }
}

/// Columns that go, change their type or come: the pull tells it and yields every record.
pub async fn goes_on_when_columns_drift(subject: &dyn HttpSubject) {
    subject.server().script([]);
    for (stream, _) in subject.streams() {
        let before = whole(subject, &stream, None).await;
        assert!(before.notes().is_empty(), "{stream}: {:?}", before.notes());
        subject.drift(true);
        let after = pull(&*subject.connector(), &stream, None).await;
        let listed = subject.connector().discover().await;
        subject.drift(false);
        assert_eq!(after.error, None, "{stream}");
        let ids = |p: &crate::testing::Pulled| -> Vec<_> {
            p.records().into_iter().map(|r| r.key).collect()
        };
        assert_eq!(ids(&after), ids(&before), "{stream}: no record is left out");
        let notes = after.notes().join("\n");
        assert!(notes.contains("is missing"), "{stream}: {notes}");
        assert!(notes.contains("is now of type"), "{stream}: {notes}");
        let listed = listed.expect("streams are listed");
        let schema = listed.iter().find(|s| s.stream == stream);
        let notes = schema.map(|s| s.notes.join("\n")).unwrap_or_default();
        assert!(
            notes.contains("not read"),
            "{stream}: new columns are told: {notes}"
        );
    }
}

/// Deleted rows are found by a sweep, wrong ones are not deleted, and a sweep that would delete
/// too many deletes none.
pub async fn sweeps(subject: &dyn HttpSubject) {
    let server = subject.server();
    server.script([]);
    for (stream, _) in subject.streams() {
        let sweep = |known: Arc<KnownList>, limit| {
            let stream = stream.clone();
            async move { collect(subject.connector().sweep(&stream, known, limit).await).await }
        };
        let fresh = subject.add(&stream, 30, 9);
        let all = whole(subject, &stream, None).await.records();
        let known = KnownList::of(&all);
        let quiet = sweep(known.clone(), SweepLimit::default()).await;
        assert_eq!(
            (quiet.error.clone(), quiet.records()),
            (None, vec![]),
            "{stream}: all there"
        );
        for id in &fresh[..3] {
            subject.delete(&stream, id);
        }
        let limit = SweepLimit {
            percent: 0,
            at_least: 3,
        };
        let found = sweep(known.clone(), limit).await;
        assert_eq!(found.error, None, "{stream}");
        let records = found.records();
        let mut gone: Vec<_> = records.iter().map(|r| r.key.external_id.clone()).collect();
        gone.sort();
        let mut want = fresh[..3].to_vec();
        want.sort();
        assert_eq!(gone, want, "{stream}: deletions");
        for record in &records {
            let last = all
                .iter()
                .find(|r| r.key == record.key)
                .expect("was pulled");
            assert!(record.deleted);
            assert!(
                record.update_time > last.update_time
                    || (last.update_time, last.source_revision) == (None, None),
                "{stream}: wins over the last version, where versions are not ordered by arrival"
            );
        }
        let again = sweep(known.clone(), limit).await.records();
        assert_eq!(again, records, "{stream}: a sweep repeated says the same");
        // One more than may go.
        subject.delete(&stream, &fresh[4]);
        let stopped = sweep(known.clone(), limit).await;
        assert!(stopped.records().is_empty(), "{stream}: nothing is deleted");
        let error = stopped.error.expect("too many are gone");
        assert_eq!(error.failure.reason, "SWEEP_TOO_MANY_GONE", "{stream}");
        // A list of ids that breaks off is no list.
        server.script([]);
        sweep(known.clone(), SweepLimit::none()).await;
        for number in 2..=server.requests() {
            server.script_every(move |n| {
                (n >= number).then_some(crate::testing::Fault::Status(400, None))
            });
            let broken = sweep(known.clone(), SweepLimit::none()).await;
            assert!(
                broken.error.is_some() && broken.records().is_empty(),
                "{stream}: {number}"
            );
            server.script([]);
        }
    }
}
