//! The change log: what followers read (decision D8).
//!
//! Three promises, on both engines and with any number of replicas:
//!
//! 1. A reader never passes a change that becomes visible later.
//! 2. The changes of one subject come in the order of its revisions, provided the writer holds
//!    the subject's row (updates it) in the same transaction before it takes the revision.
//! 3. None is missing. Positions are unique and grow; they may jump.
//!
//! How: [`append`] only remembers the change. At commit, as the last thing, the transaction
//! adds to the one row of `jinke_change_head`, and the row's lock is held until the commit is
//! done. Whoever gets a greater position got it after that commit, so every smaller position
//! was visible before a greater one existed. A plain sequence gives numbers before commit and
//! breaks promise 1; a test shows it.

use std::time::Duration;

use jinke_types::{Failure, Timestamp};

use crate::{
    args,
    database::Database,
    sql::{Arg, Conn, Engine, Row, Rows, Sql},
    tx::Tx,
};

/// Most changes that one [`list`] returns.
pub const MAX_PAGE: u32 = 10_000;

/// A change to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which of the service's feeds, e.g. `customers`.
    pub feed: &'static str,
    /// What changed: an id within the feed, e.g. `42`.
    pub subject: String,
    /// What happened: a short word, e.g. `updated`.
    pub kind: &'static str,
    /// The subject's revision after the change.
    pub revision: i64,
    /// When it was known.
    pub time: Timestamp,
    /// What followers need besides; may be empty. Personal values only sealed.
    pub body: Vec<u8>,
}

/// A logged change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its place in the log.
    pub position: i64,
    /// Which feed.
    pub feed: String,
    /// What changed.
    pub subject: String,
    /// What happened.
    pub kind: String,
    /// The subject's revision after the change.
    pub revision: i64,
    /// When it was known.
    pub time: Timestamp,
    /// What followers need besides.
    pub body: Vec<u8>,
}

/// A stretch of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The changes, by position.
    pub changes: Vec<Change>,
    /// Where to go on: everything up to here was looked at. Equal to the position asked for
    /// when there was nothing new.
    pub position: i64,
}

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this feed.
    pub feed: Option<String>,
    /// Only this subject.
    pub subject: Option<String>,
    /// Only these kinds; empty means all.
    pub kinds: Vec<String>,
}

impl Filter {
    /// Everything of one feed.
    pub fn feed(feed: impl Into<String>) -> Self {
        Self {
            feed: Some(feed.into()),
            ..Self::default()
        }
    }
}

/// Remembers a change; it is written when `tx` commits, after all else. The position is known
/// then: see [`Database::write_positioned`].
pub fn append(tx: &mut Tx, entry: Entry) {
    tx.changes().push(entry);
}

/// Writes the remembered changes. Called by commit alone.
pub(crate) async fn flush(tx: &mut Tx) -> Result<Option<i64>, Failure> {
    let entries = std::mem::take(tx.changes());
    if entries.is_empty() {
        return Ok(None);
    }
    let count = i64::try_from(entries.len()).map_err(Failure::internal)?;
    let last = tx
        .fetch_one(
            "UPDATE jinke_change_head SET position = position + $1 WHERE one = 1 \
             RETURNING position",
            args![count],
        )
        .await?
        .i64("position")?;
    let mut rows = Rows::new(COLUMNS);
    for (position, e) in (last - count + 1..).zip(entries) {
        rows.push(args![
            position, e.feed, e.subject, e.kind, e.revision, e.time, e.body
        ]);
    }
    tx.insert_many("jinke_changes", rows, "").await?;
    Ok(Some(last))
}

const COLUMNS: &[&str] = &[
    "position", "feed", "subject", "kind", "revision", "time", "body",
];

/// The last position given out and visible; 0 before the first change.
pub async fn head(conn: &mut Conn) -> Result<i64, Failure> {
    conn.fetch_one(
        "SELECT position FROM jinke_change_head WHERE one = 1",
        args![],
    )
    .await?
    .i64("position")
}

/// The changes after `after`, at most `limit` (1 to [`MAX_PAGE`]).
pub async fn list(
    conn: &mut Conn,
    after: i64,
    limit: u32,
    filter: &Filter,
) -> Result<Page, Failure> {
    if limit == 0 || limit > MAX_PAGE {
        return Err(Failure::field(
            "page_size",
            format!("must be between 1 and {MAX_PAGE}"),
        ));
    }
    // The head is read first: everything up to it is visible to the statement that follows.
    let head = head(conn).await?;
    if head <= after {
        return Ok(Page {
            changes: Vec::new(),
            position: after,
        });
    }
    let (text, args) = reading(conn.engine(), (after, head), limit, filter);
    let rows = conn.fetch_all(text, args).await?;
    let full = rows.len() == limit as usize;
    let changes = rows.iter().map(change).collect::<Result<Vec<_>, _>>()?;
    let position = match changes.last() {
        Some(last) if full => last.position,
        _ => head,
    };
    Ok(Page { changes, position })
}

