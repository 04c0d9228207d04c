//! Whether what clients saw of several replicas can be explained by one house.
//!
//! Clients note every call with two ticks of one counter, before it is sent and after it is
//! answered: when one call was over before another began, its ticks are smaller. [`History::check`]
//! then looks for what must not be:
//!
//! | | anomaly |
//! |---|---|
//! | 1 | a record that was acknowledged is not there in the end |
//! | 2 | a record is held by two customers in the end, or the id it was given answers with another's |
//! | 3 | a read that began after a record was acknowledged doesn't show it |
//! | 4 | a customer's revision goes back between two reads of which one came after the other |
//! | 5 | a read between a merge and the next unmerge shows the two apart, or after an unmerge together |
//! | 6 | a reader of the feed missed a change, or saw positions or a customer's revisions go back |
//! | 7 | a revision that was read never came in the feed |
//!
//! That the customers in the end are those that the records and judgements make, is for the caller
//! to compare with a run of one client after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// `source/external id`.
pub type Key = String;

/// When a call was sent and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Before it was sent.
    pub begin: u64,
    /// After it was answered; none when it never was, and may have been done or not.
    pub end: Option<u64>,
}

impl Span {
    /// It was over before the other began.
    fn before(self, other: Self) -> bool {
        self.end.is_some_and(|end| end < other.begin)
    }
}

/// What was asked and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A record was stored and is held by this customer.
    Ingest {
        /// Which.
        key: Key,
        /// `customers/7`.
        customer: String,
    },
    /// The customers of two records were merged by hand. Only one client does so for a pair.
    Merge(Key, Key),
    /// The second record was taken out of the customer of the first.
    Unmerge(Key, Key),
    /// A customer was read.
    Get(Seen),
}

/// A customer as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The id it was asked by.
    pub asked: String,
    /// The id it answered with.
    pub name: String,
    /// Its revision.
    pub revision: i64,
    /// Its records.
    pub records: BTreeSet<Key>,
}

/// A change as a reader of the feed saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it stands.
    pub position: i64,
    /// Of whom.
    pub customer: String,
    /// Which revision it made.
    pub revision: i64,
}

/// Everything that was noted.
#[derive(Debug, Default)]
pub struct History {
    tick: AtomicU64,
    calls: Mutex<Vec<(Span, Call)>>,
    readers: Mutex<BTreeMap<String, Vec<Change>>>,
}

impl History {
    /// A tick, before a call is sent.
    pub fn begin(&self) -> u64 {
        self.tick.fetch_add(1, Ordering::SeqCst)
    }

    /// Notes a call that was answered.
    pub fn note(&self, begin: u64, call: Call) {
        let end = Some(self.tick.fetch_add(1, Ordering::SeqCst));
        self.push(Span { begin, end }, call);
    }

    fn push(&self, span: Span, call: Call) {
        let mut calls = self.calls.lock().expect("no client panics in here");
        calls.push((span, call));
    }

    /// Notes what a reader of the feed saw next.
    pub fn read(&self, reader: &str, changes: impl IntoIterator<Item = Change>) {
        let mut readers = self.readers.lock().expect("no client panics in here");
        let seen = readers.entry(reader.to_owned()).or_default();
        seen.extend(changes);
    }

    /// Every record that was acknowledged, with the id it was given.
    pub fn acknowledged(&self) -> BTreeMap<Key, String> {
        let calls = self.calls.lock().expect("no client panics in here");
        let ingests = calls.iter().filter_map(|(_, call)| match call {
            Call::Ingest { key, customer } => Some((key.clone(), customer.clone())),
            _ => None,
        });
        ingests.collect()
    }

    /// The anomalies. `last` is every customer in the end, asked by the id each record was given;
    /// `feed` the whole feed, read by one reader after everything was over.
    pub fn check(&self, last: &BTreeMap<Key, Seen>, feed: &[Change]) -> Vec<String> {
        let calls = self.calls.lock().expect("no client panics in here").clone();
        let mut wrong = Vec::new();
        lost_or_doubled(&self.acknowledged(), last, &mut wrong);
        unread(&calls, &mut wrong);
        going_back(&calls, &mut wrong);
        judged(&calls, &mut wrong);
        let readers = self.readers.lock().expect("no client panics in here");
        for (reader, seen) in &*readers {
            followed(reader, seen, feed, &mut wrong);
        }
        followed("the last reader", feed, feed, &mut wrong);
        unheard(&calls, feed, &mut wrong);
        wrong
    }
}

