//! The three promises of the change log, with writers that overlap, and a mutant that breaks
//! the first one to show that the check sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jinke_store::{
    Conn, Database, Engine, Tx, args,
    changelog::{self, Change, Entry, Filter},
    testing::{ENGINES, Place, on_each_engine},
};
use jinke_types::{Entropy as _, Failure, SeededEntropy};

use crate::{MIGRATIONS, at};

const SUBJECTS: i64 = 7;
const WRITERS: u64 = 6;
const ROUNDS: u64 = 30;

fn entry(subject: i64, revision: i64) -> Entry {
    Entry {
        feed: "things",
        subject: subject.to_string(),
        kind: "updated",
        revision,
        time: at(revision),
        body: vec![1, 2],
    }
}

/// How positions are given and read: the kit's way, and the obvious one that is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    CounterAtCommit,
    SequenceAtInsert,
}

impl Way {
    async fn append(self, tx: &mut Tx, entry: Entry) -> Result<(), Failure> {
        match self {
            Self::CounterAtCommit => changelog::append(tx, entry),
            Self::SequenceAtInsert => {
                tx.execute(
                    "INSERT INTO jinke_changes \
                     (position, feed, subject, kind, revision, time, body) \
                     VALUES (nextval('mutant'), $1, $2, $3, $4, $5, $6)",
                    args![
                        entry.feed,
                        entry.subject,
                        entry.kind,
                        entry.revision,
                        entry.time,
                        entry.body
                    ],
                )
                .await?;
            }
        }
        Ok(())
    }

    async fn list(self, conn: &mut Conn, after: i64) -> Result<Vec<Change>, Failure> {
        if self == Self::CounterAtCommit {
            return Ok(changelog::list(conn, after, 13, &Filter::default())
                .await?
                .changes);
        }
        let rows = conn
            .fetch_all(
                "SELECT position, feed, subject, kind, revision, time, body \
                 FROM jinke_changes WHERE position > $1 ORDER BY position LIMIT 13",
                args![after],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Change {
                    position: row.i64("position")?,
                    feed: row.text("feed")?,
                    subject: row.text("subject")?,
                    kind: row.text("kind")?,
                    revision: row.i64("revision")?,
                    time: row.time("time")?,
                    body: row.bytes("body")?,
                })
            })
            .collect()
    }
}