/// The statement that reads the changes between two positions, the first excluded.
fn reading(
    engine: Engine,
    (after, until): (i64, i64),
    limit: u32,
    filter: &Filter,
) -> (Sql, Vec<Arg>) {
    let mut text = String::from(
        "SELECT position, feed, subject, kind, revision, time, body FROM jinke_changes \
         WHERE position > $1 AND position <= $2",
    );
    let mut args = args![after, until];
    let mut narrow = |condition: &str, arg: Arg, close: &str| {
        args.push(arg);
        text.push_str(&format!(" AND {condition}${}{close}", args.len()));
    };
    if let Some(feed) = &filter.feed {
        // SQLite takes the index on (feed, subject, position) for the feed alone too: it then
        // reads and sorts all changes of the feed at every call, where the positions asked for
        // are a few rows of the table itself. A sign before the column keeps it from that index.
        let alone = engine == Engine::Sqlite && filter.subject.is_none();
        narrow(if alone { "+feed = " } else { "feed = " }, feed.into(), "");
    }
    if let Some(subject) = &filter.subject {
        narrow("subject = ", subject.into(), "");
    }
    if !filter.kinds.is_empty() {
        narrow("kind IN LIST(", filter.kinds.as_slice().into(), ")");
    }
    args.push(i64::from(limit).into());
    text.push_str(&format!(" ORDER BY position LIMIT ${}", args.len()));
    (Sql::assembled(text), args)
}

fn change(row: &Row) -> Result<Change, Failure> {
    Ok(Change {
        position: row.i64("position")?,
        feed: row.text("feed")?,
        subject: row.text("subject")?,
        kind: row.text("kind")?,
        revision: row.i64("revision")?,
        time: row.time("time")?,
        body: row.bytes("body")?,
    })
}

/// Waits until the log goes beyond `after`; the head then.
///
/// Changes of this process wake it at once. On PostgreSQL the head is also read every `poll`,
/// for the changes of other replicas. Wrap it in a timeout or drop it to stop waiting.
pub async fn wait(db: &Database, after: i64, poll: Duration) -> Result<i64, Failure> {
    let mut changed = db.changed();
    loop {
        let known = *changed.borrow_and_update();
        if known > after {
            return Ok(known);
        }
        let head = head(&mut *db.read().await?).await?;
        if head > after {
            return Ok(head);
        }
        if db.engine() == Engine::Sqlite {
            // No other process can write this file.
            let _ = changed.changed().await;
        } else {
            let _ = tokio::time::timeout(poll, changed.changed()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Migrations, testing::on_each_engine};

    static MIGRATIONS: Migrations = Migrations {
        sqlite: sqlx::migrate!("tests/store/migrations/sqlite"),
        postgres: sqlx::migrate!("tests/store/migrations/postgres"),
    };

    /// How the engine would read a page, step by step.
    async fn plan(db: &Database, filter: &Filter) -> String {
        let mut reader = db.read().await.unwrap();
        let (explain, column) = match db.engine() {
            Engine::Sqlite => ("EXPLAIN QUERY PLAN ", "detail"),
            Engine::Postgres => ("EXPLAIN ", "QUERY PLAN"),
        };
        let (text, args) = reading(db.engine(), (9_000, 20_000), 100, filter);
        let text = Sql::assembled(format!("{explain}{}", text.as_str()));
        let rows = reader.fetch_all(text, args).await.unwrap();
        let steps: Vec<String> = rows.iter().map(|r| r.text(column).unwrap()).collect();
        steps.join("\n")
    }

    /// Followers read a page at every change: what a page costs must not grow with the log.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_page_is_read_in_its_order_and_never_sorted() {
        on_each_engine(&MIGRATIONS, async |db| {
            db.write(async |mut tx| {
                for n in 0..20_000 {
                    append(
                        &mut tx,
                        Entry {
                            feed: if n % 10 == 0 { "few" } else { "many" },
                            subject: (n % 5_000).to_string(),
                            kind: "updated",
                            revision: n,
                            time: Timestamp::from_secs(n),
                            body: vec![1; 40],
                        },
                    );
                }
                Ok(())
            })
            .await
            .unwrap();
            if db.engine() == Engine::Postgres {
                db.write(async |mut tx| tx.execute("ANALYZE jinke_changes", args![]).await)
                    .await
                    .unwrap();
            }
            let kinds = Filter {
                kinds: vec!["updated".into()],
                ..Filter::feed("many")
            };
            let every = [
                Filter::default(),
                Filter::feed("few"),
                Filter::feed("many"),
                kinds,
            ];
            for filter in every {
                let steps = plan(&db, &filter).await;
                let (by, sorts) = match db.engine() {
                    Engine::Sqlite => ("USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", "B-TREE"),
                    Engine::Postgres => ("Index Scan using jinke_changes_pkey", "Sort"),
                };
                assert!(
                    steps.contains(by) && !steps.contains(sorts),
                    "{filter:?}: {steps}"
                );
            }
            // Of one subject, by its own index.
            let one = Filter {
                subject: Some("7".into()),
                ..Filter::feed("many")
            };
            let steps = plan(&db, &one).await;
            assert!(steps.contains("jinke_changes_subject"), "{steps}");
        })
        .await;
    }
}