fn lost_or_doubled(
    acknowledged: &BTreeMap<Key, String>,
    last: &BTreeMap<Key, Seen>,
    wrong: &mut Vec<String>,
) {
    let mut holders: BTreeMap<&Key, BTreeSet<&str>> = BTreeMap::new();
    for seen in last.values() {
        for key in &seen.records {
            holders.entry(key).or_default().insert(&seen.name);
        }
    }
    for key in acknowledged.keys() {
        match last.get(key) {
            None => wrong.push(format!("1: {key} is lost")),
            Some(seen) if !seen.records.contains(key) => {
                wrong.push(format!("2: the id of {key} answers with {}", seen.name));
            }
            Some(_) => {}
        }
        if let Some(by) = holders.get(key).filter(|by| by.len() > 1) {
            wrong.push(format!("2: {key} is held by {by:?}"));
        }
    }
}

fn gets(calls: &[(Span, Call)]) -> impl Iterator<Item = (Span, &Seen)> {
    calls.iter().filter_map(|(span, call)| match call {
        Call::Get(seen) => Some((*span, seen)),
        _ => None,
    })
}

fn unread(calls: &[(Span, Call)], wrong: &mut Vec<String>) {
    let mut given: BTreeMap<&str, Vec<(Span, &Key)>> = BTreeMap::new();
    for (span, call) in calls {
        if let Call::Ingest { key, customer } = call {
            given.entry(customer).or_default().push((*span, key));
        }
    }
    let unmerged: BTreeSet<&Key> = calls
        .iter()
        .filter_map(|(_, call)| match call {
            Call::Unmerge(_, second) => Some(second),
            _ => None,
        })
        .collect();
    for (span, seen) in gets(calls) {
        for (stored, key) in given.get(seen.asked.as_str()).into_iter().flatten() {
            // A record that was taken out since does not answer by the other's id.
            if stored.before(span) && !seen.records.contains(*key) && !unmerged.contains(key) {
                wrong.push(format!("3: {} was read without {key}", seen.asked));
            }
        }
    }
}

fn going_back(calls: &[(Span, Call)], wrong: &mut Vec<String>) {
    let mut by_name: BTreeMap<&str, Vec<(Span, &Seen)>> = BTreeMap::new();
    for (span, seen) in gets(calls) {
        by_name.entry(&seen.name).or_default().push((span, seen));
    }
    for (name, mut reads) in by_name {
        reads.sort_by_key(|(span, _)| span.begin);
        for (at, (later, seen)) in reads.iter().enumerate() {
            let newest = reads[..at]
                .iter()
                .filter(|(earlier, _)| earlier.before(*later))
                .map(|(_, earlier)| earlier.revision)
                .max();
            if let Some(newest) = newest.filter(|newest| *newest > seen.revision) {
                let now = seen.revision;
                wrong.push(format!("4: {name} was at {newest} and then at {now}"));
            }
        }
    }
}

fn judged(calls: &[(Span, Call)], wrong: &mut Vec<String>) {
    // Of each pair, in the order its one client did it: whether they are together from then on.
    let mut pairs: BTreeMap<(&Key, &Key), Vec<(Span, bool)>> = BTreeMap::new();
    for (span, call) in calls {
        match call {
            Call::Merge(a, b) => pairs.entry((a, b)).or_default().push((*span, true)),
            Call::Unmerge(a, b) => pairs.entry((a, b)).or_default().push((*span, false)),
            Call::Ingest { .. } | Call::Get(_) => {}
        }
    }
    for ((a, b), mut judgements) in pairs {
        judgements.sort_by_key(|(span, _)| span.begin);
        for (at, (span, together)) in judgements.iter().enumerate() {
            let next = judgements.get(at + 1).map(|(next, _)| *next);
            for (read, seen) in gets(calls) {
                let then = span.before(read) && next.is_none_or(|next| read.before(next));
                let (has_a, has_b) = (seen.records.contains(a), seen.records.contains(b));
                if then && (has_a || has_b) && (has_a && has_b) != *together {
                    wrong.push(format!(
                        "5: {a} and {b} were together={together}, and {} was read with {:?}",
                        seen.asked, seen.records
                    ));
                }
            }
        }
    }
}

fn followed(reader: &str, seen: &[Change], feed: &[Change], wrong: &mut Vec<String>) {
    for two in seen.windows(2) {
        if two[0].position >= two[1].position {
            let (a, b) = (two[0].position, two[1].position);
            wrong.push(format!("6: {reader} saw {a} and then {b}"));
        }
    }
    let mut revisions: BTreeMap<&str, i64> = BTreeMap::new();
    for change in seen {
        let before = revisions.insert(&change.customer, change.revision);
        if let Some(before) = before.filter(|before| *before > change.revision) {
            let (who, now) = (&change.customer, change.revision);
            wrong.push(format!(
                "6: {reader} saw {who} at {before} and then at {now}"
            ));
        }
    }
    let end = seen.last().map_or(0, |change| change.position);
    let had: BTreeSet<i64> = seen.iter().map(|change| change.position).collect();
    for change in feed.iter().take_while(|change| change.position <= end) {
        if !had.contains(&change.position) {
            wrong.push(format!("6: {reader} missed {}", change.position));
        }
    }
}