/// Overlapping writers and a tailing reader. Several handles are several replicas, each with
/// connections of its own. Gives what the tail saw and the last revision of each subject.
async fn race(replicas: &[Database], way: Way) -> (Vec<Change>, BTreeMap<String, i64>) {
    let db = replicas[0].clone();
    db.write(async |mut tx| {
        for id in 0..SUBJECTS {
            tx.execute(
                "INSERT INTO things (id, revision) VALUES ($1, 0)",
                args![id],
            )
            .await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let running = Arc::new(AtomicUsize::new(WRITERS as usize));
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let db = replicas[n as usize % replicas.len()].clone();
            let running = running.clone();
            tokio::spawn(async move {
                let dice = SeededEntropy::new(n);
                for _ in 0..ROUNDS {
                    let mut roll = [0; 4];
                    dice.fill(&mut roll);
                    write_some(&db, way, roll).await.unwrap();
                }
                running.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    let reading = replicas[replicas.len() - 1].clone();
    let tail = tokio::spawn(async move {
        let mut seen: Vec<Change> = Vec::new();
        loop {
            let done = running.load(Ordering::SeqCst) == 0;
            let after = seen.last().map_or(0, |c| c.position);
            let new = way
                .list(&mut reading.read().await.unwrap(), after)
                .await
                .unwrap();
            if new.is_empty() && done {
                return seen;
            }
            seen.extend(new);
        }
    });
    for writer in writers {
        writer.await.unwrap();
    }
    let seen = tail.await.unwrap();
    let mut reader = db.read().await.unwrap();
    let rows = reader
        .fetch_all("SELECT id, revision FROM things", args![])
        .await
        .unwrap();
    let last = rows
        .iter()
        .map(|r| (r.i64("id").unwrap().to_string(), r.i64("revision").unwrap()))
        .filter(|(_, revision)| *revision > 0)
        .collect();
    (seen, last)
}

/// One to three subjects change, in ascending order (so that writers don't deadlock), with a
/// wait before the commit during which others commit.
async fn write_some(db: &Database, way: Way, roll: [u8; 4]) -> Result<(), Failure> {
    db.write(async |mut tx| {
        let subjects: BTreeSet<i64> = roll[..1 + roll[3] as usize % 3]
            .iter()
            .map(|b| i64::from(*b) % SUBJECTS)
            .collect();
        for subject in subjects {
            let revision = tx
                .fetch_one(
                    "UPDATE things SET revision = revision + 1 WHERE id = $1 RETURNING revision",
                    args![subject],
                )
                .await?
                .i64("revision")?;
            way.append(&mut tx, entry(subject, revision)).await?;
        }
        tokio::time::sleep(Duration::from_micros(u64::from(roll[2]) * 20)).await;
        Ok(())
    })
    .await
}

/// What of the three promises is broken.
fn broken(seen: &[Change], last: &BTreeMap<String, i64>) -> Vec<String> {
    let mut faults = Vec::new();
    if !seen.is_sorted_by(|a, b| a.position < b.position) {
        faults.push("positions do not grow".to_owned());
    }
    let mut revisions: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for change in seen {
        revisions
            .entry(change.subject.clone())
            .or_default()
            .push(change.revision);
    }
    for (subject, last) in last {
        let found = revisions.remove(subject).unwrap_or_default();
        if !found.is_sorted() {
            faults.push(format!("{subject}: revisions out of order"));
        }
        let missing = (1..=*last).filter(|r| !found.contains(r)).count();
        if missing > 0 || found.len() as i64 != *last {
            faults.push(format!("{subject}: {missing} passed over of {last}"));
        }
    }
    faults.extend(
        revisions
            .into_keys()
            .map(|s| format!("{s}: never happened")),
    );
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tailing_reader_sees_every_change_in_order() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let mut replicas = vec![Database::open(place.config(), &MIGRATIONS).await.unwrap()];
        if engine == Engine::Postgres {
            for _ in 0..2 {
                replicas.push(Database::open(place.config(), &MIGRATIONS).await.unwrap());
            }
        }
        let (seen, last) = race(&replicas, Way::CounterAtCommit).await;
        assert_eq!(broken(&seen, &last), Vec::<String>::new(), "{engine:?}");
        assert!(seen.len() as u64 >= WRITERS * ROUNDS);
        for db in &replicas {
            db.close().await;
        }
        place.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_catches_positions_from_a_sequence() {
    let place = Place::new(Engine::Postgres).await;
    let db = Database::open(place.config(), &MIGRATIONS).await.unwrap();
    db.write(async |mut tx| tx.execute("CREATE SEQUENCE mutant", args![]).await)
        .await
        .unwrap();
    let (seen, last) = race(std::slice::from_ref(&db), Way::SequenceAtInsert).await;
    let faults = broken(&seen, &last);
    assert!(
        faults.iter().any(|f| f.contains("passed over")),
        "{faults:?}"
    );
    db.close().await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_where_they_ended_and_filters_skip() {
    on_each_engine(&MIGRATIONS, async |db| {
        let ((), position) = db
            .write_positioned(async |mut tx| {
                for n in 1..=10 {
                    let feed = if n % 2 == 0 { "even" } else { "odd" };
                    let kind = if n == 4 { "erased" } else { "updated" };
                    changelog::append(
                        &mut tx,
                        Entry {
                            feed,
                            kind,
                            ..entry(n, n)
                        },
                    );
                }
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(position, Some(10));
        let ((), none) = db.write_positioned(async |_| Ok(())).await.unwrap();
        assert_eq!(none, None);

        let mut reader = db.read().await.unwrap();
        assert_eq!(changelog::head(&mut reader).await.unwrap(), 10);
        let mut list = async |after: i64, limit: u32, filter: Filter| {
            let page = changelog::list(&mut reader, after, limit, &filter).await?;
            let subjects: Vec<String> = page.changes.into_iter().map(|c| c.subject).collect();
            Ok::<_, Failure>((subjects.join(" "), page.position))
        };
        let odd = || Filter::feed("odd");
        assert_eq!(list(0, 3, odd()).await.unwrap(), ("1 3 5".to_owned(), 5));
        assert_eq!(list(5, 3, odd()).await.unwrap(), ("7 9".to_owned(), 10));
        assert_eq!(list(10, 3, odd()).await.unwrap(), (String::new(), 10));
        assert_eq!(list(99, 3, odd()).await.unwrap(), (String::new(), 99));
        let erased = Filter {
            kinds: vec!["erased".into()],
            ..Filter::default()
        };
        assert_eq!(list(0, 3, erased).await.unwrap(), ("4".to_owned(), 10));
        let one = Filter {
            subject: Some("6".into()),
            ..Filter::feed("even")
        };
        assert_eq!(list(0, 3, one).await.unwrap(), ("6".to_owned(), 10));
        for limit in [0, changelog::MAX_PAGE + 1] {
            assert_eq!(
                list(0, limit, odd()).await.unwrap_err().reason,
                "INVALID_FIELD"
            );
        }
        let page = changelog::list(&mut reader, 1, 1, &Filter::default())
            .await
            .unwrap();
        let expected = Change {
            position: 2,
            feed: "even".into(),
            subject: "2".into(),
            kind: "updated".into(),
            revision: 2,
            time: at(2),
            body: vec![1, 2],
        };
        assert_eq!(page.changes, [expected]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_change_is_never_seen() {
    on_each_engine(&MIGRATIONS, async |db| {
        let failed = db
            .write(async |mut tx| -> Result<(), Failure> {
                changelog::append(&mut tx, entry(1, 1));
                Err(Failure::internal("no"))
            })
            .await;
        assert!(failed.is_err());
        let tx = {
            let mut tx = db.begin().await.unwrap();
            changelog::append(&mut tx, entry(1, 1));
            tx
        };
        drop(tx);
        assert_eq!(
            changelog::head(&mut db.read().await.unwrap())
                .await
                .unwrap(),
            0
        );
        let mut tx = db.begin().await.unwrap();
        changelog::append(&mut tx, entry(1, 1));
        assert_eq!(db.commit(tx).await.unwrap(), Some(1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_woken_by_this_process_and_by_others() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let db = Database::open(place.config(), &MIGRATIONS).await.unwrap();
        let append = async |db: &Database| {
            db.write_positioned(async |mut tx| {
                changelog::append(&mut tx, entry(1, 1));
                Ok(())
            })
            .await
            .unwrap()
            .1
        };
        let woken = Arc::new(AtomicU64::new(0));
        let waiting = {
            let (db, woken) = (db.clone(), woken.clone());
            tokio::spawn(async move {
                // The poll is far longer than the test: only the wake-up can end this.
                let head = changelog::wait(&db, 0, Duration::from_secs(600))
                    .await
                    .unwrap();
                woken.store(head as u64, Ordering::SeqCst);
            })
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(woken.load(Ordering::SeqCst), 0, "nothing happened yet");
        append(&db).await;
        tokio::time::timeout(Duration::from_secs(60), waiting)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(woken.load(Ordering::SeqCst), 1);

        if engine == Engine::Postgres {
            let replica = Database::open(place.config(), &MIGRATIONS).await.unwrap();
            let waiting = {
                let db = db.clone();
                tokio::spawn(
                    async move { changelog::wait(&db, 1, Duration::from_millis(20)).await },
                )
            };
            append(&replica).await;
            let head = tokio::time::timeout(Duration::from_secs(60), waiting)
                .await
                .unwrap();
            assert_eq!(head.unwrap().unwrap(), 2);
            replica.close().await;
        }
        db.close().await;
        place.remove().await;
    }
}
