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
    let mut text = String::from(
        "SELECT position, feed, subject, kind, revision, time, body FROM jinke_changes \
         WHERE position > $1 AND position <= $2",
    );
    let mut args = args![after, head];
    let mut narrow = |condition: &str, arg: Arg, close: &str| {
        args.push(arg);
        text.push_str(&format!(" AND {condition}${}{close}", args.len()));
    };
    if let Some(feed) = &filter.feed {
        narrow("feed = ", feed.into(), "");
    }
    if let Some(subject) = &filter.subject {
        narrow("subject = ", subject.into(), "");
    }
    if !filter.kinds.is_empty() {
        narrow("kind IN LIST(", filter.kinds.as_slice().into(), ")");
    }
    args.push(i64::from(limit).into());
    text.push_str(&format!(" ORDER BY position LIMIT ${}", args.len()));
    let rows = conn.fetch_all(Sql::assembled(text), args).await?;
    let full = rows.len() == limit as usize;
    let changes = rows.iter().map(change).collect::<Result<Vec<_>, _>>()?;
    let position = match changes.last() {
        Some(last) if full => last.position,
        _ => head,
    };
    Ok(Page { changes, position })
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