fn unheard(calls: &[(Span, Call)], feed: &[Change], wrong: &mut Vec<String>) {
    let told: BTreeSet<(&str, i64)> = feed
        .iter()
        .map(|change| (change.customer.as_str(), change.revision))
        .collect();
    let read: BTreeSet<(&str, i64)> = gets(calls)
        .map(|(_, seen)| (seen.name.as_str(), seen.revision))
        .collect();
    for (name, revision) in read.difference(&told) {
        wrong.push(format!("7: {name} at {revision} never came in the feed"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(asked: &str, name: &str, revision: i64, records: &[&str]) -> Seen {
        Seen {
            asked: asked.to_owned(),
            name: name.to_owned(),
            revision,
            records: records.iter().map(|r| (*r).to_owned()).collect(),
        }
    }
    fn change(position: i64, customer: &str, revision: i64) -> Change {
        Change {
            position,
            customer: customer.to_owned(),
            revision,
        }
    }
    fn ingest(key: &str, customer: &str) -> Call {
        Call::Ingest {
            key: key.to_owned(),
            customer: customer.to_owned(),
        }
    }

    /// Calls one after the other, then the end.
    fn faults(calls: Vec<Call>, last: &[(&str, Seen)], feed: &[Change]) -> Vec<String> {
        let history = History::default();
        for call in calls {
            let begin = history.begin();
            history.note(begin, call);
        }
        let last = last.iter().map(|(k, s)| ((*k).to_owned(), s.clone()));
        history.check(&last.collect(), feed)
    }

    #[test]
    fn what_one_house_could_say_is_sound() {
        let feed = [
            change(1, "c/1", 1),
            change(2, "c/2", 1),
            change(4, "c/1", 2),
        ];
        let calls = vec![
            ingest("a", "c/1"),
            ingest("b", "c/2"),
            Call::Get(seen("c/1", "c/1", 1, &["a"])),
            Call::Merge("a".into(), "b".into()),
            Call::Get(seen("c/2", "c/1", 2, &["a", "b"])),
        ];
        let both = seen("c/1", "c/1", 2, &["a", "b"]);
        assert_eq!(
            faults(calls, &[("a", both.clone()), ("b", both)], &feed),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_anomaly_is_found() {
        let a = || seen("c/1", "c/1", 1, &["a"]);
        let feed = [change(1, "c/1", 1), change(2, "c/1", 2)];
        let found = |calls: Vec<Call>, last: &[(&str, Seen)], feed: &[Change], what: char| {
            let wrong = faults(calls, last, feed);
            assert!(
                wrong.iter().any(|w| w.starts_with(what)),
                "{what} in {wrong:?}"
            );
        };
        let stored = || vec![ingest("a", "c/1")];
        found(stored(), &[], &feed, '1');
        let other = seen("c/1", "c/9", 1, &["z"]);
        found(stored(), &[("a", other)], &feed, '2');
        let twice = [("a", a()), ("b", seen("c/2", "c/2", 1, &["a", "b"]))];
        found(stored(), &twice, &feed, '2');
        let mut calls = stored();
        calls.push(Call::Get(seen("c/1", "c/1", 1, &[])));
        found(calls, &[("a", a())], &feed, '3');
        let mut calls = stored();
        calls.push(Call::Get(seen("c/1", "c/1", 2, &["a"])));
        calls.push(Call::Get(a()));
        found(calls, &[("a", a())], &feed, '4');
        let mut calls = stored();
        calls.push(Call::Merge("a".into(), "b".into()));
        calls.push(Call::Get(a()));
        found(calls, &[("a", a())], &feed, '5');
        let mut calls = stored();
        calls.push(Call::Unmerge("a".into(), "b".into()));
        calls.push(Call::Get(seen("c/1", "c/1", 1, &["a", "b"])));
        found(calls, &[("a", a())], &feed, '5');
        let back = [change(2, "c/1", 1), change(1, "c/1", 2)];
        found(stored(), &[("a", a())], &back, '6');
        let mut calls = stored();
        calls.push(Call::Get(seen("c/1", "c/1", 3, &["a"])));
        found(calls, &[("a", a())], &feed, '7');

        let history = History::default();
        history.read("slow", [change(1, "c/1", 1), change(3, "c/1", 3)]);
        let feed = [1, 2, 3].map(|n| change(n, "c/1", n));
        let wrong = history.check(&BTreeMap::new(), &feed);
        assert_eq!(wrong, ["6: slow missed 2"]);
    }

    #[test]
    fn calls_at_the_same_time_may_come_in_any_order() {
        let history = History::default();
        let (one, two) = (history.begin(), history.begin());
        let newer = seen("c/1", "c/1", 2, &["a"]);
        history.note(one, Call::Get(newer));
        history.note(two, Call::Get(seen("c/1", "c/1", 1, &["a"])));
        let feed = [change(1, "c/1", 1), change(2, "c/1", 2)];
        assert_eq!(history.check(&BTreeMap::new(), &feed), Vec::<String>::new());
    }
}
